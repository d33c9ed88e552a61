"""What do the native files of a wheel say of themselves? Each is read once, however many rules ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from hwb.errors import ValidationError

if TYPE_CHECKING:
    from hwb.wheel.elf import Elf
    from hwb.wheel.macho import Slice
    from hwb.wheel.model import WheelSubject

__all__ = ["Natives", "content", "natives"]

_LARGEST = 1 << 29
"""Bytes of a file that is looked into: it has to be in memory as a whole."""


class Natives(NamedTuple):
    """The native files of a wheel by member, and those that could not be read, with the reason."""

    elves: dict[str, Elf]
    machos: dict[str, tuple[Slice, ...]]
    imports: dict[str, tuple[str, ...]]
    """What each PE file loads."""
    unread: dict[str, str]


_known: WeakKeyDictionary[WheelSubject, Natives] = WeakKeyDictionary()


def natives(wheel: WheelSubject) -> Natives:
    """Everything that is read of the wheel's ELF, Mach-O and PE files; one at a time is in memory."""
    found = _known.get(wheel)
    if found is None:
        found = _known[wheel] = _read(wheel)
    return found


def _read(wheel: WheelSubject) -> Natives:
    found = Natives({}, {}, {}, {})
    for name, binary in wheel.binaries.items():
        if (size := wheel.reader.entries[name].size) > _LARGEST:
            found.unread[name] = f"has {size} bytes, more than are looked into"
            continue
        try:
            if binary.format == "ELF":
                from hwb.wheel.elf import read_elf

                found.elves[name] = read_elf(content(wheel, name), name)
            elif binary.format == "PE":
                from hwb.wheel.pe import read_imports

                found.imports[name] = read_imports(content(wheel, name), name)
            else:
                from hwb.wheel.macho import read_macho

                found.machos[name] = read_macho(content(wheel, name), name)
        except ValidationError as error:
            found.unread[name] = error.what
    return found


def content(wheel: WheelSubject, name: str) -> bytearray:
    """A member's bytes, in one place: two copies of a large library are one too many."""
    whole = bytearray(wheel.reader.entries[name].size)
    at = 0
    for block in wheel.reader.blocks(name):
        whole[at : at + len(block)] = block
        at += len(block)
    return whole
