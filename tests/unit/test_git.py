"""Does hwb read what git knows, whatever the tree looks like, and write nothing?"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hwb import context, git
from hwb.errors import SourceError
from hwb.git import Repository, discover, environment, find_program, read_state, run_all
from hwb.snapshot import read_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.git


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "a repo\u00e4"
    folder.mkdir()
    return folder


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "x")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "x@y")

    def call(*words: str, cwd: Path = root) -> str:
        done = subprocess.run(["git", "-C", str(cwd), *words], capture_output=True, text=True, check=True)
        return done.stdout

    call("init", "-q", "-b", "main")
    return call


def state(folder: Path) -> git.State:
    repository = discover(os.path.realpath(folder))
    assert repository is not None
    return read_state(repository)


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    said: list[str] = []
    with context.use(context.Context(emit=lambda kind, **fields: said.append(fields["text"]))):
        yield said


def commit(root: Path, run: Callable[..., str], *names: str) -> str:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    run("add", "-A")
    run("commit", "-q", "--allow-empty", "-m", "x")
    return run("rev-parse", "HEAD").strip()


def test_before_the_first_commit(root: Path, run: Callable[..., str]) -> None:
    (root / "a b").write_text("")
    found = state(root)
    assert (found.head, found.branch, found.untracked, found.changed, found.entries) == (None, "main", ["a b"], [], [])


def test_a_clean_tree(root: Path, run: Callable[..., str]) -> None:
    head = commit(root, run, "a", "sub/\u00fc\nb", '"q"\t')
    found = state(root)
    assert (found.head, found.branch, found.untracked, found.changed) == (head, "main", [], [])
    assert [entry[3] for entry in found.entries] == sorted(['"q"\t', "a", "sub/\u00fc\nb"])
    assert all(entry[:2] == ("H", "100644") for entry in found.entries)
    assert found.plain
    assert f"{head} refs/heads/main" in found.refs.decode()


def test_what_is_not_as_committed(root: Path, run: Callable[..., str]) -> None:
    commit(root, run, "changed", "deleted", "staged", "both", "mode", "renamed", "same", "intended")
    (root / "changed").write_text("x")
    (root / "deleted").unlink()
    (root / "mode").chmod(0o755)
    (root / "staged").write_text("x")
    (root / "both").write_text("x")
    run("add", "staged", "both")
    (root / "both").write_text("y")
    run("mv", "renamed", "moved")
    (root / "new").write_text("")
    run("add", "-N", "new")
    (root / "untracked").write_text("")
    found = state(root)
    assert sorted(found.changed) == ["both", "changed", "deleted", "mode", "new"], "what is staged is in the index"
    assert found.untracked == ["untracked"]
    assert {"moved", "staged", "new"} <= {entry[3] for entry in found.entries}


def test_a_conflict_is_a_change(root: Path, run: Callable[..., str]) -> None:
    commit(root, run, "a file")
    run("checkout", "-q", "-b", "other")
    (root / "a file").write_text("other")
    run("commit", "-qam", "o")
    run("checkout", "-q", "main")
    (root / "a file").write_text("mine")
    run("commit", "-qam", "m")
    with pytest.raises(subprocess.CalledProcessError):
        run("merge", "other")
    found = state(root)
    assert found.changed == ["a file"]
    assert not found.plain


def test_an_answer_is_asked_for_once_wherever_it_is_seen_from(root: Path, run: Callable[..., str]) -> None:
    commit(root, run, "a")
    here = state(root)
    code, told = here.ask("rev-parse", "HEAD")
    (root / "sub").mkdir()
    inside = here.repository.inside(str(root / "sub"))
    assert inside is not None
    below = here.seen_from(inside)
    run("commit", "-q", "--allow-empty", "-m", "another")
    assert below.ask("rev-parse", "HEAD") == (code, told) == (0, f"{here.head}\n".encode())
    assert state(root).ask("rev-parse", "HEAD") != (code, told)


def test_the_time_of_a_commit_that_cannot_be_told(root: Path, run: Callable[..., str]) -> None:
    commit(root, run, "a")
    tree = read_tree(str(root))
    assert tree.state is not None
    tree.state._answers["log", "-1", "--no-show-signature", "--format=%ct", "HEAD"] = (128, b"")
    with context.use(context.Context(outer_env={"PATH": os.environ["PATH"]})), pytest.raises(SourceError, match="time"):
        _ = tree.epoch


def test_flags_and_submodules_are_not_plain(root: Path, run: Callable[..., str]) -> None:
    head = commit(root, run, "a", "b")
    assert state(root).plain
    run("update-index", "--assume-unchanged", "a")
    assert not state(root).plain
    run("update-index", "--no-assume-unchanged", "a")
    run("update-index", "--add", "--cacheinfo", f"160000,{head},sub")
    found = state(root)
    assert not found.plain
    assert ("160000", "sub") in [(entry[1], entry[3]) for entry in found.entries]


def test_detached(root: Path, run: Callable[..., str]) -> None:
    head = commit(root, run, "a")
    run("checkout", "-q", "--detach")
    found = state(root)
    assert (found.head, found.branch) == (head, None)


def test_a_directory_below_the_top(root: Path, run: Callable[..., str]) -> None:
    commit(root, run, "a", "x/y/z")
    repository = discover(os.path.realpath(root / "x" / "y"))
    assert repository is not None
    assert (repository.top, repository.prefix) == (os.path.realpath(root), "x/y/")
    assert [entry[3] for entry in read_state(repository).entries] == ["a", "x/y/z"]
    assert Path(repository.common_dir).samefile(root / ".git")


def test_a_worktree_has_two_directories(root: Path, run: Callable[..., str], tmp_path: Path) -> None:
    commit(root, run, "a")
    run("worktree", "add", "-q", str(tmp_path / "tree"))
    repository = discover(os.path.realpath(tmp_path / "tree"))
    assert repository is not None
    assert Path(repository.common_dir).samefile(root / ".git")
    assert Path(repository.git_dir).parent.name == "worktrees"
    assert read_state(repository).branch == "tree"


def test_no_repository(tmp_path: Path, warnings: list[str]) -> None:
    assert discover(os.path.realpath(tmp_path)) is None
    assert warnings == []


def test_a_broken_repository_is_said(tmp_path: Path, warnings: list[str]) -> None:
    (tmp_path / ".git").write_text("garbage")
    (tmp_path / "sub").mkdir()
    assert discover(os.path.realpath(tmp_path / "sub")) is None
    assert warnings == [
        f"git cannot read the repository of {os.path.realpath(tmp_path / 'sub')}: the sources are copied as they are"
    ]


def test_without_git(root: Path, run: Callable[..., str], tmp_path: Path) -> None:
    said: list[str] = []
    mine = context.Context(outer_env={"PATH": str(tmp_path)}, emit=lambda kind, **fields: said.append(fields["text"]))
    with context.use(mine):
        assert find_program() is None
        assert discover(os.path.realpath(root)) is None
        assert discover(os.path.realpath(tmp_path)) is None
    assert said == ["git is not installed: the sources are copied as they are, without git's knowledge of them"]


def test_a_command_that_fails_is_an_error(root: Path, run: Callable[..., str]) -> None:
    repository = discover(os.path.realpath(root))
    assert repository is not None
    with pytest.raises(SourceError, match="git log failed with exit code 128") as caught:
        repository.must(("status",), ("log",))
    assert caught.value.where == os.path.realpath(root)
    assert "git status" in caught.value.remedy


def test_answers_come_in_order_however_long_they_are(root: Path, run: Callable[..., str]) -> None:
    commit(root, run, *(f"{'n' * 150}{number}" for number in range(2000)))
    program = find_program()
    assert program is not None
    words = ("ls-files", "-z"), ("rev-parse", "HEAD"), ("ls-files", "-z"), ("no-such-command",)
    answers = run_all(program, str(root), words, environment())
    assert [code for code, _ in answers] == [0, 0, 0, 1]
    assert answers[0] == answers[2]
    assert len(answers[0][1]) > 300_000


def test_a_hooks_repository_is_not_meant(root: Path, run: Callable[..., str], tmp_path: Path) -> None:
    """pre-commit and git hooks export GIT_DIR and GIT_INDEX_FILE."""
    head = commit(root, run, "a")
    outer = {**os.environ, "GIT_DIR": str(tmp_path / "x"), "GIT_INDEX_FILE": str(tmp_path / "y"), "GIT_WORK_TREE": "/z"}
    with context.use(context.Context(outer_env=outer)):
        assert state(root).head == head


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_3"])
def test_variables_that_would_lead_elsewhere(name: str) -> None:
    outer = {name: "x", "HOME": "/h", "GIT_SSH_COMMAND": "ssh", "LC_ALL": "de_DE"}
    found = environment(outer)
    assert found.get(name, "") != "x"
    assert (found["HOME"], found["GIT_SSH_COMMAND"]) == ("/h", "ssh")
    assert (found["LC_ALL"], found["GIT_OPTIONAL_LOCKS"], found["GIT_CONFIG_KEY_0"]) == ("C", "0", "safe.directory")


def test_nothing_is_written(root: Path, run: Callable[..., str]) -> None:
    commit(root, run, "a")
    os.utime(root / "a", (1, 1))  # git status would refresh the index for this
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in root.rglob("*")}
    state(root)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in root.rglob("*")} == before


def test_a_file_system_monitor_is_not_started(root: Path, run: Callable[..., str], tmp_path: Path) -> None:
    commit(root, run, "a")
    monitor = tmp_path / "monitor"
    monitor.write_text(f"#!/bin/sh\ntouch '{tmp_path}/started'\n")
    monitor.chmod(0o755)
    run("config", "core.fsmonitor", str(monitor))
    state(root)
    assert not (tmp_path / "started").exists()


def test_variables_of_the_moment(tmp_path: Path) -> None:
    made: Any = Repository("git", str(tmp_path), "", "", "", {"PATH": "/x"})
    assert made.env["PATH"] == "/x"
