"""Does a project's build ask git for its version or its files, and how much of the history must be there for that?

Read as text: nothing of the project is executed. A false alarm costs a larger fetch, a miss a wrong version.
"""

from __future__ import annotations

import os
import re
from enum import Enum

__all__ = ["History", "history_needed"]

_FILES = ("pyproject.toml", "setup.cfg", "setup.py")
_LIMIT = 1 << 20
"""Bytes of a file that are looked at."""
_BY_PATH = re.compile(r"(?i)setuptools[-_.]git[-_.]ver|\bmeson[-_.]?py(thon)?\b|\bversioningit\b")
_BY_COMMIT = re.compile(
    r"(?i)\b(setuptools|hatch|flit|poetry|pdm)[-_.](scm|vcs|git)|\bversioneer\b|\bpbr\b|\bdunamai\b|dynamic[-_.]versioning"
    r"|\bminiver\b|\bvcversioner\b|\bsource\s*=\s*[\"'](scm|vcs)[\"']|\bgit\s+(describe|rev-list|log)\b"
)
_CALLS_GIT = re.compile(r"[\"']git[\"']|\bimport git\b|\bfrom git\b")


class History(Enum):
    """What of the history a build needs, by the object filter of git that leaves out the rest (gitprotocol-v2)."""

    NONE = "none"
    COMMITS = "tree:0"
    """Commits and tags: `git describe`, `git rev-list --count`."""
    PATHS = "blob:none"
    """Their trees too: `git log -- FILE`."""


def history_needed(project: str | os.PathLike[str]) -> History:
    """The history that building the project in this directory needs."""
    text = "\n".join(_read(os.path.join(project, name)) for name in _FILES)
    if _BY_PATH.search(text):
        return History.PATHS
    if _BY_COMMIT.search(text) or _CALLS_GIT.search(_read(os.path.join(project, "setup.py"))):
        return History.COMMITS
    return History.NONE


def _read(path: str) -> str:
    try:
        with open(path, "rb") as handle:
            return handle.read(_LIMIT).decode(errors="replace")
    except OSError:
        return ""
