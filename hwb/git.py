"""What does git know about a working tree, without anything being written into the tree or its `.git`?

Commands are started together and read one after the other, by the cheapest call the system has: a build that finds
nothing changed spends most of its time here.
"""

from __future__ import annotations

import os
import sys

from hwb.errors import SourceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Repository",
    "State",
    "discover",
    "environment",
    "find_program",
    "has_git",
    "read_state",
    "run_all",
    "safe_directory",
]

_PLACES = frozenset(
    [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_PREFIX",
        "GIT_NAMESPACE",
        "GIT_GRAFT_FILE",
        "GIT_SHALLOW_FILE",
        "GIT_CONFIG",
        "GIT_QUARANTINE_PATH",
        "GIT_CONFIG_PARAMETERS",
    ]
)
"""What git sets for its hooks: a build started by one must look at the project, not at the hook's repository."""
_REFS = ("for-each-ref", "--format=%(objectname) %(refname)")
_STATUS = ("status", "--porcelain=v2", "--branch", "-z", "-uall", "--ignore-submodules=none", "--no-renames")
_FILES = ("ls-files", "-s", "-v", "-z", "--full-name", ":/")


def safe_directory() -> dict[str, str]:
    """Variables by which git reads a repository whoever owns it (in a container it is often another user)."""
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}


def environment(outer: Mapping[str, str] | None = None) -> dict[str, str]:
    """The user's own variables for git (of the context, or those given), without a hook's repository."""
    if outer is None:
        from hwb.context import current

        outer = current().outer_env
    kept = {
        name: value
        for name, value in outer.items()
        if name not in _PLACES and not name.startswith(("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"))
    }
    return {**kept, **safe_directory(), "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}


def find_program() -> str | None:
    """git's absolute path."""
    from hwb.context import current
    from hwb.which import which

    return which("git", current().outer_env.get("PATH"))


def run_all(
    program: str, folder: str, commands: tuple[tuple[str, ...], ...], env: dict[str, str]
) -> list[tuple[int, bytes]]:
    """Exit code and standard output of several git commands that run at the same time."""
    prefix = [program, "-C", folder, "--no-optional-locks", "-c", "core.fsmonitor=false"]
    started = [_start([*prefix, *words], env) for words in commands]
    return [_finish(*one) for one in started]


if sys.platform == "win32":
    import subprocess

    def _start(argv: list[str], env: dict[str, str]) -> tuple[subprocess.Popen[bytes]]:
        quiet = subprocess.DEVNULL
        return (subprocess.Popen(argv, env=env, stdin=quiet, stderr=quiet, stdout=subprocess.PIPE),)

    def _finish(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
        output = process.communicate()[0]
        return process.returncode, output

else:

    def _start(argv: list[str], env: dict[str, str]) -> tuple[int, int]:
        """Process identifier and the reading end of its output."""
        ours, theirs = os.pipe()
        try:
            pid = os.posix_spawn(
                argv[0],
                argv,
                env,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, theirs, 1),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                ],
            )
        finally:
            os.close(theirs)
        return pid, ours

    def _finish(pid: int, ours: int) -> tuple[int, bytes]:
        parts = []
        while block := os.read(ours, 1 << 20):
            parts.append(block)
        os.close(ours)
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status), b"".join(parts)


class Repository:
    """Where a working tree and its repository lie; `prefix` is the asked directory below `top` ("" or "a/b/")."""

    __slots__ = ("common_dir", "env", "git_dir", "prefix", "program", "top")

    def __init__(
        self,
        program: str,
        top: str,
        git_dir: str,
        common_dir: str,
        prefix: str,
        outer: Mapping[str, str] | None = None,
    ) -> None:
        self.program = program
        self.top = top
        self.git_dir = git_dir
        self.common_dir = common_dir
        self.prefix = prefix
        self.env = environment(outer)

    def inside(self, folder: str) -> Repository | None:
        """The same repository seen from a directory (a real path) in it; None when that is elsewhere, or in another."""
        step = folder
        while step != self.top:
            if not step.startswith(self.top + os.sep) or os.path.lexists(os.path.join(step, ".git")):
                return None
            step = os.path.dirname(step)
        prefix = "" if folder == self.top else os.path.relpath(folder, self.top).replace(os.sep, "/") + "/"
        return Repository(self.program, self.top, self.git_dir, self.common_dir, prefix, self.env)

    def ask(self, *commands: tuple[str, ...]) -> list[tuple[int, bytes]]:
        """Exit code and standard output of each command, run in the working tree's top directory."""
        return run_all(self.program, self.top, commands, self.env)

    def must(self, *commands: tuple[str, ...]) -> list[bytes]:
        """Standard output of commands that have no reason to fail. Raises SourceError."""
        answers = self.ask(*commands)
        for words, (code, _) in zip(commands, answers):
            if code != 0:
                what = f"git {words[0]} failed with exit code {code}"
                raise SourceError(what, where=self.top, remedy="see what git status says there")
        return [output for _, output in answers]


