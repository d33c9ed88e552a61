"""How was the native code in a wheel compiled and linked, and did the machine that did it leave traces? (P14)"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from hwb.wheel.rules_native import native_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwb.wheel.elf import Elf
    from hwb.wheel.model import WheelSubject
    from hwb.wheel.natives import Natives

__all__ = ["absolute_paths", "is_private"]

_PRIVATE = r"/(?:home|root|Users|tmp|var/tmp|private/(?:var/)?tmp|private/var/folders|dev/shm)(?:/.*)?"
"""Homes and temporary directories: only the machine that built something has this one, and on another machine somebody
who is no administrator may make it, and put a library in it."""
_HEAVY = 1 << 18
_TIMES = 2
"""Debug information is worth a word from so many bytes on, when the wheel would be so many times smaller."""


def absolute_paths(elf: Elf) -> tuple[str, ...]:
    """Where the loader looks for libraries outside of the wheel: absolute entries of RPATH and RUNPATH, each once."""
    return tuple(dict.fromkeys(path for path in (*elf.rpath, *elf.runpath) if path.startswith("/")))


def is_private(path: str) -> bool:
    """Whether an absolute path is in somebody's home or in a temporary directory."""
    return re.fullmatch(_PRIVATE, "/" + posixpath.normpath(path).lstrip("/")) is not None


@native_rule("private-path", remedy="repair the wheel (hwb removes the path), or link without it")
def _private_path(wheel: WheelSubject, found: Natives) -> Iterator[tuple[str, str]]:
    """No library of a repaired wheel is looked for in a home or temporary directory of its builder (RPATH, RUNPATH)."""
    if not _is_local(wheel):
        for name, elf in found.elves.items():
            paths = [path for path in absolute_paths(elf) if is_private(path)]
            if paths:
                yield f"looks for libraries in {', '.join(paths)}, where others could put some", name


@native_rule("absolute-path", warns=True, remedy="repair the wheel (hwb removes the path), or link without it")
def _absolute_path(wheel: WheelSubject, found: Natives) -> Iterator[tuple[str, str]]:
    """Libraries are looked for beside the code that needs them, not in absolute directories (RPATH, RUNPATH)."""
    for name, elf in found.elves.items():
        paths = [path for path in absolute_paths(elf) if _is_local(wheel) or not is_private(path)]
        if paths:
            yield f"looks for libraries in {', '.join(paths)}", name


def _is_local(wheel: WheelSubject) -> bool:
    """Whether it was not repaired yet: it is for the machine that built it."""
    return wheel.parsed is not None and any(platform.startswith("linux_") for platform in wheel.parsed.platforms)


@native_rule("unoptimised", warns=True, remedy="setuptools takes CFLAGS instead of Python's flags: add -O3 to it")
def _unoptimised(wheel: WheelSubject, found: Natives) -> Iterator[tuple[str, str]]:
    """Code was compiled with optimisation, as far as the compiler wrote its options down (GCC does with -g)."""
    slow = [name for name, elf in found.elves.items() if elf.optimised is False]
    if slow:
        more = f" (and {len(slow) - 1} more)" if len(slow) > 1 else ""
        yield f"was compiled without -O{more}: it is several times slower than it could be", slow[0]


@native_rule("debug-information", warns=True, remedy="build with -g0, or let the repair strip it")
def _debug_information(wheel: WheelSubject, found: Natives) -> Iterator[tuple[str, str]]:
    """Debug information is not most of the wheel (unpacked, from 256 KiB on)."""
    debug = sum(elf.debug for elf in found.elves.values())
    whole = sum(entry.size for entry in wheel.reader.entries.values())
    if debug >= _HEAVY and whole >= _TIMES * (whole - debug):
        times = whole / max(whole - debug, 1)
        yield (
            f"{debug} of {whole} bytes are debug information: unpacked it could be {times:.1f} times smaller",
            "",
        )
