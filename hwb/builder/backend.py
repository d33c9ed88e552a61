"""How is a project's own build backend (PEP 517) asked for an sdist or a wheel?"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hwb.builder.asked import Asked
from hwb.context import current
from hwb.errors import BuildError, CommandFailed, CommandTimeout, ProgramNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hwb.builder.options import BuildOptions
    from hwb.isolation.venv import Venv
    from hwb.project import BuildSystem

    ConfigSettings = Mapping[str, str | list[str]]

__all__ = ["Backend", "phase"]


@contextmanager
def phase(name: str, detail: str = "") -> Iterator[None]:
    """Tell when a part of a build starts, and how it ended after how many seconds."""
    emit, started = current().emit, time.monotonic()
    header = " ".join(filter(None, ("==", name, detail)))
    current().log.write(f"{header}\n")
    emit("phase", name=name, state="started", detail=detail)
    try:
        yield
    except BaseException:
        current().log.write(f"{header}: failed\n")
        emit("phase", name=name, state="failed", seconds=time.monotonic() - started, detail=detail)
        raise
    emit("phase", name=name, state="done", seconds=time.monotonic() - started, detail=detail)


def _steady(backend: str, settings: ConfigSettings | None) -> dict[str, Any] | None:
    """meson-python builds in a directory of random name, and packages write that name into what they install."""
    given = dict(settings or {})
    if backend == "mesonpy" and not {"builddir", "build-dir"} & set(given):
        return {**given, "builddir": ".mesonpy-build"}  # the spelling that every version of it knows
    return given or None


class Backend:
    """The backend of one source tree; each hook runs in a process of its own.

    `place` is the build's own directory, `epoch` the time of the sources in seconds, `environments` makes or finds the
    environment that has some requirements. A backend that `only_reads` answers what it requires and builds in one and
    the same process: its answer comes from files alone. `identity` stands for the project and the interpreter: what
    hooks asked for is remembered under it.
    """

    def __init__(
        self,
        source_dir: str,
        system: BuildSystem,
        environments: Callable[[Sequence[str]], Venv],
        place: str,
        epoch: int,
        *,
        extra_env: Mapping[str, str] | None = None,
        first_on_path: str = "",
        only_reads: bool = False,
        identity: str = "",
        options: BuildOptions,
    ) -> None:
        self._source_dir = source_dir
        self._system = system
        self._environments = environments
        self._place = place
        self._epoch = epoch
        self._settings = _steady(system.backend, options.config_settings)
        self._isolated = options.isolated
        self._options = options
        self._extra_env = extra_env or {}
        self._first_on_path = first_on_path
        self._only_reads = only_reads
        self._identity = identity
        self._tail = ""

    def build(self, kind: str, out_dir: str) -> str:
        """Build "sdist" or "wheel" into an empty directory and return the file's path.

        Raises BuildError (with the end of the backend's output), DependencyError, IsolationError.
        """
        os.makedirs(out_dir)
        name = self._built_at_once(kind, out_dir) if self._forks() else self._built_in_two(kind, out_dir)
        path = os.path.join(out_dir, os.path.basename(str(name)))
        if not os.path.isfile(path):
            what = f"{self._system.backend} says it built {name!r}, but there is no such file"
            raise BuildError(what, remedy="report it to the build backend")
        return path

    def _forks(self) -> bool:
        from hwb.builder.zygote import available

        return self._isolated and available(current().outer_env)

    def _built_at_once(self, kind: str, out_dir: str) -> Any:
        """Ask for more requirements and build in one go; only when there are new ones, build in another environment."""
        requires = self._system.requires
        first = f"get_requires_for_build_{kind}"
        asked = Asked(self._identity, kind, requires)
        with phase("isolation", kind):
            venv = self._environments((*requires, *asked.expected))
        with phase("build", kind):
            answer = self._run(venv, f"build_{kind}", out_dir, first=first, expected=asked.expected)
            if "before" not in answer:
                return self._value(f"build_{kind}", answer)
            if not asked.expected:
                added = self._added(first, answer["before"])
        if asked.expected:  # it asks for something else now, or for nothing where that is there already
            asked.unsteady()
            return self._built_at_once(kind, out_dir)
        asked.remember(answer["before"]["value"])
        with phase("isolation", kind):
            venv = self._environments((*requires, *added))
        with phase("build", kind):
            return self._ask(venv, f"build_{kind}", out_dir)

    def _added(self, hook: str, answer: dict[str, Any]) -> tuple[str, ...]:
        if "code" in answer:
            how = f"exit code {answer['code']}" if answer["code"] >= 0 else f"signal {-answer['code']}"
            raise self._failed(hook, f"ended with {how}", self._tail)
        return tuple(dict.fromkeys(self._texts(hook, self._value(hook, answer))))

    def _texts(self, hook: str, more: Any) -> list[str]:
        if not isinstance(more, list) or not all(isinstance(text, str) for text in more):
            what = f"{self._system.backend}: {hook} answered {more!r}, not a list of texts"
            raise BuildError(what, remedy="report it to the build backend")
        return more

    def _built_in_two(self, kind: str, out_dir: str) -> Any:
        with phase("isolation", kind):
            venv = self._environment(kind)
        with phase("build", kind):
            return self._ask(venv, f"build_{kind}", out_dir)

    def _environment(self, kind: str) -> Venv:
        """With the static requirements ask for the rest; with more of them it is another environment."""
        requires = self._system.requires
        venv = self._environments(requires)
        if not self._isolated:
            return venv
        hook = f"get_requires_for_build_{kind}"
        more = self._texts(hook, self._ask(venv, hook))
        added = tuple(dict.fromkeys(text for text in more if text not in requires))
        if not added:
            return venv
        return self._environments((*requires, *added))

    def _ask(self, venv: Venv, hook: str, *arguments: str) -> Any:
        """What a hook returns. Raises BuildError."""
        return self._value(hook, self._run(venv, hook, *arguments))

    def _run(
        self, venv: Venv, hook: str, *arguments: str, first: str = "", expected: Sequence[str] = ()
    ) -> dict[str, Any]:
        """The answer of one hook, of `first` before it if that is given (see `in_process.py`)."""
        from hwb.builder.hook_env import hook_environment
        from hwb.builder.hooks import HookRunner

        in_tree = bool(self._system.backend_path)
        options = self._options
        room = options.room
        environ = hook_environment(
            venv.bin,
            self._place,
            self._epoch,
            in_tree=in_tree,
            more=options.env_pass,
            room=None if room is None else room.environ,
            first=self._first_on_path,
        )
        shared = self._isolated and not options.prepared
        name = os.path.basename(venv.path) if shared else ""
        runner = HookRunner(venv.python, name, {**environ, **self._extra_env}, self._place, room=room)
        job = {
            "hook": hook,
            "backend": self._system.backend,
            "backend_path": list(self._system.backend_path),
            "source_dir": self._source_dir,
            "arguments": list(arguments),
            "config_settings": self._settings,
            "first": first,
            "aside": not self._only_reads,
            "known": list(self._system.requires),
            "expected": list(expected),
        }
        try:
            answer = runner.run(job, in_tree=in_tree)
        except (CommandTimeout, ProgramNotFound):
            raise
        except CommandFailed as error:
            raise self._failed(hook, error.reason, runner.tail()) from error
        self._tail = runner.tail() if "before" in answer else ""
        return answer

    def _value(self, hook: str, answer: dict[str, Any]) -> Any:
        """What a hook returned; BuildError when there was none to call."""
        if "unavailable" in answer:
            raise self._unavailable(answer["unavailable"])
        if "unsupported" in answer:
            raise self._failed(hook, "is not supported here", answer["unsupported"])
        if "missing" in answer:
            remedy = "report it to the build backend, or correct build-system.build-backend in pyproject.toml"
            raise BuildError(f"{self._system.backend} has no hook {hook}, which PEP 517 demands", remedy=remedy)
        return answer["value"]

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
