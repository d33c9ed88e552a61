"""How is one commit of a git repository brought to this machine: little of it, the right one, and safely?

`init`, `fetch --depth=1 URL REF`, `checkout FETCH_HEAD` works for branches, tags and commits alike (a clone cannot
take a commit). What a server does not support is asked for in a plainer way. Git never prompts, runs no hooks and
no transport helper, and gets credentials through its environment: never in a command line or a file.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from hwb import proc
from hwb.context import current
from hwb.errors import SourceError, ToolNotFound
from hwb.fetch.history import History, history_needed
from hwb.fetch.settings import environment
from hwb.fetch.urls import hidden, split_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["checkout", "find_git", "is_repository", "local_commit"]

_LONGEST = 1800.0
"""Seconds that one git command may take."""
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.IGNORECASE)
_PART_OF_COMMIT = re.compile(r"[0-9a-f]{4,63}", re.IGNORECASE)
_NO_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|^[-+/]|/$|\.lock$|^@$")
"""What is no name of a ref (git-check-ref-format), or would be read as an option or a refspec."""
_UNKNOWN_REF = re.compile(r"(?i)couldn't find remote ref|no such ref")
_PLAINER = re.compile(
    r"(?i)unadvertised object|not our ref|does not support (shallow|filter)|dumb http|no matching remote head"
    r"|remote does not support|does not allow request|shallow file|invalid filter"
)
"""What servers (and git itself) say when they do not do shallow fetches, filters, or commits by their hash."""


def find_git() -> str:
    """Git's absolute path. Raises ToolNotFound."""
    program = proc.which("git", current().outer_env.get("PATH"))
    if program is None:
        remedy = "install git (Debian, Fedora, Homebrew: the package is called git; winget: Git.Git)"
        raise ToolNotFound("this source needs git, which is not on the PATH", remedy=remedy)
    return program


def is_repository(url: str) -> bool:
    """Whether git can read a repository at this address (its HEAD may be missing: an empty one is one too)."""
    return _Repository(url, current().cwd).ask("ls-remote", "--", split_address(url), quiet=False).return_code == 0


def local_commit(folder: str, ref: str) -> tuple[str, str]:
    """Top directory and full commit of a revision (gitrevisions) in the local repository around `folder`.

    A bare repository is its own top. Raises SourceError: no repository, no such revision.
    """
    if ref.startswith("-"):
        raise SourceError(f"{ref!r} cannot be a ref of git")
    git = _Repository(folder, folder)
    place = git.ask("rev-parse", "--show-toplevel")
    top = place.text.strip() if place.return_code == 0 else ""
    if not top:
        place = git.ask("rev-parse", "--absolute-git-dir")
        top = place.text.strip()
    if "dubious ownership" in place.text:
        raise git.failed("git does not trust this repository", place)
    if place.return_code != 0:
        remedy = "leave out @REF to build the files as they are" if ref != "HEAD" else ""
        raise SourceError(f"{folder} is no git repository, so it has no ref {ref!r}", remedy=remedy, detail=place.text)
    found = git.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if found.return_code != 0:
        raise git.unknown(ref, top)
    return os.path.normpath(top), found.text.strip()


def checkout(url: str, target: str, *, ref: str | None = None, subdirectory: str | None = None) -> str:
    """Check out one commit of `url` in the new directory `target`, and return its full hash.

    `ref` is a branch, a tag, a commit or the beginning of one (None: the default branch); with a `subdirectory` (a
    plain relative path with slashes) only that and the files above it are fetched, as far as the server can. Projects
    whose version comes from git get their tags and history. Raises SourceError, ToolNotFound, CommandTimeout.
    """
    address = split_address(url)
    if ref is not None and _NO_REF.search(ref):
        raise SourceError(f"{ref!r} cannot be a branch, tag or commit", where=hidden(url))
    os.makedirs(target)
    repository = _Repository(url, target)
    _fetch(repository, address, ref, subdirectory)
    project = os.path.join(target, *(subdirectory or "").split("/"))
    _submodules(repository, subdirectory if repository.partial else None)
    if not os.path.isdir(project):
        raise _no_directory(repository, subdirectory or "")
    history = history_needed(project)
    if repository.partial and (history is not History.NONE or _has_broken_link(project)):
        repository.must("sparse-checkout", "disable", env=_NO_LARGE_FILES)
        repository.partial = False
        _submodules(repository, None)
    if history is not History.NONE:
        _deepen(repository, ref, history)
    _large_files(repository)
    return repository.must("rev-parse", "--verify", "HEAD").text.strip()


