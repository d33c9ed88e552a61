"""What does a run look like in a CI service's log? A fold per session, annotations for failures, a summary."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Protocol, TextIO

from hwb import events as ev
from hwb.screen import text
from hwb.screen.plain import closing_lines, lines_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from hwb.screen.text import Options, Record, Style, Tally

__all__ = ["Azure", "Ci", "Dialect", "GitHub", "GitLab", "dialect", "read_log", "summary_table"]

_BLOCK = 1 << 16
_SUMMARY_ROWS = 1000
"""The job summary may have 1 MiB; this stays far below."""


class Dialect(Protocol):
    """What a service wants written around a fold and for an annotation (empty: it has none)."""

    summary: str
    """The file that a Markdown summary is appended to."""

    def begin(self, record: Record, now: float) -> str:
        """The line that opens a fold."""
        ...

    def end(self, record: Record, now: float) -> str:
        """The line that closes it."""
        ...

    def error(self, record: Record) -> str:
        """The annotation of a failure."""
        ...


class GitHub:
    """Workflow commands of GitHub Actions, escaped as the runner unescapes them."""

    def __init__(self, summary: str = "") -> None:
        self.summary = summary

    def begin(self, record: Record, _now: float) -> str:
        """`::group::name (failed, 1.2 s)`"""
        return f"::group::{_percent(_title(record))}"

    def end(self, _record: Record, _now: float) -> str:
        """The group before is over."""
        return "::endgroup::"

    def error(self, record: Record) -> str:
        """An annotation with the reason, and file and line when they are known."""
        at = re.fullmatch(r"(.+):(\d+)", record.where)
        place = {"file": at[1], "line": at[2]} if at else {}
        properties = {**place, "title": f"{record.name} failed"}
        fields = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
        return f"::error {fields}::{_percent(record.note or 'failed')}"


class GitLab:
    """Collapsible sections of GitLab's job log."""

    summary = ""

    def begin(self, record: Record, now: float) -> str:
        """A section that is folded unless the session failed."""
        folded = "" if record.status == "failed" else "[collapsed=true]"
        return f"\x1b[0Ksection_start:{int(now)}:{_section(record)}{folded}\r\x1b[0K{_title(record)}"

    def end(self, record: Record, now: float) -> str:
        """The section of the same name is over."""
        return f"\x1b[0Ksection_end:{int(now)}:{_section(record)}\r\x1b[0K"

    def error(self, _record: Record) -> str:
        """GitLab's logs have no annotations."""
        return ""


class Azure:
    """Logging commands of Azure Pipelines."""

    summary = ""

    def begin(self, record: Record, _now: float) -> str:
        """`##[group]name`"""
        return f"##[group]{_title(record)}"

    def end(self, _record: Record, _now: float) -> str:
        """The group before is over."""
        return "##[endgroup]"

    def error(self, record: Record) -> str:
        """An issue of the job."""
        words = f"{record.name}: {record.note or 'failed'}".replace("%", "%AZP25")
        return "##vso[task.logissue type=error]" + words.replace("\r", "%0D").replace("\n", "%0A")


def dialect(environ: Mapping[str, str]) -> Dialect:
    """The service this environment belongs to."""
    if environ.get("GITHUB_ACTIONS"):
        return GitHub(environ.get("GITHUB_STEP_SUMMARY", ""))
    return GitLab() if environ.get("GITLAB_CI") else Azure()


def _percent(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _percent(value).replace(":", "%3A").replace(",", "%2C")


def _section(record: Record) -> str:
    return "hwb_" + re.sub(r"[^A-Za-z0-9_.-]", "_", record.name)


def _title(record: Record) -> str:
    return f"{record.name} ({record.status}, {text.duration(record.seconds)})"


class Ci:
    """Plain lines, but a finished session's output comes whole, inside a fold."""

    __slots__ = ("_dialect", "_log_text", "_options", "_style", "_tally", "_writer")

    def __init__(
        self,
        stream: TextIO,
        style: Style,
        options: Options,
        dialect: Dialect,
        *,
        log_text: Callable[[str], Iterable[str]] | None = None,
    ) -> None:
        self._writer = text.Writer(stream)
        self._style = style
        self._options = options
        self._dialect = dialect
        self._tally = text.Tally()
        self._log_text = log_text or (lambda session: read_log(self._tally.records[session].log))

    def handle(self, event: ev.Event) -> None:
        """Write what the event says; a fold when a session is over."""
        record = self._tally.take(event)
        if isinstance(event, ev.SessionFinished) and record is not None:
            self._fold(record, event.at)
        self._writer.lines(lines_for(event, record, self._style, self._options))
        if isinstance(event, ev.RunFinished):
            self._writer.lines(closing_lines(self._tally, self._style, self._options, tails=False))
            self._summarise()

    def tick(self, now: float) -> None:
        """A log has no clock."""

    def pause(self) -> None:
        """Nothing is drawn."""

    def resume(self) -> None:
        """Nothing was hidden."""

    def close(self) -> None:
        """Everything was written when it happened."""

    def _fold(self, record: Record, now: float) -> None:
        wanted = record.log and not self._options.stream_output
        if wanted and (record.status == "failed" or not self._options.quiet):
            self._writer.lines([self._dialect.begin(record, now)])
            ended = "\n"
            for block in self._log_text(record.name):
                self._writer.write(block)
                ended = block or ended
            self._writer.lines([*([] if ended.endswith("\n") else [""]), self._dialect.end(record, now)])
        if record.status == "failed":
            self._writer.lines(line for line in [self._dialect.error(record)] if line)

    def _summarise(self) -> None:
        if self._dialect.summary:
            try:
                with open(self._dialect.summary, "a", encoding="utf-8") as handle:
                    handle.write(summary_table(self._tally))
            except OSError:
                pass  # a service that gives no such file: the log has the same table


def read_log(path: str) -> Iterator[str]:
    """A log file in blocks: a gigabyte of it never is in memory."""
    if not os.path.isfile(path):
        return
    with open(path, encoding="utf-8", errors="replace", newline="") as handle:
        while block := handle.read(_BLOCK):
            yield block


def summary_table(tally: Tally) -> str:
    """Markdown for the job's page."""
    records = [record for record in tally.records.values() if record.status != "queued"]
    rows = [
        f"| {_cell(record.name)} | {record.status} | {text.duration(record.seconds)} | {_cell(record.note)} |"
        for record in records[:_SUMMARY_ROWS]
    ]
    more = [f"\n… and {len(records) - _SUMMARY_ROWS} more"] if len(records) > _SUMMARY_ROWS else []
    counts = text.counts_line(tally, text.Style())
    head = [f"### {counts}", "", "| session | status | time | reason |", "|---|---|---|---|"]
    return "\n".join([*head, *rows, *more, ""])


def _cell(value: str) -> str:
    escaped = value.replace("&", "&amp;").replace("<", "&lt;").replace("\\", "\\\\")
    return escaped.replace("|", "\\|").replace("\n", " ").replace("`", "\\`")
