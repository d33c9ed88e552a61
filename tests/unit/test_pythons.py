"""Is the right interpreter found, and is nothing run that should not be?"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb import installs, proc, pythons
from hwb.context import CancelToken, Context, use
from hwb.errors import Cancelled, CommandFailed, CommandTimeout, ConfigError, InterpreterNotFound, UsageError
from hwb.pythons import Interpreter, Spec, find, parse_spec, running

from .machines import environ, program

if TYPE_CHECKING:
    from collections.abc import Callable

posix = pytest.mark.skipif(sys.platform == "win32", reason="builds a POSIX tree")

# ------------------------------------------------------------------------------------------------------ parse_spec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("3.12", Spec((3, 12))),
        ("3.12.1", Spec((3, 12, 1))),
        ("3", Spec((3,))),
        ("python3.12", Spec((3, 12))),
        ("cpython3.12", Spec((3, 12))),
        (" Python3.9 ", Spec((3, 9))),
        ("/opt/python/bin/python", Spec(path="/opt/python/bin/python")),
        ("C:\\Python312\\python.exe", Spec(path="C:\\Python312\\python.exe")),
        ("c:/Python312/python.exe", Spec(path="c:/Python312/python.exe")),
        ("\\\\server\\share\\python.exe", Spec(path="\\\\server\\share\\python.exe")),
    ],
)
def test_what_can_be_asked_for(text: str, spec: Spec) -> None:
    assert parse_spec(text) == spec


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no Python version"),
        ("python", "no Python version"),
        ("3.", "no Python version"),
        ("3.12.1.2", "no Python version"),
        ("three", "no Python version"),
        ("3.12rc1", "no Python version"),
        ("²", "no Python version"),
        ("pypy3.10", "PyPy"),
        ("3.13t", "free-threaded"),
        ("python3.13t", "free-threaded"),
        (">=3.10", "range"),
        ("~=3.10", "range"),
        ("bin/python", "relative path"),
        ("..\\python.exe", "relative path"),
    ],
)
def test_what_cannot_be_asked_for(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_spec(text)


@given(st.lists(st.integers(0, 999), min_size=1, max_size=3), st.sampled_from(["", "python", "cpython", " "]))
def test_a_version_comes_back(numbers: list[int], prefix: str) -> None:
    spec = parse_spec(prefix + ".".join(map(str, numbers)))
    assert spec.version == tuple(numbers)
    assert parse_spec(str(spec)) == spec


@given(st.text())
def test_any_other_text_is_a_value_error_and_nothing_else(text: str) -> None:
    try:
        spec = parse_spec(text)
    except ValueError:
        return
    assert bool(spec.version) != bool(spec.path)


@given(st.lists(st.integers(0, 20), max_size=3), st.lists(st.integers(0, 20), max_size=3))
def test_allows_is_contains_with_an_unknown_rest(wanted: list[int], known: list[int]) -> None:
    spec, version = Spec(tuple(wanted)), tuple(known)
    assert not spec.contains(version) or spec.allows(version)
    if len(known) >= len(wanted):
        assert spec.contains(version) == spec.allows(version)


# ------------------------------------------------------------------------------------------------------------ find

Answers = dict[str, Any]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """What fake interpreters say: real path -> version, or the whole answer, or words on why they do not."""
    known: Answers = {"asked": []}

    def probe(real: str) -> list[str] | str:
        known["asked"].append(real)
        said = known.get(real, "does not run as Python 3 (exit code 1)")
        if isinstance(said, str) and said[:1].isdigit():
            return [said, "cpython", "", real, "/base", "/base", ""]
        return said  # type: ignore[no-any-return]

    monkeypatch.setattr(pythons, "_probe", probe)
    return known


@pytest.fixture
def install(machine: Path, answers: Answers) -> Callable[[str, str], str]:
    def make(relative: str, version: str) -> str:
        path = program(machine / relative)
        answers[os.path.realpath(path)] = version
        return str(path)

    return make


PYENV = "home/.pyenv/versions"


@posix
def test_the_first_source_with_the_minor_and_its_newest_patch(
    machine: Path, answers: Answers, install: Callable[[str, str], str]
) -> None:
    install("home/.asdf/installs/python/3.12.9/bin/python3.12", "3.12.9")
    install(f"{PYENV}/3.13.0/bin/python3.13", "3.13.0")
    install(f"{PYENV}/3.12.1/bin/python3.12", "3.12.1")
    best = install(f"{PYENV}/3.12.3/bin/python3.12", "3.12.3")
    found = find("3.12", environ=environ(machine))
    assert found == Interpreter(best, "3.12.3", "cpython", "pyenv")
    assert answers["asked"] == [best], "only the chosen one is run"
    assert find("3.12.9", environ=environ(machine)).source == "asdf"
    assert find("3", environ=environ(machine)).version == "3.13.0"
    assert find(environ=environ(machine), requires_python="<3.13").version == "3.12.3"


@posix
def test_the_order_of_the_path_counts_within_it(machine: Path, install: Callable[[str, str], str]) -> None:
    install("zzz/python3.12", "3.12.1")
    install("aaa/python3.12", "3.12.9")
    found = find("3.12", environ=environ(machine, PATH=f"{machine / 'zzz'}{os.pathsep}{machine / 'aaa'}"))
    assert found.version == "3.12.1"


@posix
def test_a_name_without_a_minor_is_asked_last(
    machine: Path, answers: Answers, install: Callable[[str, str], str]
) -> None:
    unknown = install("bin/python3", "3.11.4")
    known = install("usr/bin/python3.11", "3.11.2")
    env = environ(machine, PATH=str(machine / "bin"))
    assert find("3.11", environ=env).path == known
    assert answers["asked"] == [known]
    assert find("3.11.4", environ=env).path == unknown


@posix
def test_the_answer_is_remembered_until_the_file_changes(
    machine: Path, answers: Answers, install: Callable[[str, str], str]
) -> None:
    path = install("usr/bin/python3.12", "3.12.1")
    before = find("3.12", environ=environ(machine))
    assert find("3.12", environ=environ(machine)) == before
    assert answers["asked"] == [path]
    identity = before.identity
    program(Path(path), b"\x7fELF another one")
    answers[path] = "3.12.2"
    assert find("3.12", environ=environ(machine)).version == "3.12.2"
    assert before.identity != identity


@posix
def test_a_failing_candidate_is_skipped_and_listed(
    machine: Path, answers: Answers, install: Callable[[str, str], str]
) -> None:
    broken = install(f"{PYENV}/3.12.9/bin/python3.12", "gave no answer within 5 s")
    good = install(f"{PYENV}/3.12.1/bin/python3.12", "3.12.1")
    assert find("3.12", environ=environ(machine)).path == good
    answers[good] = "does not run as Python 3 (exit code 2)"
    os.utime(good, (1, 1))
    install("usr/bin/python3.11", "3.11.1")
    with pytest.raises(InterpreterNotFound) as caught:
        find("3.12", environ=environ(machine))
    assert caught.value.what == "there is no Python 3.12 on this machine"
    assert f"3.12.9   pyenv    {broken}  (gave no answer within 5 s)" in caught.value.detail
    assert f"3.12.1   pyenv    {good}  (does not run as Python 3 (exit code 2))" in caught.value.detail
    assert "3.11     system" in caught.value.detail
    assert "`uv python install 3.12`" in caught.value.remedy
    assert "`pyenv install 3.12`" in caught.value.remedy


@posix
def test_names_that_lie_are_found_out(machine: Path, answers: Answers, install: Callable[[str, str], str]) -> None:
    path = install("usr/bin/python3.12", "3.11.1")
    pypy = install(f"{PYENV}/3.12.1/bin/python3.12", "")
    answers[pypy] = ["3.12.1", "pypy", "", pypy, "/b", "/b", ""]
    threaded = install(f"{PYENV}/3.12.0/bin/python3.12", "")
    answers[threaded] = ["3.12.0", "cpython", "t", threaded, "/b", "/b", ""]
    with pytest.raises(InterpreterNotFound) as caught:
        find("3.12", environ=environ(machine))
    assert f"{path}  (is cpython 3.11.1)" in caught.value.detail
    assert "(is pypy 3.12.1)" in caught.value.detail
    assert "free-threaded" in caught.value.detail


def test_an_empty_machine(machine: Path) -> None:
    with pytest.raises(InterpreterNotFound, match=r"satisfies >=3\.10") as caught:
        find(environ=environ(machine), requires_python=">=3.10")
    assert caught.value.detail == "seen:\nnothing"


@posix
def test_a_prerelease_is_the_last_choice_of_who_names_no_minor(
    machine: Path, install: Callable[[str, str], str]
) -> None:
    install(f"{PYENV}/3.15-dev/bin/python3.15", "3.15.0a1")
    assert find(environ=environ(machine), requires_python=">=3.12").version == "3.15.0a1"
    install(f"{PYENV}/3.14.0/bin/python3.14", "3.14.0")
    assert find(environ=environ(machine), requires_python=">=3.12").version == "3.14.0"
    assert find("3.15", environ=environ(machine)).version == "3.15.0a1"
    with pytest.raises(InterpreterNotFound) as caught:
        find(environ=environ(machine), requires_python="<3.12")
    assert "outside of <3.12" in caught.value.detail


@posix
def test_an_environment_on_the_path_leads_to_its_base(
    machine: Path, answers: Answers, install: Callable[[str, str], str]
) -> None:
    base = install("base/bin/python3.12", "3.12.1")
    (machine / "venv/bin").mkdir(parents=True)
    (machine / "venv/pyvenv.cfg").write_text("home = base\n")
    (machine / "venv/bin/python3.12").symlink_to(base)
    env = environ(machine, PATH=str(machine / "venv/bin"))
    assert find("3.12", environ=env).path == base
    copied = install("copies/bin/python3.12", "")
    prefix = str(machine / "copies")
    answers[copied] = ["3.12.1", "cpython", "", copied, prefix, str(machine / "base"), base]
    assert find("3.12", environ=environ(machine, PATH=str(machine / "copies/bin"))).path == base
    answers[copied] = ["3.12.1", "cpython", "", copied, prefix, str(machine / "gone"), ""]
    os.utime(copied, (1, 1))
    with pytest.raises(InterpreterNotFound, match=r"no Python 3\.12"):
        find("3.12", environ=environ(machine, PATH=str(machine / "copies/bin")))


@posix
def test_an_explicit_path(machine: Path, answers: Answers, install: Callable[[str, str], str]) -> None:
    path = install("some/where/my-python", "3.12.1")
    assert find(path).path == path
    assert find("3.12", python_path=path) == Interpreter(path, "3.12.1", "cpython", "path")
    answers[path] = ["3.13.0", "pypy", "t", path, "/b", "/b", ""]
    os.utime(path, (1, 1))
    assert find(path).implementation == "pypy"
    with pytest.raises(InterpreterNotFound, match=r"is Python 3\.13\.0, but 3\.12 is asked for"):
        find("3.12", python_path=path)
    with pytest.raises(InterpreterNotFound, match=r"but Python <3\.13 is asked for"):
        find(path, requires_python="<3.13")


@posix
def test_an_explicit_path_that_is_no_interpreter(machine: Path, answers: Answers) -> None:
    shim = program(machine / "bin/python", b"#!/usr/bin/env bash\nexec /home/me/.pyenv/libexec/pyenv exec\n")
    with pytest.raises(InterpreterNotFound, match="shim"):
        find(str(shim))
    with pytest.raises(InterpreterNotFound, match="No such file"):
        find(str(machine / "missing"))
    assert answers["asked"] == []
    with pytest.raises(InterpreterNotFound, match="exit code 1"):
        find(str(program(machine / "bin/other")))


@pytest.mark.parametrize(("spec", "error"), [("pypy3", UsageError), (">=3", UsageError)])
def test_a_request_without_sense(spec: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        find(spec)


def test_a_broken_requires_python() -> None:
    with pytest.raises(ConfigError, match="no version specifier"):
        find(requires_python="three")


# --------------------------------------------------------------------------------------------- the running one


def test_the_running_interpreter_is_taken_without_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pythons, "scan", lambda environ: pytest.fail("not needed"))
    monkeypatch.setattr(pythons, "_ask", lambda path, source: pytest.fail("not needed"))
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert find() == find(minor) == find(requires_python=f"=={minor}.*") == running()
    assert running().minor == minor


def test_the_running_interpreter_lies_outside_of_environments() -> None:
    here = running()
    assert os.path.isfile(here.path)
    assert Path(here.path).is_absolute()
    if sys.prefix != sys.base_prefix:
        assert not here.path.startswith(os.path.join(sys.prefix, ""))
    assert here.source == "running"
    assert here.identity == running().identity
    assert installs.scan({"HOME": "/nowhere"})[0] == installs.Candidate(
        here.path, tuple(sys.version_info[:3]), "running"
    )


@pytest.mark.parametrize("known", [True, False])
def test_old_pythons_do_not_say_what_their_environment_was_made_from(tmp_path: Path, known: bool) -> None:
    base = program(tmp_path / "base/bin/python3")
    inside = str(tmp_path / "venv/bin/python")
    prefixes = (str(tmp_path / "venv"), str(tmp_path / "base"))
    assert installs.base_executable(inside, *prefixes, str(base) if known else inside) == str(base)
    assert installs.base_executable("", *prefixes, "") == str(base)
    assert installs.base_executable("", "/same", "/same", "") == ""


def test_an_embedded_python_may_know_no_executable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installs, "base_executable", lambda *names: "")
    assert installs.running_candidate() is None
    with pytest.raises(InterpreterNotFound, match="does not know"):
        running()


def test_a_running_python_with_another_abi_is_only_found_by_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "abiflags", "t", raising=False)
    assert installs.running_candidate() is None


def test_the_identity_of_a_removed_interpreter() -> None:
    assert Interpreter("/gone/python", "3.12.1", "cpython", "PATH").identity == "/gone/python|3.12.1|gone"


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
    assert pythons._probe(str(tmp_path / "python-true")) == "does not run as Python 3 (exit code 0)"
    assert pythons._probe(str(tmp_path / "python-false")) == "does not run as Python 3 (exit code 1)"
    assert "cannot be run" in pythons._probe(str(program(tmp_path / "python")))
    hanging = program(tmp_path / "python3", b"#!/bin/sh\nsleep 60\n")
    before, pythons.PROBE_SECONDS = pythons.PROBE_SECONDS, 0.2
    try:
        assert pythons._probe(str(hanging)) == "gave no answer within 0.2 s"
    finally:
        pythons.PROBE_SECONDS = before


@pytest.mark.parametrize("error", [CommandTimeout("slow"), CommandFailed("no")])
def test_how_asking_fails(monkeypatch: pytest.MonkeyPatch, error: CommandFailed) -> None:
    def run(*args: Any, **options: Any) -> proc.Completed:
        raise error

    monkeypatch.setattr(proc, "run", run)
    assert isinstance(pythons._probe(sys.executable), str)


def test_asking_ends_with_the_run() -> None:
    token = CancelToken()
    token.cancel()
    with use(Context(token=token)), pytest.raises(Cancelled):
        pythons._probe(sys.executable)


def test_importing_is_cheap() -> None:
    code = "import sys, hwb.pythons; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, env={
        "PYTHONPATH": os.path.dirname(os.path.dirname(pythons.__file__)), "SYSTEMROOT": os.environ.get("SYSTEMROOT", "")
    })  # fmt: skip
    heavy = {"subprocess", "asyncio", "json", "hashlib", "shutil", "tempfile", "packaging", "pathlib", "hwb.store"}
    assert heavy.isdisjoint(done.stdout.split())
