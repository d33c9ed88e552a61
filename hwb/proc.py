"""How is a command run so that its output, time and whole process tree stay under control?

Every command gets its own directory, environment and process group. Without secrets in the run its output goes
straight into the log file of whoever works (no copy, no thread); with secrets through a bounded masking pump.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from hwb import procgroup
from hwb.context import Context, current
from hwb.errors import Cancelled, CommandFailed, CommandTimeout, ProgramNotFound, SessionTimeout
from hwb.redact import MaskingPump, Redactor
from hwb.which import which

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Spawn = Callable[[int], "Adopted"]

__all__ = ["Adopted", "Completed", "Distant", "Grace", "failure", "run", "shown", "which"]

Grace = tuple["float | None", "float | None"]
_PUMP_PATIENCE = 0.5
"""Seconds a finished command's pump waits for a background grandchild that still holds the pipe."""
_CARRY = 0.1
"""Seconds between two looks at what a distant process has printed."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Completed:
    """A finished command: `output` is what was captured (None otherwise), `seconds` wall time."""

    argv: tuple[str, ...]
    return_code: int
    seconds: float
    output: bytes | None = None

    @property
    def text(self) -> str:
        """The captured output as text, undecodable bytes replaced."""
        return (self.output or b"").decode(errors="replace")


def shown(argv: Sequence[str]) -> str:
    """A command line as a person would type it."""
    import shlex

    return shlex.join(argv) if sys.platform != "win32" else subprocess.list2cmdline(argv)


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    capture: bool = False,
    success_codes: Iterable[int] = (0,),
    timeout: float | None = None,
    idle_timeout: float | None = None,
    grace: Grace | None = None,
    stdout: int | IO[Any] | None = None,
    stderr: int | IO[Any] | None = subprocess.STDOUT,
    interactive: bool = False,
    quiet: bool = False,
    umask: int = -1,
    spawn: Spawn | None = None,
) -> Completed:
    """Run a command to its end and return what became of it.

    `env` is the whole environment (None: the session's outer one); `capture` returns the output instead of logging
    it; `quiet` writes no command event; `interactive` gives it the terminal when the run has one; `umask` is the
    child's own (-1: inherited; Windows has none); `spawn` starts it in another way, with its output going to that
    descriptor (then directory, environment and umask are the caller's business). Times in seconds.
    Raises ProgramNotFound, CommandFailed (`check`), CommandTimeout, SessionTimeout, Cancelled.
    """
    context = current()
    context.token.check()
    command = tuple(os.fspath(arg) for arg in argv)
    where = os.path.join(context.cwd, os.fspath(cwd)) if cwd is not None else context.cwd
    whole_env = {**(context.outer_env if env is None else env), **context.mark}
    if not quiet:
        context.emit("command-started", argv=list(command), cwd=where)
    started = time.monotonic()
    if interactive and context.terminal is not None and not capture and stdout is None:
        code, output = context.terminal.run(command, where, whole_env, context), None
    else:
        code, output = _Command(context, command, where, whole_env, umask, spawn).complete(
            capture, stdout, stderr, timeout, idle_timeout or context.idle_timeout, grace or context.grace
        )
    done = Completed(command, code, time.monotonic() - started, output)
    if not quiet:
        context.emit("command-finished", argv=list(command), return_code=code, seconds=done.seconds)
    if check and code not in tuple(success_codes):
        raise failure(done)
    return done


def failure(done: Completed) -> CommandFailed:
    """The error for a command that ended badly; the end of captured output goes into `detail`."""
    name = os.path.basename(done.argv[0])
    code = done.return_code
    how = f"was ended by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
    tail = "\n".join(done.text.splitlines()[-30:]) if done.output else ""
    return CommandFailed(f"{name} {how}", code, detail=tail)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class Adopted:
    """A process that another one started and waits for: `ended` is a pipe that carries its exit code at the end.

    It leads a process group, as started ones do. A pipe that ends without a code counts as a KILL.
    """

    __slots__ = ("_ended", "_text", "pid", "returncode")

    def __init__(self, pid: int, ended: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = ended
        self._text = b""

    def fileno(self) -> int:
        """A descriptor that can be read from when the process has ended."""
        return self._ended

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        if self.returncode is None and self._readable(0):
            self._read()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; subprocess.TimeoutExpired after that many seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            left = None if end is None else max(0.0, end - time.monotonic())
            if not self._readable(left):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            self._read()
        return self.returncode

    def _readable(self, seconds: float | None) -> bool:
        if sys.platform == "win32":
            raise AssertionError("nothing is forked on Windows")
        waiting = select.poll()  # select() knows no descriptor from 1024 on
        waiting.register(self._ended, select.POLLIN)
        return bool(waiting.poll(None if seconds is None else seconds * 1000))

    def _read(self) -> None:
        data = os.read(self._ended, 64)
        self._text += data
        if not data or self._text.endswith(b"\n"):
            killed = getattr(signal, "SIGKILL", signal.SIGTERM)
            self.returncode = int(self._text) if self._text.strip() else -killed.value
            os.close(self._ended)
            self._ended = -1


class Distant(Adopted):
    """A process that no signal of ours reaches (in a container): its output is a file that both sides see.

    `printed` is that file, `log` the descriptor that gets what is in it, `end` stops the process and all it started.
    """

    __slots__ = ("_end", "_log", "_offset", "_printed")

    def __init__(self, pid: int, ended: int, printed: str, log: int, end: Callable[[], None]) -> None:
        super().__init__(pid, ended)
        self._printed = printed
        self._log = log
        self._offset = 0
        self._end = end

    def carry(self) -> None:
        """Hand on what was printed since the last time."""
        from hwb.redact import write_all

        with open(self._printed, "rb") as handle:
            handle.seek(self._offset)
            while block := handle.read(1 << 16):
                self._offset += len(block)
                write_all(self._log, block)

    def stop(self) -> None:
        """End it at once, with everything that it started."""
        self._end()

    def release(self) -> None:
        """The last of its output has been handed on."""
        os.close(self._log)


class _Command:
    """One running command of one context."""

    __slots__ = ("_argv", "_context", "_cwd", "_env", "_process", "_pump", "_spawn", "_umask", "_watched")

    def __init__(
        self,
        context: Context,
        argv: tuple[str, ...],
        cwd: str,
        env: dict[str, str],
        umask: int,
        spawn: Spawn | None = None,
    ) -> None:
        self._context = context
        self._argv = argv
        self._cwd = cwd
        self._env = env
        self._umask = umask
        self._spawn = spawn
        self._pump: MaskingPump | None = None
        self._watched = -1
        self._process: subprocess.Popen[bytes] | Adopted

    def complete(
        self,
        capture: bool,
        stdout: int | IO[Any] | None,
        stderr: int | IO[Any] | None,
        timeout: float | None,
        idle: float | None,
        grace: Grace,
    ) -> tuple[int, bytes | None]:
        """Start, wait, and clean up; the exit code and what was captured."""
        if not capture:
            self._start(self._target(stdout), stderr)
            return self._finish(timeout, idle, grace), None
        import tempfile

        with tempfile.TemporaryFile() as collected:
            self._watched = collected.fileno()
            self._start(collected.fileno(), stderr)
            code = self._finish(timeout, idle, grace)
            collected.seek(0)
            return code, collected.read()

    def _target(self, stdout: int | IO[Any] | None) -> int | IO[Any]:
        """Where standard output goes: the caller's file, the log itself, or the pump before the log."""
        if stdout is not None:
            return stdout
        self._watched = self._context.log.fileno()
        if not self._context.secrets:
            return self._watched
        self._pump = MaskingPump(self._watched, Redactor(self._context.secrets))
        return self._pump.write_fd

    def _start(self, stdout: int | IO[Any], stderr: int | IO[Any] | None) -> None:
        if stderr is None:
            stderr = self._context.log.fileno()
        try:
            self._process = self._popen(stdout, stderr)
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            raise self._not_started(error) from error
        except OSError as error:
            raise CommandFailed(f"{self._argv[0]} could not be started: {error.strerror}") from error
        finally:
            if self._pump is not None:
                self._pump.close_parent()
        if not isinstance(self._process, Distant):
            self._context.groups.append(self._process.pid)
            self._context.announce_group(self._process.pid)

    def _popen(self, stdout: int | IO[Any], stderr: int | IO[Any]) -> subprocess.Popen[bytes] | Adopted:
        if self._spawn is not None:
            return self._spawn(stdout if isinstance(stdout, int) else stdout.fileno())
        process = subprocess.Popen(
            self._argv,
            cwd=self._cwd,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            umask=self._umask,
            **procgroup.popen_options(),
        )
        procgroup.adopt(process)
        return process

    def _not_started(self, error: OSError) -> CommandFailed:
        if not os.path.isdir(self._cwd):
            return CommandFailed(f"the working directory {self._cwd} does not exist")
        what = f"program {self._argv[0]!r} cannot be run: {error.strerror or error}"
        return ProgramNotFound(what, remedy="install it in the session (session.install), or on this machine")

    def _finish(self, timeout: float | None, idle: float | None, grace: Grace) -> int:
        context = self._context
        try:
            why = self._wait(timeout, idle)
            if why is not None:
                self._end(grace)
                raise why
            return self._process.wait()
        finally:
            if self._process.poll() is None:  # an unexpected exception: leave nothing behind
                self._end((0, 0))
            if isinstance(self._process, Distant):
                self._process.carry()
                self._process.release()
            elif not procgroup.group_alive(self._process.pid):
                context.groups.remove(self._process.pid)
                context.announce_group(self._process.pid, False)
            if self._pump is not None:
                self._pump.join(_PUMP_PATIENCE)

    def _end(self, grace: Grace) -> None:
        if isinstance(self._process, Distant):
            self._process.stop()
        else:
            procgroup.stop_group(self._process.pid, grace, reap=self._process.poll)
        self._process.wait()

    def _wait(self, timeout: float | None, idle: float | None) -> BaseException | None:
        """None when the command ended by itself, else the reason to end it."""
        context, now = self._context, time.monotonic()
        limit = None if timeout is None else now + timeout
        quiet = _Silence(self._watched, idle) if idle is not None and self._watched >= 0 else None
        distant = self._process if isinstance(self._process, Distant) else None
        with _Waiter(self._process, context.token.fileno()) as waiter:
            while True:
                look = quiet.next_look() if quiet is not None else None
                carry = time.monotonic() + _CARRY if distant is not None else None
                ends = [end for end in (limit, context.deadline, look, carry) if end is not None]
                if waiter.wait(min(ends) - time.monotonic() if ends else None):
                    return None
                if distant is not None:
                    distant.carry()
                now = time.monotonic()
                if context.token.cancelled:
                    return Cancelled(context.token.reason or "cancelled")
                if limit is not None and now >= limit:
                    return self._timeout(f"took longer than {timeout:g} s")
                if context.deadline is not None and now >= context.deadline:
                    return SessionTimeout("the session took longer than it may", remedy="raise its timeout=")
                if quiet is not None and quiet.over():
                    return self._timeout(f"printed nothing for {idle:g} s")

    def _timeout(self, what: str) -> CommandTimeout:
        return CommandTimeout(f"{os.path.basename(self._argv[0])} {what} and was ended", remedy="raise the time limit")


class _Silence:
    """Whether a file has stopped growing for `idle` seconds."""

    __slots__ = ("_fd", "_idle", "_since", "_size")

    def __init__(self, fd: int, idle: float) -> None:
        self._fd = fd
        self._idle = idle
        self._size = os.fstat(fd).st_size
        self._since = time.monotonic()

    def next_look(self) -> float:
        return min(self._since + self._idle, time.monotonic() + max(0.05, self._idle / 4))

    def over(self) -> bool:
        size = os.fstat(self._fd).st_size
        if size != self._size:
            self._size, self._since = size, time.monotonic()
        return time.monotonic() >= self._since + self._idle


class _Waiter:
    """Waits for a process or a cancel descriptor, without polling where the system has process descriptors."""

    __slots__ = ("_pidfd", "_poll", "_process")

    def __init__(self, process: subprocess.Popen[bytes] | Adopted, cancel_fd: int) -> None:
        self._process = process
        self._pidfd = -1
        self._poll: Any = None
        if sys.platform == "linux":
            ended = process.fileno() if isinstance(process, Adopted) else self._descriptor(process.pid)
            if ended < 0:
                return  # an old kernel: fall back to looking every few milliseconds
            self._poll = select.poll()
            self._poll.register(ended, select.POLLIN | select.POLLHUP)
            self._poll.register(cancel_fd, select.POLLIN | select.POLLHUP)

    def _descriptor(self, pid: int) -> int:
        if sys.platform == "linux":
            try:
                self._pidfd = os.pidfd_open(pid)
            except OSError:
                pass
        return self._pidfd

    def __enter__(self) -> _Waiter:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._pidfd >= 0:
            os.close(self._pidfd)

    def wait(self, seconds: float | None) -> bool:
        """True when the process has ended; returns early (False) on cancel."""
        if self._poll is not None:
            self._poll.poll(None if seconds is None else max(0, int(seconds * 1000) + 1))
            return self._process.poll() is not None
        step = 0.02 if seconds is None else max(0.0, min(seconds, 0.02))
        try:
            self._process.wait(step)
        except subprocess.TimeoutExpired:
            return False
        return True