def discover(folder: str) -> Repository | None:
    """The repository that a directory (a real path) is in; None without one, or if git refuses (which is said)."""
    program = find_program()
    if program is None:
        if has_git(folder):
            _warn("git is not installed: the sources are copied as they are, without git's knowledge of them")
        return None
    words = ("rev-parse", "--show-toplevel", "--absolute-git-dir", "--git-common-dir")
    ((code, answer),) = run_all(program, folder, (words,), environment())
    if code != 0:
        if has_git(folder):
            _warn(f"git cannot read the repository of {folder}: the sources are copied as they are")
        return None
    shown, git_dir, common_dir = os.fsdecode(answer).splitlines()[:3]
    top = os.path.realpath(shown)
    prefix = "" if folder == top else os.path.relpath(folder, top).replace(os.sep, "/") + "/"
    return Repository(program, top, git_dir, os.path.join(folder, common_dir), prefix)


def has_git(folder: str) -> bool:
    """Whether a `.git` lies in a directory or above it."""
    while not os.path.exists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return False
        folder = parent
    return True


def _warn(text: str) -> None:
    from hwb.context import current

    current().emit("message", level="warning", text=text)


class State:
    """A working tree at one moment, as git tells it; raw bytes are parsed only when somebody asks.

    `head` is the commit (None before the first), `branch` its name (None when detached), `refs` every ref with its
    object, one on each line. Names are relative to the top directory, `/` between parts.
    """

    __slots__ = ("_answers", "_entries", "branch", "changed", "files", "head", "refs", "repository", "untracked")

    def __init__(self, repository: Repository, status: bytes, files: bytes, refs: bytes) -> None:
        self._answers: dict[tuple[str, ...], tuple[int, bytes]] = {}
        self.repository = repository
        self.files = files
        self.refs = refs
        self.head: str | None = None
        self.branch: str | None = None
        self.changed: list[str] = []
        """Tracked names whose content in the tree is not the index's, deleted and conflicting ones included."""
        self.untracked: list[str] = []
        self._entries: list[tuple[str, str, str, str]] | None = None
        self._parse(status)

    def seen_from(self, repository: Repository) -> State:
        """The same state for another directory of the repository."""
        other = State(repository, b"", self.files, self.refs)
        other.head, other.branch = self.head, self.branch
        other.changed, other.untracked = self.changed, self.untracked
        other._entries = self._entries
        other._answers = self._answers
        return other

    def ask(self, *words: str) -> tuple[int, bytes]:
        """Exit code and output of one more command, asked once for this moment, from wherever it is seen."""
        if words not in self._answers:
            (self._answers[words],) = self.repository.ask(words)
        return self._answers[words]

    def _parse(self, status: bytes) -> None:
        for line in os.fsdecode(status).split("\0"):
            kind = line[:2]
            if kind == "1 ":
                if line[3] != "." or line[5] != "N":
                    self.changed.append(line.split(" ", 8)[8])
            elif kind == "? ":
                self.untracked.append(line[2:])
            elif kind == "u ":
                self.changed.append(line.split(" ", 10)[10])
            elif line.startswith("# branch.oid ") and not line.endswith("(initial)"):
                self.head = line[13:]
            elif line.startswith("# branch.head ") and not line.endswith("(detached)"):
                self.branch = line[14:]

    @property
    def entries(self) -> list[tuple[str, str, str, str]]:
        """Flag, mode (six octal digits), object and name of each index entry, in git's order."""
        if self._entries is None:
            self._entries = [_entry(line) for line in os.fsdecode(self.files).split("\0") if line]
        return self._entries

    @property
    def plain(self) -> bool:
        """Whether no entry is a submodule, unmerged, or hidden from git status by a flag; told without parsing."""
        count = self.files.count(b"\0")
        usual = self.files.count(b"\0H ") + self.files.startswith(b"H ")
        return usual == count and b"H 160000 " not in self.files


def _entry(line: str) -> tuple[str, str, str, str]:
    front, _, name = line.partition("\t")
    flag, mode, oid, _stage = front.split(" ")
    return flag, mode, oid, name


def read_state(repository: Repository) -> State:
    """Ask git about the tree, its index and its refs. Raises SourceError."""
    return State(repository, *repository.must(_STATUS, _FILES, _REFS))
