"""Which processes belong to a command, a session or a run, and how are all of them ended?

On POSIX a command leads a process group of its own; on Linux every process also carries HWB_RUN in its environment,
so that those which left the group (setsid, double fork) are found in /proc. On Windows a Job Object holds the tree.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "RUN_VARIABLE",
    "end_children",
    "extend_mark",
    "group_alive",
    "kill_marked",
    "marked",
    "popen_options",
    "signal_group",
    "stop_group",
]

RUN_VARIABLE = "HWB_RUN"
"""`run.session[:run.session]`: the chain of runs that a process belongs to, outermost first."""


def extend_mark(environ: Mapping[str, str], run: str, session: str) -> dict[str, str]:
    """The mark for children of this session; a run inside a run keeps the outer one's mark."""
    outer = environ.get(RUN_VARIABLE)
    own = f"{run}.{session}"
    return {RUN_VARIABLE: f"{outer}:{own}" if outer else own}


def marked(run: str, session: str | None = None) -> list[int]:
    """Processes that carry the run's (or session's) mark, this one excepted; empty where there is no /proc."""
    wanted = f"{run}.{session}" if session is not None else f"{run}."
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
    own = os.getpid()
    return [pid for pid in pids if pid != own and _carries(pid, wanted, whole=session is not None)]


def _carries(pid: int, wanted: str, *, whole: bool) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as handle:
            environ = handle.read()
    except OSError:
        return False
    start = environ.find(b"HWB_RUN=")
    if start < 0 or (start > 0 and environ[start - 1]):
        return False
    chain = environ[start + 8 : environ.find(b"\0", start)].decode(errors="replace").split(":")
    return any(link == wanted if whole else link.startswith(wanted) for link in chain)


def kill_marked(run: str, session: str | None = None, *, rounds: int = 50, sure: bool = False) -> int:
    """KILL every marked process until none is left (a fork may race with the scan); returns how many were met.

    `sure` looks once more after nothing was found: for an instant after its start, a program's environment is empty.
    """
    if sys.platform == "win32":
        return 0  # the Job Object has no strays
    met: set[int] = set()
    looks = 2 if sure else 1
    for _ in range(rounds):
        pids = [pid for pid in marked(run, session) if not _zombie(pid)]
        looks = looks - 1 if not pids else 2 if sure else 1
        if not looks:
            break
        for pid in pids:
            met.add(pid)
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        time.sleep(0.005)
    return len(met)


def end_children() -> None:
    """KILL this process's children, where /proc tells them: forks of a recipe carry no mark. For hwb's process only."""
    if sys.platform == "win32":
        return  # nothing is forked
    try:
        threads = os.listdir("/proc/self/task")
    except OSError:
        return
    for thread in threads:
        try:
            with open(f"/proc/self/task/{thread}/children") as handle:
                pids = [int(pid) for pid in handle.read().split()]
        except OSError:
            continue
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except OSError:
                pass


def _zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as handle:
            return handle.read().rpartition(b")")[2].split()[0] == b"Z"
    except OSError:
        return True


if sys.platform == "win32":
    from hwb import _jobobject

    def popen_options() -> dict[str, Any]:
        """Popen keywords that let the whole tree be signalled later."""
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}

    def adopt(process: subprocess.Popen[Any]) -> None:
        """Put the new process into the Job Object that dies with hwb."""
        _jobobject.assign(int(process._handle))  # type: ignore[attr-defined]  # Windows only, and not in the stubs

    def group_alive(group: int) -> bool:
        """Whether anything of the command still runs."""
        return _jobobject.alive(group)

    def signal_group(group: int, number: int) -> bool:
        """Deliver CTRL_BREAK, or end the tree; False when nothing is there."""
        if number == signal.SIGTERM:
            return _jobobject.terminate_tree(group)
        try:
            os.kill(group, signal.CTRL_BREAK_EVENT)
        except OSError:
            return False
        return True

    _FORCE = signal.SIGTERM
else:

    def popen_options() -> dict[str, Any]:
        """Popen keywords that let the whole tree be signalled later."""
        return {"start_new_session": True}

    def adopt(process: subprocess.Popen[Any]) -> None:
        """Nothing to do: the group is the process itself."""

    def group_alive(group: int) -> bool:
        """Whether anything of the command still runs; zombies do not count where /proc tells them apart."""
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return sys.platform != "linux" or _has_living_member(group)

    def _has_living_member(group: int) -> bool:
        """Orphans that a container's first process never reaps stay in the group as zombies for ever."""
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open(f"/proc/{name}/stat", "rb") as handle:
                        state, _parent, own = handle.read().rpartition(b")")[2].split()[:3]
                except (OSError, ValueError):
                    continue
                if int(own) == group and state != b"Z":
                    return True
        return False

    def signal_group(group: int, number: int) -> bool:
        """Signal every member; False when there is none left."""
        try:
            os.killpg(group, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    _FORCE = signal.SIGKILL


def stop_group(
    group: int,
    grace: tuple[float | None, float | None],
    *,
    reap: Callable[[], object] = lambda: None,
    first: int = signal.SIGINT,
) -> None:
    """End a group: `first`, after `grace[0]` seconds TERM, after `grace[1]` more KILL; None waits for ever.

    `reap` is called while waiting, so that a dead leader does not stay a zombie that counts as alive.
    """
    if signal_group(group, first) and not _gone(group, grace[0], reap):
        signal_group(group, signal.SIGTERM)
        if not _gone(group, grace[1], reap):
            signal_group(group, _FORCE)
            _gone(group, 2.0, reap)


def _gone(group: int, seconds: float | None, reap: Callable[[], object]) -> bool:
    end = None if seconds is None else time.monotonic() + seconds
    delay = 0.002
    while True:
        reap()
        if not group_alive(group):
            return True
        if end is not None and time.monotonic() >= end:
            return False
        time.sleep(delay)
        delay = min(delay * 1.5, 0.05)
