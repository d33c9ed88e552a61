"""How does a locked-down container live, from its start to the moment when nothing of it is left?

A container is started once, commands are run in it, and it is removed: when the block ends, when the work is called
off, and, if hwb itself was killed, by whoever calls `reap` next. Its first process carries the mark of the run, so that
the watcher of a killed run ends it together with everything else.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from typing import TYPE_CHECKING, Any

from hwb.context import current
from hwb.errors import CommandFailed, CommandTimeout, ContainerError, HwbError
from hwb.isolation.engine import undisturbed
from hwb.isolation.lockdown import (
    ContainerOptions,
    Identity,
    caller,
    checked_mounts,
    exec_arguments,
    identity,
    run_arguments,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from hwb.isolation.engine import Engine
    from hwb.proc import Completed

__all__ = ["TOKEN", "Container", "owner_labels", "reap"]

LABEL = "hwb.owner"
_HOST_LABEL = "hwb.host"
_KEPT = "hwb-kept-"
"""How the names of containers begin that somebody wants to look into: they stay until they are removed by hand."""
TOKEN = "HWB_EXEC"
"""The variable by which the processes of one command are found inside."""
_SIGNALS = """for f in $(grep -ls "$1" /proc/[0-9]*/environ 2>/dev/null); do
p=${f#/proc/}; kill -"$2" "${p%/environ}" 2>/dev/null && echo "${p%/environ}"; done"""
"""Signal every process inside whose environment names the command, and say which they were."""
_PATIENCE = 2.0
"""Seconds after KILL; what is still there then goes with the container."""


class Container:
    """A running container of an image; `with Container(...) as container:` starts and removes it.

    The writable mounts belong to the container's user while it runs and to the caller again afterwards. `home` and
    `owner` are for tests: the caller's home directory, and user and group.
    """

    def __init__(
        self,
        engine: Engine,
        image: str,
        options: ContainerOptions | None = None,
        *,
        home: str | None = None,
        owner: tuple[int | None, int | None] | None = None,
    ) -> None:
        self.engine = engine
        self.image = image
        self.home = os.path.realpath(home or os.path.expanduser("~"))
        given = options or ContainerOptions()
        mounts = checked_mounts(given.mounts, home=self.home, environ=current().outer_env)
        self.options = _with_mounts(given, mounts)
        self.identity: Identity = identity(engine, *(owner or caller()))
        self.name = f"hwb-{os.getpid()}-{secrets.token_hex(4)}"
        self.id = ""
        """The engine's name of the container while it runs."""
        self._kept = False

    def __enter__(self) -> Container:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.remove()

    def start(self) -> Container:
        """Start it, after removing those of dead owners; raises ContainerError (image, GPU, platform, space, ...)."""
        reap(self.engine)
        self._warn_of_limits()
        _hand_over(self.options, self.identity.outside)
        args = run_arguments(
            self.engine,
            self.image,
            self.options,
            self.identity,
            home=self.home,
            name=self.name,
            labels=owner_labels(),
            mark=current().mark,
        )
        try:
            self.id = self.engine.call(*args, what=f"starting a container of {self.image}").strip()
        except BaseException:
            self.id = self.name  # it may have been made all the same: the engine goes on when its command is ended
            self.remove()
            raise
        return self

    def _warn_of_limits(self) -> None:
        wanted = {"memory": bool(self.options.memory), "cpu": self.options.cpus is not None}
        ignored = [limit for limit, asked in wanted.items() if asked and limit not in self.engine.limits]
        if ignored:
            text = (
                f"{self.engine.name} cannot limit {' and '.join(ignored)} here: the container gets as much as it wants"
            )
            current().emit("message", level="warning", text=text)

    def remove(self) -> None:
        """End everything in it and remove it; does nothing when that was done. The mounts are the caller's again."""
        found, self.id = self.id, ""
        if not found or self._kept:
            return
        with undisturbed():
            try:
                self.engine.call("rm", "--force", "--volumes", found, what="removing a container", timeout=60.0)
            except HwbError as error:
                if not _is_gone(error):
                    text = f"the container {self.name} could not be removed: {error.what}"
                    current().emit("message", level="warning", text=text)
            finally:
                _hand_over(self.options, caller()[0] if self.identity.outside is not None else None)

    def keep(self, cwd: str = "/tmp") -> tuple[str, str]:
        """Let it stay when everything else is removed; the command lines that enter it (in `cwd`) and remove it.

        Its first process must not carry the mark of the run, or it ends with that. Raises ContainerError.
        """
        import shlex

        name = self.name.replace("hwb-", _KEPT, 1)
        if not self._kept:
            self.engine.call("rename", self.id, name, what="keeping a container")
            self._kept = True
        enter = ["exec", "-it", "-w", cwd, name, "sh"]
        return shlex.join([self.engine.name, *enter]), shlex.join([self.engine.name, "rm", "-f", name])

    def command(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = "/tmp",
        interactive: bool = False,
        talks: bool = False,
    ) -> tuple[list[str], dict[str, str]]:
        """The command line that runs `argv` inside, and the environment to start it with.

        The image's own variables stay unless `env` names them. `interactive` gives it a terminal, `talks` connects its
        standard input. A command line that is ended does not end what it started inside: `run` sees to that, `end`
        does it for who put a token of its own into the variable `TOKEN`.
        """
        if not self.id:
            raise ContainerError("the container is not running", remedy="use it inside its with block")
        mark = {**current().mark, **(env or {})}
        args, client = exec_arguments(
            self.id,
            argv,
            self.options,
            env=mark,
            cwd=cwd,
            client=current().outer_env,
            interactive=interactive,
            talks=talks,
        )
        return [self.engine.path, *args], client

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = "/tmp",
        interactive: bool = False,
        check: bool = True,
        success_codes: Iterable[int] = (0,),
        **options: Any,
    ) -> Completed:
        """Run a command inside to its end, as `proc.run` does with the same options and errors.

        When the command is given up (a timeout, an interrupt), its processes inside are ended with the same grace.
        """
        from hwb import proc

        token = secrets.token_hex(8)
        line, client = self.command(argv, env={**(env or {}), TOKEN: token}, cwd=cwd, interactive=interactive)
        quiet = options.pop("quiet", False)
        if not quiet:
            current().emit("command-started", argv=list(argv), cwd=cwd)
        try:
            done = proc.run(line, env=client, check=False, interactive=interactive, quiet=True, **options)
        except BaseException as error:
            self.end(token, options.get("grace"))
            if isinstance(error, CommandTimeout):  # it names the engine's command, which is not what took so long
                what = error.what.replace(os.path.basename(line[0]), os.path.basename(argv[0]), 1)
                raise CommandTimeout(what, remedy=error.remedy) from None
            raise
        done = proc.Completed(tuple(argv), done.return_code, done.seconds, done.output)
        if not quiet:
            current().emit("command-finished", argv=list(argv), return_code=done.return_code, seconds=done.seconds)
        if check and done.return_code not in tuple(success_codes):
            raise self._failure(done)
        return done

    def _failure(self, done: Completed) -> CommandFailed:
        from hwb import proc

        error = proc.failure(done)
        if done.return_code == 137 and self.options.memory:
            error.remedy = f"KILL usually means that the {self.options.memory} of memory were used up: allow more"
        return error

    def end(self, token: str, grace: tuple[float | None, float | None] | None = None) -> None:
        """End every process inside that was started with that token: INT, then TERM, then KILL."""
        first, second = grace or current().grace
        with undisturbed():
            for signal, seconds in (("INT", first), ("TERM", second), ("KILL", _PATIENCE)):
                if self._gone(token, signal, _PATIENCE if seconds is None else seconds):
                    return

    def _gone(self, token: str, signal: str, seconds: float) -> bool:
        """Send the signal, and look until the time is over whether nothing is left."""
        end = time.monotonic() + seconds
        if not self._signalled(token, signal):
            return True
        while time.monotonic() < end:
            time.sleep(0.02)
            # a fork may race with the search: KILL is sent again, others only once
            if not self._signalled(token, signal if signal == "KILL" else "0"):
                return True
        return False

    def _signalled(self, token: str, signal: str) -> bool:
        args = ["exec", self.id, "/bin/sh", "-c", _SIGNALS, "sh", f"{TOKEN}={token}", signal]
        try:
            return bool(self.engine.call(*args, what="ending a command in a container", timeout=10.0).strip())
        except HwbError:
            return False  # the container has gone, and everything in it

    def give(self, path: str) -> None:
        """Let the container's user write a directory of this machine and all below it (it is the caller's afterwards).

        Only what lies in a writable mount is given back when the container is removed.
        """
        _give(path, self.identity.outside)

    def copy_out(self, inside: str, target: str | os.PathLike[str]) -> Path:
        """Copy a file or directory of the container to `target` on this machine; raises ContainerError.

        Through a writable mount and as the container's user: the engines' own `cp` sees no tmpfs.
        """
        import shutil
        from pathlib import Path

        shared = next((mount for mount in self.options.mounts if mount.writable), None)
        if shared is None:
            raise ContainerError("nothing can be copied out of a container without a writable mount")
        name = f".hwb-out-{secrets.token_hex(4)}"
        done = self.run(
            ["cp", "-R", "--", inside, os.path.join(shared.target, name)],
            check=False, capture=True, quiet=True,
        )  # fmt: skip
        if done.return_code:
            raise ContainerError(f"{inside} cannot be copied out of the container", detail=done.text)
        final = Path(target)
        taken = final.with_name(f".{final.name}{name}")
        shutil.move(os.path.join(shared.source, name), taken)  # first out of the container's reach, then looked at
        if taken.is_symlink():
            taken.unlink()
            raise ContainerError(f"{inside} is a link in the container", remedy="copy what it leads to")
        _give(str(taken), caller()[0] if self.identity.outside is not None else None)
        return taken.replace(final)


