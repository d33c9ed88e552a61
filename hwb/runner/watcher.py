"""Who ends what a killed hwb left behind? A small process that waits for hwb's end of a pipe to close.

It is forked before any thread exists (measured: it ends survivors within 0.2 s of `kill -9`). PR_SET_PDEATHSIG is no
alternative: it fires when the spawning thread ends, and spares grandchildren. On Windows the Job Object does this.
This file is also run by itself (`python -I -S watcher.py ...`) where forking is not safe any more.
"""

from __future__ import annotations

import os
import signal
import sys

__all__ = ["Watcher"]


class Watcher:
    """hwb's end of the pipe: tell it of process groups and temporary paths, and when all is well."""

    __slots__ = ("_lock", "_pid", "_write_fd")

    def __init__(self, run_id: str, report: str) -> None:
        import threading

        self._lock = threading.Lock()  # sessions that were given up on still tell while the run closes
        self._pid = self._write_fd = -1
        if sys.platform == "win32":
            return
        read_fd, self._write_fd = os.pipe()
        if threading.active_count() > 1:
            self._pid = _spawn(read_fd, run_id, report)
        else:
            self._pid = os.fork()
            if self._pid == 0:
                _become_watcher(read_fd, run_id, report)
        os.close(read_fd)

    def group(self, group: int, alive: bool = True) -> None:
        """A process group was started, or is known to be empty."""
        self._tell(f"{'+' if alive else '-'}{group}")

    def temporary(self, path: str) -> None:
        """A directory or file to remove if hwb is killed."""
        self._tell(f"t{path}")

    def _tell(self, line: str) -> None:
        with self._lock:
            if self._write_fd >= 0:
                try:
                    os.write(self._write_fd, f"{line}\n".encode(errors="surrogateescape"))
                except OSError:
                    self._hang_up()  # somebody killed the watcher; the run itself is none the worse

    def _hang_up(self) -> None:
        if self._write_fd >= 0:
            os.close(self._write_fd)
            self._write_fd = -1

    def close(self) -> None:
        """The run is over and has cleaned up: the watcher has nothing to do."""
        self._tell("done")
        with self._lock:
            self._hang_up()
        if self._pid > 0:
            try:
                os.waitpid(self._pid, 0)
            except ChildProcessError:
                pass
            self._pid = -1


def _spawn(read_fd: int, run_id: str, report: str) -> int:
    """A threaded program (a library user) must not fork: start a fresh interpreter on this file."""
    import subprocess

    command = [sys.executable, "-I", "-S", os.path.abspath(__file__), str(read_fd), run_id, report]
    process = subprocess.Popen(command, pass_fds=[read_fd], start_new_session=True, stdin=subprocess.DEVNULL)
    process.returncode = 0  # waited for by close(); Popen must not warn about it
    return process.pid


def _become_watcher(read_fd: int, run_id: str, report: str) -> None:
    """The forked child never returns, whatever happens."""
    if sys.platform == "win32":
        raise AssertionError("nothing is forked on Windows")
    code = 1
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.dup2(read_fd, 3)
        _close_all_but(4)
        watch(3, run_id, report)
        code = 0
    finally:
        os._exit(code)


def _close_all_but(count: int) -> None:
    """Close every descriptor from `count` on: hwb's own end of the pipe is one of them, and would keep it open."""
    if sys.platform == "win32":
        raise AssertionError("nothing is forked on Windows")
    try:
        numbers = [int(name) for name in os.listdir("/dev/fd")]
    except OSError:  # no such directory here (a bare chroot)
        import resource

        limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1 << 16
        numbers = list(range(limit if 0 < limit < most else most))
    for number in numbers:
        if number >= count:
            try:
                os.close(number)
            except OSError:
                pass  # what listed the directory


def watch(read_fd: int, run_id: str, report: str) -> None:
    """Wait for the end of the pipe; unless "done" was the last word, end everything that the run started."""
    if sys.platform == "win32":
        raise AssertionError("the Job Object does this on Windows")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    temporary: list[str] = []
    if _listen(read_fd, groups, temporary):
        return
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:
            pass
    _kill_marked(run_id)
    import shutil

    for path in temporary:
        if os.path.isfile(path):
            os.unlink(path)
        shutil.rmtree(path, ignore_errors=True)
    _close_report(report)


def _listen(read_fd: int, groups: set[int], temporary: list[str]) -> bool:
    """Collect what hwb says until its end closes; whether it said that all is well."""
    rest = b""
    while block := os.read(read_fd, 65536):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if line == b"done":
                return True
            if line[:1] == b"+":
                groups.add(int(line[1:]))
            elif line[:1] == b"-":
                groups.discard(int(line[1:]))
            elif line[:1] == b"t":
                temporary.append(os.fsdecode(line[1:]))
    return False


def _kill_marked(run_id: str) -> None:
    """As `hwb.procgroup.kill_marked`, which this file cannot import when it is run by itself."""
    if __name__ == "__main__":
        sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from hwb.procgroup import kill_marked

    kill_marked(run_id, sure=True)


def _close_report(path: str) -> None:
    """The report says that the run was killed, instead of for ever that it runs."""
    import json

    try:
        with open(path, encoding="utf-8") as handle:
            report = json.load(handle)
        report["status"] = "killed"
        for session in report.get("sessions", []):
            if session.get("status") in ("running", "queued"):
                session["status"] = "aborted"
        temporary = f"{path}.watcher"
        with open(temporary, "w", encoding="utf-8") as handle:
            json.dump(report, handle, indent=1)
        os.replace(temporary, path)
    except (OSError, ValueError, TypeError, AttributeError):  # gone, or no report any more
        pass


if __name__ == "__main__":
    watch(int(sys.argv[1]), sys.argv[2], sys.argv[3])
