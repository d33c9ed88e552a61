"""Is the right interpreter found, and is nothing run that should not be?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hwb import installs, pyprobe, pythons, pyuv
from hwb.errors import ConfigError, InterpreterNotFound, UsageError
from hwb.pysurvey import survey
from hwb.pythons import Interpreter, downloading, downloads, find, running

from .machines import environ, program

if TYPE_CHECKING:
    from collections.abc import Callable

posix = pytest.mark.skipif(sys.platform == "win32", reason="builds a POSIX tree")

Answers = dict[str, Any]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """What fake interpreters say: real path -> "3.12.1", "3.13.0 t", "3.10.14  pypy", or words on why they do not."""
    known: Answers = {"asked": []}

    def probe(real: str) -> list[str] | str:
        known["asked"].append(real)
        said = known.get(real, "does not run as Python 3 (exit code 1)")
        if isinstance(said, str) and said[:1].isdigit():
            version, flags, implementation = (*said.split(" "), "", "")[:3]
            return [version, implementation or "cpython", flags, real, "/base", "/base", ""]
        return said  # type: ignore[no-any-return]

    monkeypatch.setattr(pyprobe, "_probe", probe)
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
    assert f"{path}  (is 3.11.1)" in caught.value.detail
    assert f"{pypy}  (is PyPy 3.12.1)" in caught.value.detail
    assert f"{threaded}  (is 3.12.0 free-threaded)" in caught.value.detail


@posix
@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("3.13", "3.13.0"),
        ("3", "3.13.0"),
        ("3.13t", "3.13.2 free-threaded"),
        ("3.13.2t", "3.13.2 free-threaded"),
        ("3t", "3.14.0 free-threaded"),
        ("3.13d", "3.13.1 debug"),
        ("3.13td", "3.13.3 free-threaded debug"),
        ("pypy", "PyPy 3.11.9"),
        ("pypy3.10", "PyPy 3.10.14"),
        ("pypy>=3.10,<3.11", "PyPy 3.10.14"),
        ("graalpy", "GraalPy 3.12.8"),
        ("graalpy3.12", "GraalPy 3.12.8"),
        (">=3.11", "3.13.0"),
        (">=3.11,<3.13", "3.12.7"),
        ("~=3.12.0", "3.12.7"),
        ("!=3.13.*,>=3.10", "3.12.7"),
        (">=3.15a1", "3.15.0a2"),
        ("3.15.0a2", "3.15.0a2"),
        ("3.15", "3.15.0a2"),
    ],
)
def test_every_request_means_its_own_kind(
    machine: Path, install: Callable[[str, str], str], spec: str, expected: str
) -> None:
    """The GraalPy answers as its documentation has it: `sys.implementation.version` is not the Python's version."""
    for name, program_name, said in (
        ("3.15.0a2", "python3.15", "3.15.0a2"),
        ("3.14.0t", "python3.14t", "3.14.0 t"),
        ("3.13.3t-debug", "python3.13td", "3.13.3 td"),
        ("3.13.2t", "python3.13t", "3.13.2 t"),
        ("3.13.1-debug", "python3.13d", "3.13.1 d"),
        ("3.13.0", "python3.13", "3.13.0"),
        ("3.12.7", "python3.12", "3.12.7"),
        ("pypy3.11-7.3.19", "pypy3.11", "3.11.9  pypy"),
        ("pypy3.10-7.3.17", "pypy3.10", "3.10.14  pypy"),
        ("graalpy-25.0.1", "graalpy", "3.12.8  graalpy"),
    ):
        install(f"{PYENV}/{name}/bin/{program_name}", said)
    assert find(spec, environ=environ(machine)).title == expected


@posix
def test_the_kind_that_a_name_hides_is_asked_for(machine: Path, install: Callable[[str, str], str]) -> None:
    """Both names of an installation without the lock: python3.13 and python3.13t."""
    plain = install("usr/bin/python3.13", "3.13.0 t")
    assert find("3.13t", environ=environ(machine)).path == plain
    with pytest.raises(InterpreterNotFound, match=r"no Python 3\.13 on this machine") as caught:
        find("3.13", environ=environ(machine))
    assert "is 3.13.0 free-threaded" in caught.value.detail
    lettered = install("usr/bin/python3.13t", "3.13.0 t")
    assert find("3.13t", environ=environ(machine)).path == lettered


@posix
def test_what_was_seen_tells_the_kind(machine: Path, install: Callable[[str, str], str]) -> None:
    threaded = install("usr/bin/python3.14t", "3.14.0 t")
    pypy = install("usr/bin/pypy3.10", "3.10.14  pypy")
    with pytest.raises(InterpreterNotFound) as caught:
        find(">=3.12", environ=environ(machine))
    assert caught.value.what == "there is no Python >=3.12 on this machine"
    assert f"3.14 free-threaded system   {threaded}" in caught.value.detail
    assert f"PyPy 3.10          system   {pypy}" in caught.value.detail
    assert "`uv python install '>=3.12'`" in caught.value.remedy


@pytest.mark.parametrize("uv", [None, "/somewhere/uv"])
def test_a_download_is_offered_where_there_is_uv(
    machine: Path, monkeypatch: pytest.MonkeyPatch, uv: str | None
) -> None:
    monkeypatch.setattr(pyuv, "find_uv", lambda: uv)
    with pytest.raises(InterpreterNotFound) as caught:
        find("3.14t", environ=environ(machine))
    assert ("--download-python" in caught.value.remedy) == (uv is not None)


@posix
def test_the_identity_tells_the_kind(machine: Path) -> None:
    path = str(program(machine / "python"))
    kinds = [("cpython", ""), ("cpython", "t"), ("cpython", "d"), ("pypy", "")]
    identities = {Interpreter(path, "3.13.0", name, "path", flags).identity for name, flags in kinds}
    assert len(identities) == len(kinds)


