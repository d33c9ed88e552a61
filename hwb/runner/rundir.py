"""Where does a run keep its files, and which old ones go?"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hwb import places
from hwb.fs import FileLock, atomic_write, remove_tree, writable

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["RunDir", "open_run_dir", "runs_of", "state_of"]

NAME = ".hwb"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RunDir:
    """`.hwb/runs/<id>/`, held by a lock for as long as the run lives."""

    PLAN: ClassVar[str] = "plan.json"

    id: str
    state: str
    path: str
    lock: FileLock

    @property
    def report(self) -> str:
        """`report.json`: how it stands, written as the run goes."""
        return os.path.join(self.path, "report.json")

    @property
    def events(self) -> str:
        """`events.jsonl`: everything that happened."""
        return os.path.join(self.path, "events.jsonl")

    @property
    def ledger(self) -> str:
        """`ledger.jsonl`: what was produced, and what was found out about it."""
        return os.path.join(self.path, "ledger.jsonl")

    @property
    def plan(self) -> str:
        """`plan.json`: what decides its work, as digests, and that of the sources."""
        return os.path.join(self.path, self.PLAN)

    @property
    def logs(self) -> str:
        """The folder of the sessions' logs."""
        return os.path.join(self.path, "logs")

    def close(self) -> None:
        """The run is over: a later one may remove this directory."""
        self.lock.release()


def state_of(root: str) -> str:
    """The project's `.hwb`; when the project is read-only, a directory of its own in the user's state directory."""
    own = os.path.join(root, NAME)
    if writable(own if os.path.isdir(own) else root):
        return own
    from hashlib import sha256

    real = os.path.realpath(root)
    name = f"{os.path.basename(real)}-{sha256(real.encode(errors='surrogateescape')).hexdigest()[:12]}"
    return os.path.join(places.state_dir(), "projects", name)


def runs_of(root: str) -> str:
    """The directory of the project's runs, whether it exists or not."""
    return os.path.join(state_of(root), "runs")


def open_run_dir(root: str, sessions: Iterable[str], keep: int) -> RunDir:
    """A new run's directory; makes room by removing all but the last `keep` finished runs.

    Environments that earlier runs kept after a failure go when one of their sessions runs again.
    """
    state = state_of(root)
    os.makedirs(os.path.join(state, "runs"), exist_ok=True)
    ignore = os.path.join(state, ".gitignore")
    if not os.path.exists(ignore):
        atomic_write(ignore, "*\n", durable=False)
    while True:
        run_id = _new_id()
        path = os.path.join(state, "runs", run_id)
        try:
            os.mkdir(path)
            break
        except FileExistsError:
            continue
    lock = FileLock(os.path.join(path, "lock"))
    lock.acquire()
    os.mkdir(os.path.join(path, "logs"))
    _prune(os.path.join(state, "runs"), run_id, set(sessions), keep)
    return RunDir(run_id, state, path, lock)


def _new_id() -> str:
    """Sorts by time, to the millisecond; the end keeps apart what begins at the same moment."""
    now = time.time()
    return f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{int(now * 1000) % 1000:03d}-{os.urandom(2).hex()}"


def _prune(runs: str, own: str, sessions: set[str], keep: int) -> None:
    others = sorted((name for name in os.listdir(runs) if name != own), reverse=True)
    for number, name in enumerate(others, start=2):
        path = os.path.join(runs, name)
        environments = os.path.join(path, "envs")
        if number <= keep and not os.path.isdir(environments):
            continue
        lock = FileLock(os.path.join(path, "lock"))
        if not os.path.exists(lock.path) or not lock.acquire(blocking=False):
            continue  # it runs, or is just being made
        try:
            if number > keep:
                remove_tree(path)
            else:
                _forget_environments(environments, sessions)
        finally:
            lock.release()


def _forget_environments(folder: str, sessions: set[str]) -> None:
    for name in os.listdir(folder):
        if name in sessions:
            remove_tree(os.path.join(folder, name))
    if not os.listdir(folder):
        os.rmdir(folder)
