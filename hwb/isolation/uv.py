"""How does uv make environments and install into them?"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwb.errors import DependencyError, IsolationError
from hwb.isolation.installing import execute, settle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwb.proc import Completed
    from hwb.pythons import Interpreter

__all__ = ["UvInstaller"]

_DEFAULTS = {"UV_HTTP_RETRIES": "1", "UV_HTTP_CONNECT_TIMEOUT": "5"}
"""Unless the user sets them: uv's own three retries take 10 s to find out that there is no network, one takes 2 s."""
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_CLIENT_CERT")
_MISLEADING = ("UV_SYSTEM_PYTHON", "UV_BREAK_SYSTEM_PACKAGES", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT", "PYTHONHOME")
"""Variables that would point uv at another environment than the one that is meant."""


@dataclass(frozen=True, slots=True)
class UvInstaller:
    """uv, by its absolute path."""

    uv: str
    name: str = "uv"

    def create(self, path: str, interpreter: Interpreter, params: Sequence[str]) -> None:
        """`uv venv` with that interpreter; raises IsolationError with what uv says."""
        from hwb import proc
        from hwb.context import current

        # seed packages come from an index, which a uv.toml may name; nothing else here needs configuration
        seeded = "--seed" in params
        plain = [] if seeded else ["--no-config"]
        env = _environment(current().outer_env)[0]
        if not seeded:  # nothing is fetched, and uv would read every certificate of the machine each time
            env = {name: value for name, value in env.items() if name not in _CERTIFICATES}
        argv = [self.uv, "venv", "--no-project", *plain, "-q", "--python", interpreter.path, *params, path]
        done = proc.run(argv, env=env, check=False, capture=True, quiet=True)
        if done.return_code:
            raise IsolationError(
                f"uv cannot make an environment with {interpreter.path}",
                detail=done.text,
                remedy="check the parameters of the environment and that its directory can be written",
            )

    def install(
        self, python: str, args: Sequence[str], *, env: Mapping[str, str], offline: bool, silent: bool = False
    ) -> Completed:
        """`uv pip install`; args are handed on as they are."""
        return self._install(python, args, env, offline, silent, None)

    def sync(self, python: str, requirements: str, *, env: Mapping[str, str], offline: bool) -> Completed:
        """Install exactly the pins in that file."""
        args = ["--no-deps", "-r", requirements]
        return self._install(python, args, env, offline, True, os.path.dirname(requirements))

    def _install(
        self, python: str, args: Sequence[str], env: Mapping[str, str], offline: bool, silent: bool, cwd: str | None
    ) -> Completed:
        variables, extra = _environment(env)
        argv = [self.uv, "pip", "install", "--python", python, *extra, *args]
        return settle(
            "uv pip install",
            lambda: execute(argv, env=variables, silent=silent, cwd=cwd),
            lambda: execute([*argv, "--offline"], env=variables, silent=silent, cwd=cwd),
            offline=offline,
        ).done

    def resolve(
        self,
        interpreter: Interpreter,
        requirements: Sequence[str],
        constraints: Sequence[str],
        *,
        env: Mapping[str, str],
        offline: bool,
    ) -> list[str]:
        """The requirements and what they need in turn, as pins for this interpreter and platform."""
        return self.resolve_for(["--python", interpreter.path], requirements, constraints, env=env, offline=offline)

    def resolve_for(
        self,
        selection: Sequence[str],
        requirements: Sequence[str],
        constraints: Sequence[str],
        *,
        env: Mapping[str, str],
        offline: bool,
    ) -> list[str]:
        """The same for the Python and the platform that uv's options `selection` name."""
        from hwb.store import open_store

        variables, extra = _environment(env)
        with open_store().temporary("resolve-") as directory:
            (directory / "in.txt").write_text("\n".join(requirements), encoding="utf-8")
            (directory / "constraints.txt").write_text("\n".join(constraints), encoding="utf-8")
            argv = [self.uv, "pip", "compile", "-q", "--no-header", "--no-annotate", *selection]
            argv += [*extra, "-c", "constraints.txt", "in.txt"]
            where = str(directory)  # outside of any project, whose settings are not meant for tools
            done = settle(
                f"resolving {', '.join(requirements)}",
                lambda: execute(argv, env=variables, capture=True, cwd=where),
                lambda: execute([*argv, "--offline"], env=variables, capture=True, cwd=where),
                offline=offline,
            ).done
        return [line.strip() for line in done.text.splitlines() if line.strip() and not line.startswith("#")]

    def sync_to(
        self, target: str, selection: Sequence[str], requirements: str, *, env: Mapping[str, str], offline: bool
    ) -> Completed:
        """Install exactly the pins of a file into the directory `target`, for what `selection` names."""
        variables, extra = _environment(env)
        argv = [self.uv, "pip", "install", *selection, *extra, "--target", target, "--no-deps", "-r", requirements]
        where = os.path.dirname(requirements)
        return settle(
            "uv pip install",
            lambda: execute(argv, env=variables, silent=True, cwd=where),
            lambda: execute([*argv, "--offline"], env=variables, silent=True, cwd=where),
            offline=offline,
        ).done

    def fetch_python(self, request: str, directory: str, *, env: Mapping[str, str], seconds: float) -> Completed:
        """`uv python install`: nothing when `directory` has what is requested, else one download into it.

        The request is in uv's words, the mirror is the user's (UV_PYTHON_INSTALL_MIRROR, uv.toml). Nothing outside of
        the directory is changed. Raises CommandTimeout.
        """
        from hwb import proc

        variables = {
            **_environment(env)[0],
            "UV_PYTHON_INSTALL_DIR": directory,
            "UV_PYTHON_DOWNLOADS": "manual",
            "UV_PYTHON_INSTALL_BIN": "0",
            "UV_PYTHON_INSTALL_REGISTRY": "0",
        }
        variables.pop("UV_PYTHON_PREFERENCE", None)
        argv = [self.uv, "python", "install", "--no-progress", request]
        return proc.run(argv, env=variables, cwd=directory, check=False, capture=True, quiet=True, timeout=seconds)

    def check(self, python: str, *, env: Mapping[str, str]) -> None:
        """`uv pip check`; raises DependencyError."""
        outcome = execute([self.uv, "pip", "check", "--python", python], env=_environment(env)[0])
        if not outcome.ok:
            raise DependencyError(
                "the installed packages do not fit together",
                detail=outcome.stderr,
                remedy="install versions that fit, or loosen the requirements",
            )


def _environment(env: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """uv's variables and additional arguments: the user's settings for uv, then those for pip, then ours."""
    from hwb.isolation.pipconf import read_pip_settings, uv_arguments, uv_variables

    settings = read_pip_settings(env)
    kept = {name: value for name, value in env.items() if name not in _MISLEADING}
    variables = {**_DEFAULTS, **kept, **uv_variables(settings, env), "UV_PYTHON_DOWNLOADS": "never"}
    return variables, uv_arguments(settings)
