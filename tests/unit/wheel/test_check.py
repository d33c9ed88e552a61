"""Is every broken distribution refused with the rule and member, and no sound one?"""

from __future__ import annotations

import io
import tarfile
import zipfile
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

import hwb.wheel
from hwb.errors import ValidationError
from hwb.wheel import Severity, check_file, import_names, read_metadata, require_valid

if TYPE_CHECKING:
    from pathlib import Path

INFO = "my_pkg-1.0.dist-info/"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py2-none-any\nTag: py3-none-any\n"
METADATA = "Metadata-Version: 2.4\nName: My.Pkg\nVersion: 1.0.0\nRequires-Python: >=3.9\n"
NAME = "my_pkg-1.0-py2.py3-none-any.whl"
FILES = {"my_pkg/__init__.py": "x = 1\n", INFO + "METADATA": METADATA, INFO + "WHEEL": WHEEL}


def row(name: str, text: str) -> str:
    digest = urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(text.encode())}\n"


def record(files: dict[str, str]) -> str:
    return "".join(row(name, text) for name, text in files.items()) + INFO + "RECORD,,\n"


def wheel(
    folder: Path,
    changes: dict[str, str | None] | None = None,
    *,
    name: str = NAME,
    rows: str | None = None,
    unlisted: tuple[str, ...] = (),
) -> Path:
    """A sound wheel with changes: None takes a file out; RECORD fits unless `rows` or `unlisted` say otherwise."""
    merged = {**FILES, **(changes or {})}
    files = {path: text for path, text in merged.items() if text is not None}
    with zipfile.ZipFile(folder / name, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        if rows != "":
            archive.writestr(INFO + "RECORD", rows or record({p: t for p, t in files.items() if p not in unlisted}))
    return folder / name


def found(path: Path) -> list[tuple[str, str, str]]:
    return [(finding.rule, finding.member, finding.message) for finding in check_file(path)]


def test_a_sound_wheel(tmp_path: Path) -> None:
    path = wheel(tmp_path)
    assert check_file(path) == []
    assert require_valid(path) == []
    assert read_metadata(path)["Requires-Python"] == ">=3.9"


def test_directories_and_signatures_need_no_row(tmp_path: Path) -> None:
    extra: dict[str, str | None] = {"my_pkg/": "", INFO + "RECORD.jws": "signature"}
    assert check_file(wheel(tmp_path, extra, unlisted=("my_pkg/", INFO + "RECORD.jws"))) == []


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        (
            {INFO + "METADATA": None},
            ("metadata", "my_pkg-1.0.dist-info", "there is no METADATA in the dist-info directory"),
        ),
        (
            {INFO + "METADATA": "Metadata-Version: 2.1\nName: other\nVersion: 1.0\n"},
            ("metadata", INFO + "METADATA", "says other 1.0, the file name my-pkg 1.0"),
        ),
        (
            {INFO + "METADATA": "Metadata-Version: 2.1\nName: my-pkg\nVersion: 2\n"},
            ("metadata", INFO + "METADATA", "says my-pkg 2, the file name my-pkg 1.0"),
        ),
        (
            {INFO + "METADATA": "Metadata-Version: 2.1\nName: my-pkg\n"},
            ("metadata", INFO + "METADATA", "says my-pkg None, the file name my-pkg 1.0"),
        ),
        (
            {INFO + "WHEEL": None},
            ("wheel-version", "my_pkg-1.0.dist-info", "there is no WHEEL in the dist-info directory"),
        ),
        (
            {INFO + "WHEEL": WHEEL.replace("1.0", "2.0")},
            ("wheel-version", INFO + "WHEEL", "Wheel-Version is '2.0', not 1.x"),
        ),
        (
            {INFO + "WHEEL": WHEEL.replace("py2-none-any", "cp27-cp27m-win32")},
            (
                "wheel-tags",
                INFO + "WHEEL",
                "its Tag lines (cp27-cp27m-win32, py3-none-any) are not the file name's tags",
            ),
        ),
        (
            {INFO + "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"},
            ("wheel-tags", INFO + "WHEEL", "its Tag lines (none) are not the file name's tags"),
        ),
        (
            {INFO + "WHEEL": WHEEL + "Tag: nonsense\nTag: py3-none-linux\n"},
            (
                "wheel-tags",
                INFO + "WHEEL",
                "its Tag lines (py2-none-any, py3-none-any, nonsense, py3-none-linux) are not the file name's tags",
            ),
        ),
        (
            {"other-1.0.dist-info/x": ""},
            (
                "one-dist-info",
                "",
                "must have exactly one dist-info directory, has my_pkg-1.0.dist-info, other-1.0.dist-info",
            ),
        ),
        (
            {"../evil.py": ""},
            ("archive-name", "../evil.py", f"{NAME} has a member that leads out of the archive: '../evil.py'"),
        ),
    ],
)
def test_one_thing_wrong(tmp_path: Path, changes: dict[str, str | None], finding: tuple[str, str, str]) -> None:
    assert found(wheel(tmp_path, changes)) == [finding]


