"""Does every reader of this tar see the same members, and what are they?

A tar says names and sizes in a header of 512 bytes and may say them again in extended headers before it (pax: POSIX.1,
GNU: `L` and `K`). Where those can disagree, where a reader could skip one, and what comes after the end is refused.
"""

from __future__ import annotations

import io
import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from hwb.archive.members import DIRECTORY, FILE, HARDLINK, Member, check_links
from hwb.archive.names import LIMITS, check_names, plain_errors, refuse
from hwb.archive.tarheaders import BLOCK, KINDS, Header, parse_header, parse_pax

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from _typeshed import WriteableBuffer

    from hwb.archive.names import StandardLimits
    from hwb.errors import ValidationError

__all__ = ["SdistReader", "TarWalk", "open_sdist", "unpacked"]

_IN_MEMORY = 32 << 20
"""Bytes of an unpacked sdist that are held in memory; a larger one goes through a temporary file."""
_READ = 1 << 18
_REFUSED_GLOBALLY = ("path", "linkpath", "size")
_OCTAL_LIMIT = 8**11
"""The first size that does not fit the header's eleven octal digits: only then may an extended header say it alone."""


class TarWalk:
    """All headers of an unpacked tar, in order; `dots` accepts names that begin with `./`, as `tar c .` writes them."""

    def __init__(self, path: str, stream: IO[bytes], limits: StandardLimits, *, dots: bool = False) -> None:
        self.path = path
        self.global_headers: dict[str, str] = {}
        self._stream = stream
        self._limits = limits
        self._dots = dots
        self._length = stream.seek(0, os.SEEK_END)
        self._at = 0
        self._name = ""

    def _refuse(self, what: str, rule: str = "archive-reading") -> ValidationError:
        shown = f" after {self._name!r}" if self._name else ""
        return refuse(self.path, f"{what}{shown}", rule=rule, member=self._name)

    def _take(self, count: int) -> bytes:
        self._stream.seek(self._at)
        data = self._stream.read(count)
        if len(data) < count:
            raise self._refuse("is damaged: it ends too early", "archive-damage")
        self._at += count
        return data

    def members(self) -> list[Member]:
        """Every member. Raises ValidationError."""
        found: list[Member] = []
        while (header := self._header()) is not None:
            member = self._member(header)
            if member is not None:
                found.append(member)
            if len(found) > self._limits.members:
                raise self._refuse(f"has more than {self._limits.members} members", "archive-limit")
        return found

    def _header(self) -> Header | None:
        """The next header; None at the end, which is two zero blocks and nothing but zeros after them (POSIX.1)."""
        block = self._take(BLOCK)
        if block.count(0) < BLOCK:
            header = parse_header(block)
            if isinstance(header, str):
                rule = "archive-damage" if header.startswith("is damaged") else "archive-reading"
                raise self._refuse(header, rule)
            return header
        self._end()
        return None

    def _end(self) -> None:
        rest = max(self._length - self._at, BLOCK)
        while rest:
            block = self._take(min(_READ, rest))
            rest -= len(block)
            if block.count(0) < len(block):
                raise self._refuse("has bytes after the end of the tar")
        if self._length % BLOCK:
            raise self._refuse("is damaged: its length is no whole number of blocks", "archive-damage")

    def _member(self, header: Header) -> Member | None:
        """A member with the extended headers before it; None for a header of the whole archive."""
        if header.type == b"g":
            self._add_global(header)
            return None
        pax: dict[str, str] = {}
        long: dict[bytes, str] = {}
        while header.type in (b"x", b"L", b"K"):
            if header.type == b"x":
                if pax:
                    raise self._refuse("has two extended headers in a row")
                pax = self._pax(header)
            else:
                self._add_long(header, long)
            following = self._header()
            if following is None or following.type == b"g":
                raise self._refuse("has an extended header that belongs to no member")
            header = following
        return self._finished(header, pax, long)

    def _extension(self, header: Header) -> bytes:
        if header.size > self._limits.header:
            raise self._refuse(f"has a header of more than {self._limits.header} bytes", "archive-limit")
        data = self._take(-(-header.size // BLOCK) * BLOCK)
        if data[header.size :].strip(b"\0"):
            raise self._refuse("has an extended header with bytes after its end")
        return data[: header.size]

    def _pax(self, header: Header) -> dict[str, str]:
        fields = parse_pax(self._extension(header))
        if isinstance(fields, str):
            raise self._refuse(fields)
        return fields

    def _add_global(self, header: Header) -> None:
        fields = self._pax(header)
        for name in _REFUSED_GLOBALLY:
            if name in fields:
                raise self._refuse(f"has a header that gives every member the same {name}")
        self.global_headers.update(fields)

    def _add_long(self, header: Header, long: dict[bytes, str]) -> None:
        data = self._extension(header)
        text = data.removesuffix(b"\0")
        if header.type in long or b"\0" in text or not text:
            raise self._refuse("has a long name that can be read in two ways")
        with plain_errors(self.path):
            long[header.type] = text.decode()

    def _finished(self, header: Header, pax: Mapping[str, str], long: Mapping[bytes, str]) -> Member | None:
        name = self._choose(header.name, pax.get("path"), long.get(b"L"))
        target = self._choose(header.linkname, pax.get("linkpath"), long.get(b"K"))
        kind = KINDS.get(header.type, "")
        self._name = name
        if kind == DIRECTORY:
            name = name.removesuffix("/")
        self._check(name, kind, target)
        size = self._size(header, pax)
        at = self._at
        self._at += -(-size // BLOCK) * BLOCK
        if self._at > self._length:
            raise self._refuse("is damaged: it ends in the middle of a member", "archive-damage")
        if self._dots and (name.startswith("./") or name in (".", "")):
            name = name[2:]
            if not name and kind == DIRECTORY:
                return None
        link = target.removeprefix("./") if self._dots and kind == HARDLINK else target
        mtime = float(pax.get("mtime", header.mtime))
        owner = (header.uid, header.gid, header.uname, header.gname)
        extended = frozenset(pax)
        return Member(name, kind, size, header.mode, mtime, link, at, header.type, owner, extended)

    def _choose(self, plain: str, pax: str | None, long: str | None) -> str:
        if pax is not None and long is not None:
            raise self._refuse("has a member with two long names")
        return plain if pax is None and long is None else pax or long or ""

    def _check(self, name: str, kind: str, target: str) -> None:
        if not kind:
            what = f"has a member that is neither file, directory nor link: {name!r}"
            raise refuse(self.path, what, rule="archive-type", member=name)
        if kind != DIRECTORY and name.endswith("/"):
            what = f"has a file or link with the name of a directory: {name!r}"
            raise refuse(self.path, what, member=name)
        if target and kind in (FILE, DIRECTORY):
            what = f"has a file or directory with a link target: {name!r}"
            raise refuse(self.path, what, member=name)

    def _size(self, header: Header, pax: Mapping[str, str]) -> int:
        size = header.size
        if "size" in pax:
            said = int(pax["size"])
            if size not in (said, 0) or (size == 0 and 0 < said < _OCTAL_LIMIT):
                what = f"has a member whose two sizes disagree: {self._name!r}"
                raise refuse(self.path, what, member=self._name)
            size = said
        if size and header.type not in (b"0", b"\0"):
            what = f"has a directory or link with data: {self._name!r}"
            raise refuse(self.path, what, member=self._name)
        return size


@contextmanager
def unpacked(path: str, limits: StandardLimits) -> Iterator[IO[bytes]]:
    """The bytes inside a compressed file, to be read in any order; damage anywhere in the stream is found first."""
    from hwb.archive.gz import unpack

    with plain_errors(path):
        source = open(path, "rb")  # noqa: SIM115 - closed below
    with source:
        with plain_errors(path):
            room: IO[bytes] = io.BytesIO() if os.fstat(source.fileno()).st_size < _IN_MEMORY >> 4 else _spool()
        with room, plain_errors(path):
            unpack(path, source, room, limits)
            yield room


def _spool() -> IO[bytes]:
    import tempfile

    return tempfile.SpooledTemporaryFile(_IN_MEMORY)


class SdistReader:
    """An open sdist (gzipped tar, PEP 625) whose members are known to be safe; `top` is its one top directory.

    `overwritten` names the files that `last_wins` left out. `strict` is for what is published: one top directory, and
    no names that differ by case only.
    """

    __slots__ = ("_limits", "_stream", "global_headers", "members", "overwritten", "path", "top")

    def __init__(
        self,
        path: str,
        stream: IO[bytes],
        *,
        last_wins: bool = False,
        strict: bool = True,
        limits: StandardLimits = LIMITS,
    ) -> None:
        self.path = path
        self._stream = stream
        self._limits = limits
        walk = TarWalk(path, stream, limits, dots=not strict)
        self.members = tuple(walk.members())
        self.global_headers: Mapping[str, str] = walk.global_headers
        """Extended headers for the archive as a whole (`git archive` writes its commit there)."""
        self.overwritten: tuple[str, ...] = ()
        if last_wins:
            self._drop_overwritten()
        names = (m.name + "/" if m.kind == DIRECTORY else m.name for m in self.members)
        check_names(path, names, fold=strict, limits=limits)
        self.top = top_of(self.members)
        if strict and not self.top:
            tops = sorted({member.name.split("/")[0] for member in self.members})
            what = f"must hold exactly one top directory, not {', '.join(tops[:5]) or 'nothing'}"
            raise refuse(path, what, rule="archive-top")
        check_links(path, self.members, self.top)

    def _drop_overwritten(self) -> None:
        latest = {member.name: member for member in self.members if member.kind == FILE}
        kept = tuple(member for member in self.members if member.kind != FILE or latest[member.name] is member)
        if len(kept) < len(self.members):
            self.overwritten = tuple(m.name for m in self.members if m.kind == FILE and latest[m.name] is not m)
            self.members = kept

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all members, in order."""
        return tuple(member.name for member in self.members)

    def member(self, name: str) -> Member | None:
        """A member by its name."""
        return next((member for member in self.members if member.name == name), None)

    def read(self, name: str) -> bytes:
        """A regular member's bytes, of a hard link those of its file. Raises ValidationError when it is not there."""
        member = self.member(name)
        if member is None:
            raise refuse(self.path, f"has no member {name!r}", rule="archive-damage", member=name)
        member = self._target(member)
        if member.kind != FILE:
            raise refuse(self.path, f"has no file {name!r}", rule="archive-damage", member=name)
        if member.size > self._limits.metadata:
            what = f"has a member of more than {self._limits.metadata} bytes that is read as a whole: {name!r}"
            raise refuse(self.path, what, rule="archive-limit", member=name)
        return b"".join(self.blocks(member))

    def _target(self, member: Member) -> Member:
        while member.kind == HARDLINK:  # each names a file before it: this ends
            earlier = self.members[: self.members.index(member)]
            member = next(one for one in reversed(earlier) if one.name == member.linkname)
        return member

    def blocks(self, member: Member) -> Iterator[bytes]:
        """The bytes of a regular member or hard link, in order."""
        member = self._target(member)
        at, left = member.offset, member.size
        while left:
            self._stream.seek(at)
            block = self._stream.read(min(left, _READ))
            yield block
            at, left = at + len(block), left - len(block)

    def open(self, member: Member) -> IO[bytes]:
        """The bytes of a regular member as a stream."""
        return io.BufferedReader(_Stream(self.blocks(member)), _READ)


class _Stream(io.RawIOBase):
    """Blocks of bytes as a stream."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        room = memoryview(buffer)
        data = self._left or next(self._blocks, b"")
        count = min(len(room), len(data))
        room[:count] = data[:count]
        self._left = data[count:]
        return count


def top_of(members: tuple[Member, ...]) -> str:
    """The one top directory of a source archive, or an empty string when there is none."""
    tops = {member.name.split("/")[0] for member in members}
    files = {member.name for member in members if member.kind != DIRECTORY}
    return next(iter(tops)) if len(tops) == 1 and not tops & files else ""


@contextmanager
def open_sdist(
    path: str | os.PathLike[str], *, last_wins: bool = False, strict: bool = True, limits: StandardLimits = LIMITS
) -> Iterator[SdistReader]:
    """A reader of an sdist. Raises ValidationError when it is unreadable or has an unsafe member.

    A file that is there twice is refused, because two readers may see two contents; `last_wins` (only for what our own
    build made) reads it as tar's own extraction does.
    """
    place = os.fspath(path)
    with unpacked(place, limits) as stream, plain_errors(place):
        yield SdistReader(place, stream, last_wins=last_wins, strict=strict, limits=limits)
