"""How does a build get its own copy of the sources, so that the user's tree and its `.git` are never written?

The copy is canonical: modes 644 and 755, one time for every file. In git it holds what git tracks plus what it does
not ignore, and a private `.git` that borrows the objects of the real one, so that tools which compute the version
from tags (and say `-dirty`) see what they would have seen in the user's tree.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwb.context import current
from hwb.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = ["Snapshot", "safe_directory", "snapshot"]

_VCS = frozenset({".git", ".hg", ".svn", ".bzr", "CVS"})
_CACHES = frozenset({"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".nox", ".eggs"})
_OUTPUTS = frozenset({"build", "dist"})
_GIT_CONFIG = (
    r"^(core\.(autocrlf|eol|filemode|symlinks|ignorecase|precomposeunicode)|extensions\.objectformat|filter\..*)$"
)
"""Settings that decide whether a file counts as changed (and so whether a version says `-dirty`)."""
_GIT_PLACE = re.compile(
    r"GIT_(DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|COMMON_DIR|PREFIX|NAMESPACE|GRAFT_FILE"
    r"|SHALLOW_FILE|CONFIG|QUARANTINE_PATH|CONFIG_(PARAMETERS|COUNT|KEY_\d+|VALUE_\d+))"
)
"""What git sets for its hooks: a build started by one must look at the project, not at the hook's repository."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of a project: `epoch` is the time of its sources (Unix, seconds), `files` lie below `path`, sorted."""

    path: str
    epoch: int
    commit: str | None
    files: tuple[str, ...]


@contextmanager
def snapshot(root: str, target: str, *, exclude: Sequence[str] = ()) -> Iterator[Snapshot]:
    """Copy a project to exactly `target`, and remove the copy (and what a killed run left there) afterwards.

    In git the whole repository is copied and the path is that of the project inside it. `exclude` names directories
    whose untracked content is no source (the output directory). Raises SourceError: unreadable, or a link that leaves
    the tree.
    """
    from hwb.fs import remove_tree

    remove_tree(target)
    os.makedirs(target)
    try:
        top = os.path.realpath(root)
        inside = {path for path in map(os.path.realpath, exclude) if path.startswith(top + os.sep)}
        yield _take(top, os.path.abspath(target), inside)
    finally:
        remove_tree(target)


def _take(root: str, target: str, exclude: set[str]) -> Snapshot:
    if not os.path.isdir(root):
        raise SourceError(f"there is no directory {root}")
    git = _Git.around(root)
    tree = _GitTree(git, exclude | {os.path.join(root, name) for name in _OUTPUTS}) if git is not None else None
    if tree is None or not any(name.startswith(tree.prefix) for name in tree.files):
        tree = None  # no git, or a directory that the repository around it ignores: a tree of its own
    top = tree.git.top if tree is not None else root
    prefix = tree.prefix if tree is not None else ""
    copied = _copy(top, target, tree.files if tree is not None else _walk(root, exclude))
    epoch = _epoch(tree.git.commit_time if tree is not None else None, copied)
    if tree is not None:
        tree.write_private_git(target)
    _set_times(target, epoch)
    files = tuple(name[len(prefix) :] for name, _ in copied if name.startswith(prefix))
    commit = tree.git.commit if tree is not None else None
    return Snapshot(os.path.join(target, *prefix.split("/")).rstrip(os.sep), epoch, commit, files)


def _epoch(commit_time: int | None, copied: list[tuple[str, int]]) -> int:
    """SOURCE_DATE_EPOCH, else the commit's time, else the newest source's: the same in every run."""
    given = current().outer_env.get("SOURCE_DATE_EPOCH")
    if given:
        if not given.isdecimal() or int(given) >= 1 << 32:
            remedy = "set it to seconds since 1970, or unset it"
            raise SourceError(f"SOURCE_DATE_EPOCH is {given!r}, not a Unix time in seconds", remedy=remedy)
        return int(given)
    return commit_time if commit_time is not None else max((mtime for _, mtime in copied), default=0)


# --- copying ---------------------------------------------------------------------------------------------------------


def _copy(top: str, target: str, names: Iterable[str]) -> list[tuple[str, int]]:
    """Copy files and links; each name with its time. A name that is gone by now (deleted, not committed) is skipped."""
    copied = []
    folders = {target}
    for name in sorted(names):
        source, place = os.path.join(top, name), os.path.join(target, name)
        try:
            status = os.lstat(source)
        except (FileNotFoundError, NotADirectoryError):
            continue
        folder = os.path.dirname(place)
        if folder not in folders:
            os.makedirs(folder, exist_ok=True)
            folders.add(folder)
        if _copy_one(top, source, place, status):
            copied.append((name.replace(os.sep, "/"), int(status.st_mtime)))
    return copied


def _copy_one(top: str, source: str, place: str, status: os.stat_result) -> bool:
    import shutil
    from pathlib import Path

    if stat.S_ISLNK(status.st_mode):
        Path(place).symlink_to(_check_link(top, source))
        return True
    if not stat.S_ISREG(status.st_mode):
        return False  # a socket or a pipe is no source
    try:
        shutil.copyfile(source, place)
    except OSError as error:
        raise SourceError(f"a source file cannot be copied: {error.strerror}", where=source) from error
    Path(place).chmod(0o755 if status.st_mode & stat.S_IXUSR else 0o644)
    return True


