"""Which container engine answers on this machine, and what does it mean when a call of it fails?

Docker and podman are driven by their command lines, which agree in all that is used here; where they differ, the
difference stands in `hwb.isolation.lockdown`.
"""

from __future__ import annotations

import os
import re
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwb.context import CancelToken, current, use
from hwb.errors import CommandTimeout, ContainerError, HwbError, ToolNotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["AUTO", "CHOICES", "Engine", "find_engine", "undisturbed"]

AUTO = "auto"
NONE = "none"
CHOICES = (AUTO, "docker", "podman", NONE)
"""What the setting `container-engine` can say."""
_ORDER = ("docker", "podman")
_ANSWER_SECONDS = 10.0
"""How long an engine may take to say that it is there; a daemon that hangs is none."""
_REMEMBERED_SECONDS = 60.0
"""How long it is remembered, outside of a run, that no engine answers; that one does is remembered for good."""
_ADDRESSES = ("PATH", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "CONTAINER_HOST", "CONTAINERS_CONF", "HOME")
"""Variables that decide which engine a command line reaches."""

_NO_REGISTRY = "the image's registry does not answer"
_LOAD = "check the connection and the engine's proxy, or load the image from a file (docker load)"
_ABSENT = "install docker or podman and start it, or use --isolation venv"
_TEXTS: tuple[tuple[tuple[str, ...], type[HwbError], str, str], ...] = (
    (
        ("permission denied while trying to connect", r"dial unix \S+: connect: permission denied"),
        ToolNotFound,
        "this user may not talk to the container engine",
        "add the user to the group of the engine's socket (docker), or use rootless podman",
    ),
    (  # what an engine that answers says of a registry that does not, in the words of an engine that does not
        (r"(?:response from daemon|container registry)\b.*(?:dial tcp|connection (?:refused|reset)|\bEOF\b)",),
        ContainerError,
        _NO_REGISTRY,
        _LOAD,
    ),
    (
        (
            "cannot connect to the docker daemon",
            "is the docker daemon running",
            "connection refused",
            "(?:unable|cannot) (?:to )?connect to podman",
            "error during connect",
            r"dial unix \S+: connect: no such file",
        ),
        ToolNotFound,
        "the container engine does not answer",
        "start it (docker: its daemon; podman on other systems than Linux: its machine)",
    ),
    (
        ("container-init binary not found",),
        ContainerError,
        "podman has no first process for containers",
        "install catatonit, which podman starts containers with",
    ),
    (
        ("no space left on device",),
        ContainerError,
        "there is no space left for images and containers",
        "remove what is not needed: `docker system prune`, or its like in podman",
    ),
    (
        (
            "could not select device driver",
            "unresolvable CDI devices",
            "unknown or invalid runtime name",
            "unknown runtime specified",
            "nvidia-container-cli",
            "CDI device injection failed",
        ),
        ContainerError,
        "the engine cannot give a GPU to a container",
        "install the NVIDIA container toolkit and set it up for this engine, or build without a GPU",
    ),
    (
        (
            "exec format error",
            "does not match the (?:specified|expected|detected host) platform",
            "no matching manifest",
            "no image found in (?:image index|manifest list) for architecture",
        ),
        ContainerError,
        "the image is for another processor, which this machine does not emulate",
        "register QEMU with binfmt (its F flag), or build on a machine of that kind",
    ),
    (
        (
            "no basic auth credentials",
            r"(?:response from daemon|auth token)\b.*\b(?:unauthorized|authentication required)",
        ),
        ContainerError,
        "the image's registry wants a login",
        "log in with the engine: docker login HOST, podman login HOST",
    ),
    (
        ("toomanyrequests", r"response from daemon\b.*(?:unexpected HTTP status|error parsing HTTP \d+ response)"),
        ContainerError,
        "the image's registry refuses to answer",
        "try again later, or load the image from a file (docker load)",
    ),
    (
        (
            "no such image",
            "image not known",
            "unable to find image",
            "(?:manifest|name) unknown",
            "pull access denied",
            "repository does not exist",
            "requested access to the resource is denied",
            "invalid reference format",
        ),
        ContainerError,
        "there is no such image",
        "check its name; a private registry needs a login of the engine (docker login, podman login)",
    ),
    (
        (
            "dial tcp",
            "TLS handshake timeout",
            "context deadline exceeded",
            "i/o timeout",
            r"Client\.Timeout",
            "network is unreachable",
            "no such host",
            r"x509:",
        ),
        ContainerError,
        _NO_REGISTRY,
        _LOAD,
    ),
)
"""What an engine prints, the error it is, what it is in words, and what to do (DOC-59); the first that fits."""


