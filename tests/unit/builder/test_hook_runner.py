"""Does a build hook see only what it may, and is the right end of its output quoted?"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from hwb import context
from hwb.builder import hook_runner
from hwb.builder.hook_runner import HookRunner, hook_environment
from hwb.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class FileSink:
    """A session log as the runner opens it (or for writing only)."""

    def __init__(self, path: Path, flags: int = os.O_RDWR) -> None:
        self._fd = os.open(path, flags | os.O_CREAT | os.O_APPEND, 0o644)

    def fileno(self) -> int:
        return self._fd

    def write(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def close(self) -> None:
        os.close(self._fd)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


def environment(place: Path, **outer: str) -> dict[str, str]:
    with context.use(context.Context(outer_env=outer)):
        return hook_environment("/env/bin", str(place), 1_700_000_000)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows needs more variables")
def test_environment_is_an_allowlist(place: Path) -> None:
    kept = {
        "LANG": "C.UTF-8",
        "LC_ALL": "C",
        "CC": "gcc",
        "CFLAGS": "-O1",
        "CMAKE_ARGS": "-G",
        "CARGO_HOME": "/cargo",
        "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_X": "1",
        "ARCHFLAGS": "-arch arm64",
    }
    lost = {
        "PYTHONPATH": "/x",
        "PYTHONSTARTUP": "/x",
        "VIRTUAL_ENV": "/x",
        "TWINE_PASSWORD": "x",
        "UV_PUBLISH_TOKEN": "x",
        "PIP_INDEX_URL": "x",
        "HTTPS_PROXY": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "SOURCE_DATE_EPOCH": "1",
        "XCC": "x",
        "GIT_DIR": "/x",
    }
    assert environment(place, PATH="/usr/bin", HOME="/nowhere", **kept, **lost) == {
        **kept,
        "PATH": "/env/bin:/usr/bin",
        "HOME": str(place / "home"),
        "TMPDIR": str(place / "tmp"),
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": "1700000000",
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "GIT_CEILING_DIRECTORIES": str(place),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
    assert (place / "home").is_dir()
    assert (place / "tmp").is_dir()


def test_byte_code_of_an_in_tree_backend_is_not_written(place: Path) -> None:
    assert hook_environment("/env/bin", str(place), 0, in_tree=True)["PYTHONDONTWRITEBYTECODE"] == "1"


@pytest.mark.skipif(sys.platform == "win32", reason="no umask")
def test_the_users_umask_does_not_decide(tmp_path: Path) -> None:
    previous = os.umask(0o077)
    try:
        run(HookRunner(dict(os.environ)), "open('generated', 'w')", tmp_path)
    finally:
        os.umask(previous)
    assert (tmp_path / "generated").stat().st_mode & 0o777 == 0o644


def test_rust_finds_its_homes(place: Path, tmp_path: Path) -> None:
    (tmp_path / ".cargo").mkdir()
    home = "USERPROFILE" if sys.platform == "win32" else "HOME"
    found = environment(place, **{home: str(tmp_path)})
    assert found["CARGO_HOME"] == str(tmp_path / ".cargo")
    assert "RUSTUP_HOME" not in found
    assert environment(place, **{home: str(tmp_path), "CARGO_HOME": "/own"})["CARGO_HOME"] == "/own"
    assert "CARGO_HOME" not in environment(place)


def test_windows_needs_more(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook_runner.sys, "platform", "win32")
    found = environment(place, SystemRoot="C:\\Windows", ProgramFiles="C:\\Program Files", USERNAME="me")
    assert found["SystemRoot"] == "C:\\Windows"
    assert found["ProgramFiles"] == "C:\\Program Files"
    assert found["USERPROFILE"] == found["APPDATA"] == str(place / "home")
    assert found["TEMP"] == str(place / "tmp")
    assert "USERNAME" not in found


@pytest.fixture(params=["readable", "write only", "none"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A session whose log can be read back, one whose log cannot, and work that nobody listens to."""
    path = tmp_path / "session.log"
    path.write_text("from before\n")
    if request.param == "none":
        with context.use(context.Context()):
            yield path
        return
    sink = FileSink(path, os.O_WRONLY if request.param == "write only" else os.O_RDWR)
    with context.use(context.Context(log=sink)):
        yield path
    sink.close()


def run(runner: HookRunner, code: str, exchange: Path) -> None:
    runner([sys.executable, "-c", code, "a_hook", str(exchange)], cwd=str(exchange), extra_environ={"EXTRA": "1"})


def test_the_end_of_the_output(log: Path, tmp_path: Path) -> None:
    runner = HookRunner(dict(os.environ))
    run(runner, "print('an earlier hook')", tmp_path)
    code = "import os; [print('line', n) for n in range(50)]; print(os.environ['EXTRA']); raise SystemExit(3)"
    with pytest.raises(CommandFailed, match="ended with exit code 3") as caught:
        run(runner, code, tmp_path)
    assert caught.value.return_code == 3
    assert runner.tail().splitlines() == [*(f"line {n}" for n in range(11, 50)), "1"]
    if context.current().log.__class__ is FileSink:
        assert log.read_text().splitlines()[:2] == ["from before", "an earlier hook"]
        assert log.read_text().endswith("line 49\n1\n")


def test_a_huge_output_is_not_held(log: Path, tmp_path: Path) -> None:
    runner = HookRunner(dict(os.environ))
    run(runner, "print('x' * 200_000); print('end')", tmp_path)
    assert len(runner.tail()) <= 64 << 10
    assert runner.tail().endswith("xxx\nend")


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_a_signal_has_its_number(log: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="ended with signal 9"):
        run(HookRunner(dict(os.environ)), "import os; os.kill(os.getpid(), 9)", tmp_path)


def test_secrets_are_masked_in_the_quote(tmp_path: Path) -> None:
    with context.use(context.Context(secrets=(b"hunter22",))):
        runner = HookRunner(dict(os.environ))
        run(runner, "print('password hunter22')", tmp_path)
        assert runner.tail() == "password ***"


def test_warnings_go_to_the_log(tmp_path: Path) -> None:
    answer = tmp_path / "output.json"
    sink = FileSink(tmp_path / "session.log")
    told = {"return_val": 1, "warnings": [{"message": "old", "filename": "f", "lineno": 1}]}
    with context.use(context.Context(log=sink)):
        for text in (json.dumps(told), json.dumps([1]), "no json"):
            answer.write_text(text)
            run(HookRunner(dict(os.environ)), "", tmp_path)
            if "old" in text:
                assert json.loads(answer.read_text()) == {"return_val": 1}
    sink.close()
    assert (tmp_path / "session.log").read_text().splitlines()[-1] == "warning: old"
