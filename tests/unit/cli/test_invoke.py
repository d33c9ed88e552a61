"""From words to exit codes, in this process: errors, streams that are gone, and the hand-over of PEP 723."""

from __future__ import annotations

import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click
import pytest

from hwb import cli
from hwb.cli import group, invoke
from hwb.errors import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = "import hwb\n@hwb.recipe(venv_backend='none')\ndef r(session): ...\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "hwbfile.py").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "Usage: hwb"),
        (["--help"], 0, "List, show or eject recipes."),
        (["--version"], 0, "hwb "),
        (["runn"], 2, "did you mean run?"),
        (["biuld"], 2, "did you mean build?"),
        (["publich"], 2, "to run the recipe 'publich': hwb run publich"),
        (["--nothing"], 2, "--nothing"),
        (["run", "r"], 0, "1 succeeded"),
        (["run", "r", "-n"], 0, "1. r"),
        (["run", "nobody"], 2, "no such session: nobody"),
        (["run", "-t", "none"], 4, "hwb sessions --list"),
        (["sessions", "--graph", "dot"], 0, "digraph"),
        (["recipes", "show", "check"], 0, "def check"),
        (["recipes", "show", "chekc"], 2, "did you mean check?"),
    ],
)
def test_commands(root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str) -> None:
    assert invoke(arguments) == code
    out, err = capsys.readouterr()
    assert said in out + err


def test_errors_are_json_too_when_json_was_asked_for(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["run", "nobody", "--json"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["exit_code"] == 2
    assert err.startswith("error: ")
    assert invoke(["run", "nobody", "--", "--json"]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (BrokenPipeError(), 0),
        (click.BadParameter("x"), 2),
        (RefusedError("x"), 5),
    ],
)
def test_what_a_command_raises(monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int) -> None:
    def raising(*_args: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(cli.main, "main", raising)

    assert invoke([]) == code


def test_a_command_without_a_number_is_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.main, "main", lambda *_a, **_o: None)
    assert invoke([]) == 0


@pytest.mark.parametrize("stream", ["none", "closed", "gone"])
def test_a_standard_output_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stream: str) -> None:
    monkeypatch.setattr(cli.main, "main", lambda *_a, **_o: 7)
    out: Any = None
    if stream != "none":
        out = (tmp_path / "out").open("w+")
    if stream == "closed":
        out.close()
    elif stream == "gone":
        number = out.fileno()
        monkeypatch.setattr(sys, "stdout", Gone(number))
        assert invoke([]) == 7
        assert os.path.samestat(os.fstat(number), os.stat(os.devnull))
        out.close()
        return
    monkeypatch.setattr(sys, "stdout", out)
    assert invoke([]) == 7


class Gone(io.StringIO):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def fileno(self) -> int:
        return self.number

    def flush(self) -> None:
        raise BrokenPipeError


def test_the_table_of_commands(root: Path) -> None:
    context = click.Context(cli.main)

    names = ["run", "build", "check", "inspect", "matrix", "sessions", "recipes"]
    names += ["python", "lock", "cache", "demo"]
    assert cli.main.list_commands(context) == names
    assert cli.main.get_command(context, "nothing") is None
    for name in cli.main.list_commands(context):
        assert cli.main.get_command(context, name) is not None


# --- PEP 723 -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def handed(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have been executed instead of this process."""
    calls: list[Any] = []

    class Replaced(BaseException):
        pass

    def execv(program: str, command: list[str]) -> None:
        calls.append((program, command))
        raise Replaced

    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setattr("hwb.script.provide", lambda _block, _path: ["/its/python", "-m", "hwb"])
    monkeypatch.setattr(sys, "argv", ["hwb", "sessions", "--list"])
    calls.append(Replaced)
    return calls


@pytest.mark.skipif(sys.platform == "win32", reason="Windows starts a process")
def test_a_hwbfile_with_dependencies_goes_on_elsewhere(
    root: Path, handed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "hwbfile.py").write_text("# /// script\n# dependencies = ['a']\n# ///\n" + RECIPE)
    with pytest.raises(handed[0]):
        invoke(["sessions", "--list"])
    assert handed[1:] == [("/its/python", ["/its/python", "-m", "hwb", "sessions", "--list"])]
    monkeypatch.setenv("HWB_HWBFILE_ENVIRONMENT", "a")
    assert invoke(["sessions", "--list"]) == 0, "it is there already"


def test_one_without_does_not(root: Path, handed: list[Any]) -> None:
    (root / "hwbfile.py").write_text("# /// script\n# dependencies = []\n# ///\n" + RECIPE)
    assert invoke(["sessions"]) == 0
    assert len(handed) == 1


def test_a_file_that_cannot_be_opened_is_explained_where_it_is_loaded(root: Path) -> None:
    group._hand_over(str(root / "missing.py"))


# --- who is interactive --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stdin", "stdout", "ci", "interactive"),
    [(True, True, "", True), (True, True, "1", False), (False, True, "", False), (True, False, "", False)],
)
def test_a_person_at_a_terminal(
    monkeypatch: pytest.MonkeyPatch, stdin: bool, stdout: bool, ci: str, interactive: bool
) -> None:
    from hwb.cli.run import _interactive

    monkeypatch.setattr(sys, "stdin", Maybe(stdin))
    monkeypatch.setattr(sys, "stdout", Maybe(stdout))
    monkeypatch.setenv("CI", ci)

    assert _interactive() is interactive


class Maybe(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize("gone", ["none", "closed"])
def test_without_standard_input_nobody_is_there(monkeypatch: pytest.MonkeyPatch, gone: str) -> None:
    from hwb.cli.run import _interactive

    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdin", None if gone == "none" else closed)

    assert _interactive() is False


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("a=x 'y z'", {"a": ["x", "y z"]}),
        ("a(n=1)=x=1", {"a(n=1)": ["x=1"]}),
        ("a=", {"a": []}),
        ("a", None),
        ("=x", None),
        ("a='x", None),
    ],
)
def test_arguments_for_one_session(given: str, found: dict[str, list[str]] | None) -> None:
    from hwb.cli.run import _arguments

    if found is None:
        with pytest.raises(click.UsageError, match="--args"):
            _arguments((given,))
    else:
        assert _arguments((given,)) == found
