"""What does a build need to know of the place where its hooks run, when that is not this machine's own file system?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwb.isolation.environment import Venv
    from hwb.pythons import Interpreter
    from hwb.repair.tools import Tool

__all__ = ["Room"]


class Room(Protocol):
    """A place such as a container that sees the build's directory at the same path, and has its own interpreters.

    `identity` changes with everything about it that what is built depends on, `in_process` is where it has that file,
    `environ` are the variables that everything in it gets (PATH among them), and in `area` it may write: there it is
    built. `keeps`: what failed stays, so that somebody can look into it.
    """

    keeps: bool
    identity: str
    in_process: str
    area: str
    environ: Mapping[str, str]

    def command(
        self, argv: Sequence[str], *, env: Mapping[str, str], cwd: str, talks: bool = False
    ) -> tuple[list[str], dict[str, str]]:
        """The command line that runs `argv` in the room with this environment, and the one to start it with here.

        `talks`: its standard input is connected.
        """

    def tool(self, name: str) -> Tool:
        """An environment of the room with a locked set of tools (`hwb.locks`)."""

    def bytecode(self, python: str, names: Sequence[str]) -> str:
        """A directory with byte code of these modules for an environment's Python (PYTHONPYCACHEPREFIX), or empty."""

    def give(self, path: str) -> None:
        """Let processes of the room write a directory and all below it."""

    def pins(self, interpreter: Interpreter, requires: Sequence[str], constraints: Sequence[str]) -> list[str]:
        """What requirements mean for an interpreter of the room. Raises DependencyError, OfflineError."""

    def environment(self, interpreter: Interpreter, requires: Sequence[str], pins: Sequence[str]) -> Venv:
        """An environment of the room that has these pins, at the same path inside as outside."""
