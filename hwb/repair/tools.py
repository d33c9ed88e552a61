"""Where do the programs run that repair wheels: on this machine, or in a container that the caller has?"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Protocol

from hwb.context import current

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwb.isolation.environment import Venv
    from hwb.proc import Completed

__all__ = ["HostTool", "Tool", "call_as_program", "host_tool"]

_PASSED = re.compile(
    "PATH|HOME|TMPDIR|TEMP|TMP|LANG|LC_ALL|(?:LD|DYLD|DYLD_FALLBACK)_LIBRARY_PATH|MACOSX_DEPLOYMENT_TARGET"
    "|SYSTEMROOT|PATHEXT|COMSPEC|USERPROFILE"
)
"""Where libraries and programs are found; nothing secret."""


class Tool(Protocol):
    """An environment with one of the locked sets (`hwb.locks`) installed, and how programs run in it.

    `python` is its interpreter; files have the same paths there as here, at least the wheels and the output directory.
    """

    @property
    def python(self) -> str:
        """The path of the environment's Python, where it runs."""

    def run(self, argv: Sequence[str], env: Mapping[str, str]) -> Completed:
        """Run a command with these variables added; its output is captured, a bad exit code is no error."""

    def call(self, script: str, argument: str) -> None:
        """Call `main(argument)` of a Python file. Raises CommandFailed when it does not come to its end."""


class HostTool:
    """A tool in an environment on this machine."""

    def __init__(self, venv: Venv) -> None:
        self._venv = venv

    @property
    def python(self) -> str:
        """The path of the environment's Python."""
        return self._venv.python

    def run(self, argv: Sequence[str], env: Mapping[str, str]) -> Completed:
        """Run a command with the environment's programs first on PATH, and the variables that it needs only."""
        from hwb import proc

        outer = current().outer_env
        whole = {name: value for name, value in outer.items() if _PASSED.fullmatch(name.upper())}
        whole["PATH"] = os.pathsep.join((self._venv.bin, outer.get("PATH", os.defpath)))
        return proc.run(argv, env={**whole, **env}, check=False, capture=True)

    def call(self, script: str, argument: str) -> None:
        """As `Tool.call`."""
        call_as_program(self, script, argument)


def call_as_program(tool: Tool, script: str, argument: str) -> None:
    """`Tool.call` where nothing is warm: the file is run as a program. Raises CommandFailed."""
    from hwb.errors import CommandFailed

    done = tool.run([tool.python, script, argument], {})
    if done.return_code:
        raise CommandFailed(f"{os.path.basename(script)} failed", done.return_code, detail=done.text)


def host_tool(name: str) -> Tool:
    """The environment of a locked set, shared by everybody who needs it and made when nobody did yet.

    Raises DependencyError, IsolationError, OfflineError.
    """
    from hwb import pythons
    from hwb.isolation.venv import shared_environment
    from hwb.locks import requirement_lines

    return HostTool(shared_environment(pythons.running(), requirement_lines(name)))
