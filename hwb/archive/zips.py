"""Does every reader of this zip see the same members and bytes, and what are they?

Three things are said twice in a zip: the end record and the central directory, a central entry and its local header, a
member's sizes and its data. A stream reader believes one, a seeking reader the other; here they must agree, and every
byte of the file belongs to exactly one of them (APPNOTE.TXT 6.3.10; what PyPI refuses is refused).
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from hwb.archive.names import LIMITS, check_names, plain_errors, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwb.archive.members import Member
    from hwb.archive.names import StandardLimits
    from hwb.errors import ValidationError

__all__ = ["WheelReader", "open_wheel", "zip_members"]

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_BLOCK = 1 << 18
_UTF8, _DESCRIPTOR = 0x800, 0x8
_HARMLESS = _UTF8 | 0x6
"""Flags that change nothing about how data is read: UTF-8 names and the two bits of the deflate level."""
_FULL, _FULL_SHORT = 0xFFFFFFFF, 0xFFFF
_RENAMING = {0x7075: "a second name", 0x6375: "a second comment", 0x9901: "encryption", 0x0017: "encryption"}
"""Extra fields that make some readers see another member (APPNOTE 4.6.8, 4.6.9; WinZip AES)."""
_HEAD = 1024
_NATIVE = (b"\x7fE", b"MZ", b"\xcf\xfa", b"\xce\xfa", b"\xca\xfe")
"""What ELF, PE and Mach-O files begin with: so many of their bytes are remembered while they are read."""
_SMALL = 1 << 18
_IN_MEMORY = 32 << 20


class Entry:
    """One central directory entry, as it was written; `name` has a trailing slash for a directory."""

    __slots__ = ("crc", "data", "flags", "method", "mode", "name", "offset", "packed", "raw_name", "size", "stamp")

    raw_name: bytes
    name: str
    flags: int
    method: int
    stamp: int
    crc: int
    packed: int
    size: int
    mode: int
    offset: int
    data: int


class WheelReader:
    """An open wheel (or any zip) that has one reading; `names` are in the order of the central directory.

    `strict` is for what is published: no comment and no data descriptor (PyPI refuses both), no links, no names that
    differ by case only.
    """

    __slots__ = ("_bytes", "_digests", "_file", "_length", "_limits", "entries", "heads", "names", "path", "strict")

    def __init__(self, path: str, file: BinaryIO, *, strict: bool = True, limits: StandardLimits = LIMITS) -> None:
        self.path = path
        self.strict = strict
        self._file = file
        self._length = file.seek(0, os.SEEK_END)
        self._bytes = b""
        if self._length <= _IN_MEMORY:  # two reads for each member cost more than one for the file
            file.seek(0)
            self._bytes = file.read()
        self._limits = limits
        self._digests: dict[tuple[str, str], tuple[bytes, int]] = {}
        self.heads: dict[str, bytes] = {}
        """The first bytes of every member that was digested and may be native code."""
        start, entries = self._directory()
        self.names: tuple[str, ...] = tuple(entry.name for entry in entries)
        check_names(path, self.names, fold=strict, limits=limits)
        self.entries = {entry.name: entry for entry in entries}
        for entry in entries:
            self._check_entry(entry)
        self._check_limits(start)
        self._walk(start)

    def _refuse(self, what: str, member: str = "", rule: str = "archive-reading") -> ValidationError:
        return refuse(self.path, f"{what}: {member!r}" if member else what, rule=rule, member=member)

    def _damaged(self, what: str, member: str = "") -> ValidationError:
        return self._refuse(f"is damaged: {what}", member, "archive-damage")

    def peek(self, offset: int, count: int) -> bytes:
        """Bytes of the file, fewer at its end."""
        if self._bytes:
            return self._bytes[offset : offset + count]
        self._file.seek(offset)
        return self._file.read(count)

    def at(self, offset: int, count: int) -> bytes:
        """Bytes of the file; fewer are damage."""
        data = self.peek(offset, count)
        if len(data) < count:
            raise self._damaged("it ends in the middle of a header")
        return data

    # --- end records and central directory ---------------------------------------------------------------------------

    def _directory(self) -> tuple[int, list[Entry]]:
        end, record = self._end_record()
        _, disk, first_disk, here, count, size, start, _ = record
        if (disk, first_disk) != (0, 0) or here != count:
            raise self._refuse("is one part of several")
        end, (count, size, start) = self._end64(end, (count, size, start))
        if start + size != end:
            raise self._refuse("has bytes that belong to no member, or lacks some, around its central directory")
        if count > self._limits.members:
            what = f"has {count} members, more than {self._limits.members}"
            raise self._refuse(what, rule="archive-limit")
        return start, list(self._entries(self.at(start, size), count))

    def _end_record(self) -> tuple[int, tuple[bytes, int, int, int, int, int, int, int]]:
        """The offset and fields of the end record; it is the last thing in the file."""
        length = self._length
        window = min(length, _END.size + _FULL_SHORT)
        tail = self.at(length - window, window)
        at = window - _END.size
        if at < 0 or tail[at : at + 4] != b"PK\5\6":
            at = tail.rfind(b"PK\5\6")
        if at < 0:
            raise self._damaged("it has no end record; it is no zip file, or its end is missing")
        if at + _END.size > window:
            raise self._damaged("its end record is cut off")
        record = _END.unpack_from(tail, at)
        comment = tail[at + _END.size :]
        if record[7] != len(comment):
            raise self._refuse("has bytes after its end")
        if comment and (self.strict or b"PK" in comment):
            raise self._refuse("has a comment")
        return length - window + at, record

    def _end64(self, end: int, short: tuple[int, int, int]) -> tuple[int, tuple[int, int, int]]:
        """The ZIP64 end record, if there is one: it lies directly before the other and agrees with it."""
        needed = (_FULL_SHORT, _FULL, _FULL)
        at = end - _LOCATOR.size
        if at < 0 or (locator := self.at(at, _LOCATOR.size))[:4] != b"PK\6\7":
            return end, short
        _, disk, offset, disks = _LOCATOR.unpack(locator)
        if disk or disks != 1 or offset + _END64.size != at:
            raise self._refuse("has a ZIP64 end record where none belongs")
        fields = _END64.unpack(self.at(offset, _END64.size))
        long = (fields[7], fields[8], fields[9])
        agrees = all(one in (two, full) for one, two, full in zip(short, long, needed))
        if fields[:2] != (b"PK\6\6", 44) or fields[4:6] != (0, 0) or fields[6] != fields[7] or not agrees:
            raise self._refuse("has two end records that disagree")
        return offset, long

    def _entries(self, data: bytes, count: int) -> Iterator[Entry]:
        at = 0
        for _ in range(count):
            if data[at : at + 4] != b"PK\1\2" or at + _CENTRAL.size > len(data):
                raise self._damaged("its central directory has fewer entries than it says")
            entry, at = self._entry(data, at)
            yield entry
        if at != len(data):
            raise self._refuse("has a central directory with more in it than its entries")

    def _entry(self, data: bytes, at: int) -> tuple[Entry, int]:
        fields = _CENTRAL.unpack_from(data, at)
        entry = Entry()
        _, _, _, entry.flags, entry.method, time, date, entry.crc, entry.packed, entry.size = fields[:10]
        name, extra, comment, disk, _, attributes, entry.offset = fields[10:]
        entry.stamp = date << 16 | time
        at += _CENTRAL.size
        end = at + name + extra + comment
        if end > len(data):
            raise self._damaged("an entry of its central directory is cut off")
        entry.raw_name = data[at : at + name]
        entry.name = self._name(entry)
        entry.mode = attributes >> 16
        if comment or disk:
            raise self._refuse("has an entry with a comment or on another disk", entry.name)
        if extra:
            long = self._extra(data[at + name : at + name + extra], entry)
            wide = (entry.size == _FULL, entry.packed == _FULL, entry.offset == _FULL)
            if long is not None:
                self._widen(entry, long, wide)
        return entry, end

    def _name(self, entry: Entry) -> str:
        """Strictly UTF-8; a name with other bytes must say so, or readers take it for CP437 (APPNOTE appendix D)."""
        raw = entry.raw_name
        if not entry.flags & _UTF8 and not raw.isascii():
            raise self._refuse("has a name that is not marked as UTF-8", raw.decode("latin-1"), "archive-name")
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise self._refuse("has a name that is not UTF-8", raw.decode("latin-1"), "archive-name") from None

    def _extra(self, data: bytes, entry: Entry) -> bytes | None:
        """The ZIP64 field's bytes, or None; each field once, all of the bytes in fields (APPNOTE 4.5)."""
        seen: dict[int, bytes] = {}
        at = 0
        while at < len(data):
            kind, size = struct.unpack_from("<2H", data, at) if at + 4 <= len(data) else (0, len(data))
            at += 4 + size
            if at > len(data) or kind in seen:
                raise self._refuse("has an extra field that is cut off or there twice", entry.name)
            if kind in _RENAMING:
                raise self._refuse(f"has an extra field with {_RENAMING[kind]}", entry.name)
            seen[kind] = data[at - size : at]
        return seen.get(1)

    def _widen(self, entry: Entry, data: bytes, wide: tuple[bool, bool, bool]) -> None:
        if len(data) != 8 * sum(wide):
            raise self._refuse("has a ZIP64 field that does not fit its entry", entry.name)
        values = iter(struct.unpack(f"<{sum(wide)}Q", data))
        entry.size = next(values) if wide[0] else entry.size
        entry.packed = next(values) if wide[1] else entry.packed
        entry.offset = next(values) if wide[2] else entry.offset

    # --- entries and their local headers -----------------------------------------------------------------------------

    def _check_entry(self, entry: Entry) -> None:
        name, flags, kind = entry.name, entry.flags, stat.S_IFMT(entry.mode)
        if flags & 0x2041:
            raise self._refuse("has an encrypted member", name)
        if flags & _DESCRIPTOR and self.strict:
            raise self._refuse("has a member with a data descriptor", name)
        if flags & ~(_HARMLESS | _DESCRIPTOR):
            raise self._refuse("has a member with flags that change how it is read", name)
        if entry.method not in (0, 8):
            raise self._refuse(f"has a member with compression method {entry.method}", name)
        folder = name.endswith("/")
        allowed = (0, stat.S_IFDIR) if folder else (0, stat.S_IFREG, *([] if self.strict else [stat.S_IFLNK]))
        if kind not in allowed or (folder and entry.size):
            what = "has a member that is neither file nor directory, or says both"
            raise self._refuse(what, name, "archive-type")
        if entry.mode & 0o7000:
            raise self._refuse("has a member with special mode bits", name, "archive-type")
        if entry.method == 0 and entry.packed != entry.size:
            raise self._refuse("has a stored member of two sizes", name)

    def _check_limits(self, packed: int) -> None:
        """Sizes are believed here because `blocks` stops at them: a member that unpacks to more is damaged."""
        total = sum(entry.size for entry in self.entries.values())
        if total > self._limits.bytes:
            what = f"unpacks to {total} bytes, more than {self._limits.bytes}"
            raise self._refuse(what, rule="archive-limit")
        if total > self._limits.ratio_from and total > packed * self._limits.ratio:
            what = f"unpacks to {total} bytes from {packed}, more than {self._limits.ratio} for each"
            raise self._refuse(what, rule="archive-limit")

    def _walk(self, start: int) -> None:
        """Local headers and data follow each other from the first byte to the central directory, without a gap."""
        at = 0
        for entry in sorted(self.entries.values(), key=lambda entry: entry.offset):
            if entry.offset != at:
                how = "overlaps another" if entry.offset < at else "has bytes before it that belong to no member"
                raise self._refuse(f"has a member that {how}", entry.name)
            at = self._local(entry)
            if at > start:
                raise self._damaged("a member reaches into the central directory", entry.name)
            if entry.flags & _DESCRIPTOR:
                at += self._descriptor(entry, at)
        if at != start:
            raise self._refuse("has bytes before its central directory that belong to no member")

    def _local(self, entry: Entry) -> int:
        """Compare a local header with its central entry; the offset at which the data ends."""
        head = self.at(entry.offset, _LOCAL.size + len(entry.raw_name))
        magic, _, flags, method, time, date, crc, packed, size, name, extra = _LOCAL.unpack_from(head)
        if magic != b"PK\3\4":
            raise self._damaged("a local header is not where the central directory says", entry.name)
        long = self._extra(self.at(entry.offset + _LOCAL.size + name, extra), entry) if extra else None
        if long is not None:
            # both sizes, in this order (APPNOTE 4.5.3); bazel repeats sizes here that would have fitted above
            wide = struct.unpack("<2Q", long) if len(long) == 16 else (-1, -1)
            if size not in (_FULL, wide[0]) or packed not in (_FULL, wide[1]):
                raise self._refuse("has a ZIP64 field that does not fit its local header", entry.name)
            size, packed = wide
        said = (flags, method, date << 16 | time, name, head[_LOCAL.size :])
        known = (crc, packed, size) == (entry.crc, entry.packed, entry.size)
        streamed = entry.flags & _DESCRIPTOR and (crc, packed, size) == (0, 0, 0)
        if said != (entry.flags, entry.method, entry.stamp, len(entry.raw_name), entry.raw_name) or not (
            known or streamed
        ):
            raise self._refuse("has a member whose local header disagrees with the central directory", entry.name)
        entry.data = entry.offset + _LOCAL.size + name + extra
        return entry.data + entry.packed

    def _descriptor(self, entry: Entry, at: int) -> int:
        """The length of a data descriptor, which must say what the central directory says (APPNOTE 4.3.9)."""
        for form in ("<4s3L", "<3L", "<4sL2Q", "<L2Q"):
            size = struct.calcsize(form)
            data = self.peek(at, size)
            fields = struct.unpack(form, data) if len(data) == size else ()
            wanted = (entry.crc, entry.packed, entry.size)
            if fields == wanted or fields == (b"PK\7\x08", *wanted):
                return size
        raise self._refuse("has a data descriptor that disagrees with the central directory", entry.name)

    # --- data --------------------------------------------------------------------------------------------------------

    def _entry_of(self, name: str) -> Entry:
        entry = self.entries.get(name)
        if entry is None:
            raise refuse(self.path, f"has no member {name!r}", rule="archive-damage", member=name)
        return entry

    def blocks(self, name: str) -> Iterator[bytes]:
        """A member's bytes, its size, checksum and the end of its deflate stream verified when the last is out."""
        entry = self._entry_of(name)
        if entry.size <= _SMALL and entry.packed <= _SMALL:
            yield self._whole(entry)
            return
        crc = total = 0
        for block in self._unpacked(entry):
            total += len(block)
            if total > entry.size:
                break
            crc = zlib.crc32(block, crc)
            yield block
        if total != entry.size or crc != entry.crc:
            raise self._damaged("a member does not have its size or checksum (CRC-32)", name)

    def _whole(self, entry: Entry) -> bytes:
        """A small member at once; whatever is wrong with it is found by reading it in blocks."""
        data = self.at(entry.data, entry.packed)
        if entry.method:
            inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            try:
                data = inflate.decompress(data, entry.size + 1)
                whole = inflate.eof and not inflate.unused_data
            except zlib.error:
                whole = False
            if not whole:
                data = b"".join(self._unpacked(entry))
        if len(data) != entry.size or zlib.crc32(data) != entry.crc:
            raise self._damaged("a member does not have its size or checksum (CRC-32)", entry.name)
        return data

    def _unpacked(self, entry: Entry) -> Iterator[bytes]:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS) if entry.method == 8 else None
        at, left = entry.data, entry.packed
        while left:
            packed = self.at(at, min(left, _BLOCK))
            at, left = at + len(packed), left - len(packed)
            if inflate is None:
                yield packed
                continue
            while packed:
                with plain_errors(self.path):
                    block = inflate.decompress(packed, _BLOCK << 2)
                yield block
                packed = inflate.unconsumed_tail
                if inflate.eof:
                    break
            if inflate.eof and (left or inflate.unused_data):
                raise self._refuse("has a member with bytes after the end of its data", entry.name)
        while inflate is not None and not inflate.eof:  # output that did not fit into the last block
            block = inflate.decompress(b"", _BLOCK << 2)
            if not block:
                raise self._damaged("the compressed data of a member ends too early", entry.name)
            yield block

    def read(self, name: str) -> bytes:
        """A member's bytes. Raises ValidationError when it is damaged, not there, or larger than metadata may be."""
        if self._entry_of(name).size > self._limits.metadata:
            what = f"has a member of more than {self._limits.metadata} bytes that is read as a whole"
            raise self._refuse(what, name, "archive-limit")
        return b"".join(self.blocks(name))

    def digest(self, name: str, algorithm: str) -> tuple[bytes, int]:
        """A member's digest and size in bytes, read in blocks. `algorithm` is a name of hashlib's."""
        key = (algorithm, name)
        found = self._digests.get(key)
        if found is None:
            digest, size = getattr(hashlib, algorithm)(), 0
            for block in self.blocks(name):
                if not size and block[:2] in _NATIVE:
                    self.heads[name] = block[:_HEAD]
                digest.update(block)
                size += len(block)
            found = self._digests[key] = digest.digest(), size
        return found

    def verify(self) -> None:
        """Read every member that was not digested yet: damage anywhere is found, whoever looks. ValidationError."""
        digested = {name for _, name in self._digests}
        for name in self.names:
            if name not in digested:
                for _ in self.blocks(name):
                    pass


