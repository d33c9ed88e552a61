"""Does an sdist become its tree, and a hostile one nothing at all?"""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
from pathlib import Path

import pytest

from hwb.archive import extract_sdist, open_sdist
from hwb.errors import ValidationError


def tar(path: Path, *members: tarfile.TarInfo | tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return path


def entry(name: str, kind: bytes, target: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, mode
    return info


# --- sdists ----------------------------------------------------------------------------------------------------------


def test_extract(tmp_path: Path) -> None:
    script = entry("demo-1/run", tarfile.REGTYPE, mode=0o4775)
    script.mtime = 1_000_000_000
    path = tar(
        tmp_path / "demo-1.tar.gz",
        script,
        ("demo-1/pkg/a.py", b"a"),
        entry("demo-1/pkg/hard.py", tarfile.LNKTYPE, "demo-1/pkg/a.py"),
        entry("demo-1/link.py", tarfile.SYMTYPE, "pkg/a.py"),
        entry("demo-1/folder", tarfile.SYMTYPE, "pkg"),
        entry("demo-1/empty", tarfile.DIRTYPE, mode=0o700),
    )
    top = Path(extract_sdist(path, tmp_path / "out"))
    assert top == tmp_path / "out" / "demo-1"
    assert stat.S_IMODE((top / "run").stat().st_mode) == 0o755
    assert (top / "run").stat().st_mtime == 1_000_000_000
    assert stat.S_IMODE((top / "pkg/a.py").stat().st_mode) == 0o644
    assert stat.S_IMODE((top / "empty").stat().st_mode) == 0o755
    assert [(top / name).read_text() for name in ("pkg/a.py", "pkg/hard.py", "link.py", "folder/a.py")] == ["a"] * 4
    with open_sdist(path) as reader:
        assert reader.top == "demo-1"
        assert reader.read("demo-1/pkg/a.py") == b"a"
        with pytest.raises(ValidationError, match="has no member"):
            reader.read("demo-1/nothing")
        with pytest.raises(ValidationError, match="has no file 'demo-1/empty'"):
            reader.read("demo-1/empty")


FILE = ("demo-1/a.py", b"a")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([FILE, ("demo-1/../../evil", b"")], "has a member that leads out of the archive: 'demo-1/../../evil'"),
        ([("/abs/a", b"")], "has a member that is absolute: '/abs/a'"),
        ([FILE, FILE], "has two members of the same name: 'demo-1/a.py'"),
        ([FILE, ("demo-1/a.py/b", b"")], "has a member that is a file and a directory: 'demo-1/a.py'"),
        ([FILE, ("other/b", b"")], "must hold exactly one top directory, not demo-1, other"),
        ([("demo-1", b"")], "must hold exactly one top directory, not demo-1"),
        ([], "must hold exactly one top directory, not nothing"),
        (
            [entry("demo-1/null", tarfile.CHRTYPE)],
            "has a member that is neither file, directory nor link: 'demo-1/null'",
        ),
        (
            [entry("demo-1/pipe", tarfile.FIFOTYPE)],
            "has a member that is neither file, directory nor link: 'demo-1/pipe'",
        ),
        (
            [entry("demo-1/h", tarfile.LNKTYPE, "/etc/passwd")],
            "has a hard link to no file before it: 'demo-1/h' -> '/etc/passwd'",
        ),
        (
            [entry("demo-1/h", tarfile.LNKTYPE, "demo-1/a.py"), FILE],
            "has a hard link to no file before it: 'demo-1/h' -> 'demo-1/a.py'",
        ),
        ([entry("demo-1/l", tarfile.SYMTYPE, "/etc/passwd")], "has a link that leaves it: 'demo-1/l' -> '/etc/passwd'"),
        ([entry("demo-1/l", tarfile.SYMTYPE, "../x")], "has a link that leaves it: 'demo-1/l' -> '../x'"),
        ([entry("demo-1/l", tarfile.SYMTYPE, "..")], "has a link that leaves it: 'demo-1/l' -> '..'"),
        (
            # read by its text alone the first stays inside; the second bends it outwards
            [entry("demo-1/a", tarfile.SYMTYPE, "b/.."), entry("demo-1/b", tarfile.SYMTYPE, ".")],
            "has a link that leaves it: 'demo-1/a' -> 'b/..'",
        ),
        (
            [entry("demo-1/d", tarfile.SYMTYPE, "."), ("demo-1/d/x", b"")],
            "has a member that is a file and a directory: 'demo-1/d'",
        ),
    ],
)
def test_unsafe_sdists(tmp_path: Path, members: list[tarfile.TarInfo | tuple[str, bytes]], message: str) -> None:
    path = tar(tmp_path / "demo-1.tar.gz", *members)
    with pytest.raises(ValidationError) as caught:
        extract_sdist(path, tmp_path / "out")
    assert caught.value.what == f"demo-1.tar.gz {message}"
    assert [child.name for child in tmp_path.iterdir()] == ["demo-1.tar.gz"]


def test_damaged_sdists(tmp_path: Path) -> None:
    path = tar(tmp_path / "demo-1.tar.gz", ("demo-1/a", b"x" * 100_000))
    data = path.read_bytes()
    wrong_sum = bytearray(data)
    wrong_sum[-6] ^= 1
    for broken in (data[: len(data) // 2], b"no gzip", data + b"garbage", bytes(wrong_sum), gzip.compress(b"no tar")):
        path.write_bytes(broken)
        with (
            pytest.raises(
                ValidationError, match=r"demo-1\.tar\.gz (is damaged|has bytes after the end of its compressed data)"
            ),
            open_sdist(path),
        ):
            pass


def test_sparse_members_are_refused(tmp_path: Path) -> None:
    path = tar(tmp_path / "demo-1.tar.gz", entry("demo-1/s", tarfile.GNUTYPE_SPARSE))
    with pytest.raises(ValidationError, match="is neither file"), open_sdist(path):
        pass


def test_p16_extraction_judges_links_where_they_really_lead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a case-insensitive disk the text of a link may say less than the disk does: there is a second look."""
    path = tar(tmp_path / "demo-1.tar.gz", FILE, entry("demo-1/l", tarfile.SYMTYPE, "../.."))
    monkeypatch.setattr("hwb.archive.tars.check_links", lambda *_: None)
    with pytest.raises(ValidationError, match="has a link that leaves it"):
        extract_sdist(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
