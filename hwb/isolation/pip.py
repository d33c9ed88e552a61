"""How do virtualenv and pip make environments and install into them, also without a network?

pip has no cache that works offline. So what comes from an index goes through `pip wheel`: the wheels stay in the
store, and the environment is filled from them alone.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hwb.errors import DependencyError, IsolationError
from hwb.isolation.installing import execute, settle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from hwb.isolation.installing import Outcome
    from hwb.proc import Completed
    from hwb.pythons import Interpreter

__all__ = ["PipInstaller", "take_wheels", "virtualenv_installed"]

_BOTH = {"-q", "-qq", "--quiet", "-v", "-vv", "--verbose", "--pre", "--no-deps", "--prefer-binary", "--no-cache-dir",
         "--require-hashes"}  # fmt: skip
_INSTALL_ONLY = {"-U", "--upgrade", "-I", "--ignore-installed", "--force-reinstall", "--no-compile", "--compile",
                 "--no-warn-script-location", "--no-warn-conflicts"}  # fmt: skip
_BOTH_VALUE = {"-r", "--requirement", "-c", "--constraint", "--only-binary", "--progress-bar"}
_WHEEL_VALUE = {"-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--trusted-host", "--cert",
                "--client-cert", "--proxy", "--timeout", "--retries", "--no-binary"}  # fmt: skip
_INSTALL_VALUE = {"--upgrade-strategy"}
_DEFAULTS = {"PIP_RETRIES": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
"""Unless the user sets them: pip's own five retries take 8 s to find out that there is no network."""
_FIXED = {"PIP_NO_INPUT": "1", "PIP_USER": "0"}
"""A question would wait for ever; `user = true` in a pip.conf makes pip refuse to work in an environment."""
_MISLEADING = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON", "PYTHONHOME", "__PYVENV_LAUNCHER__")


def virtualenv_installed() -> bool:
    """Whether virtualenv can be imported, without importing it."""
    from importlib.util import find_spec

    return find_spec("virtualenv") is not None