def _with_mounts(options: ContainerOptions, mounts: Any) -> ContainerOptions:
    from dataclasses import replace

    return replace(options, mounts=mounts)


# ----------------------------------------------------------------------------------------------------------- owner


def _hand_over(options: ContainerOptions, owner: int | None) -> None:
    for mount in options.mounts:
        if mount.writable:
            _give(mount.source, owner)


def _give(path: str, owner: int | None) -> None:
    """Make a tree belong to that user and the group of the same number.

    Links are changed, never followed, also where somebody swaps one in meanwhile: a container may still run.
    """
    if owner is None or sys.platform == "win32":
        return
    os.chown(path, owner, owner, follow_symlinks=False)
    for _, folders, files, folder in os.fwalk(path, follow_symlinks=False):
        for name in (*folders, *files):
            os.chown(name, owner, owner, dir_fd=folder, follow_symlinks=False)


# ------------------------------------------------------------------------------------------------------------ reap


def reap(engine: Engine) -> list[str]:
    """Remove the containers whose hwb is dead; returns their names.

    Those of other machines are left alone, and those that somebody had kept.
    """
    if sys.platform == "win32":
        return []  # a process number alone does not tell whether its process is the same one
    wanted = ["ps", "--all", "--no-trunc", "--filter", f"label={_HOST_LABEL}={_host()}"]
    listed = engine.call(
        *wanted, "--format", "{{.ID}} {{.Names}} {{json .Labels}}", what="looking for left containers", timeout=30.0
    )
    rows = (line.split(" ", 2) for line in listed.splitlines())
    dead = [found for found, name, labels in rows if not name.startswith(_KEPT) and not _lives(_owner_in(labels))]
    if dead:
        try:
            engine.call("rm", "--force", "--volumes", *dead, what="removing left containers", timeout=60.0)
        except HwbError as error:
            if not _is_gone(error):
                raise
    return dead


