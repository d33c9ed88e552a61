"""Which files of a source tree are no sources: what tools, builds and repositories left there?"""

from __future__ import annotations

import os

__all__ = ["built_here", "is_artifact", "is_litter", "is_litter_path", "is_output", "is_source_dir"]

_VCS = frozenset({".git", ".hg", ".svn", ".bzr", "CVS"})
_CACHES = frozenset({"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".nox", ".eggs"})
_OUTPUTS = frozenset({"build", "dist"})


def is_artifact(name: str) -> bool:
    """Whether a file's name is that of a wheel or an sdist."""
    return name.endswith((".whl", ".tar.gz"))


def built_here(folder: str) -> bool:
    """Whether hwb wrote artifacts into a directory: its wheels and sdists are what was built, whatever it is called."""
    return os.path.isfile(os.path.join(folder, ".hwb", "manifest.json"))


def is_litter(name: str) -> bool:
    """Whether a directory of that name is a cache or hwb's own, wherever it lies."""
    return name == ".hwb" or name in _CACHES


def is_litter_path(name: str) -> bool:
    """Whether a file (`/` between parts) lies in such a directory."""
    return any(map(is_litter, name.split("/")))


def is_output(name: str, root: str, exclude: frozenset[str]) -> bool:
    """Whether an untracked file (`name` relative to the repository, `/` between parts) is what a build left behind.

    `root` is the project's directory there (empty, or ending in `/`), `exclude` directories in the same spelling.
    """
    parts = name.rstrip("/").split("/")
    if any(is_litter(part) or part.endswith(".egg-info") for part in parts):
        return True
    if parts[0] in _OUTPUTS or (name.startswith(root) and name[len(root) :].partition("/")[0] in _OUTPUTS):
        return True
    return bool(exclude) and any(name == folder or name.startswith(folder + "/") for folder in exclude)


def is_source_dir(folder: str, name: str, root: str, exclude: frozenset[str], *, unpacked: bool) -> bool:
    """Whether a directory of a tree without git holds sources; the egg-info of an unpacked sdist belongs to it."""
    place = os.path.join(folder, name)
    if name in _VCS or is_litter(name) or place in exclude or (name.endswith(".egg-info") and not unpacked):
        return False
    return not (folder == root and name in _OUTPUTS) and not os.path.exists(os.path.join(place, "pyvenv.cfg"))