def _no_directory(git: _Repository, subdirectory: str) -> SourceError:
    from difflib import get_close_matches

    folders = git.ask("ls-tree", "-rdz", "--name-only", "HEAD").text.split("\0")[:-1]
    near = (
        get_close_matches(subdirectory, folders, n=5, cutoff=0.4) or [name for name in folders if "/" not in name][:10]
    )
    remedy = f"it has {', '.join(near)}" if near else "it has no directories"
    return SourceError(f"the repository has no directory {subdirectory!r}", where=hidden(git.url), remedy=remedy)


def split_address(url: str) -> str:
    """The URL as git gets it: without the credentials, which go another way. Raises SourceError when it is none."""
    if url.startswith("-") or re.search(r"[\x00-\x20\x7f]", url) or re.match(r"\w+::", url):
        raise SourceError(f"{hidden(url)!r} cannot be the address of a repository")
    if "://" not in url:
        return url  # a path, or the scp-like form of ssh, which has no place for a password
    try:
        clean, user, _ = split_credentials(url)
    except ValueError as error:
        raise SourceError(f"{hidden(url)!r} is no URL: {error}") from error
    if user.startswith("-") or re.match(r"[\w+]+://-", clean):
        raise SourceError(f"{hidden(url)!r} cannot be the address of a repository")
    if clean.startswith("ssh:") and user:
        return clean.replace("://", f"://{user}@", 1)  # the account at the host is part of the address
    return clean


class _Repository:
    """A working tree, and how git is called for it."""

    def __init__(self, url: str, folder: str) -> None:
        self.url = url
        self.folder = folder
        self.partial = False
        self._program = find_git()
        self._environment = environment(self._program, url)

    def ask(self, *words: str, quiet: bool = True, env: Mapping[str, str] | None = None) -> proc.Completed:
        """Run git, whatever comes of it; what it prints is in `output`."""
        return proc.run(
            [self._program, *words],
            cwd=self.folder,
            env={**self._environment, **(env or {})},
            check=False,
            capture=True,
            timeout=_LONGEST,
            quiet=quiet,
        )

    def must(self, *words: str, env: Mapping[str, str] | None = None) -> proc.Completed:
        """Run git. Raises SourceError when that fails."""
        done = self.ask(*words, env=env)
        if done.return_code != 0:
            raise self.failed(f"git {words[0]} failed", done)
        return done

    def fetch(self, *words: str) -> proc.Completed:
        """`git fetch` from the one remote."""
        return self.ask("fetch", "--no-recurse-submodules", *words, quiet=False)

    def failed(self, what: str, done: proc.Completed) -> SourceError:
        """The error with git's own words, no credentials in them."""
        from hwb.redact import Redactor

        detail = Redactor(current().secrets).text(hidden("\n".join(done.text.splitlines()[-20:])))
        return SourceError(
            f"{what} (exit code {done.return_code})", where=hidden(self.url), detail=detail, remedy=_remedy(done.text)
        )

    def unknown(self, ref: str, address: str) -> SourceError:
        """The error for a ref that is not there; its remedy names refs that are spelled alike."""
        from difflib import get_close_matches

        listed = self.ask("ls-remote", "--heads", "--tags", "--refs", "--", address).text
        names = [re.sub(r"refs/(heads|tags)/", "", line.split("\t")[1]) for line in listed.splitlines() if "\t" in line]
        near = get_close_matches(ref, names, n=5, cutoff=0.4) or names[-5:]
        remedy = f"it has {', '.join(near)}" + (f" and {len(names) - len(near)} more" if len(names) > len(near) else "")
        what = f"the repository has no branch, tag or commit {ref!r}"
        return SourceError(what, where=hidden(self.url), remedy=remedy if names else "it has no branch and no tag")


_REMEDIES = (
    (r"host key verification failed", "connect to that host once with ssh, so that its key becomes known"),
    (r"permission denied|publickey", "load a key that the host accepts into ssh-agent, or set GIT_SSH_COMMAND"),
    (
        r"could not read (username|password)|authentication failed|terminal prompts disabled|returned error: 40[13]",
        "check the address; if the repository is private, give git a credential helper, or use ssh",
    ),
    (r"dubious ownership", "git config --global --add safe.directory PATH, if you trust whoever owns it"),
    (r"could not resolve|connection (refused|timed out|reset)|unable to access", "check the network and the proxy"),
    (r"not found|does not appear to be a git repository", "check the address"),
)


