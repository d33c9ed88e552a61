"""Does an executable say what it is, and does nothing that is no Python pass for one?"""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from hwb import proc, pyprobe
from hwb.context import CancelToken, Context, use
from hwb.errors import Cancelled, CommandFailed, CommandTimeout
from hwb.pythons import Interpreter, find, running

from .machines import program

if TYPE_CHECKING:
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="builds a POSIX tree")

# ------------------------------------------------------------------------------------------------- really running


def test_a_real_interpreter_says_what_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path))
    here = running()
    found = find(here.path)
    assert (found.version, found.implementation, found.source) == (here.version, "cpython", "path")
    assert os.path.realpath(found.path) == os.path.realpath(here.path)
    assert find(sys.executable).path == os.path.realpath(sys.executable) or sys.prefix == sys.base_prefix


@posix
def test_programs_that_are_no_python(tmp_path: Path) -> None:
    for name in ("true", "false"):
        shutil.copy(shutil.which(name) or name, tmp_path / f"python-{name}")
    assert pyprobe._probe(str(tmp_path / "python-true")) == "does not run as Python 3 (exit code 0)"
    assert pyprobe._probe(str(tmp_path / "python-false")) == "does not run as Python 3 (exit code 1)"
    assert "cannot be run" in pyprobe._probe(str(program(tmp_path / "python")))
    hanging = program(tmp_path / "python3", b"#!/bin/sh\nsleep 60\n")
    before, pyprobe.PROBE_SECONDS = pyprobe.PROBE_SECONDS, 0.2
    try:
        assert pyprobe._probe(str(hanging)) == "gave no answer within 0.2 s"
    finally:
        pyprobe.PROBE_SECONDS = before


def test_an_interpreter_in_words() -> None:
    def made(version: str, implementation: str = "cpython", flags: str = "") -> Interpreter:
        return Interpreter("/p", version, implementation, "path", flags)

    for one, said in (
        (made("3.12.1"), ("3.12", "3.12.1", "Python 3.12.1")),
        (made("3.14.0rc1", flags="t"), ("3.14t", "3.14.0rc1 free-threaded", "Python 3.14.0rc1 free-threaded")),
        (made("3.11.9", "pypy"), ("pypy3.11", "PyPy 3.11.9", "PyPy 3.11.9")),
        (made("3.12.8", "graalpy"), ("graalpy3.12", "GraalPy 3.12.8", "GraalPy 3.12.8")),
        (made("3.4.0", "micropython"), ("micropython3.4", "micropython 3.4.0", "micropython 3.4.0")),
    ):
        assert (one.request, one.title, one.sentence) == said


@pytest.mark.parametrize("error", [CommandTimeout("slow"), CommandFailed("no")])
def test_how_asking_fails(monkeypatch: pytest.MonkeyPatch, error: CommandFailed) -> None:
    def run(*args: Any, **options: Any) -> proc.Completed:
        raise error

    monkeypatch.setattr(proc, "run", run)
    assert isinstance(pyprobe._probe(sys.executable), str)


def test_asking_ends_with_the_run() -> None:
    token = CancelToken()
    token.cancel()
    with use(Context(token=token)), pytest.raises(Cancelled):
        pyprobe._probe(sys.executable)
