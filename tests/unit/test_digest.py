"""Does the digest of a tree change with everything that a build may read, and with nothing else?"""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from hwb import digest
from hwb.digest import content, git_digest, plain_digest, plain_files, untracked
from hwb.errors import SourceError
from hwb.git import State, discover, read_state
from hwb.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "store"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    for name in ("a.py", "src/b.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def age(root: Path, seconds: int = 1_500_000_000) -> None:
    for path in root.rglob("*"):
        if ".git" not in path.parts:
            os.utime(path, (seconds, seconds), follow_symlinks=False)


def plain(root: Path, *exclude: str) -> str:
    return plain_digest(str(root), [str(root / name) for name in exclude])[0]


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda root: (root / "a.py").write_text("a.pz"),
    "new": lambda root: (root / "src" / "c.py").write_text(""),
    "removed": lambda root: (root / "a.py").unlink(),
    "renamed": lambda root: (root / "a.py").rename(root / "d.py"),
    "mode": lambda root: (root / "a.py").chmod(0o755),
    "link": lambda root: (root / "l").symlink_to("a.py"),
    "became a link": lambda root: ((root / "a.py").unlink(), (root / "a.py").symlink_to("src/b.py")),
}
LEFT: dict[str, Callable[[Path], object]] = {
    "time": lambda root: os.utime(root / "a.py", (1, 1)),
    "cache": lambda root: _write(root / "src" / "__pycache__" / "x.pyc"),
    "egg-info": lambda root: _write(root / "x.egg-info" / "PKG-INFO"),
    "output": lambda root: _write(root / "dist" / "x.whl"),
    "build": lambda root: _write(root / "build" / "lib" / "x.py"),
    "hwb": lambda root: _write(root / ".hwb" / "x"),
    "group's mode": lambda root: (root / "a.py").chmod(0o664),
    "excluded": lambda root: _write(root / "out" / "x"),
    "built earlier": lambda root: _built(root / "elsewhere"),
    "built into the project": lambda root: _built(root),
}


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("x")


def _built(folder: Path) -> None:
    """What `hwb build -o FOLDER` leaves."""
    _write(folder / ".hwb" / "manifest.json")
    (folder / "x-1-py3-none-any.whl").touch()
    (folder / "x-1.tar.gz").touch()


# --- without git -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_changes_it(root: Path, change: str) -> None:
    before = plain(root)
    CHANGES[change](root)
    assert plain(root) != before


@pytest.mark.parametrize("change", LEFT)
def test_what_is_no_source_does_not(root: Path, change: str) -> None:
    before = plain(root, "out")
    LEFT[change](root)
    assert plain(root, "out") == before


def test_artifacts_that_hwb_did_not_build_are_sources(root: Path) -> None:
    before = plain(root)
    _write(root / "vendor" / "x-1-py3-none-any.whl")
    assert plain(root) != before
    _built(root / "out")
    (root / "out" / "notes.txt").touch()
    assert "vendor/x-1-py3-none-any.whl" in plain_files(str(root))
    assert [name for name in plain_files(str(root)) if name.startswith("out")] == ["out/notes.txt"]


def test_files_are_read_again_only_when_they_may_have_changed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = digest._file_content
    monkeypatch.setattr(digest, "_file_content", lambda path: read.append(os.path.basename(path)) or real(path))
    monkeypatch.setattr(time, "time_ns", lambda: 4_000_000_000 * 10**9)
    first = plain(root)
    assert sorted(read) == ["a.py", "b.py"]
    read.clear()
    assert (plain(root), read) == (first, [])
    (root / "a.py").write_text("other")
    assert plain(root) != first
    assert read == ["a.py"]


