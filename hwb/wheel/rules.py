"""What must be true of a wheel or an sdist? One small function per rule, each yielding what it finds.

A rule is a function over the open archive, listed with `@wheel_rule` or `@sdist_rule`; its identifier is stable.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import Message

    from packaging.tags import Tag
    from packaging.version import Version

    from hwb.archive import SdistReader, WheelReader
    from hwb.errors import ValidationError

__all__ = [
    "SDIST_RULES",
    "WHEEL_RULES",
    "Finding",
    "SdistSubject",
    "Severity",
    "WheelSubject",
    "damaged",
    "parse_headers",
]


class Severity(Enum):
    """Whether a finding stops the file (error) or is only said (warning)."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: which rule, in which member (empty: the file as a whole), and what to do."""

    rule: str
    severity: Severity
    member: str
    message: str
    remedy: str

    def __str__(self) -> str:
        place = f" ({self.member})" if self.member else ""
        return f"{self.severity.value}: {self.rule}: {self.message}{place}"


def parse_headers(data: bytes) -> Message:
    """The fields of METADATA, WHEEL or PKG-INFO (core metadata is an e-mail header block in UTF-8)."""
    from email.parser import HeaderParser

    return HeaderParser().parsestr(data.decode("utf-8", "surrogateescape"))


class WheelSubject:
    """An open wheel with what several rules want to know about it, each computed once."""

    def __init__(self, reader: WheelReader, file_name: str) -> None:
        self.reader = reader
        self.file_name = file_name

    @cached_property
    def parsed(self) -> tuple[str, Version, frozenset[Tag]] | None:
        """Project, version and tags of the file name; None when it does not parse (a rule of its own says so)."""
        from packaging.utils import InvalidWheelFilename, parse_wheel_filename

        try:
            project, version, _build, tags = parse_wheel_filename(self.file_name)
        except InvalidWheelFilename:
            return None
        return project, version, tags

    @cached_property
    def dist_infos(self) -> list[str]:
        """Every top directory that is a dist-info."""
        return sorted({name.split("/")[0] for name in self.reader.names if ".dist-info/" in name[: name.find("/") + 1]})

    @property
    def dist_info(self) -> str:
        """The dist-info directory that is looked at (several are an error of their own)."""
        return self.dist_infos[0] if self.dist_infos else ""

    def member(self, name: str) -> str:
        """The full name of a file in the dist-info directory, or an empty string when it is not there."""
        full = f"{self.dist_info}/{name}"
        return full if full in self.reader.names else ""

    def headers(self, name: str) -> Message | None:
        """The fields of a file in the dist-info directory."""
        member = self.member(name)
        return parse_headers(self.reader.read(member)) if member else None

    @cached_property
    def record(self) -> list[list[str]] | None:
        """The rows of RECORD, or None without one."""
        import csv

        member = self.member("RECORD")
        if not member:
            return None
        lines = self.reader.read(member).decode("utf-8", "surrogateescape").splitlines()
        return [row for row in csv.reader(lines) if row]


class SdistSubject:
    """An open sdist with its file name."""

    def __init__(self, reader: SdistReader, file_name: str) -> None:
        self.reader = reader
        self.file_name = file_name

    @cached_property
    def parsed(self) -> tuple[str, Version] | None:
        """Project and version of the file name; None when it does not parse."""
        from packaging.utils import InvalidSdistFilename, parse_sdist_filename

        try:
            return parse_sdist_filename(self.file_name)
        except InvalidSdistFilename:
            return None

    @cached_property
    def metadata(self) -> Message | None:
        """The fields of PKG-INFO in the top directory."""
        member = f"{self.reader.top}/PKG-INFO"
        return parse_headers(self.reader.read(member)) if member in self.reader.names else None


WHEEL_RULES: dict[str, Callable[[WheelSubject], Iterator[Finding]]] = {}
SDIST_RULES: dict[str, Callable[[SdistSubject], Iterator[Finding]]] = {}


def _wheel_rule(rule: str) -> Callable[[Callable[[WheelSubject], Iterator[Finding]]], None]:
    return lambda function: WHEEL_RULES.__setitem__(rule, function)


