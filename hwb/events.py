"""What happens in a run, as typed values that every sink (screen, NDJSON, files, CI) reads?

An event is made by `make(kind, session, **fields)` so that engine code can say `context.emit("phase", ...)` without
importing anything; a wrong field is a TypeError at once. `to_json` is what `--json` and `events.jsonl` carry.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "SCHEMA",
    "ArtifactAdded",
    "CommandFinished",
    "CommandStarted",
    "EnvironmentReady",
    "Event",
    "Interrupted",
    "Message",
    "Phase",
    "RunFinished",
    "RunStarted",
    "SessionAdded",
    "SessionFinished",
    "SessionRetried",
    "SessionStarted",
    "Sink",
    "VerdictAdded",
    "make",
    "to_json",
]

SCHEMA = "hwb.event/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened: `at` is Unix time in seconds, `session` the session it happened in (None: the run)."""

    kind: ClassVar[str] = ""
    at: float = field(default_factory=time.time)
    session: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A plan begins to run; `sessions` in planned order, `command` the words after `hwb`."""

    kind = "run-started"
    run_id: str
    version: str
    directory: str
    sessions: list[str]
    jobs: int
    command: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """The run is over; `counts` maps a status to how many sessions ended with it."""

    kind = "run-finished"
    exit_code: int
    seconds: float
    counts: Mapping[str, int]
    report: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted(Event):
    """A signal or a time limit called the run off."""

    kind = "interrupted"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionAdded(Event):
    """`session.notify` added a session to the running plan."""

    kind = "session-added"
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted(Event):
    """A session begins; `log` is the path of its log file, `attempt` counts from 1."""

    kind = "session-started"
    log: str
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRetried(Event):
    """A session failed and is tried again after `delay` seconds."""

    kind = "session-retried"
    attempt: int
    delay: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFinished(Event):
    """A session is over; `status` is success, failed, skipped or aborted; `error` an `HwbError.as_dict()`."""

    kind = "session-finished"
    status: str
    seconds: float
    reason: str = ""
    error: Mapping[str, Any] | None = None
    log: str = ""
    environment: str = ""
    """Path of an environment that was kept (after a failure, or for reuse)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentReady(Event):
    """An isolated environment can be used."""

    kind = "environment"
    path: str
    backend: str
    python: str
    reused: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandStarted(Event):
    """A command begins."""

    kind = "command-started"
    argv: list[str]
    cwd: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFinished(Event):
    """A command is over; a negative `return_code` is a signal's number."""

    kind = "command-finished"
    argv: list[str]
    return_code: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase(Event):
    """A step of a longer work (a build's resolve, isolation, build, ...): `state` is started, done or failed."""

    kind = "phase"
    name: str
    state: str
    seconds: float = 0.0
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Event):
    """Words for a person; `level` is debug, info, warning or error."""

    kind = "message"
    level: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactAdded(Event):
    """A file was produced."""

    kind = "artifact"
    name: str
    sha256: str
    size: int
    type: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictAdded(Event):
    """A fact about an artifact: `verdict` is checked, tested, published or verified."""

    kind = "verdict"
    name: str
    sha256: str
    verdict: str
    ok: bool
    detail: str = ""


_KINDS: dict[str, type[Event]] = {
    cls.kind: cls
    for cls in (
        RunStarted,
        RunFinished,
        Interrupted,
        SessionAdded,
        SessionStarted,
        SessionRetried,
        SessionFinished,
        EnvironmentReady,
        CommandStarted,
        CommandFinished,
        Phase,
        Message,
        ArtifactAdded,
        VerdictAdded,
    )
}


def make(kind: str, session: str | None, **values: Any) -> Event:
    """An event of that kind, now."""
    return _KINDS[kind](session=session, **values)


def to_json(event: Event) -> dict[str, Any]:
    """Plain data with `schema`, `event`, `time` (RFC 3339, UTC) first."""
    from datetime import datetime, timezone

    moment = datetime.fromtimestamp(event.at, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    rest = {f.name: getattr(event, f.name) for f in fields(event) if f.name != "at"}
    return {"schema": SCHEMA, "event": event.kind, "time": moment, **rest}


class Sink(Protocol):
    """Whoever wants to know; `handle` is called by one thread at a time, in order."""

    def handle(self, event: Event) -> None:
        """Take notice."""
        ...

    def close(self) -> None:
        """The run is over."""
        ...
