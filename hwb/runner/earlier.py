"""Which earlier run does `--resume` continue, what of it still holds, and what does this run leave for the next one?"""

from __future__ import annotations

import json
import os
import sys
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from hwb import places
from hwb.errors import HwbError, OutputError, SourceError, UsageError
from hwb.fs import FileLock, atomic_write
from hwb.runner import resuming
from hwb.runner.outcome import Outcome, Status
from hwb.runner.resuming import Sources
from hwb.runner.rundir import RunDir, runs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from hwb.artifacts import Artifact, Ledger
    from hwb.plan import Plan, PlannedSession
    from hwb.redact import Redactor
    from hwb.runner.api import Flags
    from hwb.snapshot import Tree
    from hwb.workspace import Workspace

__all__ = ["Continuation", "plan_record", "read_sources"]

_PATIENCE = 3.0
"""Seconds in which a run that was killed must have let go of its directory."""
_MOST_FILES, _MOST_BYTES = 20_000, 1 << 28
"""So much that git does not know is looked at before every run; a directory with more is no project's."""
_MOST_NAMES = 2_000
"""So many files are written down, to tell a person later which of them changed."""


class Continuation:
    """What one run has to do with `--resume`: what it takes over from an earlier one, and what it leaves for a later.

    A run of a single session leaves nothing: it would be all that there is to do again.
    """

    def __init__(
        self,
        workspace: Workspace,
        plan: Plan,
        flags: Flags,
        arguments: Callable[[PlannedSession], Sequence[str]],
        redactor: Redactor,
    ) -> None:
        self._workspace = workspace
        self._plan = plan
        self._record = plan_record(workspace, plan, flags, arguments, redactor)
        self._sources = Sources()
        self._ledger: Ledger | None = None
        self._inputs: resuming.Inputs | None = None
        self._records: list[dict[str, Any]] = []
        self._lock: FileLock | None = None
        self._told: list[tuple[str, str]] = []
        self._own = ""
        self.resumed = ""
        """The run that is continued; empty without one."""
        self.outcomes: dict[str, Outcome] = {}
        """How the sessions that are taken over ended."""

    @property
    def _leaves_something(self) -> bool:
        return len(self._plan.sessions) > 1

    @property
    def _base(self) -> str:
        return resuming.digest_of(self._record["digest"], self._sources.digest)

    def resume(self) -> None:
        """Find the last run of this plan, keep it, and see what of it holds. Raises UsageError when there is none,
        SourceError when nobody can say whether the sources changed, HwbError for a run that cannot be read."""
        if self._leaves_something:
            self._sources = self._read_sources()
        runs = runs_of(self._workspace.root)
        try:
            path, record = self._hold(runs)
            self.resumed = os.path.basename(path)
            self._take(runs, path, record)
        except OSError as error:
            what = f"the run to resume cannot be read: {error.strerror}: {error.filename}"
            raise HwbError(what, remedy="leave --resume out, or see to the rights of that file") from error

    def _read_sources(self) -> Sources:
        root = self._workspace.root
        return read_sources(root, os.path.join(root, self._workspace.settings.get("output-dir")))

    def _hold(self, runs: str) -> tuple[str, dict[str, Any]]:
        """The last run of this plan, locked; looked for again while it is in use: who uses it may make a later one."""
        end = time.monotonic() + _PATIENCE
        while True:
            path, record = self._last(runs)
            lock = FileLock(os.path.join(path, "lock"))
            if lock.acquire(blocking=False):
                self._lock = lock
                return path, record
            if time.monotonic() > end:
                what = f"the last run of this plan is still in use: {os.path.basename(path)}"
                raise UsageError(what, remedy="it goes on, or is being resumed: wait for that, or leave --resume out")
            time.sleep(0.05)

    def _last(self, runs: str) -> tuple[str, dict[str, Any]]:
        """The newest run of the same plan, with what it said of it."""
        newest: tuple[str, dict[str, Any]] | None = None
        for path, record in _recorded(runs):
            if record["digest"] == self._record["digest"]:
                return path, record
            newest = newest or (path, record)
        if newest is None:
            raise UsageError("there is no run to resume in this project", remedy="leave --resume out")
        what = f"there is no run to resume: the last one ({os.path.basename(newest[0])}) had another plan"
        different = resuming.differences(newest[1], self._record)
        raise UsageError(what, detail="\n".join(different), remedy="leave --resume out, or ask for the same as then")

    def _take(self, runs: str, path: str, record: dict[str, Any]) -> None:
        from hwb.artifacts import Ledger

        ledger = os.path.join(path, "ledger.jsonl")
        records = Ledger.records(ledger) if os.path.isfile(ledger) else []
        taken, lost = resuming.taken_over(self._plan, self._base, records, cache(_is_there))
        self._records = resuming.part_of(records, taken)
        done = Ledger.of(self._records).done()
        self.outcomes = {name: _outcome(name, done[name], runs) for name in self._plan.ids if name in taken}
        self._told = list(self._words(Sources.of(record.get("sources")), lost))

    def _words(self, then: Sources, lost: dict[str, Artifact]) -> Iterator[tuple[str, str]]:
        """What a person is told of the run that is continued: levels and texts."""
        run, taken, planned = self.resumed, len(self.outcomes), len(self._plan.ids)
        if then.digest and then.digest != self._sources.digest:
            names = resuming.changed(then, self._sources)
            what = f"the sources are not those of the run {run} any more{f' ({names})' if names else ''}"
            yield "warning", f"{what}: every session runs again"
            return
        yield "info", f"continues the run {run}: {taken} of {planned} sessions are done"
        for name, artifact in lost.items():
            yield "info", f"{name} runs again: {artifact.path} is gone or was changed"

    # --- while the run goes ---------------------------------------------------------------------------------------

    def begin(self, run: RunDir, ledger: Ledger, emit: Callable[..., None]) -> None:
        """Copy what is taken over; say so; write down this run's plan, last: only then it can be continued itself."""
        self._own, self._ledger = run.id, ledger
        for level, text in self._told:
            emit("message", level=level, text=text)
        try:
            ledger.take_over(self._records)
        except OSError as error:
            what = f"the ledger of the run cannot be written: {error.strerror}: {run.ledger}"
            raise OutputError(what, remedy="see to the disk that it lies on, and run again") from error
        if self._leaves_something:
            self._sources = self._sources if self._sources.digest else self._sources_if_any(emit)
            if self._sources.digest:
                self._inputs = resuming.Inputs(self._plan, self._base, ledger.made_by)
        try:
            told = {**self._record, "sources": self._sources._asdict()}
            atomic_write(run.plan, json.dumps(told, indent=1) + "\n", durable=False)
        except OSError as error:
            emit("message", level="warning", text=f"this run cannot be resumed: {error.strerror}: {run.plan}")

    def _sources_if_any(self, emit: Callable[..., None]) -> Sources:
        try:
            return self._read_sources()
        except (HwbError, OSError, ValueError) as error:  # what only a later run could need fails no run
            emit("message", level="debug", text=f"this run cannot be resumed: {error}")
            return Sources()

    def finished(self, outcome: Outcome, emit: Callable[..., None]) -> None:
        """A session of this run ended: when it ended well, it need not run again."""
        if self._inputs is None or self._ledger is None:
            return
        if outcome.status not in (Status.SUCCESS, Status.SKIPPED):
            return
        try:
            inputs = self._inputs.of(outcome.session)
            self._ledger.add_done(outcome.session, inputs, outcome.status.value, self._own)
        except OSError as error:
            text = f"{outcome.session} will run again when the run is resumed: {error.strerror}"
            emit("message", level="warning", text=text)

    def close(self) -> None:
        """Let go of the run that was continued."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _outcome(session: str, done: dict[str, str], runs: str) -> Outcome:
    from hwb.spec import safe_name

    log = os.path.join(runs, done["run"], "logs", f"{safe_name(session)}.log")
    log = log if os.path.isfile(log) else ""
    return Outcome(session, Status(done["status"]), reason=f"done by run {done['run']}", log=log)


def _is_there(artifact: Artifact) -> bool:
    from hwb.fs import sha256_file

    try:
        return sha256_file(artifact.path) == artifact.sha256
    except OSError:
        return False


# --- earlier runs -----------------------------------------------------------------------------------------------------


def _recorded(runs: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The runs that told their plan, newest first; others were killed before, or are an older hwb's."""
    for name in sorted(os.listdir(runs) if os.path.isdir(runs) else (), reverse=True):
        path = os.path.join(runs, name)
        try:
            with open(os.path.join(path, RunDir.PLAN), encoding="utf-8") as handle:
                record = json.load(handle)
        except (OSError, ValueError):
            continue
        if resuming.is_record(record):
            yield path, record