def _remedy(text: str) -> str:
    return next((remedy for pattern, remedy in _REMEDIES if re.search(pattern, text, re.IGNORECASE)), "")


# --- fetching --------------------------------------------------------------------------------------------------------


def _fetch(git: _Repository, address: str, ref: str | None, subdirectory: str | None) -> None:
    """Fetch and check out, the cheapest way that the server supports."""
    _init(git, address)
    if subdirectory is not None and _sparse(git, ref, subdirectory):
        return
    done = git.fetch("--no-tags", "--depth=1", "--", "origin", ref or "HEAD")
    if "mismatched algorithms" in done.text:
        _init(git, address, "--object-format=sha256")
        done = git.fetch("--no-tags", "--depth=1", "--", "origin", ref or "HEAD")
    if done.return_code == 0:
        git.must("checkout", "--quiet", "--detach", "FETCH_HEAD", env=_NO_LARGE_FILES)
    elif _UNKNOWN_REF.search(done.text) and not (ref and _PART_OF_COMMIT.fullmatch(ref)):
        raise git.unknown(ref or "HEAD", address)
    elif _UNKNOWN_REF.search(done.text) or _PLAINER.search(done.text):
        _fetch_everything(git, address, ref)
    else:
        raise git.failed("the repository cannot be fetched", done)


def _init(git: _Repository, address: str, *options: str) -> None:
    from hwb.fs import remove_tree

    remove_tree(os.path.join(git.folder, ".git"))
    git.must("init", "--quiet", "--template=", *options)
    git.must("config", "remote.origin.url", address)


_NO_LARGE_FILES = {"GIT_LFS_SKIP_SMUDGE": "1"}
"""They are fetched at the end, by one command whose failure is seen."""


def _sparse(git: _Repository, ref: str | None, subdirectory: str) -> bool:
    """Fetch one directory and the files above it; False when git or the server is too old for that."""
    if git.ask("sparse-checkout", "set", "--cone", "--end-of-options", subdirectory).return_code != 0:
        return False
    done = git.fetch("--no-tags", "--depth=1", "--filter=blob:none", "--", "origin", ref or "HEAD")
    if done.return_code == 0:
        done = git.ask("checkout", "--quiet", "--detach", "FETCH_HEAD", quiet=False, env=_NO_LARGE_FILES)
    git.partial = done.return_code == 0
    if not git.partial:
        _init(git, git.must("config", "remote.origin.url").text.strip())
    return git.partial


def _fetch_everything(git: _Repository, address: str, ref: str | None) -> None:
    """All branches and tags with their history: so one gets at a commit that the server gives to nobody by its hash."""
    done = git.fetch("--tags", "--", "origin", "+HEAD:refs/remotes/origin/HEAD", "+refs/heads/*:refs/remotes/origin/*")
    if done.return_code != 0:
        raise git.failed("the repository cannot be fetched", done)
    places = (ref, f"refs/tags/{ref}", f"refs/remotes/origin/{ref}") if ref else ("refs/remotes/origin/HEAD",)
    for place in places:
        found = git.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{place}^{{commit}}")
        if found.return_code == 0:
            git.must("checkout", "--quiet", "--detach", found.text.strip(), env=_NO_LARGE_FILES)
            return
    raise git.unknown(ref or "HEAD", address)


def _deepen(git: _Repository, ref: str | None, history: History) -> None:
    """Tags, commits and the name of the branch: what tools compute a version from."""
    whole = git.must("rev-parse", "--is-shallow-repository").text.strip() == "false"
    what = () if whole else ("--unshallow",)
    commit = git.must("rev-parse", "HEAD").text.strip()
    wanted = ref if ref and not _PART_OF_COMMIT.fullmatch(ref) else commit
    for words in ((f"--filter={history.value}", wanted), (wanted,), (f"--filter={history.value}",), ()):
        options = [word for word in words if word.startswith("--")]
        refs = [word for word in words if not word.startswith("--")]
        done = git.fetch("--tags", *what, *options, "--", "origin", *refs)
        if done.return_code == 0:
            break
    else:
        raise git.failed("the history that this project's version comes from cannot be fetched", done)
    branch = _branch(git, ref)
    if branch:  # a scheme may look at the branch's name
        git.must("update-ref", f"refs/heads/{branch}", commit)
        git.must("symbolic-ref", "HEAD", f"refs/heads/{branch}")


