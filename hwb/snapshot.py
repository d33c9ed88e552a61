"""How does a build get its own copy of the sources, so that the user's tree and its `.git` are never written?

The copy is canonical: modes 644 and 755, one time for every file. In git it holds what git tracks plus what it does
not ignore, and a private `.git` that borrows the objects of the real one, so that tools which compute the version
from tags (and say `-dirty`) see what they would have seen in the user's tree.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager

from hwb.context import current
from hwb.errors import SourceError
from hwb.litter import is_litter_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hwb.git import Repository, State

__all__ = ["Snapshot", "Tree", "read_tree", "snapshot"]

_GIT_CONFIG = (
    r"^(core\.(autocrlf|eol|filemode|symlinks|ignorecase|precomposeunicode)|extensions\.objectformat|filter\..*)$"
)
"""Settings that decide whether a file counts as changed (and so whether a version says `-dirty`)."""


class Tree:
    """The sources of a project at one moment: what is copied, and what a digest of them is made of.

    `top` is the repository's directory (without git the project's own), `prefix` the project's place in it ("" or
    "a/b/"). Names are relative to `top`, `/` between parts.
    """

    __slots__ = ("_digest", "_exclude", "_names", "_time", "contents", "included", "prefix", "root", "state", "top")

    def __init__(self, root: str, exclude: Sequence[str], state: State | None, included: Sequence[str] = ()) -> None:
        self.root = root
        self.state = state
        self.top = state.repository.top if state is not None else root
        self.prefix = state.repository.prefix if state is not None else ""
        self.contents: dict[str, str] = {}
        self._exclude = [path for path in exclude if self._is_below(path)]
        self.included = tuple(included)
        """Files that git ignores and that are sources nevertheless."""
        self._digest = ""
        self._names: list[str] | None = None
        self._time: int | None = None

    def _is_below(self, path: str) -> bool:
        """Whether a directory is in the repository, but not the project itself or around it."""
        return path.startswith(self.top + os.sep) and not os.path.join(self.root, "").startswith(path + os.sep)

    @property
    def commit(self) -> str | None:
        """The commit that is checked out; None without git or before the first."""
        return self.state.head if self.state is not None else None

    @property
    def digest(self) -> str:
        """Hex digest that changes with anything a build may read."""
        from hwb.digest import git_digest, plain_digest

        if not self._digest:
            if self.state is not None:
                self._digest = git_digest(self.state, self._exclude, self.included)
            else:
                self._digest, self.contents = plain_digest(self.root, self._exclude)
        return self._digest

    def untracked(self) -> list[str]:
        """Sources that git neither tracks nor ignores; empty without git."""
        from hwb.digest import untracked

        return untracked(self.state, self._exclude) if self.state is not None else []

    def names(self) -> list[str]:
        """Every source, those of submodules included."""
        if self._names is None:
            self._names = self._all_names()
        return self._names

    def _all_names(self) -> list[str]:
        from hwb.digest import plain_files

        if self.state is None:
            return [name.replace(os.sep, "/") for name in plain_files(self.root, self._exclude)]
        return [name for name in self._own_names() if not name.endswith("/")] + [
            f"{folder}{name}" for folder, below in self.nested() if below is not None for name in below.names()
        ]

    def _own_names(self) -> list[str]:
        assert self.state is not None
        tracked = [name + "/" if mode == "160000" else name for _, mode, _, name in self.state.entries]
        own = (name for name in tracked if ".hwb" not in name.split("/"))
        return sorted({*own, *self.untracked(), *self.included})

    def fingerprints(self) -> dict[str, str]:
        """What stands for each source (an object name, a hash of bytes): two trees are compared by it."""
        from hwb.digest import content

        if self.state is None:
            return dict(self.contents) if self.digest else {}
        found = {name: f"{mode} {oid}" for _, mode, oid, name in self.state.entries}
        for name in (*self.state.changed, *self.untracked(), *self.included):
            found[name] = os.fsdecode(content(self.state, name))
        return found

    def nested(self) -> list[tuple[str, Tree | None]]:
        """Submodules and repositories cloned into this one, with their `name/`; None for one without a checkout."""
        from hwb.git import discover, read_state

        found: list[tuple[str, Tree | None]] = []
        for name in self._own_names() if self.state is not None else ():
            if name.endswith("/"):
                path = os.path.realpath(os.path.join(self.top, name))
                inner = discover(path) if os.path.isdir(path) else None
                below = inner if inner is not None and inner.top != self.top else None
                found.append((name, None if below is None else Tree(path, self._exclude, read_state(below))))
        return found

    def is_plain(self) -> bool:
        """Whether there is neither a link nor a nested repository: nothing that leads a reader elsewhere."""
        if self.state is None:
            return not any(os.path.islink(os.path.join(self.top, name)) for name in self.names())
        if not self.state.plain or b"H 120000 " in self.state.files:
            return False
        loose = (*self.state.changed, *self.untracked(), *self.included)
        return not any(name.endswith("/") or os.path.islink(os.path.join(self.top, name)) for name in loose)

    @property
    def epoch(self) -> int:
        """SOURCE_DATE_EPOCH, else the commit's time, else the newest source's (Unix, seconds). Raises SourceError."""
        given = current().outer_env.get("SOURCE_DATE_EPOCH")
        if given:
            return checked_epoch(given)
        if self._time is None:
            self._time = self._commit_time() if self.commit else self._newest()
        return self._time

    def _commit_time(self) -> int:
        assert self.state is not None
        code, shown = self.state.ask("log", "-1", "--no-show-signature", "--format=%ct", "HEAD")
        if code:
            raise SourceError("git cannot tell the time of the commit", where=self.top, remedy="see what git log says")
        return int(shown)

    def _newest(self) -> int:
        times = [_mtime(os.path.join(self.top, name)) for name in self.names()]
        return max(times, default=0)


def checked_epoch(text: str) -> int:
    """The value of SOURCE_DATE_EPOCH. Raises SourceError when it is no Unix time in seconds."""
    if not text.isdecimal() or int(text) >= 1 << 32:
        remedy = "set it to seconds since 1970, or unset it"
        raise SourceError(f"SOURCE_DATE_EPOCH is {text!r}, not a Unix time in seconds", remedy=remedy)
    return int(text)


def _mtime(path: str) -> int:
    try:
        return int(os.lstat(path).st_mtime)
    except OSError:
        return 0


def read_tree(root: str, exclude: Sequence[str] = (), include: Sequence[str] = (), *, vcs: bool = True) -> Tree:
    """Look at a project's sources; nothing is written. `exclude` names directories whose untracked content is none.

    `include` are git pathspecs, relative to the project, of ignored files that are sources nevertheless; without `vcs`
    no repository is looked for. A directory that the repository around it ignores is a tree of its own. Raises
    SourceError.
    """
    top = os.path.realpath(root)
    if not os.path.isdir(top):
        raise SourceError(f"there is no directory {root}")
    outside = [os.path.realpath(path) for path in exclude]
    state = _state(top) if vcs else None
    if state is not None:
        repository = state.repository
        tree = Tree(top, outside, state, _included(repository, include))
        if not repository.prefix or any(name.startswith(repository.prefix) for name in tree.names()):
            return tree
    return Tree(top, outside, None)


def _state(top: str) -> State | None:
    """What git says of the repository around a directory; members of one workspace share the answer.

    Only while they are built one after the other (`Context.shared`): nobody else's tree is believed to stand still.
    """
    from hwb.git import discover, read_state

    known: dict[str, State] | None = (current().shared or {}).get("states")
    for state in (known or {}).values():
        inside = state.repository.inside(top)
        if inside is not None:
            return state.seen_from(inside)
    repository = discover(top)
    if repository is None:
        return None
    found = read_state(repository)
    if known is not None:
        known[repository.top] = found
    return found


def _included(repository: Repository, patterns: Sequence[str]) -> list[str]:
    if not patterns:
        return []
    below = [_below(repository.prefix, pattern) for pattern in patterns]
    (answer,) = repository.must(("ls-files", "-o", "-i", "--exclude-standard", "-z", "--", *below))
    return [name for name in os.fsdecode(answer).split("\0") if name and not is_litter_path(name)]


def _below(prefix: str, pattern: str) -> str:
    """A pathspec relative to the project as one relative to the repository; `:(glob)x` is `:(glob)prefix/x`."""
    magic, close, rest = pattern.partition(")") if pattern.startswith(":(") else ("", "", pattern)
    return f"{magic}{close}{prefix}{rest}"


class Snapshot:
    """A copy of a project: `epoch` is the time of its sources (Unix, seconds), `files` lie below `path`, sorted."""

    __slots__ = ("commit", "epoch", "files", "path")

    def __init__(self, path: str, epoch: int, commit: str | None, files: tuple[str, ...]) -> None:
        self.path = path
        self.epoch = epoch
        self.commit = commit
        self.files = files


@contextmanager
def snapshot(source: str | Tree, target: str, *, exclude: Sequence[str] = ()) -> Iterator[Snapshot]:
    """Copy a project to exactly `target`, and remove the copy (and what a killed run left there) afterwards.

    In git the whole repository is copied and the path is that of the project inside it. Raises SourceError: unreadable,
    or a link that leaves the tree.
    """
    from hwb.fs import remove_tree

    remove_tree(target)
    os.makedirs(target)
    try:
        tree = source if isinstance(source, Tree) else read_tree(source, exclude)
        yield _take(tree, os.path.abspath(target))
    finally:
        remove_tree(target)


def _take(tree: Tree, target: str) -> Snapshot:
    epoch = tree.epoch
    copied = _copy(tree.top, target, tree.names(), epoch)
    if tree.state is not None:
        _write_private_git(tree, tree.state, target)
    files = tuple(name[len(tree.prefix) :] for name in copied if name.startswith(tree.prefix))
    path = os.path.join(target, *tree.prefix.split("/")).rstrip(os.sep)
    return Snapshot(path, epoch, tree.commit, files)


# --- copying ---------------------------------------------------------------------------------------------------------


def _copy(top: str, target: str, names: Iterable[str], epoch: int) -> list[str]:
    """Copy files and links, all with one time: setuptools and others put it into archives.

    A name that is gone by now (deleted, not committed) is skipped; returns the others.
    """
    copied: list[str] = []
    folders = {target}
    for name in sorted(names):
        source, place = os.path.join(top, name), os.path.join(target, name)
        folder = os.path.dirname(place)
        if folder not in folders:
            os.makedirs(folder, exist_ok=True)
            while folder not in folders:
                folders.add(folder)
                folder = os.path.dirname(folder)
        if _copy_one(top, source, place, epoch):
            copied.append(name)
    for folder in folders:
        os.utime(folder, (epoch, epoch))
    return copied


def _copy_one(top: str, source: str, place: str, epoch: int) -> bool:
    try:
        status = os.lstat(source)
    except (FileNotFoundError, NotADirectoryError):
        return False
    if stat.S_ISLNK(status.st_mode):
        os.symlink(_check_link(top, source), place)
        if os.utime in os.supports_follow_symlinks:
            os.utime(place, (epoch, epoch), follow_symlinks=False)
        return True
    if not stat.S_ISREG(status.st_mode):
        return False  # a socket or a pipe is no source
    try:
        _copy_bytes(source, place, status)
    except OSError as error:
        raise SourceError(f"a source file cannot be copied: {error.strerror}", where=source) from error
    os.utime(place, (epoch, epoch))
    return True


def _copy_bytes(source: str, place: str, status: os.stat_result) -> None:
    from hwb.redact import write_all

    mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
    binary = getattr(os, "O_BINARY", 0)
    incoming = os.open(source, os.O_RDONLY | binary)
    try:
        outgoing = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | binary, mode)
        try:
            while block := os.read(incoming, 1 << 20):
                write_all(outgoing, block)
            if sys.platform != "win32":
                os.fchmod(outgoing, mode)  # whatever the umask is
        finally:
            os.close(outgoing)
    finally:
        os.close(incoming)


def _check_link(top: str, link: str) -> str:
    """Where a link points. Backends follow links: what lies outside would silently become part of the distribution."""
    text = os.readlink(link)
    reached = os.path.realpath(link)
    if os.path.isabs(text) or (reached != top and not reached.startswith(top + os.sep)):
        remedy = "replace the link by a relative one inside the project, or by the file itself"
        raise SourceError(f"this link leaves the source tree: it points to {text}", where=link, remedy=remedy)
    return text


# --- the private repository ------------------------------------------------------------------------------------------


def _write_private_git(tree: Tree, state: State, target: str) -> None:
    """A `.git` of the copy's own: objects by reference, everything that tells the version by value."""
    import shutil

    git, place = state.repository, os.path.join(target, ".git")
    os.makedirs(os.path.join(place, "objects", "info"))
    os.makedirs(os.path.join(place, "refs"))
    _write(place, "objects/info/alternates", os.path.join(git.common_dir, "objects") + "\n")
    _write(place, "config", _config(git))
    _write(place, "HEAD", f"ref: refs/heads/{state.branch}\n" if state.branch is not None else f"{state.head}\n")
    _write(place, "packed-refs", os.fsdecode(state.refs))
    shared = [name for name in os.listdir(git.git_dir) if name.startswith("sharedindex.")]
    wanted = [(git.common_dir, "shallow"), *((git.git_dir, name) for name in ("index", *shared))]
    for folder, name in wanted:
        if os.path.exists(os.path.join(folder, name)):  # no index before the first add, shallow in shallow clones
            shutil.copyfile(os.path.join(folder, name), os.path.join(place, name))
    for name, below in tree.nested():
        inner = os.path.join(target, *name.rstrip("/").split("/"))
        os.makedirs(
            inner, exist_ok=True
        )  # also of a submodule without a checkout: git takes a missing one for a change
        if below is not None and below.state is not None:
            _write_private_git(below, below.state, inner)


def _config(git: Repository) -> str:
    lines = ["[core]", "\trepositoryformatversion = 1", "\tbare = false"]
    ((_, answer),) = git.ask(("config", "-z", "--get-regexp", _GIT_CONFIG))
    for entry in os.fsdecode(answer).split("\0"):
        key, separator, value = entry.partition("\n")
        section, _, name = key.rpartition(".")
        if section:
            lines += [_section(section), f"\t{name} = {_quoted(value if separator else 'true')}"]
    return "\n".join(lines) + "\n"


def _section(section: str) -> str:
    first, _, rest = section.partition(".")
    return f"[{first} {_quoted(rest)}]" if rest else f"[{first}]"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _write(folder: str, name: str, text: str) -> None:
    path = os.path.join(folder, *name.split("/"))
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as handle:
        handle.write(text)