# --- what decides -----------------------------------------------------------------------------------------------------


def plan_record(
    workspace: Workspace,
    plan: Plan,
    flags: Flags,
    arguments: Callable[[PlannedSession], Sequence[str]],
    redactor: Redactor,
) -> dict[str, Any]:
    """What decides the work of a run, as digests by name, and the digest of all of it. Secrets are masked before.

    The files of all recipes count, not only of those that are planned: a recipe can call others, and have them run.
    """
    from hwb import __version__
    from hwb.config import KEYS

    settings = {name: value.value for name, value in workspace.settings.items()}
    texts = {
        "sessions": resuming.session_texts(
            plan, workspace.catalog, arguments, lambda path: _named(path, workspace.root)
        ),
        "settings": resuming.decisive(settings, {name: key.default for name, key in KEYS.items()}),
        "targets": {name: json.dumps(one, sort_keys=True, default=repr) for name, one in flags.targets.items()},
    }
    digests = {key: {n: resuming.digest_of(redactor.text(t)) for n, t in table.items()} for key, table in texts.items()}
    options = [name for name in ("install_only", "no_install") if getattr(flags, name)]
    record = {
        "hwb": __version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "directory": workspace.root,
        "options": options,
        "files": _file_digests(workspace),
        **digests,
    }
    return {"schema": resuming.SCHEMA, "digest": resuming.digest_of(json.dumps(record, sort_keys=True)), **record}


