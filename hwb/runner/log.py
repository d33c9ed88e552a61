"""Where do a session's lines go: its log file, complete, and (when asked for) the screen as well?"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any, TextIO

from hwb.context import _current
from hwb.redact import Redactor, write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hwb.errors import HwbError

__all__ = ["AbandonedStream", "Follower", "RoutedStream", "SessionLog", "log_blocks", "tail"]


class SessionLog:
    """An append-only file: children inherit its descriptor, hwb's own lines go through `write` (masked)."""

    __slots__ = ("_echo", "_fd", "_full", "_redactor", "path")

    def __init__(self, path: str, redactor: Redactor, echo: Callable[[str], None] | None = None) -> None:
        self.path = path
        self._redactor = redactor
        self._echo = echo
        self._full = False
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        try:
            self._fd = os.open(path, flags, 0o644)
        except OSError as error:
            raise _no_log(path, error) from error

    def fileno(self) -> int:
        """The descriptor, in append mode: children and hwb never overwrite each other."""
        return self._fd

    def write(self, text: str) -> None:
        """Append a text; shown at once when somebody watches this session. HwbError when the disk is full (once)."""
        if self._fd < 0 or self._full:
            return  # a thread that outlives its session; a log that has failed its session already
        masked = self._redactor.text(text)
        try:
            data = masked.encode(errors="surrogateescape")
        except UnicodeEncodeError:  # half a surrogate pair, which no encoding has
            data = masked.encode(errors="backslashreplace")
        try:
            write_all(self._fd, data)
        except OSError as error:
            self._full = True
            raise _no_log(self.path, error) from error
        if self._echo is not None:
            self._echo(masked)

    def close(self) -> None:
        """Give the descriptor back; children that still run keep theirs."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _no_log(path: str, error: OSError) -> HwbError:
    from hwb.errors import HwbError

    return HwbError(f"the log {path} cannot be written: {error.strerror}", remedy="see to the disk it lies on")


def tail(path: str, lines: int = 40, limit: int = 65536) -> str:
    """The end of a log as text: at most `lines` lines of the last `limit` bytes, undecodable bytes replaced."""
    try:
        with open(path, "rb") as handle:
            size = handle.seek(0, os.SEEK_END)
            handle.seek(max(0, size - limit))
            data = handle.read()
    except OSError:
        return ""
    return "\n".join(data.decode(errors="replace").splitlines()[-lines:])


def log_blocks(path: str, size: int = 65536) -> Iterator[str]:
    """A whole log in blocks, for screens that show it without holding it."""
    import codecs

    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    try:
        with open(path, "rb") as handle:
            while block := handle.read(size):
                yield decoder.decode(block)
    except OSError:
        return


class Follower:
    """Copies what is new in a log to a stream, as `tail -f` does; `poll` is called by the runner's main loop."""

    __slots__ = ("_decoder", "_handle", "_stream")

    def __init__(self, path: str, stream: TextIO) -> None:
        import codecs

        self._handle = open(path, "rb")  # noqa: SIM115 - closed by close()
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def poll(self) -> bool:
        """Copy what came since the last time; whether there was anything."""
        wrote = False
        while block := self._handle.read(65536):
            self._stream.write(self._decoder.decode(block))
            wrote = True
        if wrote:
            self._stream.flush()
        return wrote

    def close(self) -> None:
        """Copy the rest and stop."""
        self.poll()
        self._handle.close()


class AbandonedStream:
    """A stream whose reader may go away (`hwb run | head`): from then on nothing is written, and the run goes on."""

    def __init__(self, original: TextIO) -> None:
        self._original = original
        self._gone = False

    def write(self, text: str) -> int:
        """To the stream, while somebody reads it."""
        return int(self._unless_gone(lambda: self._original.write(self._shown(text)), len(text)))

    def _shown(self, text: str) -> str:
        """What the stream's encoding has no sign for as `?`."""
        encoding = getattr(self._original, "encoding", None) or "utf-8"
        return text if text.isascii() else text.encode(encoding, "replace").decode(encoding)

    def flush(self) -> None:
        """What was written reaches the reader."""
        self._unless_gone(self._original.flush, None)

    def _unless_gone(self, do: Callable[[], Any], otherwise: Any) -> Any:
        if self._gone:
            return otherwise
        try:
            return do()
        except (OSError, ValueError):  # the reader has gone, or a recipe has closed our side
            self._gone = True
            return otherwise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


class RoutedStream:
    """Stands for sys.stdout or sys.stderr during a run: what a recipe prints goes into its own session's log."""

    def __init__(self, original: TextIO) -> None:
        self._original = original
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        """To the log of the session that prints; to the real stream outside of any."""
        context = _current.get()
        if context is None:
            return self._original.write(text)
        context.log.write(text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Each in turn."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    @classmethod
    def install(cls) -> Callable[[], None]:
        """Route both standard streams; returns what puts the real ones back."""
        before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = cls(before[0]), cls(before[1])

        def restore() -> None:
            sys.stdout, sys.stderr = before

        return restore