def test_what_was_written_this_instant_is_read_again(root: Path) -> None:
    """Two writes in one tick of the clock leave the same size and time (the racy git problem)."""
    status = os.stat(root / "a.py")
    before = plain(root)
    (root / "a.py").write_text("A.PY")
    os.utime(root / "a.py", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert plain(root) != before


@pytest.mark.parametrize(
    "text",
    ["", "garbage", "[]", '{"a.py": 1}', '{"a.py": []}', '{"a.py": ["x"]}', '{"a.py": [1, 2, 3]}', '{"a.py": {}}'],
)
def test_a_damaged_memory_does_no_harm(root: Path, text: str) -> None:
    before = plain(root)
    from hwb.store import fingerprint

    open_store().path("trees", f"{fingerprint(str(root))}.json").write_text(text)
    assert plain(root) == before


def test_contents_stand_for_files(root: Path) -> None:
    (root / "x").write_text("x")
    (root / "x").chmod(0o755)
    (root / "l").symlink_to("nowhere")
    _, contents = plain_digest(str(root))
    assert sorted(contents) == ["a.py", "l", "src/b.py", "x"]
    assert contents["l"] == "link nowhere"
    assert contents["x"].startswith("x ")
    assert contents["a.py"].startswith("- ")


def test_links_to_directories_are_not_followed(root: Path, tmp_path: Path) -> None:
    (root / "loop").symlink_to(".")
    (root / "out").symlink_to(tmp_path)
    assert sorted(plain_files(str(root))) == ["a.py", "loop", "out", os.path.join("src", "b.py")]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_directory_nobody_can_read(root: Path) -> None:
    (root / "src").chmod(0)
    try:
        with pytest.raises(SourceError, match="a source directory cannot be read"):
            list(plain_files(str(root)))
    finally:
        (root / "src").chmod(0o755)


def test_an_error_while_walking_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def walk(_root: str, onerror: Callable[[OSError], None]) -> list[object]:
        onerror(PermissionError(13, "Permission denied", "/somewhere"))
        return []

    monkeypatch.setattr(os, "walk", walk)
    with pytest.raises(SourceError, match="a source directory cannot be read: Permission denied") as caught:
        list(plain_files(str(root)))
    assert caught.value.where == "/somewhere"


def test_an_unpacked_sdist_keeps_its_egg_info(root: Path) -> None:
    _write(root / "x.egg-info" / "SOURCES.txt")
    before = plain(root)
    (root / "PKG-INFO").write_text("")
    assert plain(root) != before
    assert os.path.join("x.egg-info", "SOURCES.txt") in list(plain_files(str(root)))


# --- in git ----------------------------------------------------------------------------------------------------------


class TestGit:
    pytestmark = pytest.mark.git

    @pytest.fixture(autouse=True)
    def run(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        for role in ("AUTHOR", "COMMITTER"):
            monkeypatch.setenv(f"GIT_{role}_NAME", "x")
            monkeypatch.setenv(f"GIT_{role}_EMAIL", "x@y")

        def call(*words: str, cwd: Path = root) -> None:
            subprocess.run(["git", "-C", str(cwd), *words], capture_output=True, check=True)

        call("init", "-q", "-b", "main")
        (root / ".gitignore").write_text("ignored*\n")
        call("add", "-A")
        call("commit", "-q", "-m", "x")
        return call

    @staticmethod
    def state(root: Path) -> State:
        repository = discover(os.path.realpath(root))
        assert repository is not None
        return read_state(repository)

    def of(self, root: Path, *exclude: str, included: tuple[str, ...] = ()) -> str:
        return git_digest(self.state(root), [os.path.realpath(root / name) for name in exclude], included)

    @pytest.mark.parametrize("change", CHANGES)
    def test_a_change_changes_it(self, root: Path, change: str) -> None:
        before = self.of(root)
        CHANGES[change](root)
        assert self.of(root) != before

    @pytest.mark.parametrize("change", LEFT)
    def test_what_is_no_source_does_not(self, root: Path, change: str) -> None:
        before = self.of(root, "out")
        LEFT[change](root)
        assert self.of(root, "out") == before

    def test_a_changed_file_that_changes_again(self, root: Path) -> None:
        found = set()
        for text in ("1", "2", "3"):
            (root / "a.py").write_text(text)
            (root / "new.py").write_text("same")
            found.add(self.of(root))
            (root / "new.py").write_text(text)
            found.add(self.of(root))
        assert len(found) == 6

    def test_what_versions_are_made_of(self, root: Path, run: Callable[..., None]) -> None:
        found = [self.of(root)]
        for words in (
            ["commit", "-q", "--allow-empty", "-m", "y"], ["tag", "v1"], ["branch", "b"], ["checkout", "-q", "b"], ["checkout", "-q", "--detach"],
        ):  # fmt: skip
            run(*words)
            found.append(self.of(root))
        assert len(set(found)) == 6

    def test_ignored_files_count_when_they_are_included(self, root: Path) -> None:
        before = self.of(root)
        (root / "ignored.txt").write_text("1")
        assert self.of(root) == before
        first = self.of(root, included=("ignored.txt",))
        (root / "ignored.txt").write_text("2")
        assert len({before, first, self.of(root, included=("ignored.txt",))}) == 3

    def test_a_file_that_git_does_not_look_at(self, root: Path, run: Callable[..., None]) -> None:
        for flag in ("--assume-unchanged", "--skip-worktree"):
            run("update-index", flag, "a.py")
            before = self.of(root)
            (root / "a.py").write_text(f"{flag} hides this from git status")
            assert self.of(root) != before
            run("update-index", f"--no-{flag[2:]}", "a.py")

    def test_a_submodule_and_what_is_changed_in_it(self, root: Path, run: Callable[..., None], tmp_path: Path) -> None:
        inner = tmp_path / "inner"
        inner.mkdir()
        run("init", "-q", cwd=inner)
        (inner / "x.py").write_text("1")
        run("add", "-A", cwd=inner)
        run("commit", "-q", "-m", "x", cwd=inner)
        run("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "sub")
        run("commit", "-q", "-m", "sub")
        found = [self.of(root)]
        (root / "sub" / "x.py").write_text("2")
        found.append(self.of(root))
        (root / "sub" / "x.py").write_text("3")
        found.append(self.of(root))
        (root / "sub" / "new.py").write_text("")
        found.append(self.of(root))
        run("-C", "sub", "stash", "-qu")
        found.append(self.of(root))
        assert len(set(found)) == 5, "a stash is a ref: found conservatively"

    def test_a_repository_cloned_into_it(self, root: Path, run: Callable[..., None]) -> None:
        (root / "nested").mkdir()
        run("init", "-q", cwd=root / "nested")
        (root / "nested" / "x.py").write_text("1")
        before = self.of(root)
        (root / "nested" / "x.py").write_text("2")
        assert self.of(root) != before

    def test_untracked_sources(self, root: Path) -> None:
        for name in ("new.py", "dist/x.whl", "out/y", "src/__pycache__/z", "ignored", "build/q"):
            (root / name).parent.mkdir(exist_ok=True, parents=True)
            (root / name).write_text("")
        state = self.state(root)
        assert untracked(state) == ["new.py", "out/y"]
        assert untracked(state, [os.path.realpath(root / "out"), "/elsewhere"]) == ["new.py"]

    def test_what_hwb_built_earlier_is_no_source(self, root: Path) -> None:
        _built(root / "wheels")
        _write(root / "vendor" / "y-1.tar.gz")
        (root / "wheels" / "notes.txt").touch()
        assert untracked(self.state(root)) == ["vendor/y-1.tar.gz", "wheels/notes.txt"]

    def test_contents(self, root: Path) -> None:
        (root / "link").symlink_to("a.py")
        (root / "folder").mkdir()
        state = self.state(root)
        assert content(state, "link") == b"link a.py"
        assert content(state, "gone") == b"gone"
        assert content(state, "folder/") == b"directory"
        assert content(state, "a.py").startswith(b"- ")
