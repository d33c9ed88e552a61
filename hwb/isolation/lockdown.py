"""Which arguments start a container that can do nothing but the work it was made for?

Pure functions of frozen values: what an engine is told is decided here and nowhere else. The rules (C-34, DOC-38): no
network unless asked for, a read-only root, no capability, no new privileges, limits, an ordinary user, and mounts only
of what the work needs.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from hwb.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hwb.isolation.engine import Engine

__all__ = [
    "NOBODY",
    "ContainerOptions",
    "Gpu",
    "Identity",
    "Mount",
    "checked_mounts",
    "exec_arguments",
    "identity",
    "locked_down",
    "run_arguments",
]

NOBODY = 65534
"""The user and group that a container of root's works as: it owns nothing on any machine."""
IDLE = "while :; do sleep 86400; done"
"""What a container does while nothing is asked of it (`sleep infinity` is not everywhere)."""
_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock")
_SYSTEM = ("/", "/proc", "/sys", "/dev", "/etc", "/usr", "/opt", "/bin", "/lib", "/lib64", "/sbin")
"""Places inside that a mount must not cover as a whole: the image's own system."""
_MEMORY = re.compile(r"\d+(?:\.\d+)?[bkmg]?b?", re.IGNORECASE)
_OWN = re.compile(
    r"(?:PATH|HOME|USER|LOGNAME|TMPDIR|TEMP|TMP|LANG|LC_.*|TERM|(?:DOCKER|CONTAINERS?|BUILDAH|PODMAN|XDG|LD|DYLD|SSL|SSH|GO)_?.*"
    r"|(?:HTTPS?|ALL|NO)_PROXY|STORAGE_.*|NOTIFY_SOCKET)",
    re.IGNORECASE,
)
"""Variables that mean something to the engine's own command: it keeps its values of them."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A directory or file of this machine that a container sees at `target`; read-only unless `writable`."""

    source: str
    target: str
    writable: bool = False

    @classmethod
    def same(cls, path: str, *, writable: bool = False) -> Mount:
        """One that has the same path inside as outside, so that what is written there can name it."""
        return cls(path, path, writable)


@dataclass(frozen=True, slots=True)
class Gpu:
    """Which GPUs a container gets: all, or those numbers; `runtime` is docker's (empty: the daemon's own)."""

    devices: tuple[str, ...] = ()
    runtime: str = "nvidia"