def _file_digests(workspace: Workspace) -> dict[str, str]:
    found = {recipe.file for entry in workspace.catalog for recipe in entry.chain}
    found |= {path for path in (workspace.hwbfile, workspace.organisation) if path is not None}
    return {_named(path, workspace.root): _file_digest(path) for path in sorted(found)}


def _named(path: str, root: str) -> str:
    """A recipe's file as it is told: what is shipped is the same wherever hwb is installed."""
    shipped = os.path.join(places.recipes_dir(), "")
    if path.startswith(shipped):
        return f"hwb:{path.removeprefix(shipped)}"
    return path.removeprefix(os.path.join(root, ""))


def _file_digest(path: str) -> str:
    from hwb.loader import _sha256

    try:
        with open(path, "rb") as handle:
            return str(_sha256()(handle.read()).hexdigest())
    except OSError:
        return ""  # code that was made without a file


def read_sources(root: str, output: str) -> Sources:
    """The project's sources, with the digest that builds use. Raises SourceError, also for too much of them."""
    from hwb.snapshot import read_tree

    tree = read_tree(root, [output])
    loose = _loose(tree, output)
    return Sources(tree.digest, tree.commit or "", loose if len(loose) <= _MOST_NAMES else None)


def _loose(tree: Tree, output: str) -> dict[str, str]:
    """Size and time of each file whose bytes are read to see whether it changed."""
    total, found = 0, {}
    for name in _unknown_to_git(tree, output):
        try:
            status = os.lstat(os.path.join(tree.top, name))
        except OSError:
            found[name] = ""  # it was deleted
            continue
        found[name] = f"{status.st_size} {status.st_mtime_ns}"
        total += status.st_size
        if len(found) > _MOST_FILES or total > _MOST_BYTES:
            what = "there is too much here that git does not know, to see before every run whether it changed"
            raise SourceError(what, where=tree.top, remedy="let git ignore what is no source")
    return found


def _unknown_to_git(tree: Tree, output: str) -> Iterable[str]:
    from hwb.digest import plain_files

    if tree.state is None:
        return plain_files(tree.root, [os.path.realpath(output)])
    return [*tree.state.changed, *tree.untracked()]
