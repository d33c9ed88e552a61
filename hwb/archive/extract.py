"""How does an archive become a directory, without a byte written anywhere else?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hwb.archive.members import DIRECTORY, SYMLINK, check_links
from hwb.archive.names import LIMITS, plain_errors, refuse
from hwb.archive.tars import open_sdist, top_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hwb.archive.members import Member
    from hwb.archive.names import StandardLimits
    from hwb.archive.tars import SdistReader

__all__ = ["extract_archive", "extract_open", "extract_sdist"]


def extract_sdist(path: str | os.PathLike[str], target_dir: str | os.PathLike[str]) -> str:
    """Unpack an sdist (.tar.gz, or the older .zip) into a new directory and return the path of its top directory.

    Modes become 644 or 755, times are the members'. Links are made after all files, so that nothing is ever written
    through one, and judged by where they really lead. Raises ValidationError; then `target_dir` is gone again.
    """
    return _extract(path, target_dir, LIMITS, published=True)


def extract_archive(
    path: str | os.PathLike[str], target_dir: str | os.PathLike[str], *, limits: StandardLimits = LIMITS
) -> str:
    """Unpack a source archive into a new directory; the path of its top directory, or of `target_dir` without one.

    A zip or a tar (plain, gzip, bzip2, xz), told by its content. Accepts what forges and `tar c .` write and sdists
    do not have: several top entries, names that begin with `./`, zip comments. Raises ValidationError; then
    `target_dir` is gone again.
    """
    return _extract(path, target_dir, limits, published=False)


def _extract(
    path: str | os.PathLike[str], target_dir: str | os.PathLike[str], limits: StandardLimits, *, published: bool
) -> str:
    from hwb.fs import remove_tree

    place, target = os.fspath(path), os.path.abspath(target_dir)
    os.makedirs(target)
    try:
        is_zip = _is_zip(place)
        with plain_errors(place):
            top = _extract_zip(place, target, limits) if is_zip else _extract_tar(place, target, limits, published)
        if published and not top:
            raise refuse(place, "must hold exactly one top directory", rule="archive-top")
    except BaseException:
        remove_tree(target)
        raise
    return os.path.join(target, top) if top else target


def _is_zip(path: str) -> bool:
    with plain_errors(path), open(path, "rb") as file:
        return file.read(4) in (b"PK\3\4", b"PK\5\6")


def _extract_tar(path: str, target: str, limits: StandardLimits, published: bool) -> str:
    with open_sdist(path, strict=published, limits=limits) as reader:
        _write(path, target, reader.members, reader.top, reader.blocks)
        return reader.top


def extract_open(reader: SdistReader, target_dir: str | os.PathLike[str]) -> str:
    """As `extract_sdist`, from a reader that is open already."""
    from hwb.fs import remove_tree

    target = os.path.abspath(target_dir)
    os.makedirs(target)
    try:
        with plain_errors(reader.path):
            _write(reader.path, target, reader.members, reader.top, reader.blocks)
    except BaseException:
        remove_tree(target)
        raise
    return os.path.join(target, reader.top)


def _extract_zip(path: str, target: str, limits: StandardLimits) -> str:
    from hwb.archive.zips import open_wheel, zip_members

    with open_wheel(path, strict=False, limits=limits) as reader:
        members = zip_members(reader)
        top = top_of(members)
        check_links(path, members, top)
        _write(path, target, members, top, lambda member: reader.blocks(member.name))
        return top


def _write(
    path: str, target: str, members: tuple[Member, ...], top: str, blocks: Callable[[Member], Iterator[bytes]]
) -> None:
    made = {target}
    for member in members:
        place = os.path.join(target, *member.name.split("/"))
        if member.kind != SYMLINK:
            folder = place if member.kind == DIRECTORY else os.path.dirname(place)
            if folder not in made:
                os.makedirs(folder, exist_ok=True)
                made.add(folder)
        if member.kind not in (DIRECTORY, SYMLINK):
            _write_file(place, member, blocks(member))
    _write_links(path, target, os.path.join(target, top), members)
    for member in members:
        if member.kind == DIRECTORY:
            place = os.path.join(target, *member.name.split("/"))
            os.chmod(place, 0o755)
            _set_time(place, member)


def _write_file(place: str, member: Member, blocks: Iterator[bytes]) -> None:
    from hwb.redact import write_all

    with open(place, "xb", buffering=0) as out:
        for block in blocks:
            write_all(out.fileno(), block)
    os.chmod(place, 0o755 if member.mode & 0o100 else 0o644)
    _set_time(place, member)


def _set_time(place: str, member: Member) -> None:
    """Times that no file system can hold (before 1901, after 2446 on ext4) become the nearest that all can."""
    seconds = min(max(member.mtime, 0), (1 << 32) - 1)
    os.utime(place, (seconds, seconds))


def _write_links(path: str, target: str, top: str, members: tuple[Member, ...]) -> None:
    """All links first, then where each of them leads: on a case-insensitive disk that may differ from the text."""
    links = [member for member in members if member.kind == SYMLINK]
    for member in links:
        place = os.path.join(target, *member.name.split("/"))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.symlink(member.linkname, place)
    inside = os.path.realpath(top)
    for member in links:
        reached = os.path.realpath(os.path.join(target, *member.name.split("/")))
        if reached != inside and not reached.startswith(inside + os.sep):
            what = f"has a link that leaves it: {member.name!r} -> {member.linkname!r}"
            raise refuse(path, what, rule="archive-type", member=member.name)
