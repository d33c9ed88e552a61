"""How does a signal call a run off, and which exit code does that give?"""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CODES", "Interruptible", "interrupting"]

CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
"""The exit code of a run that a signal called off."""
if sys.platform == "win32":  # there is no HUP; CTRL_BREAK is what a parent sends instead
    CODES["SIGBREAK"] = 143


class Interruptible(Protocol):
    """What a signal calls off; the scheduler implements it."""

    def interrupt(self, reason: str) -> None:
        """Called in a signal handler."""
        ...


@contextmanager
def interrupting(scheduler: Interruptible) -> Iterator[list[str]]:
    """INT, TERM and HUP call the run off (a second one gives up waiting); handlers are put back afterwards."""
    received: list[str] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def handle(number: int, _frame: Any) -> None:
        name = signal.Signals(number).name
        received.append(name)
        scheduler.interrupt(name)

    numbers = [getattr(signal, name) for name in CODES if hasattr(signal, name)]
    before = {number: signal.signal(number, handle) for number in numbers if not _by_nohup(number)}
    try:
        yield received
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _by_nohup(number: int) -> bool:
    """Who starts hwb with HUP ignored wants it to go on when the terminal is closed."""
    return number == getattr(signal, "SIGHUP", None) and signal.getsignal(number) is signal.SIG_IGN
