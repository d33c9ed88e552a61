"""Which tool makes environments and installs into them: uv, virtualenv with pip, or the venv module with pip?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hwb.errors import IsolationError, ToolNotFound
from hwb.pyuv import find_uv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwb.isolation.pip import PipInstaller
    from hwb.isolation.uv import UvInstaller
    from hwb.proc import Completed
    from hwb.pythons import Interpreter

__all__ = ["DEFAULT", "Installer", "PipInstaller", "Provisioner", "UvInstaller", "choose", "find_uv", "parse_backend"]

DEFAULT = "uv|virtualenv"
VALID = ("uv", "virtualenv", "venv", "none")
_CONDA = ("conda", "mamba", "micromamba")


class Provisioner(Protocol):
    """Resolves requirements and makes environments that have exactly the pins."""

    @property
    def name(self) -> str:
        """uv, virtualenv, venv, or how else it works."""
        ...

    def create(self, path: str, interpreter: Interpreter, params: Sequence[str]) -> None:
        """Make an environment at `path`, with the tool's own options `params`; raises IsolationError."""
        ...

    def sync(self, python: str, requirements: str, *, env: Mapping[str, str], offline: bool) -> Completed:
        """Install exactly what the requirements file at that path pins, without looking at dependencies."""
        ...

    def resolve(
        self,
        interpreter: Interpreter,
        requirements: Sequence[str],
        constraints: Sequence[str],
        *,
        env: Mapping[str, str],
        offline: bool,
    ) -> list[str]:
        """Pins (`name==version` or `name @ url`) of the requirements and everything they need; errors as `install`."""
        ...


class Installer(Provisioner, Protocol):
    """One that also installs into the environments of this machine."""

    def install(
        self, python: str, args: Sequence[str], *, env: Mapping[str, str], offline: bool, silent: bool = False
    ) -> Completed:
        """Install into the environment of that `python`; args as the tool's `pip install` takes them.

        `env` is the whole environment. Raises DependencyError (the tool's standard error in `detail`), OfflineError.
        """
        ...

    def check(self, python: str, *, env: Mapping[str, str]) -> None:
        """Raise DependencyError when installed packages contradict each other."""
        ...


def __getattr__(name: str) -> object:
    if name == "UvInstaller":
        from hwb.isolation.uv import UvInstaller

        return UvInstaller
    if name == "PipInstaller":
        from hwb.isolation.pip import PipInstaller

        return PipInstaller
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def parse_backend(text: str) -> tuple[str, ...]:
    """The alternatives in nox's spelling, "uv|virtualenv"; ValueError for what hwb does not have."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split("|")))
    for name in names:
        if name in _CONDA:
            raise ValueError(
                f"hwb has no {name} backend: use 'uv' or 'virtualenv' (conda's own Python works by its path)"
            )
        if name not in VALID:
            raise ValueError(
                f"{name!r} is no environment backend: one of {', '.join(VALID)}, or several as '{DEFAULT}'"
            )
    if "none" in names and len(names) > 1:
        raise ValueError("'none' makes no environment, so it can be no alternative to one that does")
    return names


def choose(backend: str | None = None) -> Installer:
    """The first alternative that this machine has; raises ToolNotFound, ValueError for a backend that is none."""
    names = parse_backend(backend or DEFAULT)
    for name in names:
        installer = _installer(name)
        if installer is not None:
            return installer
    raise ToolNotFound(
        f"none of {', '.join(names)} is installed",
        remedy="install uv or virtualenv beside hwb, or use the backend 'venv'",
    )


def _installer(name: str) -> Installer | None:
    if name == "none":
        raise IsolationError("the backend 'none' makes no environment", remedy=f"use '{DEFAULT}'")
    if name == "uv":
        uv = find_uv()
        if uv is None:
            return None
        from hwb.isolation.uv import UvInstaller

        return UvInstaller(uv)
    from hwb.isolation.pip import PipInstaller, virtualenv_installed

    return PipInstaller(name) if name == "venv" or virtualenv_installed() else None
