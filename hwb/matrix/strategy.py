"""How can this machine make a target: itself, in a container, through cibuildwheel, or not at all?"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from hwb.matrix.archs import native
from hwb.target import System

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hwb.target import Target

__all__ = ["Choice", "Host", "Strategy", "choose", "runner_for"]


class Strategy(Enum):
    """Who makes a wheel; the value is how lists and JSON say it."""

    HOST = "host"
    CONTAINER = "container"
    CIBUILDWHEEL = "cibuildwheel"
    ELSEWHERE = "elsewhere"


def _none(_: Target) -> bool:
    return False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Host:
    """The machine that plans: `arch` as its system says it, `engine` what answers (`docker`; None without any),
    `emulated` the foreign Linux architectures it can run, `interpreter` whether a target's Python is installed, and
    whether it is `disposable`, a machine of CI, where cibuildwheel installs CPython for macOS system-wide.
    `engineless` says in words why no engine answers.
    """

    system: System
    arch: str
    engine: str | None = None
    emulated: frozenset[str] = frozenset()
    interpreter: Callable[[Target], bool] = field(default=_none)
    disposable: bool = False
    engineless: str = ""


class Choice(NamedTuple):
    """A strategy, why it is not an own build, and which axis (`python`, `platform`, `arch`) is at fault where hwb does
    not make it: elsewhere, and where cibuildwheel has to be run by hand."""

    strategy: Strategy
    reason: str = ""
    axis: str = ""


_RUNNERS = {
    (System.LINUX, "x86_64"): "ubuntu-latest",
    (System.LINUX, "i686"): "ubuntu-latest",
    (System.LINUX, "aarch64"): "ubuntu-24.04-arm",
    (System.LINUX, "armv7l"): "ubuntu-24.04-arm",
    (System.MACOS, "x86_64"): "macos-15-intel",
    (System.MACOS, "arm64"): "macos-latest",
    (System.MACOS, "universal2"): "macos-latest",
    (System.WINDOWS, "AMD64"): "windows-latest",
    (System.WINDOWS, "x86"): "windows-latest",
    (System.WINDOWS, "ARM64"): "windows-11-arm",
    (System.IOS, "x86_64_iphonesimulator"): "macos-15-intel",
    (System.IOS, "arm64_iphonesimulator"): "macos-latest",
    (System.IOS, "arm64_iphoneos"): "macos-latest",
}
_SPOKEN = {
    System.LINUX: "Linux",
    System.MACOS: "macOS",
    System.WINDOWS: "Windows",
    System.PYODIDE: "Pyodide",
    System.ANDROID: "Android",
    System.IOS: "iOS",
}
_RUNS_TOO = {"x86_64": "i686", "aarch64": "armv7l"}
"""32-bit architectures that a 64-bit machine's kernel usually runs; an engine has the last word."""
_DELEGATED_ON = {
    System.PYODIDE: (System.LINUX, System.MACOS),
    System.ANDROID: (System.LINUX, System.MACOS),
    System.IOS: (System.MACOS,),
}


def runner_for(system: System, arch: str) -> tuple[str, bool]:
    """The name of GitHub's hosted machine for a system and architecture, and whether it must be emulated there."""
    found = _RUNNERS.get((system, arch))
    return (found, False) if found is not None else ("ubuntu-latest", system is System.LINUX)


def choose(target: Target, host: Host, engine: str) -> Choice:
    """The strategy for a target; `engine` is the key of `[tool.hwb.matrix]`."""
    if target.system in _DELEGATED_ON:
        return _delegated(target, host)
    own = _linux(target, host) if target.system is System.LINUX else _desktop(target, host)
    if engine == "cibuildwheel" and own.axis != "platform" and own.axis != "arch":
        if target.system is System.LINUX and host.engine is None:
            return Choice(
                Strategy.ELSEWHERE, "cibuildwheel needs a container engine: start docker or podman", "platform"
            )
        return Choice(Strategy.CIBUILDWHEEL, 'engine = "cibuildwheel"')
    return own


def _delegated(target: Target, host: Host) -> Choice:
    if host.system in _DELEGATED_ON[target.system]:
        what = f"cibuildwheel has what {_SPOKEN[target.system]} needs"
        if target.system is System.PYODIDE:
            return Choice(Strategy.CIBUILDWHEEL, what)
        return Choice(Strategy.CIBUILDWHEEL, f"{what}: run cibuildwheel --only with that name yourself", "platform")
    return _elsewhere(target, f"{_SPOKEN[target.system]} wheels are not made on {_SPOKEN[host.system]}", "platform")


def _elsewhere(target: Target, why: str, axis: str) -> Choice:
    runner, emulated = runner_for(target.system, target.arch)
    return Choice(Strategy.ELSEWHERE, f"{why}: use {runner}{' with qemu' if emulated else ''}", axis)


def _linux(target: Target, host: Host) -> Choice:
    own = native(System.LINUX, host.system, host.arch) or ""
    is_own = target.arch == own or (host.engine is not None and target.arch == _RUNS_TOO.get(own))
    if not is_own and target.arch not in host.emulated:
        return _elsewhere(target, f"{target.arch} is neither native nor emulated (binfmt, qemu) here", "arch")
    if host.engine is not None:
        return Choice(Strategy.CONTAINER)
    if host.system is not System.LINUX or target.family != "manylinux" or target.arch != own:
        return Choice(Strategy.ELSEWHERE, "it needs a container engine: start docker or podman", "platform")
    return _installed(target, host)


def _installed(target: Target, host: Host) -> Choice:
    if host.interpreter(target):
        return Choice(Strategy.HOST)
    why = "its Python is not installed, and there is no container engine here: install one or the other"
    return Choice(Strategy.ELSEWHERE, why, "python")


def _desktop(target: Target, host: Host) -> Choice:
    """macOS and Windows: no containers; an Apple machine makes both of its architectures."""
    if host.system is not target.system:
        return _elsewhere(target, f"{_SPOKEN[target.system]} wheels are made on {_SPOKEN[target.system]}", "platform")
    if target.system is System.WINDOWS and not _windows_can(target, host):
        return _elsewhere(target, f"{target.arch} cannot be made on {host.arch}", "arch")
    if host.interpreter(target):
        return Choice(Strategy.HOST)
    lacking = f"there is no {target.python} for {target.arch} here"
    if target.system is System.MACOS and target.implementation == "cpython" and not host.disposable:
        return Choice(Strategy.ELSEWHERE, f"{lacking}: install it, cibuildwheel does that on machines of CI", "python")
    return Choice(Strategy.CIBUILDWHEEL, f"{lacking}; cibuildwheel installs it")


def _windows_can(target: Target, host: Host) -> bool:
    own = native(System.WINDOWS, host.system, host.arch)
    return target.arch == own or (own == "AMD64" and target.arch in ("x86", "ARM64"))


def names(found: Iterable[str], most: int = 8) -> str:
    """The first few of a list, for a message."""
    known = list(found)
    return ", ".join(known[:most]) + (f" and {len(known) - most} more" if len(known) > most else "")
