"""In which place is a project built: on this machine, or in a container, and in which one?

`auto` (ISO-11 to ISO-16): pure Python and other systems than Linux here; extension modules on Linux in a container if
an engine answers and has the image already. It never fetches gigabytes for a build that did not ask for a container.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from hwb.context import current
from hwb.errors import HwbError, IsolationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hwb.builder.container_room import ContainerRoom
    from hwb.builder.options import Prepared
    from hwb.isolation.docker import DockerConfig
    from hwb.isolation.protocol import BuildEnvironment, IsolationStrategy
    from hwb.project import Project
    from hwb.pythons import Interpreter
    from hwb.repair import RepairOptions

__all__ = ["chosen", "open_room", "prepared_of", "repair_of", "strategy_environments", "wanted_strategy"]

T = TypeVar("T")


def wanted_strategy(asked: str | None, configured: str, *, isolated: bool) -> str:
    """The strategy's name: what was asked for, else the configured one; not `isolated` is another word for none.

    Raises UsageError for a strategy that there is not, and for two that contradict each other.
    """
    from hwb.isolation.configured import require_strategy

    if not isolated and asked not in (None, "none"):
        what = f"--no-isolation and --isolation {asked} contradict each other"
        raise UsageError(what, remedy="leave one of them out")
    return require_strategy(asked or configured) if isolated else "none"


def chosen(strategy: str, project: Project, config: DockerConfig) -> bool:
    """Whether a project is built in a container; of `auto` the reason is told.

    `docker` means it even if there is none: what is missing is said when the container is wanted.
    """
    if strategy != "auto":
        return strategy == "docker"
    if sys.platform != "linux":
        return _because(False, "containers are for Linux")
    if not project.has_extension_modules:
        return _because(False, "it has no extension modules")
    return _is_here(config)


def _because(container: bool, why: str) -> bool:
    place = "in a container" if container else "in a virtual environment"
    current().emit("message", level="debug", text=f"isolation auto: built {place}, since {why}")
    return container


def _is_here(config: DockerConfig) -> bool:
    """Whether an engine answers and has the image; where not, a person is told how to get a portable wheel."""
    from hwb.context import use
    from hwb.isolation.docker import DockerIsolation
    from hwb.isolation.engine import find_engine

    isolation = DockerIsolation(config)
    why = "no container engine answers"
    if isolation.available():
        try:
            with use(current().but(offline=True)):
                image = isolation.image(find_engine(config.container_engine))
            return _because(True, f"it has extension modules and the image {image.reference} is here")
        except HwbError as error:
            why = error.what
    text = f"built on this machine ({why}): --isolation docker makes a wheel for other Linux machines"
    current().emit("message", level="info", text=text)
    return False


@contextmanager
def open_room(config: DockerConfig, project: str, sources: str = "", *, keeps: bool = False) -> Iterator[ContainerRoom]:
    """The container of a configuration as a room for a project (its directory or another name that stays the same).

    What fails in it calls its `fail`; `keeps` lets it stay then.

    Raises ToolNotFound without an engine, ContainerError, IsolationError and OfflineError for the image.
    """
    from hwb.builder.container_room import ContainerRoom
    from hwb.isolation.docker import DockerIsolation
    from hwb.isolation.engine import find_engine

    isolation = DockerIsolation(config)
    engine = find_engine(config.container_engine)
    image = isolation.image(engine)
    options = isolation.options(image)
    env = config.extra_env
    with ContainerRoom(engine, image, project, options=options, environ=env, sources=sources, keeps=keeps) as room:
        yield room


@contextmanager
def strategy_environments(
    name: str, strategy: IsolationStrategy, pythons: Sequence[str], requirements: Sequence[str]
) -> Iterator[list[BuildEnvironment]]:
    """Environments that an installed strategy makes, one for each Python; cleaned up in every case.

    Raises IsolationError when the strategy is not available or does not keep its promises, and what it raises itself.
    """
    from contextlib import ExitStack

    from hwb.context import CancelToken, use
    from hwb.isolation.protocol import EventLoop

    with ExitStack() as stack:
        loop = stack.enter_context(EventLoop())
        if not _theirs(name, lambda: loop.run(strategy.check_available())):
            raise IsolationError(f"the isolation strategy {name!r} is not available on this machine")

        def make(python: str) -> BuildEnvironment:
            one = _theirs(name, lambda: loop.run(strategy.create_environment(python, list(requirements))))
            stack.callback(clean, one)
            return one

        def clean(one: BuildEnvironment) -> None:
            with use(current().but(token=CancelToken())):  # also where the run was called off
                _theirs(name, lambda: loop.run(one.cleanup()))

        yield [make(python) for python in pythons]


def _theirs(name: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except HwbError:
        raise
    except Exception as error:  # other people's code: whatever it raises is theirs to correct, and has to name them
        from traceback import format_exc

        what = f"the isolation strategy {name!r} failed: {type(error).__name__}: {error}"
        raise IsolationError(what, detail=format_exc()) from error


def prepared_of(environment: BuildEnvironment) -> tuple[Interpreter, Prepared]:
    """The interpreter of an environment, and what hooks in it get.

    Of its variables only those that are other than this machine's: a copy of these may hold secrets. Raises
    InterpreterNotFound where its Python is none.
    """
    from hwb import pythons
    from hwb.builder.options import Prepared

    outer, path = current().outer_env, str(environment.python_path)
    changed = {name: value for name, value in environment.env_vars.items() if outer.get(name) != value}
    return pythons.find(path), Prepared(path, changed)


def repair_of(config: DockerConfig, policy: str) -> RepairOptions | None:
    """How wheels of a container get their tag; `policy` is the image's own, which a configured one replaces."""
    from hwb.repair import RepairOptions

    if not config.repair_wheel:
        return None
    return RepairOptions(
        policy=config.auditwheel_policy or _asked(config) or policy,
        exclude=tuple(config.auditwheel_exclude),
        strip=config.strip_binaries,
        pure=True,
    )


def _asked(config: DockerConfig) -> str:
    """manylinux_2_35 where that was asked for and an older image stands in (C-02); an image of one's own decides."""
    if config.image or config.dockerfile:
        return ""
    if config.musllinux and config.platform != "manylinux":
        return config.musllinux if config.musllinux.startswith("musllinux") else f"musllinux_{config.musllinux}"
    named = config.manylinux
    if not named or named.startswith("manylinux"):
        return named
    return f"manylinux{named}" if named.isdigit() else f"manylinux_{named}"