@dataclass(frozen=True, slots=True, eq=False)
class Engine:
    """A container engine that has answered: docker or podman, by its absolute path."""

    name: str
    path: str
    version: str
    arch: str = ""
    """The processor it runs containers on without emulation, as Linux names it (`x86_64`)."""
    rootless: bool = False
    """It runs as an ordinary user: root inside a container is that user outside."""
    remapped: bool = False
    """Its containers have user numbers of their own unless told otherwise (docker's userns-remap)."""
    selinux: bool = False
    cpus: int = 0
    """Processors that it can use; 0 when it does not say."""
    limits: tuple[str, ...] = ("memory", "cpu", "pids")
    """What it can limit; it ignores other limits (rootless engines whose control groups were not delegated)."""

    def call(
        self,
        *args: str,
        what: str,
        timeout: float | None = 120.0,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """What one command of the engine prints on standard output; `what` names the work for the error.

        Raises ContainerError, ToolNotFound (the engine has gone), CommandTimeout, Cancelled.
        """
        code, output, errors = _ask([self.path, *args], timeout, env)
        if code:
            raise failed(self.name, what, code, errors or output)
        return output

    def asks(self, *args: str) -> str | None:
        """The same for a question that may be answered with "there is none": None then."""
        code, output, errors = _ask([self.path, *args], 60.0, None)
        if not code:
            return output
        error = failed(self.name, " ".join(args[:2]), code, errors)
        if isinstance(error, ToolNotFound):
            raise error
        return None


def failed(name: str, what: str, code: int, text: str) -> HwbError:
    """The error for a call that ended with that code and said `text`."""
    for patterns, cls, meaning, remedy in _TEXTS:
        if re.search("|".join(patterns), text, re.IGNORECASE):
            return cls(f"{what}: {meaning}", detail=text.strip(), remedy=remedy)
    return ContainerError(f"{what}: {name} ended with exit code {code}", detail=text.strip(), remedy="see what it says")


def _ask(argv: Sequence[str], timeout: float | None, env: Mapping[str, str] | None) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a call."""
    import tempfile

    from hwb import proc

    with tempfile.TemporaryFile() as errors:
        done = proc.run(argv, capture=True, check=False, quiet=True, timeout=timeout, env=env, stderr=errors.fileno())
        errors.seek(0)
        return done.return_code, done.text, errors.read().decode(errors="replace")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Inside, calls go on although the work was called off or its time is over: for what has to be cleaned up."""
    with use(current().but(token=CancelToken(), deadline=None)):
        yield


# ------------------------------------------------------------------------------------------------- is there one


_known: dict[tuple[str, ...], tuple[float, Engine | ToolNotFound]] = {}


def find_engine(wanted: str = AUTO) -> Engine:
    """The engine of that name, or the first that answers; asked once in a run.

    Raises ToolNotFound that says for each why not, UsageError for a name that is none.
    """
    if wanted not in CHOICES:
        raise UsageError(f"{wanted!r} is no container engine", remedy=f"one of {', '.join(CHOICES)}")
    if wanted == NONE:
        raise ToolNotFound("no container engine is to be used", remedy='remove container-engine = "none"')
    if sys.platform == "win32":  # containers see the directories of a build under the same paths
        raise ToolNotFound("containers cannot have the paths of Windows", remedy="run hwb in the Linux of WSL")
    environ = current().outer_env
    key = (wanted, *(environ.get(name, "") for name in _ADDRESSES))
    at, found = _known.get(key, (0.0, None))
    lasting = current().shared is not None or time.monotonic() - at < _REMEMBERED_SECONDS
    if found is None or (isinstance(found, ToolNotFound) and not lasting):
        found = _first(_ORDER if wanted == AUTO else (wanted,))
        _known[key] = (time.monotonic(), found)
    if isinstance(found, ToolNotFound):
        raise ToolNotFound(found.what, remedy=found.remedy, detail=found.detail)
    return found


def _first(names: Sequence[str]) -> Engine | ToolNotFound:
    from hwb.which import which

    problems: list[ToolNotFound] = []
    for name in names:
        path = which(name, current().outer_env.get("PATH"))
        if path is None:
            problems.append(ToolNotFound(f"{name} is not installed", remedy=_ABSENT))
            continue
        try:
            return _described(os.path.abspath(path))
        except CommandTimeout:
            problems.append(ToolNotFound(f"{name} did not answer within {_ANSWER_SECONDS:g} s", remedy=_ABSENT))
        except HwbError as error:
            problems.append(ToolNotFound(error.what, remedy=error.remedy, detail=error.detail))
    installed = [problem for problem in problems if problem.detail] or problems
    detail = "\n".join(filter(None, (problem.detail for problem in problems)))
    what = "; ".join(problem.what for problem in problems)
    return ToolNotFound(f"no container engine: {what}", remedy=installed[0].remedy, detail=detail)


def _described(path: str) -> Engine:
    """One cheap call that only an engine which works answers; a `docker` that is podman is told by its answer."""
    import json

    name = os.path.basename(path).partition(".")[0]
    code, output, errors = _ask([path, "info", "--format", "{{json .}}"], _ANSWER_SECONDS, None)
    if code:
        raise failed(name, name, code, errors or output)
    try:
        answer = json.loads(output)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ContainerError(f"{name}: it does not describe itself in JSON", detail=output[:500])
    return _podman(path, answer) if isinstance(answer.get("host"), dict) else _docker(path, answer)


def _docker(path: str, answer: Mapping[str, Any]) -> Engine:
    problems = answer.get("ServerErrors") or []
    if problems or not answer.get("ServerVersion"):
        raise failed("docker", "docker", 1, "\n".join(map(str, problems)) or "the docker daemon is not running")
    options = " ".join(map(str, answer.get("SecurityOptions") or []))
    return Engine(
        "docker",
        path,
        str(answer["ServerVersion"]),
        arch=str(answer.get("Architecture") or ""),
        rootless="name=rootless" in options,
        remapped="name=userns" in options,
        selinux="name=selinux" in options,
        cpus=int(answer.get("NCPU") or 0),
        limits=tuple(limit for limit, key in _DOCKER_LIMITS.items() if answer.get(key, True)),
    )


_DOCKER_LIMITS = {"memory": "MemoryLimit", "cpu": "CpuCfsQuota", "pids": "PidsLimit"}
_GO_NAMES = {"amd64": "x86_64", "arm64": "aarch64", "386": "i686", "arm": "armv7l"}


def _podman(path: str, answer: Mapping[str, Any]) -> Engine:
    host = answer["host"]
    security = host.get("security") or {}
    arch = str(host.get("arch") or "")
    return Engine(
        "podman",
        path,
        str((answer.get("version") or {}).get("Version") or ""),
        arch=_GO_NAMES.get(arch, arch),
        rootless=bool(security.get("rootless")),
        selinux=bool(security.get("selinuxEnabled")),
        cpus=int(host.get("cpus") or 0),
        limits=tuple(map(str, host.get("cgroupControllers") or ())),
    )