def _owner_in(labels: str) -> str:
    """The owner that labels tell: podman prints them as an object, docker as a text of pairs."""
    import json

    found = json.loads(labels)
    if isinstance(found, dict):
        return str(found.get(LABEL, ""))
    return next((pair.partition("=")[2] for pair in str(found).split(",") if pair.startswith(f"{LABEL}=")), "")


def _is_gone(error: HwbError) -> bool:
    """Whether somebody else removes it, or has."""
    text = f"{error.what} {error.detail}".lower()
    return "no such container" in text or "already in progress" in text or "no container with" in text


def owner_labels() -> dict[str, str]:
    """What a container must be labelled with for `reap` to remove it when this process is dead."""
    return {LABEL: owner_of(), _HOST_LABEL: _host()}


def owner_of(pid: int | None = None) -> str:
    """A process (by default this one) by its number and the time it was started, which no other one ever has."""
    number = os.getpid() if pid is None else pid
    return f"{number}-{_started(number)}"


def _lives(owner: str) -> bool:
    pid, _, started = owner.partition("-")
    return pid.isdigit() and bool(started) and _started(int(pid)) == started


def _started(pid: int) -> str:
    """When a process was started, in the system's own words; empty when there is none."""
    if sys.platform == "linux":
        try:
            with open(f"/proc/{pid}/stat", "rb") as handle:
                fields = handle.read().rpartition(b")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] == b"Z" else fields[19].decode()
    from hwb import proc

    done = proc.run(["ps", "-o", "lstart=", "-p", str(pid)], capture=True, check=False, quiet=True)
    return "-".join(done.text.split()) if not done.return_code else ""


def _host() -> str:
    """This machine since its last start, and this process's own numbering of processes (a container has its own)."""
    import platform
    from pathlib import Path

    parts = [platform.node()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append("".join(filter(str.isdigit, str(Path("/proc/self/ns/pid").readlink()))))
    except OSError:
        pass  # another system than Linux: the name has to do
    return "_".join(parts)