@contextmanager
def open_wheel(
    path: str | os.PathLike[str], *, strict: bool = True, limits: StandardLimits = LIMITS
) -> Iterator[WheelReader]:
    """A reader of a wheel. Raises ValidationError when it is unreadable, unsafe, or could be read in two ways."""
    place = os.fspath(path)
    with plain_errors(place):
        file = open(place, "rb")  # noqa: SIM115 - closed below
    with file, plain_errors(place):
        yield WheelReader(place, file, strict=strict, limits=limits)


def zip_members(reader: WheelReader) -> tuple[Member, ...]:
    """The members of a source archive in the terms of a tar; a link's target is its data (Info-ZIP)."""
    return tuple(_member(reader, entry) for entry in reader.entries.values())


def _member(reader: WheelReader, entry: Entry) -> Member:
    from hwb.archive.members import DIRECTORY, FILE, SYMLINK, Member

    name = entry.name.removesuffix("/")
    kind = DIRECTORY if name != entry.name else SYMLINK if stat.S_ISLNK(entry.mode) else FILE
    target = ""
    if kind == SYMLINK:
        with plain_errors(reader.path):
            target = reader.read(entry.name).decode()
    return Member(name, kind, entry.size, entry.mode & 0o777, _seconds(entry.stamp), target)


def _seconds(stamp: int) -> float:
    """DOS date and time, which have no zone, as if they were UTC: the same on every machine."""
    from calendar import timegm

    date, time = stamp >> 16, stamp & 0xFFFF
    day = (1980 + (date >> 9), min(max(date >> 5 & 15, 1), 12), max(date & 31, 1))
    return timegm((*day, time >> 11, time >> 5 & 63, (time & 31) * 2, 0, 0, 0))
