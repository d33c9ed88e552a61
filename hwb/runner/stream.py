"""Which commands' output does a person see while it comes?"""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from hwb.events import Event, SessionFinished, SessionStarted
from hwb.runner.log import Follower, log_blocks

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Streamer"]


class Streamer:
    """A sink that shows output: of one session at a time as it comes, of parallel ones (`blocks`) when each is over.

    Sessions in `silent` have the terminal themselves: their output is on it already.
    """

    __slots__ = ("_blocks", "_followers", "_silent", "_stream")

    def __init__(self, stream: TextIO, *, blocks: bool, silent: Collection[str] = ()) -> None:
        self._stream = stream
        self._blocks = blocks
        self._silent = silent
        self._followers: dict[str, Follower] = {}

    def handle(self, event: Event) -> None:
        """Begin and end to follow."""
        name = str(event.session)
        if name in self._silent:
            return
        if isinstance(event, SessionStarted) and not self._blocks:
            if self._touch(event.log):
                self._followers[name] = Follower(event.log, self._stream)
        elif isinstance(event, SessionFinished) and self._blocks:
            for block in log_blocks(event.log):
                self._stream.write(block)
            self._stream.flush()
        elif isinstance(event, SessionFinished) and name in self._followers:
            self._followers.pop(name).close()

    @staticmethod
    def _touch(path: str) -> bool:
        try:
            with open(path, "ab"):
                pass
        except OSError:
            return False  # its session fails for that, and says so
        return True

    def tick(self) -> None:
        """Show what is new."""
        for follower in list(self._followers.values()):
            follower.poll()

    def close(self) -> None:
        """The run is over."""
        for follower in self._followers.values():
            follower.close()
        self._followers.clear()
