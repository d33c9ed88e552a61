"""How does a person see a run, and who may write to the terminal when several threads want to?"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwb.events import Event
    from hwb.screen import Screen

__all__ = ["Display", "GuardedScreen", "folds", "is_board"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Display:
    """How a person or a program sees the run; `stream` None means nobody does."""

    stream: TextIO | None = None
    events: TextIO | None = None
    """Where NDJSON goes (standard output under `--json`)."""
    verbose: int = 0
    quiet: bool = False
    color: bool | None = None
    interactive: bool = False
    """A person sits at a terminal that commands may have."""


class GuardedScreen:
    """A screen that several threads use: the scheduler's draws, those of sessions report, print, or have the terminal.

    One thing happens at a time; while a command has the terminal, nothing that pauses in between brings the board back.
    Messages of sessions whose log is `seen` as it grows are not shown a second time.
    """

    __slots__ = ("_claims", "_lock", "_screen", "_seen")

    def __init__(self, screen: Screen, seen: Callable[[str], bool]) -> None:
        self._screen = screen
        self._seen = seen
        self._lock = threading.RLock()
        self._claims = 0

    def handle(self, event: Event) -> None:
        """Show the event, unless its session's log is seen anyway."""
        if event.kind == "message" and event.session is not None and self._seen(event.session):
            return
        with self._lock:
            self._screen.handle(event)

    def tick(self, now: float) -> None:
        """Draw anew if it is time; `now` is `time.monotonic()`."""
        with self._lock:
            self._screen.tick(now)

    def pause(self) -> None:
        """Somebody else has the terminal; counted."""
        with self._lock:
            self._claims += 1
            self._screen.pause()

    def resume(self) -> None:
        """The last one who paused gives it back."""
        with self._lock:
            self._claims -= 1
            if not self._claims:
                self._screen.resume()

    def beside(self, stream: TextIO, text: str) -> None:
        """Write a text where the board is, which steps aside."""
        with self._lock:
            self.pause()
            try:
                stream.write(text)
                stream.flush()
            finally:
                self.resume()

    def close(self) -> None:
        """The run is over."""
        with self._lock:
            self._screen.close()


def is_board(stream: TextIO | None) -> bool:
    """Whether a board can be drawn there: a terminal, not a dumb one, and not a CI service's log."""
    from hwb.screen.text import is_terminal

    return stream is not None and is_terminal(stream) and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


def folds() -> bool:
    """Whether a CI service runs us that shows each session's log in a fold."""
    return any(os.environ.get(name) for name in ("GITHUB_ACTIONS", "GITLAB_CI", "TF_BUILD"))
