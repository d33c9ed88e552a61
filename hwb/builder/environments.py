"""Which environment do the hooks of a build run in?"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from hwb.context import current

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hwb.builder.options import BuildOptions
    from hwb.builder.results import Requirements
    from hwb.isolation.venv import Venv
    from hwb.pythons import Interpreter

__all__ = ["Environments"]

T = TypeVar("T")


class Environments:
    """The environments of one build, by requirements; remembers which pins each of them had."""

    def __init__(self, options: BuildOptions) -> None:
        self._options = options
        self._used: dict[tuple[str, tuple[str, ...]], Requirements] = {}
        self._venvs: dict[str, Venv] = {}
        self._known: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        self._seen: dict[str, set[str]] = {}
        self.place = ""
        """The build's own directory: environments that are for it alone always have the same path."""
        self._asked: list[tuple[Interpreter, tuple[str, ...]]] = []

    @property
    def used(self) -> tuple[Requirements, ...]:
        """What was asked for so far."""
        return tuple(self._used.values())

    def get(self, interpreter: Interpreter, requires: Sequence[str]) -> Venv:
        """An environment that has these requirements. Raises DependencyError, IsolationError, OfflineError."""
        if not self._options.isolated:
            return _as_it_is(interpreter)
        if self._options.prepared:
            prepared = self._options.prepared[interpreter.identity]
            return _prepared(prepared.python, interpreter, requires, self._seen.setdefault(prepared.python, set()))
        from hwb.builder.results import Requirements

        requires = self.with_local(requires)
        pins = self.pins(interpreter, requires)
        self._used[interpreter.identity, tuple(requires)] = Requirements(
            interpreter.identity, tuple(requires), tuple(pins)
        )
        return self._made(interpreter, requires, pins)

    def _made(self, interpreter: Interpreter, requires: Sequence[str], pins: Sequence[str]) -> Venv:
        venv = self._make(interpreter, requires, pins)
        if self._alone and venv.reused and venv.path not in self._venvs and not self._is_whole(venv):
            venv = self._make(interpreter, requires, pins)
        self._venvs[venv.path] = venv
        return venv

    def _by_backend(self, function: Callable[..., T]) -> Callable[..., T]:
        """The function, told what makes environments where that is chosen."""
        return partial(function, backend=self._options.backend) if self._options.backend else function

    @property
    def _alone(self) -> bool:
        return self._options.fresh and self._options.room is None

    def _is_whole(self, venv: Venv) -> bool:
        """Whether an environment that a killed build left behind is as it was made."""
        from hwb.isolation.shared import verify_unmodified

        return verify_unmodified(venv)

    def _make(self, interpreter: Interpreter, requires: Sequence[str], pins: Sequence[str]) -> Venv:
        from hwb.isolation.shared import environment_of_pins

        if self._options.room is not None:
            return self._options.room.environment(interpreter, requires, pins)
        make = self._by_backend(environment_of_pins)
        if self._alone:
            make = partial(make, purpose=self.place)
        if not self._options.lock:
            return make(interpreter, requires, pins)
        from hwb.builder.lock import refused
        from hwb.errors import DependencyError

        try:
            return make(interpreter, requires, pins)
        except DependencyError as error:
            raise refused(error, self._options.lock) or error from error

    def verify(self) -> None:
        """Look whether the hooks left every environment as it was; one that is not is made anew by its next user.

        Those that are for this build alone are removed.
        """
        from hwb.isolation.shared import verify_unmodified

        if self._alone:
            from hwb.fs import remove_tree

            for venv in self._venvs.values():
                remove_tree(venv.path)
            return
        later = (current().shared or {}).get("verify")
        if later is not None:  # several builds share it: once is enough, after the last of them
            later.update(self._venvs)
            return
        for venv in self._venvs.values():
            verify_unmodified(venv)

    def with_local(self, requires: Sequence[str]) -> list[str]:
        """Requirements with the workspace's own wheels in their place, and those that such a wheel needs in turn."""
        if not self._options.local:
            return list(requires)
        from hwb.analysis.requirements import name_of

        texts = [self._local(text) for text in requires]
        if texts == list(requires):
            return texts
        named = {name_of(text) for text in requires}
        return [*texts, *(self._local(name) for name in self._options.local if name not in named)]

    def _local(self, requirement: str) -> str:
        """A requirement that a wheel of this workspace satisfies, as a reference to that wheel (PEP 508)."""
        if not self._options.local:
            return requirement
        from pathlib import Path

        from packaging.requirements import Requirement
        from packaging.utils import canonicalize_name

        from hwb.fs import sha256_file

        wanted = Requirement(requirement)
        path = self._options.local.get(canonicalize_name(wanted.name))
        if path is None or wanted.url:
            return requirement
        marker = f" ; {wanted.marker}" if wanted.marker else ""
        extras = f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else ""
        return f"{wanted.name}{extras} @ {Path(path).as_uri()}#sha256={sha256_file(path)}{marker}"

    def pins(self, interpreter: Interpreter, requires: Sequence[str]) -> list[str]:
        """What the requirements mean: by the lock if there is one, else by the index (remembered for a day)."""
        if self._options.lock:
            from hwb.builder.lock import locked_pins

            return locked_pins(self._options.lock, interpreter, requires)
        from hwb.isolation.shared import pins_of

        key = (interpreter.identity, tuple(requires))
        if key in self._known:
            return self._known[key]
        self._asked.append((interpreter, tuple(requires)))
        constraints, room = self._options.constraints, self._options.room
        pins = self._by_backend(pins_of) if room is None else room.pins
        self._known[key] = _hashed(pins(interpreter, requires, constraints), constraints)
        return self._known[key]

    def until(self) -> float:
        """The Unix time at which the first of the asked pins has to be asked for again; a lock is for ever."""
        from hwb.isolation.shared import pins_until

        if self._options.lock:
            return float("inf")
        if self._options.room is not None:
            return 0.0
        known_until = self._by_backend(pins_until)
        return min((known_until(*asked, self._options.constraints) for asked in self._asked), default=float("inf"))

    def now(self, identity: str, requires: Sequence[str]) -> list[str]:
        """The same for an interpreter given by its identity; an empty list when it is none of this build's.

        Nor does a requirement mean anything any more that names another wheel of the workspace than today's.
        """
        local = [text for text in requires if " @ file:" in text and "#sha256=" in text]
        if local and any(self._local(text.partition(" @ ")[0]) != text.partition(" ;")[0] for text in local):
            return []
        for interpreter in self._options.pythons:
            if interpreter.identity == identity:
                return self.pins(interpreter, requires)
        return []