def _branch(git: _Repository, ref: str | None) -> str:
    """The branch that `ref` (None: the default branch) is in the remote repository, empty when it is something else."""
    listed = git.ask("ls-remote", "--symref", "--", "origin", "HEAD" if ref is None else f"refs/heads/{ref}").text
    if ref is None:
        head = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", listed, re.MULTILINE)
        return head[1] if head else ""
    tagged = git.ask("rev-parse", "--verify", "--quiet", f"refs/tags/{ref}").return_code == 0
    return ref if not tagged and f"\trefs/heads/{ref}\n" in listed + "\n" else ""


def _has_broken_link(folder: str) -> bool:
    """Whether a link leads to something that is not there: perhaps to what was left out."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != ".git"]
        if any(not os.path.exists(os.path.join(place, name)) for name in (*files, *folders)):
            return True
    return False


# --- what is not in the repository itself ----------------------------------------------------------------------------


def _submodules(git: _Repository, subdirectory: str | None) -> None:
    """Check out the submodules, recursively; of a partial tree only those inside of what is there."""
    if not os.path.isfile(os.path.join(git.folder, ".gitmodules")):
        return
    listed = git.ask("config", "-z", "-f", ".gitmodules", "--get-regexp", r"^submodule\..*\.path$").text
    paths = [entry.partition("\n")[2] for entry in listed.split("\0") if entry]
    wanted = [path for path in paths if subdirectory is None or _overlap(path, subdirectory)]
    if not wanted:
        return
    words = ("submodule", "update", "--init", "--recursive", "--quiet")
    done = git.ask(*words, "--depth=1", "--", *wanted, quiet=False, env=_NO_LARGE_FILES)
    if done.return_code != 0:
        done = git.ask(*words, "--", *wanted, quiet=False, env=_NO_LARGE_FILES)
    if done.return_code != 0:
        raise git.failed("a submodule cannot be fetched", done)


def _overlap(one: str, other: str) -> bool:
    """Whether one path is the other, or lies below it."""
    first, second = f"{one.strip('/')}/", f"{other.strip('/')}/"
    return first.startswith(second) or second.startswith(first)


_POINTER = b"version https://git-lfs.github.com/spec/"


def _large_files(git: _Repository) -> None:
    """Replace the pointers of Git LFS by the files. Raises ToolNotFound or SourceError: a pointer is no source."""
    for folder in _repositories(git.folder):
        inner = _Repository(git.url, folder)
        if not any(_pointers(inner)):
            continue
        if inner.ask("lfs", "version").return_code != 0:
            remedy = "install git-lfs (the package has that name nearly everywhere)"
            raise ToolNotFound("this repository keeps files in Git LFS, and git lfs is not installed", remedy=remedy)
        inner.must("lfs", "install", "--local", "--skip-repo", "--force")
        done = inner.ask("lfs", "pull", "origin", quiet=False)
        missing = next(_pointers(inner), None)
        if done.return_code != 0 or missing is not None:
            raise git.failed(f"Git LFS did not fetch {missing or 'every file'}", done)


def _repositories(top: str) -> Iterator[str]:
    """The tree, and every submodule that is checked out in it."""
    from pathlib import Path

    for folder, folders, files in os.walk(top):
        if ".git" in files or ".git" in folders:
            yield folder
        folders[:] = [name for name in folders if name != ".git" and not Path(folder, name).is_symlink()]


def _pointers(git: _Repository) -> Iterator[str]:
    """Files of the tree (relative paths) whose content is in Git LFS and not here."""
    if not _uses_lfs(git):
        return
    listed = git.must("ls-files", "-z", "--", ":(attr:filter=lfs)").output or b""
    for name in listed.split(b"\0"):
        place = os.path.join(git.folder, os.fsdecode(name))
        if name and os.path.isfile(place):
            with open(place, "rb") as handle:
                if handle.read(len(_POINTER)) == _POINTER:
                    yield os.fsdecode(name)


def _uses_lfs(git: _Repository) -> bool:
    """Whether an attributes file says so; asked first, because looking at every file takes its time."""
    return any(
        b"filter=lfs" in _bytes(os.path.join(git.folder, os.fsdecode(name)))
        for name in (git.must("ls-files", "-z", "--", ".gitattributes", "**/.gitattributes").output or b"").split(b"\0")
        if name
    )


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except OSError:
        return b""
