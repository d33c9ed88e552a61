"""How does a command get the user's terminal (colours, a debugger) while hwb still logs, masks, times and ends it?

On POSIX the command runs on a pseudo-terminal of its own and bytes are carried between that and ours. On Windows it
inherits the console: nothing can be logged then, and the log says so.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hwb import procgroup
from hwb.errors import Cancelled, CommandFailed, ProgramNotFound, SessionTimeout
from hwb.redact import Redactor, write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hwb.context import Context

__all__ = ["Terminal"]

_GRACE = (0.3, 0.2)
"""Seconds from interrupt to TERM and from TERM to KILL, as for every other command."""
_MOST_TYPED = 1 << 16
"""Bytes typed ahead that are kept for a command that does not read."""
_LOOK = 0.2
"""Seconds between two looks at the window's size: a worker thread gets no SIGWINCH."""


class Terminal:
    """The terminal of an interactive run; one command has it at a time.

    `on_claim` is called before a command gets it (the board hides), `on_release` when it is ours again.
    """

    __slots__ = ("_lock", "_on_claim", "_on_release", "_stdin", "_stdout")

    def __init__(
        self, on_claim: Callable[[], None], on_release: Callable[[], None], *, stdin: int = 0, stdout: int = 1
    ) -> None:
        self._on_claim = on_claim
        self._on_release = on_release
        self._stdin = stdin
        self._stdout = stdout
        self._lock = threading.Lock()

    def run(self, argv: tuple[str, ...], cwd: str, env: Mapping[str, str], context: Context) -> int:
        """Run a command on the terminal; its exit code, negative for a signal.

        Raises ProgramNotFound and CommandFailed when it cannot start, Cancelled and SessionTimeout when it was ended,
        KeyboardInterrupt when the user's Ctrl-C ended it.
        """
        with self._lock:
            self._on_claim()
            try:
                return self._claimed(argv, cwd, env, context)
            finally:
                self._on_release()

    if sys.platform == "win32":

        def _claimed(self, argv: tuple[str, ...], cwd: str, env: Mapping[str, str], context: Context) -> int:
            context.log.write(f"$ {subprocess.list2cmdline(argv)}\n(its output went to the terminal)\n")
            process = _start(argv, cwd, env, context)
            with _ended(process, context):
                while process.poll() is None:
                    _check(context)
                    time.sleep(0.05)
            return process.returncode

    else:

        def _claimed(self, argv: tuple[str, ...], cwd: str, env: Mapping[str, str], context: Context) -> int:
            import signal

            saved = _attributes(self._stdin)
            master, slave = os.openpty()
            try:
                process = _on_pty(argv, cwd, env, context, slave, self._stdout, saved)
                with _ended(process, context), _raw(self._stdin, saved):
                    _Relay(process, master, self._stdin, self._stdout, context).carry()
            finally:
                os.close(master)
            if process.returncode == -signal.SIGINT:
                raise KeyboardInterrupt
            return process.returncode


def _start(
    argv: tuple[str, ...], cwd: str, env: Mapping[str, str], context: Context, **options: Any
) -> subprocess.Popen[bytes]:
    """The process, known to whoever ends leftovers; the same errors as a command without a terminal."""
    try:
        process = subprocess.Popen(argv, cwd=cwd, env=dict(env), **options)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        if not os.path.isdir(cwd):
            raise CommandFailed(f"the working directory {cwd} does not exist") from error
        what = f"program {argv[0]!r} cannot be run: {error.strerror or error}"
        raise ProgramNotFound(what, remedy="install it in the session (session.install), or on this machine") from error
    except OSError as error:
        raise CommandFailed(f"{argv[0]} could not be started: {error.strerror}") from error
    procgroup.adopt(process)
    context.groups.append(process.pid)
    context.announce_group(process.pid)
    return process


def _check(context: Context) -> None:
    """Raise when the command must not go on."""
    context.token.check()
    if context.deadline is not None and time.monotonic() >= context.deadline:
        raise SessionTimeout("the session took longer than it may", remedy="raise its timeout=")


@contextmanager
def _ended(process: subprocess.Popen[bytes], context: Context) -> Iterator[None]:
    """Whatever happens inside, the process is over afterwards: gently when it was called off."""
    grace = (0.0, 0.0)
    try:
        yield
    except (Cancelled, SessionTimeout):
        grace = _GRACE
        raise
    finally:
        if process.poll() is None:
            procgroup.stop_group(process.pid, grace, reap=process.poll)
            process.wait()
        if not procgroup.group_alive(process.pid):
            context.groups.remove(process.pid)
            context.announce_group(process.pid, False)


