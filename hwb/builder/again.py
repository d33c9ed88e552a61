"""Were these very words given before, and has nothing changed since: then what was built is handed out at once?

A shortcut before anything is parsed or imported. A note, found by the words, the directory and the variables, says
what the last build of them depended on; when all of that still is as it was, its files are copied from the store.
Whatever is not as expected only means that the usual way is taken.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from hwb.git import State

__all__ = ["build_again", "note_path", "seen", "signature"]

seen: list[State] = []
"""What git said of the tree a moment ago, where something has changed: the build that follows need not ask again."""

_FORMAT = 1
_VOLATILE = frozenset(
    [
        "_",
        "SHLVL",
        "OLDPWD",
        "PWD",
        "TERM",
        "COLUMNS",
        "LINES",
        "WINDOWID",
        "SSH_TTY",
        "SSH_CLIENT",
        "SSH_CONNECTION",
        "SSH_AUTH_SOCK",
        "GPG_AGENT_INFO",
        "TMUX",
        "TMUX_PANE",
        "STY",
        "WINDOW",
        "XDG_SESSION_ID",
        "DBUS_SESSION_BUS_ADDRESS",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "PS1",
        "PROMPT",
    ]
)
"""Variables that no build depends on and that differ between terminals."""


def signature(path: str) -> str:
    """A text that changes when a file does; empty when there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"


def note_path(words: Sequence[str], cwd: str, environ: Mapping[str, str]) -> str:
    """Where the note for these words lies."""
    import hashlib

    from hwb import __version__
    from hwb.places import cache_dir

    digest = hashlib.sha256(f"{_FORMAT} {__version__} {sys.executable} {cwd}".encode(errors="surrogateescape"))
    parts = [*words, "", *(f"{name}={environ[name]}" for name in sorted(environ) if name not in _VOLATILE)]
    for part in parts:
        raw = part.encode(errors="surrogateescape")
        digest.update(b"%d:" % len(raw) + raw)
    return os.path.join(cache_dir(), "again", f"{digest.hexdigest()[:32]}.json")


def build_again(words: Sequence[str]) -> bool:
    """Whether the files are in the output directory now; False: build as usual."""
    import json
    import time

    environ = os.environ
    seen.clear()
    try:
        with open(note_path(words, os.getcwd(), environ), "rb") as handle:
            note = json.loads(handle.read())
        if not time.time() < note["until"] or not _same(note, environ):
            return False
        started = time.monotonic()
        for name, sha256, _size in note["files"]:
            _hand_out(note["store"], name, sha256, note["out"])
        if not _manifest(note):
            return False
    except (OSError, ValueError, KeyError, TypeError, _Unexpected):
        return False
    if not note["quiet"]:
        _tell(note, time.monotonic() - started)
    return True


class _Unexpected(Exception):
    """Something is not as the note says."""


def _same(note: dict[str, Any], environ: Mapping[str, str]) -> bool:
    """Whether everything that the build depended on is unchanged."""
    from hwb.which import which

    for path, known in note["watched"]:
        if signature(path) != known:
            return False
    for program, path in note["programs"]:
        if (which(program, environ.get("PATH", os.defpath)) or "") != path:
            return False
    return _digest(note, environ) == str(note["digest"])


def _digest(note: dict[str, Any], environ: Mapping[str, str]) -> str:
    from hwb.digest import git_digest, plain_digest

    git = note["git"]
    if git is None:
        from hwb.git import has_git

        # where there is a repository now, it decides what the sources are and of which time
        return "" if has_git(note["root"]) else plain_digest(note["root"], note["exclude"])[0]
    from hwb.errors import SourceError
    from hwb.git import Repository, read_state

    folder = note["root"]
    while folder != git["top"]:  # no repository of the project's own has come into being
        if os.path.lexists(os.path.join(folder, ".git")):
            return ""
        folder = os.path.dirname(folder)
    try:
        repository = Repository(git["program"], git["top"], git["dir"], git["common"], git["prefix"], environ)
        seen[:] = [read_state(repository)]
        return git_digest(seen[0], note["exclude"])
    except SourceError:
        return ""


def _hand_out(store: str, name: str, sha256: str, out_dir: str) -> None:
    """One file out of the store, verified, written as everything is: beside its name, synced, renamed."""
    import hashlib

    kept = os.path.join(store, sha256[:2], sha256)
    with open(kept, "rb") as handle:
        data = handle.read()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise _Unexpected
    os.makedirs(out_dir, exist_ok=True)
    _write(os.path.join(out_dir, name), data)
    os.utime(kept)  # pruning is by age of use


def _write(path: str, data: bytes) -> None:
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{os.getpid()}.part")
    try:
        with open(temporary, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    if sys.platform != "win32":
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _manifest(note: dict[str, Any]) -> bool:
    """The manifest as it was; False when there is another one, which only the usual way can add to."""
    folder = os.path.join(note["out"], ".hwb")
    os.makedirs(folder, exist_ok=True)
    for name, text in note["manifest"].items():
        path, data = os.path.join(folder, name), text.encode()
        try:
            with open(path, "rb") as handle:
                if handle.read() != data:
                    return False
        except FileNotFoundError:
            _write(path, data)
    return True


def _tell(note: dict[str, Any], seconds: float) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in note["lines"]))
    sys.stdout.write(f"nothing changed since it was built; taken from the store ({seconds:.2f} s)\n")
