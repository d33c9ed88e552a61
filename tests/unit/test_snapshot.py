"""Is the copy what the backend would have seen, canonical, and the user's tree untouched?"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hwb import context
from hwb.errors import SourceError
from hwb.snapshot import snapshot

Write = Callable[..., Path]
WHO = {
    f"GIT_{role}_{what}": text for role in ("AUTHOR", "COMMITTER") for what, text in (("NAME", "n"), ("EMAIL", "e@x"))
}
WHEN = {"GIT_AUTHOR_DATE": "@1700000000 +0000", "GIT_COMMITTER_DATE": "@1700000000 +0000"}


@pytest.fixture(autouse=True)
def _plain_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), "-c", "protocol.file.allow=always", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **WHO, **WHEN}).stdout


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_py", ".py").replace("_toml", ".toml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def commit(folder: Path, tag: str = "") -> Path:
    if not (folder / ".git").exists():
        git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")
    if tag:
        git(folder, "tag", tag)
    return folder


def below(folder: Path) -> list[str]:
    found = (str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    return sorted(name for name in found if ".git" not in Path(name).parts)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "root", pyproject_toml="", pkg__a_py="a")


@pytest.fixture
def target(tmp_path: Path) -> str:
    return str(tmp_path / "target")


# --- without git -----------------------------------------------------------------------------------------------------


def test_canonical_copy(root: Path, target: str) -> None:
    (root / "pkg" / "run.sh").touch(mode=0o700)
    (root / "pkg" / "link.py").symlink_to("a.py")
    (root / "pkg" / "up").symlink_to("../pkg")
    (root / "pkg" / "dangling").symlink_to("nothing")
    for path in (root / "pkg" / "a.py", root / "pyproject.toml", root / "pkg" / "run.sh"):
        os.utime(path, (1_500_000_000, 1_500_000_000))
    newest = max(int(path.lstat().st_mtime) for path in root.rglob("*") if not path.is_dir() or path.is_symlink())
    with snapshot(str(root), target) as copy:
        assert (copy.path, copy.commit, copy.epoch) == (target, None, newest)
        assert copy.files == ("pkg/a.py", "pkg/dangling", "pkg/link.py", "pkg/run.sh", "pkg/up", "pyproject.toml")
        top = Path(copy.path)
        assert stat.S_IMODE((top / "pkg/a.py").stat().st_mode) == 0o644
        assert stat.S_IMODE((top / "pkg/run.sh").stat().st_mode) == 0o755
        assert {path.lstat().st_mtime for path in (top, *top.rglob("*"))} == {newest}
        assert (top / "pkg" / "link.py").readlink() == Path("a.py")
    assert not Path(target).exists()


def test_what_is_no_source(root: Path, target: str, tmp_path: Path) -> None:
    write(root, build__x="", dist__x="", out__x="", src__x_egg="", pkg__build__keep_py="", env__pyvenv_cfg="")
    (root / "env" / "pyvenv_cfg").rename(root / "env" / "pyvenv.cfg")
    for name in (".hwb", ".hg", "pkg/__pycache__", "pkg/.hwb", "x.egg-info", ".tox", "pkg/.ruff_cache"):
        (root / name).mkdir()
        (root / name / "f").touch()
    os.mkfifo(root / "pipe")
    with snapshot(str(root), target, exclude=[str(root / "out")]) as copy:
        assert copy.files == ("pkg/a.py", "pkg/build/keep.py", "pyproject.toml", "src/x_egg")
        assert below(Path(copy.path)) == list(copy.files)


def test_an_unpacked_sdist_keeps_its_egg_info(root: Path, target: str) -> None:
    (root / "PKG-INFO").touch()
    (root / "x.egg-info").mkdir()
    (root / "x.egg-info" / "SOURCES.txt").touch()
    with snapshot(str(root), target) as copy:
        assert "x.egg-info/SOURCES.txt" in copy.files


def test_leftovers_of_a_killed_run(root: Path, target: str) -> None:
    write(Path(target), old__file="")
    with pytest.raises(RuntimeError), snapshot(str(root), target) as copy:
        assert below(Path(copy.path)) == ["pkg/a.py", "pyproject.toml"]
        raise RuntimeError
    assert not Path(target).exists()


def test_epoch_from_outside(root: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "315532800")
    with snapshot(str(root), target) as copy:
        assert copy.epoch == 315532800
    for wrong in ("tomorrow", "-1", str(1 << 32)):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", wrong)
        with pytest.raises(SourceError, match=f"SOURCE_DATE_EPOCH is '{wrong}'"), snapshot(str(root), target):
            pass


@pytest.mark.parametrize("to", ["/etc/passwd", "../../outside", "..", "{root}/pyproject.toml"])
def test_links_that_leave(root: Path, target: str, to: str) -> None:
    link = root / "pkg" / "escape"
    link.symlink_to(to.format(root=root) if to != ".." else "../..")
    with pytest.raises(SourceError, match="this link leaves the source tree") as caught, snapshot(str(root), target):
        pass
    assert caught.value.where == str(link)
    assert not Path(target).exists()


def test_a_file_nobody_can_read(root: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = os.open

    def refuse(source: str, *others: Any, **options: Any) -> int:
        if os.fspath(source).startswith(str(root)):
            raise PermissionError(13, "Permission denied", source)
        return original(source, *others, **options)  # what removes the copy opens directories

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(SourceError, match="cannot be copied: Permission denied"), snapshot(str(root), target):
        pass


def test_a_folder_nobody_can_read(root: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("pkg"):
            raise PermissionError(13, "Permission denied", path)
        return original(path)

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SourceError, match="source directory cannot be read") as caught, snapshot(str(root), target):
        pass
    assert caught.value.where == str(root / "pkg")


def test_a_directory_that_is_not_there(tmp_path: Path, target: str) -> None:
    with pytest.raises(SourceError, match="there is no directory"), snapshot(str(tmp_path / "no"), target):
        pass


def test_systems_that_cannot_set_a_links_time(root: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "dangling").symlink_to("nothing")
    monkeypatch.setattr(os, "supports_follow_symlinks", set())
    with snapshot(str(root), target) as copy:
        assert (Path(copy.path) / "pkg" / "a.py").stat().st_mtime == copy.epoch


# --- with git --------------------------------------------------------------------------------------------------------


def state(root: Path) -> list[tuple[str, bytes | str, int]]:
    """Every byte and time below a directory, the repository's included.

    Not the times of objects: git touches the one it is about to write again, also in a repository it borrows from.
    """
    return sorted(
        (
            str(path),
            str(path.readlink()) if path.is_symlink() else path.read_bytes(),
            0 if "objects" in path.parts else path.lstat().st_mtime_ns,
        )
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    )


def describe(folder: str) -> str:
    return git(Path(folder), "describe", "--tags", "--dirty").strip()


@pytest.mark.git
class TestGit:
    def test_tracked_and_not_ignored(self, root: Path, target: str) -> None:
        (root / ".gitignore").write_text("ignored\n")
        (root / "gone.py").touch()
        commit(root, "v1")
        (root / "gone.py").unlink()
        write(root, ignored="", new_py="", dist__x="", build__x="", out__x="", pkg__dist__x="")
        for folder in (".hwb", "x.egg-info", "pkg/__pycache__"):
            (root / folder).mkdir()
            (root / folder / "f").touch()
        before = state(root)
        with snapshot(str(root), target, exclude=[str(root / "out")]) as copy:
            assert copy.files == (".gitignore", "new.py", "pkg/a.py", "pkg/dist/x", "pyproject.toml")
            assert below(Path(copy.path)) == sorted(copy.files)
            assert (copy.epoch, copy.commit) == (1_700_000_000, git(root, "rev-parse", "HEAD").strip())
            assert describe(copy.path) == "v1-dirty"
            git(Path(copy.path), "add", "-A")
            git(Path(copy.path), "commit", "-q", "-m", "written in the copy")
        assert state(root) == before, "the user's tree or repository was written"

    def test_a_tracked_output_directory_is_source(self, root: Path, target: str) -> None:
        write(root, dist__kept="")
        commit(root, "v1")
        with snapshot(str(root), target, exclude=[str(root / "dist")]) as copy:
            assert "dist/kept" in copy.files
            assert describe(copy.path) == "v1"

    def test_run_files_are_never_source_even_if_tracked(self, root: Path, target: str) -> None:
        (root / ".hwb").mkdir()
        (root / ".hwb" / "f").touch()
        commit(root)
        with snapshot(str(root), target) as copy:
            assert copy.files == ("pkg/a.py", "pyproject.toml")

    def test_clean_and_modified(self, root: Path, target: str) -> None:
        commit(root, "v1")
        os.utime(root / "pkg" / "a.py")
        with snapshot(str(root), target) as copy:
            assert describe(copy.path) == "v1"
        (root / "pkg" / "a.py").write_text("b")
        with snapshot(str(root), target) as copy:
            assert describe(copy.path) == "v1-dirty"
            assert git(Path(copy.path), "rev-parse", "--abbrev-ref", "HEAD").strip() == "main"

    def test_detached_head(self, root: Path, target: str) -> None:
        commit(root, "v1")
        git(root, "checkout", "-q", "--detach")
        with snapshot(str(root), target) as copy:
            assert describe(copy.path) == "v1"

    def test_no_commit_yet(self, root: Path, target: str) -> None:
        git(root, "init", "-q", "-b", "main")
        with snapshot(str(root), target) as copy:
            assert (copy.commit, copy.files) == (None, ("pkg/a.py", "pyproject.toml"))
            assert git(Path(copy.path), "symbolic-ref", "HEAD").strip() == "refs/heads/main"

    def test_the_project_itself_as_output_directory(self, root: Path, target: str) -> None:
        commit(write(root, sub__pyproject_toml=""))
        write(root, sub__new_py="")
        with snapshot(str(root / "sub"), target, exclude=[str(root / "sub"), str(root)]) as copy:
            assert copy.files == ("new.py", "pyproject.toml")

    def test_project_in_a_subdirectory(self, root: Path, target: str) -> None:
        (root / "LICENSE").touch()
        write(root, python__proj__pyproject_toml="", python__proj__dist__x="")
        (root / "python" / "proj" / "LICENSE").symlink_to("../../LICENSE")
        git(root, "init", "-q", "-b", "main")
        (root / ".git" / "info" / "exclude").write_text("")
        (root / ".gitignore").write_text("dist\n")
        commit(root, "v1")
        with snapshot(str(root / "python" / "proj"), target) as copy:
            assert copy.path == os.path.join(target, "python", "proj")
            assert copy.files == ("LICENSE", "pyproject.toml")
            assert describe(copy.path) == "v1"

    def test_a_directory_that_the_repository_ignores(self, root: Path, target: str) -> None:
        write(root, vendored__pyproject_toml="")
        (root / ".gitignore").write_text("vendored\n")
        commit(root)
        with snapshot(str(root / "vendored"), target) as copy:
            assert (copy.path, copy.commit, copy.files) == (target, None, ("pyproject.toml",))
            assert not Path(target, ".git").exists()

    def test_worktree(self, root: Path, target: str, tmp_path: Path) -> None:
        commit(root, "v1")
        git(root, "worktree", "add", "-q", str(tmp_path / "tree"), "-b", "other")
        (tmp_path / "tree" / "new.py").touch()
        commit(tmp_path / "tree")
        with snapshot(str(tmp_path / "tree"), target) as copy:
            assert describe(copy.path).startswith("v1-1-g")
            assert git(Path(copy.path), "rev-parse", "--abbrev-ref", "HEAD").strip() == "other"

    def test_submodules(self, root: Path, target: str, tmp_path: Path) -> None:
        inner = commit(write(tmp_path / "inner", inner_py="1"), "i1")
        commit(root, "v0")
        git(root, "submodule", "add", "-q", str(inner), "vendor/inner")
        git(root, "submodule", "add", "-q", str(inner), "empty")
        commit(root, "v1")
        git(root, "submodule", "deinit", "-q", "-f", "empty")
        commit(write(root / "untracked", clone_py=""))
        with snapshot(str(root), target) as copy:
            assert copy.files == (
                ".gitmodules",
                "pkg/a.py",
                "pyproject.toml",
                "untracked/clone.py",
                "vendor/inner/inner.py",
            )
            assert describe(copy.path) == "v1"
            assert describe(os.path.join(copy.path, "vendor", "inner")) == "i1"
        (root / "vendor" / "inner" / "inner.py").write_text("2")
        with snapshot(str(root), target) as copy:
            assert describe(copy.path) == "v1-dirty"
        with snapshot(str(root / "vendor" / "inner"), target) as copy:
            assert describe(copy.path) == "i1-dirty"

    def test_shallow_clone(self, root: Path, target: str, tmp_path: Path) -> None:
        commit(root, "v1")
        (root / "more.py").touch()
        commit(root, "v2")
        git(tmp_path, "clone", "-q", "--depth", "1", "--branch", "v2", root.as_uri(), "shallow")
        with snapshot(str(tmp_path / "shallow"), target) as copy:
            assert describe(copy.path) == "v2"
            assert git(Path(copy.path), "log", "--format=%s").split() == ["x"]

    def test_packed_refs_and_a_split_index(self, root: Path, target: str) -> None:
        commit(root, "v1")
        git(root, "pack-refs", "--all")
        git(root, "update-index", "--split-index")
        with snapshot(str(root), target) as copy:
            assert describe(copy.path) == "v1"

    def test_filters_decide_what_is_dirty(self, root: Path, target: str) -> None:
        git(root, "init", "-q", "-b", "main")
        git(root, "config", "filter.up.clean", 'tr a-z "A-Z"')
        git(root, "config", "filter.up.required", "true")
        with (root / ".git" / "config").open("a") as config:
            config.write("[core]\n\tfilemode\n")
        (root / ".gitattributes").write_text("*.py filter=up\n")
        commit(root, "v1")
        with snapshot(str(root), target) as copy:
            assert describe(copy.path) == "v1"
            assert git(Path(copy.path), "config", "filter.up.clean") == 'tr a-z "A-Z"\n'
            assert git(Path(copy.path), "config", "--bool", "core.filemode") == "true\n"

    def test_inside_a_git_hook(self, root: Path, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        commit(root, "v1")
        other = commit(write(tmp_path / "other", x=""))
        monkeypatch.setenv("GIT_DIR", str(other / ".git"))
        monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
        with snapshot(str(root), target) as copy:
            assert copy.files == ("pkg/a.py", "pyproject.toml")

    @pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
    def test_a_tree_of_another_user(self, root: Path, target: str) -> None:
        commit(root, "v1")
        for path in (root, *root.rglob("*")):
            os.chown(path, 12345, 12345, follow_symlinks=False)
        with snapshot(str(root), target) as copy:
            assert copy.commit is not None
            assert describe(copy.path) == "v1"

    def test_a_broken_repository_is_said(self, root: Path, target: str) -> None:
        (root / ".git").mkdir()
        said: list[str] = []
        mine = context.Context(emit=lambda kind, **fields: said.append(fields["text"]))
        with context.use(mine), snapshot(str(root), target) as copy:
            assert copy.files == ("pkg/a.py", "pyproject.toml")
        assert said == [f"git cannot read the repository of {root}: the sources are copied as they are"]

    def test_a_command_that_fails(self, root: Path, target: str) -> None:
        commit(root)
        (root / ".git" / "index").write_bytes(b"broken")
        with pytest.raises(SourceError, match="git status failed with exit code 128"), snapshot(str(root), target):
            pass


@pytest.mark.parametrize("in_git", [True, False])
def test_git_is_not_installed(root: Path, target: str, monkeypatch: pytest.MonkeyPatch, in_git: bool) -> None:
    if in_git:
        (root / ".git").mkdir()
    monkeypatch.setenv("PATH", "/nowhere")
    said: list[str] = []
    mine = context.Context(emit=lambda kind, **fields: said.append(fields["text"]))
    with context.use(mine), snapshot(str(root), target) as copy:
        assert copy.files == ("pkg/a.py", "pyproject.toml")
    assert len(said) == in_git
