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

    __slots__ = ("_owned", "_stream")

    def __init__(self, stream: IO[str], *, owned: bool) -> None:
        self._stream = stream
        self._owned = owned

    def handle(self, event: Event) -> None:
        """One line, flushed: whoever reads along sees it now."""
        self._stream.write(json.dumps(to_json(event), ensure_ascii=False, default=str) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Close the file if it is ours."""
        if self._owned:
            self._stream.close()


class Report:
    """`report.json`: the run as it stands. Rewritten whole, by rename, so that a reader never sees half of it."""

    __slots__ = ("_data", "_path", "_sessions", "_written")

    def __init__(self, path: str) -> None:
        self._path = path
        self._written = 0.0
        self._sessions: dict[str, dict[str, Any]] = {}
        self._data: dict[str, Any] = {"schema": REPORT_SCHEMA, "status": "running"}

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
            atomic_write(self._path, json.dumps(data, indent=1, ensure_ascii=False, default=str), durable=False)
        except OSError:
            if force:
                raise  # the first and the last report must exist; one in between may fall victim to a full disk

    def close(self) -> None:
        """Nothing to do: the run's end was written."""
