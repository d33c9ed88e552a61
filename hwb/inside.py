"""How does a session install and run commands inside a container, where only some directories are seen?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from hwb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwb.builder.rooms import Furnished
    from hwb.isolation.environment import Venv
    from hwb.isolation.foreign import ForeignPython
    from hwb.proc import Completed

__all__ = ["Inside", "requirement"]

_SOURCES = "/src"
_ELSEWHERE = "/tmp"


class Inside:
    """A session's environment in a room: what is installed is provisioned from outside, commands run without a network.

    `root` is the project's directory, which the container sees as /src; `resolution` is what uv calls the choice of
    versions, empty for its own.
    """

    def __init__(self, room: Furnished, python: ForeignPython, root: str, resolution: str = "") -> None:
        self._room = room
        self._python = python
        self._root = root
        self._resolution = resolution
        self._requirements: list[str] = []
        self.venv: Venv = self._provisioned()

    def _provisioned(self) -> Venv:
        from hwb.isolation.provision import container_environment

        room, python = self._room.room, self._python
        return container_environment(room.engine, room.image, python, self._requirements, resolution=self._resolution)

    def empty(self, resolution: str) -> Inside:
        """The same room with nothing installed; `resolution` (uv's word) is for what will be."""
        return Inside(self._room, self._python, self._root, resolution)

    def newest(self, arguments: Sequence[str]) -> list[str]:
        """The pins that these requirements and wheels mean together; errors as `install`."""
        from hwb.isolation.provision import container_pins

        room, asked = self._room.room, [requirement(text) for text in arguments]
        return container_pins(room.engine, room.image, self._python, asked, resolution="highest")

    def install(self, arguments: Sequence[str]) -> None:
        """Add requirements and wheels. Raises UsageError for an installer's option, DependencyError."""
        self._requirements += [requirement(text) for text in arguments]
        self.venv = self._provisioned()

    def run(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, **options: Any) -> Completed:
        """Run a command with the environment's programs first; the keywords are those of `proc.run`."""
        path = f"{self.venv.bin}:{self._room.environ.get('PATH', os.defpath)}"
        own = {"PATH": path, "VIRTUAL_ENV": self.venv.path, "PYTHONDONTWRITEBYTECODE": "1"}
        done: Completed = self._room.run(argv, env={**own, **env}, cwd=self._seen(cwd), **options)
        return done

    def _seen(self, path: str) -> str:
        """Where the container has a directory of this machine: the project's are below /src, others are not there."""
        below = os.path.relpath(os.path.realpath(path), os.path.realpath(self._root))
        if below == os.curdir:
            return _SOURCES
        return _ELSEWHERE if below.startswith((os.pardir, ".hwb")) else os.path.join(_SOURCES, below)


def requirement(text: str) -> str:
    """A wheel's path, perhaps with extras, as a requirement (PEP 508) that its hash is a part of."""
    if text.startswith("-"):
        what = f"session.install in a container takes requirements and wheels, not {text}"
        raise UsageError(what, remedy="name the requirements themselves")
    path, bracket, extras = text.partition("[")
    if not path.endswith(".whl"):
        return text
    from pathlib import Path

    from hwb.fs import sha256_file

    name = os.path.basename(path).partition("-")[0]
    return f"{name}{bracket}{extras} @ {Path(path).absolute().as_uri()}#sha256={sha256_file(path)}"
