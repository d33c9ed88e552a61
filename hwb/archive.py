"""How are wheels and sdists read when nobody knows who made them?

One zip reader and one tar reader. Both refuse, with the exact member name, what could write outside of its place or
be read in two ways: absolute names, `..`, drives, backslashes, control characters, duplicates, devices, links that
leave the tree. Extraction writes files itself, because the `data` filter of older Pythons (PEP 706) was broken.
"""

from __future__ import annotations

import os
import posixpath
import re
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from hwb.errors import ValidationError

if TYPE_CHECKING:
    import hashlib
    import tarfile
    import zipfile
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["SdistReader", "WheelReader", "extract_sdist", "name_problem", "open_sdist", "open_wheel"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(".?:")
_BLOCK = 1 << 20
_IN_MEMORY = 32 << 20
"""Bytes of an unpacked sdist that are held in memory; a larger one goes through a temporary file."""
_REMEDY = "do not use this file; build it again from its sources"


def _refuse(path: str, what: str) -> ValidationError:
    return ValidationError(f"{os.path.basename(path)} {what}", where=path, remedy=_REMEDY)


def name_problem(name: str) -> str:
    """Why a member name is unsafe, or an empty string; a trailing slash (a directory) is fine."""
    parts = name.removesuffix("/").split("/")
    if "\\" in name:
        return "contains a backslash"
    if name.startswith("/"):
        return "is absolute"
    if _DRIVE.match(name):
        return "starts with a drive"
    if _CONTROL.search(name):
        return "contains a control character"
    if ".." in parts:
        return "leads out of the archive"
    return "is not a plain relative path" if "" in parts or "." in parts else ""


def _check_names(path: str, names: Iterable[str]) -> None:
    """Every name safe, none twice, none both a file and a directory."""
    seen: set[str] = set()
    files: set[str] = set()
    parents: set[str] = set()
    for name in names:
        problem = name_problem(name)
        if problem:
            raise _refuse(path, f"has a member that {problem}: {name!r}")
        plain = name.rstrip("/")
        if plain in seen:
            raise _refuse(path, f"has two members of the same name: {name!r}")
        seen.add(plain)
        if not name.endswith("/"):
            files.add(plain)
        parents.update(_parents(plain))
    for both in sorted(files & parents):
        raise _refuse(path, f"has a member that is a file and a directory: {both!r}")


def _parents(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name


@contextmanager
def _plain_errors(path: str) -> Iterator[None]:
    """Damage is told as a ValidationError, never as a traceback of the library that found it."""
    import struct
    import tarfile
    import zipfile
    import zlib

    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, struct.error, UnicodeDecodeError) as error:
        raise _refuse(path, f"is damaged: {error}") from error
    except (NotImplementedError, RuntimeError) as error:  # zipfile's words for exotic methods and encryption
        raise _refuse(path, f"cannot be read: {error}") from error
    except OSError as error:
        raise _refuse(path, f"cannot be read: {error.strerror or error}") from error


class WheelReader:
    """An open wheel (or any zip) whose names are known to be safe."""

    __slots__ = ("_zip", "names", "path")

    def __init__(self, path: str, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._zip = archive
        self.names: tuple[str, ...] = tuple(archive.namelist())
        _check_names(path, (info.orig_filename for info in archive.infolist()))

    def read(self, name: str) -> bytes:
        """A member's bytes, its checksum verified. Raises ValidationError when damaged or not there."""
        if name not in self.names:
            raise _refuse(self.path, f"has no member {name!r}")
        with _plain_errors(self.path):
            return self._zip.read(name)

    def digest(self, name: str, algorithm: str) -> tuple[bytes, int]:
        """A member's digest and size in bytes, read in blocks. `algorithm` is a name of hashlib's."""
        import hashlib

        with _plain_errors(self.path), self._zip.open(name) as member:
            return _digest(member, hashlib.new(algorithm))


def _digest(stream: IO[bytes], digest: hashlib._Hash) -> tuple[bytes, int]:
    size = 0
    while block := stream.read(_BLOCK):
        digest.update(block)
        size += len(block)
    return digest.digest(), size


@contextmanager
def open_wheel(path: str | os.PathLike[str]) -> Iterator[WheelReader]:
    """A reader of a wheel. Raises ValidationError when it is unreadable or has an unsafe or duplicate name."""
    import zipfile

    place = os.fspath(path)
    with _plain_errors(place):
        archive = zipfile.ZipFile(place)
    with archive:
        yield WheelReader(place, archive)


class SdistReader:
    """An open sdist (gzipped tar, PEP 625) whose members are known to be safe; `top` is its one top directory.

    `overwritten` names the files that `last_wins` left out.
    """

    __slots__ = ("_tar", "members", "overwritten", "path", "top")

    def __init__(self, path: str, archive: tarfile.TarFile, *, last_wins: bool = False) -> None:
        self.path = path
        self._tar = archive
        with _plain_errors(path):
            self.members = tuple(archive.getmembers())
        self.overwritten: tuple[str, ...] = ()
        if last_wins:
            self._drop_overwritten()
        _check_names(path, (m.name + "/" if m.isdir() else m.name for m in self.members))
        _check_types(path, self.members)
        tops = sorted({member.name.split("/")[0] for member in self.members})
        if len(tops) != 1 or tops == [m.name for m in self.members if not m.isdir()]:
            raise _refuse(path, f"must hold exactly one top directory, not {', '.join(tops) or 'nothing'}")
        self.top = tops[0]

    def _drop_overwritten(self) -> None:
        latest = {member.name: member for member in self.members if member.isreg()}
        kept = tuple(member for member in self.members if not member.isreg() or latest[member.name] is member)
        if len(kept) < len(self.members):
            self.overwritten = tuple(m.name for m in self.members if m.isreg() and latest[m.name] is not m)
            self.members = kept

    @property
    def global_headers(self) -> Mapping[str, str]:
        """Extended headers for the archive as a whole (`git archive` writes its commit there)."""
        return self._tar.pax_headers

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all members, in order."""
        return tuple(member.name for member in self.members)

    def read(self, name: str) -> bytes:
        """A regular member's bytes. Raises ValidationError when damaged or not there."""
        if name not in self.names:
            raise _refuse(self.path, f"has no member {name!r}")
        with _plain_errors(self.path):
            stream = self._tar.extractfile(name)
            if stream is None:
                raise _refuse(self.path, f"has no file {name!r}")
            return stream.read()

    def open(self, member: tarfile.TarInfo) -> IO[bytes]:
        """The bytes of a regular member as a stream."""
        stream = self._tar.extractfile(member)
        assert stream is not None, member.name
        return stream


def _check_types(path: str, members: tuple[tarfile.TarInfo, ...]) -> None:
    """Files, directories, and links that stay inside; a hard link only to a file that came before it (POSIX ustar)."""
    files: set[str] = set()
    for member in members:
        if member.issparse() or not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            raise _refuse(path, f"has a member that is neither file, directory nor link: {member.name!r}")
        if member.islnk() and member.linkname not in files:
            raise _refuse(path, f"has a hard link to no file before it: {member.name!r} -> {member.linkname!r}")
        if member.issym() and _leaves(member):
            raise _refuse(path, f"has a link that leaves it: {member.name!r} -> {member.linkname!r}")
        if member.isreg() or member.islnk():
            files.add(member.name)


def _leaves(link: tarfile.TarInfo) -> bool:
    """Whether a symbolic link, read by its text alone, points out of the top directory."""
    if name_problem(link.linkname) in ("is absolute", "starts with a drive", "contains a backslash"):
        return True
    reached = posixpath.normpath(posixpath.join(posixpath.dirname(link.name), link.linkname))
    return reached.split("/")[0] != link.name.split("/")[0]


@contextmanager
def open_sdist(path: str | os.PathLike[str], *, last_wins: bool = False) -> Iterator[SdistReader]:
    """A reader of an sdist. Raises ValidationError when it is unreadable or has an unsafe member.

    A file that is there twice is refused, because two readers may see two contents; `last_wins` (only for what our own
    build made) reads it as tar's own extraction does.
    """
    import gzip
    import shutil
    import tarfile
    import tempfile

    place = os.fspath(path)
    # unpacked once: members are then read in any order, and damage anywhere in the stream is found
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as plain:
        with _plain_errors(place):
            with gzip.open(place) as packed:
                shutil.copyfileobj(packed, plain, _BLOCK)
            plain.seek(0)
            archive = tarfile.open(fileobj=plain, mode="r:", errorlevel=2)  # noqa: SIM115 - closed below
        with archive:
            yield SdistReader(place, archive, last_wins=last_wins)


def extract_sdist(path: str | os.PathLike[str], target_dir: str | os.PathLike[str]) -> str:
    """Unpack an sdist into a new directory and return the path of its top directory.

    Modes become 644 or 755, times are the members'. Links are made after all files, so that nothing is ever written
    through one, and judged by where they really lead. Raises ValidationError; then `target_dir` is gone again.
    """
    from hwb.fs import remove_tree

    target = os.path.abspath(target_dir)
    os.makedirs(target)
    try:
        with open_sdist(path) as reader, _plain_errors(reader.path):
            top = os.path.join(target, reader.top)
            os.makedirs(top, exist_ok=True)
            _extract_files(reader, target)
            _extract_links(reader, target, top)
            _set_directory_times(reader, target)
    except BaseException:
        remove_tree(target)
        raise
    return top


def _extract_files(reader: SdistReader, target: str) -> None:
    import shutil
    from pathlib import Path

    for member in reader.members:
        place = os.path.join(target, *member.name.split("/"))
        if member.isdir():
            os.makedirs(place, exist_ok=True)
            Path(place).chmod(0o755)
        elif not member.issym():
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "xb") as out, reader.open(member) as stream:
                shutil.copyfileobj(stream, out, _BLOCK)
            Path(place).chmod(0o755 if member.mode & 0o100 else 0o644)
            os.utime(place, (member.mtime, member.mtime))


def _extract_links(reader: SdistReader, target: str, top: str) -> None:
    """All links first, then where each of them leads: a later link can bend an earlier one."""
    from pathlib import Path

    links = [member for member in reader.members if member.issym()]
    for member in links:
        place = os.path.join(target, *member.name.split("/"))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        Path(place).symlink_to(member.linkname)
    inside = os.path.realpath(top)
    for member in links:
        reached = os.path.realpath(os.path.join(target, *member.name.split("/")))
        if reached != inside and not reached.startswith(inside + os.sep):
            raise _refuse(reader.path, f"has a link that leaves it: {member.name!r} -> {member.linkname!r}")


def _set_directory_times(reader: SdistReader, target: str) -> None:
    for member in reader.members:
        if member.isdir():
            os.utime(os.path.join(target, *member.name.split("/")), (member.mtime, member.mtime))
