"""Is a publish exactly once per file, all or nothing, and finished by the next one when it was killed?"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from hwb import context
from hwb.errors import ConflictError, ValidationError
from hwb.fs import FileLock, sha256_file
from hwb.index import files
from hwb.registry.local import LocalIndex


def wheel(folder: Path, project: str = "demo", version: str = "1.0", text: str = "", needs: str = ">=3.9") -> str:
    folder.mkdir(exist_ok=True)
    path = folder / f"{project}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo(f"{project}-{version}.dist-info/METADATA")
        archive.writestr(
            info, f"Name: {project}\nVersion: {version}\n{needs and 'Requires-Python: ' + needs}\n\n{text}"
        )
    return str(path)


@pytest.fixture
def index(tmp_path: Path) -> LocalIndex:
    return LocalIndex(tmp_path / "index")


def tree(index: LocalIndex) -> dict[str, bytes]:
    root = Path(index.root)
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name != ".lock"}


def test_publish(index: LocalIndex, tmp_path: Path) -> None:
    one, two = wheel(tmp_path / "dist", "my_demo"), wheel(tmp_path / "dist", "my_demo", "1.10", needs="")
    receipts = index.publish([two, one])
    assert [(r.name, r.state) for r in receipts] == [(Path(p).name, "uploaded") for p in (two, one)]
    assert [r.sha256 for r in receipts] == [sha256_file(two), sha256_file(one)]
    assert receipts[0].path == index.file(Path(two).name) == f"{index.root}/simple/my-demo/{Path(two).name}"
    assert sorted(tree(index)) == [
        "simple/index.html",
        "simple/my-demo/index.html",
        "simple/my-demo/index.json",
        "simple/my-demo/my_demo-1.0-py3-none-any.whl",
        "simple/my-demo/my_demo-1.10-py3-none-any.whl",
    ]
    assert [(f.name, f.requires_python) for f in files(index.url, "my-demo")] == [
        ("my_demo-1.0-py3-none-any.whl", ">=3.9"),
        ("my_demo-1.10-py3-none-any.whl", ""),
    ]
    assert json.loads(tree(index)["simple/my-demo/index.json"])["versions"] == ["1.0", "1.10"]
    assert index.url == Path(index.root, "simple").as_uri() + "/"
    assert index.file("my_demo-2.0-py3-none-any.whl") is None


def test_the_same_bytes_again(index: LocalIndex, tmp_path: Path) -> None:
    path = wheel(tmp_path / "dist")
    index.publish([path])
    before = {name: Path(index.root, name).stat().st_mtime_ns for name in tree(index)}
    assert [receipt.state for receipt in index.publish([path])] == ["already there"]
    assert {name: Path(index.root, name).stat().st_mtime_ns for name in tree(index)} == before


def test_a_second_version_joins_the_page(index: LocalIndex, tmp_path: Path) -> None:
    first = wheel(tmp_path / "dist")
    index.publish([first])
    uploaded = json.loads(tree(index)["simple/demo/index.json"])["files"]
    index.publish([wheel(tmp_path / "dist", version="0.9")])
    page = json.loads(tree(index)["simple/demo/index.json"])
    assert page["versions"] == ["0.9", "1.0"]
    assert page["files"][1:] == uploaded, "the older file keeps its upload time"


def test_other_bytes_change_nothing_at_all(index: LocalIndex, tmp_path: Path) -> None:
    first = wheel(tmp_path / "dist")
    published = sha256_file(first)
    index.publish([first])
    before = tree(index)
    other, new = wheel(tmp_path / "dist", text="other"), wheel(tmp_path / "dist", version="2.0")
    with pytest.raises(ConflictError) as caught:
        index.publish([new, other])
    assert tree(index) == before
    assert caught.value.detail.splitlines() == [
        "demo-1.0-py3-none-any.whl",
        f"  in the index: {published}",
        f"  to publish:   {sha256_file(other)}",
    ]
    assert "raise the version" in caught.value.remedy
    assert caught.value.exit_code == 5


def test_two_files_of_one_name_in_one_call(index: LocalIndex, tmp_path: Path) -> None:
    one, two = wheel(tmp_path / "a"), wheel(tmp_path / "b", text="other")
    with pytest.raises(ConflictError):
        index.publish([one, two])
    assert tree(index) == {}
    assert [r.state for r in index.publish([one, one])] == ["uploaded", "already there"]


@pytest.mark.parametrize("name", ["notes.txt", "demo-1.0.zip", "demo.tar.gz", "demo-1.0.whl"])
def test_no_distribution(index: LocalIndex, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    with pytest.raises(ValidationError):
        index.publish([tmp_path / name])
    assert tree(index) == {}


def test_files_that_cannot_be_published(index: LocalIndex, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="cannot be published: No such file"):
        index.publish([tmp_path / "demo-1.0.tar.gz"])
    (tmp_path / "demo-1.0-py3-none-any.whl").write_bytes(b"broken")
    with pytest.raises(ValidationError, match="is damaged"):
        index.publish([wheel(tmp_path / "dist", version="2.0"), tmp_path / "demo-1.0-py3-none-any.whl"])
    assert tree(index) == {}


def test_a_file_that_changes_meanwhile(index: LocalIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    path = wheel(tmp_path / "dist")
    monkeypatch.setattr(shutil, "copyfile", lambda source, target: Path(target).write_bytes(b"changed"))
    with pytest.raises(ValidationError, match="changed while it was published"):
        index.publish([path])
    assert tree(index) == {}


@pytest.mark.parametrize("killed_in", ["_place", "_write_pages"])
def test_a_killed_publish_is_finished_by_the_next(tmp_path: Path, killed_in: str) -> None:
    paths = [wheel(tmp_path / "dist", version=version) for version in ("1.0", "2.0")]
    whole, index = LocalIndex(tmp_path / "whole"), LocalIndex(tmp_path / "killed")
    whole.publish(paths)
    code = f"""
