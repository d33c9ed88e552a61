"""How is one session run, from its specification to its outcome, in whatever thread or process this is?"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from hwb import procgroup
from hwb.context import CancelToken, Context, use
from hwb.errors import Cancelled, HwbError, SessionTimeout
from hwb.fs import FileLock, remove_tree
from hwb.runner.outcome import Outcome, Status
from hwb.session import Session
from hwb.spec import Quit, Services, SessionSpec, Skip

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwb.config import Settings
    from hwb.context import LogSink
    from hwb.declare import Recipe

__all__ = ["INTERRUPTED", "TIMED_OUT", "make_context", "private_directory", "run_session"]

TIMED_OUT = "the session's time is over"
"""The reason with which the scheduler cancels a session whose recipe itself (not a command) takes too long."""
INTERRUPTED = "SIGINT"
"""The reason of a session that ended by Ctrl-C on its own terminal, where hwb gets no signal: it calls the run off."""
_END_GRACE = (0.3, 0.2)
"""Seconds that background processes of a finished session get before TERM and before KILL."""


def make_context(
    spec: SessionSpec,
    services: Services,
    log: LogSink,
    token: CancelToken,
    emit: Callable[..., None],
    announce: Callable[..., None],
    terminal: Any = None,
    *,
    log_messages: bool = True,
) -> Context:
    """The context that a session works in: its own directory, environment (without upload credentials), log, mark.

    Messages are written to the log, too, so that it is complete; whoever shows the log as it grows shows them once.
    """
    settings = services.settings

    def told(kind: str, **values: Any) -> None:
        if kind == "message" and log_messages:
            level = values["level"]
            log.write(f"{values['text']}\n" if level == "info" else f"{level}: {values['text']}\n")
        emit(kind, spec.id, **values)

    return Context(
        token=token,
        log=log,
        cwd=spec.root,
        outer_env=services.environ,
        mark=procgroup.extend_mark(os.environ, spec.run_id, str(spec.number)),
        secrets=services.secrets,
        emit=told,
        deadline=None if spec.timeout is None else time.monotonic() + spec.timeout,
        idle_timeout=settings.get("idle-timeout"),
        offline=settings.get("offline"),
        verbose=spec.verbose,
        shared=services.shared,
        terminal=terminal if spec.interactive else None,
        announce_group=announce,
    )


def run_session(spec: SessionSpec, services: Services, context: Context, *, real_cwd: bool = False) -> Outcome:
    """Make the environment, call the recipe, clean up; never raises: whatever happens becomes the outcome."""
    started = time.monotonic()
    own = os.getpid()
    session = Session(spec, services, context, real_cwd=real_cwd)
    with use(context), _Environment(session, spec) as environment:
        status, reason, error = _outcome_of(session, spec, services, environment)
        if os.getpid() != own:  # the recipe forked and its child came back: the session is its parent's
            os._exit(0 if status is Status.SUCCESS else 1)
        if status is Status.FAILED:
            session._fail()
        _end_processes(context, spec)
        kept = environment.close(keep=status is Status.FAILED)
    return Outcome(
        spec.id,
        status,
        time.monotonic() - started,
        reason,
        error.as_dict() if error is not None else None,
        error.exit_code if error is not None else 0,
        spec.log,
        kept,
        spec.attempt,
    )


def _outcome_of(
    session: Session, spec: SessionSpec, services: Services, environment: _Environment
) -> tuple[Status, str, HwbError | None]:
    """The one place where what a recipe raises becomes a status."""
    context = session._context
    recipe: Recipe | None = None
    original = context.token
    known = list(sys.path)
    try:
        entry = services.catalog[spec.recipe]
        recipe = entry.top
        environment.make(entry)
        try:
            _emit_result(session, session._call(recipe, _parameters(recipe, spec)))
        finally:  # what hwb itself imports from now on must be found, whatever the recipe did
            sys.path.extend(path for path in known if path not in sys.path)
        original.check()
    except Skip as skip:
        return Status.SKIPPED, _words(skip), None
    except Quit as quit_:
        failure = HwbError(_words(quit_) or "session.error was called", where=_where(quit_, recipe))
        return Status.FAILED, failure.what, failure
    except (Cancelled, KeyboardInterrupt) as cancelled:
        typed = isinstance(cancelled, KeyboardInterrupt)  # Ctrl-C on a terminal that belonged to a command
        reason = original.reason or (INTERRUPTED if typed else str(cancelled))
        if reason == TIMED_OUT:
            return _timed_out(spec)
        return Status.ABORTED, reason, None
    except SessionTimeout:
        return _timed_out(spec)
    except HwbError as error:
        if original.cancelled and original.reason != TIMED_OUT:
            return Status.ABORTED, original.reason or "", None
        error.where = error.where or _where(error, recipe)
        context.log.write(error.explain() + "\n")
        return Status.FAILED, error.what, error
    except BaseException as error:  # a recipe is the user's code: whatever it raises fails its session
        return _raised(context, error, recipe)
    return Status.SUCCESS, "", None


def _timed_out(spec: SessionSpec) -> tuple[Status, str, HwbError]:
    what = f"took longer than {spec.timeout:g} s" if spec.timeout else "took longer than it may"
    error = SessionTimeout(
        f"session {spec.id} {what}", remedy="raise timeout= of the recipe, or find what hangs in the log"
    )
    return Status.FAILED, error.what, error


def _raised(context: Context, error: BaseException, recipe: Recipe | None) -> tuple[Status, str, HwbError]:
    where = _where(error, recipe)
    if isinstance(error, SystemExit):
        what = f"the recipe called sys.exit({error.code!r})"
        failure: HwbError = _RecipeRaised(what, where=where, remedy="return, or call session.error or session.skip")
    else:
        said = _said(error)
        name = f"{type(error).__name__}: {said}" if said else type(error).__name__
        failure = _RecipeRaised(f"the recipe raised {name}", where=where, remedy="mend the recipe at that line")
    import traceback

    context.log.write("".join(traceback.format_exception(type(error), error, error.__traceback__)))
    return Status.FAILED, failure.what, failure


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # the user's own class, which cannot even be shown
        return ""


class _RecipeRaised(HwbError):
    """A recipe ended with an exception that is not hwb's."""

    code = "RECIPE_RAISED"


