"""Does `--resume` run what is left of a run, and nothing else, whatever ended that run?"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Done, Project

NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "CONTAINER_HOST": "unix:///nowhere/podman.sock"}
HWBFILE = """
import hwb, sys, time
from pathlib import Path

MARKS = Path({marks!r})

def work(session):
    with (MARKS / session.name).open("a") as file:
        file.write("x")
    if (MARKS / f"hang-{{session.name}}").exists():
        session.run(sys.executable, "-c", "import time; time.sleep(600)")
    if (MARKS / f"break-{{session.name}}").exists():
        session.error("not yet")

@hwb.recipe(venv_backend="none")
def one(session):
    work(session)
    Path("dist").mkdir(exist_ok=True)
    Path("dist", "one.txt").write_text("one")
    session.emit("dist/one.txt")

@hwb.recipe(venv_backend="none", requires=["one"])
def two(session):
    work(session)

@hwb.recipe(venv_backend="none", requires=["two"], process=True)
def three(session):
    work(session)
    assert [artifact.name for artifact in session.artifacts] == ["one.txt"]
"""


class Marks:
    """What happened, and what shall happen: files outside of the project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def will(self, *words: str) -> None:
        for path in self.folder.glob("*-*"):
            path.unlink()
        for word in words:
            (self.folder / word).touch()

    def ran(self) -> dict[str, int]:
        return {path.name: len(path.read_text()) for path in self.folder.iterdir() if "-" not in path.name}


@pytest.fixture
def marks(project: Project, tmp_path: Path) -> Marks:
    folder = tmp_path / "marks"
    project.write(HWBFILE.format(marks=str(folder)))
    return Marks(folder)


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def reasons(project: Project) -> dict[str, str]:
    return {row["session"]: row.get("reason", "") for row in project.report()["sessions"]}


def test_only_what_failed_and_what_needs_it(project: Project, marks: Marks) -> None:
    marks.will("break-two")
    assert project.hwb("run").code == 1
    run = project.runs()[-1].name
    marks.will()
    done = project.hwb("run", "--resume", "-j1", "-v", "-x", "--retries", "1")
    assert done.code == 0, done.both
    assert marks.ran() == {"one": 1, "two": 2, "three": 1}
    assert f"continues the run {run}: 1 of 3 sessions are done" in done.out
    assert f"✓ one    done by run {run}" in done.out
    assert reasons(project) == {"one": f"done by run {run}", "two": "", "three": ""}
    assert project.report()["resumes"] == run
    ends = {event["session"]: event for event in project.events() if event["event"] == "session-finished"}
    assert (ends["one"]["status"], ends["one"]["seconds"]) == ("success", 0.0)


def test_without_a_run_or_with_another_plan(project: Project, marks: Marks) -> None:
    done = project.hwb("run", "--resume")
    assert (done.code, "there is no run to resume in this project" in done.err) == (2, True)
    assert project.hwb("run").code == 0
    done = project.hwb("run", "--resume", "two", "--", "-x")
    assert done.code == 2
    assert "sessions: one (changed), two (changed), three (gone)" in done.err
    done = project.hwb("run", "--resume", "--dry-run")
    assert (done.code, "leave --resume out" in done.err) == (2, True)
    assert marks.ran() == {"one": 1, "two": 1, "three": 1}


