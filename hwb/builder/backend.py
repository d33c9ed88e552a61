"""How is a project's own build backend (PEP 517) asked for an sdist or a wheel?"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hwb.context import current
from hwb.errors import BuildError, CommandFailed, CommandTimeout, ProgramNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hwb.isolation.venv import Venv
    from hwb.project import BuildSystem
    from hwb.pythons import Interpreter

__all__ = ["Backend", "phase"]


@contextmanager
def phase(name: str, detail: str = "") -> Iterator[None]:
    """Tell when a part of a build starts, and how it ended after how many seconds."""
    emit, started = current().emit, time.monotonic()
    emit("phase", name=name, state="started", detail=detail)
    try:
        yield
    except BaseException:
        emit("phase", name=name, state="failed", seconds=time.monotonic() - started, detail=detail)
        raise
    emit("phase", name=name, state="done", seconds=time.monotonic() - started, detail=detail)


def _steady(backend: str, settings: Mapping[str, str | list[str]] | None) -> Mapping[str, str | list[str]] | None:
    """meson-python builds in a directory of random name, and packages write that name into what they install."""
    given = settings or {}
    if backend == "mesonpy" and not {"builddir", "build-dir"} & set(given):
        return {**given, "builddir": ".mesonpy-build"}  # the spelling that every version of it knows
    return settings


class Backend:
    """The backend of one source tree; each hook runs in a process of its own, in a shared environment.

    `place` is the build's own directory, `epoch` the time of the sources in seconds.
    """

    def __init__(
        self,
        source_dir: str,
        system: BuildSystem,
        interpreter: Interpreter,
        place: str,
        epoch: int,
        config_settings: Mapping[str, str | list[str]] | None,
    ) -> None:
        self._source_dir = source_dir
        self._system = system
        self._interpreter = interpreter
        self._place = place
        self._epoch = epoch
        self._settings = _steady(system.backend, config_settings)

    def build(self, kind: str, out_dir: str) -> str:
        """Build "sdist" or "wheel" into an empty directory and return the file's path.

        Raises BuildError (with the end of the backend's output), DependencyError, IsolationError.
        """
        from hwb.isolation.venv import verify_unmodified

        os.makedirs(out_dir)
        with phase("isolation", kind):
            venv = self._environment(kind)
        with phase("build", kind):
            name = self._ask(venv, f"build_{kind}", out_dir)
        verify_unmodified(venv)
        path = os.path.join(out_dir, os.path.basename(str(name)))
        if not os.path.isfile(path):
            what = f"{self._system.backend} says it built {name!r}, but there is no such file"
            raise BuildError(what, remedy="report it to the build backend")
        return path

    def _environment(self, kind: str) -> Venv:
        """With the static requirements ask for the rest; with more of them it is another environment."""
        from hwb.isolation.venv import shared_environment, verify_unmodified

        requires = self._system.requires
        venv = shared_environment(self._interpreter, requires)
        more = self._ask(venv, f"get_requires_for_build_{kind}")
        added = tuple(dict.fromkeys(text for text in more if text not in requires))
        if not added:
            return venv
        verify_unmodified(venv)
        return shared_environment(self._interpreter, (*requires, *added))

    def _ask(self, venv: Venv, hook: str, *arguments: str) -> Any:
        from pyproject_hooks import BackendUnavailable, BuildBackendHookCaller, UnsupportedOperation

        from hwb.builder.hook_runner import HookRunner, hook_environment

        in_tree = bool(self._system.backend_path)
        runner = HookRunner(hook_environment(venv.bin, self._place, self._epoch, in_tree=in_tree))
        caller = BuildBackendHookCaller(
            self._source_dir,
            self._system.backend,
            backend_path=self._system.backend_path or None,
            runner=runner,
            python_executable=venv.python,
        )
        call: Callable[..., Any] = getattr(caller, hook)
        try:
            return call(*arguments, config_settings=self._settings)
        except (CommandTimeout, ProgramNotFound):
            raise
        except CommandFailed as error:
            raise self._failed(hook, error.reason, runner.tail()) from error
        except BackendUnavailable as error:
            raise self._unavailable(error.traceback) from error
        except UnsupportedOperation as error:
            raise self._failed(hook, "is not supported here", error.traceback) from error

    def _failed(self, hook: str, how: str, output: str) -> BuildError:
        from hwb.builder.remedies import remedy_for

        return BuildError(f"{self._system.backend}: {hook} {how}", detail=output, remedy=remedy_for(output))

    def _unavailable(self, traceback: str) -> BuildError:
        from hwb.builder.remedies import remedy_for

        what = f"the build backend {self._system.backend!r} cannot be imported"
        remedy = (
            "correct build-system.build-backend, or add what provides it to build-system.requires in pyproject.toml"
        )
        return BuildError(what, detail=traceback.strip(), remedy=remedy_for(traceback) or remedy)
