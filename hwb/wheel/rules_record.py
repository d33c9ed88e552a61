"""Does RECORD list exactly what is in the wheel, and are those the bytes? (P12; PEP 376, binary distribution format)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwb.wheel.model import wheel_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwb.wheel.model import WheelSubject

__all__: list[str] = []

_OWN = ("RECORD", "RECORD.jws", "RECORD.p7s")


@wheel_rule("record", "P12")
def _record(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """RECORD is there and lists exactly the files of the archive, each once."""
    if wheel.record is None:
        yield "there is no RECORD in the dist-info directory", wheel.dist_info
        return
    listed = [row[0] for row in wheel.record]
    known = set(listed)
    if len(known) < len(listed):
        for name in sorted({name for name in known if listed.count(name) > 1}):
            yield "RECORD lists this file twice", name
    signatures = {wheel.member("RECORD.jws"), wheel.member("RECORD.p7s")}
    for name in sorted(wheel.files - known - signatures):
        yield "RECORD does not list this file", name
    for name in sorted(known - wheel.files):
        yield "RECORD lists a file that is not in the wheel", name


@wheel_rule("record-rows", "P12")
def _record_rows(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """Rows have a path, a hash and a size; RECORD itself has neither hash nor size, for it cannot know them."""
    own = wheel.member("RECORD")
    for row in wheel.record or ():
        if len(row) > 3 or (len(row) == 3 and row[2] and not (row[2].isascii() and row[2].isdigit())):
            yield f"its row in RECORD is malformed: {','.join(row)!r}", row[0]
        elif row[0] == own and any(row[1:]):
            yield "RECORD has a hash or size for itself", row[0]


@wheel_rule("record-hash", "P12")
def _record_hash(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """Every file's hash and size are those of RECORD; the hash is sha256 or better (binary distribution format)."""
    own = {wheel.member(name) for name in _OWN}
    for row in wheel.record or ():
        name, digest, size = (*row, "", "")[:3]
        if name in wheel.files and name not in own and (problem := _row_problem(wheel, name, digest, size)):
            yield problem, name


def _row_problem(wheel: WheelSubject, name: str, digest: str, size: str) -> str:
    from binascii import b2a_base64

    algorithm, _, wanted = digest.partition("=")
    if algorithm not in ("sha256", "sha384", "sha512"):
        return f"its hash in RECORD is {algorithm or 'missing'}, not sha256 or better"
    raw, length = wheel.reader.digest(name, algorithm)
    found = b2a_base64(raw, newline=False).rstrip(b"=").translate(_URLSAFE).decode()
    if found != wanted:
        padded = " (it is padded or not urlsafe)" if wanted.rstrip("=").translate(_URLSAFE_TEXT) == found else ""
        return f"its bytes do not have the hash in RECORD{padded}"
    return f"it has {length} bytes, RECORD says {size}" if size and size != str(length) else ""


_URLSAFE = bytes.maketrans(b"+/", b"-_")
_URLSAFE_TEXT = str.maketrans("+/", "-_")
