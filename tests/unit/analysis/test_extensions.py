"""Does the backend's word come before file names, and are other people's files left out?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hwb.analysis.backends import BACKENDS, backend_name, editable_support, known_backend
from hwb.analysis.extensions import Extensions, declared, detect

if TYPE_CHECKING:
    from pathlib import Path


def told(folder: Path, backend: str, *requires: str, **tool: Any) -> Extensions:
    return declared(str(folder), backend, requires, {"tool": tool})


@pytest.mark.parametrize(
    ("backend", "tool"),
    [
        ("hatchling.build", {}),
        ("flit_core.buildapi", {}),
        ("uv_build", {}),
        ("whey", {}),
        ("pdm.backend", {"pdm": {"build": {"includes": []}}}),
        ("poetry.core.masonry.api", {"poetry": {}}),
        ("scikit_build_core.build", {"scikit-build": {"wheel": {"cmake": False}}}),
    ],
)
def test_c29_a_backend_that_compiles_nothing_outweighs_files(
    tmp_path: Path, backend: str, tool: dict[str, Any]
) -> None:
    (tmp_path / "data.c").touch()
    found = told(tmp_path, backend, **tool)
    assert found.compiles is False
    assert detect(str(tmp_path), found, setup_py_decides=False) == found


@pytest.mark.parametrize(
    ("backend", "requires", "tool", "languages"),
    [
        ("maturin", (), {}, ("rust",)),
        ("scikit_build_core.build", (), {}, ()),
        ("py_build_cmake.build", (), {}, ()),
        ("setuptools.build_meta", ("setuptools", "Cython>=3"), {}, ("cython",)),
        ("setuptools.build_meta", ("setuptools-rust",), {}, ("rust",)),
        ("setuptools.build_meta", (), {"setuptools": {"ext-modules": [{"sources": ["a.c", "b.cpp"]}]}}, ("c", "cpp")),
        ("setuptools.build_meta", (), {"setuptools": {"ext-modules": [1]}}, ()),
        ("hatchling.build", (), {"hatch": {"build": {"hooks": {"mypyc": {}}}}}, ("c",)),
        ("hatchling.build", (), {"hatch": {"build": {"targets": {"wheel": {"hooks": {"cython": {}}}}}}}, ("cython",)),
    ],
)
def test_backends_and_settings_that_compile(
    tmp_path: Path, backend: str, requires: tuple[str, ...], tool: dict[str, Any], languages: tuple[str, ...]
) -> None:
    found = told(tmp_path, backend, *requires, **tool)
    assert (found.compiles, found.languages) == (True, languages)
    assert found.reasons


@pytest.mark.parametrize(
    ("text", "languages"),
    [
        ("setup(ext_modules=[Extension('a', [])])", ()),
        ("setup(ext_modules=cythonize('a.pyx'))", ()),
        ("x = cythonize('a.pyx')", ("cython",)),
        ("setup(rust_extensions=[1])", ("rust",)),
        ("setup(cffi_modules=['a'])", ("c",)),
    ],
)
def test_setup_py_that_compiles(tmp_path: Path, text: str, languages: tuple[str, ...]) -> None:
    (tmp_path / "setup.py").write_text("# x\n" + text + "\n")
    found = told(tmp_path, "setuptools.build_meta")
    assert (found.compiles, found.languages) == (True, languages)
    assert found.reasons[0].startswith("setup.py:2 ")


@pytest.mark.parametrize("text", ["# Extension\n", "setup(ext_modules=[])\n", "setup(ext_modules=None)\n", "setup()\n"])
def test_setup_py_that_does_not(tmp_path: Path, text: str) -> None:
    (tmp_path / "setup.py").write_text(text)
    assert told(tmp_path, "setuptools.build_meta").compiles is None
    (tmp_path / "launcher.c").touch()
    assert not detect(str(tmp_path), Extensions(None), setup_py_decides=True).compiles


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("project('x', 'c', 'cython', version: '1')", (True, ("c", "cython"))),
        ("project(\n  'x',\n  ['cpp'])", (True, ("cpp",))),
        ("project('x')\nadd_languages('c', native: false)", (True, ("c",))),
        ("project('x', version: '1')", (False, ())),
        ("# nothing", (True, ())),
        (None, (True, ())),
    ],
)
def test_meson_names_its_languages(tmp_path: Path, text: str | None, expected: tuple[bool, tuple[str, ...]]) -> None:
    if text is not None:
        (tmp_path / "meson.build").write_text(text)
    found = told(tmp_path, "mesonpy")
    assert (found.compiles, found.languages) == expected


@pytest.mark.parametrize(
    ("name", "languages"),
    [
        ("a.c", ("c",)), ("a.h", ("c",)), ("A.CPP", ("cpp",)), ("a.cxx", ("cpp",)), ("a.cc", ("cpp",)), ("a.hpp", ("cpp",)),
        ("Cargo.toml", ("rust",)), ("a.pyx", ("cython",)), ("a.pxd", ("cython",)), ("a.f90", ("fortran",)), ("a.cu", ("cuda",)),
        ("a.py", ()), ("c", ()),
    ],
)  # fmt: skip
def test_ana16_patterns_decide_what_the_backend_leaves_open(
    tmp_path: Path, name: str, languages: tuple[str, ...]
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / name).touch()
    found = detect(str(tmp_path), Extensions(None), setup_py_decides=False)
    assert (found.compiles, found.languages) == (bool(languages), languages)
    assert found.reasons == ((f"file src/{name}",) if languages else ())


@pytest.mark.parametrize(
    "folder", [".venv", "tests", "docs", "build", "dist", ".git", "node_modules", "x.egg-info", "my-env"]
)
def test_c29_folders_that_do_not_count(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "a.c").touch()
    (tmp_path / "my-env").mkdir(exist_ok=True)
    (tmp_path / "my-env" / "pyvenv.cfg").touch()
    assert detect(str(tmp_path), Extensions(None), setup_py_decides=False).compiles is False


def test_headers_of_cpp_sources_are_no_c(tmp_path: Path) -> None:
    for name in ("a.cpp", "a.h"):
        (tmp_path / name).touch()
    assert detect(str(tmp_path), Extensions(None), setup_py_decides=False).languages == ("cpp",)
    (tmp_path / "b.c").touch()
    found = detect(str(tmp_path), Extensions(True, ("rust",), ("x",)), setup_py_decides=True)
    assert (found.languages, found.reasons) == (("c", "cpp", "rust"), ("x",))


@pytest.mark.parametrize("tool", [{"pdm": {"build": {"run-setuptools": True}}}, {"poetry": {"build": "build.py"}}])
def test_build_scripts_leave_it_open(tmp_path: Path, tool: dict[str, Any]) -> None:
    backend = "pdm.backend" if "pdm" in tool else "poetry.core.masonry.api"
    assert told(tmp_path, backend, **tool).compiles is None


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("hatchling.build", "hatchling"), ("setuptools.build_meta:__legacy__", "setuptools"), ("flit_core.buildapi", "flit"),
        ("pdm.backend", "pdm"), ("pdm.pep517.api", "pdm"), ("maturin", "maturin"), ("poetry.core.masonry.api", "poetry"),
        ("scikit_build_core.build", "scikit-build-core"), ("mesonpy", "meson-python"), ("uv_build", "uv"), ("whey", "whey"),
        ("my_maturin_wrapper", "maturin"), ("tiny_backend", "tiny_backend"),
    ],
)  # fmt: skip
def test_ana02_friendly_names(module: str, name: str) -> None:
    assert backend_name(module) == name


@pytest.mark.parametrize(
    ("module", "requires", "expected"),
    [
        ("hatchling.build", (), True), ("setuptools.build_meta", ("setuptools<60",), False),
        ("setuptools.build_meta", ("setuptools>=40", "wheel<1"), True), ("setuptools.build_meta", ("setuptools==65.*",), True),
        ("setuptools.build_meta", ("setuptools<=64",), True), ("flit_core.buildapi", ("flit-core>=2,<3",), False),
        ("flit_core.buildapi", ("flit_core>=3.2,<4",), True), ("flit_core.buildapi", ("flit_core~=2.3",), False), ("flit.buildapi", (), False), ("other", (), None),
    ],
)  # fmt: skip
def test_src22_editable_by_table(module: str, requires: tuple[str, ...], expected: bool | None) -> None:
    assert editable_support(module, requires) is expected


def test_every_backend_of_the_table_is_found_by_its_module() -> None:
    assert all(known_backend(f"{module}.api:object") == row for module, row in BACKENDS.items())