@dataclass(frozen=True, slots=True)
class PipInstaller:
    """pip, in environments that virtualenv makes in this process; named "venv": that the interpreter's venv makes."""

    name: str = "virtualenv"

    def create(self, path: str, interpreter: Interpreter, params: Sequence[str]) -> None:
        """Make an environment with pip in it; raises IsolationError.

        An interpreter that virtualenv cannot serve (it is too old for it) gets an environment of its own venv module.
        """
        if self.name == "venv":
            return _venv(path, interpreter, params)
        problem = _virtualenv(path, interpreter, params)
        if problem is None:
            return None
        from hwb.fs import remove_tree

        remove_tree(path)
        try:
            return _venv(path, interpreter, params)
        except IsolationError as error:
            raise IsolationError(
                f"neither virtualenv nor venv can make an environment with {interpreter.path}",
                detail=f"virtualenv: {problem}\n{error.detail}",
                remedy="check the parameters of the environment and that its directory can be written",
            ) from error

    def install(
        self, python: str, args: Sequence[str], *, env: Mapping[str, str], offline: bool, silent: bool = False
    ) -> Completed:
        """`pip install`, its wheels kept in the store; args that `pip wheel` cannot take are handed on as they are."""
        pip = _Pip(python, _environment(env), silent, _wheels(python))
        return settle(
            "pip install",
            lambda: pip.through_wheels(args),
            lambda: pip.run("install", "--no-index", *pip.kept, *args),
            offline=offline,
        ).done

    def sync(self, python: str, requirements: str, *, env: Mapping[str, str], offline: bool) -> Completed:
        """Install exactly the pins in that file, from the store if it has all of them."""
        pip = _Pip(python, _environment(env), True, _wheels(python), os.path.dirname(requirements))
        args = ["--no-deps", "-r", requirements]
        outcome = pip.run("install", "--no-index", *pip.kept, *args, show=False)
        if outcome.ok:
            return outcome.done
        return settle("pip install", lambda: pip.through_wheels(args), lambda: outcome, offline=offline).done

    def resolve(
        self,
        interpreter: Interpreter,
        requirements: Sequence[str],
        constraints: Sequence[str],
        *,
        env: Mapping[str, str],
        offline: bool,
    ) -> list[str]:
        """The requirements and what they need in turn, as pins: what `pip wheel` chose (and left in the store)."""
        from hwb.store import open_store

        with open_store().temporary("resolve-") as directory:
            home, out = str(directory / "env"), directory / "wheels"
            self.create(home, interpreter, ())
            (directory / "in.txt").write_text("\n".join(requirements), encoding="utf-8")
            (directory / "constraints.txt").write_text("\n".join(constraints), encoding="utf-8")
            python = os.path.join(home, "Scripts", "python.exe") if sys.platform == "win32" else f"{home}/bin/python"
            pip = _Pip(python, _environment(env), True, _wheels(python), str(directory))
            args = ["--wheel-dir", str(out), *pip.kept, "-r", "in.txt", "-c", "constraints.txt"]
            settle(
                f"resolving {', '.join(requirements)}",
                lambda: pip.run("wheel", *args),
                lambda: pip.run("wheel", "--no-index", *args),
                offline=offline,
            )
            return take_wheels(out, pip.wheels, requirements)

    def resolve_for(
        self,
        python: str,
        selection: Sequence[str],
        requirements: Sequence[str],
        constraints: Sequence[str],
        wheels: Path,
        *,
        env: Mapping[str, str],
        offline: bool,
    ) -> list[str]:
        """The same for the Python and platform that pip's options `selection` name; their wheels are kept in `wheels`.

        `python` is one with pip. It reads the markers of requirements as for itself: it has to have the target's
        version and system.
        """
        from hwb.store import open_store

        with open_store().temporary("resolve-") as directory:
            out = directory / "wheels"
            (directory / "in.txt").write_text("\n".join(requirements), encoding="utf-8")
            (directory / "constraints.txt").write_text("\n".join(constraints), encoding="utf-8")
            pip = _Pip(python, _environment(env), True, wheels, str(directory))
            args = ["--dest", str(out), *selection, *pip.kept, "-r", "in.txt", "-c", "constraints.txt"]
            settle(
                f"resolving {', '.join(requirements)}",
                lambda: pip.run("download", *args),
                lambda: pip.run("download", "--no-index", *args),
                offline=offline,
            )
            return take_wheels(out, wheels, requirements)

    def sync_to(
        self,
        python: str,
        target: str,
        selection: Sequence[str],
        requirements: str,
        wheels: Path,
        *,
        env: Mapping[str, str],
        offline: bool,
    ) -> Completed:
        """Install exactly the pins of a file into the directory `target`, for what `selection` names."""
        pip = _Pip(python, _environment(env), True, wheels, os.path.dirname(requirements))
        args = ["--target", target, *selection, *pip.kept, "--no-compile", "--no-deps", "-r", requirements]
        outcome = pip.run("install", "--no-index", *args, show=False)
        if outcome.ok:
            return outcome.done
        return settle("pip install", lambda: pip.run("install", *args), lambda: outcome, offline=offline).done

    def check(self, python: str, *, env: Mapping[str, str]) -> None:
        """`pip check`; raises DependencyError."""
        outcome = execute([python, "-I", "-m", "pip", "check"], env=_environment(env), capture=True)
        if not outcome.ok:
            raise DependencyError(
                "the installed packages do not fit together",
                detail=outcome.done.text + outcome.stderr,
                remedy="install versions that fit, or loosen the requirements",
            )


