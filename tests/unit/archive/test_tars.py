"""Is every tar that two readers could read in two ways refused, and no other?"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import tarfile
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwb.archive import Limits, extract_archive, extract_sdist, open_sdist
from hwb.archive.names import verdict
from hwb.errors import ValidationError

if TYPE_CHECKING:
    from pathlib import Path

END = b"\0" * 1024


def header(name: bytes = b"d-1/a", kind: bytes = b"0", size: int = 0, **fields: bytes) -> bytes:
    """A ustar header; `fields` replace the bytes of a field."""
    layout = {
        "name": (0, 100, name), "mode": (100, 8, b"0000644\0"), "uid": (108, 8, b"0000000\0"), "gid": (116, 8, b"0000000\0"),
        "digits": (124, 12, b"%011o\0" % size), "mtime": (136, 12, b"00000000000\0"), "type": (156, 1, kind),
        "linkname": (157, 100, b""), "magic": (257, 8, b"ustar\x0000"), "uname": (265, 32, b""), "gname": (297, 32, b""),
        "prefix": (345, 155, b""), "rest": (500, 12, b""),
    }  # fmt: skip
    block = bytearray(512)
    for field, (at, length, value) in layout.items():
        value = fields.get(field, value)
        assert len(value) <= length
        block[at : at + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = fields.get("checksum", b"%06o\0 " % sum(block))
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 512)


def member(name: bytes = b"d-1/a", data: bytes = b"x = 1\n", kind: bytes = b"0", **fields: bytes) -> bytes:
    return header(name, kind, len(data), **fields) + padded(data)


def pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    out = b""
    for key, value in records:
        length = len(key) + len(value) + 3
        length += len(str(length + len(str(length))))
        out += b"%d %s=%s\n" % (length, key, value)
    return member(b"pax", out, kind)


def put(folder: Path, *parts: bytes, end: bytes = END) -> Path:
    path = folder / "d-1.tar.gz"
    path.write_bytes(gzip.compress(b"".join(parts) + end, 1, mtime=0))
    return path


def read(path: Path, **options: Any) -> dict[str, bytes]:
    with open_sdist(path, **options) as reader:
        return {m.name: reader.read(m.name) if m.kind in ("file", "hard link") else b"" for m in reader.members}


def refusal(path: Path, **options: Any) -> tuple[str, str]:
    with pytest.raises(ValidationError) as caught:
        read(path, **options)
    assert caught.value.where == str(path)
    return verdict(caught.value)[0], caught.value.what


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_p02_what_the_standard_library_writes_is_fine(tmp_path: Path, form: int) -> None:
    path = tmp_path / "d-1.tar.gz"
    long = "d-1/" + "n" * 60 + "/" + "m" * 60
    with tarfile.open(path, "w:gz", format=form) as archive:
        for name in ("d-1/a", long, "d-1/é"):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = 3, 1.5 if form == tarfile.PAX_FORMAT else 1
            archive.addfile(info, io.BytesIO(b"abc"))
    assert read(path) == {"d-1/a": b"abc", long: b"abc", "d-1/é": b"abc"}


def test_p02_plain_tar_is_fine(tmp_path: Path) -> None:
    parts = [
        header(b"d-1/", b"5"),
        member(),
        member(b"d-1/old", kind=b"\0", magic=b""),
        member(b"d-1/gnu", magic=b"ustar  \0", uid=b"\x80\0\0\0\0\x7f\xff\xff"),
        header(b"d-1/h", b"1", linkname=b"d-1/a"),
        header(b"d-1/h2", b"1", linkname=b"d-1/h"),
        header(b"d-1/l", b"2", linkname=b"a"),
        member(b"b", prefix=b"d-1/p"),
        member(b"d-1/then", mtime=b"\xff" * 12),
    ]
    found = read(put(tmp_path, *parts))
    assert found["d-1/p/b"] == found["d-1/h"] == found["d-1/h2"] == found["d-1/old"] == b"x = 1\n"
    assert found["d-1"] == found["d-1/l"] == b""
    with open_sdist(put(tmp_path, *parts)) as reader:
        assert [m.mtime for m in reader.members][-1] == -1
        assert [m.owner[0] for m in reader.members if m.name == "d-1/gnu"] == [0x7FFFFF]


def test_p02_extended_headers_are_read(tmp_path: Path) -> None:
    commit = pax((b"comment", b"0123"), kind=b"g")
    path = put(tmp_path, commit, pax((b"path", "d-1/é".encode()), (b"mtime", b"12.5")), member(b"d-1/?"))
    with open_sdist(path) as reader:
        assert reader.global_headers == {"comment": "0123"}
        assert [(m.name, m.mtime, m.extended) for m in reader.members] == [("d-1/é", 12.5, {"path", "mtime"})]
    cut = "d-1/é".encode()[:-1]
    assert read(put(tmp_path, pax((b"path", b"d-1/whole")), member(cut))) == {"d-1/whole": b"x = 1\n"}
    long = member(b"././@LongLink", b"d-1/" + b"n" * 150 + b"\0", b"L")
    assert list(read(put(tmp_path, long, member(b"d-1/nn")))) == ["d-1/" + "n" * 150]
    target = member(b"././@LongLink", b"a" * 150 + b"\0", b"K")
    with open_sdist(put(tmp_path, target, header(b"d-1/l", b"2", linkname=b"aa"))) as reader:
        assert reader.members[0].linkname == "a" * 150


SIZE = (b"size", b"6")


@pytest.mark.parametrize(
    ("parts", "rule", "words"),
    [
        ([pax((b"size", b"5")), member()], "archive-reading", "two sizes disagree"),
        ([pax((b"size", b"512")), header(), padded(b"x")], "archive-reading", "two sizes disagree"),
        ([pax((b"size", b"-1")), member()], "archive-reading", "size that is no number"),
        ([pax((b"size", b"1_0")), member()], "archive-reading", "size that is no number"),
        ([pax((b"mtime", b"nan")), member()], "archive-reading", "time that is no number"),
        ([pax((b"path", b"")), member()], "archive-reading", "impossible path"),
        ([pax((b"path", b"d-1/a\0b")), member()], "archive-reading", "impossible path"),
        ([pax((b"path", b"d-1/a"), (b"path", b"d-1/b")), member()], "archive-reading", "'path' twice"),
        ([pax((b"hdrcharset", b"BINARY")), member()], "archive-reading", "another character set"),
        ([pax((b"GNU.sparse.major", b"1")), member()], "archive-reading", "sparse"),
        ([pax((b"path", b"d-1/\xff")), member()], "archive-reading", "not UTF-8"),
        ([member(b"p", b"07 a=b\n", b"x"), member()], "archive-reading", "read in two ways"),
        ([member(b"p", b"9 a=b\n", b"x"), member()], "archive-reading", "read in two ways"),
        ([member(b"p", b"3 a=b\n", b"x"), member()], "archive-reading", "read in two ways"),
        ([header(b"p", b"x", 7), padded(b"7 a=bc\n?"), member()], "archive-reading", "after its end"),
        ([pax((b"path", b"d-1/b")), pax((b"path", b"d-1/c")), member()], "archive-reading", "two extended headers"),
        ([pax((b"path", b"d-1/b"))], "archive-reading", "belongs to no member"),
        ([pax((b"path", b"d-1/b")), pax((b"comment", b"c"), kind=b"g"), member()], "archive-reading", "to no member"),
        ([pax((b"path", b"d-1/b"), kind=b"g"), member()], "archive-reading", "every member the same path"),
        ([pax((b"size", b"1"), kind=b"g"), member()], "archive-reading", "every member the same size"),
        ([pax((b"path", b"d-1/b")), member(b"L", b"d-1/c\0", b"L"), member()], "archive-reading", "two long names"),
        ([member(b"L", b"d-1/c\0d\0", b"L"), member()], "archive-reading", "long name that can be read"),
        ([member(b"L", b"d-1/c\0", b"L"), member(b"L", b"d-1/e\0", b"L"), member()], "archive-reading", "long name"),
        ([member(b"L", b"\xff\0", b"L"), member()], "archive-damage", "is damaged"),
        ([header(b"d-1/s", b"S")], "archive-type", "neither file"),
        ([header(b"d-1/c", b"3")], "archive-type", "neither file"),
        ([header(b"d-1/f", b"6")], "archive-type", "neither file"),
        ([member(kind=b"7")], "archive-type", "neither file"),
        ([header(b"d-1/x", b"5", 512), b"\0" * 512], "archive-reading", "directory or link with data"),
        ([member(), header(b"d-1/h", b"1", 512, linkname=b"d-1/a"), b"y" * 512], "archive-reading", "with data"),
        ([member(linkname=b"b")], "archive-reading", "with a link target"),
        ([member(b"d-1/a/")], "archive-reading", "name of a directory"),
        ([member(b"d-1/\xff")], "archive-name", "invisible"),
        ([member(b"d-1/a\0b")], "archive-reading", "goes on after its end"),
        ([member(digits=b"0000000000x\0")], "archive-reading", "number that can be read in two ways"),
        ([member(digits=b"\xff" * 12)], "archive-reading", "number that can be read in two ways"),
        ([member(digits=b"0o000000006\0")], "archive-reading", "number that can be read in two ways"),
        ([member(magic=b"ustar\0 0")], "archive-reading", "unknown format"),
        ([member(magic=b"ustar  \0", prefix=b"x")], "archive-reading", "only some readers know"),
        ([member(checksum=b"000001\0 ")], "archive-damage", "wrong checksum"),
        ([member(), END, member(b"d-1/b")], "archive-reading", "after the end"),
        ([member(), b"\0" * 512, member(b"d-1/b")], "archive-reading", "after the end"),
        ([header(size=10**6)], "archive-damage", "middle of a member"),
        ([header(b"d-1/l", b"2", linkname=b"../x")], "archive-type", "leaves it"),
        ([member(), member()], "archive-name", "same name"),
        ([member(), member(b"d-1/A")], "archive-name", "differ by case"),
        ([member(), member(b"other/b")], "archive-top", "exactly one top directory"),
    ],
)
def test_p02_two_readings_are_refused(tmp_path: Path, parts: list[bytes], rule: str, words: str) -> None:
    found, what = refusal(put(tmp_path, *parts))
    assert found == rule, what
    assert any(word in what for word in words.split("|")), what


def test_p02_the_end_is_two_zero_blocks(tmp_path: Path) -> None:
    for end in (b"", b"\0" * 512, b"\0" * 1000, b"\0" * 1100):
        assert refusal(put(tmp_path, member(), end=end))[0] == "archive-damage"
    assert len(read(put(tmp_path, member(), end=b"\0" * 10240))) == 1


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, bytes])
def test_p02_one_compressed_stream_and_nothing_after_it(tmp_path: Path, pack: Any) -> None:
    path, data = tmp_path / "d-1.tar.gz", member() + member(b"d-1/b", bytes(range(256)) * 3000) + END
    packed = pack(data)
    path.write_bytes(packed)
    assert set(read(path)) == {"d-1/a", "d-1/b"}
    for broken in (packed + pack(END), packed + b"garbage", packed[:-1], packed[: len(packed) // 2]):
        path.write_bytes(broken)
        if broken != packed + END:
            assert refusal(path)[0] in ("archive-reading", "archive-damage")


def test_p02_a_second_stream_after_a_whole_block_of_input_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, member())
    data = path.read_bytes()
    monkeypatch.setattr("hwb.archive.gz._BLOCK", len(data))
    path.write_bytes(data + b"?")
    assert refusal(path) == ("archive-reading", "d-1.tar.gz has bytes after the end of its compressed data")


def test_p08_wrong_checksums_are_found(tmp_path: Path) -> None:
    path = put(tmp_path, member())
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(data)
    assert refusal(path)[0] == "archive-damage"
    xz = bytearray(lzma.compress(member() + END))
    xz[30] ^= 1
    path.write_bytes(xz)
    assert refusal(path)[0] == "archive-damage"


def test_p08_every_truncation_is_found(tmp_path: Path) -> None:
    path = put(tmp_path, pax((b"path", b"d-1/b")), member(), header(b"d-1/l", b"2", linkname=b"b"))
    data = path.read_bytes()
    for end in range(len(data)):
        path.write_bytes(data[:end])
        with pytest.raises(ValidationError):
            read(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4), st.booleans())
def test_p08_mutated_tars_write_nothing_outside(tmp_path: Path, changes: list[tuple[int, int]], mend: bool) -> None:
    """Checksums are mended half of the time, so that what lies behind them is reached."""
    blocks = bytearray(pax((b"path", b"d/b")) + member(b"d/a") + header(b"d/l", b"2", linkname=b"b"))
    for at, value in changes:
        blocks[at % len(blocks)] = value
    for at in (0, 1024, 2048) if mend else ():
        blocks[at + 148 : at + 156] = b" " * 8
        blocks[at + 148 : at + 156] = b"%06o\0 " % sum(blocks[at : at + 512])
    path = tmp_path / "in.tar"
    path.write_bytes(bytes(blocks) + END)
    try:
        extract_archive(path, tmp_path / "out")
    except ValidationError:
        assert not (tmp_path / "out").exists()
    else:
        shutil.rmtree(tmp_path / "out")
    assert [child.name for child in tmp_path.iterdir()] == ["in.tar"]


def test_p10_limits_are_enforced(tmp_path: Path) -> None:
    path = put(tmp_path, member(), member(b"d-1/b"))
    assert refusal(path, limits=Limits(members=1))[0] == "archive-limit"
    assert refusal(path, limits=Limits(bytes=100))[0] == "archive-limit"
    assert refusal(path, limits=Limits(metadata=5))[0] == "archive-limit"
    assert (
        refusal(put(tmp_path, pax((b"comment", b"c" * 99)), member()), limits=Limits(header=98))[0] == "archive-limit"
    )
    for pack in (gzip.compress, bz2.compress, lzma.compress):
        path.write_bytes(pack(member() + b"\0" * (70 << 20)))
        assert refusal(path)[0] == "archive-limit"


def test_p10_generous_defaults_are_fine(tmp_path: Path) -> None:
    assert len(read(put(tmp_path, member(data=b"\0" * (16 << 20))))["d-1/a"]) == 16 << 20
    assert len(read(put(tmp_path, *(header(b"d-1/%d" % n) for n in range(4000))))) == 4000


def test_p10_a_large_file_goes_through_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwb.archive.tars._IN_MEMORY", 16)
    assert read(put(tmp_path, member())) == {"d-1/a": b"x = 1\n"}


def test_p15_an_sdist_has_one_top_directory(tmp_path: Path) -> None:
    assert refusal(put(tmp_path))[1] == "d-1.tar.gz must hold exactly one top directory, not nothing"
    assert refusal(put(tmp_path, member(b"d-1")))[0] == "archive-top"


def test_last_wins_reads_as_tar_does(tmp_path: Path) -> None:
    path = put(tmp_path, member(data=b"1"), member(data=b"2"), member(b"d-1/b"))
    with open_sdist(path, last_wins=True) as reader:
        assert reader.overwritten == ("d-1/a",)
        assert reader.read("d-1/a") == b"2"
        assert reader.open(reader.members[0]).read() == b"2"
        stream = reader.open(reader.members[1])
        assert stream.readable()
        assert (stream.read(2), stream.read(100), stream.read(1)) == (b"x ", b"= 1\n", b"")


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with open_sdist(put(tmp_path, member(), header(b"d-1/e", b"5"))) as reader:
        assert reader.names == ("d-1/a", "d-1/e")
        with pytest.raises(ValidationError, match="has no member 'd-1/x'"):
            reader.read("d-1/x")
        with pytest.raises(ValidationError, match="has no file 'd-1/e'"):
            reader.read("d-1/e")
    with pytest.raises(ValidationError, match="cannot be read: No such file"):
        read(tmp_path / "gone.tar.gz")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, bytes])
def test_sources_are_told_by_their_content(tmp_path: Path, pack: Any) -> None:
    path = tmp_path / "download.bin"
    path.write_bytes(pack(pax((b"comment", b"c"), kind=b"g") + member(b"top/a") + END))
    assert extract_archive(path, tmp_path / "out") == str(tmp_path / "out" / "top")
    assert (tmp_path / "out/top/a").read_bytes() == b"x = 1\n"


def test_sources_without_a_top_directory(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    parts = [header(b"./", b"5"), member(b"./a"), member(b"./B"), member(b"b"), header(b"./h", b"1", linkname=b"./a")]
    path.write_bytes(b"".join(parts) + END)
    assert extract_archive(path, tmp_path / "out") == str(tmp_path / "out")
    assert sorted(child.name for child in (tmp_path / "out").iterdir()) == ["B", "a", "b", "h"]


@pytest.mark.parametrize("data", [b"", b"no archive", zlib.compress(b"x"), b"7z\xbc\xaf" + b"x" * 600])
def test_other_files_are_no_sources(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    with pytest.raises(ValidationError, match=r"x\.zip is damaged"):
        extract_archive(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_zip_sdist_is_extracted(tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "d-1.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("d-1/setup.py", "x")
    assert extract_sdist(path, tmp_path / "out") == str(tmp_path / "out" / "d-1")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("setup.py", "x")
    with pytest.raises(ValidationError, match="exactly one top directory"):
        extract_sdist(path, tmp_path / "more")
    assert not (tmp_path / "more").exists()