def _hashed(pins: Sequence[str], constraints: Sequence[str]) -> list[str]:
    """Pins with the hashes that constraints demand for them: resolving does not look at bytes, installing does."""
    if not any("--hash=" in line for line in constraints):
        return list(pins)
    from hwb.analysis.requirements import name_of

    found: dict[str, list[str]] = {}
    for line in constraints:
        found.setdefault(name_of(line), []).extend(word for word in line.split() if word.startswith("--hash="))
    return [" ".join([pin, *found.get(name_of(pin), [])]) for pin in pins]


def _prepared(python: str, interpreter: Interpreter, requires: Sequence[str], seen: set[str]) -> Venv:
    """An environment that was made for this build, with the static requirements; what hooks ask for is added."""
    from hwb.isolation.environment import Venv
    from hwb.isolation.venv import install

    scripts = os.path.dirname(python)
    venv = Venv(os.path.dirname(scripts), python, scripts, "uv|virtualenv|venv", interpreter, reused=True)
    more = [text for text in requires if text not in seen] if seen else []
    if more:
        install(venv, more, silent=True)
    seen.update(requires)
    return venv


def _as_it_is(interpreter: Interpreter) -> Venv:
    """Not isolated: the interpreter itself, whatever is installed there (BLD-27)."""
    from hwb.isolation.environment import Venv

    current().emit(
        "message", level="warning", text=f"not isolated: the build uses whatever {interpreter.path} has installed"
    )
    folder = os.path.dirname(interpreter.path)
    return Venv(folder, interpreter.path, folder, "none", interpreter, reused=True)
