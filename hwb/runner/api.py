"""How is a whole run done: from a workspace and a request to outcomes, with its files, screen, signals and watcher?"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TextIO, cast

from hwb import procgroup
from hwb.errors import HwbError, UsageError
from hwb.plan import Plan, PlannedSession, Request, make_plan
from hwb.runner.display import Display, GuardedScreen, folds, is_board
from hwb.runner.outcome import Outcome, Status, exit_code
from hwb.runner.signals import CODES, interrupting
from hwb.spec import Services, SessionSpec, safe_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwb.artifacts import Artifact, Ledger
    from hwb.redact import Redactor
    from hwb.runner.earlier import Continuation
    from hwb.runner.rundir import RunDir
    from hwb.workspace import Workspace

__all__ = ["Flags", "RunResult", "execute", "run"]

_PUBLISHING = ("publish", "release")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Flags:
    """What a run does differently when asked to; the words are nox's."""

    posargs: tuple[str, ...] = ()
    arguments: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Arguments for single sessions or recipes, by name; they replace `posargs` there."""
    install_only: bool = False
    no_install: bool = False
    non_interactive: bool = False
    command: tuple[str, ...] = ()
    targets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The wheels that are made (`hwb.machine.as_record`), by identifier."""
    missing: Sequence[tuple[str, str]] | None = None
    """Identifiers of wheels that are not made here, with reasons; None when nobody looked at the whole project."""
    partial: bool = False
    """Whether a registry that others use may get less than all wheels."""
    keep: bool = False
    """Whether the container of a wheel that fails stays."""
    resume: bool = False
    """Whether sessions that the last run of the same plan has done are not run again."""


@dataclass(frozen=True, slots=True, eq=False)
class RunResult:
    """A finished run: exit code, outcomes in planned order, artifacts that count, and where it is written down."""

    exit_code: int
    outcomes: tuple[Outcome, ...]
    artifacts: tuple[Artifact, ...]
    run_dir: str

    @property
    def ok(self) -> bool:
        """Whether nothing failed and something ran."""
        return self.exit_code == 0

    @property
    def report(self) -> str:
        """Path of `report.json`."""
        return os.path.join(self.run_dir, "report.json")


def run(
    *names: str,
    directory: str | os.PathLike[str] | None = None,
    file: str | os.PathLike[str] | None = None,
    posargs: Sequence[str] = (),
    keywords: str | None = None,
    tags: Sequence[str] = (),
    pythons: Sequence[str] = (),
    stream: TextIO | None = None,
    verbose: int = 0,
    partial: bool = False,
    resume: bool = False,
    **settings: Any,
) -> RunResult:
    """Run sessions from Python, as `hwb run` does; quiet unless `stream` is given. Keywords beyond these are settings.
    `partial` lets a registry that others use have less than all wheels; `resume` continues the last run of this plan.

    >>> hwb.run("release", directory="my-project", jobs=2)          # doctest: +SKIP

    Raises UsageError, ConfigError, HwbfileError, NothingToRun before anything runs; failures are in the result.
    """
    from hwb.machine import wanted
    from hwb.workspace import open_workspace

    workspace = open_workspace(
        os.fspath(directory) if directory is not None else None,
        os.fspath(file) if file is not None else None,
        settings,
    )
    request = Request(
        tuple(names),
        keywords,
        tuple(tags),
        tuple(pythons),
        default_backend=workspace.settings.get("default-venv-backend"),
        defaults=tuple(workspace.settings.get("sessions")),
    )
    wheels = wanted(workspace, request.names or request.defaults)
    plan = make_plan(workspace.catalog, replace(request, targets=tuple(wheels.made)))
    flags = Flags(
        tuple(posargs),
        non_interactive=True,
        command=("run", *names),
        targets=wheels.made,
        missing=wheels.missing,
        partial=partial,
        resume=resume,
    )
    return execute(workspace, plan, flags, Display(stream=stream, verbose=verbose))


