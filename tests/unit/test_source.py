"""Does every kind of source become a directory that is right, inside its place, and gone afterwards?"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import subprocess
import sys
import tarfile
import time
import zipfile
from typing import TYPE_CHECKING

import pytest

from hwb import source
from hwb.context import CancelToken, current, use
from hwb.errors import Cancelled, OfflineError, SourceError, ValidationError
from hwb.source import ResolvedSource, SourceResolver, SourceSpec, SourceType, parse_source, resolve_source

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = '[project]\nname = "My_Pkg"\nversion = "1.0"\n'
WHO = {
    f"GIT_{role}_{what}": text for role in ("AUTHOR", "COMMITTER") for what, text in (("NAME", "n"), ("EMAIL", "e@x"))
}


@pytest.fixture(autouse=True)
def _plain_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "pkgs" / "a").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "pkgs" / "a" / "pyproject.toml").write_text(PROJECT)
    return folder


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=folder, check=True, capture_output=True, text=True, env={**os.environ, **WHO}
    )
    return done.stdout.strip()


@pytest.fixture
def repo(project: Path) -> Path:
    git(project, "init", "-q", "-b", "main")
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "x")
    git(project, "tag", "v0.1.0")
    (project / "later").write_text("2")
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "y")
    return project


def left(cache: Path) -> list[str]:
    return os.listdir(cache / "tmp") if (cache / "tmp").exists() else []


def pack(folder: Path, target: Path, top: str) -> Path:
    with tarfile.open(target, "w:gz") as archive:
        archive.add(folder, top)
    return target


# --- directories -----------------------------------------------------------------------------------------------------


def test_a_directory_is_used_where_it_is(project: Path, cache: Path) -> None:
    with resolve_source(parse_source(str(project)), cache_dir=cache) as resolved:
        assert resolved.local_path == project.resolve()
        assert not resolved.is_temporary
        assert resolved.commit_hash is None
    assert (project / "pyproject.toml").exists()
    assert not cache.exists()


def test_a_directory_inside(project: Path) -> None:
    with resolve_source(parse_source(f"{project}#subdirectory=pkgs/a")) as resolved:
        assert resolved.local_path == project.resolve() / "pkgs" / "a"
    with pytest.raises(SourceError, match="no directory 'pkgs/b'"):
        resolve_source(parse_source(f"{project}#subdirectory=pkgs/b"))


def test_a_path_that_is_gone(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(SourceError, match="no such directory"):
        resolve_source(SourceSpec(SourceType.LOCAL_PATH, str(tmp_path / "gone")), cache_dir=cache)
    with pytest.raises(SourceError, match="no such file"):
        resolve_source(SourceSpec(SourceType.TARBALL, str(tmp_path / "gone.zip")), cache_dir=cache)
    assert left(cache) == []


def test_a_name_that_the_project_does_not_have(project: Path) -> None:
    assert resolve_source(parse_source(f"{project}#egg=my.pkg")).spec.name == "my.pkg"
    with pytest.raises(SourceError, match="is the project 'My_Pkg', not 'other'"):
        resolve_source(parse_source(f"{project}#egg=other"))


def test_a_name_that_only_the_backend_knows(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text("from setuptools import setup\nsetup()\n")
    assert resolve_source(parse_source(f"{tmp_path}#egg=anything")).local_path == tmp_path.resolve()


# --- repositories ----------------------------------------------------------------------------------------------------


@pytest.mark.git
def test_b4_1_path_at_ref_builds_that_ref(repo: Path, cache: Path) -> None:
    (repo / "uncommitted").write_text("x")
    with resolve_source(parse_source(f"{repo}@v0.1.0"), cache_dir=cache) as resolved:
        assert resolved.commit_hash == git(repo, "rev-parse", "v0.1.0")
        assert resolved.is_temporary
        assert not (resolved.local_path / "later").exists()
        assert not (resolved.local_path / "uncommitted").exists()
    assert left(cache) == []


@pytest.mark.git
def test_a_directory_of_a_repository_at_a_ref(repo: Path, cache: Path) -> None:
    with resolve_source(parse_source("pkgs/a@HEAD~1", repo), cache_dir=cache) as resolved:
        assert resolved.local_path.parts[-2:] == ("pkgs", "a")
        assert resolved.commit_hash == git(repo, "rev-parse", "HEAD~1")


@pytest.mark.git
def test_a_ref_is_never_ignored(project: Path, cache: Path) -> None:
    with pytest.raises(SourceError, match="no git repository, so it has no ref 'v1'"):
        resolve_source(parse_source(f"{project}@v1"), cache_dir=cache)
    assert left(cache) == []


@pytest.mark.git
def test_a_bare_repository(repo: Path, cache: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repo), "bare.git")
    with resolve_source(parse_source(str(tmp_path / "bare.git")), cache_dir=cache) as resolved:
        assert (resolved.local_path / "later").exists()
        assert resolved.local_path.name == "bare"


@pytest.mark.git
def test_b4_1_file_urls_with_git(repo: Path, cache: Path) -> None:
    with resolve_source(parse_source(f"git+{repo.as_uri()}@v0.1.0#subdirectory=pkgs/a"), cache_dir=cache) as resolved:
        assert (resolved.local_path / "pyproject.toml").exists()
        assert resolved.commit_hash == git(repo, "rev-parse", "v0.1.0")
        assert resolved.spec.type is SourceType.GIT_HTTPS


@pytest.mark.git
def test_b4_1_clones_are_deleted_also_when_resolving_fails(repo: Path, cache: Path) -> None:
    with pytest.raises(SourceError):
        resolve_source(parse_source(f"git+{repo.as_uri()}#subdirectory=nowhere"), cache_dir=cache)
    with pytest.raises(SourceError):
        resolve_source(parse_source(f"git+{repo.as_uri()}#egg=other"), cache_dir=cache)
    with pytest.raises(ZeroDivisionError), resolve_source(parse_source(f"git+{repo.as_uri()}"), cache_dir=cache):
        raise ZeroDivisionError
    assert left(cache) == []


@pytest.mark.git
def test_a_location_that_still_says_git(repo: Path, cache: Path) -> None:
    spec = SourceSpec(SourceType.GIT_HTTPS, f"git+{repo.as_uri()}", "v0.1.0")
    with resolve_source(spec, cache_dir=cache) as resolved:
        assert resolved.commit_hash == git(repo, "rev-parse", "v0.1.0")


@pytest.mark.git
def test_offline_knows_local_repositories_only(repo: Path, cache: Path) -> None:
    with resolve_source(parse_source(f"git+{repo.as_uri()}"), cache_dir=cache, offline=True) as resolved:
        assert resolved.commit_hash
    for text in ("git+https://h.invalid/r", "git@h.invalid:r", "github.com/o/r"):
        with pytest.raises(OfflineError):
            resolve_source(parse_source(text), cache_dir=cache, offline=True)
    with use(current().but(offline=True)), pytest.raises(OfflineError):
        resolve_source(parse_source("https://h.invalid/x.tar.gz"), cache_dir=cache)
    with pytest.raises(OfflineError):
        resolve_source(parse_source("https://h.invalid/what"), cache_dir=cache, offline=True)
    assert left(cache) == []


# --- archives --------------------------------------------------------------------------------------------------------


def test_b4_2_an_sdist_is_unpacked_safely_and_removed(project: Path, cache: Path, tmp_path: Path) -> None:
    (project / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: my-pkg\nVersion: 1.0\n")
    path = pack(project, tmp_path / "my_pkg-1.0.tar.gz", "my_pkg-1.0")
    with resolve_source(parse_source(str(path)), cache_dir=cache) as resolved:
        assert resolved.spec.type is SourceType.SDIST
        assert (resolved.local_path / "pyproject.toml").read_text() == PROJECT
        assert resolved.is_temporary
        assert resolved.commit_hash is None
    assert left(cache) == []
    assert path.exists()


def test_b4_2_an_archive_that_writes_outside_is_refused(cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "pkg-1.0.tar.gz"
    (tmp_path / "evil").write_text("x")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tmp_path / "evil", "pkg-1.0/../../../evil2")
    with pytest.raises(ValidationError, match=r"leads out|evil2"):
        resolve_source(parse_source(str(path)), cache_dir=cache)
    assert left(cache) == []
    assert not list(tmp_path.rglob("evil2"))


@pytest.mark.parametrize(
    ("name", "top"), [("v1.tar.gz", "my_pkg-1.0"), ("my_pkg-1.0.tgz", "other-1.0"), ("x.tgz", "x")]
)
def test_what_only_looks_like_an_sdist_is_a_tarball(
    name: str, top: str, project: Path, cache: Path, tmp_path: Path
) -> None:
    (project / "PKG-INFO").write_text("Metadata-Version: 2.1\n")
    path = pack(project, tmp_path / name, top)
    with resolve_source(parse_source(str(path)), cache_dir=cache) as resolved:
        assert resolved.spec.type is SourceType.TARBALL
    with pytest.raises(SourceError, match="is no sdist"):
        resolve_source(SourceSpec(SourceType.SDIST, str(path)), cache_dir=cache)
    assert left(cache) == []


def test_a_zip_with_a_subdirectory(cache: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as archive:
        archive.writestr("r-main/pkgs/a/pyproject.toml", PROJECT)
    with resolve_source(parse_source(f"{tmp_path / 'r.zip'}#subdirectory=pkgs/a"), cache_dir=cache) as resolved:
        assert (resolved.local_path / "pyproject.toml").exists()
    archive_as_path = SourceSpec(SourceType.LOCAL_PATH, str(tmp_path / "r.zip"))
    with resolve_source(archive_as_path, cache_dir=cache) as resolved:
        assert resolved.spec.type is SourceType.TARBALL


def test_a_hash_is_verified_first(project: Path, cache: Path, tmp_path: Path) -> None:
    path = pack(project, tmp_path / "p.tar.gz", "p")
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    with resolve_source(parse_source(f"{path}#sha256={right}"), cache_dir=cache) as resolved:
        assert resolved.local_path.is_dir()
    with pytest.raises(ValidationError, match=f"is {right}, not {'0' * 64}"):
        resolve_source(parse_source(f"{path}#sha256={'0' * 64}"), cache_dir=cache)


def test_specs_that_contradict_themselves(project: Path, cache: Path) -> None:
    for spec in (
        SourceSpec(SourceType.TARBALL, "x.zip", ref="v1"),
        SourceSpec(SourceType.LOCAL_PATH, str(project), subdirectory="../x"),
        SourceSpec(SourceType.GIT_HTTPS, "https://h/r", sha256="0" * 64),
    ):
        with pytest.raises(SourceError):
            resolve_source(spec, cache_dir=cache)
    assert not cache.exists()


# --- the store, threads and loops ------------------------------------------------------------------------------------


def test_the_default_place_is_in_the_store(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "hwb"))
    path = pack(project, tmp_path / "p.tar.gz", "p")
    with resolve_source(parse_source(str(path))) as resolved:
        assert resolved.local_path.is_relative_to(tmp_path / "hwb" / "sources" / "tmp")
    assert list((tmp_path / "hwb" / "sources" / "tmp").iterdir()) == []


def test_a_value_made_by_hand_removes_what_it_says_is_temporary(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    spec = SourceSpec(SourceType.LOCAL_PATH, str(tmp_path))
    ResolvedSource(spec, tmp_path / "a", True).cleanup()
    ResolvedSource(spec, tmp_path / "b", False).cleanup()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b"]


@pytest.mark.git
def test_names_of_checkouts() -> None:
    names = {
        "https://h/r.git": "r",
        "git@h:r": "r",
        "file:///a b/": "a_b",
        "https://h/": "h",
        "https://h/.git": "source",
    }
    assert {url: source._basename(url) for url in names} == names


def test_in_an_event_loop(project: Path, cache: Path, tmp_path: Path) -> None:
    resolver = SourceResolver(cache)
    path = pack(project, tmp_path / "p.tar.gz", "p")
    assert not cache.exists()
    resolved = asyncio.run(resolver.resolve(resolver.parse_source(str(path))))
    assert (resolved.local_path / "pyproject.toml").exists()
    resolved.cleanup()
    resolved.cleanup()
    assert left(cache) == []
    with pytest.raises(SourceError):
        asyncio.run(resolver.resolve(SourceSpec(SourceType.TARBALL, "/nowhere.zip")))


@pytest.fixture
def slow_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git whose fetch writes its process id to this file, and hangs."""
    if sys.platform == "win32":
        pytest.skip("needs a POSIX shell")
    import shutil

    real = shutil.which("git")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "git"
    told = tmp_path / "pid"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = fetch ] && {{ echo $$ > "{told}.new"; mv "{told}.new" "{told}"; sleep 60; }}\nexec "{real}" "$@"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return told


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.git
def test_cancelling_the_task_ends_the_child(repo: Path, cache: Path, slow_git: Path) -> None:
    async def main() -> float:
        task = asyncio.ensure_future(SourceResolver(cache).resolve(parse_source(f"git+{repo.as_uri()}")))
        while not slow_git.exists():
            await asyncio.sleep(0.005)
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - started

    assert asyncio.run(main()) < 30
    assert gone(int(slow_git.read_text()))
    assert left(cache) == []


@pytest.mark.git
def test_the_end_of_the_run_ends_a_resolving_task(repo: Path, cache: Path, slow_git: Path) -> None:
    context = current().but(token=CancelToken())

    async def main() -> None:
        task = asyncio.ensure_future(SourceResolver(cache).resolve(parse_source(f"git+{repo.as_uri()}")))
        while not slow_git.exists():
            await asyncio.sleep(0.005)
        context.token.cancel("over")
        with pytest.raises(Cancelled, match="over"):
            await task

    with use(context):
        asyncio.run(main())
    assert gone(int(slow_git.read_text()))
    assert left(cache) == []


def test_a_result_that_comes_too_late_is_removed(
    project: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack(project, tmp_path / "p.tar.gz", "p")
    real, started = source.resolve_source, []

    def late(spec: SourceSpec, *, cache_dir: Path) -> ResolvedSource:
        started.append(spec)
        time.sleep(0.1)
        return real(spec, cache_dir=cache_dir)

    monkeypatch.setattr(source, "resolve_source", late)

    async def main() -> None:
        task = asyncio.ensure_future(SourceResolver(cache).resolve(parse_source(str(path))))
        while not started:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert left(cache) == []
