"""A room on this machine: everything that hooks in a container go through, without an engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hwb.builder.zygote import IN_PROCESS
from hwb.isolation import shared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwb.isolation.environment import Venv
    from hwb.pythons import Interpreter
    from hwb.repair.tools import Tool


class HostRoom:
    """`env -i` stands for the walls; `given` counts what was handed over."""

    keeps = False
    identity = "this machine"
    in_process = IN_PROCESS

    def __init__(self, environ: Mapping[str, str] | None = None, area: str = "") -> None:
        self.area = area
        self.environ = environ if environ is not None else {"PATH": os.environ["PATH"]}
        self.commands: list[list[str]] = []
        self.given: list[str] = []

    def command(
        self, argv: Sequence[str], *, env: Mapping[str, str], cwd: str, talks: bool = False
    ) -> tuple[list[str], dict[str, str]]:
        self.commands.append([*argv, *(["talks"] if talks else [])])
        inside = ["env", "-i", "-C", cwd, *(f"{name}={value}" for name, value in env.items()), *argv]
        return inside, {"PATH": os.environ["PATH"]}

    def tool(self, name: str) -> Tool:
        raise AssertionError(name)

    def bytecode(self, python: str, names: Sequence[str]) -> str:
        return ""

    def give(self, path: str) -> None:
        self.given.append(path)

    def pins(self, interpreter: Interpreter, requires: Sequence[str], constraints: Sequence[str]) -> list[str]:
        return shared.pins_of(interpreter, requires, constraints)

    def environment(self, interpreter: Interpreter, requires: Sequence[str], pins: Sequence[str]) -> Venv:
        return shared.environment_of_pins(interpreter, requires, pins)
