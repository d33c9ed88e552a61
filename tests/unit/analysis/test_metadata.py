"""Does the whole analysis say what the files say, without running any of them?"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hwb.errors import AnalyzeError
from hwb.project import BuildBackend, ProjectAnalyzer, ProjectMetadata, analyze_project

PROJECTS = Path(__file__).parents[2] / "projects"


def write(folder: Path, text: str) -> ProjectMetadata:
    (folder / "pyproject.toml").write_text(text)
    return analyze_project(folder)


def test_ana06_the_documented_default_backend() -> None:
    assert BuildBackend("setuptools.build_meta", ["setuptools>=61.0", "wheel"]) == ProjectAnalyzer.DEFAULT_BACKEND


def test_ana07_analyze_is_async_and_gives_the_same() -> None:
    root = PROJECTS / "pure-hatchling"
    assert asyncio.run(ProjectAnalyzer().analyze(root)) == analyze_project(root)


@pytest.mark.parametrize(
    ("text", "module", "requirements"),
    [
        ("", "setuptools.build_meta", ["setuptools>=61.0", "wheel"]),
        ('[build-system]\nrequires = ["x"]\n', "setuptools.build_meta", ["x"]),
        ('[build-system]\nbuild-backend = "b"\n', "b", ["setuptools", "wheel"]),
    ],
)
def test_ana08_ana09_defaults(tmp_path: Path, text: str, module: str, requirements: list[str]) -> None:
    assert write(tmp_path, text).backend == BuildBackend(module, requirements)


def test_b3_a_setup_py_project_has_its_own_name_and_version_and_is_not_run() -> None:
    found = analyze_project(PROJECTS / "setup-py-variables" / "setup.py")
    assert (found.name, found.version, found.version_source) == ("setup-py-variables", "0.7", "attr")
    assert (found.description, found.dependencies) == ("about setup-py-variables", ["click>=8", "rich"])
    assert (found.optional_dependencies, found.scripts) == ({"x": ["click>=8"]}, {"var": "varpkg:main"})
    assert (found.extension_languages, found.limited_api, found.import_names) == (["c"], "cp310", ["varpkg"])
    assert [advice.id for advice in found.advice] == [
        "dependency-links", "use-2to3", "setup-py-only", "no-requires-python", "tests-require",
    ]  # fmt: skip
    assert [advice.where.rpartition(":")[2] for advice in found.advice][:2] == ["20", "19"]


def test_setup_cfg() -> None:
    found = analyze_project(PROJECTS / "setup-cfg")
    assert (found.name, found.version, found.version_place) == ("setup-cfg", "2.5", "old_pkg/__init__.py:1")
    assert found.dependencies == ["requests>=2", 'tomli; python_version < "3.11"']
    assert (found.optional_dependencies, found.scripts) == ({"fast": ["orjson"]}, {"old": "old_pkg:main"})
    assert (found.import_names, found.has_setup_cfg, found.requires_python) == (["old_pkg"], True, ">=3.9")
    assert {advice.id for advice in found.advice} == {"no-pyproject", "setup-requires", "stale-classifier"}


def test_poetry_before_pep_621() -> None:
    found = analyze_project(PROJECTS / "poetry-legacy")
    assert (found.name, found.version, found.license) == ("poetry-legacy", "3.1", "MIT")
    assert found.requires_python == ">=3.9,<4.0"
    assert found.dependencies == ["click>=8.1,<9.0", "rich[jupyter]>=13.2,<13.3"]
    assert (found.optional_dependencies, found.scripts) == ({"fast": ["orjson"]}, {"legacy": "poetry_legacy:main"})
    assert (found.advice, found.undecided) == ([], {})


def test_what_poetry_alone_can_say_is_undecided(tmp_path: Path) -> None:
    found = write(
        tmp_path,
        '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n'
        '[tool.poetry]\nname = "x"\nversion = "1"\n[tool.poetry.dependencies]\npython = "^3.9"\na = {git = "x"}\n',
    )
    assert (found.dependencies, found.undecided) == ([], {"dependencies": "poetry"})


def test_flit_before_pep_621(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text("__version__ = '1'\n")
    found = write(
        tmp_path,
        '[build-system]\nrequires = ["flit_core>=2,<4"]\nbuild-backend = "flit_core.buildapi"\n[tool.flit.metadata]\nmodule = "f"\n'
        'requires = ["a"]\nrequires-python = ">=3.8"\n[tool.flit.metadata.requires-extra]\nx = ["b"]\n[tool.flit.scripts]\ns = "f:m"\n',
    )
    assert (found.name, found.version, found.requires_python) == ("f", "1", ">=3.8")
    assert (found.dependencies, found.optional_dependencies, found.scripts) == (["a"], {"x": ["b"]}, {"s": "f:m"})


def test_rust_with_the_stable_abi() -> None:
    found = analyze_project(PROJECTS / "rust-maturin")
    assert (found.version, found.version_source, found.limited_api) == ("1.2.0rc1", "file", "cp39")
    assert (found.extension_languages, found.editable) == (["rust"], True)


def test_workspace() -> None:
    assert [member.name for member in analyze_project(PROJECTS / "workspace").members] == ["demo-app", "demo-core"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[build-system]\nrequires = ["scikit-build-core"]\nbuild-backend = "scikit_build_core.build"\n[tool.scikit-build]\nwheel.py-api = "cp38"\n', "cp38"),
        ('[build-system]\nrequires = ["scikit-build-core"]\nbuild-backend = "scikit_build_core.build"\n[tool.scikit-build]\nwheel.py-api = "py3"\n', None),
        ('[build-system]\nrequires = ["meson-python"]\nbuild-backend = "mesonpy"\n[tool.meson-python]\nlimited-api = true\n', "abi3"),
        ('[[tool.setuptools.ext-modules]]\nname = "a"\nsources = ["a.c"]\npy-limited-api = true\n', "abi3"),
        ('[[tool.setuptools.ext-modules]]\nname = "a"\nsources = ["a.c"]\n[tool.distutils.bdist_wheel]\npy-limited-api = "cp39"\n', "cp39"),
        ('[[tool.setuptools.ext-modules]]\nname = "a"\nsources = ["a.c"]\n', None),
    ],
)  # fmt: skip
def test_limited_api(tmp_path: Path, text: str, expected: str | None) -> None:
    assert write(tmp_path, text).limited_api == expected


def test_what_only_setup_py_knows_is_undecided(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text("setup(install_requires=f(), **g())\n")
    found = analyze_project(tmp_path)
    assert found.name == ""
    assert found.undecided == dict.fromkeys(
        ("dependencies", "optional-dependencies", "requires-python", "name"), "setuptools (computed by setup.py)"
    ) | {"version": "setuptools.build_meta"}


def test_dynamic_fields_come_from_where_the_backend_reads_them(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text("[options]\ninstall_requires = a\n")
    found = write(tmp_path, '[project]\nname = "x"\ndynamic = ["version", "dependencies", "readme"]\n')
    assert found.dependencies == ["a"]
    assert found.undecided == {"readme": "setuptools", "version": "setuptools.build_meta"}


@pytest.mark.parametrize(
    ("tail", "files", "expected"),
    [
        ('import-names = ["b.c", "_d ; private"]\n', ["x.py"], ["_d", "b"]),
        ('[tool.hatch.build.targets.wheel]\npackages = ["src/foo", "bar.py"]\n', [], ["bar", "foo"]),
        ('[tool.hatch.build.targets.wheel]\nonly-include = ["src"]\n', ["src/a/__init__.py"], ["a"]),
        ('[tool.maturin]\nmodule-name = "m._m"\n', [], ["m"]),
        ('[tool.maturin]\npython-source = "py"\n', ["py/n/__init__.pyi"], ["n"]),
        ('[tool.flit.module]\nname = "q"\n', [], ["q"]),
        ('[tool.setuptools]\npy-modules = ["one"]\n', [], ["one"]),
        ('[tool.poetry]\npackages = [{include = "p/**/*"}, 1]\n', [], ["p"]),
        ("", ["X/__init__.py", "other/__init__.py"], ["X"]),
        ("", ["src/ns/inner/a.py", "tests/__init__.py"], ["ns"]),
        ("", ["a/__init__.py", "b/__init__.py", "conftest.py", "no-module.py", "empty/README"], ["a", "b"]),
        ("", [], []),
    ],
)
def test_import_names(tmp_path: Path, tail: str, files: list[str], expected: list[str]) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert write(tmp_path, f'[project]\nname = "x"\nversion = "1"\n{tail}').import_names == expected


def test_not_a_project(tmp_path: Path) -> None:
    with pytest.raises(AnalyzeError, match=r"no pyproject\.toml, setup\.py or setup\.cfg in"):
        analyze_project(tmp_path)


def test_no_such_name() -> None:
    import hwb.project

    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = hwb.project.nonsense