def _check_link(top: str, link: str) -> Path:
    """Where a link points. Backends follow links: what lies outside would silently become part of the distribution."""
    from pathlib import Path

    text = Path(link).readlink()
    reached = os.path.realpath(link)
    if text.is_absolute() or (reached != top and not reached.startswith(top + os.sep)):
        remedy = "replace the link by a relative one inside the project, or by the file itself"
        raise SourceError(f"this link leaves the source tree: it points to {text}", where=link, remedy=remedy)
    return text


def _set_times(target: str, epoch: int) -> None:
    """One time for everything: setuptools and others copy it into archives."""
    follow = os.utime not in os.supports_follow_symlinks
    for folder, folders, files in os.walk(target):
        folders[:] = [name for name in folders if name != ".git"]
        for name in (*files, *folders):
            try:
                os.utime(os.path.join(folder, name), (epoch, epoch), follow_symlinks=follow)
            except FileNotFoundError:
                pass  # a link to nothing, where the system cannot set a link's own time
    os.utime(target, (epoch, epoch))


def _walk(root: str, exclude: set[str]) -> Iterator[str]:
    """The sources of a tree without git: everything but repositories, environments, caches and outputs."""
    # an unpacked sdist is no working tree: its egg-info is what setuptools knows the files by
    unpacked = os.path.isfile(os.path.join(root, "PKG-INFO"))
    for folder, folders, files in os.walk(root, onerror=_unreadable):
        below = "" if folder == root else os.path.relpath(folder, root) + os.sep
        links = [name for name in folders if _is_link(os.path.join(folder, name))]
        folders[:] = [
            name for name in folders if name not in links and _is_source(folder, name, root, exclude, unpacked)
        ]
        yield from (below + name for name in (*files, *links))


def _is_link(path: str) -> bool:
    return stat.S_ISLNK(os.lstat(path).st_mode)


def _unreadable(error: OSError) -> None:
    raise SourceError(f"a source directory cannot be read: {error.strerror}", where=str(error.filename)) from error


def _is_source(folder: str, name: str, root: str, exclude: set[str], unpacked: bool) -> bool:
    place = os.path.join(folder, name)
    if name in _VCS or _is_litter(name) or place in exclude or (name.endswith(".egg-info") and not unpacked):
        return False
    return not (folder == root and name in _OUTPUTS) and not os.path.exists(os.path.join(place, "pyvenv.cfg"))


def _is_litter(name: str) -> bool:
    return name == ".hwb" or name in _CACHES


# --- git -------------------------------------------------------------------------------------------------------------


class _Git:
    """A working tree's repository, read with commands that take no lock and write nothing."""

    def __init__(self, program: str, top: str, git_dir: str, common_dir: str) -> None:
        self._program = program
        self.top = top
        self.git_dir = git_dir
        self.common_dir = common_dir
        self.commit: str | None = None
        self.commit_time: int | None = None
        self.prefix = ""

    @classmethod
    def around(cls, folder: str) -> _Git | None:
        """The repository that `folder` is in, or None: no git, no repository, or git refuses it (which is said)."""
        from hwb import proc

        program = proc.which("git", current().outer_env.get("PATH"))
        if program is None:
            if _has_git(folder):
                _warn("git is not installed: the sources are copied as they are, without git's knowledge of them")
            return None
        git = cls(program, folder, "", "")
        code, answer = git.ask("rev-parse", "--show-toplevel", "--absolute-git-dir", "--git-common-dir", folder=folder)
        if code != 0:
            if _has_git(folder):
                _warn(f"git cannot read the repository of {folder}: the sources are copied as they are")
            return None
        top, git_dir, common_dir = answer.decode(errors="surrogateescape").splitlines()[:3]
        git.top, git.git_dir = os.path.realpath(top), git_dir
        git.common_dir = os.path.join(folder, common_dir)
        git.prefix = "" if folder == git.top else os.path.relpath(folder, git.top).replace(os.sep, "/") + "/"
        git._read_head()
        return git

    def _read_head(self) -> None:
        code, answer = self.ask("log", "-1", "--no-show-signature", "--format=%H %ct", "HEAD")
        if code == 0 and answer:
            commit, seconds = answer.split()
            self.commit, self.commit_time = commit.decode(), int(seconds)

    def ask(self, *words: str, folder: str | None = None) -> tuple[int, bytes]:
        """Exit code and standard output of a git command."""
        import subprocess

        from hwb import proc

        argv = [self._program, "--no-optional-locks", "-c", "core.fsmonitor=false", *words]
        done = proc.run(
            argv,
            cwd=folder or self.top,
            env=_git_environment(),
            check=False,
            capture=True,
            stderr=subprocess.DEVNULL,
            quiet=True,
        )
        return done.return_code, done.output or b""

    def must(self, *words: str) -> bytes:
        """Standard output of a git command that has no reason to fail. Raises SourceError."""
        code, answer = self.ask(*words)
        if code != 0:
            raise SourceError(
                f"git {words[0]} failed with exit code {code}", where=self.top, remedy="see what git status says there"
            )
        return answer

    def names(self, *words: str) -> list[str]:
        """Paths printed by `git ls-files -z`."""
        return [os.fsdecode(name) for name in self.must("ls-files", "-z", *words).split(b"\0") if name]


