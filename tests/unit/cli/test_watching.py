"""Does a person see what they asked for, hear of what takes long, and can they call it off?"""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

from hwb.cli import watching
from hwb.cli.watching import Watching, called_off
from hwb.context import CancelToken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Screen(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture
def log(tmp_path: Path) -> Iterator[IO[bytes]]:
    with open(tmp_path / "log", "ab") as handle:
        yield handle


@pytest.fixture
def make(log: IO[bytes]) -> Callable[..., tuple[Watching, Screen]]:
    def build(*, verbose: int = 0, quiet: bool = False, terminal: bool = False) -> tuple[Watching, Screen]:
        screen = Screen(terminal)
        return Watching(log, screen, verbose=verbose, quiet=quiet), screen

    return build


def logged(log: IO[bytes]) -> str:
    log.flush()
    return Path(log.name).read_text()


def wait_for(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def told(mine: Watching) -> None:
    mine.tell("phase", name="build", state="started", detail="sdist")
    mine.write("the backend speaks\n")
    mine.tell("phase", name="build", state="done", detail="sdist", seconds=1.234)
    mine.tell("message", level="info", text="an aside")
    mine.tell("message", level="warning", text="take care")
    mine.tell("environment", reused=True, python="3.12.1", backend="uv", seconds=0.0, path="/e")
    mine.tell("environment", reused=False, python="3.12.1", backend="uv", seconds=0.25, path="/e")
    mine.tell("command-started", argv=["a", "b"], cwd="/")
    mine.tell("unknown", anything=1)


def test_the_log_is_for_those_who_work(make: Any, log: IO[bytes]) -> None:
    mine, _ = make()
    told(mine)
    assert logged(log) == "the backend speaks\n", "events are no output"
    assert mine.fileno() == log.fileno()


def test_headers_of_phases_are_for_the_log_only(make: Any, log: IO[bytes]) -> None:
    mine, screen = make(verbose=1)
    mine.write("== build sdist\nthe backend speaks\n== build sdist: done in 1.23 s\n")
    mine.stop()
    assert screen.getvalue() == "the backend speaks\n"


def test_usually_messages_only(make: Any) -> None:
    mine, screen = make()
    mine.start()
    told(mine)
    mine.stop()
    assert screen.getvalue() == "an aside\nwarning: take care\n"


def test_quiet_is_for_warnings(make: Any) -> None:
    mine, screen = make(quiet=True, verbose=1)
    mine.start()
    mine.tell("message", level="info", text="an aside")
    mine.tell("message", level="warning", text="take care")
    mine.write("backend\n")
    mine.stop()
    assert screen.getvalue() == "warning: take care\n"


def test_verbose_shows_the_backend_in_its_place(make: Any) -> None:
    mine, screen = make(verbose=1)
    mine.start()
    told(mine)
    mine.write("the end\n")
    mine.stop()
    assert screen.getvalue().splitlines() == [
        "the backend speaks",
        "build sdist: done in 1.23 s",
        "an aside",
        "warning: take care",
        "environment: Python 3.12.1, uv, reused (/e)",
        "environment: Python 3.12.1, uv, made in 0.2 s (/e)",
        "the end",
    ]


def test_very_verbose_shows_commands(make: Any) -> None:
    mine, screen = make(verbose=2)
    told(mine)
    assert "$ a b\n" in screen.getvalue()


def test_output_is_shown_while_it_comes(make: Any) -> None:
    mine, screen = make(verbose=1)
    mine.start()
    mine.write("first \u00e4\n")
    wait_for(lambda: "first \u00e4" in screen.getvalue())
    mine.stop()
    assert screen.getvalue() == "first \u00e4\n"


def test_a_long_phase_is_named_on_one_line_of_a_terminal(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_PATIENCE", 0.0)
    mine, screen = make(terminal=True)
    mine.start()
    mine.tell("phase", name="build", state="started", detail="wheel")
    wait_for(lambda: "build wheel: " in screen.getvalue())
    mine.tell("message", level="warning", text="take care")
    mine.stop()
    assert "\x1b[Kwarning: take care\n" in screen.getvalue()
    assert screen.getvalue().endswith(("\x1b[K", "take care\n")), "the line is gone at the end"


def test_elsewhere_it_is_named_rarely(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_PATIENCE_ELSEWHERE", 0.0)
    mine, screen = make()
    mine.tell("phase", name="build", state="started", detail="")
    mine._mention()
    assert screen.getvalue().startswith("build: 0 s so far\n")
    monkeypatch.setattr(watching, "_PATIENCE_ELSEWHERE", 1000.0)
    mine._mention()
    assert screen.getvalue().count("so far") == 1


def test_before_the_first_phase_there_is_nothing_to_name(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_PATIENCE_ELSEWHERE", -1.0)
    mine, screen = make()
    mine._mention()
    assert screen.getvalue() == ""


# --- signals ---------------------------------------------------------------------------------------------------------

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@posix
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_throws_the_switch(name: str, code: int) -> None:
    token, number = CancelToken(), getattr(signal, name)
    before = signal.getsignal(number)
    with called_off(token) as codes:
        os.kill(os.getpid(), number)
        wait_for(lambda: codes)
        assert (codes, token.reason) == ([code], name)
        os.kill(os.getpid(), signal.SIGTERM)
        wait_for(lambda: len(codes) == 2)
        assert token.reason == name, "the first reason stays"
    assert signal.getsignal(number) == before
    token.close()


@posix
def test_who_ignores_hup_goes_on() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        token = CancelToken()
        with called_off(token) as codes:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.05)
        assert (codes, token.cancelled) == ([], False)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@posix
def test_handlers_are_given_back_after_an_error() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(ValueError, match="x"), called_off(CancelToken()):
        raise ValueError("x")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize(("how", "seen"), [({}, False), ({"verbose": 1}, True), ({"verbose": 1, "quiet": True}, False)])
def test_what_is_for_the_curious_is_said_to_them(
    make: Callable[..., tuple[Watching, Screen]], how: dict[str, Any], seen: bool
) -> None:
    mine, screen = make(**how)
    mine.tell("message", level="debug", text="because")
    assert ("debug: because" in screen.getvalue()) is seen