import os, sys
from hwb.registry import local
original = local.LocalIndex.{killed_in}
def dying(self, what):
    if {killed_in!r} == "_place" and what.name.startswith("demo-1.0"):
        return original(self, what)
    if {killed_in!r} == "_place":
        open(os.path.join(os.path.dirname(what.target), "." + what.name + ".1.2.part"), "wb").close()
    os._exit(9)
local.LocalIndex.{killed_in} = dying
local.LocalIndex({index.root!r}).publish(sys.argv[1:])
"""
    assert subprocess.run([sys.executable, "-c", code, *paths], check=False).returncode == 9
    assert "simple/demo/index.html" not in tree(index)
    index.publish(paths)
    ours, theirs = tree(index), tree(whole)
    for pages in (ours, theirs):
        page = json.loads(pages.pop("simple/demo/index.json"))
        assert [file["filename"] for file in page["files"]] == [Path(path).name for path in paths]
    assert ours == theirs


def test_many_processes_at_once(index: LocalIndex, tmp_path: Path) -> None:
    code = "import sys; from hwb.registry.local import LocalIndex; LocalIndex(sys.argv[1]).publish(sys.argv[2:])"
    shared = wheel(tmp_path / "dist")
    own = [wheel(tmp_path / "dist", version=f"2.{n}") for n in range(6)]
    running = [subprocess.Popen([sys.executable, "-c", code, index.root, path, shared]) for path in own]
    assert [process.wait() for process in running] == [0] * 6
    assert [file.name for file in files(index.url, "demo")] == [Path(path).name for path in (shared, *own)]


def test_waiting_is_said_and_can_be_called_off(index: LocalIndex, tmp_path: Path) -> None:
    said: list[str] = []
    mine = context.Context(emit=lambda kind, **fields: (said.append(fields["text"]), mine.token.cancel("enough")))

    def publish() -> None:
        with context.use(mine), pytest.raises(context.Cancelled):
            index.publish([wheel(tmp_path / "dist")])

    with FileLock(Path(index.root, ".lock")):
        thread = threading.Thread(target=publish)
        thread.start()
        thread.join(10)
    assert said == ["waiting for another publish into the same index"]
    assert tree(index) == {}


def test_publishing_nothing(index: LocalIndex) -> None:
    assert index.publish([]) == []
    assert tree(index) == {}
