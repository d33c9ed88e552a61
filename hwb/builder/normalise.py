"""How does the same content become the same sdist, whoever packed it, where and when?"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hwb.archive.members import DIRECTORY, FILE, HARDLINK, SYMLINK
from hwb.archive.tars import open_sdist
from hwb.context import current
from hwb.fs import atomic_path

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterator

    from hwb.archive import Member, SdistReader

__all__ = ["canonical_sdist", "normalise_sdist"]

_LEVEL = 6
"""gzip: level 9 takes two to three times as long for about one percent of size."""
_PAX_NEEDED = frozenset({"path", "linkpath", "size"})
"""Extended headers that tarfile writes again by itself where the plain ones are too small."""


_SORTED = frozenset({"hatchling", "flit_core", "poetry", "pdm", "scikit_build_core"})
"""Backends that sort what they pack, each in a way of its own: their order is the same everywhere."""


@contextmanager
def canonical_sdist(path: str | os.PathLike[str], epoch: int, backend: str = "") -> Iterator[SdistReader]:
    """Make an sdist canonical in place, and give an open reader of it.

    Canonical: members in an order that does not depend on the machine (sorted by name, hard links last so that what
    they name is there; or as a `backend` that is known to sort has them), no owner, modes 644 and 755, every time
    `epoch` (seconds), no time but that in the gzip header, each file once (hatchling packs the PKG-INFO of an unpacked
    sdist beside its own). One that already is so keeps its bytes. Raises ValidationError when it is unsafe.
    """
    ordered = backend.partition(".")[0] in _SORTED
    with open_sdist(path, last_wins=True) as reader:
        fine = _is_canonical(reader, epoch, ordered=ordered)
        if fine:
            _set_gzip_time(reader.path, epoch)
            yield reader
            return
        for name in reader.overwritten:
            text = f"the build backend packed {name} twice; the later one counts"
            current().emit("message", level="warning", text=text)
        with atomic_path(path, durable=False) as target:
            _write(os.fspath(target), reader, epoch)
    with open_sdist(path) as reader:
        yield reader


def normalise_sdist(path: str | os.PathLike[str], epoch: int, backend: str = "") -> bool:
    """The same without a reader; whether the file's bytes changed."""
    with open(path, "rb") as handle:
        before = handle.read()
    with canonical_sdist(path, epoch, backend), open(path, "rb") as handle:
        return handle.read() != before


def _is_canonical(reader: SdistReader, epoch: int, *, ordered: bool) -> bool:
    members = list(reader.members)
    return (
        _plain_gzip(reader.path)
        and not reader.global_headers
        and not reader.overwritten
        and (ordered or members == sorted(members, key=_order))
        and all(_matches(member, epoch) for member in members)
    )


def _plain_gzip(path: str) -> bool:
    """Whether the header (RFC 1952, section 2.3) says nothing but a time and perhaps the file's own name."""
    name = os.path.basename(path).removesuffix(".gz").encode() + b"\0"
    with open(path, "rb") as handle:
        head = handle.read(10 + len(name))
    return head[3] == 0 or (head[3] == 8 and head[10:] == name)


def _set_gzip_time(path: str, epoch: int) -> None:
    """The time in the header is no part of what is compressed, and no checksum covers it."""
    wanted = epoch.to_bytes(4, "little")
    with open(path, "rb+") as handle:
        if handle.read(8)[4:] != wanted:
            handle.seek(4)
            handle.write(wanted)


def _order(member: Member) -> tuple[bool, str]:
    return member.kind == HARDLINK, member.name


_TYPES = {FILE: b"0", HARDLINK: b"1", SYMLINK: b"2", DIRECTORY: b"5"}


def _mode(member: Member) -> int:
    if member.kind == SYMLINK:
        return 0o777
    return 0o755 if member.kind == DIRECTORY or member.mode & 0o100 else 0o644


def _matches(member: Member, epoch: int) -> bool:
    """No time at all is as good as the sources' (flit gives its PKG-INFO none)."""
    same = member.mode == _mode(member) and member.mtime in (epoch, 0) and member.type == _TYPES[member.kind]
    return same and member.owner == (0, 0, "", "") and not member.extended - _PAX_NEEDED


def _canonical(member: Member, epoch: int) -> tarfile.TarInfo:
    import tarfile

    info = tarfile.TarInfo(member.name)  # everything else (owner, names, devices, extended headers) starts out empty
    info.type = _TYPES[member.kind]
    info.size = member.size
    info.linkname = member.linkname
    info.mtime = epoch
    info.mode = _mode(member)
    return info


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
