"""How are events put into words that fit a terminal? Pure functions, and what all screens remember."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from hwb import events as ev

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "MARKS",
    "Options",
    "Record",
    "Style",
    "Tally",
    "Writer",
    "clean",
    "clip",
    "command_line",
    "duration",
    "event_line",
    "failure_block",
    "finished_line",
    "is_terminal",
    "make_style",
    "message_line",
    "started_line",
    "summary",
    "terminal_size",
    "width",
]

TAIL_LINES = 40
"""How much of a failed session's log is shown at the end."""
_TABLE_ROWS = 60
"""A longer summary table shows only what did not succeed."""
_COLORS = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "dim": "2", "bold": "1"}
MARKS = {
    "started": ("▶", ">", "cyan"),
    "success": ("✓", "+", "green"),
    "failed": ("✗", "x", "red"),
    "aborted": ("⊘", "!", "yellow"),
    "skipped": ("-", "-", "dim"),
}
"""For each status: the sign, the sign where only ASCII can be shown, and the colour."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Style:
    """What the stream can show."""

    color: bool = False
    unicode: bool = True

    def paint(self, text: str, color: str) -> str:
        """The text in a colour, if there are colours."""
        return f"\x1b[{_COLORS[color]}m{text}\x1b[0m" if self.color else text

    def mark(self, status: str) -> str:
        """The coloured sign of a status."""
        rich, ascii_sign, color = MARKS[status]
        return self.paint(rich if self.unicode else ascii_sign, color)

    @property
    def dot(self) -> str:
        """What stands between the parts of a line."""
        return " · " if self.unicode else ", "


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Options:
    """How much is shown, and where the end of a session's log comes from."""

    verbose: int = 0
    quiet: bool = False
    stream_output: bool = False
    tail: Callable[[str], str] = lambda session: ""


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at it (False for what is closed or no file at all)."""
    try:
        return stream.isatty()
    except (ValueError, AttributeError):
        return False


def make_style(stream: TextIO, color: bool | None, environ: Mapping[str, str]) -> Style:
    """NO_COLOR and FORCE_COLOR decide before TERM=dumb and the stream do; signs need a Unicode encoding."""
    if color is None:
        if environ.get("NO_COLOR"):
            color = False
        elif environ.get("FORCE_COLOR", "0") not in ("", "0"):
            color = True
        else:
            color = is_terminal(stream) and environ.get("TERM") != "dumb"
    if color:
        _enable_ansi()
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
    return Style(color, encoding.startswith("utf"))


if sys.platform == "win32":

    def _enable_ansi() -> None:
        """Tell the console to understand escape sequences (a no-op in terminals that do anyway)."""
        import ctypes

        kernel = ctypes.windll.kernel32
        for number in (-11, -12):  # standard output, standard error
            handle, mode = kernel.GetStdHandle(number), ctypes.c_ulong()
            if kernel.GetConsoleMode(handle, ctypes.byref(mode)):
                kernel.SetConsoleMode(handle, mode.value | 4)  # ENABLE_VIRTUAL_TERMINAL_PROCESSING

else:

    def _enable_ansi() -> None:
        """Terminals understand escape sequences."""


class Writer:
    """Writes to a stream that may be unable to show a character, or whose reader may have gone."""

    __slots__ = ("_gone", "_stream")

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._gone = False

    def write(self, text: str) -> None:
        """All of it, flushed; what cannot be shown as `?`; nothing at all when nobody reads any more."""
        if self._gone or not text:
            return
        try:
            self._stream.write(self._shown(text))
            self._stream.flush()
        except (OSError, ValueError):  # `hwb run | head`: the run goes on, its report is in a file
            self._gone = True

    def lines(self, lines: Iterable[str]) -> None:
        """Each with its newline, in one piece."""
        self.write("".join(line + "\n" for line in lines))

    def _shown(self, text: str) -> str:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        return text if text.isascii() else text.encode(encoding, "replace").decode(encoding)


_ESCAPE = re.compile(
    r"\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: titles, links
    r"|[PX^_][^\x1b]*(?:\x1b\\)?"  # DCS and the like
    r"|\[[0-?]*[ -/]*[@-~]|[ -/]*[0-~]|)"  # CSI: colours, cursor; two-letter sequences; a lone ESC
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(line: str) -> str:
    """A log's line without colours and what moves the cursor or rings the bell; of overwritten text the last."""
    line = line.rstrip("\r\n")
    if "\r" in line:
        line = line.rpartition("\r")[2]
    return _CONTROL.sub("", _ESCAPE.sub("", line)).expandtabs(4) if not line.isprintable() else line