@posix
def test_all_of_them(machine: Path, answers: Answers, install: Callable[[str, str], str]) -> None:
    install(f"{PYENV}/3.13.0t/bin/python3.13t", "3.13.0 t")
    install(f"{PYENV}/3.12.1/bin/python3.12", "3.12.1")
    install(f"{PYENV}/2.7.18/bin/python2.7", "2.7.18")
    install("usr/bin/python3.12", "3.12.3")
    install("usr/bin/pypy3.10", "3.10.14  pypy")
    broken = install("usr/bin/python3.9", "gave no answer within 5 s")
    named = install("usr/bin/python3.14", "3.14.0")
    (machine / "usr/bin/python3").symlink_to(named)
    found, refused = survey(environ(machine))
    assert [one.title for one in found] == ["3.14.0", "3.12.1", "3.12.3", "3.13.0 free-threaded", "PyPy 3.10.14"]
    assert sorted((os.path.basename(one.path), one.why) for one in refused) == [
        ("python2.7", "is Python 2"),
        ("python3.9", "gave no answer within 5 s"),
    ]
    asked = len(answers["asked"])
    assert survey(environ(machine))[0] == found
    assert answers["asked"][asked:] == [broken], "what was said is remembered"


class Fetched:
    """A way to download that puts an interpreter there."""

    def __init__(self, install: Callable[[str, str], str], always: bool = False) -> None:
        self.install, self.always, self.asked = install, always, []  # type: ignore[var-annotated]

    def provide(self, request: str, missing: InterpreterNotFound, search: Callable[[], Interpreter]) -> Interpreter:
        self.asked.append(request)
        name = "cpython-3.14.2-linux-x86_64-gnu"
        self.install(f"cache/interpreters/{name}/bin/python3.14", "3.14.2")
        return search()


@posix
def test_what_is_not_there_is_downloaded_where_that_is_allowed(
    machine: Path, install: Callable[[str, str], str]
) -> None:
    install(f"{PYENV}/3.12.1/bin/python3.12", "3.12.1")
    with pytest.raises(InterpreterNotFound):
        find("3.14", environ=environ(machine))
    way = Fetched(install)
    with downloading(way):
        assert find("3.12", environ=environ(machine)).source == "pyenv"
        assert find(environ=environ(machine), requires_python=">=3.14").source == "hwb"
        assert find("3.14", environ=environ(machine)).version == "3.14.2"
        assert way.asked == [">=3.14"], "once it is there it is found"
        with pytest.raises(InterpreterNotFound, match=r"no Python 3\.15"):
            find("3.15", environ=environ(machine))
        with downloading(None), pytest.raises(InterpreterNotFound):
            find("3.16", environ=environ(machine))
    assert way.asked == [">=3.14", "3.15"]
    assert find("3.14", environ=environ(machine)).version == "3.14.2", "outside of the block, too"
    assert downloads() is None


@posix
def test_always_means_the_downloaded_one(machine: Path, install: Callable[[str, str], str]) -> None:
    install(f"{PYENV}/3.14.0/bin/python3.14", "3.14.0")
    way = Fetched(install, always=True)
    with downloading(way):
        assert find("3.14", environ=environ(machine)).source == "hwb"
        assert way.asked == ["3.14"]
        assert find(environ=environ(machine)).source == "pyenv", "nothing is asked for"


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
    answers[path] = ["3.12.0", "pypy", "t", path, "/b", "/b", ""]
    os.utime(path, (1, 1))
    assert find(path).implementation == "pypy"
    assert find(python_path=path).flags == "t"
    with pytest.raises(InterpreterNotFound, match=r"is PyPy 3\.12\.0 free-threaded, but 3\.12 is asked for"):
        find("3.12", python_path=path)
    answers[path] = "3.13.0"
    os.utime(path, (2, 2))
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


@pytest.mark.parametrize("spec", ["python", ">=three", "bin/python", "jython"])
def test_a_request_without_sense(spec: str) -> None:
    with pytest.raises(UsageError):
        find(spec)


def test_a_broken_requires_python() -> None:
    with pytest.raises(ConfigError, match="no version specifier"):
        find(requires_python="three")


# --------------------------------------------------------------------------------------------- the running one


def test_the_running_interpreter_is_taken_without_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pythons, "scan", lambda environ: pytest.fail("not needed"))
    monkeypatch.setattr(pythons, "ask", lambda path, source: pytest.fail("not needed"))
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


def test_a_running_python_of_another_kind_is_no_plain_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version", f"{sys.version} experimental free-threading build")
    own = installs.running_candidate()
    assert own is not None
    assert own.flags == "t" + ("d" if hasattr(sys, "gettotalrefcount") else "")
    monkeypatch.setattr(pythons, "scan", lambda environ: [])
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    with pytest.raises(InterpreterNotFound):
        find(minor)
    assert find(f"{minor}{own.flags}") == find() == running()
    assert running().flags == own.flags


def test_the_identity_of_a_removed_interpreter() -> None:
    assert Interpreter("/gone/python", "3.12.1", "cpython", "PATH").identity == "/gone/python|3.12.1|gone"


def test_importing_is_cheap() -> None:
    code = "import sys, hwb.pythons; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, env={
        "PYTHONPATH": os.path.dirname(os.path.dirname(pythons.__file__)), "SYSTEMROOT": os.environ.get("SYSTEMROOT", "")
    })  # fmt: skip
    heavy = {"subprocess", "asyncio", "json", "hashlib", "shutil", "tempfile", "packaging", "pathlib", "hwb.store"}
    assert heavy.isdisjoint(done.stdout.split())
