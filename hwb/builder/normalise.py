"""How does the same content become the same sdist, whoever packed it, where and when?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hwb.archive import open_sdist
from hwb.archive.members import DIRECTORY, FILE, HARDLINK, SYMLINK
from hwb.context import current
from hwb.fs import atomic_path

if TYPE_CHECKING:
    import tarfile

    from hwb.archive import Member, SdistReader

__all__ = ["normalise_sdist"]

_LEVEL = 6
"""gzip: level 9 takes two to three times as long for about one percent of size."""
_PAX_NEEDED = frozenset({"path", "linkpath", "size"})
"""Extended headers that tarfile writes again by itself where the plain ones are too small."""


def normalise_sdist(path: str | os.PathLike[str], epoch: int) -> bool:
    """Make an sdist canonical in place; whether it had to be rewritten.

    Canonical: members sorted by name (hard links last, so that what they name is there), no owner, modes 644 and 755,
    every time `epoch` (seconds), no file name in the gzip header, each file once (hatchling packs the PKG-INFO of an
    unpacked sdist beside its own). One that already is so keeps its bytes. Raises ValidationError when it is unsafe.
    """
    with open_sdist(path, last_wins=True) as reader:
        if _is_canonical(reader, epoch):
            return False
        for name in reader.overwritten:
            text = f"the build backend packed {name} twice; the later one counts"
            current().emit("message", level="warning", text=text)
    with atomic_path(path) as target, open_sdist(path, last_wins=True) as reader:
        _write(os.fspath(target), reader, epoch)
    return True


def _is_canonical(reader: SdistReader, epoch: int) -> bool:
    members = list(reader.members)
    return (
        _gzip_header(reader.path) == (0, epoch)
        and not reader.global_headers
        and not reader.overwritten
        and members == sorted(members, key=_order)
        and all(_matches(member, _canonical(member, epoch)) for member in members)
    )


def _gzip_header(path: str) -> tuple[int, int]:
    """The flags (is there a file name, a comment, ...) and the time of a gzip file (RFC 1952, section 2.3)."""
    with open(path, "rb") as handle:
        head = handle.read(8)
    return head[3], int.from_bytes(head[4:8], "little")


def _order(member: Member) -> tuple[bool, str]:
    return member.kind == HARDLINK, member.name


_TYPES = {FILE: b"0", HARDLINK: b"1", SYMLINK: b"2", DIRECTORY: b"5"}


def _canonical(member: Member, epoch: int) -> tarfile.TarInfo:
    import tarfile

    info = tarfile.TarInfo(member.name)  # everything else (owner, names, devices, extended headers) starts out empty
    info.type = _TYPES[member.kind]
    info.size = member.size
    info.linkname = member.linkname
    info.mtime = epoch
    if member.kind == SYMLINK:
        info.mode = 0o777
    else:
        info.mode = 0o755 if member.kind == DIRECTORY or member.mode & 0o100 else 0o644
    return info


def _matches(member: Member, wanted: tarfile.TarInfo) -> bool:
    same = (member.mode, member.mtime, member.type) == (wanted.mode, wanted.mtime, wanted.type)
    return same and member.owner == (0, 0, "", "") and not member.extended - _PAX_NEEDED


def _write(target: str, reader: SdistReader, epoch: int) -> None:
    import gzip
    import tarfile

    with (
        open(target, "wb") as raw,
        gzip.GzipFile("", "wb", _LEVEL, raw, epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as archive,
    ):
        for member in sorted(reader.members, key=_order):
            info = _canonical(member, epoch)
            archive.addfile(info, reader.open(member) if member.kind == FILE else None)
