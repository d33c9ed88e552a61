"""Are compilers told apart, and are flags given that they know?"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hwb import context
from hwb.builder import native
from hwb.builder.native import caching_compilers, compilers, may_compile, steady_flags

if TYPE_CHECKING:
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="flags of GCC and Clang")
SETUPTOOLS = SimpleNamespace(backend="setuptools.build_meta", backend_path=())
COMPILED: Any = SimpleNamespace(has_extension_modules=True, build_system=SETUPTOOLS)
PURE: Any = SimpleNamespace(has_extension_modules=False, build_system=SETUPTOOLS)


@pytest.mark.parametrize(
    ("backend", "backend_path", "expected"),
    [
        ("setuptools.build_meta", (), False),
        ("hatchling.build", (), False),
        ("setuptools.build_meta", ("backend",), True),
        ("somebody.backend", (), True),
    ],
)
def test_nobody_knows_what_an_unknown_backend_calls(
    backend: str, backend_path: tuple[str, ...], expected: bool
) -> None:
    system = SimpleNamespace(backend=backend, backend_path=backend_path)
    project: Any = SimpleNamespace(has_extension_modules=False, build_system=system)
    assert may_compile(project) is expected


def compiler(folder: Path, name: str = "cc", *, knows: bool = True) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\nexit {0 if knows else 1}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "store"))


@posix
def test_compilers_are_known_by_path_size_and_time(tmp_path: Path) -> None:
    path = compiler(tmp_path / "bin")
    environ = {"PATH": str(tmp_path / "bin")}
    first = compilers(environ)
    assert first.split()[0] == str(path)
    path.write_text(path.read_text() + "# another\n")
    assert compilers(environ) != first
    compiler(tmp_path / "bin", "mine")
    assert compilers({**environ, "CC": "mine -m32"}).split()[0] == str(tmp_path / "bin" / "mine")
    assert compilers({"PATH": str(tmp_path)}) == ""


@pytest.mark.parametrize("text", [" ", ""])
def test_an_empty_variable_names_no_compiler(tmp_path: Path, text: str) -> None:
    assert compilers({"PATH": str(tmp_path), "CC": text}) == ""


@posix
def test_the_builds_directory_stays_out_of_debug_information(tmp_path: Path) -> None:
    compiler(tmp_path / "bin")
    outer = {"PATH": str(tmp_path / "bin"), "CFLAGS": "-O1"}
    with context.use(context.Context(outer_env=outer)):
        assert steady_flags(COMPILED, "/place") == {
            "CFLAGS": "-O1 -ffile-prefix-map=/place=/hwb",
            "CXXFLAGS": "-ffile-prefix-map=/place=/hwb",
        }
        assert steady_flags(PURE, "/place") == {}


@posix
def test_a_compiler_that_does_not_know_the_flag_does_not_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler(tmp_path / "bin", knows=False)
    with context.use(context.Context(outer_env={"PATH": str(tmp_path / "bin")})):
        assert steady_flags(COMPILED, "/place") == {}
        monkeypatch.setattr(native, "_ask", lambda _environ: pytest.fail("it was asked already"))
        assert steady_flags(COMPILED, "/place") == {}


@posix
def test_without_a_compiler_there_are_no_flags(tmp_path: Path) -> None:
    with context.use(context.Context(outer_env={"PATH": str(tmp_path)})):
        assert steady_flags(COMPILED, "/place") == {}
        assert native._ask({}) is False


def test_windows_has_no_such_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native.sys, "platform", "win32")
    assert steady_flags(COMPILED, "/place") == {}


@posix
@pytest.mark.parametrize(
    ("project", "outer", "used"),
    [
        (COMPILED, {"CC": "gcc"}, True),
        (PURE, {}, False),
        (COMPILED, {"CCACHE_DIR": "/mine"}, False),
        (COMPILED, {"CC": "/opt/gcc/bin/gcc"}, False),
    ],
)
def test_compilers_that_remember(
    project: Any, outer: dict[str, str], used: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "CACHING", (str(tmp_path / "lib64"), str(tmp_path / "lib")))
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "cache"))
    compiler = tmp_path / "bin" / "cc"
    compiler.parent.mkdir()
    compiler.touch(0o755)
    (tmp_path / "bin" / "gcc").symlink_to(compiler)
    with context.use(context.Context(outer_env={"PATH": str(tmp_path / "empty"), **outer})):
        (tmp_path / "lib64").mkdir()
        assert caching_compilers(project, "p") == ("", {}), "there is no compiler"
        (tmp_path / "lib64").rmdir()
    with context.use(context.Context(outer_env={"PATH": str(compiler.parent), **outer})):
        assert caching_compilers(project, "p") == ("", {}), "ccache is not installed"
        (tmp_path / "lib").mkdir()
        first, variables = caching_compilers(project, "p")
        assert first == (str(tmp_path / "lib") if used else "")
        assert bool(variables) is used
        if used:
            assert variables["CCACHE_DIR"].startswith(str(tmp_path / "cache" / "ccache"))
            assert caching_compilers(project, "another")[1] != variables, "nobody gets another project's objects"
