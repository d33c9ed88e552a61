"""How does an installer's run end: done, done from the cache because the network is away, or with which error?"""

from __future__ import annotations

import os
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwb.errors import DependencyError, HwbError, OfflineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hwb.proc import Completed

__all__ = ["NetworkDown", "Outcome", "execute", "settle"]

_KEPT = 32768
"""Bytes of an installer's standard error that are kept for the error message."""
_NETWORK = re.compile(
    r"error sending request|client error \(Connect\)|dns error|tcp connect error|tunnel error|operation timed out"
    r"|connection broken by|NewConnectionError|ConnectTimeoutError|NameResolutionError|ProxyError|Read timed out"
    r"|Max retries exceeded|Temporary failure in name resolution|Network is unreachable|HTTP status server error"
    r"|Failed to establish a new connection|Connection reset by peer|Failed to download .*distribution"
)
_MISSING = re.compile(
    r"(\S+) was not found in the cache|(\S+) needs to be downloaded|No matching distribution found for (\S+)"
    r"|(\S+) was not found in the provided package locations"
)
_CACHE_ONLY = re.compile(r"network (was|is) disabled|Network connectivity is disabled|index lookups were disabled")


_SILENCE_SECONDS = 60.0
"""After the network did not answer, the cache is asked first for so long: every session would wait for it again."""


class _Silence:
    """Until when (`time.monotonic()`) the network is taken to be away."""

    until = 0.0


_silence = _Silence()


class NetworkDown(DependencyError):
    """Requirements cannot be installed because the index cannot be reached."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished installer: what it printed on standard error (secrets masked) beside how it ended."""

    done: Completed
    stderr: str
    hidden: bool = False
    """Nobody has seen its output yet; it is shown if this is what makes the work fail."""

    @property
    def ok(self) -> bool:
        """Whether it did what it should."""
        return self.done.return_code == 0


class _Tee:
    """A pipe whose content goes into the log and is kept; both masked."""

    __slots__ = ("_kept", "_redactor", "_source", "_target", "_thread", "write_fd")

    def __init__(self, target: int, secrets: tuple[bytes, ...]) -> None:
        from hwb.redact import Redactor

        self._redactor = Redactor(secrets)
        self._target = target
        self._kept = b""
        self._source, self.write_fd = os.pipe()
        self._thread = threading.Thread(target=self._copy, name="hwb-installer", daemon=True)
        self._thread.start()

    def _copy(self) -> None:
        rest = b""
        while block := os.read(self._source, 65536):
            out, rest = self._redactor.split(rest + block)
            self._pass(out)
        self._pass(self._redactor.mask(rest))
        os.close(self._source)

    def _pass(self, data: bytes) -> None:
        from hwb.redact import write_all

        self._kept = (self._kept + data)[-_KEPT:]
        if self._target >= 0:
            try:
                write_all(self._target, data)
            except OSError:
                self._target = -1  # the log is gone; the installer must not die of it

    def end(self) -> str:
        """Everything was written, or a grandchild keeps the pipe open: what was kept."""
        os.close(self.write_fd)
        self._thread.join(0.5)
        return self._kept.decode(errors="replace")


def execute(
    argv: Sequence[str], *, env: Mapping[str, str], silent: bool = False, capture: bool = False, cwd: str | None = None
) -> Outcome:
    """Run an installer; `silent` shows its output only when it fails, `capture` returns its standard output."""
    from hwb import proc
    from hwb.context import current

    context = current()
    hidden = silent or capture
    tee = _Tee(-1 if hidden else context.log.fileno(), context.secrets)
    try:
        done = proc.run(argv, env=env, check=False, capture=hidden, stderr=tee.write_fd, cwd=cwd, quiet=hidden)
    finally:
        stderr = tee.end()
    return Outcome(done, stderr, hidden=silent)


def _show(outcome: Outcome) -> None:
    from hwb.context import current
    from hwb.redact import Redactor

    if outcome.hidden:
        context = current()
        context.log.write(Redactor(context.secrets).text(outcome.done.text) + outcome.stderr)


def settle(what: str, online: Callable[[], Outcome], from_cache: Callable[[], Outcome], *, offline: bool) -> Outcome:
    """Try online, and from the cache when the network does not answer (only from the cache when `offline`).

    Raises OfflineError, naming what the cache lacks; DependencyError with the installer's standard error; NetworkDown.
    """
    if offline:
        outcome = from_cache()
        if outcome.ok:
            return outcome
        raise _failed(outcome, _offline_error(what, outcome))
    if time.monotonic() < _silence.until:
        outcome = from_cache()
        if outcome.ok:
            return outcome
    outcome = online()
    if outcome.ok:
        if _NETWORK.search(outcome.stderr):
            _note_silence(what)  # pip goes on with what it has, and succeeds if that is enough
        else:
            _silence.until = 0.0
        return outcome
    if not _NETWORK.search(outcome.stderr):
        raise _failed(outcome, _plain_error(what, outcome))
    cached = from_cache()
    if not cached.ok:
        raise _failed(outcome, _down_error(what, outcome, cached))
    _note_silence(what)
    return cached


def _note_silence(what: str) -> None:
    from hwb.context import current

    _silence.until = time.monotonic() + _SILENCE_SECONDS
    text = f"{what}: the network does not answer; taken from the cache, where versions may be older"
    current().emit("message", level="warning", text=text)


def _failed(outcome: Outcome, error: HwbError) -> HwbError:
    _show(outcome)
    return error


def _plain_error(what: str, outcome: Outcome) -> DependencyError:
    error = DependencyError(f"{what} failed", detail=outcome.stderr, remedy=_remedy(outcome.stderr))
    error.return_code = outcome.done.return_code
    return error


def _missing(outcome: Outcome) -> str:
    names = {next(filter(None, match.groups())) for match in _MISSING.finditer(outcome.stderr)}
    return ", ".join(sorted(names))


def _offline_error(what: str, outcome: Outcome) -> HwbError:
    missing = _missing(outcome)
    if not missing and not _CACHE_ONLY.search(outcome.stderr) and not _NETWORK.search(outcome.stderr):
        return _plain_error(what, outcome)
    return OfflineError(f"{what}: offline, and the cache lacks {missing or 'something'}", detail=outcome.stderr)


def _down_error(what: str, outcome: Outcome, cached: Outcome) -> NetworkDown:
    lacks = _missing(cached)
    return NetworkDown(
        f"{what}: the network does not answer" + (f", and the cache lacks {lacks}" if lacks else ""),
        detail=outcome.stderr,
        remedy="check the connection and the proxy variables, then run it again",
    )


def _remedy(stderr: str) -> str:
    if re.search(r"No solution found|ResolutionImpossible|conflicting dependencies|No matching distribution", stderr):
        return "check names and versions of the requirements, and that the index has them for this Python"
    return "read what the installer says above"
