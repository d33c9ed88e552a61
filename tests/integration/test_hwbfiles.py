"""A hwbfile as documented, and ten that are wrong: one clear message with file and line, and the right exit code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

HWBFILES = Path(__file__).parent.parent / "hwbfiles"
PROJECTS = Path(__file__).parent.parent / "projects"

MISTAKES = {
    # name: (exit code, line, what is said)
    "syntax_error": (2, 5, "syntax error"),
    "import_error": (2, 2, "No module named 'a_module_that_nobody_has'"),
    "wrong_signature": (2, 4, "nothing gives database"),
    "duplicate_name": (2, 9, "recipe 'twice' is declared twice; the first one is at"),
    "unknown_requires": (2, 4, "requires 'biuld', which does not exist"),
    "cycle": (2, 4, "sessions require each other in a circle: egg ("),
    "bad_python": (2, 4, "three.twelve"),
    "unknown_option": (2, 4, "did you mean python=?"),
    "raises": (1, 7, "the recipe raised ValueError: not 41"),
    "exits": (1, 8, "the recipe called sys.exit('enough')"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_clear_message(project: Any, name: str) -> None:
    code, line, said = MISTAKES[name]
    shutil.copy(HWBFILES / f"{name}.py", project.root / "hwbfile.py")
    done = project.hwb("run", "--json", "-q")
    place = f"{project.root / 'hwbfile.py'}:{line}"

    assert done.code == code, done.both
    assert done.err.count("Traceback") == 0 or name in ("raises", "exits")
    assert said in done.err
    assert f"at: {place}" in done.err
    for row in done.out.splitlines():
        json.loads(row)
    if code == 2:
        assert len([line for line in done.err.splitlines() if line.startswith("error: ")]) == 1
        assert json.loads(done.out)["error"]["where"] == place


def test_the_mistakes_are_all_tested() -> None:
    assert {path.stem for path in HWBFILES.glob("*.py")} == {*MISTAKES, "everything"}


@pytest.mark.pypi
@pytest.mark.git
def test_what_the_documentation_promises_works(project: Any) -> None:
    shutil.copytree(PROJECTS / "pure-hatchling", project.root, dirs_exist_ok=True)
    shutil.copy(HWBFILES / "everything.py", project.root / "hwbfile.py")
    done = project.hwb("run", "-v")
    report = project.report()

    assert done.code == 0, done.both
    assert [s["session"] for s in report["sessions"]] == ["build", "measure(size=1)", "measure(big)", "announce"]
    assert {s["status"] for s in report["sessions"]} == {"success"}
    assert "before the build" in (project.runs()[-1] / "logs" / "build.log").read_text()
    assert "measured " in (project.runs()[-1] / "logs" / "announce.log").read_text()
    listed = project.hwb("sessions", "--list").out
    assert "measure(big)" in listed
    assert project.hwb("run", "-t", "slow", "--dry-run").out.count("measure") == 1