def execute(workspace: Workspace, plan: Plan, flags: Flags, display: Display) -> RunResult:
    """Run a plan: files, sinks, watcher and signal handlers around the scheduler. Never leaves a process behind."""
    return _Run(workspace, plan, flags, display).go()


class _Run:
    """One invocation; its parts in the order in which they are needed."""

    def __init__(self, workspace: Workspace, plan: Plan, flags: Flags, display: Display) -> None:
        from hwb.runner.log import AbandonedStream

        self._workspace = workspace
        self._settings = workspace.settings
        self._plan = plan
        self._flags = flags
        self._display = replace(
            display,
            stream=cast("TextIO", AbandonedStream(display.stream)) if display.stream is not None else None,
            events=cast("TextIO", AbandonedStream(display.events)) if display.events is not None else None,
        )
        self._jobs = self._job_count()
        self._single = len(plan.sessions) == 1
        self._releases = any(session.recipe in _PUBLISHING for session in plan.sessions)
        self._board = is_board(display.stream) and not is_board(display.events)
        self._numbers: dict[str, int] = {}
        self._dir: RunDir
        self._continues: Continuation
        self._secrets: tuple[bytes, ...] = ()
        self._settings_json = workspace.settings.to_json()
        self._streamer: Any = None
        self._screen: GuardedScreen | None = None
        self._seen: set[str] = set()
        """Sessions whose log a person sees as it grows: their messages are in it."""
        self._files: list[Any] = []
        _check_arguments(flags, plan)

    def _job_count(self) -> int:
        """`auto`: one for each processor that this process may use; a single session is never parallel."""
        wanted = self._settings.get("jobs")
        if len(self._plan.sessions) == 1:
            return 1
        if wanted != "auto":
            return int(wanted)
        if hasattr(os, "sched_getaffinity"):
            return max(1, len(os.sched_getaffinity(0)))
        return os.cpu_count() or 1

    def go(self) -> RunResult:
        import gc

        from hwb.redact import Redactor, secret_values
        from hwb.runner.earlier import Continuation

        gc.enable()  # the command line's start-up runs without
        self._secrets = secret_values(os.environ, self._settings.get("secrets"))
        redactor = Redactor(self._secrets)
        self._continues = Continuation(self._workspace, self._plan, self._flags, self._arguments, redactor)
        try:
            if self._flags.resume:
                self._continues.resume()
            return self._go(redactor)
        finally:
            self._continues.close()

    def _go(self, redactor: Redactor) -> RunResult:
        from hwb.artifacts import Ledger
        from hwb.runner.report import Bus
        from hwb.runner.rundir import open_run_dir
        from hwb.runner.watcher import Watcher

        started = time.monotonic()
        names = [safe_name(name) for name in self._plan.ids]
        self._dir = open_run_dir(self._workspace.root, names, self._settings.get("keep-runs"))
        watcher = Watcher(self._dir.id, self._dir.report)
        watcher.temporary(os.path.join(self._dir.path, "envs"))
        ledger = Ledger(self._dir.ledger)
        if self._flags.missing is not None:
            ledger.set_missing(self._flags.missing)
        bus = Bus(self._sinks(), redactor)
        try:
            self._announce(bus)
            self._continues.begin(self._dir, ledger, bus.emit)
            outcomes, code = self._schedule(ledger, bus, watcher)
            self._complete_manifests(ledger, bus)
            self._finish(bus, outcomes, code, time.monotonic() - started)
            self._check_files()
            return RunResult(code, tuple(outcomes), ledger.leaves(), self._dir.path)
        finally:
            procgroup.kill_marked(self._dir.id)
            bus.close()
            watcher.close()
            self._dir.close()

    # --- sinks ----------------------------------------------------------------------------------------------

    def _sinks(self) -> list[Any]:
        from hwb.runner.report import EventLines, Report

        # closed by its sink
        lines = open(self._dir.events, "a", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
        self._files = [EventLines(lines, owned=True), Report(self._dir.report, self._continues.resumed)]
        sinks: list[Any] = [*self._files]
        if self._display.events is not None:
            sinks.append(EventLines(self._display.events, owned=False))
        if self._display.stream is not None:
            sinks += self._screen_sinks(self._display.stream)
        return sinks

    def _check_files(self) -> None:
        """A run whose report or events could not be written is no success, whatever its sessions did."""
        for sink in self._files:
            if sink.failure is not None:
                what = f"the files of the run cannot be written: {sink.failure.strerror}: {self._dir.path}"
                raise HwbError(what, remedy="see to the disk that they lie on, and run again")

    def _screen_sinks(self, stream: TextIO) -> list[Any]:
        """Output as it comes when one session runs at a time and no board hides it; else whole blocks at `-v`."""
        from hwb.runner.log import log_blocks, tail
        from hwb.screen import make_sink

        display = self._display
        one_by_one = self._jobs == 1
        plain = display.verbose > 0 or not self._board
        streams = one_by_one and plain and not display.quiet and not folds()
        screen = make_sink(
            stream,
            mode="plain" if is_board(stream) and not self._board else "auto",  # JSON lines on the same terminal
            verbose=display.verbose,
            quiet=display.quiet,
            color=display.color,
            tail=lambda session: tail(self._log_path(session)),
            stream_output=streams,
            last_line=lambda session: tail(self._log_path(session), 1, 4096),
            log_text=lambda session: log_blocks(self._log_path(session)),
        )
        self._screen = GuardedScreen(screen, self._is_seen if not streams else lambda _session: True)
        if streams or (display.verbose and not folds()):
            from hwb.runner.stream import Streamer

            self._streamer = Streamer(stream, blocks=not streams, silent=self._seen)
            return [self._streamer, self._screen]
        return [self._screen]

    def _is_seen(self, session: str) -> bool:
        return session in self._seen

    def _log_path(self, session: str) -> str:
        return os.path.join(self._dir.logs, f"{safe_name(session)}.log")

    def _tick(self) -> float | None:
        """Called between messages; how soon to be called again (seconds), None when nothing is drawn."""
        wait = None
        if self._streamer is not None:
            self._streamer.tick()
            wait = 0.05
        if self._screen is not None and self._board:
            self._screen.tick(time.monotonic())
            wait = 0.1
        return wait

    def _announce(self, bus: Any) -> None:
        from hwb import __version__

        bus.emit(
            "run-started",
            run_id=self._dir.id,
            version=__version__,
            directory=self._workspace.root,
            sessions=self._plan.ids,
            jobs=self._jobs,
            command=list(self._flags.command),
        )
        for warning in (*self._settings.warnings, *self._workspace.catalog.warnings):
            bus.emit("message", level="warning", text=warning)

    def _complete_manifests(self, ledger: Ledger, bus: Any) -> None:
        from hwb.artifacts import complete_manifests

        try:
            complete_manifests(ledger)
        except OSError as error:
            text = f"the manifest does not say what was found out: {error.strerror}: {error.filename}"
            bus.emit("message", level="warning", text=text)

    def _finish(self, bus: Any, outcomes: Sequence[Outcome], code: int, seconds: float) -> None:
        counts = {status.value: sum(o.status is status for o in outcomes) for status in Status}
        bus.emit(
            "run-finished",
            exit_code=code,
            seconds=seconds,
            counts={name: count for name, count in counts.items() if count},
            report=self._dir.report,
        )

    # --- the schedule ---------------------------------------------------------------------------------------

    def _schedule(self, ledger: Any, bus: Any, watcher: Any) -> tuple[list[Outcome], int]:
        from hwb.redact import without_credentials
        from hwb.runner.local import LocalExecutor
        from hwb.runner.scheduler import Limits, Scheduler

        services = Services(
            self._workspace.catalog,
            self._settings,
            ledger,
            None,  # type: ignore[arg-type]  # the scheduler, made below, needs the executor first
            self._secrets,
            without_credentials(os.environ, self._settings.get("secrets")),
        )
        executor = LocalExecutor(
            services,
            bus.emit,
            watcher.group,
            slots=self._jobs,
            terminal=self._terminal(),
            echo=self._echo if self._display.stream is not None else None,
        )
        limits = Limits(
            self._settings.get("resources"),
            self._settings.get("run-timeout"),
            self._settings.get("stop-on-first-error"),
            self._settings.get("retries"),
        )
        scheduler = Scheduler(
            self._plan,
            self._workspace.catalog,
            executor,
            self._spec,
            bus.emit,
            limits,
            tick=self._tick,
            settled=self._continues.outcomes,
            finished=lambda outcome: self._continues.finished(outcome, bus.emit),
        )
        services.notifier = scheduler
        from hwb.runner.log import RoutedStream

        restore = RoutedStream.install()
        try:
            with interrupting(scheduler) as received:
                outcomes = scheduler.run()
        finally:
            restore()
            services.close()
        if services.shared:  # something was built, so the store has grown
            from hwb.pruning import prune_sometimes

            prune_sometimes()
        why = received[0] if received else scheduler.interrupted
        return outcomes, exit_code(outcomes, CODES.get(why, 1) if why else 0)

    def _terminal_wanted(self) -> bool:
        return self._display.interactive and not self._flags.non_interactive

    def _terminal(self) -> Any:
        if not self._terminal_wanted():
            return None
        from hwb.terminal import Terminal

        screen = self._screen
        return Terminal(*((screen.pause, screen.resume) if screen is not None else (_nothing, _nothing)))

    def _echo(self, text: str) -> None:
        """hwb's own lines of an interactive session, whose commands write to the terminal themselves."""
        if self._display.stream is not None and self._screen is not None and not self._display.quiet:
            self._screen.beside(self._display.stream, text)

    def _spec(self, session: PlannedSession, posargs: Sequence[str] | None, attempt: int, alone: bool) -> SessionSpec:
        entry = self._workspace.catalog.entries[session.recipe]
        params = entry.top.params
        index = None
        if session.params is not None and params is not None:
            index = next(n for n, candidate in enumerate(params) if candidate is session.params)
        timeout = entry.option("timeout", self._settings.get("timeout"))
        interactive = self._terminal_wanted() and (alone or self._single)
        if interactive and not self._display.quiet:
            self._seen.add(session.id)
        return SessionSpec(
            id=session.id,
            recipe=session.recipe,
            number=self._numbers.setdefault(session.id, len(self._numbers)),
            run_id=self._dir.id,
            root=self._workspace.root,
            run_dir=self._dir.path,
            log=self._log_path(session.id),
            hwbfile=self._workspace.hwbfile,
            organisation=self._workspace.organisation,
            origin=entry.top.where,
            python=session.python,
            param_index=index,
            posargs=tuple(self._arguments(session) if posargs is None else posargs),
            settings=self._settings_json,
            ledger=self._dir.ledger,
            invoked_from=self._workspace.invoked_from,
            attempt=attempt,
            parallel=self._jobs > 1,
            interactive=interactive,
            install_only=self._flags.install_only,
            no_install=self._flags.no_install,
            reuse=self._reuse(entry),
            verbose=self._display.verbose,
            timeout=timeout,
            target=self._flags.targets.get(session.target),
            releases=self._releases,
            keep=self._flags.keep,
            partial=self._flags.partial,
        )

    def _arguments(self, session: PlannedSession) -> Sequence[str]:
        for name in (*session.signatures, session.recipe):
            if name in self._flags.arguments:
                return self._flags.arguments[name]
        return self._flags.posargs

    def _reuse(self, entry: Any) -> bool:
        """nox's four words: the recipe decides under "no" and "yes", which differ in what it means to say nothing."""
        policy = self._settings.get("reuse-venv")
        if policy in ("never", "always"):
            return bool(policy == "always")
        return bool(entry.option("reuse_venv", policy == "yes"))


def _nothing() -> None:
    """No board to hide."""


def _check_arguments(flags: Flags, plan: Plan) -> None:
    for name in flags.arguments:
        if not any(session.answers_to(name) for session in plan.sessions):
            raise UsageError(
                f"--args {name}=...: no session of that name is in this run",
                remedy=f"one of: {', '.join(plan.ids[:10])}",
            )
