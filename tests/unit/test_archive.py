"""Does a hostile archive get refused, by name, before anything is written?"""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb.archive import extract_sdist, name_problem, open_sdist, open_wheel
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


def wheel(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), name)
    return path


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("a/b.py", ""),
        ("a/", ""),
        ("foo..bar/...", ""),
        ("../a", "leads out of the archive"),
        ("a/../../b", "leads out of the archive"),
        ("/etc/passwd", "is absolute"),
        ("//server/share", "is absolute"),
        ("C:/x", "starts with a drive"),
        ("c:x", "starts with a drive"),
        ("a\\b", "contains a backslash"),
        ("a\nb", "contains a control character"),
        ("a//b", "is not a plain relative path"),
        ("./a", "is not a plain relative path"),
        ("", "is not a plain relative path"),
    ],
)
def test_names(name: str, problem: str) -> None:
    assert name_problem(name) == problem


@given(st.text(alphabet="ab./\\:\0", max_size=12))
def test_a_name_that_passes_stays_below_any_directory(name: str) -> None:
    import ntpath
    import posixpath

    if not name_problem(name):
        for flavour, base in ((posixpath, "/target"), (ntpath, "C:\\target")):
            joined = flavour.normpath(flavour.join(base, name))
            assert joined.startswith(flavour.normpath(base))


# --- wheels ----------------------------------------------------------------------------------------------------------


def test_wheel_reader(tmp_path: Path) -> None:
    with open_wheel(wheel(tmp_path / "a.whl", "a/", "a/b.py")) as reader:
        assert reader.names == ("a/", "a/b.py")
        assert reader.read("a/b.py") == b"a/b.py"
        assert reader.digest("a/b.py", "sha256")[1] == 6
        with pytest.raises(ValidationError, match=r"a\.whl has no member 'c'"):
            reader.read("c")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["../evil.py"], "has a member that leads out of the archive: '../evil.py'"),
        (["a", "a"], "has two members of the same name: 'a'"),
        (["a", "a/"], "has two members of the same name: 'a/'"),
        (["a", "a/b"], "has a member that is a file and a directory: 'a'"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_unsafe_wheels(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(ValidationError) as caught, open_wheel(wheel(tmp_path / "a.whl", *names)):
        pass
    assert caught.value.what == f"a.whl {message}"
    assert caught.value.where == str(tmp_path / "a.whl")


def test_damaged_wheels(tmp_path: Path) -> None:
    path = wheel(tmp_path / "a.whl", "a.py")
    data = path.read_bytes()
    path.write_bytes(data[:-30])
    with pytest.raises(ValidationError, match=r"a\.whl is damaged: File is not a zip file"), open_wheel(path):
        pass
    path.write_bytes(data.replace(b"a.pya.py", b"a.pyX.py"))
    with open_wheel(path) as reader, pytest.raises(ValidationError, match="is damaged: Bad CRC-32"):
        reader.read("a.py")
    encrypted = bytearray(data)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[encrypted.index(signature) + offset] |= 1
    path.write_bytes(encrypted)
    with open_wheel(path) as reader, pytest.raises(ValidationError, match=r"cannot be read: .*encrypted"):
        reader.read("a.py")


def test_missing_wheel(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"a\.whl cannot be read: No such file"), open_wheel(tmp_path / "a.whl"):
        pass


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
            pytest.raises(ValidationError, match=r"demo-1\.tar\.gz (is damaged|cannot be read|must hold)"),
            open_sdist(path),
        ):
            pass


def test_sparse_members_are_refused(tmp_path: Path) -> None:
    path = tar(tmp_path / "demo-1.tar.gz", entry("demo-1/s", tarfile.GNUTYPE_SPARSE))
    with pytest.raises(ValidationError, match="is neither file"), open_sdist(path):
        pass