def _sdist_rule(rule: str) -> Callable[[Callable[[SdistSubject], Iterator[Finding]]], None]:
    return lambda function: SDIST_RULES.__setitem__(rule, function)


def _error(rule: str, message: str, member: str = "", remedy: str = "report it to the build backend") -> Finding:
    return Finding(rule, Severity.ERROR, member, message, remedy)


def _warning(rule: str, message: str, member: str = "", remedy: str = "raise the build backend's version") -> Finding:
    return Finding(rule, Severity.WARNING, member, message, remedy)


@_wheel_rule("wheel-name")
def _wheel_name(wheel: WheelSubject) -> Iterator[Finding]:
    """The file name is name-version(-build)-python-abi-platform (PEP 427, binary distribution format)."""
    if wheel.parsed is None:
        yield _error("wheel-name", f"{wheel.file_name!r} is not a valid wheel file name")


@_wheel_rule("one-dist-info")
def _one_dist_info(wheel: WheelSubject) -> Iterator[Finding]:
    """Exactly one dist-info directory, named after the project and version of the file name."""
    if len(wheel.dist_infos) != 1:
        has = ", ".join(wheel.dist_infos) or "none"
        yield _error("one-dist-info", f"must have exactly one dist-info directory, has {has}")
    elif wheel.parsed and not _agrees(*_split(wheel.dist_info.removesuffix(".dist-info")), *wheel.parsed[:2]):
        yield _error("one-dist-info", f"does not agree with the file name {wheel.file_name}", wheel.dist_info)


def _split(stem: str) -> tuple[str, str]:
    """The name and the version of a directory called name-version."""
    name, _, version = stem.rpartition("-")
    return name, version


def _agrees(name: str | None, version: str | None, project: str, wanted: Version) -> bool:
    """Whether a name and a version mean the file name's, after normalisation (PEP 503, PEP 440)."""
    from packaging.utils import canonicalize_name
    from packaging.version import InvalidVersion, Version

    try:
        return canonicalize_name(name or "") == project and Version(version or "") == wanted
    except InvalidVersion:
        return False


@_wheel_rule("metadata")
def _metadata(wheel: WheelSubject) -> Iterator[Finding]:
    """METADATA is there, and its name and version are the file name's."""
    found = wheel.headers("METADATA")
    if found is None:
        yield _error("metadata", "there is no METADATA in the dist-info directory", wheel.dist_info)
    elif wheel.parsed and not _agrees(found["Name"], found["Version"], *wheel.parsed[:2]):
        what = f"says {found['Name']} {found['Version']}, the file name {wheel.parsed[0]} {wheel.parsed[1]}"
        yield _error("metadata", what, wheel.member("METADATA"))


@_wheel_rule("wheel-version")
def _wheel_version(wheel: WheelSubject) -> Iterator[Finding]:
    """WHEEL is there, and its format is version 1.x, the only one that installers read."""
    found = wheel.headers("WHEEL")
    if found is None:
        yield _error("wheel-version", "there is no WHEEL in the dist-info directory", wheel.dist_info)
    elif not re.fullmatch(r"1\.\d+", (found["Wheel-Version"] or "").strip()):
        yield _error("wheel-version", f"Wheel-Version is {found['Wheel-Version']!r}, not 1.x", wheel.member("WHEEL"))


@_wheel_rule("wheel-tags")
def _wheel_tags(wheel: WheelSubject) -> Iterator[Finding]:
    """The Tag lines of WHEEL are the expansion of the file name's compressed tags (PEP 425)."""
    from packaging.tags import parse_tag

    found = wheel.headers("WHEEL")
    if found is None or wheel.parsed is None:
        return
    lines = [str(line).strip() for line in found.get_all("Tag", [])]
    tags = {tag for line in lines if line.count("-") == 2 for tag in parse_tag(line)}
    if tags != wheel.parsed[2]:
        what = f"its Tag lines ({', '.join(lines) or 'none'}) are not the file name's tags"
        yield _error("wheel-tags", what, wheel.member("WHEEL"))


