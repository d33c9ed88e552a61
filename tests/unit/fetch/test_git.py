"""Does git bring exactly the commit that was asked for, with what its build needs, from servers of every kind?"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from hwb.errors import SourceError, ToolNotFound
from hwb.fetch.git import checkout, find_git, is_repository, local_commit

from .conftest import Repository

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.git, pytest.mark.usefixtures("plain_git")]
Make = Callable[..., Repository]
SCM = '[build-system]\nrequires = ["setuptools-scm"]\n'


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


@pytest.fixture
def history(repository: Make) -> tuple[Repository, list[str]]:
    """Three commits: tag v1, branch feature/x, main."""
    repo = repository()
    commits = [repo.commit("v1", f="1"), repo.commit(f="2", pkg__a__pyproject_toml="", pkg__b__x="b")]
    repo.git("branch", "feature/x")
    return repo, [*commits, repo.commit(f="3")]


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(
    ("ref", "number"), [(None, 2), ("main", 2), ("v1", 0), ("feature/x", 1), ("refs/heads/feature/x", 1)]
)
def test_branches_and_tags(ref: str | None, number: int, history: tuple[Repository, list[str]], target: Path) -> None:
    repo, commits = history
    assert checkout(repo.url, str(target), ref=ref) == commits[number]
    assert (target / "f").read_text() == str(number + 1)
    assert git(target, "rev-list", "--count", "HEAD") == "1"


def test_b4_1_commit_sha_is_fetched(history: tuple[Repository, list[str]], target: Path) -> None:
    repo, commits = history
    assert checkout(repo.url, str(target), ref=commits[1]) == commits[1]
    assert git(target, "rev-list", "--count", "HEAD") == "1"


def test_a_short_commit(history: tuple[Repository, list[str]], target: Path) -> None:
    repo, commits = history
    assert checkout(repo.url, str(target), ref=commits[0][:8]) == commits[0]


def test_a_commit_that_no_branch_has_any_more(history: tuple[Repository, list[str]], target: Path) -> None:
    repo, commits = history
    repo.git("reset", "-q", "--hard", commits[0])
    assert checkout(repo.url, str(target), ref=commits[2]) == commits[2]


def test_a_branch_that_looks_like_a_commit(repository: Make, target: Path) -> None:
    repo = repository()
    repo.commit(f="1")
    repo.git("checkout", "-q", "-b", "abcdef1")
    wanted = repo.commit(f="2")
    assert checkout(repo.url, str(target), ref="abcdef1") == wanted


def test_an_annotated_tag_is_its_commit(history: tuple[Repository, list[str]], target: Path) -> None:
    repo, commits = history
    repo.git("tag", "-a", "-m", "x", "v2", commits[1])
    assert checkout(repo.url, str(target), ref="v2") == commits[1]


def test_a_server_that_gives_no_commit_by_its_hash(
    history: tuple[Repository, list[str]], target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo, commits = history
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "protocol.version")  # version 2 cannot refuse
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "0")
    assert checkout(repo.url, str(target), ref=commits[1]) == commits[1]


def test_the_oldest_protocol_does_branches_and_the_default_too(
    history: tuple[Repository, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo, commits = history
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "protocol.version")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "0")
    assert checkout(repo.url, str(tmp_path / "a")) == commits[2]
    assert checkout(repo.url, str(tmp_path / "b"), ref="feature/x", subdirectory="pkg/a") == commits[1]
    assert checkout(repo.url, str(tmp_path / "c"), ref=commits[0][:9]) == commits[0]


@pytest.mark.parametrize("ref", ["v2", "feature/y", "0" * 40, "abcd1234"])
def test_a_ref_that_is_not_there(ref: str, history: tuple[Repository, list[str]], target: Path) -> None:
    with pytest.raises(SourceError, match=f"no branch, tag or commit '{ref}'") as caught:
        checkout(history[0].url, str(target), ref=ref)
    assert {"v2": "v1", "feature/y": "feature/x"}.get(ref, "main") in caught.value.remedy


def test_an_empty_repository(repository: Make, target: Path) -> None:
    with pytest.raises(SourceError, match="no branch, tag or commit 'HEAD'") as caught:
        checkout(repository().url, str(target))
    assert caught.value.remedy == "it has no branch and no tag"


BAD = [
    "-x",
    "+x",
    "--upload-pack=x",
    "a..b",
    "a:b",
    "a b",
    "a~1",
    "a^",
    "@{1}",
    "x.lock",
    "/x",
    "x/",
    "a*",
    "@",
    "a\\b",
    "\x7f",
]


@pytest.mark.parametrize("ref", BAD)
def test_what_cannot_be_a_ref(ref: str, history: tuple[Repository, list[str]], target: Path) -> None:
    with pytest.raises(SourceError, match="cannot be a branch, tag or commit"):
        checkout(history[0].url, str(target), ref=ref)
    assert not target.exists()


@pytest.mark.parametrize(
    "url", ["-x", "--upload-pack=touch x", "ext::sh -c id", "ssh://-oProxyCommand=x/r", "a b", "fd::7"]
)
def test_addresses_that_would_be_commands(url: str, target: Path) -> None:
    with pytest.raises(SourceError, match="cannot be the address of a repository"):
        checkout(url, str(target))


def test_no_url(target: Path) -> None:
    with pytest.raises(SourceError, match="is no URL"):
        checkout("https://[/r", str(target))


def test_no_repository(tmp_path: Path, target: Path) -> None:
    with pytest.raises(SourceError, match="cannot be fetched") as caught:
        checkout((tmp_path / "none").as_uri(), str(target))
    assert caught.value.remedy == "check the address"
    assert "none" in caught.value.detail


def test_credentials_are_not_shown(target: Path) -> None:
    with pytest.raises(SourceError) as caught:
        checkout("https://user:sekret@127.0.0.1:1/r.git", str(target))
    assert "sekret" not in caught.value.explain()
    assert "sekret" not in (target / ".git" / "config").read_text()
    assert "network" in caught.value.remedy


def test_no_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolNotFound, match="needs git"):
        find_git()


def test_is_repository(history: tuple[Repository, list[str]], tmp_path: Path) -> None:
    assert is_repository(history[0].url)
    assert not is_repository(tmp_path.as_uri())


# --- subdirectories --------------------------------------------------------------------------------------------------


def test_only_the_subdirectory_and_what_is_above_it(history: tuple[Repository, list[str]], target: Path) -> None:
    repo, commits = history
    repo.git("config", "uploadpack.allowFilter", "true")
    assert checkout(repo.url, str(target), subdirectory="pkg/a") == commits[2]
    found = sorted(str(path.relative_to(target)) for path in target.rglob("*") if ".git" not in path.parts)
    assert found == ["f", "pkg", os.path.join("pkg", "a"), os.path.join("pkg", "a", "pyproject.toml")]
    assert git(target, "status", "--porcelain") == ""


@pytest.mark.parametrize("ref", ["v1", "abcd1234", "feature/x"])
def test_a_subdirectory_that_is_not_there(ref: str, history: tuple[Repository, list[str]], target: Path) -> None:
    with pytest.raises(SourceError, match=r"no directory 'pkg/c'|no branch, tag or commit") as caught:
        checkout(history[0].url, str(target), ref=ref, subdirectory="pkg/c")
    expected = {"feature/x": "it has pkg/b, pkg/a", "v1": "it has no directories"}.get(ref, "main")
    assert expected in caught.value.remedy


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_out_of_the_subdirectory_brings_the_rest(repository: Make, target: Path) -> None:
    repo = repository()
    repo.commit(common__x="x", pkg__pyproject_toml="")
    (repo.path / "pkg" / "common").symlink_to("../common")
    repo.commit()
    checkout(repo.url, str(target), subdirectory="pkg")
    assert (target / "pkg" / "common" / "x").read_text() == "x"


def test_an_old_git_checks_out_everything(
    history: tuple[Repository, list[str]], target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrap(tmp_path, monkeypatch, '[ "$1" = sparse-checkout ] && exit 1')
    assert checkout(history[0].url, str(target), subdirectory="pkg/a") == history[1][2]
    assert (target / "pkg" / "b" / "x").exists()


# --- history ---------------------------------------------------------------------------------------------------------


def wrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """A git that does `line` first."""
    if sys.platform == "win32":
        pytest.skip("needs a POSIX shell")
    real = find_git()
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "git"
    program.write_text(f'#!/bin/sh\n{line}\nexec "{real}" "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize("filters", ["true", "false"])
@pytest.mark.parametrize("backend", [SCM, '[build-system]\nrequires = ["setuptools-git-versioning"]\n'])
def test_a_version_from_git_is_right(backend: str, filters: str, repository: Make, target: Path) -> None:
    repo = repository()
    repo.git("config", "uploadpack.allowFilter", filters)
    repo.commit("v1.0", pyproject_toml=backend)
    repo.commit(f="2")
    commit = repo.commit(f="3")
    assert checkout(repo.url, str(target)) == commit
    assert git(target, "describe", "--tags", "--long", "--dirty") == f"v1.0-2-g{commit[:7]}"
    assert git(target, "branch", "--show-current") == "main"
    assert git(target, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("ref", "described", "branch"),
    [("feature/x", "v1-1-g", "feature/x"), ("v1", "v1-0-g", ""), ("COMMIT", "v1-1-g", ""), ("SHORT", "v1-1-g", "")],
)
def test_a_version_from_git_is_right_at_any_ref(
    ref: str, described: str, branch: str, repository: Make, target: Path
) -> None:
    repo = repository()
    repo.commit("v1", pyproject_toml=SCM)
    commit = repo.commit(f="2")
    repo.git("branch", "feature/x")
    repo.commit("v2", f="3")
    repo.commit(f="4")
    checkout(repo.url, str(target), ref={"COMMIT": commit, "SHORT": commit[:9]}.get(ref, ref))
    assert git(target, "describe", "--tags", "--long").startswith(described)
    assert git(target, "branch", "--show-current") == branch


def test_a_tag_wins_over_a_branch_of_its_name(repository: Make, target: Path) -> None:
    repo = repository()
    tagged = repo.commit("same", pyproject_toml=SCM)
    repo.commit(f="2")
    repo.git("branch", "same")
    assert checkout(repo.url, str(target), ref="same") == tagged
    assert git(target, "branch", "--show-current") == ""


def test_a_history_that_the_server_withholds(
    repository: Make, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = repository()
    repo.commit("v1", pyproject_toml=SCM)
    repo.commit(f="2")
    wrap(tmp_path, monkeypatch, 'case "$*" in *--unshallow*) echo "fatal: no history today"; exit 128;; esac')
    with pytest.raises(
        SourceError, match="the history that this project's version comes from cannot be fetched"
    ) as caught:
        checkout(repo.url, str(target))
    assert "no history today" in caught.value.detail


def test_a_server_that_neither_does_the_cheap_nor_the_plain_way(
    history: tuple[Repository, list[str]], target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrap(
        tmp_path,
        monkeypatch,
        'case "$*" in *--depth=1*) echo "fatal: dumb http transport does not support shallow capabilities"; exit 128;;'
        ' fetch*) echo "fatal: gone"; exit 128;; esac',
    )
    with pytest.raises(SourceError, match="cannot be fetched") as caught:
        checkout(history[0].url, str(target))
    assert "gone" in caught.value.detail


def test_a_tree_that_cannot_be_checked_out(
    history: tuple[Repository, list[str]], target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrap(tmp_path, monkeypatch, '[ "$1" = checkout ] && { echo "fatal: https://u:sekret@h/ is odd"; exit 1; }')
    with pytest.raises(SourceError, match="git checkout failed") as caught:
        checkout(history[0].url, str(target))
    assert caught.value.detail == "fatal: https://***@h/ is odd"


def test_a_first_commit_has_no_more_history(repository: Make, target: Path) -> None:
    repo = repository()
    repo.commit("v1", pyproject_toml=SCM)
    checkout(repo.url, str(target))
    assert git(target, "describe", "--tags", "--long").startswith("v1-0-g")


@pytest.mark.parametrize(
    ("backend", "left_out"), [("setuptools-scm", "tree:0"), ("setuptools-git-versioning", "blob:none")]
)
def test_a_history_comes_without_what_nobody_asks_it_for(
    backend: str, left_out: str, repository: Make, target: Path
) -> None:
    repo = repository()
    repo.git("config", "uploadpack.allowFilter", "true")
    old = repo.commit("v1", pyproject_toml=f'[build-system]\nrequires = ["{backend}"]', f="old")
    repo.commit(f="2")
    checkout(repo.url, str(target))
    lacks = git(target, "rev-list", "--objects", "--missing=print", old)
    assert git(target, "config", "remote.origin.partialCloneFilter") == left_out
    assert "?" in lacks


def test_a_version_from_git_needs_the_whole_tree(repository: Make, target: Path) -> None:
    repo = repository()
    repo.git("config", "uploadpack.allowFilter", "true")
    repo.commit("v1", pkg__pyproject_toml=SCM, other__x="x")
    repo.commit(f="2")
    checkout(repo.url, str(target), subdirectory="pkg")
    assert (target / "other" / "x").exists()
    assert git(target, "describe", "--tags", "--dirty").startswith("v1-1-g")
    subprocess.run(["git", "archive", "--output", os.devnull, "--format=tar", "HEAD"], cwd=target, check=True)


# --- hooks, submodules -----------------------------------------------------------------------------------------------


def test_nothing_of_the_user_or_the_repository_runs(
    history: tuple[Repository, list[str]], target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = tmp_path / "template" / "hooks"
    template.mkdir(parents=True)
    hook = template / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
    hook.chmod(0o755)
    (tmp_path / "config").write_text(
        f"[init]\n\ttemplateDir = {template.parent.as_posix()}\n[core]\n\thooksPath = {template.as_posix()}\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(template.parent))
    checkout(history[0].url, str(target))
    assert not (tmp_path / "ran").exists()
    assert not (target / ".git" / "hooks").exists()


@pytest.fixture
def nested(repository: Make) -> Repository:
    """top has mods/sub, which has inner; top has mods/other too."""
    inner, sub, other, top = (repository(name) for name in ("inner", "sub", "other", "top"))
    inner.commit(i="i")
    sub.commit(s="1")
    sub.git("submodule", "--quiet", "add", "../inner")
    sub.commit()
    other.commit(o="o")
    top.commit(pkg__x="x")
    top.git("submodule", "--quiet", "add", "../sub", "mods/sub")
    top.git("submodule", "--quiet", "add", "../other", "mods/other")
    top.commit()
    sub.commit(s="2")  # the submodule is not at its branch's tip
    return top


def test_submodules_come_recursively(nested: Repository, target: Path) -> None:
    checkout(nested.url, str(target))
    assert (target / "mods" / "sub" / "s").read_text() == "1"
    assert (target / "mods" / "sub" / "inner" / "i").exists()
    assert (target / "mods" / "other" / "o").exists()
    assert git(target, "status", "--porcelain") == ""


def test_only_submodules_of_what_was_asked_for(nested: Repository, tmp_path: Path) -> None:
    checkout(nested.url, str(tmp_path / "a"), subdirectory="mods/sub")
    assert (tmp_path / "a" / "mods" / "sub" / "s").exists()
    assert not (tmp_path / "a" / "mods" / "other" / "o").exists()
    checkout(nested.url, str(tmp_path / "b"), subdirectory="pkg")
    assert not (tmp_path / "b" / "mods" / "sub" / "s").exists()


def test_a_submodule_that_is_gone(nested: Repository, target: Path) -> None:
    (nested.path.parent / "other").rename(nested.path.parent / "moved")
    with pytest.raises(SourceError, match="a submodule cannot be fetched"):
        checkout(nested.url, str(target))


# --- repositories of this machine ------------------------------------------------------------------------------------


def test_revisions_of_a_local_repository(history: tuple[Repository, list[str]]) -> None:
    repo, commits = history
    top = os.path.realpath(repo.path)
    assert local_commit(str(repo.path), "HEAD~2") == (top, commits[0])
    assert local_commit(str(repo.path / "pkg" / "a"), "v1") == (top, commits[0])
    assert local_commit(str(repo.path / ".git"), "feature/x")[1] == commits[1]


def test_a_local_revision_that_is_not_there(history: tuple[Repository, list[str]], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no branch, tag or commit 'v2'") as caught:
        local_commit(str(history[0].path), "v2")
    assert "v1" in caught.value.remedy
    with pytest.raises(SourceError, match="is no git repository") as caught:
        local_commit(str(tmp_path), "v1")
    assert "leave out @REF" in caught.value.remedy
    with pytest.raises(SourceError, match="cannot be a ref"):
        local_commit(str(history[0].path), "--git-dir")


def test_a_sha256_repository(plain_git: None, tmp_path: Path, target: Path) -> None:
    folder = tmp_path / "modern"
    folder.mkdir()
    made = subprocess.run(
        ["git", "init", "-q", "-b", "main", "--object-format=sha256"], cwd=folder, capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("this git knows no sha256 repositories")
    repo = Repository.__new__(Repository)
    repo.path = folder
    commit = repo.commit(f="1")
    assert checkout(repo.url, str(target)) == commit
    assert len(commit) == 64


def test_a_repository_of_somebody_else_says_so(
    history: tuple[Repository, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = '[ "$1" = rev-parse ] && { echo "fatal: detected dubious ownership in repository"; exit 128; }'
    wrap(tmp_path, monkeypatch, line)
    with pytest.raises(SourceError, match="does not trust") as caught:
        local_commit(str(history[0].path), "v1")
    assert "safe.directory" in caught.value.remedy
