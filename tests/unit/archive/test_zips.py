"""Is every zip that two readers could read in two ways refused, and no other?"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwb.archive import Limits, extract_archive, open_wheel
from hwb.archive.names import verdict
from hwb.errors import ValidationError


@dataclass(frozen=True)
class Piece:
    """A member, byte by byte: `central` and `local` replace fields of one header only."""

    name: bytes = b"pkg/a.py"
    data: bytes = b"x = 1\n" * 9
    method: int = 8
    flags: int = 0
    mode: int = 0o100644
    extra: bytes = b""
    local_extra: bytes = b""
    packed: bytes | None = None
    before: bytes = b""
    after: bytes = b""
    central: dict[str, Any] = field(default_factory=dict)
    local: dict[str, Any] = field(default_factory=dict)


def deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def build(
    *pieces: Piece, end: dict[str, Any] | None = None, prefix: bytes = b"", gap: bytes = b"", tail: bytes = b""
) -> bytes:
    out, directory = bytearray(prefix), bytearray()
    for piece in pieces:
        out += piece.before
        packed = piece.packed if piece.packed is not None else deflate(piece.data) if piece.method == 8 else piece.data
        fields = {
            "flags": piece.flags, "method": piece.method, "stamp": 0x5A21_0000, "crc": zlib.crc32(piece.data),
            "packed": len(packed), "size": len(piece.data), "name": piece.name, "offset": len(out),
        }  # fmt: skip
        lo, ce = (
            {**fields, "extra": piece.local_extra, **piece.local},
            {**fields, "extra": piece.extra, **piece.central},
        )
        out += struct.pack(
            "<4s3HLLLLHH", b"PK\3\4", 20, lo["flags"], lo["method"], lo["stamp"], lo["crc"], lo["packed"], lo["size"],
            len(lo["name"]), len(lo["extra"]),
        ) + lo["name"] + lo["extra"] + packed + piece.after  # fmt: skip
        directory += struct.pack(
            "<4s4HLLLL5HLL", b"PK\1\2", 3 << 8 | 20, 20, ce["flags"], ce["method"], ce["stamp"], ce["crc"], ce["packed"],
            ce["size"], len(ce["name"]), len(ce["extra"]), len(ce.get("comment", b"")), ce.get("disk", 0), 0,
            piece.mode << 16, ce["offset"],
        ) + ce["name"] + ce["extra"] + ce.get("comment", b"")  # fmt: skip
    out += gap
    last = {
        "disk": 0,
        "here": len(pieces),
        "count": len(pieces),
        "size": len(directory),
        "start": len(out),
        "comment": 0,
    }
    last.update(end or {})
    out += directory
    return bytes(
        out
        + last.get("before", b"")
        + struct.pack(
            "<4s4H2LH",
            b"PK\5\6",
            last["disk"],
            0,
            last["here"],
            last["count"],
            last["size"],
            last["start"],
            last["comment"],
        )
        + tail
    )


def read(data: bytes, folder: Path, **options: Any) -> dict[str, bytes]:
    path = folder / "a.whl"
    path.write_bytes(data)
    with open_wheel(path, **options) as reader:
        return {name: reader.read(name) for name in reader.names}


def refusal(data: bytes, folder: Path, **options: Any) -> tuple[str, str, str]:
    with pytest.raises(ValidationError) as caught:
        read(data, folder, **options)
    assert caught.value.where == str(folder / "a.whl")
    return (*verdict(caught.value), caught.value.what)


PLAIN = Piece()
OTHER = Piece(name=b"pkg/b.py", data=b"", method=0)


def test_p02_plain_zip_is_fine(tmp_path: Path) -> None:
    folder = Piece(name=b"pkg/", data=b"", method=0, mode=0o40755)
    umlaut = Piece(name="pkg/ä".encode(), flags=0x800)
    found = read(build(folder, PLAIN, OTHER, umlaut), tmp_path)
    assert found == {"pkg/": b"", "pkg/a.py": PLAIN.data, "pkg/b.py": b"", "pkg/ä": umlaut.data}
    assert read(build(), tmp_path) == {}


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_p02_what_the_standard_library_writes_is_fine(tmp_path: Path, compression: int) -> None:
    with zipfile.ZipFile(tmp_path / "x.whl", "w", compression) as archive:
        archive.writestr("a/b.py", "b" * 500_000)
        with archive.open("a/wide.py", "w", force_zip64=True) as member:
            member.write(b"wide")
        archive.mkdir("d") if hasattr(archive, "mkdir") else archive.writestr("d/", "")
    assert read((tmp_path / "x.whl").read_bytes(), tmp_path)["a/wide.py"] == b"wide"


def change(piece: Piece, **values: Any) -> bytes:
    return build(replace(piece, **values), OTHER)


def zip64(*values: int) -> bytes:
    return struct.pack(f"<2H{len(values)}Q", 1, 8 * len(values), *values)


SIZE, PACKED = len(PLAIN.data), len(deflate(PLAIN.data))


@pytest.mark.parametrize(
    ("data", "rule", "words"),
    [
        (change(PLAIN, local={"name": b"pkg/X.py"}), "archive-reading", "local header disagrees"),
        (change(PLAIN, local={"name": b"pkg/aa.py"}), "archive-reading", "local header disagrees"),
        (change(PLAIN, local={"crc": 1}), "archive-reading", "local header disagrees"),
        (change(PLAIN, local={"size": 1}), "archive-reading", "local header disagrees"),
        (change(PLAIN, local={"packed": 1}), "archive-reading", "local header disagrees"),
        (change(PLAIN, local={"method": 0}), "archive-reading", "local header disagrees"),
        (change(PLAIN, local={"flags": 0x800}), "archive-reading", "local header disagrees"),
        (change(PLAIN, local={"stamp": 0x5A22_0000}), "archive-reading", "local header disagrees"),
        (change(PLAIN, before=b"?"), "archive-reading", "bytes before it"),
        (change(PLAIN, after=b"?"), "archive-reading", "bytes before it"),
        (build(PLAIN, prefix=b"#!/bin/sh\n"), "archive-reading", "bytes before it"),
        (build(PLAIN, gap=b"?"), "archive-reading", "bytes before its central directory"),
        (build(PLAIN, Piece(name=b"b", central={"offset": 0})), "archive-reading", "overlaps another"),
        (build(PLAIN, tail=b"?"), "archive-reading", "bytes after its end"),
        (build(PLAIN, tail=b"?", end={"comment": 1}), "archive-reading", "has a comment"),
        (build(PLAIN, end={"comment": 1}), "archive-reading", "bytes after its end"),
        (build(PLAIN, end={"before": b"?"}), "archive-reading", "around its central directory"),
        (build(PLAIN, end={"size": 3}), "archive-reading", "around its central directory"),
        (build(PLAIN, end={"disk": 1}), "archive-reading", "one part of several"),
        (build(PLAIN, end={"here": 2}), "archive-reading", "one part of several"),
        (build(PLAIN, OTHER, end={"here": 1, "count": 1}), "archive-reading", "more in it than its entries"),
        (build(PLAIN, end={"here": 2, "count": 2}), "archive-damage", "fewer entries"),
        (change(PLAIN, central={"comment": b"!"}), "archive-reading", "with a comment or on another disk"),
        (change(PLAIN, central={"disk": 1}), "archive-reading", "with a comment or on another disk"),
        (change(PLAIN, flags=1), "archive-reading", "encrypted"),
        (change(PLAIN, flags=0x40), "archive-reading", "encrypted"),
        (change(PLAIN, flags=8), "archive-reading", "data descriptor"),
        (change(PLAIN, flags=0x10), "archive-reading", "flags that change"),
        (change(PLAIN, method=12), "archive-reading", "compression method 12"),
        (change(PLAIN, method=0, packed=b"xx"), "archive-reading", "stored member of two sizes"),
        (change(PLAIN, packed=deflate(PLAIN.data) + b"?"), "archive-reading", "bytes after the end of its data"),
        (change(PLAIN, packed=deflate(PLAIN.data)[:-1]), "archive-damage", "ends too early"),
        (change(PLAIN, packed=b"\7garbage"), "archive-damage", "is damaged"),
        (change(PLAIN, packed=deflate(b"y" * SIZE)), "archive-damage", "size or checksum"),
        (change(PLAIN, packed=deflate(PLAIN.data * 9)), "archive-damage", "ends too early|size or checksum"),
        (change(PLAIN, name=b"pkg/\xff", flags=0x800), "archive-name", "not UTF-8"),
        (change(PLAIN, name="pkg/ä".encode()), "archive-name", "not marked as UTF-8"),
        (change(PLAIN, name=b"../evil"), "archive-name", "leads out"),
        (build(PLAIN, PLAIN), "archive-name", "same name"),
        (build(PLAIN, replace(PLAIN, name=b"pkg/A.py")), "archive-name", "differ by case"),
        (change(PLAIN, extra=b"\x75\x70\1\0x"), "archive-reading", "a second name"),
        (change(PLAIN, local_extra=b"\x75\x70\1\0x"), "archive-reading", "a second name"),
        (change(PLAIN, extra=b"\x01\x99\1\0x"), "archive-reading", "encryption"),
        (change(PLAIN, extra=b"UT\1\0xUT\1\0x"), "archive-reading", "there twice"),
        (change(PLAIN, extra=b"UT\x09\0x"), "archive-reading", "cut off"),
        (change(PLAIN, extra=b"UT\1"), "archive-reading", "cut off"),
        (change(PLAIN, extra=zip64(SIZE)), "archive-reading", "does not fit its entry"),
        (change(PLAIN, central={"size": 0xFFFFFFFF, "extra": zip64(SIZE + 1)}), "archive-reading", "disagrees"),
        (change(PLAIN, local_extra=zip64(SIZE)), "archive-reading", "does not fit its local header"),
        (change(PLAIN, local_extra=zip64(SIZE, PACKED + 1)), "archive-reading", "does not fit its local header"),
        (change(PLAIN, local={"size": 0xFFFFFFFF, "extra": zip64(SIZE + 1, PACKED)}), "archive-reading", "disagrees"),
        (change(PLAIN, mode=0o120777), "archive-type", "neither file nor directory"),
        (change(PLAIN, mode=0o020644), "archive-type", "neither file nor directory"),
        (change(PLAIN, mode=0o040755), "archive-type", "neither file nor directory"),
        (change(PLAIN, name=b"pkg/", mode=0o100644), "archive-type", "neither file nor directory"),
        (change(PLAIN, name=b"pkg/", mode=0o40755), "archive-type", "neither file nor directory"),
        (change(PLAIN, mode=0o104755), "archive-type", "special mode bits"),
        (b"nothing", "archive-damage", "no end record"),
        (b"", "archive-damage", "no end record"),
        (build(PLAIN)[:-3], "archive-damage", "cut off"),
    ],
)  # fmt: skip
def test_p02_two_readings_are_refused(tmp_path: Path, data: bytes, rule: str, words: str) -> None:
    found, _, what = refusal(data, tmp_path)
    assert found == rule
    assert any(word in what for word in words.split("|")), what


def test_p02_the_member_is_named(tmp_path: Path) -> None:
    assert refusal(change(PLAIN, local={"crc": 1}), tmp_path)[1] == "pkg/a.py"
    assert "'pkg/a.py'" in refusal(change(PLAIN, local={"crc": 1}), tmp_path)[2]


def test_p02_zip64_that_agrees_is_fine(tmp_path: Path) -> None:
    wide = replace(
        PLAIN, central={"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF, "extra": zip64(SIZE, PACKED)},
        local={"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF, "extra": zip64(SIZE, PACKED)},
    )  # fmt: skip
    assert read(build(wide), tmp_path) == {"pkg/a.py": PLAIN.data}
    bazel = replace(PLAIN, local_extra=zip64(SIZE, PACKED))
    assert read(build(bazel), tmp_path) == {"pkg/a.py": PLAIN.data}
    assert read(build(replace(PLAIN, extra=b"UT\1\0x", local_extra=b"UT\1\0x")), tmp_path) == {"pkg/a.py": PLAIN.data}


def end64(data: bytes, *, count: int = 1, shift: int = 0, signature: bytes = b"PK\6\6", short: bool = True) -> bytes:
    """A ZIP64 end record and its locator before the end record."""
    _, _, _, _, _, size, start, _ = struct.unpack("<4s4H2LH", data[-22:])
    record = struct.pack("<4sQ2H2L4Q", signature, 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, start + size + shift, 1)
    last = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, size, 0xFFFFFFFF, 0) if short else data[-22:]
    return data[:-22] + record + locator + last


def test_p02_zip64_end_records_agree_or_are_refused(tmp_path: Path) -> None:
    data = build(PLAIN)
    assert read(end64(data), tmp_path) == {"pkg/a.py": PLAIN.data}
    assert read(end64(data, short=False), tmp_path) == {"pkg/a.py": PLAIN.data}
    assert "that disagree" in refusal(end64(data, short=False, count=2), tmp_path)[2]
    assert "that disagree" in refusal(end64(data, signature=b"PK\6\5"), tmp_path)[2]
    assert "where none belongs" in refusal(end64(data, shift=1), tmp_path)[2]


def streamed(form: str = "<4s3L", *, crc: int = 0) -> bytes:
    values = (zlib.crc32(PLAIN.data) + crc, PACKED, SIZE)
    after = struct.pack(form, *([b"PK\7\x08"] if "4s" in form else []), *values)
    return build(replace(PLAIN, flags=8, after=after, local={"crc": 0, "size": 0, "packed": 0}), OTHER)


@pytest.mark.parametrize("form", ["<4s3L", "<3L", "<4sL2Q", "<L2Q"])
def test_p02_sources_may_have_descriptors_that_agree(tmp_path: Path, form: str) -> None:
    assert read(streamed(form), tmp_path, strict=False)["pkg/a.py"] == PLAIN.data
    assert "data descriptor that disagrees" in refusal(streamed(form, crc=-1), tmp_path, strict=False)[2]
    assert "with a data descriptor" in refusal(streamed(form), tmp_path)[2]


def test_p02_sources_may_have_a_comment(tmp_path: Path) -> None:
    comment = b"0123456789abcdef"
    data = build(PLAIN, end={"comment": len(comment)}, tail=comment)
    assert read(data, tmp_path, strict=False) == {"pkg/a.py": PLAIN.data}
    data = build(PLAIN, end={"comment": 4}, tail=b"PK\1\2")
    assert "has a comment" in refusal(data, tmp_path, strict=False)[2]


def test_p10_limits_are_enforced(tmp_path: Path) -> None:
    data = build(PLAIN, OTHER)
    assert refusal(data, tmp_path, limits=Limits(members=1))[0] == "archive-limit"
    assert refusal(data, tmp_path, limits=Limits(bytes=SIZE - 1))[0] == "archive-limit"
    dense = build(Piece(data=b"x" * 9999))
    assert refusal(dense, tmp_path, limits=Limits(ratio=9, ratio_from=0))[0] == "archive-limit"
    assert read(dense, tmp_path, limits=Limits(ratio=9, ratio_from=9999))
    assert refusal(data, tmp_path, limits=Limits(metadata=SIZE - 1))[:2] == ("archive-limit", "pkg/a.py")
    bomb = build(Piece(data=b"\0" * (65 << 20)))
    assert refusal(bomb, tmp_path)[0] == "archive-limit"


def test_p10_generous_defaults_are_fine(tmp_path: Path) -> None:
    assert len(read(build(Piece(data=b"\0" * (16 << 20))), tmp_path)["pkg/a.py"]) == 16 << 20
    assert len(read(build(*(Piece(name=b"p/%d" % n, data=b"", method=0) for n in range(4000))), tmp_path)) == 4000


def test_p10_a_member_that_unpacks_to_more_than_it_says_is_stopped(tmp_path: Path) -> None:
    huge = 3 << 20
    lie = Piece(data=b"", packed=deflate(b"\0" * huge), central={"size": 300_000}, local={"size": 300_000})
    assert refusal(build(lie), tmp_path)[0] == "archive-damage"
    small = Piece(data=b"", packed=deflate(b"\0" * huge), central={"size": 3}, local={"size": 3})
    assert refusal(build(small), tmp_path)[0] == "archive-damage"


def test_p08_large_members_are_verified_too(tmp_path: Path) -> None:
    data = bytes(range(256)) * 4096
    packed = deflate(data)
    assert read(build(Piece(data=data)), tmp_path)["pkg/a.py"] == data
    assert read(build(Piece(data=data, method=0)), tmp_path)["pkg/a.py"] == data
    assert refusal(build(Piece(data=data, packed=packed[:-1])), tmp_path)[0] == "archive-damage"
    assert refusal(build(Piece(data=data, packed=packed + b"?")), tmp_path)[0] == "archive-reading"
    assert refusal(build(Piece(data=data, central={"crc": 1}, local={"crc": 1})), tmp_path)[0] == "archive-damage"


def test_p08_what_does_not_fit_into_memory_is_read_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwb.archive.zips._IN_MEMORY", 0)
    assert read(build(PLAIN, OTHER), tmp_path) == {"pkg/a.py": PLAIN.data, "pkg/b.py": b""}


def test_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.whl"
    path.write_bytes(build(PLAIN, replace(OTHER, data=b"\x7fELF" + b"\0" * 2000)))
    with open_wheel(path) as reader:
        assert reader.digest("pkg/a.py", "sha256")[1] == SIZE
        assert reader.digest("pkg/a.py", "sha512") == reader.digest("pkg/a.py", "sha512")
        reader.verify()
        reader.digest("pkg/b.py", "sha256")
        assert {name: len(head) for name, head in reader.heads.items()} == {"pkg/b.py": 1024}
        with pytest.raises(ValidationError, match=r"a\.whl has no member 'c'"):
            reader.read("c")
        with pytest.raises(ValidationError, match="has no member 'c'"):
            reader.digest("c", "sha256")
    with (
        pytest.raises(ValidationError, match=r"gone\.whl cannot be read: No such file"),
        open_wheel(tmp_path / "gone.whl"),
    ):
        pass


def everything(data: bytes, folder: Path) -> None:
    (folder / "a.whl").write_bytes(data)
    with open_wheel(folder / "a.whl") as reader:
        reader.verify()


def test_p08_every_truncation_is_found(tmp_path: Path) -> None:
    data = build(PLAIN, OTHER)
    for end in range(len(data)):
        with pytest.raises(ValidationError):
            everything(data[:end], tmp_path)


def test_p08_every_flipped_byte_is_found_or_means_nothing(tmp_path: Path) -> None:
    """What is not checked: versions, attributes and times that are the same in both headers."""
    data = build(PLAIN)
    passed = 0
    for at in range(len(data)):
        try:
            everything(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :], tmp_path)
        except ValidationError:
            continue
        passed += 1
    assert passed <= 12


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6), st.booleans())
def test_p08_mutated_zips_write_nothing_outside(tmp_path: Path, changes: list[tuple[int, int]], cut: bool) -> None:
    data = bytearray(build(Piece(name=b"d/a"), Piece(name=b"d/l", data=b"a", method=0, mode=0o120777)))
    for at, value in changes:
        data[at % len(data)] = value
    path = tmp_path / "in.zip"
    path.write_bytes(bytes(data[: changes[0][0] % len(data)] if cut else data))
    try:
        extract_archive(path, tmp_path / "out")
    except ValidationError:
        assert not (tmp_path / "out").exists()
    else:
        import shutil

        shutil.rmtree(tmp_path / "out")
    assert [child.name for child in tmp_path.iterdir()] == ["in.zip"]


def test_zip_sources_are_extracted(tmp_path: Path) -> None:
    path = tmp_path / "download"
    path.write_bytes(
        build(
            Piece(name=b"d/", data=b"", method=0, mode=0o40755),
            Piece(name=b"d/run", mode=0o100755),
            Piece(name=b"d/sub/b"),
            Piece(name=b"d/l", data=b"sub/b", method=0, mode=0o120777),
        )
    )
    top = Path(extract_archive(path, tmp_path / "out"))
    assert top == tmp_path / "out" / "d"
    assert (top / "run").stat().st_mode & 0o777 == 0o755
    assert (top / "sub/b").stat().st_mode & 0o777 == 0o644
    assert (top / "l").read_bytes() == PLAIN.data
    assert (top / "run").stat().st_mtime == 1_735_689_600


def test_p03_zip_links_that_leave_are_refused(tmp_path: Path) -> None:
    for target in (b"../../x", b"/etc/passwd", b"\xff"):
        path = tmp_path / "x.zip"
        path.write_bytes(build(Piece(name=b"d/l", data=target, method=0, mode=0o120777)))
        with pytest.raises(ValidationError):
            extract_archive(path, tmp_path / "out")
    assert [child.name for child in tmp_path.iterdir()] == ["x.zip"]


def test_a_zip_without_dates(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    buffer = io.BytesIO(build(Piece(central={"stamp": 0}, local={"stamp": 0})))
    path.write_bytes(buffer.getvalue())
    extract_archive(path, tmp_path / "out")
    assert (tmp_path / "out/pkg/a.py").stat().st_mtime == 315_532_800
