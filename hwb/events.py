"""What happens in a run, as typed values that every sink (screen, NDJSON, files, CI) reads?

An event is made by `make(kind, session, **fields)` so that engine code can say `context.emit("phase", ...)` without
importing anything; a wrong field is a TypeError at once. `to_json` is what `--json` and `events.jsonl` carry.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_options: object) -> Any:
        """For type checkers only: they see ordinary frozen keyword-only dataclasses."""
        return lambda cls: cls


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


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Event:
    """Something that happened: `at` is Unix time in seconds, `session` the session it happened in (None: the run).

    Frozen, keyword-only, compared by value. Not `dataclasses`: generating fourteen of them takes a tenth of the time
    that a whole trivial run takes.
    """

    kind: ClassVar[str] = ""
    at: float
    session: str | None = None

    def __init__(self, **values: Any) -> None:
        names = self._names()
        values.setdefault("at", time.time())
        wrong = [name for name in values if name not in names]
        missing = [name for name in names if name not in values and not hasattr(type(self), name)]
        if wrong or missing:
            raise TypeError(f"{type(self).__name__}: unknown {wrong}, missing {missing}")
        self.__dict__.update(values)

    @classmethod
    def _names(cls) -> list[str]:
        own = cls.__dict__.get("_fields")
        if own is None:
            classes = [base for base in reversed(cls.__mro__) if issubclass(base, Event)]
            own = [name for base in classes for name in base.__annotations__ if name not in ("kind", "_fields")]
            setattr(cls, "_fields", own)  # noqa: B010 - mypy would take an assignment for a field
        return list(own)

    def values(self) -> dict[str, Any]:
        """Every field by name, in declared order."""
        return {name: getattr(self, name) for name in self._names()}

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"events do not change: {name}")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.values() == self.values()

    __hash__ = None  # type: ignore[assignment]  # fields may be lists

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.values().items())
        return f"{type(self).__name__}({inside})"


class RunStarted(Event):
    """A plan begins to run; `sessions` in planned order, `command` the words after `hwb`."""

    kind = "run-started"
    run_id: str
    version: str
    directory: str
    sessions: list[str]
    jobs: int
    command: Sequence[str] = ()


class RunFinished(Event):
    """The run is over; `counts` maps a status to how many sessions ended with it."""

    kind = "run-finished"
    exit_code: int
    seconds: float
    counts: Mapping[str, int]
    report: str = ""


class Interrupted(Event):
    """A signal or a time limit called the run off."""

    kind = "interrupted"
    reason: str


class SessionAdded(Event):
    """`session.notify` added a session to the running plan."""

    kind = "session-added"
    by: str


class SessionStarted(Event):
    """A session begins; `log` is the path of its log file, `attempt` counts from 1."""

    kind = "session-started"
    log: str
    attempt: int = 1


class SessionRetried(Event):
    """A session failed and is tried again after `delay` seconds."""

    kind = "session-retried"
    attempt: int
    delay: float
    reason: str


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


class EnvironmentReady(Event):
    """An isolated environment can be used."""

    kind = "environment"
    path: str
    backend: str
    python: str
    reused: bool
    seconds: float


class CommandStarted(Event):
    """A command begins."""

    kind = "command-started"
    argv: list[str]
    cwd: str


class CommandFinished(Event):
    """A command is over; a negative `return_code` is a signal's number."""

    kind = "command-finished"
    argv: list[str]
    return_code: int
    seconds: float


class Phase(Event):
    """A step of a longer work (a build's resolve, isolation, build, ...): `state` is started, done or failed."""

    kind = "phase"
    name: str
    state: str
    seconds: float = 0.0
    detail: str = ""


class Message(Event):
    """Words for a person; `level` is debug, info, warning or error."""

    kind = "message"
    level: str
    text: str


class ArtifactAdded(Event):
    """A file was produced."""

    kind = "artifact"
    name: str
    sha256: str
    size: int
    type: str
    path: str


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
    rest = {name: value for name, value in event.values().items() if name != "at"}
    return {"schema": SCHEMA, "event": event.kind, "time": moment, **rest}


class Sink(Protocol):
    """Whoever wants to know; `handle` is called by one thread at a time, in order."""

    def handle(self, event: Event) -> None:
        """Take notice."""
        ...

    def close(self) -> None:
        """The run is over."""
        ...
