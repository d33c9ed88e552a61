"""Where do sources lie while they are needed, and who removes them if nobody else can any more?

A place is a directory with a lock beside it. The lock is held as long as the place is used, by the kernel's word:
whoever takes a place removes those that a killed process left behind.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwb.errors import SourceError

if TYPE_CHECKING:
    from hwb.fs import FileLock
    from hwb.store import Store

__all__ = ["Place", "inside_path", "project_directory", "take_place"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Place:
    """A directory of one user, on the store's file system."""

    path: Path
    lock: FileLock

    def remove(self) -> None:
        """Remove the directory, and give it up; twice is as good as once."""
        from hwb.fs import remove_tree

        remove_tree(self.path)
        _unlink(self.lock)


def take_place(store: Store) -> Place:
    """A new, empty directory."""
    from hwb.fs import FileLock

    folder = store.path("tmp", "_").parent
    _sweep(folder)
    while True:
        path = folder / f"source-{os.getpid()}-{os.urandom(4).hex()}"
        lock = FileLock(path.with_name(f"{path.name}.lock"))
        if lock.acquire(blocking=False):  # else somebody sweeping was faster
            path.mkdir()
            return Place(path, lock)


def _sweep(folder: Path) -> None:
    from hwb.fs import FileLock, remove_tree

    for name in os.listdir(folder):
        if name.startswith("source-") and name.endswith(".lock"):
            lock = FileLock(folder / name)
            if lock.acquire(blocking=False):
                remove_tree(folder / name.removesuffix(".lock"))
                _unlink(lock)


def _unlink(lock: FileLock) -> None:
    """Nobody waits for such a lock, so its file may go; Windows wants it closed before."""
    if os.name == "nt":
        lock.release()
    try:
        os.unlink(lock.path)
    except OSError:
        pass  # gone, or in use: the next one sweeps it
    lock.release()


def inside_path(subdirectory: str | None) -> str:
    """A subdirectory as a plain relative path with slashes; empty for the top. Raises SourceError when it leads out."""
    parts = [part for part in (subdirectory or "").replace("\\", "/").split("/") if part not in ("", ".")]
    given = subdirectory or ""
    if ".." in parts or ".git" in parts or given.startswith(("/", "\\", "-")) or ":" in given or "\0" in given:
        raise SourceError(
            f"the subdirectory {given!r} leads out of the source", remedy="write a path inside of it: a/b"
        )
    return "/".join(parts)


def project_directory(top: str | os.PathLike[str], subdirectory: str | None) -> Path:
    """The directory of the project below `top`. Raises SourceError: it is not there, or a link leads out."""
    inside = inside_path(subdirectory)
    folder = os.path.join(top, *inside.split("/")) if inside else os.fspath(top)
    if not os.path.isdir(folder):
        names = sorted(entry.name for entry in os.scandir(top) if entry.is_dir() and entry.name != ".git")
        remedy = f"its directories are {', '.join(names[:10])}" if names else "it has no directories"
        raise SourceError(f"the source has no directory {inside!r}", remedy=remedy)
    reached, root = os.path.realpath(folder), os.path.realpath(top)
    if reached != root and not reached.startswith(root + os.sep):
        raise SourceError(f"the subdirectory {inside!r} is a link that leads out of the source")
    return Path(folder)
