"""How do sessions run on this machine? Each in a thread, or (`process=True`) in a process of its own."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from hwb.context import CancelToken
from hwb.errors import HwbError
from hwb.redact import Redactor
from hwb.runner.log import SessionLog
from hwb.runner.outcome import Outcome, Status
from hwb.runner.work import make_context, private_directory, run_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwb.spec import Services, SessionSpec

__all__ = ["Executor", "LocalExecutor", "Running"]


class Running(Protocol):
    """A submitted session: `cancel` ends it with its whole process tree; its outcome comes through `on_done`."""

    def cancel(self, reason: str) -> None:
        """Call it off."""
        ...


class Executor(Protocol):
    """Where sessions run: threads here, later another machine."""

    def submit(self, spec: SessionSpec, on_done: Callable[[Outcome], None]) -> Running:
        """Start it; `on_done(outcome)` is called once, from any thread."""
        ...

    def slots(self) -> int:
        """How many sessions may run at once."""
        ...

    def labels(self) -> frozenset[str]:
        """What this place offers, e.g. `linux-x86_64`."""
        ...


class _Thread:
    """One session in one thread."""

    __slots__ = ("thread", "token")

    def __init__(self, token: CancelToken, thread: threading.Thread) -> None:
        self.token = token
        self.thread = thread

    def cancel(self, reason: str) -> None:
        self.token.cancel(reason)


class LocalExecutor:
    """Threads of this process; a thread has a private working directory where the system permits one."""

    def __init__(
        self,
        services: Services,
        emit: Callable[..., None],
        announce: Callable[..., None],
        *,
        slots: int,
        terminal: Any = None,
        echo: Callable[[str], None] | None = None,
    ) -> None:
        self._services = services
        self._emit = emit
        self._announce = announce
        self._slots = slots
        self._terminal = terminal
        self._echo = echo

    def slots(self) -> int:
        """As many as `--jobs` says."""
        return self._slots

    def labels(self) -> frozenset[str]:
        """This machine's platform."""
        import platform
        import sys

        return frozenset({f"{sys.platform}-{platform.machine().lower()}"})

    def submit(self, spec: SessionSpec, on_done: Callable[[Outcome], None]) -> Running:
        """Start a thread for it."""
        token = CancelToken()
        thread = threading.Thread(target=self._work, args=(spec, token, on_done), name=f"hwb-{spec.id}", daemon=True)
        running = _Thread(token, thread)
        thread.start()
        return running

    def _work(self, spec: SessionSpec, token: CancelToken, on_done: Callable[[Outcome], None]) -> None:
        outcome = Outcome(spec.id, Status.FAILED, reason="internal error", exit_code=1, log=spec.log)
        try:
            outcome = self._outcome(spec, token)
        except HwbError as error:
            outcome = replace(outcome, reason=error.what, error=error.as_dict(), exit_code=error.exit_code)
        except BaseException as error:  # a fault of ours is told, too
            import traceback

            reason = f"internal error: {type(error).__name__}: {error}"
            outcome = replace(outcome, reason=reason, error={"what": reason, "detail": traceback.format_exc()})
        finally:  # whatever happened: the scheduler waits for an outcome
            token.close()
            on_done(replace(outcome, attempt=spec.attempt))

    def _outcome(self, spec: SessionSpec, token: CancelToken) -> Outcome:
        log = SessionLog(spec.log, Redactor(self._services.secrets), self._echo if spec.interactive else None)
        try:
            apart = self._services.catalog[spec.recipe].option("process", False)
            context = make_context(
                spec,
                self._services,
                log,
                token,
                self._emit,
                self._announce,
                self._terminal,
                log_messages=not apart,  # the child does that itself
            )
            if apart:
                from hwb.runner.child import run_in_process

                return run_in_process(spec, self._services, context)
            return self._in_thread(spec, context)
        finally:
            log.close()

    def _in_thread(self, spec: SessionSpec, context: Any) -> Outcome:
        """With a private directory `os.chdir` is real; alone in the process it is too, and undone afterwards."""
        if private_directory():
            os.chdir(spec.root)
            return run_session(spec, self._services, context, real_cwd=True)
        if spec.parallel:
            return run_session(spec, self._services, context)
        before = os.getcwd()
        os.chdir(spec.root)
        try:
            return run_session(spec, self._services, context, real_cwd=True)
        finally:
            os.chdir(before)
