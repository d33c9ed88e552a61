"""What is said about one thing that is wrong?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Finding", "Severity"]


class Severity(Enum):
    """Whether a finding stops the file (error) or is only said (warning)."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: which rule, in which member (empty: the file as a whole), and what to do."""

    rule: str
    severity: Severity
    member: str
    message: str
    remedy: str

    def __str__(self) -> str:
        place = f" ({self.member})" if self.member else ""
        return f"{self.severity.value}: {self.rule}: {self.message}{place}"
