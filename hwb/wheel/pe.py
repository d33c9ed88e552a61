"""Which libraries does a Windows file (PE) load when it is loaded?

The import directory says it (PE format, sections "Optional Header Data Directories" and "The .idata Section").
"""

from __future__ import annotations

import struct

from hwb.errors import ValidationError

__all__ = ["read_imports"]

_DIRECTORIES = {0x10B: 92, 0x20B: 108}
"""Where the number of data directories stands in the optional header, by its magic: 32 and 64 bits."""
_MOST = 1 << 12
_LONGEST = 512
_SECTIONS = 96
"""More are not loaded (PE format, "Section Table")."""


def read_imports(data: bytes | bytearray, name: str = "") -> tuple[str, ...]:
    """The names of the libraries, in lower case, as Windows compares them. Raises ValidationError for no PE file."""
    try:
        return tuple(dict.fromkeys(_names(data, name)))
    except (struct.error, KeyError):
        raise _refuse(name, "a header lies outside of it") from None


def _refuse(name: str, what: str) -> ValidationError:
    return ValidationError(f"cannot be read as a PE file: {what}", where=name, remedy="build it again")


def _names(data: bytes | bytearray, name: str) -> list[str]:
    start = struct.unpack_from("<I", data, 60)[0]
    if bytes(data[start : start + 4]) != b"PE\0\0":
        raise _refuse(name, "it has no PE header")
    sections, optional_size = struct.unpack_from("<H12xH", data, start + 6)
    optional = start + 24
    if not optional_size:
        return []  # an object file
    if sections > _SECTIONS:
        raise _refuse(name, "it has more sections than Windows loads")
    count = optional + _DIRECTORIES[struct.unpack_from("<H", data, optional)[0]]
    if struct.unpack_from("<I", data, count)[0] < 2:
        return []
    table = [struct.unpack_from("<4I", data, optional + optional_size + 40 * number + 8) for number in range(sections)]

    def offset(address: int) -> int:
        for size, begin, raw_size, raw in table:
            if begin <= address < begin + max(size, raw_size):
                return int(raw + address - begin)
        raise _refuse(name, f"the address {address:#x} is in no section")

    at = struct.unpack_from("<I", data, count + 12)[0]
    found: list[str] = []
    for number in range(_MOST if at else 0):
        where = struct.unpack_from("<5I", data, offset(at) + 20 * number)[3]
        if not where:
            break
        text = bytes(data[offset(where) : offset(where) + _LONGEST])
        found.append(text.partition(b"\0")[0].decode("ascii", "backslashreplace").lower())
    return found
