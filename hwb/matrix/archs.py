"""Which architectures do words such as `auto`, `native` and `arm64` mean on a system?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hwb.errors import ConfigError
from hwb.matrix.known import architectures
from hwb.target import System, same_arch

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["native", "resolve"]

WORDS = ("auto", "native", "all", "auto64", "auto32")
_HALVES = {"x86_64": "i686", "AMD64": "x86", "aarch64": "armv7l"}
"""The 32-bit architecture that a machine of the 64-bit one runs too."""
_FOREIGN = {
    System.ANDROID: {"x86_64": "x86_64", "aarch64": "arm64_v8a"},
    System.IOS: {"x86_64": "x86_64_iphonesimulator", "aarch64": "arm64_iphonesimulator"},
}


def native(system: System, host: System, arch: str) -> str | None:
    """What a host's architecture is called on a system; None when it has no counterpart there (i686 on macOS)."""
    if system is System.PYODIDE:
        return "wasm32"
    if system is System.IOS and host is not System.MACOS:
        return None
    common = same_arch(System.LINUX, arch)
    if system in _FOREIGN:
        return _FOREIGN[system].get(common)
    if system is System.MACOS and common == "i686":
        return None
    return same_arch(system, common)


def resolve(text: str, system: System, host: System, arch: str, where: str = "") -> tuple[str, ...]:
    """The architectures of a list with commas or spaces, in the order of the data; those of other systems are left out.

    `host` and `arch` say which machine `auto` is about. Raises ConfigError for a word that no system knows.
    """
    there = architectures(system)
    chosen = {found for word in re.split(r"[\s,]+", text.strip()) for found in _meant(word, system, host, arch, where)}
    return tuple(one for one in there if one in chosen)


def _meant(word: str, system: System, host: System, arch: str, where: str) -> Iterator[str]:
    own = native(system, host, arch)
    if word == "all":
        yield from architectures(system)
    elif word in WORDS:
        yield from _about(word, own, system) if own is not None else ()
    else:
        yield _named(word, system, where)


def _about(word: str, own: str, system: System) -> Iterator[str]:
    half = _HALVES.get(own)
    narrow = own in ("wasm32", *_HALVES.values())
    if word in ("auto", "native") or (word == "auto64" and not narrow) or (word == "auto32" and narrow):
        yield own
    if word == "auto" and own == "AMD64":
        yield "x86"
    if word == "auto" and own == "arm64_iphonesimulator":
        yield "arm64_iphoneos"
    # a 64-bit ARM may lack the 32-bit instructions, and nothing is run here to find out: armv7l is asked for by name
    if word == "auto32" and half not in (None, "armv7l") and system in (System.LINUX, System.WINDOWS):
        yield str(half)


def _named(word: str, system: System, where: str) -> str:
    known = {one.lower(): one for other in System for one in architectures(other)}
    here = {one.lower(): one for one in architectures(system)}
    found = here.get(word.lower()) or known.get(word.lower())
    if found is None:
        remedy = f"architectures of {system.value}: {', '.join(architectures(system))}; or {', '.join(WORDS)}"
        raise ConfigError(f"there is no architecture {word!r}", where=where, remedy=remedy)
    return found
