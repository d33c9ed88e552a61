"""Which environment do the hooks of a build run in?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hwb.context import current

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwb.builder.options import BuildOptions
    from hwb.builder.results import Requirements
    from hwb.isolation.venv import Venv
    from hwb.pythons import Interpreter

__all__ = ["Environments"]


class Environments:
    """The environments of one build, by requirements; remembers which pins each of them had."""

    def __init__(self, options: BuildOptions) -> None:
        self._options = options
        self._used: dict[tuple[str, tuple[str, ...]], Requirements] = {}
        self._asked: list[tuple[Interpreter, tuple[str, ...]]] = []

    @property
    def used(self) -> tuple[Requirements, ...]:
        """What was asked for so far."""
        return tuple(self._used.values())

    def get(self, interpreter: Interpreter, requires: Sequence[str]) -> Venv:
        """An environment that has these requirements. Raises DependencyError, IsolationError, OfflineError."""
        if not self._options.isolated:
            return _as_it_is(interpreter)
        from hwb.builder.results import Requirements
        from hwb.isolation.shared import environment_of_pins

        requires = [self._local(text) for text in requires]
        pins = self.pins(interpreter, requires)
        self._used[interpreter.identity, tuple(requires)] = Requirements(
            interpreter.identity, tuple(requires), tuple(pins)
        )
        return environment_of_pins(interpreter, requires, pins)

    def _local(self, requirement: str) -> str:
        """A requirement that a wheel of this workspace satisfies, as a reference to that wheel (PEP 508)."""
        if not self._options.local:
            return requirement
        from pathlib import Path

        from packaging.requirements import Requirement
        from packaging.utils import canonicalize_name

        wanted = Requirement(requirement)
        path = self._options.local.get(canonicalize_name(wanted.name))
        if path is None or wanted.url:
            return requirement
        marker = f" ; {wanted.marker}" if wanted.marker else ""
        extras = f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else ""
        return f"{wanted.name}{extras} @ {Path(path).as_uri()}{marker}"

    def pins(self, interpreter: Interpreter, requires: Sequence[str]) -> list[str]:
        """What the requirements mean: by the lock if there is one, else by the index (remembered for a day)."""
        if self._options.lock:
            from hwb.builder.lock import locked_pins

            return locked_pins(self._options.lock, interpreter, requires)
        from hwb.isolation.shared import pins_of

        self._asked.append((interpreter, tuple(requires)))
        return pins_of(interpreter, requires, self._options.constraints)

    def until(self) -> float:
        """The Unix time at which the first of the asked pins has to be asked for again; a lock is for ever."""
        from hwb.isolation.shared import pins_until

        if self._options.lock:
            return float("inf")
        return min((pins_until(*asked, self._options.constraints) for asked in self._asked), default=float("inf"))

    def now(self, identity: str, requires: Sequence[str]) -> list[str]:
        """The same for an interpreter given by its identity; an empty list when it is none of this build's."""
        for interpreter in self._options.pythons:
            if interpreter.identity == identity:
                return self.pins(interpreter, requires)
        return []


def _as_it_is(interpreter: Interpreter) -> Venv:
    """Not isolated: the interpreter itself, whatever is installed there (BLD-27)."""
    from hwb.isolation.environment import Venv

    current().emit(
        "message", level="warning", text=f"not isolated: the build uses whatever {interpreter.path} has installed"
    )
    folder = os.path.dirname(interpreter.path)
    return Venv(folder, interpreter.path, folder, "none", interpreter, reused=True)