def width(text: str) -> int:
    """Columns on a terminal: wide East Asian characters and emoji take two, combining ones none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    columns = 0
    for character in text:
        if not combining(character) and character not in "\u200b\u200d\ufe0f":
            columns += 2 if east_asian_width(character) in "WF" else 1
    return columns


def clip(text: str, columns: int, style: Style) -> str:
    """The beginning that fits, with a sign when something was cut off; the text must have no escape sequences."""
    if width(text) <= columns:
        return text
    sign = "…" if style.unicode else "~"
    kept, room = [], columns - 1
    for character in text:
        room -= width(character)
        if room < 0:
            break
        kept.append(character)
    return ("".join(kept) + sign) if columns > 0 else ""


def duration(seconds: float) -> str:
    """`0.3 s`, `42.0 s`, `3:07 min`, `1:02:03 h`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d} h"


def started_line(event: ev.SessionStarted, style: Style) -> str:
    """`▶ build`"""
    again = f"  attempt {event.attempt}" if event.attempt > 1 else ""
    return f"{style.mark('started')} {style.paint(event.session or '', 'bold')}{again}"


def finished_line(record: Record, style: Style, columns: int = 0) -> str:
    """`✓ build  1.2 s`, with the reason when there is one; the name is padded to `columns`."""
    name = record.name + " " * max(0, columns - width(record.name))
    parts = [f"{style.mark(record.status)} {name}", duration(record.seconds) if record.seconds else "", record.note]
    return "  ".join(part for part in parts if part).rstrip()


def message_line(event: ev.Message, style: Style) -> str:
    """`  build: text`, yellow for a warning and red for an error."""
    color = {"warning": "yellow", "error": "red", "debug": "dim"}.get(event.level)
    label = f"{event.level}: " if event.level in ("warning", "error") else ""
    lines = [clean(line) for line in event.text.splitlines()] or [""]
    head = f"{event.session}: " if event.session else ""
    text = f"\n{' ' * (len(head) + 2)}".join(lines)
    return f"  {head}{style.paint(label + text, color) if color else label + text}"


def command_line(event: ev.CommandStarted, style: Style) -> str:
    """`  build $ python -m x`"""
    from hwb.proc import shown

    return "  " + style.paint(f"{event.session or ''} $ {clean(shown(event.argv))}".strip(), "dim")


_EVERY_EVENT = ("schema", "event", "time", "session")


def event_line(event: ev.Event, style: Style) -> str:
    """Everything an event holds, for -vv."""
    shown = {name: value for name, value in ev.to_json(event).items() if value not in ("", None)}
    words = " ".join(f"{name}={value!r}" for name, value in shown.items() if name not in _EVERY_EVENT)
    return "  " + style.paint(f"{event.session or 'run'} [{event.kind}] {words}", "dim")


def failure_block(record: Record, tail: str, style: Style) -> list[str]:
    """The end of a failed session's log under a heading, then where to read on and what to do."""
    rule = "─" if style.unicode else "-"
    heading = f"{rule * 3} {record.name}: {record.note or record.status} {rule * 3}"
    lines = ["", style.paint(heading, "red")]
    lines += [clean(line) for line in tail.splitlines()[-TAIL_LINES:]]
    facts = {"log": record.log, "environment kept": record.environment, "at": record.where, "try": record.remedy}
    return lines + [f"{style.paint(label + ':', 'bold')} {value}" for label, value in facts.items() if value]


