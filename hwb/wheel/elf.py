"""What does an ELF file need, where would it look for that, and how was it compiled?

Only what is asked here is read, each field within the file and each table within a bound, so that a file made to hurt
costs no more than an honest one of its size (gABI chapters 4 and 5; LSB 10.7 for symbol versions).
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from hwb.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Elf", "Needed", "read_elf", "undefined_symbols"]

_PT_LOAD, _PT_DYNAMIC = 1, 2
_SHT_NOBITS, _SHT_DYNSYM = 8, 11
_SHF_COMPRESSED = 0x800
_NEEDED, _HASH, _STRTAB, _SYMTAB, _STRSZ, _SONAME, _RPATH, _RUNPATH = 1, 4, 5, 6, 10, 14, 15, 29
_GNU_HASH, _VERSYM, _VERNEED, _VERNEEDNUM = 0x6FFFFEF5, 0x6FFFFFF0, 0x6FFFFFFE, 0x6FFFFFFF
_LONGEST = 1 << 16
"""Bytes of one name: mangled C++ names reach some thousand."""
_SPARE = 1 << 20
"""Bytes that all names together may be longer than the file, since linkers let them share their ends."""
_MOST = 1 << 16
"""Entries of one table (segments, sections, libraries, versions): more are in no file that a linker made."""
_MOST_VERSIONS = 1 << 14
_MOST_SYMBOLS = 1 << 21
_MOST_TEXT = 1 << 26
"""Bytes of one debug section that are unpacked to look for the compiler's options."""
_DEBUG = (".debug_", ".zdebug_", ".gnu.debuglto_", ".stab")
_PRODUCER = re.compile(rb"GNU (?!AS )[A-Z][^\0\n]{0,8000}")
"""DW_AT_producer as GCC writes it: language, version and the options (clang and rustc leave the options out)."""


class Needed(NamedTuple):
    """A version of a library's symbols that must be there, such as GLIBC_2.34 of libc.so.6; weak: it may be missing."""

    library: str
    version: str
    weak: bool


class Elf(NamedTuple):
    """What an ELF file says of itself; paths and names as they are written, sizes in bytes."""

    bits: int
    order: str
    machine: int
    size: int
    needed: tuple[str, ...]
    soname: str
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]
    versions: tuple[Needed, ...]
    sections: dict[str, int]
    options: tuple[str, ...]
    """What the compiler was called with, one text for each time it is told; empty where nothing tells."""

    @property
    def debug(self) -> int:
        """Bytes of debug information, which nothing needs at run time."""
        return sum(size for name, size in self.sections.items() if name.startswith(_DEBUG))

    @property
    def optimised(self) -> bool | None:
        """Whether any unit was compiled with optimisation; None when no compiler wrote down how it was called."""
        levels = [re.findall(r"(?:^|[\s\0])-O([^\s\0]*)", text) for text in self.options]
        return any(each and each[-1] != "0" for each in levels) if levels else None  # the last one counts


class _Segment(NamedTuple):
    kind: int
    offset: int
    address: int
    size: int


class _Section(NamedTuple):
    name: str
    kind: int
    flags: int
    offset: int
    size: int


