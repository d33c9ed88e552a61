"""What does a run look like in a pipe, a file, or a terminal without a board? Lines that are never taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from hwb import events as ev
from hwb.screen import text

if TYPE_CHECKING:
    from hwb.screen.text import Options, Style

__all__ = ["Plain", "closing_lines", "lines_for"]


class Plain:
    """One line when a session starts, its messages, one when it ends; failures and the summary at the end."""

    __slots__ = ("_options", "_style", "_tally", "_writer")

    def __init__(self, stream: TextIO, style: Style, options: Options) -> None:
        self._writer = text.Writer(stream)
        self._style = style
        self._options = options
        self._tally = text.Tally()

    def handle(self, event: ev.Event) -> None:
        """Write what the event says."""
        record = self._tally.take(event)
        self._writer.lines(lines_for(event, record, self._style, self._options))
        if isinstance(event, ev.RunFinished):
            self._writer.lines(closing_lines(self._tally, self._style, self._options))

    def tick(self, now: float) -> None:
        """Lines are written when something happens, not by the clock."""

    def pause(self) -> None:
        """Nothing is drawn that a command could disturb."""

    def resume(self) -> None:
        """Nothing was hidden."""

    def close(self) -> None:
        """A run that ended without saying so (it crashed) still gets its failures listed."""
        if self._tally.finished is None and self._tally.having("failed"):
            self._writer.lines(closing_lines(self._tally, self._style, self._options))


def lines_for(event: ev.Event, record: text.Record | None, style: Style, options: Options) -> list[str]:
    """What an event is worth at this verbosity."""
    if isinstance(event, ev.SessionFinished) and record is not None:
        wanted = not options.quiet or record.status in ("failed", "aborted")
        return [text.finished_line(record, style)] if wanted else []
    if isinstance(event, ev.Message):
        return [text.message_line(event, style)] if _loud(event, options) else []
    if options.quiet:
        return []
    return _chatter(event, style, options)


def _chatter(event: ev.Event, style: Style, options: Options) -> list[str]:
    """What is left out under -q."""
    if isinstance(event, ev.SessionStarted):
        return [text.started_line(event, style)]
    if isinstance(event, ev.SessionRetried):
        reason = text.clean(event.reason)
        return [f"  {event.session}: attempt {event.attempt} failed ({reason}); again in {text.duration(event.delay)}"]
    if isinstance(event, ev.Interrupted):
        return [style.paint(f"interrupted: {event.reason}", "yellow")]
    if isinstance(event, ev.CommandStarted) and options.verbose:
        return [text.command_line(event, style)]
    return [text.event_line(event, style)] if options.verbose > 1 else []


def _loud(event: ev.Message, options: Options) -> bool:
    if event.level == "debug":
        return options.verbose > 0
    return event.level == "error" or not options.quiet


def closing_lines(tally: text.Tally, style: Style, options: Options, *, tails: bool = True) -> list[str]:
    """Every failure with the end of its log (unless it was shown as it came), then the summary."""
    lines: list[str] = []
    for record in tally.having("failed"):
        tail = options.tail(record.name) if tails and not options.stream_output else ""
        lines += text.failure_block(record, tail, style)
    rest = text.summary(tally, style, short=options.quiet)
    return [*lines, *([""] if lines and rest[0] else []), *rest]
