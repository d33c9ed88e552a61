"""What is written down while a run goes: its events, and a report that can be read at any moment?"""

from __future__ import annotations

import json
import threading
import time
from typing import IO, TYPE_CHECKING, Any

from hwb.events import (
    Event,
    Interrupted,
    RunFinished,
    RunStarted,
    SessionAdded,
    SessionFinished,
    SessionRetried,
    SessionStarted,
    make,
    to_json,
)
from hwb.fs import atomic_write

if TYPE_CHECKING:
    from hwb.events import Sink
    from hwb.redact import Redactor

__all__ = ["Bus", "EventLines", "Report"]

REPORT_SCHEMA = "hwb.report/1"
_WRITE_EVERY = 0.5
"""Seconds between two writes of the report: ten thousand sessions must not write it ten thousand times."""


class Bus:
    """Hands each event to every sink, one at a time and in order; secrets are masked before any of them sees it."""

    __slots__ = ("_lock", "_redactor", "_sinks")

    def __init__(self, sinks: list[Sink], redactor: Redactor) -> None:
        self._sinks = sinks
        self._redactor = redactor
        self._lock = threading.RLock()

    def emit(self, kind: str, session: str | None = None, **values: Any) -> None:
        """Make the event and hand it on."""
        if self._redactor.known:
            values = {key: self._masked(value) for key, value in values.items()}
        event = make(kind, session, **values)
        with self._lock:
            for sink in self._sinks:
                sink.handle(event)

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redactor.text(value)
        if isinstance(value, dict):
            return {key: self._masked(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._masked(item) for item in value]
        return value

    def close(self) -> None:
        """The run is over for every sink."""
        with self._lock:
            for sink in self._sinks:
                sink.close()


class EventLines:
    """A sink that writes one JSON object a line: `events.jsonl`, and standard output under `--json`."""

    __slots__ = ("_ascii", "_owned", "_stream", "failure")

    def __init__(self, stream: IO[str], *, owned: bool) -> None:
        self._stream = stream
        self._owned = owned
        self._ascii = not (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")
        self.failure: OSError | None = None

    def handle(self, event: Event) -> None:
        """One line, flushed: whoever reads along sees it now. A full disk ends the file, not the run."""
        if self.failure is not None:
            return
        try:
            self._stream.write(_json(to_json(event), ascii_only=self._ascii) + "\n")
            self._stream.flush()
        except OSError as error:
            self.failure = error

    def close(self) -> None:
        """Close the file if it is ours."""
        if self._owned:
            try:
                self._stream.close()
            except OSError as error:
                self.failure = self.failure or error


def _json(data: Any, *, indent: int | None = None, ascii_only: bool = False) -> str:
    """As JSON; half a surrogate pair, or a byte that is no UTF-8, as an escape (which is JSON's own spelling of it)."""
    text = json.dumps(data, indent=indent, ensure_ascii=ascii_only, default=str)
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


class Report:
    """`report.json`: the run as it stands. Rewritten whole, by rename, so that a reader never sees half of it."""

    __slots__ = ("_data", "_path", "_sessions", "_written", "failure")

    def __init__(self, path: str, resumes: str = "") -> None:
        """`resumes` is the earlier run that this one continues."""
        self._path = path
        self._written = 0.0
        self.failure: OSError | None = None
        """Why the last report that had to be written was not; one in between may fall victim to a full disk."""
        self._sessions: dict[str, dict[str, Any]] = {}
        self._data: dict[str, Any] = {"schema": REPORT_SCHEMA, "status": "running"}
        if resumes:
            self._data["resumes"] = resumes

    def handle(self, event: Event) -> None:
        """Take notice; write when it was not written for a while."""
        if isinstance(event, RunStarted):
            self._begin(event)
        elif isinstance(event, SessionAdded):
            self._sessions[str(event.session)] = {"session": event.session, "status": "queued", "notified_by": event.by}
        elif isinstance(event, SessionStarted):
            self._of(event).update(status="running", log=event.log, started=event.at, attempt=event.attempt)
        elif isinstance(event, SessionRetried):
            self._of(event).setdefault("retries", []).append({"reason": event.reason, "delay": event.delay})
        elif isinstance(event, SessionFinished):
            self._finish(event)
        elif isinstance(event, Interrupted):
            self._data["interrupted"] = event.reason
        elif isinstance(event, RunFinished):
            self._end(event)
        else:
            return
        self._write(force=isinstance(event, (RunStarted, RunFinished, Interrupted)))

    def _of(self, event: Event) -> dict[str, Any]:
        return self._sessions.setdefault(str(event.session), {"session": event.session})

    def _begin(self, event: RunStarted) -> None:
        self._data.update(
            run=event.run_id,
            version=event.version,
            directory=event.directory,
            command=event.command,
            jobs=event.jobs,
            started=event.at,
        )
        for name in event.sessions:
            self._sessions[name] = {"session": name, "status": "queued"}

    def _finish(self, event: SessionFinished) -> None:
        record = self._of(event)
        record.update(status=event.status, seconds=round(event.seconds, 3), log=event.log)
        optional = {"reason": event.reason, "error": event.error, "environment": event.environment}
        record.update({key: value for key, value in optional.items() if value})

    def _end(self, event: RunFinished) -> None:
        status = "success" if event.exit_code == 0 else "interrupted" if "interrupted" in self._data else "failed"
        self._data.update(
            status=status, exit_code=event.exit_code, seconds=round(event.seconds, 3), counts=dict(event.counts)
        )

    def _write(self, *, force: bool) -> None:
        now = time.monotonic()
        if not force and now - self._written < _WRITE_EVERY:
            return
        self._written = now
        data = {**self._data, "sessions": list(self._sessions.values())}
        try:
            atomic_write(self._path, _json(data, indent=1), durable=False)
        except OSError as error:
            self.failure = error if force else self.failure
            if force:
                self._write_in_place(data)

    def _write_in_place(self, data: dict[str, Any]) -> None:
        """No room for a second file: the old one's must do, for everything or else for how the run ended."""
        short = {key: data[key] for key in ("schema", "run", "status", "exit_code") if key in data}
        for text in (_json(data), _json({**short, "sessions": []})):
            try:
                with open(self._path, "r+", encoding="utf-8") as handle:
                    handle.truncate(0)
                    handle.write(text)
                return
            except OSError:
                continue

    def close(self) -> None:
        """Nothing to do: the run's end was written."""
