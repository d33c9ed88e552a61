"""How do many hooks share one warm interpreter, so that each starts in a fork that has all its imports already?

A zygote belongs to one environment and one set of variables; it lives as long as the `Zygotes` that made it. It runs
`in_process.py --serve`, imports what earlier hooks of the environment imported (remembered in the store), and forks
for each job: every hook still gets a fresh process of its own (PEP 517). Linux only; elsewhere, and with
HWB_BUILD_ZYGOTE=0, each hook is started as a program.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

from hwb.context import current

if TYPE_CHECKING:
    import socket
    import subprocess
    from collections.abc import Iterable, Mapping

    from hwb.builder.room import Room
    from hwb.proc import Adopted

__all__ = ["IN_PROCESS", "Zygotes", "available", "run_mark"]

IN_PROCESS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "in_process.py")
_OWN = frozenset(
    {"HOME", "TMPDIR", "SOURCE_DATE_EPOCH", "PWD", "PYTHONDONTWRITEBYTECODE", "GIT_CEILING_DIRECTORIES", "CCACHE_DIR"}
)
"""Variables of a single job: they make no other zygote."""


def available(environ: Mapping[str, str] | None = None) -> bool:
    """Whether hooks are forked here."""
    env = os.environ if environ is None else environ
    return sys.platform == "linux" and env.get("HWB_BUILD_ZYGOTE", "1") != "0"


class Zygotes:
    """The zygotes of a run; a context manager that ends them. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started: dict[str, _Zygote] = {}

    def __enter__(self) -> Zygotes:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End them all."""
        with self._lock:
            started, self._started = list(self._started.values()), {}
        for zygote in started:
            zygote.close()

    def get(self, python: str, name: str, environ: Mapping[str, str], room: Room | None = None) -> _Zygote:
        """The zygote of an environment (`name` is its fingerprint) and these variables, in a room, started if need be.

        Raises OSError when it cannot be started.
        """
        from hwb.store import fingerprint

        fixed = (f"{key}={value}" for key, value in sorted(environ.items()) if key not in _OWN)
        key = fingerprint(python, str(id(room)) if room is not None else "", *fixed)
        with self._lock:
            zygote = self._started.get(key)
            if zygote is not None and not zygote.alive():
                zygote.close()
                zygote = None
            if zygote is None:
                kind = _Zygote(python, name, environ) if room is None else _DistantZygote(python, name, environ, room)
                zygote = self._started[key] = kind
            return zygote


class _Zygote:
    """One warm interpreter."""

    _process: subprocess.Popen[bytes]
    _serves_more = True
    """Whether more hooks are to be expected in this run: sdist and wheel are made by one."""

    def __init__(self, python: str, name: str, environ: Mapping[str, str], room: Room | None = None) -> None:
        self._name = name
        self._loaded: set[str] = set()
        self._sending = threading.Lock()
        self._start(python, {name: value for name, value in environ.items() if name not in _OWN}, room)
        self._load(_remembered(name))

    def _start(self, python: str, environ: dict[str, str], room: Room | None) -> None:
        if sys.platform == "win32":
            raise AssertionError("nothing is forked on Windows")
        import socket
        import subprocess
        from contextlib import ExitStack

        self._channel: socket.socket
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, ExitStack() as undo:
            undo.callback(self._channel.close)
            # warnings of a preloaded import belong to nobody; a hook that is first to import something prints its own
            self._process = subprocess.Popen(
                [python, IN_PROCESS, "--serve", str(theirs.fileno())],
                env=environ | run_mark(),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
            undo.pop_all()

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def close(self) -> None:
        """End it; jobs that still run go on without it."""
        self._channel.close()
        self._process.wait()

    def _send(self, message: str, descriptors: Iterable[int] = ()) -> None:
        if sys.platform == "win32":
            raise AssertionError("nothing is forked on Windows")
        import socket

        with self._sending:
            socket.send_fds(self._channel, [message.encode(errors="surrogateescape")], list(descriptors))

    def _load(self, names: list[str]) -> None:
        if names:
            self._loaded.update(names)
            self._send(f"load {_record(self._name)}")

    def learn(self, names: list[str]) -> None:
        """Remember what a hook imported, for its next one and for later runs."""
        if set(names) <= self._loaded:
            return
        from hwb.store import open_store

        wanted = list(dict.fromkeys([*_remembered(self._name), *names]))
        open_store().write_json("preload", f"{self._name}.json", value=wanted)
        if self._serves_more:
            self._load(wanted)

    def fork(self, job: str, log: int) -> Adopted:
        """Start the job in that file with its output going to `log`. Raises OSError when the zygote is gone."""
        from hwb.proc import Adopted

        answer, reply = os.pipe()
        try:
            self._send(f"fork {job}", (log, reply))
        except BaseException:
            os.close(answer)
            raise
        finally:
            os.close(reply)
        try:
            return Adopted(_told(answer), answer)
        except OSError:
            os.close(answer)
            raise


def _told(answer: int) -> int:
    """The number in the next line, byte by byte: what follows is somebody else's."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(answer, 1)
        if not byte:
            raise OSError("the zygote has ended")
        line += byte
    if not line.strip().isdigit():
        raise OSError(line.decode(errors="replace").strip())  # who should have started it says why it cannot
    return int(line)