if sys.platform != "win32":
    import select
    import termios
    import tty

    def _on_pty(
        argv: tuple[str, ...],
        cwd: str,
        env: Mapping[str, str],
        context: Context,
        slave: int,
        stdout: int,
        like: list[Any] | None,
    ) -> subprocess.Popen[bytes]:
        """Start the command with the pty as its controlling terminal; our copy of the descriptor is closed."""
        import signal
        import warnings
        from fcntl import ioctl

        set_signal, interrupt, default = signal.signal, signal.SIGINT, signal.SIG_DFL

        def claim() -> None:
            # In the child between fork and exec: system calls on names bound before the fork, no import, no lock.
            # Nothing else sets the controlling terminal on every POSIX without a helper process. Whoever has the
            # terminal gets its Ctrl-C, also when hwb was started by somebody who ignores it.
            ioctl(0, termios.TIOCSCTTY, 0)  # pragma: no cover
            set_signal(interrupt, default)  # pragma: no cover

        try:
            if like is not None:
                termios.tcsetattr(slave, termios.TCSANOW, like)
            _same_size(stdout, slave)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # 3.12+: "fork in a multi-threaded process"
                options: dict[str, Any] = {"start_new_session": True, "preexec_fn": claim}
                return _start(argv, cwd, env, context, stdin=slave, stdout=slave, stderr=slave, **options)
        finally:
            os.close(slave)

    def _attributes(stdin: int) -> list[Any] | None:
        """The terminal's settings; None for what is none (any more)."""
        try:
            return termios.tcgetattr(stdin)
        except termios.error:
            return None

    @contextmanager
    def _raw(stdin: int, saved: list[Any] | None) -> Iterator[None]:
        """Keys reach the command as they are typed (Ctrl-C as byte 3); the terminal is restored in any case."""
        try:
            if saved is not None:
                _unless_gone(lambda: tty.setraw(stdin, termios.TCSADRAIN))
            yield
        finally:
            if saved is not None:
                _unless_gone(lambda: termios.tcsetattr(stdin, termios.TCSADRAIN, saved))

    def _unless_gone(change: Callable[[], object]) -> None:
        """Change the terminal, if the user has not hung up meanwhile."""
        try:
            change()
        except termios.error:
            pass

    def _same_size(source: int, target: int) -> None:
        """Give one terminal the other's window size, if it has one; the kernel tells the programs on it."""
        from fcntl import ioctl

        try:
            ioctl(target, termios.TIOCSWINSZ, ioctl(source, termios.TIOCGWINSZ, b"\0" * 8))
        except OSError:
            pass  # output goes to a file

    class _Relay:
        """Carries bytes between the user's terminal and the command's until the command ends."""

        __slots__ = (
            "_context", "_listening", "_master", "_process", "_redactor", "_rest", "_stdin", "_stdout", "_typed",
        )  # fmt: skip

        def __init__(
            self, process: subprocess.Popen[bytes], master: int, stdin: int, stdout: int, context: Context
        ) -> None:
            self._process = process
            self._master, self._stdin, self._stdout = master, stdin, stdout
            self._context = context
            self._redactor = Redactor(context.secrets)
            self._rest = self._typed = b""
            self._listening = True

        def carry(self) -> None:
            """Until the command is over and everything it wrote has been shown."""
            os.set_blocking(self._master, False)
            try:
                while self._process.poll() is None:
                    _check(self._context)
                    self._wait()
                while self._read_output():
                    pass
            finally:
                write_all(self._context.log.fileno(), self._redactor.mask(self._rest))

        def _wait(self) -> None:
            """One round: whatever is ready, and a look at the window's size when nothing was."""
            keys = [self._stdin] if self._listening and len(self._typed) < _MOST_TYPED else []
            typed = [self._master] if self._typed else []
            # select and not poll: macOS cannot poll terminals
            called_off = self._context.token.fileno()
            readable, writable, _ = select.select([self._master, called_off, *keys], typed, [], self._patience())
            if self._stdin in readable:
                self._read_keys()
            if writable:
                self._type()
            if self._master in readable and not self._read_output():
                time.sleep(0.005)  # the command closed its side and is about to end
            if not readable:
                _same_size(self._stdout, self._master)

        def _patience(self) -> float:
            """Seconds; a command that is ended by its session's deadline is ended in time."""
            deadline = self._context.deadline
            return _LOOK if deadline is None else min(_LOOK, max(0.0, deadline - time.monotonic()))

        def _read_keys(self) -> None:
            try:
                typed = os.read(self._stdin, 4096)
            except OSError:
                typed = b""
            if not typed:  # the user's side is at its end: so is the command's
                self._listening = False
                typed = termios.tcgetattr(self._master)[6][termios.VEOF]
            self._typed += typed

        def _type(self) -> None:
            """Hand over as much as the command takes; the rest in a later round, so that nothing ever blocks here."""
            try:
                written = os.write(self._master, self._typed)
            except BlockingIOError:
                written = 0
            except OSError:  # nobody has the other side open
                written = len(self._typed)
            self._typed = self._typed[written:]

        def _read_output(self) -> bool:
            """Show and log one block; False when there is none (for now, or for ever)."""
            try:
                block = os.read(self._master, 65536)
            except OSError:  # EAGAIN: nothing now; EIO: the command's side is closed
                return False
            if block:
                write_all(self._stdout, block)
                self._log(block)
            return bool(block)

        def _log(self, block: bytes) -> None:
            """The log has the line ends that the command wrote: a terminal's driver has put \\r before every \\n."""
            data = (self._rest + block).replace(b"\r\n", b"\n")
            held = b"\r" if data.endswith(b"\r") else b""
            masked, rest = self._redactor.split(data[: len(data) - len(held)])
            self._rest = rest + held
            write_all(self._context.log.fileno(), masked)