def summary(tally: Tally, style: Style, *, short: bool = False) -> list[str]:
    """A line per session (only what did not succeed when there are many), the counts, and the report's path."""
    records = [record for record in tally.records.values() if record.status in MARKS and record.status != "started"]
    if short or len(records) < 2:
        records = []
    elif len(records) > _TABLE_ROWS:
        records = [record for record in records if record.status != "success"]
    column = min(max((width(record.name) for record in records), default=0), 60)
    lines = [finished_line(record, style, column) for record in records]
    return [*([""] if lines else []), *lines, counts_line(tally, style), *_report_line(tally, short)]


def counts_line(tally: Tally, style: Style) -> str:
    """`3 sessions: 2 succeeded, 1 failed in 4.2 s`"""
    words = {"success": "succeeded", "failed": "failed", "aborted": "aborted", "skipped": "skipped"}
    counts = tally.counts()
    parts = [f"{counts[status]} {word}" for status, word in words.items() if counts[status]]
    total = sum(counts[status] for status in words)
    text = f"{total} session{'' if total == 1 else 's'}: {', '.join(parts) or 'nothing ran'}"
    finished = tally.finished
    took = f" in {duration(finished.seconds)}" if finished else ""
    good = not counts["failed"] and not counts["aborted"] and not tally.interrupted
    why = f" (interrupted: {tally.interrupted})" if tally.interrupted else ""
    return style.paint(text + took + why, "green" if good else "red")


def _report_line(tally: Tally, short: bool) -> list[str]:
    return [f"report: {tally.finished.report}"] if tally.finished and tally.finished.report and not short else []


@dataclass(slots=True, eq=False, repr=False)
class Record:
    """What is known of one session; `status` is queued, started, or what it ended with."""

    name: str
    status: str = "queued"
    since: float = 0.0
    seconds: float = 0.0
    note: str = ""
    log: str = ""
    environment: str = ""
    where: str = ""
    remedy: str = ""


@dataclass(slots=True, eq=False, repr=False)
class Tally:
    """The sessions of a run as its events tell of them."""

    records: dict[str, Record] = field(default_factory=dict)
    interrupted: str = ""
    finished: ev.RunFinished | None = None

    def take(self, event: ev.Event) -> Record | None:
        """Remember what an event says; the record of the session whose state it changes."""
        if isinstance(event, ev.RunStarted):
            self.records.update({name: Record(name) for name in event.sessions})
        elif isinstance(event, ev.RunFinished):
            self.finished = event
        elif isinstance(event, ev.Interrupted):
            self.interrupted = event.reason
        elif event.session is not None and isinstance(event, _CHANGES):
            record = self.records.setdefault(event.session, Record(event.session))
            _CHANGES_HOW[type(event)](record, event)
            return record
        return None

    def having(self, status: str) -> list[Record]:
        """The sessions in a state, in planned order."""
        return [record for record in self.records.values() if record.status == status]

    def counts(self) -> Counter[str]:
        """How many sessions are in each state."""
        return Counter(record.status for record in self.records.values())


def _on_added(record: Record, _event: ev.SessionAdded) -> None:
    record.status = "queued"


def _on_started(record: Record, event: ev.SessionStarted) -> None:
    record.status, record.since, record.log = "started", event.at, event.log


def _on_retried(record: Record, event: ev.SessionRetried) -> None:
    record.note = f"attempt {event.attempt} failed: {event.reason}"


def _on_finished(record: Record, event: ev.SessionFinished) -> None:
    error = event.error or {}
    record.status, record.seconds = event.status, event.seconds
    record.note = clean(" ".join((event.reason or str(error.get("what", ""))).split()))
    record.log, record.environment = event.log or record.log, event.environment
    record.where, record.remedy = str(error.get("where", "")), str(error.get("remedy", ""))


_CHANGES = (ev.SessionAdded, ev.SessionStarted, ev.SessionRetried, ev.SessionFinished)
_CHANGES_HOW: dict[type[ev.Event], Callable[..., None]] = dict(
    zip(_CHANGES, (_on_added, _on_started, _on_retried, _on_finished), strict=True)
)


def terminal_size(stream: TextIO) -> tuple[int, int]:
    """Columns and lines of the stream's terminal (80 by 24 when it does not say)."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return 80, 24
    return size.columns or 80, size.lines or 24
