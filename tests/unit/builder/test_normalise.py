"""Does the same content give the same sdist, in whatever order, by whomever and when it was packed?"""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb import context
from hwb.builder.normalise import normalise_sdist
from hwb.errors import ValidationError

EPOCH = 1_700_000_000
NAMES = (
    st.lists(st.sampled_from("ab-._é"), min_size=1, max_size=150).map("".join).filter(lambda n: n not in (".", ".."))
)
TREES = st.dictionaries(NAMES, st.tuples(st.binary(max_size=20), st.booleans()), min_size=1, max_size=6)


def pack(path: Path, tree: dict[str, tuple[bytes, bool]], chance: random.Random) -> None:
    """The same tree in another order, of another owner, at another time, in another format."""
    members = list(tree.items())
    chance.shuffle(members)
    with (
        gzip.GzipFile(path, "wb", mtime=chance.randrange(1 << 31), compresslevel=chance.randrange(1, 10)) as packed,
        tarfile.open(
            fileobj=packed, mode="w", format=chance.choice([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
        ) as archive,
    ):
        folder = tarfile.TarInfo("d-1")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, (data, runs) in members:
            info = tarfile.TarInfo(f"d-1/{name}")
            info.size, info.uid, info.gid = len(data), chance.randrange(70000), chance.randrange(70000)
            info.uname, info.mtime = chance.choice(["", "somebody"]), chance.random() * 1e9
            info.mode = chance.choice([0o700, 0o755, 0o777] if runs else [0o600, 0o644, 0o666])
            archive.addfile(info, io.BytesIO(data))


@given(TREES, st.integers())
def test_same_bytes_for_same_content_and_idempotent(tree: dict[str, tuple[bytes, bool]], seed: int) -> None:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        one, two = Path(folder, "d-1.tar.gz"), Path(folder, "e-1.tar.gz")
        for path in (one, two):
            pack(path, tree, chance)
            assert normalise_sdist(path, EPOCH)
        assert one.read_bytes() == two.read_bytes()
        before = one.read_bytes()
        assert not normalise_sdist(one, EPOCH)
        assert one.read_bytes() == before
        with tarfile.open(one) as archive:
            read = {m.name: (archive.extractfile(m).read(), m.mode == 0o755) for m in archive if m.isreg()}  # type: ignore[union-attr]
            assert read == {f"d-1/{name}": content for name, content in tree.items()}
            assert archive.getnames() == sorted(archive.getnames())
            assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in archive} == {(0, 0, "", "", EPOCH)}


def build(path: Path, *members: tarfile.TarInfo, pax: dict[str, str] | None = None) -> Path:
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, EPOCH) as packed,
        tarfile.open(fileobj=packed, mode="w", pax_headers=pax) as archive,
    ):
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size) if member.size else None)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, **values: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(f"d-1/{name}")
    info.type, info.mtime = kind, EPOCH
    info.mode = {tarfile.DIRTYPE: 0o755, tarfile.SYMTYPE: 0o777}.get(kind, 0o644)
    for key, value in values.items():
        setattr(info, key, value)
    return info


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "d-1.tar.gz"


class TestScan:
    def test_canonical_already(self, path: Path) -> None:
        build(path, member("a"), member("b", tarfile.SYMTYPE, linkname="a"), member("n" * 120))
        before = path.read_bytes()
        assert not normalise_sdist(path, EPOCH)
        assert path.read_bytes() == before

    @pytest.mark.parametrize(
        "odd",
        [
            member("a", mode=0o664),
            member("a", uid=1),
            member("a", uname="root"),
            member("a", mtime=EPOCH + 1),
            member("a", pax_headers={"comment": "x"}),
            member("a", tarfile.AREGTYPE),
            member("a", tarfile.DIRTYPE, mode=0o700),
        ],
        ids=["mode", "uid", "uname", "mtime", "pax", "old", "directory"],
    )
    def test_one_deviation_is_enough(self, path: Path, odd: tarfile.TarInfo) -> None:
        build(path, odd, member("b"))
        assert normalise_sdist(path, EPOCH)
        assert not normalise_sdist(path, EPOCH)

    def test_a_header_for_the_whole_archive(self, path: Path) -> None:
        build(path, member("a"), pax={"comment": "0123456789"})
        assert normalise_sdist(path, EPOCH)
        assert not normalise_sdist(path, EPOCH)

    def test_a_name_in_the_gzip_header(self, path: Path) -> None:
        build(path, member("a"))
        with gzip.GzipFile(path, "rb") as packed:
            data = packed.read()
        with path.open("wb") as raw, gzip.GzipFile("name.tar", "wb", 6, raw, EPOCH) as packed:
            packed.write(data)
        assert normalise_sdist(path, EPOCH)

    def test_links_are_kept_and_hard_links_come_last(self, path: Path) -> None:
        build(
            path,
            member("z", size=3),
            member("b", tarfile.LNKTYPE, linkname="d-1/z"),
            member("a", tarfile.SYMTYPE, linkname="z"),
        )
        assert normalise_sdist(path, EPOCH)
        assert not normalise_sdist(path, EPOCH)
        with tarfile.open(path) as archive:
            assert [(m.name, m.linkname, m.size) for m in archive] == [
                ("d-1/a", "z", 0),
                ("d-1/z", "", 3),
                ("d-1/b", "d-1/z", 0),
            ]

    def test_a_file_packed_twice(self, path: Path) -> None:
        build(path, member("PKG-INFO", size=1), member("PKG-INFO", size=2), member("a"))
        said: list[str] = []
        with context.use(context.Context(emit=lambda kind, **fields: said.append(fields["text"]))):
            assert normalise_sdist(path, EPOCH)
        assert said == ["the build backend packed d-1/PKG-INFO twice; the later one counts"]
        with tarfile.open(path) as archive:
            assert [(m.name, m.size) for m in archive] == [("d-1/PKG-INFO", 2), ("d-1/a", 0)]

    def test_what_is_unsafe_stays_refused(self, path: Path) -> None:
        build(path, member("a"), member("a", tarfile.SYMTYPE, linkname="b"))
        with pytest.raises(ValidationError, match="two members of the same name"):
            normalise_sdist(path, EPOCH)
