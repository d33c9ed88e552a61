"""Who works right now, in which directory, with which environment, log and permission to go on?

Every engine call reads `current()`, so that a call made in a session's thread, in a thread that it started,
through the async facade or in a child process writes to the right log and can be cancelled.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from contextvars import ContextVar

from hwb.errors import Cancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, Protocol
else:
    Protocol = object  # importing `typing` takes milliseconds, too

__all__ = ["CancelToken", "Context", "LogSink", "NullSink", "current", "use"]


class CancelToken:
    """A switch that is thrown once: waiters wake, `check` raises, callbacks run in the throwing thread.

    A token with a parent is cancelled with it, never the other way round.
    """

    __slots__ = ("_callbacks", "_lock", "_read_fd", "_write_fd", "reason")

    def __init__(self, parent: CancelToken | None = None) -> None:
        # a signal handler may throw the switch while its own thread is inside one of these methods
        self._lock = threading.RLock()
        self._callbacks: list[Callable[[str], None]] = []
        self._read_fd = self._write_fd = -1
        self.reason: str | None = None
        if parent is not None:
            parent.on_cancel(self.cancel)

    @property
    def cancelled(self) -> bool:
        """Whether the switch was thrown."""
        return self.reason is not None

    def check(self) -> None:
        """Raise `Cancelled` when the switch was thrown."""
        if self.reason is not None:
            raise Cancelled(self.reason)

    def cancel(self, reason: str = "cancelled") -> None:
        """Throw the switch; the first reason stays."""
        with self._lock:
            if self.reason is not None:
                return
            self.reason = reason
            callbacks, self._callbacks = self._callbacks, []
            if self._write_fd >= 0:
                os.close(self._write_fd)
                self._write_fd = -1
        for callback in callbacks:
            callback(reason)

    def on_cancel(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call `callback(reason)` when thrown (at once if it already was); returns a function that forgets it."""
        with self._lock:
            if self.reason is None:
                self._callbacks.append(callback)
                return lambda: self._forget(callback)
        callback(self.reason)
        return lambda: None

    def _forget(self, callback: Callable[[str], None]) -> None:
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

    def fileno(self) -> int:
        """A descriptor that becomes readable when the switch is thrown (for poll)."""
        with self._lock:
            if self._read_fd < 0:
                self._read_fd, self._write_fd = os.pipe()
                if self.reason is not None and self._write_fd >= 0:
                    os.close(self._write_fd)
                    self._write_fd = -1
            return self._read_fd

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptors back; the token can still be asked."""
        with self._lock:
            for fd in (self._read_fd, self._write_fd):
                if fd >= 0:
                    os.close(fd)
            self._read_fd = self._write_fd = -1


class LogSink(Protocol):
    """Where output goes: children get `fileno()` directly, hwb's own lines go through `write`."""

    def fileno(self) -> int:
        """An open descriptor in append mode."""

    def write(self, text: str) -> None:
        """Append text (a newline is the caller's business)."""


class NullSink:
    """A log for work that nobody listens to (library calls outside a run)."""

    __slots__ = ("_fd",)

    def __init__(self) -> None:
        self._fd = -1

    def fileno(self) -> int:
        """The null device, opened once."""
        if self._fd < 0:
            self._fd = os.open(os.devnull, os.O_RDWR)
        return self._fd

    def write(self, text: str) -> None:
        """Drop it."""

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _no_event(kind: str, **fields: Any) -> None:
    """Nobody listens."""


def _no_group(group: int, alive: bool = True) -> None:
    """Nobody watches."""


class Context:
    """What belongs to whoever works now. Mutable: a session changes its own `cwd` and `groups`, nobody else's.

    Not a dataclass: importing `dataclasses` costs as much as looking at a whole tree of sources.
    """

    __slots__ = (
        *("token", "log", "cwd", "outer_env", "mark", "secrets", "emit", "deadline", "grace", "idle_timeout"),
        *("offline", "verbose", "shared", "terminal", "groups", "announce_group"),
    )

    def __init__(
        self,
        *,
        token: CancelToken | None = None,
        log: LogSink | None = None,
        cwd: str | None = None,
        outer_env: Mapping[str, str] | None = None,
        mark: Mapping[str, str] | None = None,
        secrets: tuple[bytes, ...] = (),
        emit: Callable[..., None] = _no_event,
        deadline: float | None = None,
        grace: tuple[float | None, float | None] = (0.3, 0.2),
        idle_timeout: float | None = None,
        offline: bool = False,
        verbose: int = 0,
        shared: dict[str, Any] | None = None,
        terminal: Any = None,
        groups: list[int] | None = None,
        announce_group: Callable[..., None] = _no_group,
    ) -> None:
        self.token = CancelToken() if token is None else token
        self.log: LogSink = NullSink() if log is None else log
        self.cwd = os.getcwd() if cwd is None else cwd
        self.outer_env: Mapping[str, str] = os.environ if outer_env is None else outer_env
        self.mark: Mapping[str, str] = mark or {}
        """Variables that every child carries whatever its environment, so that leftovers can be found."""
        self.secrets = secrets
        """Values (and their encodings) that must not reach a log; empty: children write to the log file directly."""
        self.emit = emit
        """`emit(kind, **fields)` with a kind from `hwb.events`."""
        self.deadline = deadline
        """`time.monotonic()` at which the session's time is over."""
        self.grace = grace
        """Seconds from interrupt to TERM and from TERM to KILL of commands that do not say otherwise (nox's)."""
        self.idle_timeout = idle_timeout
        """Seconds without output after which a command is ended."""
        self.offline = offline
        self.verbose = verbose
        self.shared = shared
        """What the sessions of a run share and the run ends (warm interpreters); None: who needs it makes its own."""
        self.terminal = terminal
        """The claimable terminal of an interactive run (`hwb.terminal.Terminal`), else None."""
        self.groups: list[int] = [] if groups is None else groups
        """Process groups started and not known to be empty."""
        self.announce_group = announce_group
        """`announce_group(group, alive)` tells the watcher of a new process group, or that one is empty."""

    def but(self, **changes: Any) -> Context:
        """A copy with these fields changed; groups are shared with the original unless they are given."""
        return Context(**{**{name: getattr(self, name) for name in self.__slots__}, **changes})


_current: ContextVar[Context | None] = ContextVar("hwb_context", default=None)
_default = threading.local()


def current() -> Context:
    """The context of this thread or task; outside of any run a quiet one that nobody cancels."""
    context = _current.get()
    if context is not None:
        return context
    if getattr(_default, "context", None) is None:
        _default.context = Context()
    context = _default.context
    context.cwd = os.getcwd()
    return context  # type: ignore[no-any-return]


@contextmanager
def use(context: Context) -> Iterator[Context]:
    """Make `context` the current one inside the block."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)
