"""Output while it comes, or as a block when a session is over; and not of those who have the terminal."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from hwb.events import make
from hwb.runner.stream import Streamer

if TYPE_CHECKING:
    from pathlib import Path


def started(path: Path, name: str = "a") -> Any:
    return make("session-started", name, log=str(path), attempt=1)


def finished(path: Path, name: str = "a") -> Any:
    return make("session-finished", name, status="success", seconds=0.1, log=str(path))


def test_what_comes_is_shown_as_it_comes(tmp_path: Path) -> None:
    out, log = io.StringIO(), tmp_path / "a.log"
    streamer = Streamer(out, blocks=False)
    streamer.handle(started(log))
    streamer.tick()
    assert out.getvalue() == ""
    log.write_text("one\n")
    streamer.tick()
    assert out.getvalue() == "one\n"
    with log.open("a") as more:
        more.write("two\n")
    streamer.handle(finished(log))
    streamer.tick()

    assert out.getvalue() == "one\ntwo\n"


def test_blocks_come_when_a_session_is_over(tmp_path: Path) -> None:
    out, log = io.StringIO(), tmp_path / "a.log"
    streamer = Streamer(out, blocks=True)
    streamer.handle(started(log))
    log.write_text("x" * 100_000)
    streamer.tick()
    assert out.getvalue() == ""
    streamer.handle(finished(log))

    assert out.getvalue() == "x" * 100_000
    streamer.close()


def test_whoever_has_the_terminal_is_not_shown_again(tmp_path: Path) -> None:
    out, silent = io.StringIO(), {"a"}
    for blocks in (False, True):
        streamer = Streamer(out, blocks=blocks, silent=silent)
        (tmp_path / "a.log").write_text("shown already")
        streamer.handle(started(tmp_path / "a.log"))
        streamer.handle(finished(tmp_path / "a.log"))
        streamer.close()

    assert out.getvalue() == ""


def test_the_end_of_a_run_shows_what_was_not_shown_yet(tmp_path: Path) -> None:
    out, log = io.StringIO(), tmp_path / "a.log"
    streamer = Streamer(out, blocks=False)
    streamer.handle(started(log))
    log.write_text("last words")
    streamer.close()
    streamer.close()

    assert out.getvalue() == "last words"


def test_other_events_and_logs_that_cannot_be_opened_are_nothing_to_show(tmp_path: Path) -> None:
    out, missing = io.StringIO(), tmp_path / "gone" / "a.log"
    streamer = Streamer(out, blocks=False)
    streamer.handle(make("message", "a", level="info", text="hello"))
    streamer.handle(started(missing))
    streamer.tick()
    streamer.handle(finished(missing))
    streamer.close()

    assert out.getvalue() == ""