def test_dist_info_of_another_project(tmp_path: Path) -> None:
    path = wheel(tmp_path, name="other-1.0-py2.py3-none-any.whl")
    assert found(path) == [
        ("one-dist-info", "my_pkg-1.0.dist-info", "does not agree with the file name other-1.0-py2.py3-none-any.whl"),
        ("metadata", INFO + "METADATA", "says My.Pkg 1.0.0, the file name other 1.0"),
    ]


def test_no_dist_info(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / NAME, "w") as archive:
        archive.writestr("my_pkg/__init__.py", "")
    assert [rule for rule, _, _ in found(tmp_path / NAME)] == ["one-dist-info", "metadata", "wheel-version", "record"]


def test_an_impossible_name(tmp_path: Path) -> None:
    path = wheel(tmp_path, name="my_pkg-1.0.whl")
    assert found(path) == [("wheel-name", "", "'my_pkg-1.0.whl' is not a valid wheel file name")]


GOOD = record(FILES)


@pytest.mark.parametrize(
    ("rows", "finding"),
    [
        ("", ("record", "my_pkg-1.0.dist-info", "there is no RECORD in the dist-info directory")),
        (GOOD + "ghost.py,,\n", ("record", "ghost.py", "RECORD lists a file that is not in the wheel")),
        (GOOD + INFO + "RECORD,,\n\n", ("record", INFO + "RECORD", "RECORD lists this file twice")),
        (
            GOOD.replace(row("my_pkg/__init__.py", "x = 1\n"), ""),
            ("record", "my_pkg/__init__.py", "RECORD does not list this file"),
        ),
        (
            GOOD.replace(row("my_pkg/__init__.py", "x = 1\n"), row("my_pkg/__init__.py", "x = 2\n")),
            ("record-hash", "my_pkg/__init__.py", "its bytes do not have the hash in RECORD"),
        ),
        (GOOD.replace(",6\n", ",7\n"), ("record-hash", "my_pkg/__init__.py", "it has 6 bytes, RECORD says 7")),
        (
            GOOD.replace(row("my_pkg/__init__.py", "x = 1\n"), "my_pkg/__init__.py,md5=x,6\n"),
            ("record-hash", "my_pkg/__init__.py", "its hash in RECORD is md5, not sha256 or better"),
        ),
        (
            GOOD.replace(row("my_pkg/__init__.py", "x = 1\n"), "my_pkg/__init__.py\n"),
            ("record-hash", "my_pkg/__init__.py", "its hash in RECORD is missing, not sha256 or better"),
        ),
    ],
)
def test_record(tmp_path: Path, rows: str, finding: tuple[str, str, str]) -> None:
    assert found(wheel(tmp_path, rows=rows)) == [finding]


def test_every_error_is_listed(tmp_path: Path) -> None:
    path = wheel(tmp_path, {INFO + "METADATA": None, INFO + "WHEEL": None})
    with pytest.raises(ValidationError) as caught:
        require_valid(path)
    assert caught.value.what == f"{NAME} is not valid"
    assert caught.value.detail.splitlines() == [
        "error: metadata: there is no METADATA in the dist-info directory (my_pkg-1.0.dist-info)",
        "error: wheel-version: there is no WHEEL in the dist-info directory (my_pkg-1.0.dist-info)",
    ]
    assert caught.value.remedy == "report it to the build backend"
    with pytest.raises(ValidationError, match="has no metadata"):
        read_metadata(path)


def test_damage_is_a_finding_too(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"nothing")
    assert found(tmp_path / NAME) == [
        ("archive-damage", "", f"{NAME} is damaged: it has no end record; it is no zip file, or its end is missing")
    ]


def test_other_files() -> None:
    assert [finding.rule for finding in check_file("my-pkg-1.0.zip")] == ["file-name"]


# --- sdists ----------------------------------------------------------------------------------------------------------


def sdist(folder: Path, name: str, top: str, metadata: str | None) -> Path:
    with tarfile.open(folder / name, "w:gz") as archive:
        for path, text in ((f"{top}/PKG-INFO", metadata), (f"{top}/setup.py", "")):
            if text is not None:
                info = tarfile.TarInfo(path)
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
    return folder / name


