"""How does one hook of a backend run, where does its output go, and what of it is quoted on failure?"""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING, Any

from hwb.context import current
from hwb.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwb.builder.room import Room
    from hwb.proc import Adopted, Completed

__all__ = ["HookRunner"]

_LEVEL = 6
_LEVELS = {"setuptools": 1}
"""How well sdists are compressed by backends: less by those whose sdist has to be packed again anyway."""
_UMASK = 0o022
"""Generated files keep the mode they get, and archives keep that: the user's umask must not decide."""
_TAIL_LINES = 40
_TAIL_BYTES = 64 << 10


class HookRunner:
    """Runs hooks of one environment: each in a process of its own, its output in the log of whoever works.

    `name` is the environment's fingerprint (empty: it is nobody's to share, and every hook is started as a program),
    `room` the place that the environment is in (None: this machine).
    `tail` is the end of what the last hook printed, masked; it is worked out when asked for.
    """

    def __init__(
        self, python: str, name: str, environ: Mapping[str, str], place: str, *, room: Room | None = None
    ) -> None:
        self._python = python
        self._name = name
        self._environ = environ
        self._place = place
        self._room = room
        self._captured: bytes | None = None
        self._offset = 0

    def run(self, job: Mapping[str, Any], *, in_tree: bool) -> dict[str, Any]:
        """The answer to one job (see `in_process.py`). Raises CommandFailed when the hook ended badly."""
        from json import dumps

        folder = os.path.join(self._place, "job")
        os.makedirs(folder, exist_ok=True)
        path, answer = os.path.join(folder, "job.json"), os.path.join(folder, "answer.json")
        if os.path.exists(answer):
            os.unlink(answer)
        whole = {
            **job,
            "answer": answer,
            "environ": {**self._environ, **current().mark},
            "umask": _UMASK,
            "gzip_level": _LEVELS.get(str(job["backend"]).partition(".")[0], _LEVEL),
            "learn": bool(self._name),
            "code_cache": self._code_cache() if in_tree else "",
        }
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as handle:
            handle.write(dumps(whole))
        if self._room is not None:
            self._room.give(self._place)
        done = self._start(path, job)
        if done.output is not None:
            self._captured = done.output
            current().log.write(done.text)
        if done.return_code != 0:
            how = f"exit code {done.return_code}" if done.return_code > 0 else f"signal {-done.return_code}"
            raise CommandFailed(f"ended with {how}", done.return_code)
        return self._answer(answer)

    def _answer(self, path: str) -> dict[str, Any]:
        from json import load

        try:
            with open(path, encoding="utf-8") as handle:
                answer: dict[str, Any] = load(handle)
        except (OSError, ValueError) as error:
            raise CommandFailed("ended without an answer", 0) from error
        if answer.get("modules") and self._zygotes() is not None:
            try:
                self._zygote().learn(answer["modules"])
            except OSError:
                pass  # it has ended, or cannot be started: the next hook is only slower
        return answer

    def _zygotes(self) -> Any:
        from hwb.builder.zygote import available

        shared = current().shared or {}
        return shared.get("zygotes") if self._name and available(current().outer_env) else None

    def _zygote(self) -> Any:
        return self._zygotes().get(self._python, self._name, self._environ, self._room)

    def _code_cache(self) -> str:
        """Where byte code of in-tree backends is kept; in a room only for this build: the store is out of its reach."""
        from hwb.store import open_store

        if self._room is not None:
            return os.path.join(self._place, "job")
        return str(open_store().path("code", "_").parent)

    def _start(self, path: str, job: Mapping[str, Any]) -> Completed:
        from hwb import proc
        from hwb.builder.zygote import IN_PROCESS

        size = _log_size()
        self._captured = None if size is not None else b""
        self._offset = size or 0
        argv = [self._python, IN_PROCESS, path]
        given = {"cwd": job["source_dir"], "env": self._environ, "check": False, "capture": size is None}
        if self._zygotes() is not None:
            try:
                return proc.run(argv, **given, spawn=lambda log: self._fork(path, log))
            except _NoZygote:
                pass  # the environment's Python cannot serve: start it as a program
        if self._room is not None:
            argv = [self._python, self._room.in_process, path]
            argv, client = self._room.command(argv, env=self._environ, cwd=job["source_dir"])
            given = {"env": client, "check": False, "capture": size is None}
        return proc.run(argv, **given, umask=_UMASK)

    def _fork(self, path: str, log: int) -> Adopted:
        try:
            process: Adopted = self._zygote().fork(path, log)
        except OSError as error:
            raise _NoZygote from error
        return process

    def tail(self) -> str:
        """The last lines of the last hook's output."""
        data = _log_from(self._offset) if self._captured is None else self._captured
        from hwb.redact import Redactor

        text = Redactor(current().secrets).mask(data[-_TAIL_BYTES:]).decode(errors="replace")
        return "\n".join(text.splitlines()[-_TAIL_LINES:])


class _NoZygote(Exception):
    """It could not be started, or ended."""


def _log_size() -> int | None:
    """The log's length in bytes, when what is appended can be read back; else None."""
    fd = current().log.fileno()
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or not hasattr(os, "pread"):
        return None
    try:
        os.pread(fd, 1, 0)
    except OSError:
        return None  # open for writing only
    return status.st_size


def _log_from(offset: int) -> bytes:
    """The end of what was appended to the log since `offset`."""
    if sys.platform == "win32":
        raise AssertionError("no offset is handed out where files cannot be read at one")
    fd = current().log.fileno()
    start = max(offset, os.fstat(fd).st_size - _TAIL_BYTES)
    return os.pread(fd, _TAIL_BYTES, start)
