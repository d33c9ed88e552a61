"""What does one header of a tar say, and can it be read in one way only?"""

from __future__ import annotations

import re

from hwb.archive.members import DIRECTORY, FILE, HARDLINK, SYMLINK

__all__ = ["BLOCK", "KINDS", "Header", "parse_header", "parse_pax"]

BLOCK = 512
KINDS = {b"0": FILE, b"\0": FILE, b"1": HARDLINK, b"2": SYMLINK, b"5": DIRECTORY}
"""The types that are accepted (POSIX.1 ustar); contiguous files, sparse ones and devices are not."""

_OCTAL = re.compile(rb" *([0-7]*)[ \0]*")
_NUMBER = re.compile(r"[0-9]{1,20}")
_TIME = re.compile(r"-?[0-9]{1,12}(\.[0-9]*)?")
_RECORD = re.compile(rb"([1-9][0-9]{0,8}) ([^=]+)=")
_REFUSED = ("GNU.sparse.", "SCHILY.realsize", "SUN.")


class Header:
    """The fields of a header; numbers as numbers, names decoded."""

    __slots__ = ("gid", "gname", "linkname", "mode", "mtime", "name", "size", "type", "uid", "uname")

    name: str
    linkname: str
    type: bytes
    size: int
    mode: int
    uid: int
    gid: int
    uname: str
    gname: str
    mtime: int


def parse_header(block: bytes) -> Header | str:
    """The fields of 512 bytes, or what is wrong with them."""
    if _number(block[148:156]) != sum(block[:148]) + 256 + sum(block[156:]):
        return "is damaged: it has a header with a wrong checksum"
    posix, gnu = block[257:265] == b"ustar\x0000", block[257:265] == b"ustar  \0"
    if not (posix or gnu) and block[257:].strip(b"\0"):
        return "has a header of an unknown format"
    if gnu and block[345:].strip(b"\0"):
        return "has a header with fields that only some readers know"
    header = Header()
    header.type = block[156:157]
    numbers = [_number(block[at:end]) for at, end in ((124, 136), (100, 108), (108, 116), (116, 124), (136, 148))]
    if None in numbers or (numbers[0] or 0) < 0:
        return "has a header with a number that can be read in two ways"
    header.size, header.mode, header.uid, header.gid, header.mtime = (number or 0 for number in numbers)
    fields = [_text(block[at:end]) for at, end in ((0, 100), (157, 257), (265, 297), (297, 329), (345, 500))]
    if any(field is None for field in fields):
        return "has a header with a name that goes on after its end"
    header.name, header.linkname, header.uname, header.gname, prefix = (field or "" for field in fields)
    if prefix:
        header.name = f"{prefix}/{header.name}"
    return header


def _number(field: bytes) -> int | None:
    """Octal digits, or the base-256 that GNU tar writes for what does not fit; None when it is neither."""
    if field[0] in (0x80, 0xFF):
        value = int.from_bytes(field[1:], "big")
        return value if field[0] == 0x80 else value - 256 ** (len(field) - 1)
    match = _OCTAL.fullmatch(field)
    return int(match[1] or b"0", 8) if match else None


def _text(field: bytes) -> str | None:
    """Undecodable bytes become surrogates, which no member name may have: an extended header may replace the field."""
    text, _, rest = field.partition(b"\0")
    return None if rest.strip(b"\0") else text.decode(errors="surrogateescape")


def parse_pax(data: bytes) -> dict[str, str] | str:
    """The records of an extended header (POSIX.1, pax interchange format), or what is wrong with them."""
    fields: dict[str, str] = {}
    at = 0
    while at < len(data):
        match = _RECORD.match(data, at)
        end = at + int(match[1]) if match else 0
        if match is None or end <= match.end() or end > len(data) or data[end - 1 : end] != b"\n":
            return "has an extended header that can be read in two ways"
        try:
            key, value = match[2].decode(), data[match.end() : end - 1].decode()
        except UnicodeDecodeError:
            return "has an extended header that is not UTF-8"
        if problem := _pax_problem(key, value, fields):
            return problem
        fields[key] = value
        at = end
    return fields


def _pax_problem(key: str, value: str, fields: dict[str, str]) -> str:
    if key in fields:
        return f"has an extended header with {key!r} twice"
    if key.startswith(_REFUSED):
        return "has a sparse member"
    if key == "size" and not _NUMBER.fullmatch(value):
        return "has an extended header with a size that is no number"
    if key in ("mtime", "atime", "ctime") and not _TIME.fullmatch(value):
        return "has an extended header with a time that is no number"
    if key in ("path", "linkpath") and (not value or "\0" in value):
        return f"has an extended header with an impossible {key}"
    return "has names in another character set" if key == "hdrcharset" else ""