def _git_environment() -> dict[str, str]:
    """The user's own, without a hook's repository; whoever owns the tree (in a container it is often another user)."""
    keep = {name: value for name, value in current().outer_env.items() if not _GIT_PLACE.fullmatch(name)}
    return {**keep, **safe_directory(), "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}


def safe_directory() -> dict[str, str]:
    """Variables by which git reads a repository whoever owns it."""
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}


def _has_git(folder: str) -> bool:
    """Whether a `.git` lies in a directory or above it."""
    while not os.path.exists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return False
        folder = parent
    return True


def _warn(text: str) -> None:
    current().emit("message", level="warning", text=text)


class _GitTree:
    """The files of a working tree, with those of its submodules, and how to make the copy a repository."""

    def __init__(self, git: _Git, exclude: set[str]) -> None:
        self.git = git
        self.prefix = git.prefix
        self.files: list[str] = []
        self._below: list[tuple[str, _GitTree]] = []
        self._folders: list[str] = []
        tracked = set(git.names("-c"))
        for name in sorted(tracked | self._untracked(exclude)):
            place = os.path.join(git.top, name)
            if os.path.isdir(place) and not _is_link(place.rstrip("/")):
                self._descend(name.rstrip("/"), exclude)
            elif ".hwb" not in name.split("/"):
                self.files.append(name)

    def _untracked(self, exclude: set[str]) -> set[str]:
        names = self.git.names("-o", "--exclude-standard")
        return {name for name in names if not _is_output(os.path.join(self.git.top, name), self.git.top, exclude)}

    def _descend(self, name: str, exclude: set[str]) -> None:
        """A submodule, or a repository somebody cloned into this one; one without a checkout has no files."""
        self._folders.append(name)
        inner = _Git.around(os.path.join(self.git.top, name))
        if inner is None or inner.top == self.git.top:
            return
        below = _GitTree(inner, exclude)
        self._below.append((name, below))
        self.files += [f"{name}/{file}" for file in below.files]

    def write_private_git(self, target: str) -> None:
        """A `.git` of the copy's own: objects by reference, everything that tells the version by value."""
        import shutil

        place = os.path.join(target, ".git")
        os.makedirs(os.path.join(place, "objects", "info"))
        os.makedirs(os.path.join(place, "refs"))
        _write(
            os.path.join(place, "objects", "info", "alternates"), os.path.join(self.git.common_dir, "objects") + "\n"
        )
        _write(os.path.join(place, "config"), self._config())
        _write(os.path.join(place, "HEAD"), self._head())
        _write(os.path.join(place, "packed-refs"), self._refs())
        shared = [name for name in os.listdir(self.git.git_dir) if name.startswith("sharedindex.")]
        wanted = [(self.git.common_dir, "shallow"), *((self.git.git_dir, name) for name in ("index", *shared))]
        for folder, name in wanted:
            if os.path.exists(os.path.join(folder, name)):  # no index before the first add, shallow in shallow clones
                shutil.copyfile(os.path.join(folder, name), os.path.join(place, name))
        for name in self._folders:  # also of a submodule without a checkout: git takes a missing one for a change
            os.makedirs(os.path.join(target, *name.split("/")), exist_ok=True)
        for name, below in self._below:
            below.write_private_git(os.path.join(target, *name.split("/")))

    def _head(self) -> str:
        code, answer = self.git.ask("symbolic-ref", "-q", "HEAD")
        return f"ref: {answer.decode().strip()}\n" if code == 0 else f"{self.git.commit}\n"

    def _refs(self) -> str:
        """By git itself, so that loose, packed and reftable ones are the same to us."""
        return self.git.must("for-each-ref", "--format=%(objectname) %(refname)").decode(errors="surrogateescape")

    def _config(self) -> str:
        lines = ["[core]", "\trepositoryformatversion = 1", "\tbare = false"]
        _, answer = self.git.ask("config", "-z", "--get-regexp", _GIT_CONFIG)
        for entry in answer.decode(errors="surrogateescape").split("\0"):
            key, separator, value = entry.partition("\n")
            section, _, name = key.rpartition(".")
            if section:
                lines += [_section(section), f"\t{name} = {_quoted(value if separator else 'true')}"]
        return "\n".join(lines) + "\n"


def _is_output(path: str, top: str, exclude: set[str]) -> bool:
    """Whether an untracked path is what a build or a tool left behind, at or above it."""
    while path != top:
        name = os.path.basename(path)
        if path in exclude or _is_litter(name) or name.endswith(".egg-info"):
            return True
        path = os.path.dirname(path)
    return False


def _section(section: str) -> str:
    first, _, rest = section.partition(".")
    return f"[{first} {_quoted(rest)}]" if rest else f"[{first}]"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as handle:
        handle.write(text)