@_wheel_rule("record")
def _record(wheel: WheelSubject) -> Iterator[Finding]:
    """RECORD is there and lists exactly the files of the archive, each once."""
    if wheel.record is None:
        yield _error("record", "there is no RECORD in the dist-info directory", wheel.dist_info)
        return
    listed = [row[0] for row in wheel.record]
    for name in sorted({name for name in listed if listed.count(name) > 1} if len(set(listed)) < len(listed) else ()):
        yield _error("record", "RECORD lists this file twice", name)
    files = {name for name in wheel.reader.names if not name.endswith("/")}
    signatures = {wheel.member("RECORD.jws"), wheel.member("RECORD.p7s")}
    for name in sorted(files - set(listed) - signatures):
        yield _error("record", "RECORD does not list this file", name)
    for name in sorted(set(listed) - files):
        yield _error("record", "RECORD lists a file that is not in the wheel", name)


@_wheel_rule("record-hash")
def _record_hash(wheel: WheelSubject) -> Iterator[Finding]:
    """Every file's hash and size are those of RECORD; the hash is sha256 or better (binary distribution format)."""
    own = {wheel.member(name) for name in ("RECORD", "RECORD.jws", "RECORD.p7s")}
    files = set(wheel.reader.names)
    for row in wheel.record or ():
        name, digest, size = (*row, "", "")[:3]
        if name in files and name not in own and (problem := _row_problem(wheel.reader, name, digest, size)):
            yield _error("record-hash", problem, name)


def _row_problem(reader: WheelReader, name: str, digest: str, size: str) -> str:
    from base64 import urlsafe_b64encode

    algorithm, _, wanted = digest.partition("=")
    if algorithm not in ("sha256", "sha384", "sha512"):
        return f"its hash in RECORD is {algorithm or 'missing'}, not sha256 or better"
    raw, length = reader.digest(name, algorithm)
    if urlsafe_b64encode(raw).rstrip(b"=").decode() != wanted:
        return "its bytes do not have the hash in RECORD"
    return f"it has {length} bytes, RECORD says {size}" if size and size != str(length) else ""


@_sdist_rule("sdist-name")
def _sdist_name(sdist: SdistSubject) -> Iterator[Finding]:
    """The file name is name-version.tar.gz; that both are normalised (PEP 625) is younger than many backends."""
    if sdist.parsed is None:
        yield _error("sdist-name", f"{sdist.file_name!r} is not a valid sdist file name")
        return
    project, version = sdist.parsed
    wanted = f"{project.replace('-', '_')}-{version}.tar.gz"
    if sdist.file_name != wanted:
        yield _warning("sdist-name", f"the file name is a legacy one; PEP 625 wants {wanted}")


@_sdist_rule("sdist-top")
def _sdist_top(sdist: SdistSubject) -> Iterator[Finding]:
    """The one top directory is called like the file (PEP 625); an older spelling of it is only said."""
    if sdist.reader.top == sdist.file_name.removesuffix(".tar.gz"):
        return
    if sdist.parsed and _agrees(*_split(sdist.reader.top), *sdist.parsed):
        yield _warning("sdist-top", "the top directory is spelt differently from the file name", sdist.reader.top)
    else:
        yield _error("sdist-top", "the top directory does not agree with the file name", sdist.reader.top)


@_sdist_rule("pkg-info")
def _pkg_info(sdist: SdistSubject) -> Iterator[Finding]:
    """PKG-INFO is there (PEP 643), and its name and version are the file name's."""
    member = posixpath.join(sdist.reader.top, "PKG-INFO")
    found = sdist.metadata
    if found is None:
        yield _error("pkg-info", "there is no PKG-INFO in the top directory", member)
    elif sdist.parsed and not _agrees(found["Name"], found["Version"], *sdist.parsed):
        what = f"says {found['Name']} {found['Version']}, the file name {sdist.parsed[0]} {sdist.parsed[1]}"
        yield _error("pkg-info", what, member)


def damaged(error: ValidationError) -> Finding:
    """An archive that the reader refused, as a finding."""
    return _error("archive", error.what, remedy=error.remedy)