@dataclass(frozen=True, slots=True)
class _Pip:
    """The pip of one environment."""

    python: str
    env: Mapping[str, str]
    silent: bool
    wheels: Path
    cwd: str | None = None

    @property
    def kept(self) -> list[str]:
        return ["--find-links", str(self.wheels)]

    def run(self, *args: str, show: bool = True) -> Outcome:
        """Isolated from PYTHON* variables and from modules in the current directory, not from pip's configuration."""
        argv = [self.python, "-I", "-m", "pip", *args]
        return execute(argv, env=self.env, silent=self.silent and show, capture=not show, cwd=self.cwd)

    def through_wheels(self, args: Sequence[str]) -> Outcome:
        """Fetch wheels for args, keep them, install from exactly those; else let pip install directly."""
        split = split_arguments(args, self.cwd)
        if split is None:
            return self.run("install", *self.kept, *args)
        from hwb.store import open_store

        with open_store().temporary("wheels-") as directory:
            outcome = self.run("wheel", "--wheel-dir", str(directory), *self.kept, *split[0])
            if not outcome.ok:
                return outcome
            _keep(directory, self.wheels, {_name(os.path.basename(arg)) for arg in args if _is_local_wheel(arg)})
            done = self.run("install", "--no-index", "--find-links", str(directory), *split[1])
            return replace(done, stderr=outcome.stderr + done.stderr)


def split_arguments(args: Sequence[str], cwd: str | None = None) -> tuple[list[str], list[str]] | None:
    """The arguments for `pip wheel` and those for `pip install --no-index`; None when they do not work in two steps.

    What a project directory, an sdist, an editable or a URL needs to be built is not among the wheels.
    """
    wheel: list[str] = []
    install: list[str] = []
    rest = list(args)
    while rest:
        arg = rest.pop(0)
        name, equals, value = arg.partition("=") if arg.startswith("--") else (arg, "", "")
        takes_value = name in _BOTH_VALUE or name in _WHEEL_VALUE or name in _INSTALL_VALUE
        if takes_value and not equals:
            if not rest:
                return None
            value = rest.pop(0)
        given = [arg] if equals or not takes_value else [arg, value]
        if arg.startswith("-") and not takes_value and name not in _BOTH | _INSTALL_ONLY:
            return None
        if not _fits(name, value, cwd):
            return None
        wheel += [] if name in _INSTALL_ONLY or name in _INSTALL_VALUE else given
        install += [] if name in _WHEEL_VALUE else given
    return (wheel, install) if install else None


def _fits(name: str, value: str, cwd: str | None) -> bool:
    if name in ("-r", "--requirement"):
        return _plain_file(os.path.join(cwd or _cwd(), value))
    return name.startswith("-") or _is_local_wheel(name) or _plain(name)


def _cwd() -> str:
    from hwb.context import current

    return current().cwd


def _plain(requirement: str) -> bool:
    """A name with specifiers: nothing local, no URL."""
    text = requirement.partition(";")[0]
    return text[:1].isalnum() and not any(sign in text for sign in ("/", "\\", "@", "://")) and not os.path.exists(text)


def _is_local_wheel(arg: str) -> bool:
    return arg.partition("[")[0].endswith(".whl") and "://" not in arg and not arg.startswith("-")


def _plain_file(path: str) -> bool:
    """Whether a requirements file names only packages of an index."""
    try:
        with open(path, encoding="utf-8") as handle:
            lines = [line.strip() for line in handle]
    except (OSError, UnicodeDecodeError):
        return False
    return all(not line or line.startswith(("#", "--hash=")) or _plain(line.partition(" --")[0]) for line in lines)


# ------------------------------------------------------------------------------------------------------- wheels


def _wheels(python: str) -> Path:
    """The store's wheels for that environment's Python: what is built from an sdist here is for this platform only."""
    import platform

    from hwb.store import open_store

    return open_store().wheels_path(f"{_python_tag(python)}-{sys.platform}-{platform.machine().lower()}")


