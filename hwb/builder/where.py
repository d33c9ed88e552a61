"""In which place is a project built: on this machine, or in a container, and in which one?

`auto` (ISO-11 to ISO-16): pure Python and other systems than Linux here; extension modules on Linux in a container if
an engine answers and has the image already. It never fetches gigabytes for a build that did not ask for a container.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hwb.context import current
from hwb.errors import HwbError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwb.builder.container_room import ContainerRoom
    from hwb.isolation.docker import DockerConfig
    from hwb.project import Project
    from hwb.repair import RepairOptions

__all__ = ["STRATEGIES", "chosen", "open_room", "repair_of"]

STRATEGIES = ("auto", "venv", "docker", "none")


def chosen(strategy: str, project: Project, config: DockerConfig) -> bool:
    """Whether a project is built in a container. Raises UsageError for an unknown strategy.

    `docker` means it even if there is none: what is missing is said when the container is wanted.
    """
    if strategy not in STRATEGIES:
        raise UsageError(f"there is no isolation {strategy!r}", remedy=f"one of {', '.join(STRATEGIES)}")
    if strategy != "auto":
        return strategy == "docker"
    if sys.platform != "linux" or not project.has_extension_modules:
        return False
    return _is_here(config)


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
                isolation.image(find_engine(config.container_engine))
            return True
        except HwbError as error:
            why = error.what
    text = f"built on this machine ({why}): --isolation docker makes a wheel for other Linux machines"
    current().emit("message", level="debug", text=text)
    return False


@contextmanager
def open_room(config: DockerConfig, project: str, sources: str = "") -> Iterator[ContainerRoom]:
    """The container of a configuration as a room for a project (its directory or another name that stays the same).

    Raises ToolNotFound without an engine, ContainerError, IsolationError and OfflineError for the image.
    """
    from hwb.builder.container_room import ContainerRoom
    from hwb.isolation.docker import DockerIsolation
    from hwb.isolation.engine import find_engine

    isolation = DockerIsolation(config)
    engine = find_engine(config.container_engine)
    image = isolation.image(engine)
    with ContainerRoom(engine, image, project, options=isolation.options(image), sources=sources) as room:
        yield room


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