@dataclass(frozen=True, slots=True)
class ContainerOptions:
    """What a container may do and see; the defaults are the locked-down ones."""

    mounts: tuple[Mount, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables of every command in it."""
    network: Literal["none", "bridge", "host"] = "none"
    memory: str = ""
    """Such as "4g", swap included; empty: what the engine allows."""
    cpus: float | None = None
    pids: int = 4096
    """How many processes and threads; a parallel compiler run needs some hundred, a fork bomb ends here."""
    tmp_size: str = "2g"
    """How much /tmp may hold (it is memory)."""
    gpu: Gpu | None = None
    platform: str = ""
    """The OCI platform, such as linux/arm64; empty: the image's."""
    launcher: tuple[str, ...] = ()
    """Put before every command: `linux32` makes an i686 image see an i686 machine."""


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom a container works, and whom its files belong to outside (None: to the caller, nothing to hand over)."""

    user: str
    userns: str = ""
    outside: int | None = None


def identity(engine: Engine, uid: int | None, gid: int | None) -> Identity:
    """As whom the containers of a caller work: as the caller; for root as nobody.

    Rootless docker maps root inside to the caller, rootless podman maps as told. Without numbers (Windows) files have
    no owner that matters.
    """
    if uid is None or gid is None:
        return Identity("1000:1000")
    if engine.rootless:
        if engine.name == "podman" and uid:
            return Identity(f"{uid}:{gid}", "keep-id")
        return Identity("0:0")
    userns = "host" if engine.remapped else ""
    return Identity(f"{uid}:{gid}", userns) if uid else Identity(f"{NOBODY}:{NOBODY}", userns, NOBODY)


def caller() -> tuple[int | None, int | None]:
    """User and group of this process; None twice where there are none."""
    if sys.platform == "win32":
        return None, None
    return os.getuid(), os.getgid()


# ---------------------------------------------------------------------------------------------------------- mounts


def checked_mounts(mounts: Sequence[Mount], *, home: str, environ: Mapping[str, str]) -> tuple[Mount, ...]:
    """The mounts with their sources as absolute real paths; ConfigError for one that gives the machine away.

    Never `/`, the home directory or what holds it, or an engine's socket: each of them is the whole machine.
    """
    sockets = {os.path.realpath(path) for path in (*_SOCKETS, *_named_sockets(environ))}
    return tuple(_checked(mount, os.path.realpath(home), sockets) for mount in mounts)


def _named_sockets(environ: Mapping[str, str]) -> Iterator[str]:
    for name in ("DOCKER_HOST", "CONTAINER_HOST"):
        if environ.get(name, "").startswith("unix://"):
            yield environ[name].removeprefix("unix://")
    if environ.get("XDG_RUNTIME_DIR"):
        yield os.path.join(environ["XDG_RUNTIME_DIR"], "docker.sock")
        yield os.path.join(environ["XDG_RUNTIME_DIR"], "podman", "podman.sock")


def _checked(mount: Mount, home: str, sockets: set[str]) -> Mount:
    source = os.path.realpath(mount.source)
    why = ""
    if _holds(source, home):
        why = "it holds the home directory"
    elif any(_holds(source, socket) for socket in sockets):
        why = "whoever has the engine's socket has the machine"
    elif not os.path.exists(source):
        why = "there is no such file or directory"
    elif not mount.target.startswith("/") or os.path.normpath(mount.target) in _SYSTEM:
        why = f"{mount.target!r} is no place of its own inside"
    elif any(ord(sign) < 32 for sign in source + mount.target):
        why = "its name has control characters"
    if why:
        raise ConfigError(
            f"{mount.source} cannot be mounted into a container: {why}", remedy="mount one directory of it"
        )
    return Mount(source, os.path.normpath(mount.target), mount.writable)


def _holds(path: str, other: str) -> bool:
    return other == path or other.startswith(os.path.join(path, ""))


def _mount_argument(mount: Mount) -> str:
    fields = ["type=bind", f"source={mount.source}", f"target={mount.target}"]
    return ",".join(map(_csv, fields if mount.writable else [*fields, "readonly"]))


def _csv(text: str) -> str:
    """One field of comma-separated values (RFC 4180), which is how both engines read `--mount`."""
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"') else text


def _private_parents(mounts: Sequence[Mount], home: str) -> list[str]:
    """Directories on the way to a mount that images keep from ordinary users (/root): an empty one covers them.

    A mount point has the same path inside as outside, also where that lies in somebody's home.
    """
    below = {place for place in ("/root", home) for mount in mounts if mount.target.startswith(place + "/")}
    return sorted(below - {"/", ""})


# -------------------------------------------------------------------------------------------------------- argument


def locked_down(engine: Engine, options: ContainerOptions, who: Identity, home: str) -> list[str]:
    """The arguments that take away from a container what it does not need."""
    args = ["--pull=never", "--init", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
    args += [f"--user={who.user}", f"--pids-limit={options.pids}", "--ulimit=nofile=1024:4096"]
    args += ["--tmpfs", f"/tmp:rw,exec,nosuid,nodev,mode=1777,size={options.tmp_size}"]
    args += _network(options) + _limits(options) + _gpu(engine, options.gpu)
    if engine.name == "podman":  # it would raise this limit as far as the machine has it, which it may not be allowed
        args.append(f"--ulimit=nproc={options.pids}:{options.pids}")
    if who.userns:
        args.append(f"--userns={who.userns}")
    if engine.selinux:
        args.append("--security-opt=label=disable")  # else no file of this machine can be read, mounted or not
    if options.platform:
        args.append(f"--platform={options.platform}")
    for place in _private_parents(options.mounts, home) if who.user != "0:0" else ():
        args += _open_tmpfs(engine, who, place)
    for mount in options.mounts:
        args += ["--mount", _mount_argument(mount)]
    return args


def _open_tmpfs(engine: Engine, who: Identity, place: str) -> list[str]:
    """A small tmpfs that its user can pass through.

    It is given away because runc lets it have the mode of the directory below, whatever is asked for.
    """
    if engine.name == "podman":
        fields = ["type=tmpfs", f"destination={place}", "tmpfs-size=64k", "tmpfs-mode=755", "chown=true", "notmpcopyup"]
        return ["--mount", ",".join(map(_csv, fields))]
    uid, _, gid = who.user.partition(":")
    return ["--tmpfs", f"{place}:rw,noexec,nosuid,nodev,size=64k,mode=755,uid={uid},gid={gid}"]


def _network(options: ContainerOptions) -> list[str]:
    return [f"--network={options.network}"] if options.network != "bridge" else []  # podman's own default differs


def _limits(options: ContainerOptions) -> list[str]:
    args = []
    if options.memory:
        if not _MEMORY.fullmatch(options.memory):
            raise ConfigError(f"{options.memory!r} is no amount of memory", remedy="write it as 8g or 512m")
        args += [f"--memory={options.memory}", f"--memory-swap={options.memory}"]
    if options.cpus is not None:
        if not options.cpus > 0:
            raise ConfigError(f"{options.cpus!r} is no number of processors", remedy="write it as 2 or 1.5")
        args.append(f"--cpus={options.cpus:g}")
    return args


def _gpu(engine: Engine, gpu: Gpu | None) -> list[str]:
    """Docker's own option, or the device names of the Container Device Interface, which podman has."""
    if gpu is None:
        return []
    if engine.name == "podman":
        return [f"--device=nvidia.com/gpu={device}" for device in gpu.devices or ("all",)]
    wanted = _csv("device=" + ",".join(gpu.devices)) if gpu.devices else "all"
    return ["--gpus", wanted, *([f"--runtime={gpu.runtime}"] if gpu.runtime else [])]


def run_arguments(
    engine: Engine,
    image: str,
    options: ContainerOptions,
    who: Identity,
    *,
    home: str,
    name: str,
    labels: Mapping[str, str],
    mark: Mapping[str, str],
) -> list[str]:
    """`run` of a container that waits for commands and goes when its first process ends.

    `mark` is in that process's environment, so that whoever ends a killed run's processes ends the container.
    """
    args = ["run", "--detach", "--rm", f"--name={name}", *locked_down(engine, options, who, home)]
    for key, value in labels.items():
        args += ["--label", f"{key}={value}"]
    for key, value in mark.items():
        args += ["--env", f"{key}={value}"]
    return [*args, "--entrypoint=/bin/sh", image, "-c", IDLE]


def exec_arguments(
    container: str,
    argv: Sequence[str],
    options: ContainerOptions,
    *,
    env: Mapping[str, str],
    cwd: str,
    client: Mapping[str, str],
    interactive: bool = False,
    talks: bool = False,
) -> tuple[list[str], dict[str, str]]:
    """`exec` of a command, and the environment for the engine's own process.

    Values of variables are handed over through that environment and not in the arguments, which every user of the
    machine can read; only those that would mean something to the engine's command itself are arguments. `interactive`
    gives it a terminal, `talks` connects its standard input.
    """
    whole = {"HOME": "/tmp", **options.env, **env}
    streams = ["--interactive", "--tty"] if interactive else ["--interactive"] if talks else []
    args = ["exec", *streams, "--workdir", cwd]
    outer = dict(client)
    for name, value in whole.items():
        if _OWN.fullmatch(name) and outer.get(name) != value:
            args += ["--env", f"{name}={value}"]
        else:
            outer[name] = value
            args += ["--env", name]
    return [*args, container, *options.launcher, *argv], outer