def _words(error: BaseException) -> str:
    """`session.error("...%s", x)` may carry logging-style arguments."""
    if len(error.args) > 1 and isinstance(error.args[0], str) and "%" in error.args[0]:
        return error.args[0] % error.args[1:]
    return " ".join(map(str, error.args))


def _where(error: BaseException, recipe: Recipe | None) -> str:
    """file:line of the deepest frame in the recipe's own file, else of the recipe."""
    if recipe is None:
        return ""
    where, trace = recipe.where, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == recipe.file:
            where = f"{recipe.file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return where


def _parameters(recipe: Recipe, spec: SessionSpec) -> dict[str, Any]:
    if spec.param_index is None or recipe.params is None:
        return {}
    values = dict(recipe.params[spec.param_index].values)
    code = recipe.function.__code__
    if "python" in values and "python" not in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
        del values["python"]
    return values


def _emit_result(session: Session, result: Any) -> None:
    """A recipe may return what it made: paths are recorded, artifacts are recorded already."""
    from hwb.artifacts import Artifact

    for item in result if isinstance(result, (list, tuple)) else [result]:
        if isinstance(item, (str, os.PathLike)) and not isinstance(item, Artifact) and os.path.isfile(item):
            session.emit(item)


def _end_processes(context: Context, spec: SessionSpec) -> None:
    """No process outlives its session: background ones get grace, then force; strays are found by their mark."""
    for group in list(context.groups):
        if procgroup.group_alive(group):
            context.emit("message", level="debug", text=f"ending background processes of group {group}")
            procgroup.stop_group(group, _END_GRACE, first=_terminate())
        context.groups.remove(group)
        context.announce_group(group, False)
    if context.token.cancelled or (context.deadline is not None and time.monotonic() >= context.deadline):
        procgroup.kill_marked(spec.run_id, str(spec.number), sure=True)


def _terminate() -> int:
    import signal

    return signal.SIGTERM


class _Environment:
    """The session's environment: made before the recipe is called, removed or kept when it is over."""

    __slots__ = ("_lock", "_path", "_session", "_spec")

    def __init__(self, session: Session, spec: SessionSpec) -> None:
        self._session = session
        self._spec = spec
        self._path = ""
        self._lock: FileLock | None = None

    def __enter__(self) -> _Environment:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._lock is not None:
            self._lock.release()

    def make(self, entry: Any) -> None:
        """Find the interpreter and make or reuse the environment; nothing where the recipe wants none."""
        session, spec = self._session, self._spec
        backend = _backend(entry, spec, session.config)
        if backend is None:
            return
        from hwb.isolation.venv import make_venv

        interpreter = session._default_interpreter()
        path, reuse = self._place()
        venv = make_venv(
            path, interpreter, backend=backend, params=tuple(entry.option("venv_params") or ()), reuse=reuse
        )
        self._path = path
        session._provide(venv)

    def _place(self) -> tuple[str, bool]:
        """A kept place when environments are reused and nobody else uses it right now; else one of this run."""
        own = self._session._virtualenv.location
        if not self._spec.reuse:
            return own, False
        state = os.path.dirname(os.path.dirname(self._spec.run_dir))
        kept = os.path.join(state, "envs", os.path.basename(own))
        lock = FileLock(f"{kept}.lock")
        if not lock.acquire(blocking=False):
            self._session.log("another run uses %s: this session gets an environment of its own", kept)
            return own, False
        self._lock = lock
        return kept, True

    def close(self, *, keep: bool) -> str:
        """Remove an environment of this run unless it shall be kept; the path of a kept one."""
        path = self._path or self._session._virtualenv.location
        reused = self._lock is not None
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        if reused or (keep and self._path):
            return self._path
        if os.path.isdir(path):
            remove_tree(path)
        return ""


def _backend(entry: Any, spec: SessionSpec, settings: Settings) -> str | None:
    """Which backend makes the environment: the command line's, the recipe's, the settings'; None for no environment."""
    wanted = entry.option("venv_backend") or settings.get("default-venv-backend")
    isolation = entry.option("isolation") or settings.get("isolation")
    if isolation == "none" or wanted == "none" or spec.python is False:
        return None
    return str(wanted)


def private_directory() -> bool:
    """Give this thread a working directory of its own (Linux, where permitted), so that even `os.chdir` is harmless."""
    if sys.platform != "linux":
        return False
    try:
        if sys.version_info >= (3, 12):
            os.unshare(os.CLONE_FS)
            return True
        import ctypes

        return bool(ctypes.CDLL(None, use_errno=True).unshare(0x200) == 0)
    except (OSError, AttributeError):
        return False  # Docker's default seccomp profile says EPERM
