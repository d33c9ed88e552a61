"""What is asked of a build, and what did it make?

Named tuples: they are made in a third of the time that dataclasses take, at every start of `hwb build`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hwb.builder.results import Kept
    from hwb.builder.room import Room
    from hwb.project import Project
    from hwb.pythons import Interpreter
    from hwb.repair import RepairOptions
    from hwb.snapshot import Tree

__all__ = ["BuildOptions", "Built", "Dependencies", "Prepared", "Source"]


class Source(NamedTuple):
    """Where the sources are: `root` is a project's directory, `identity` what the fixed build path belongs to.

    `vcs` says whether a repository around `root` may be asked; an unpacked archive has none. Of an `is_sdist` only a
    wheel can be built.
    """

    root: str
    identity: str = ""
    vcs: bool = True
    is_sdist: bool = False

    @property
    def key(self) -> str:
        """The identity, by default the directory's real path."""
        return self.identity or os.path.realpath(self.root)


class Prepared(NamedTuple):
    """An environment that belongs to one build alone and has its static requirements: its Python, more variables."""

    python: str
    env: Mapping[str, str] = {}


class BuildOptions(NamedTuple):
    """How to build; the defaults are those of `hwb build`."""

    pythons: tuple[Interpreter, ...]
    sdist: bool = True
    wheel: bool = True
    config_settings: Mapping[str, str | list[str]] = {}
    isolated: bool = True
    """False: the first of `pythons` must have what the project requires already (BLD-27)."""
    from_tree: bool = False
    """The wheel is built from the tree, not from the sdist."""
    release: bool = False
    """Untracked files that ship are an error, and the tree itself is never read by a backend."""
    cache: bool = True
    constraints: tuple[str, ...] = ()
    """Lines of build constraints, with hashes if any."""
    local: Mapping[str, str] = {}
    """Wheels (paths) that stand for requirements of these normalised names."""
    lock: str = ""
    """Path of a pylock file that names every build requirement."""
    env_pass: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    """Patterns of files that git ignores and that are sources nevertheless."""
    frontend: str = "hwb"
    elsewhere: str = ""
    """Another place than the project's own to build at (`--reproduce`)."""
    room: Room | None = None
    """Where hooks run; None: on this machine."""
    repair: RepairOptions | None = None
    """How wheels get their final tag and the libraries that they need; None: they stay as they were built."""
    unfinished: bool = False
    """The wheel is repaired afterwards: what that mends is no warning yet."""
    prepared: Mapping[str, Prepared] = {}
    """Environments to build in instead of hwb's own, by the `identity` of their interpreters."""
    backend: str = ""
    """What makes build environments, as in nox (`virtualenv|venv`); empty: the usual."""
    fresh: bool = False
    """Build environments are made for this build alone and removed after it, instead of shared."""
    env: Mapping[str, str] = {}
    """Variables that hooks get, whatever this machine's are; not in a room, which has its own."""


class Dependencies(NamedTuple):
    """What one finished build depended on.

    `kept` are its files in the store, `until` tells the Unix time to which they are valid.
    """

    source: Source
    tree: Tree
    project: Project
    options: BuildOptions
    kept: tuple[Kept, ...]
    until: Callable[[], float]


class Built(NamedTuple):
    """Absolute paths of what was built; `why` is one sentence about what was done and for which reason."""

    sdist: str | None
    wheels: tuple[str, ...]
    cached: bool
    why: str
    epoch: int
    commit: str | None
    depends: Dependencies

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest says of every file of this build."""
        return {"commit": self.commit, "source-date-epoch": self.epoch, "isolated": self.depends.options.isolated}

    @property
    def files(self) -> tuple[str, ...]:
        """The sdist, then the wheels."""
        return (*((self.sdist,) if self.sdist else ()), *self.wheels)