class _DistantZygote(_Zygote):
    """One in a room: its jobs, one at a time, are lines of its input; their output is a file beside the job."""

    _serves_more = False  # one wheel of each Python: what it needed is imported beforehand in the next run

    def _start(self, python: str, environ: dict[str, str], room: Room | None) -> None:
        import subprocess

        from hwb.isolation.bytecode import VARIABLE

        assert room is not None
        kept = room.bytecode(python, _remembered(self._name))
        argv = [python, room.in_process, "--lines"]
        env = environ | run_mark() | ({VARIABLE: kept} if kept else {})
        argv, client = room.command(argv, env=env, cwd="/", talks=True)
        pipe, quiet = subprocess.PIPE, subprocess.DEVNULL
        self._process = subprocess.Popen(
            argv, stdin=pipe, stdout=pipe, stderr=quiet, cwd="/", env=client, start_new_session=True
        )

    def alive(self) -> bool:
        """Whether it still runs and takes jobs."""
        assert self._process.stdin is not None
        return not self._process.stdin.closed and super().alive()

    def close(self) -> None:
        """End it, and the job that runs."""
        for end in (self._process.stdin, self._process.stdout):
            assert end is not None
            end.close()
        self._process.wait()

    def _send(self, message: str, descriptors: Iterable[int] = ()) -> None:
        from hwb.redact import write_all

        assert self._process.stdin is not None
        with self._sending:
            if self._process.stdin.closed:
                raise OSError("the zygote has been ended")
            write_all(self._process.stdin.fileno(), f"{message}\n".encode(errors="surrogateescape"))

    def _load(self, names: list[str]) -> None:
        from json import dumps

        if names:
            self._loaded.update(names)
            self._send(f"import {dumps(names)}")

    def fork(self, job: str, log: int) -> Adopted:
        """As `_Zygote.fork`; ending the job ends the zygote, and the next job starts another."""
        from hwb.proc import Distant

        printed = os.path.join(os.path.dirname(job), "output.log")
        if os.path.exists(printed):
            os.unlink(printed)
        assert self._process.stdout is not None
        answer = self._process.stdout.fileno()
        self._send(f"fork {job}\t{printed}")
        return Distant(_told(answer), os.dup(answer), printed, os.dup(log), self._hang_up)

    def _hang_up(self) -> None:
        """The end of its input is what makes it end its job."""
        assert self._process.stdin is not None
        self._process.stdin.close()


def run_mark() -> dict[str, str]:
    """The run's mark, but no session's: what one session started serves the others after its end."""
    from hwb.procgroup import RUN_VARIABLE

    own = current().mark.get(RUN_VARIABLE)
    return {RUN_VARIABLE: f"{own.rpartition('.')[0]}.zygote"} if own else {}


def _record(name: str) -> str:
    from hwb.store import open_store

    return str(open_store().path("preload", f"{name}.json"))


def _remembered(name: str) -> list[str]:
    from hwb.store import open_store

    names = open_store().read_json("preload", f"{name}.json")
    return [text for text in names if isinstance(text, str)] if isinstance(names, list) else []
