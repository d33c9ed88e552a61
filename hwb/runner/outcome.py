"""How did a session end, and what does that make of the run's exit code?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Outcome", "Status", "exit_code"]


class Status(Enum):
    """The ends a session can come to."""

    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    ABORTED = "aborted"
    """It never ran, or was called off: a need failed, a signal came, a time limit was over."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A session's end: `seconds` wall time, `error` an `HwbError.as_dict()`, `environment` the path of a kept one."""

    session: str
    status: Status
    seconds: float = 0.0
    reason: str = ""
    error: Mapping[str, Any] | None = None
    exit_code: int = 0
    log: str = ""
    environment: str = ""
    attempt: int = 1

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "status": self.status.value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        """From plain data."""
        return cls(**{**data, "status": Status(data["status"])})


def exit_code(outcomes: Iterable[Outcome], interrupted: int = 0) -> int:
    """The run's exit code: a signal's, else the failures' common one (mixed: 1), 4 when nothing ran, else 0."""
    if interrupted:
        return interrupted
    found = list(outcomes)
    codes = {outcome.exit_code or 1 for outcome in found if outcome.status is Status.FAILED}
    if codes:
        return codes.pop() if len(codes) == 1 else 1
    if any(outcome.status is Status.ABORTED for outcome in found):
        return 1
    return 0 if any(outcome.status is Status.SUCCESS for outcome in found) else 4
