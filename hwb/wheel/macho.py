"""Which macOS does a Mach-O file need, and which libraries?

The load commands say it (loader.h, fat.h of macOS); each is read within the file, and so many at most as fit into it.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from hwb.errors import ValidationError

__all__ = ["Slice", "read_macho"]

_THIN = {b"\xcf\xfa\xed\xfe": 32, b"\xce\xfa\xed\xfe": 28}
"""Magic of 64 and 32 bits in little-endian order, which every Mac since 2006 has, and the header's length."""
_FAT = {b"\xca\xfe\xba\xbe": (20, ">5I", 2), b"\xca\xfe\xba\xbf": (32, ">2I2Q2I", 2)}
_ARCHES = {0x01000007: "x86_64", 0x0100000C: "arm64", 7: "i386"}
_BUILD_VERSION, _VERSION_MIN = 0x32, 0x24
_DYLIBS = {0xC, 0x80000018, 0x8000001F}
"""LC_LOAD_DYLIB, LC_LOAD_WEAK_DYLIB, LC_REEXPORT_DYLIB."""
_MACOS = 1
_MOST = 1 << 14


class Slice(NamedTuple):
    """What a Mach-O file is for one architecture: the least macOS (None: it does not say) and its libraries."""

    arch: str
    least: tuple[int, int] | None
    libraries: tuple[str, ...]


def read_macho(data: bytes | bytearray, name: str = "") -> tuple[Slice, ...]:
    """Every slice of a thin or universal file that is in little-endian order. Raises ValidationError for another."""
    try:
        if bytes(data[:4]) in _THIN:
            return (_slice(data, 0, name),)
        size, form, at = _FAT[bytes(data[:4])]
        count = min(struct.unpack_from(">I", data, 4)[0], 20)
        starts = [struct.unpack_from(form, data, 8 + size * number)[at] for number in range(count)]
        return tuple(_slice(data, start, name) for start in starts if bytes(data[start : start + 4]) in _THIN)
    except (KeyError, struct.error, OverflowError):
        raise _refuse(name, "a header or load command lies outside of it") from None


def _refuse(name: str, what: str) -> ValidationError:
    return ValidationError(f"cannot be read as a Mach-O file: {what}", where=name, remedy="build it again")


def _slice(data: bytes | bytearray, start: int, name: str) -> Slice:
    machine, _, _, count = struct.unpack_from("<4I", data, start + 4)
    at = start + _THIN[bytes(data[start : start + 4])]
    least: tuple[int, int] | None = None
    libraries = []
    for _ in range(min(count, _MOST)):
        kind, size = struct.unpack_from("<2I", data, at)
        if size < 8:
            raise _refuse(name, "a load command has no size")
        if kind in _DYLIBS:
            offset = struct.unpack_from("<I", data, at + 8)[0]
            libraries.append(bytes(data[at + offset : at + size]).partition(b"\0")[0].decode(errors="backslashreplace"))
        elif kind == _VERSION_MIN:
            least = _version(struct.unpack_from("<I", data, at + 8)[0])
        elif kind == _BUILD_VERSION:
            platform, version = struct.unpack_from("<2I", data, at + 8)
            least = _version(version) if platform == _MACOS else least
        at += size
    return Slice(_ARCHES.get(machine, f"machine {machine}"), least, tuple(libraries))


def _version(packed: int) -> tuple[int, int]:
    return packed >> 16, packed >> 8 & 0xFF
