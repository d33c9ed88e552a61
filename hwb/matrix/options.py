"""Which options hold for one target?"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwb.errors import ConfigError
from hwb.matrix.environment import assignments
from hwb.matrix.forms import fields, pairs
from hwb.matrix.layers import REPAIRS, Found, Layer, look_up
from hwb.matrix.selectors import matches
from hwb.target import System

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["FRONTENDS", "TargetOptions", "engine_of", "image_option", "target_options"]

FRONTENDS = ("hwb", "build", "build[uv]", "uv", "pip", "pyodide-build")


@dataclass(frozen=True, slots=True, repr=False)
class TargetOptions:
    """What is done for one target beside building it; commands may hold `{project}`, `{package}`, `{wheel}`.

    `environment` and `test_environment` are `(name, shell word)` pairs: see `hwb.matrix.environment.evaluate`.
    `repair_command` is None for hwb's own repair, and empty for none. `build_frontend` is empty for hwb's own choice;
    `container_engine` is empty for the setting's. `image` is what was asked for: a policy's name or a reference; empty
    for the default. `test_skip_archs` are the halves of a universal2 wheel that are not tested.
    """

    before_all: str = ""
    before_build: str = ""
    before_test: str = ""
    test_command: str = ""
    test_sources: tuple[str, ...] = ()
    test_requires: tuple[str, ...] = ()
    test_extras: tuple[str, ...] = ()
    test_groups: tuple[str, ...] = ()
    test_environment: tuple[tuple[str, str], ...] = ()
    test_skip: bool = False
    test_skip_archs: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    environment_pass: tuple[str, ...] = ()
    config_settings: tuple[tuple[str, str], ...] = ()
    build_frontend: str = ""
    build_frontend_args: tuple[str, ...] = ()
    build_verbosity: int = 0
    repair_command: str | None = None
    audit: bool = True
    container_engine: str = ""
    image: str = ""
    image_where: str = ""
    network: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain data of what is not the default."""
        plain = TargetOptions()
        found = {name: getattr(self, name) for name in self.__slots__ if name != "image_where"}
        return {
            name: [list(one) if isinstance(one, tuple) else one for one in value] if isinstance(value, tuple) else value
            for name, value in found.items()
            if value != getattr(plain, name)
        }


def engine_of(layers: Sequence[Layer], identifier: str) -> str:
    """Who builds a wheel: `hwb` or `cibuildwheel`."""
    return look_up("engine", layers, identifier).text or "hwb"


def image_option(family: str, arch: str) -> str:
    """The option that names the image of a family and architecture."""
    return f"{family}-{arch}-image"


def target_options(
    layers: Sequence[Layer], system: System, identifier: str = "", family: str = "", arch: str = ""
) -> TargetOptions:
    """Merge all places for one identifier (none: a wheel that needs no target). Raises ConfigError with the place."""

    def get(name: str) -> Found:
        return look_up(name, layers, identifier)

    frontend, arguments = _frontend(get("build-frontend"))
    image = get(image_option(family, arch)) if system is System.LINUX and family else Found("")
    skip = look_up("test-skip", layers).text
    halves = ("x86_64", "arm64") if identifier.endswith("-macosx_universal2") else ()
    skipped = tuple(half for half in halves if matches(skip, f"{identifier}:{half}"))
    return TargetOptions(
        before_all=get("before-all").text,
        before_build=get("before-build").text,
        before_test=get("before-test").text,
        test_command=get("test-command").text,
        test_sources=_shell_words(get("test-sources"), "test-sources"),
        test_requires=_shell_words(get("test-requires"), "test-requires"),
        test_extras=tuple(one.strip() for one in get("test-extras").text.split(",") if one.strip()),
        test_groups=tuple(get("test-groups").text.split()),
        test_environment=assignments(*get("test-environment")),
        test_skip=bool(identifier) and matches(skip, identifier),
        test_skip_archs=skipped,
        environment=assignments(*get("environment")),
        environment_pass=tuple(get("environment-pass").text.split()),
        config_settings=_checked(pairs, get("config-settings"), "config-settings"),
        build_frontend=frontend,
        build_frontend_args=arguments,
        build_verbosity=_verbosity(get("build-verbosity")),
        repair_command=_repair(get("repair-wheel-command"), system),
        audit=bool(get("audit-command").text),
        container_engine=_engine(get("container-engine")),
        image=image.text,
        image_where=image.where,
        network=_network(get("network")),
    )


def _shell_words(found: Found, name: str) -> tuple[str, ...]:
    return _checked(shlex.split, found, name)


def _checked(read: Callable[[str], list[Any]], found: Found, name: str) -> tuple[Any, ...]:
    try:
        return tuple(read(found.text))
    except ValueError as error:
        raise ConfigError(f"{name}: {error}", where=found.where) from error


def _frontend(found: Found) -> tuple[str, tuple[str, ...]]:
    """`build`, `build; args: --no-isolation`, or empty for the default."""
    if found.text in ("", "default"):
        return "", ()
    try:
        parts = fields(found.text, "name")
    except ValueError as error:
        raise ConfigError(f"build-frontend {error}", where=found.where) from error
    name = " ".join(parts.get("name", ()))
    if name not in FRONTENDS or parts.keys() - {"name", "args"}:
        remedy = f"write one of {', '.join(FRONTENDS)}, or a table with name and args"
        raise ConfigError(f"build-frontend cannot be {found.text!r}", where=found.where, remedy=remedy)
    return name, tuple(parts.get("args", ()))


def _verbosity(found: Found) -> int:
    try:
        return min(3, max(-3, int(found.text)))
    except ValueError as error:
        raise ConfigError(f"build-verbosity must be a number, not {found.text!r}", where=found.where) from error


def _repair(found: Found, system: System) -> str | None:
    return None if not found.where or found.text == REPAIRS.get(system) else found.text


def _engine(found: Found) -> str:
    """The engine's name; its arguments are refused elsewhere (`NOT_HONOURED`)."""
    return found.text.split(";")[0].strip().removeprefix("name:").strip("' ") if found.where else ""


def _network(found: Found) -> bool:
    if found.text not in ("", "True", "False"):
        raise ConfigError("network must be true or false", where=found.where)
    return found.text == "True"