def test_other_sources_and_files_that_are_gone(project: Project, marks: Marks) -> None:
    marks.will("break-three")
    assert project.hwb("run").code == 1
    (project.root / "source.txt").write_text("new")
    done = project.hwb("run", "--resume")
    assert "any more (source.txt): every session runs again" in done.both
    assert marks.ran() == {"one": 2, "two": 2, "three": 2}
    (project.root / "dist" / "one.txt").unlink()
    marks.will()
    done = project.hwb("run", "--resume")
    assert done.code == 0
    assert "one runs again: " in done.out
    assert marks.ran() == {"one": 3, "two": 3, "three": 3}


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("how", ["KILL", "INT"])
def test_a_run_that_was_killed(project: Project, marks: Marks, how: str) -> None:
    marks.will("hang-two")
    process = subprocess.Popen(
        project.command("run"), cwd=project.root, env=project.env,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for(lambda: "two" in marks.ran())
    second = project.hwb("run", "--resume")
    assert (second.code, "is still in use" in second.err) == (2, True)
    process.send_signal(getattr(signal, f"SIG{how}"))
    process.wait(60)
    with (project.runs()[-1] / "ledger.jsonl").open("ab") as file:
        file.write(b'{"record": "artifact", "path"')
    marks.will()
    done = project.hwb("run", "--resume")
    assert done.code == 0, done.both
    assert marks.ran() == {"one": 1, "two": 2, "three": 1}


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_killed_at_any_moment_the_next_one_finishes(project: Project, marks: Marks) -> None:
    """Whenever a resumed run is killed, what was done stays done: nothing runs more often than it was interrupted."""
    marks.will("break-two")
    assert project.hwb("run").code == 1
    marks.will()
    for delay in (0.05, 0.1, 0.15, 0.2, 0.25):
        process = subprocess.Popen(
            project.command("run", "--resume"), cwd=project.root, env=project.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(delay)
        process.kill()
        process.wait(60)
    done = project.hwb("run", "--resume")
    assert done.code == 0, done.both
    assert marks.ran()["one"] == 1
    again = project.hwb("run", "--resume")
    assert "3 of 3 sessions are done" in again.out


def test_who_was_notified_and_failed_is_not_forgotten(project: Project, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    project.write(
        "import hwb, os\n"
        "@hwb.recipe(venv_backend='none')\ndef a(session): session.notify('b')\n"
        "@hwb.recipe(venv_backend='none', default=False)\n"
        f"def b(session):\n    if not os.path.exists({str(mark)!r}): session.error('not yet')\n"
        "@hwb.recipe(venv_backend='none')\ndef c(session): pass\n"
    )
    assert project.hwb("run").code == 1
    assert project.hwb("run", "--resume").code == 1
    mark.touch()
    done = project.hwb("run", "--resume")
    assert done.code == 0, done.both
    assert "1 of 2 sessions are done" in done.out
    assert [row["session"] for row in project.report()["sessions"]] == ["a", "c", "b"]


@pytest.mark.git
def test_in_git_a_commit_is_a_change_and_an_output_is_none(project: Project, marks: Marks) -> None:
    (project.root / ".git").rmdir()
    who = ["-c", "user.name=n", "-c", "user.email=e@x", "-c", "init.defaultBranch=main"]

    def git(*words: str) -> None:
        subprocess.run(["git", *who, *words], cwd=project.root, check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "x")
    marks.will("break-two")
    project.hwb("run")
    assert "1 of 3 sessions are done" in project.hwb("run", "--resume").out
    git("commit", "--allow-empty", "-m", "y")
    assert "any more (the commit): every session runs again" in project.hwb("run", "--resume").both
    assert marks.ran() == {"one": 2, "two": 3}


# --- wheels ----------------------------------------------------------------------------------------------------------

PYPROJECT = """[build-system]
requires = ["setuptools>=70"]
build-backend = "setuptools.build_meta"

[project]
name = "native"
version = "1.0"
requires-python = ">=3.10"

[tool.setuptools]
py-modules = []

[[tool.setuptools.ext-modules]]
name = "native"
sources = ["native.c"]

[tool.hwb.matrix]
"""
MODULE = """#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "native", "", -1, NULL};
PyMODINIT_FUNC PyInit_native(void) { return PyModule_Create(&module); }
"""


def here() -> str:
    return f"cp3{sys.version_info.minor}"


def ledger(project: Project) -> list[dict[str, Any]]:
    text = (project.runs()[-1] / "ledger.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.skipif(sys.platform != "linux", reason="the identifiers are of Linux wheels")
@pytest.mark.uv
@pytest.mark.pypi
@pytest.mark.slow
class TestWheels:
    def test_a_wheel_that_was_made_is_not_made_again(self, project: Project, tmp_path: Path) -> None:
        """What needs the wheel fails: the wheel is taken over, repaired as it was."""
        if shutil.which("cc") is None:
            pytest.skip("there is no C compiler")
        mark, seen = tmp_path / "mark", tmp_path / "seen"
        (project.root / "native.c").write_text(MODULE)
        (project.root / "pyproject.toml").write_text(
            PYPROJECT + f'build = "{here()}-manylinux_x86_64"\nbefore-build = "echo built >> {seen}"\n'
        )
        project.write(
            "import hwb, os\n"
            "@hwb.recipe(venv_backend='none', requires=['matrix'])\n"
            "def upload(session):\n"
            f"    if not os.path.exists({str(mark)!r}): session.error('not yet')\n"
            "    session.log('uploads %s', session.artifacts.wheel.name)\n"
        )
        failed = project.hwb("run", "upload", **NO_ENGINE)
        assert failed.code == 1, failed.both
        first = self.wheels(project)
        mark.touch()
        done = project.hwb("run", "--resume", "upload", **NO_ENGINE)
        assert done.code == 0, done.both
        assert "2 of 3 sessions are done" in done.out
        assert f"uploads {first[0]}" in done.out
        assert (self.wheels(project), seen.read_text()) == (first, "built\n")
        assert {"sdist", f"matrix({here()}-manylinux_x86_64)"} <= {
            row["session"] for row in ledger(project) if row["record"] == "done"
        }

    def wheels(self, project: Project) -> list[str]:
        return sorted(path.name for path in (project.root / "dist").glob("*.whl"))

    def test_the_matrix_makes_only_the_wheels_that_are_left(self, project: Project, tmp_path: Path) -> None:
        """A recipe of the user's with `targets` fails for one of two identifiers."""
        mark, seen = tmp_path / "mark", tmp_path / "seen"
        (project.root / "native.c").write_text(MODULE)
        (project.root / "pyproject.toml").write_text(PYPROJECT + f'build = "{here()}-*"\n')
        project.write(
            "import hwb, os\n"
            "@hwb.recipe(targets=True, venv_backend='none')\n"
            "def matrix(session):\n"
            f"    with open({str(seen)!r}, 'a') as file: file.write(session.name + '\\n')\n"
            f"    if 'musl' in session.name and not os.path.exists({str(mark)!r}): session.error('not yet')\n"
        )
        made = self.made(project)
        assert len(made) > 1, made
        failed = project.hwb("matrix")
        assert failed.code == 1, failed.both
        mark.touch()
        done = project.hwb("matrix", "--resume")
        assert done.code == 0, done.both
        again = [name for name in made if "musl" in name]
        assert sorted(seen.read_text().split()) == sorted([*made, *again])
        done = project.hwb("matrix", "--list", "--resume")
        assert (done.code, "leave --resume out" in done.err) == (2, True)

    def made(self, project: Project) -> list[str]:
        planned: Done = project.hwb("matrix", "--list", "--json")
        return [
            f"matrix({one['identifier']})"
            for one in json.loads(planned.out)["targets"]
            if one["strategy"] != "elsewhere"
        ]
