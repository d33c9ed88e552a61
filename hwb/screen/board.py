"""What runs right now, for how long, and what did it say last? A few lines that are redrawn in place."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TextIO

from hwb import events as ev
from hwb.screen import text
from hwb.screen.plain import closing_lines, lines_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hwb.screen.text import Options, Record, Style, Tally

__all__ = ["Board", "board_lines", "erase", "physical_rows"]

_INTERVAL = 0.1
"""Seconds between two drawings: ten a second is as fast as anybody reads."""
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_NAME_COLUMNS = 32


class Board:
    """Finished sessions scroll up as permanent lines; below them, redrawn by `tick`, what is still running."""

    __slots__ = (
        "_drawn", "_hidden", "_last", "_last_line", "_options", "_paused", "_pending", "_size", "_started", "_style",
        "_tally", "_writer",
    )  # fmt: skip

    def __init__(
        self,
        stream: TextIO,
        style: Style,
        options: Options,
        *,
        last_line: Callable[[str], str] | None = None,
        size: Callable[[], tuple[int, int]] | None = None,
    ) -> None:
        self._writer = text.Writer(stream)
        self._style = style
        self._options = options
        self._tally = text.Tally()
        self._last_line = last_line or (lambda session: _last_of(options.tail(session)))
        self._size = size or (lambda: text.terminal_size(stream))
        self._drawn: list[str] = []
        self._pending: list[str] = []
        self._last = self._started = 0.0
        self._paused = self._hidden = False

    def handle(self, event: ev.Event) -> None:
        """Remember; permanent lines wait for the next drawing, so that a thousand events are one write."""
        record = self._tally.take(event)
        if isinstance(event, ev.RunStarted):
            self._started = event.at
        elif not isinstance(event, ev.SessionStarted):
            self._pending += lines_for(event, record, self._style, self._options)
        if isinstance(event, ev.RunFinished):
            self._pending += closing_lines(self._tally, self._style, self._options)
            self._finish()

    def tick(self, now: float) -> None:
        """Draw if a tenth of a second has gone since the last time."""
        if not self._paused and self._tally.finished is None and now - self._last >= _INTERVAL:
            self._last = now
            self._draw(self._live_lines())

    def pause(self) -> None:
        """Take the board away: a command has the terminal."""
        self._finish()
        self._paused = True

    def resume(self) -> None:
        """The board comes back with the next tick."""
        self._paused = False
        self._last = 0.0

    def close(self) -> None:
        """Leave the terminal as it was found."""
        if self._tally.finished is None and self._tally.having("failed"):
            self._pending += closing_lines(self._tally, self._style, self._options)
        self._finish()

    def _live_lines(self) -> list[str]:
        columns, rows = self._size()
        return board_lines(self._tally, time.time(), self._started, self._last_line, self._style, columns, rows)

    def _draw(self, lines: list[str]) -> None:
        permanent, self._pending = self._pending, []
        if lines == self._drawn and not permanent:
            return
        show = _HIDE if lines and not self._hidden else ""
        self._hidden = self._hidden or bool(lines)
        above = "".join(line + "\n" for line in permanent)
        self._writer.write(show + erase(self._drawn, self._size()[0]) + above + "\n".join(lines))
        self._drawn = lines

    def _finish(self) -> None:
        """Only permanent lines stay; the cursor is back."""
        self._draw([])
        if self._hidden:
            self._hidden = False
            self._writer.write(_SHOW)


def _last_of(tail: str) -> str:
    lines = tail.split("\n")
    return next((line for line in reversed(lines) if line.strip()), "")


def erase(drawn: Sequence[str], columns: int) -> str:
    """Back to where the drawing began, and everything below cleared (a narrowed terminal has wrapped its lines)."""
    if not drawn:
        return ""
    up = sum(physical_rows(line, columns) for line in drawn) - 1
    return "\r" + (f"\x1b[{up}A" if up else "") + "\x1b[J"


def physical_rows(line: str, columns: int) -> int:
    """How many rows of the terminal a drawn line takes."""
    return max(1, -(-text.width(text.clean(line)) // max(1, columns)))


def board_lines(
    tally: Tally,
    now: float,
    started: float,
    last_line: Callable[[str], str],
    style: Style,
    columns: int,
    rows: int,
) -> list[str]:
    """The running sessions that fit, and one line of counts; no line is wider than the terminal."""
    running = tally.having("started")
    room = max(1, rows - 2)
    shown = running if len(running) <= room else running[: room - 1]
    column = min(max((text.width(record.name) for record in shown), default=0), _NAME_COLUMNS, max(8, columns // 2))
    lines = [_running_line(record, now, last_line(record.name), style, column, columns) for record in shown]
    if len(shown) < len(running):
        lines.append(text.clip(f"  and {len(running) - len(shown)} more", columns - 1, style))
    return [*lines, _status_line(tally, now - started if started else 0.0, style, columns)]


def _running_line(record: Record, now: float, last: str, style: Style, column: int, columns: int) -> str:
    """`▶ test   12.0 s  the last line of its output`"""
    name = text.clip(record.name, column, style)
    name += " " * (column - text.width(name))
    head = f"{name}  {text.duration(max(0.0, now - record.since)):>9}  "
    room = columns - 1 - 2 - text.width(head)
    if room < 0:
        return f"{style.mark('started')} {text.clip(head, max(0, columns - 3), style)}"
    return f"{style.mark('started')} {head}{style.paint(text.clip(text.clean(last), room, style), 'dim')}"


def _status_line(tally: Tally, elapsed: float, style: Style, columns: int) -> str:
    counts = tally.counts()
    done = counts["success"] + counts["skipped"] + counts["aborted"]
    parts = [
        f"{counts['started']} running",
        f"{counts['queued']} queued",
        f"{done} done",
        f"{counts['failed']} failed" if counts["failed"] else "",
        text.duration(elapsed),
    ]
    line = text.clip(style.dot.join(part for part in parts if part), columns - 1, style)
    return style.paint(line, "red" if counts["failed"] else "bold")