def _python_tag(python: str) -> str:
    """cp312, cp313t, pp311 (PEP 425) of an environment; `any` when it does not tell its version.

    virtualenv and uv write the implementation into pyvenv.cfg, of others and of the ABI the name of `lib/*` tells.
    """
    home = os.path.dirname(os.path.dirname(python))
    said = _described(home)
    numbers = (said.get("version") or said.get("version_info", "")).split(".")
    if len(numbers) < 2:
        return "any"
    try:
        folders = sorted(os.listdir(os.path.join(home, "lib")))
    except OSError:
        folders = []  # Windows has them elsewhere
    names = [said.get("implementation", "").lower(), *folders]
    kind = next((tag for word, tag in (("pypy", "pp"), ("graal", "gp")) for n in names if n.startswith(word)), "cp")
    threaded = any(name.startswith("python") and name.endswith("t") for name in folders)
    return f"{kind}{numbers[0]}{numbers[1]}{'t' if threaded else ''}"


def _described(home: str) -> dict[str, str]:
    """What pyvenv.cfg says (PEP 405): venv writes `version`, virtualenv and uv `version_info`."""
    try:
        with open(os.path.join(home, "pyvenv.cfg"), encoding="utf-8") as handle:
            pairs = [line.partition("=") for line in handle]
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in pairs}


def _name(wheel: str) -> str:
    """The normalised name of a wheel's project (PEP 503)."""
    import re

    return re.sub(r"[-_.]+", "-", wheel.partition("-")[0]).lower()


def _pin(wheel: str) -> str:
    return f"{_name(wheel)}=={wheel.split('-')[1]}"


def _direct(requirements: Iterable[str]) -> dict[str, str]:
    """The requirements that name a URL, by normalised name: their wheels are nobody else's."""
    named = (requirement.partition("@") for requirement in requirements if "@" in requirement.partition(";")[0])
    return {_name(name.partition("[")[0].strip()): name + at + url for name, at, url in named}


def take_wheels(source: Path, wheels: Path, requirements: Sequence[str]) -> list[str]:
    """Keep the wheels that an installer put into a directory; the pins that they and direct references are."""
    direct = _direct(requirements)
    _keep(source, wheels, direct)
    return sorted(direct.values()) + sorted(_pin(name) for name in os.listdir(source) if _name(name) not in direct)


def _keep(source: Path, wheels: Path, foreign: Iterable[str]) -> None:
    """Copy the wheels that come from an index into the store; a store without room only costs the next offline run."""
    from hwb.fs import copy_file

    excluded = set(foreign)
    for name in os.listdir(source):
        target = wheels / name
        if name.endswith(".whl") and _name(name) not in excluded and not target.exists():
            try:
                copy_file(source / name, target)
            except OSError:
                continue


# -------------------------------------------------------------------------------------------------- environments


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in env.items() if name not in _MISLEADING}
    return {**_DEFAULTS, **kept, **_FIXED}


def _virtualenv(path: str, interpreter: Interpreter, params: Sequence[str]) -> str | None:
    """None when it was made, else why not. virtualenv's own data goes into the store: the home stays as it is."""
    from hwb.context import current
    from hwb.store import open_store

    try:
        import virtualenv
    except ImportError as error:
        return f"cannot be imported: {error}"
    data = str(open_store().path("virtualenv", "_").parent)
    fixed = ["--python", interpreter.path, "--app-data", data, "--no-download", "--no-periodic-update"]
    try:
        virtualenv.cli_run([*fixed, *params, path], setup_logging=False, env=dict(current().outer_env))
    except SystemExit:
        return f"does not understand {' '.join(params)}"
    except Exception as error:  # it raises whatever its plug-ins raise; all of it means that there is no environment
        return f"{type(error).__name__}: {error}"
    return None


def _venv(path: str, interpreter: Interpreter, params: Sequence[str]) -> None:
    from hwb import proc
    from hwb.context import current

    env = _environment(current().outer_env)
    argv = [interpreter.path, "-I", "-m", "venv", *params, path]
    done = proc.run(argv, env=env, check=False, capture=True, quiet=True)
    if done.return_code:
        raise IsolationError(
            f"{interpreter.path} cannot make a virtual environment",
            detail=done.text,
            remedy="some systems package it separately (python3-venv); or install uv or virtualenv beside hwb",
        )