class _File:
    """Bounds-checked reading of one file."""

    __slots__ = ("bits", "data", "left", "machine", "name", "order", "sections_at", "segments")

    def __init__(self, data: bytes | bytearray, name: str) -> None:
        self.data = data
        self.name = name
        self.left = len(data) + _SPARE
        if data[:4] != b"\x7fELF" or len(data) < 52 or data[4] not in (1, 2) or data[5] not in (1, 2):
            raise self.refuse("it has no ELF header")
        self.bits = 32 * data[4]
        self.order = "<" if data[5] == 1 else ">"
        word = "I" if self.bits == 32 else "Q"
        head = self.unpack(f"2HI3{word}I6H", 16)
        self.machine = head[1]
        self.segments = tuple(self._segments(head[4], head[8], head[9]))
        self.sections_at = (head[5], head[10], head[11], head[12])

    def refuse(self, what: str) -> ValidationError:
        return ValidationError(f"cannot be read as an ELF file: {what}", where=self.name, remedy="build it again")

    def unpack(self, form: str, at: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(self.order + form, self.data, at)
        except struct.error:
            raise self.refuse(f"it ends before byte {at} and what belongs there") from None
        except OverflowError:
            raise self.refuse(f"it says that something begins at byte {at}") from None

    def part(self, at: int, size: int) -> bytes:
        if at + size > len(self.data):
            raise self.refuse("a part of it lies outside of it")
        return bytes(self.data[at : at + size])

    def text(self, at: int) -> str:
        end = self.data.find(b"\0", at, at + _LONGEST) if at < len(self.data) else -1
        if end < 0:
            raise self.refuse("a name in it does not end")
        self.left -= end - at
        if self.left < 0:
            raise self.refuse("its names are longer together than it is")
        return self.data[at:end].decode("utf-8", "backslashreplace")

    def _segments(self, at: int, size: int, count: int) -> Iterator[_Segment]:
        form = "8I" if self.bits == 32 else "2I6Q"
        if count and size < struct.calcsize(f"<{form}"):
            raise self.refuse("its program headers are too small")
        for number in range(count):
            values = self.unpack(form, at + number * size)
            kind, (offset, address) = values[0], values[1:3] if self.bits == 32 else values[2:4]
            yield _Segment(kind, offset, address, values[4 if self.bits == 32 else 5])

    def offset(self, address: int) -> int:
        """Where in the file an address of the loaded program comes from."""
        for segment in self.segments:
            if segment.kind == _PT_LOAD and segment.address <= address < segment.address + segment.size:
                return segment.offset + address - segment.address
        raise self.refuse(f"the address {address:#x} is in no segment")

    def sections(self) -> Iterator[_Section]:
        at, size, count, names = self.sections_at
        form = "10I" if self.bits == 32 else "2I4Q2I2Q"
        if not at:
            return
        if not count:  # more than its field can say: the first section tells (gABI, e_shnum)
            count = self.unpack(form, at)[5]
        if size < struct.calcsize(f"<{form}") or count > _MOST or (count and names >= count):
            raise self.refuse("its section headers make no sense")
        table = self.unpack(form, at + names * size)[4] if count else 0
        for number in range(count):
            name, kind, flags, _, offset, length = self.unpack(form, at + number * size)[:6]
            if kind != _SHT_NOBITS and kind and offset + length > len(self.data):
                raise self.refuse("a section lies outside of it")
            yield _Section(self.text(table + name), kind, flags, offset, 0 if kind == _SHT_NOBITS else length)

    def dynamic(self) -> list[tuple[int, int]]:
        """The entries of the dynamic section before its end; nothing when it is no dynamic object."""
        form = "iI" if self.bits == 32 else "qQ"
        step = struct.calcsize(f"<{form}")
        found: list[tuple[int, int]] = []
        none = _Segment(_PT_DYNAMIC, 0, 0, 0)
        where = next((segment for segment in self.segments if segment.kind == _PT_DYNAMIC), none)
        for number in range(min(where.size // step, _MOST)):
            tag, value = self.unpack(form, where.offset + number * step)
            if not tag:
                break
            found.append((tag, value))
        return found

    def contents(self, section: _Section) -> bytes:
        """A section's bytes, unpacked (gABI, SHF_COMPRESSED), at most so many; nothing when zlib did not pack them."""
        data = self.part(section.offset, min(section.size, _MOST_TEXT))
        if not section.flags & _SHF_COMPRESSED:
            return data
        head = 12 if self.bits == 32 else 24
        if len(data) < head or self.unpack("I", section.offset)[0] != 1:
            return b""
        try:
            return zlib.decompressobj().decompress(data[head:], _MOST_TEXT)
        except zlib.error:
            raise self.refuse(f"the section {section.name} is damaged") from None


def read_elf(data: bytes | bytearray, name: str = "") -> Elf:
    """What the bytes of an ELF file (32 or 64 bits, either byte order) say. Raises ValidationError for any other."""
    file = _File(data, name)
    entries = file.dynamic()
    first = dict(reversed(entries))
    names = file.offset(first[_STRTAB]) if _STRTAB in first else 0

    def texts(tag: int) -> tuple[str, ...]:
        return tuple(file.text(names + value) for kind, value in entries if kind == tag)

    sections = list(file.sections())
    sizes: dict[str, int] = {}
    for section in sections:
        sizes[section.name] = sizes.get(section.name, 0) + section.size
    return Elf(
        bits=file.bits,
        order="little" if file.order == "<" else "big",
        machine=file.machine,
        size=len(data),
        needed=texts(_NEEDED),
        soname="".join(texts(_SONAME)[:1]),
        rpath=_folders(texts(_RPATH)),
        runpath=_folders(texts(_RUNPATH)),
        versions=tuple(version for version, _ in _versions(file, first, names)),
        sections=sizes,
        options=tuple(dict.fromkeys(_options(file, sections))),
    )


def _folders(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(folder for path in paths for folder in path.split(":") if folder)


def _versions(file: _File, first: dict[int, int], names: int) -> Iterator[tuple[Needed, int]]:
    """Each version that is wanted, with its index in the table of symbols' versions (LSB 10.7.2)."""
    if _VERNEED not in first:
        return
    at, left = file.offset(first[_VERNEED]), _MOST_VERSIONS
    for _ in range(min(first.get(_VERNEEDNUM, 0), _MOST)):
        _, count, library, inner, following = file.unpack("2H3I", at)
        inner += at
        for _ in range(count):
            left -= 1
            if left < 0:
                raise file.refuse("it wants more versions of symbols than there can be")
            _, flags, index, name, step = file.unpack("I2H2I", inner)
            yield Needed(file.text(names + library), file.text(names + name), bool(flags & 2)), index
            inner += step
        if not following:
            return
        at += following


def _options(file: _File, sections: list[_Section]) -> Iterator[str]:
    for section in sections:
        if section.name == ".debug_str":
            for found in _PRODUCER.findall(file.contents(section)):
                yield found.decode("utf-8", "backslashreplace")
        elif section.name == ".GCC.command.line" and section.size:  # -frecord-gcc-switches
            yield file.contents(section).decode("utf-8", "backslashreplace").strip("\0")


def undefined_symbols(data: bytes | bytearray, name: str = "") -> tuple[tuple[str, str], ...]:
    """Symbols that other libraries must define, each with its version (`memcpy`, `GLIBC_2.14`) or an empty string.

    Raises ValidationError for what is no ELF file.
    """
    file = _File(data, name)
    first = dict(reversed(file.dynamic()))
    if _SYMTAB not in first or _STRTAB not in first:
        return ()
    names, table = file.offset(first[_STRTAB]), file.offset(first[_SYMTAB])
    count = _symbol_count(file, first)
    if count > _MOST_SYMBOLS:
        raise file.refuse("it has more symbols than there can be")
    known = {index: needed.version for needed, index in _versions(file, first, names)}
    versions = _symbol_versions(file, first, count)
    form, where = ("I2I2BH", (0, 5)) if file.bits == 32 else ("I2BH2Q", (0, 3))
    size = struct.calcsize(f"<{form}")
    symbols = struct.iter_unpack(file.order + form, file.part(table, count * size))
    found = [(number, values[where[0]]) for number, values in enumerate(symbols) if values[where[1]] == 0]
    return tuple((file.text(names + at), known.get(versions[number], "")) for number, at in found if at)


def _symbol_versions(file: _File, first: dict[int, int], count: int) -> tuple[int, ...]:
    if _VERSYM not in first:
        return (0,) * count
    data = file.part(file.offset(first[_VERSYM]), 2 * count)
    return tuple(value & 0x7FFF for value in struct.unpack(f"{file.order}{count}H", data))


def _symbol_count(file: _File, first: dict[int, int]) -> int:
    """A dynamic section does not say how many symbols there are: the hash table or the section header does."""
    if _HASH in first and (file.bits == 32 or file.machine != 22):  # s390x: entries of another size
        return file.unpack("2I", file.offset(first[_HASH]))[1]
    for section in file.sections():
        if section.kind == _SHT_DYNSYM:
            return section.size // (16 if file.bits == 32 else 24)
    if _GNU_HASH in first:
        return file.unpack("2I", file.offset(first[_GNU_HASH]))[1]  # those that are not defined stand before these
    return 0
