"""Does `hwb python list` show what is there, and which one is taken?"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from hwb import cli, pysurvey, pythons
from hwb.errors import InterpreterNotFound
from hwb.pysurvey import Refused
from hwb.pythons import Interpreter

if TYPE_CHECKING:
    from pathlib import Path

FOUND = [
    Interpreter("/a/python3.13", "3.13.0", "cpython", "pyenv"),
    Interpreter("/b/python3.12", "3.12.1", "cpython", "running"),
    Interpreter("/c/python3.14t", "3.14.0", "cpython", "uv", "t"),
    Interpreter("/d/python3.11d", "3.11.2", "cpython", "system", "d"),
    Interpreter("/e/pypy3.9", "3.9.16", "pypy", "PATH"),
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    refused = [Refused("/f/python2.7", "PATH", "is Python 2")]
    monkeypatch.setattr(pysurvey, "survey", lambda: (FOUND, refused))
    monkeypatch.setattr(pythons, "find", lambda spec=None, *, requires_python="": FOUND[1])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_line_for_each_and_a_star_for_the_one_that_is_taken(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoke(["python", "list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "  3.13.0                pyenv     /a/python3.13",
        "* 3.12.1                running   /b/python3.12",
        "  3.14.0 free-threaded  uv        /c/python3.14t",
        "  3.11.2 debug          system    /d/python3.11d",
        "  PyPy 3.9.16           PATH      /e/pypy3.9",
        "  -                     PATH      /f/python2.7  (is Python 2)",
    ]


def test_the_same_as_data(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoke(["python", "list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "hwb.pythons/1"
    assert [row["default"] for row in told["pythons"]] == [False, True, False, False, False]
    assert told["pythons"][2] == {
        "version": "3.14.0",
        "implementation": "cpython",
        "free_threaded": True,
        "debug": False,
        "source": "uv",
        "path": "/c/python3.14t",
        "default": False,
    }
    assert told["unusable"] == [{"path": "/f/python2.7", "source": "PATH", "why": "is Python 2"}]
    assert "no_default" not in told


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_why_none_is_taken(here: Path, capsys: pytest.CaptureFixture[str], options: list[str]) -> None:
    (here / ".python-version").write_text("nonsense\n")
    assert cli.invoke(["python", "list", *options]) == 0
    told = capsys.readouterr()
    assert f"{here / '.python-version'}:1: 'nonsense' is no Python version" in (told.out if options else told.err)
    assert "*" not in told.out


def test_the_settings_of_the_named_directory_count(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    def find(spec: str | None = None, *, requires_python: str = "") -> Interpreter:
        asked.append(spec)
        raise InterpreterNotFound("there is none")

    monkeypatch.setattr(pythons, "find", find)
    (here / "project" / "inner").mkdir(parents=True)
    (here / "project" / "pyproject.toml").write_text('[tool.hwb]\npython = "3.14t"\ndownload-python = true\n')
    assert cli.invoke(["--directory", str(here / "project" / "inner"), "python", "list"]) == 0
    assert asked == ["3.14t"]
    assert "there is none" in capsys.readouterr().err
    assert cli.invoke(["--directory", str(here / "missing"), "python", "list"]) == 2


def test_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoke(["python", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["pythons"]
    here = os.path.realpath(pythons.running().path)
    assert here in [os.path.realpath(row["path"]) for row in rows]
    assert cli.invoke(["python"]) == 2
