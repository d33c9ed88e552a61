"""What is a compiler on macOS told, so that a wheel is for the right Macs?

The variables are those that Apple's tools, CPython's sysconfig and build backends read: `MACOSX_DEPLOYMENT_TARGET`,
`ARCHFLAGS`, `_PYTHON_HOST_PLATFORM` (the platform that sysconfig answers, and wheels are tagged with) and `SDKROOT`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwb.errors import CommandFailed, MissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hwb.target import Target

    Ask = Callable[[Sequence[str]], str]
    """What a command prints; raises CommandFailed."""

__all__ = ["DEPLOYMENT_TARGET", "build_environment", "deployment_target", "halves", "runs_on"]

DEPLOYMENT_TARGET = "11.0"
"""The oldest macOS that wheels are for where nobody says another."""
_ARCHES = {"universal2": ("arm64", "x86_64")}
_FIRST = {"arm64": (11, 0)}
"""The first macOS of an architecture; a universal2 wheel may name an older one, which its other half runs on."""
_OWN_MINIMUM = "import sysconfig; print(sysconfig.get_config_var('MACOSX_DEPLOYMENT_TARGET') or '')"


def build_environment(target: Target, outer: Mapping[str, str], python: str, ask: Ask) -> dict[str, str]:
    """The variables for a build of `target` with the interpreter `python`, to be added to `outer`.

    The SDK that `outer` names stays; the path of it is said in any case, because another SDK makes other wheels. Raises
    MissingError where Apple's tools are not installed.
    """
    lowest = deployment_target(target, ask([python, "-I", "-c", _OWN_MINIMUM]).strip())
    flags = " ".join(f"-arch {arch}" for arch in _ARCHES.get(target.arch, (target.arch,)))
    return {
        "MACOSX_DEPLOYMENT_TARGET": lowest,
        "ARCHFLAGS": flags,
        "_PYTHON_HOST_PLATFORM": f"macosx-{lowest}-{target.arch}",
        "SDKROOT": outer.get("SDKROOT") or _sdk(ask),
    }


def deployment_target(target: Target, own: str = "") -> str:
    """The oldest macOS that a wheel can be for: what the target asks for, or what its Python (`own`, what sysconfig
    says) or its architecture need, whichever is newest. An extension module runs nowhere that its Python does not."""
    asked = target.policy.removeprefix("macosx_").replace("_", ".") or DEPLOYMENT_TARGET
    known = [_version(asked), _FIRST.get(target.arch, (0, 0))]
    if own and own.replace(".", "").isdigit():
        known.append(_version(own))
    major, minor = max(known)
    return f"{major}.{minor}"


def _version(text: str) -> tuple[int, int]:
    major, _, rest = text.partition(".")
    return int(major), int(rest.partition(".")[0] or 0)


def _sdk(ask: Ask) -> str:
    try:
        found = ask(["xcrun", "--sdk", "macosx", "--show-sdk-path"]).strip()
    except CommandFailed as error:
        what = "there is no macOS SDK: Apple's command line tools are not installed"
        raise MissingError(what, detail=error.detail, remedy="run: xcode-select --install") from error
    if not found:
        raise MissingError("xcrun knows no macOS SDK", remedy="choose one: sudo xcode-select --switch PATH")
    return found


def halves(target: Target) -> tuple[Target, ...]:
    """The targets whose wheels are fused into that of a universal2 target, arm64 first."""
    from dataclasses import replace

    return tuple(replace(target, arch=arch) for arch in _ARCHES[target.arch])


def runs_on(target: Target, machine: str) -> bool:
    """Whether a wheel can be tested on a Mac (`machine`: arm64 or x86_64) with an interpreter of the machine's own."""
    return machine in _ARCHES.get(target.arch, (target.arch,))
