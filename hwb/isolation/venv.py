"""How is a virtual environment made, kept, filled and checked?"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwb.context import current
from hwb.isolation.environment import MARKER, Venv, announce, venv_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwb.isolation.backends import Installer
    from hwb.isolation.protocol import BuildEnvironment
    from hwb.pythons import Interpreter

__all__ = [
    "Venv",
    "VenvConfig",
    "VenvIsolation",
    "check",
    "install",
    "make_venv",
    "shared_environment",
    "verify_unmodified",
]


def make_venv(
    path: str, interpreter: Interpreter, *, backend: str | None = None, params: Sequence[str] = (), reuse: bool = False
) -> Venv:
    """Make an environment at `path`, in place of whatever is there; `reuse` keeps one made from the same things.

    Raises IsolationError when it cannot be made (nothing is left then), ToolNotFound when no backend is there.
    """
    from hwb.fs import remove_tree
    from hwb.isolation.backends import choose

    started = time.monotonic()
    installer = choose(backend)
    path = os.path.abspath(path)
    made_from = _made_from(interpreter, installer.name, params)
    kept = venv_at(path, installer, interpreter, reused=True)
    if reuse and _marker(path) == made_from and os.path.exists(kept.python):
        announce(kept, started)
        return kept
    if not _empty_directory(path):  # one that was made for this keeps its mode
        remove_tree(path)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        installer.create(path, interpreter, params)
        _write_marker(path, made_from)
    except BaseException:
        remove_tree(path)
        raise
    made = venv_at(path, installer, interpreter, reused=False)
    announce(made, started)
    return made


def _empty_directory(path: str) -> bool:
    try:
        return not os.listdir(path)
    except OSError:
        return False


def _made_from(interpreter: Interpreter, backend: str, params: Sequence[str]) -> bytes:
    import json

    return json.dumps({"interpreter": interpreter.identity, "backend": backend, "params": list(params)}).encode()


def _marker(path: str) -> bytes:
    try:
        with open(os.path.join(path, MARKER), "rb") as handle:
            return handle.read()
    except OSError:
        return b""


def _write_marker(path: str, content: bytes) -> None:
    from hwb.fs import atomic_write

    atomic_write(os.path.join(path, MARKER), content, durable=False)


def _installer_of(venv: Venv) -> Installer:
    from hwb.isolation.backends import choose

    return choose(venv.backend)


def install(venv: Venv, args: Sequence[str], *, env: Mapping[str, str] | None = None, silent: bool = False) -> None:
    """Install into the environment; args exactly as `uv pip install` or `pip install` take them.

    `env` is the whole environment (None: the session's outer one); `silent` shows output only on failure. Raises
    DependencyError with the installer's standard error, OfflineError when the run is offline and the cache lacks it.
    """
    context = current()
    whole = context.outer_env if env is None else env
    _installer_of(venv).install(venv.python, args, env=whole, offline=context.offline, silent=silent)


def check(venv: Venv, env: Mapping[str, str] | None = None) -> None:
    """Raise DependencyError when packages in the environment contradict each other (`pip check`)."""
    _installer_of(venv).check(venv.python, env=current().outer_env if env is None else env)


def shared_environment(
    interpreter: Interpreter,
    requirements: Sequence[str],
    *,
    constraints: Sequence[str] = (),
    backend: str | None = None,
    purpose: str = "",
) -> Venv:
    """The environment with these requirements (PEP 508) that everybody shares; made when nobody has it yet.

    It must not be changed: see `verify_unmodified`. Who has to change it names a `purpose`, and shares it only with
    those that name the same. Raises DependencyError, IsolationError, OfflineError.
    """
    from hwb.isolation import shared

    require_requirements(requirements)
    return shared.shared_environment(
        interpreter, requirements, constraints=constraints, backend=backend, purpose=purpose
    )


def verify_unmodified(venv: Venv) -> bool:
    """Whether a shared environment is what it was when it was made; one that is not will not be handed out again."""
    from hwb.isolation import shared

    return shared.verify_unmodified(venv)


@dataclass(frozen=True, slots=True)
class VenvConfig:
    """How `VenvIsolation` makes environments."""

    use_uv: bool = True
    """uv when it is there; False: virtualenv and pip."""
    python_path: Path | None = None
    """The interpreter to use instead of looking for one."""
    cache_envs: bool = False
    """Hand out an environment shared by all builds with the same requirements, instead of a fresh one."""
    extra_env: dict[str, str] | None = None
    """Variables that are added to the environment's own."""


class VenvIsolation:
    """Makes virtual environments for builds: the default strategy."""

    def __init__(self, config: VenvConfig | None = None) -> None:
        self.config = config or VenvConfig()

    async def check_available(self) -> bool:
        """True: every Python that runs hwb can make virtual environments."""
        return True

    async def create_environment(self, python_version: str, build_requirements: list[str]) -> BuildEnvironment:
        """A virtual environment of that Python ("3.12") with the requirements (PEP 508) installed.

        It is removed by its `cleanup`, and at once when it cannot be completed. Raises InterpreterNotFound,
        IsolationError, DependencyError.
        """
        from hwb.isolation.protocol import in_thread

        requirements = list(build_requirements)

        def undo(environment: BuildEnvironment) -> None:
            if environment.discard is not None:
                environment.discard()

        return await in_thread(lambda: self.create(python_version, requirements), undo)

    def create(self, python_version: str, build_requirements: Sequence[str]) -> BuildEnvironment:
        """The same for callers without an event loop."""
        from hwb import pythons

        config = self.config
        chosen = str(config.python_path) if config.python_path is not None else None
        interpreter = pythons.find(python_version or None, python_path=chosen)
        backend = "uv|virtualenv|venv" if config.use_uv else "virtualenv|venv"
        if config.cache_envs:
            venv = shared_environment(interpreter, build_requirements, backend=backend)
            return self._described(venv, shared=True)
        return self._described(_ephemeral(interpreter, build_requirements, backend), shared=False)

    def _described(self, venv: Venv, *, shared: bool) -> BuildEnvironment:
        from hwb.fs import remove_tree
        from hwb.isolation.protocol import BuildEnvironment

        def discard() -> None:
            if shared:
                verify_unmodified(venv)
            else:
                remove_tree(venv.path)

        variables = {**environment_variables(venv), **(self.config.extra_env or {})}
        return BuildEnvironment(Path(venv.python), venv.site_packages, variables, discard)


def _ephemeral(interpreter: Interpreter, requirements: Sequence[str], backend: str) -> Venv:
    import tempfile

    from hwb.fs import remove_tree

    require_requirements(requirements)
    path = tempfile.mkdtemp(prefix="hwb_venv_")
    try:
        venv = make_venv(path, interpreter, backend=backend)
        if requirements:
            install(venv, requirements, silent=True)
    except BaseException:
        remove_tree(path)
        raise
    return venv


def require_requirements(requirements: Sequence[str]) -> None:
    """They come from projects' files: one that is an option would redirect the installer to another index."""
    from hwb.errors import DependencyError

    for requirement in requirements:
        if requirement.lstrip().startswith("-") or "\n" in requirement or "\r" in requirement:
            remedy = "correct build-system.requires (or what else lists it)"
            raise DependencyError(f"{requirement!r} is no requirement (PEP 508)", remedy=remedy)


def environment_variables(venv: Venv) -> dict[str, str]:
    """os.environ as it looks inside the activated environment."""
    variables = {**os.environ, "VIRTUAL_ENV": venv.path}
    variables.pop("PYTHONHOME", None)
    variables["PATH"] = os.pathsep.join(filter(None, [venv.bin, variables.get("PATH", "")]))
    return variables
