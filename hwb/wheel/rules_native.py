"""Does the native code in a wheel run where the wheel's tags say? (P14)"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hwb.wheel.binaries import fits
from hwb.wheel.model import wheel_rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hwb.wheel.filenames import WheelName
    from hwb.wheel.model import WheelSubject
    from hwb.wheel.natives import Natives

    _Check = Callable[[WheelSubject, Natives], Iterator[tuple[str, str]]]

__all__ = ["native_rule", "suffix_fits"]

_CPYTHON = r"(?:cpython-|cp)(?P<version>[0-9]+)(?P<flags>[a-z]*)(?:-(?P<platform>.*))?"
_OTHER = r"(?P<name>pypy|graalpy|pyston)-?(?P<version>[0-9]+)"
_ABI3 = r"abi3t?"


def native_rule(rule_id: str, *, warns: bool = False, remedy: str) -> Callable[[_Check], _Check]:
    """Register a rule about what native files say of themselves; wheels without any are not asked (nor read)."""

    def register(function: _Check) -> _Check:
        def check(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
            if wheel.binaries:
                from hwb.wheel.natives import natives

                yield from function(wheel, natives(wheel))

        check.__doc__, check.__module__ = function.__doc__, function.__module__
        wheel_rule(rule_id, "P14", warns=warns, remedy=remedy)(check)
        return function

    return register


@wheel_rule("abi-suffix", "P14", remedy="build in a clean tree: this file is of an earlier build, or the tag is wrong")
def _abi_suffix(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """The ABI in an extension module's name is the wheel's (PEP 3149): another one would never be imported."""
    if wheel.parsed is None or wheel.parsed.platforms == ("any",):
        return
    for name, abi in sorted(wheel.extensions.items()):
        if abi and not suffix_fits(abi, wheel.parsed):
            tags = f"{'.'.join(wheel.parsed.pythons)}-{'.'.join(wheel.parsed.abis)}"
            yield f"is an extension module for {abi}, in a wheel for {tags}", name


def suffix_fits(suffix: str, wheel: WheelName) -> bool:
    """Whether an extension module with this ABI suffix is for one of the wheel's tags; an unknown suffix is."""
    if re.fullmatch(_ABI3, suffix):
        return any(_stable_abi_fits(suffix, abi) for abi in wheel.abis)
    if match := re.fullmatch(_CPYTHON, suffix):
        version, flags = match["version"], match["flags"].strip("dmu")
        return _version_fits(version, flags, wheel) and _libc_fits(match["platform"] or "", wheel)
    if match := re.match(_OTHER, suffix):
        short = {"pypy": "pp", "graalpy": "graalpy", "pyston": "pt"}[match["name"]]
        return any(python == f"{short}{match['version']}" or python.startswith("py") for python in wheel.pythons)
    return True


def _stable_abi_fits(suffix: str, abi: str) -> bool:
    """Whether Pythons of an ABI tag load a stable ABI. Free-threaded ones have none before 3.15 (PEP 803)."""
    if abi == "none" or abi == "abi3t" or abi == suffix:
        return True
    version = re.fullmatch(r"cp3(\d+)([a-z]*)", abi)
    if version is None:
        return False
    return int(version[1]) >= 15 or (suffix == "abi3" and "t" not in version[2])


def _libc_fits(platform: str, wheel: WheelName) -> bool:
    """Pythons of glibc do not look for files of musl; the other way round older ones do, who took musl for glibc."""
    return "-linux-musl" not in platform or any(tag.startswith(("musllinux", "linux_")) for tag in wheel.platforms)


def _version_fits(version: str, flags: str, wheel: WheelName) -> bool:
    """A wheel for py3-none may hold a build for any of its minors; a suffix with a version is never a stable ABI."""
    threads = "t" in flags
    for python in wheel.pythons:
        for abi in wheel.abis:
            if abi.startswith("abi3"):
                continue
            if python == f"cp{version}" and (abi == "none" or abi.rstrip("dmu").endswith("t") == threads):
                return True
            if python.startswith("py") and python[2:] in (version, version[:1]):
                return True
    return False


@wheel_rule("pure-with-extension", "P14", remedy="build the wheel with the tags of its interpreter and platform")
def _pure_with_extension(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """A wheel for any platform holds no extension module: it runs on one."""
    if wheel.parsed is None or wheel.parsed.platforms != ("any",):
        return
    for name, binary in wheel.binaries.items():
        if name in wheel.extensions:
            yield f"is an extension module ({binary.format}) in a wheel for any platform", name


@wheel_rule("native-in-any", "P14", warns=True, remedy="make sure that the project works without it on other platforms")
def _native_in_any(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """A wheel for any platform with native programs or libraries works in full on some platforms only."""
    if wheel.parsed is None or wheel.parsed.platforms != ("any",):
        return
    for name, binary in wheel.binaries.items():
        if name not in wheel.extensions:
            yield f"is native code ({binary.format}, {', '.join(sorted(binary.machines))})", name


@wheel_rule("binary-platform", "P14", remedy="build on, or for, the platform that the file name says")
def _binary_platform(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """Extension modules have the format and machine of every platform in the file name."""
    if wheel.parsed is None or wheel.parsed.platforms == ("any",):
        return
    for name, binary in wheel.binaries.items():
        wrong = [platform for platform in wheel.parsed.platforms if not fits(binary, platform)]
        if wrong and name in wheel.extensions:
            is_for = f"{binary.format} for {', '.join(sorted(binary.machines))}"
            yield f"is {is_for}, in a wheel for {', '.join(wrong)}", name


@wheel_rule("foreign-binary", "P14", warns=True, remedy="leave it out if nothing needs it")
def _foreign_binary(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """Programs and libraries beside the extension modules are for a platform of the file name, too."""
    if wheel.parsed is None or wheel.parsed.platforms == ("any",):
        return
    for name, binary in wheel.binaries.items():
        if name not in wheel.extensions and not any(fits(binary, platform) for platform in wheel.parsed.platforms):
            yield f"is {binary.format} for {', '.join(sorted(binary.machines))}", name


@wheel_rule("no-native-code", "P14", warns=True, remedy="build a wheel for any platform if nothing in it is native")
def _no_native_code(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """A wheel for one platform has native code in it, or it need not be for one."""
    if wheel.parsed and "any" not in wheel.parsed.platforms and not wheel.binaries:
        archives = [name for name in wheel.files if name.endswith((".a", ".lib", ".o", ".wasm"))]
        if not archives:
            yield f"is for {', '.join(wheel.parsed.platforms)} but holds no native code", ""