def test_a_sound_sdist(tmp_path: Path) -> None:
    path = sdist(tmp_path, "my_pkg-1.0.tar.gz", "my_pkg-1.0", METADATA)
    assert require_valid(path) == []
    assert read_metadata(path)["Name"] == "My.Pkg"


def test_legacy_names_are_only_said(tmp_path: Path) -> None:
    path = sdist(tmp_path, "My.Pkg-1.0.tar.gz", "my-pkg-1.0", METADATA)
    assert [(f.rule, f.severity, f.member) for f in require_valid(path)] == [
        ("sdist-name-legacy", Severity.WARNING, ""),
        ("sdist-top-spelling", Severity.WARNING, "my-pkg-1.0"),
    ]


@pytest.mark.parametrize(
    ("name", "top", "metadata", "finding"),
    [
        ("mypkg.tar.gz", "mypkg", METADATA, ("sdist-name", "", "'mypkg.tar.gz' is not a valid sdist file name")),
        (
            "my_pkg-1.0.tar.gz",
            "other-1.0",
            METADATA,
            ("sdist-top", "other-1.0", "the top directory does not agree with the file name"),
        ),
        (
            "my_pkg-1.0.tar.gz",
            "my_pkg-1.0",
            None,
            ("pkg-info", "my_pkg-1.0/PKG-INFO", "there is no PKG-INFO in the top directory"),
        ),
        (
            "my_pkg-1.0.tar.gz",
            "my_pkg-1.0",
            "Metadata-Version: 2.1\nName: my-pkg\nVersion: 3\n",
            ("pkg-info", "my_pkg-1.0/PKG-INFO", "says my-pkg 3, the file name my-pkg 1.0"),
        ),
    ],
)
def test_unsound_sdists(
    tmp_path: Path, name: str, top: str, metadata: str | None, finding: tuple[str, str, str]
) -> None:
    assert found(sdist(tmp_path, name, top, metadata)) == [finding]


def test_errors_come_before_warnings(tmp_path: Path) -> None:
    path = sdist(tmp_path, "My.Pkg-1.0.tar.gz", "my-pkg-1.0", None)
    assert [finding.severity for finding in check_file(path)] == [Severity.ERROR, Severity.WARNING, Severity.WARNING]


# --- what can be imported --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["pkg/__init__.py", "pkg/sub/__init__.py", "single.py"], ("pkg", "single")),
        (["attr/__init__.py", "attrs/__init__.py", "attrs/py.typed"], ("attr", "attrs")),
        (["_speed.cpython-312-x86_64-linux-gnu.so", "_abi.abi3.so", "plain.so"], ("_abi", "_speed", "plain")),
        (["win.cp312-win_amd64.pyd", "_pp.pypy310-pp73-x86_64-linux-gnu.so"], ("_pp", "win")),
        (["libfoo.so", "libfoo.so.1", "other.so.2"], ()),
        (["native/__init__.cpython-312-x86_64-linux-gnu.so"], ("native",)),
        (["google/cloud/storage/__init__.py", "google/auth/__init__.py"], ("google.auth", "google.cloud.storage")),
        (["acme/tool.py", "acme/data.txt"], ("acme.tool",)),
        (["acme/loose.py", "acme/real/__init__.py"], ("acme.real",)),
        (["foo-stubs/__init__.pyi", "foo.pyi", "data/table.csv"], ()),
        (["pkg.libs/libx.so", "class/__init__.py", "2to3.py"], ()),
        (["pkg/__init__.py", "setup.py", "tests/__init__.py", "conftest.py"], ("pkg",)),
        (["tests/__init__.py"], ("tests",)),
        (["pkg.py", "pkg/__init__.py"], ("pkg",)),
        (["__main__.py", "__init__.py", "a.pth"], ()),
        (["pkg-1.0.data/purelib/pure/__init__.py", "pkg-1.0.data/platlib/plat.py"], ("plat", "pure")),
        (["pkg-1.0.data/scripts/run.py", "pkg-1.0.data/data/share/x.py", "pkg-1.0.data/purelib"], ()),
    ],
)
def test_import_names(tmp_path: Path, paths: list[str], names: tuple[str, ...]) -> None:
    path = wheel(tmp_path, {"my_pkg/__init__.py": None, **dict.fromkeys(paths, "")})
    assert import_names(path) == names


def test_nothing_is_imported_before_it_is_used() -> None:
    assert hwb.wheel.import_names is import_names
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = hwb.wheel.nothing
