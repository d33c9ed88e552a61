"""What may be deleted in an output directory, and which directories are never one?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hwb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["clean_output", "refuse_dangerous"]

_SUFFIXES = (".whl", ".tar.gz")


def refuse_dangerous(out_dir: str, root: str) -> None:
    """Raise UsageError for a directory that is not a place for built files: told by what it is, not by its name.

    Refused are file system roots, the home directory, the project itself and whatever it lies in.
    """
    real = os.path.realpath(out_dir)
    wrong = {
        "a file system's root": os.path.dirname(real),
        "the home directory": os.path.realpath(os.path.expanduser("~")),
        "the project's directory": os.path.realpath(root),
    }
    for what, place in wrong.items():
        if _same(real, place):
            raise UsageError(f"{out_dir} is {what}: it is not cleaned", remedy="name another one with -o")
    if os.path.realpath(root).startswith(os.path.join(real, "")):
        raise UsageError(f"the project lies in {out_dir}: it is not cleaned", remedy="name another one with -o")
    if os.path.lexists(out_dir) and not os.path.isdir(real):
        raise UsageError(f"{out_dir} is no directory", remedy="name another one with -o")


def _same(first: str, second: str) -> bool:
    try:
        return os.path.samestat(os.stat(first), os.stat(second))
    except OSError:
        return os.path.normcase(first) == os.path.normcase(second)


def clean_output(out_dir: str, root: str, keep: Collection[str] = ()) -> list[str]:
    """Delete `*.whl` and `*.tar.gz` files directly in a directory, nothing else; returns their names, sorted.

    Names in `keep` stay. Links are deleted, not what they point to. Raises UsageError for a dangerous directory
    (`refuse_dangerous`).
    """
    refuse_dangerous(out_dir, root)
    if not os.path.isdir(out_dir):
        return []
    with os.scandir(out_dir) as entries:
        files = [entry.name for entry in entries if entry.is_symlink() or entry.is_file(follow_symlinks=False)]
    found = sorted(name for name in files if name.endswith(_SUFFIXES) and name not in keep)
    for name in found:
        os.unlink(os.path.join(out_dir, name))
    return found
