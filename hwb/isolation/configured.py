"""What do the settings say of isolation: which container, which virtual environments, which strategy of others?

`[tool.hwb.isolation]` as values of the documented API, for whoever builds (`hwb.builder`, sessions, the matrix).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from hwb.errors import HwbError, InterpreterNotFound, IsolationError, UsageError
from hwb.keys import OTHERS, STRATEGIES, STRATEGY_GROUP, installed_strategies

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.metadata import EntryPoint

    from hwb.config import Settings
    from hwb.isolation.docker import DockerConfig
    from hwb.isolation.protocol import IsolationStrategy
    from hwb.pythons import Interpreter

__all__ = [
    "DOCKER_FIELDS",
    "build_options",
    "combined",
    "docker_config",
    "find_python",
    "load_strategy",
    "require_strategy",
]

DOCKER_FIELDS = {
    "platform": "platform",
    "manylinux": "manylinux",
    "musllinux": "musllinux",
    "image": "image",
    "dockerfile": "dockerfile",
    "architecture": "architecture",
    "oci-platform": "oci_platform",
    "network": "network",
    "memory": "memory_limit",
    "cpus": "cpu_limit",
    "gpu": "gpu",
    "gpu-runtime": "gpu_runtime",
    "gpu-devices": "gpu_devices",
    "mounts": "extra_mounts",
    "env": "extra_env",
    "repair-wheel": "repair_wheel",
    "strip-binaries": "strip_binaries",
    "auditwheel-policy": "auditwheel_policy",
    "auditwheel-exclude": "auditwheel_exclude",
}
"""The keys of `[tool.hwb.isolation.docker]` and the fields of `DockerConfig` that they set (C-04)."""


def docker_config(settings: Settings, root: str = "") -> DockerConfig:
    """The containers that the settings describe; paths in them are relative to `root`, the project.

    The network is off unless they say otherwise (C-01): in the class it is on, as documented.
    """
    from hwb.isolation.docker import DockerConfig

    told = settings.get("isolation.docker")
    fields = {field: told[key] for key, field in DOCKER_FIELDS.items() if told[key] is not None}
    fields |= {name: tuple(fields[name]) for name in ("gpu_devices", "auditwheel_exclude")}
    fields["extra_mounts"] = {_absolute(root, place): inside for place, inside in fields["extra_mounts"].items()}
    if "dockerfile" in fields:
        fields["dockerfile"] = _absolute(root, fields["dockerfile"])
    return DockerConfig(**fields, container_engine=settings.get("container-engine"))


def combined(config: DockerConfig, asked: Mapping[str, Any]) -> DockerConfig:
    """The configuration with what a command line asks for in the place of what it contradicts.

    Raises UsageError where it asks for glibc and musl at once.
    """
    from dataclasses import replace

    if {"manylinux", "musllinux"} <= asked.keys():
        raise UsageError("--manylinux and --musllinux: a wheel is for one of them", remedy="leave one out")
    instead: dict[str, Any] = {}
    for family, other in (("manylinux", "musllinux"), ("musllinux", "manylinux")):
        if family in asked or asked.get("platform") == family:
            instead |= {"platform": family, other: "", "image": None, "dockerfile": None, "auditwheel_policy": ""}
    if "dockerfile" in asked:
        instead["image"] = None
    if "architecture" in asked:
        instead["oci_platform"] = ""
    return replace(config, **{**instead, **asked})


def build_options(settings: Settings, *, platform: str = sys.platform) -> dict[str, Any]:
    """What the settings say of build environments, as fields of `hwb.builder.options.BuildOptions`.

    On Windows those for Windows count before the plain ones. Unset, `cache-envs` is true: shared environments are
    verified after every use.
    """
    return {
        "backend": "" if settings.get("isolation.venv.use-uv") else "virtualenv|venv",
        "fresh": settings.get("isolation.venv.cache-envs") is False,
        "env": _venv_env(settings, platform),
    }


def _venv_env(settings: Settings, platform: str) -> dict[str, str]:
    more = settings.get("isolation.venv.windows.env") if platform == "win32" else {}
    return {**settings.get("isolation.venv.env"), **more}


def _venv_path(settings: Settings, root: str, platform: str) -> str:
    own = settings.get("isolation.venv.windows.python-path") if platform == "win32" else None
    path = own or settings.get("isolation.venv.python-path")
    return _absolute(root, path) if path else ""


def _absolute(root: str, path: str) -> str:
    return os.path.abspath(os.path.join(root, os.path.expanduser(path)))


def find_python(
    settings: Settings,
    wanted: str | None = None,
    *,
    requires_python: str = "",
    root: str = "",
    platform: str = sys.platform,
) -> Interpreter:
    """The interpreter that a request means: the configured `python-path` where it is that, else `pythons.find`.

    Nothing else is looked at where nothing is asked for. Raises InterpreterNotFound for a path that is no Python, or
    none that the project allows; and as `pythons.find`.
    """
    from pathlib import Path

    from hwb import pythons

    path = _venv_path(settings, root, platform)
    if not path or (wanted and Path(wanted).expanduser().is_absolute()):
        return pythons.find(wanted, requires_python=requires_python)
    configured = pythons.find(None, python_path=path)
    try:
        return pythons.find(wanted, requires_python=requires_python, python_path=configured.path)
    except InterpreterNotFound:
        if not wanted:
            raise
        return pythons.find(wanted, requires_python=requires_python)


# ------------------------------------------------------------------------------------- the strategies of others


def require_strategy(name: str) -> str:
    """The name of a strategy that there is; installed ones are looked up only for one that is none of hwb's own.

    Raises UsageError that lists them.
    """
    if name not in STRATEGIES:
        installed = installed_strategies()
        if name not in installed:
            remedy = f"one of {', '.join((*STRATEGIES, *installed))}"
            raise UsageError(f"there is no isolation {name!r}", remedy=remedy)
    return name


def load_strategy(name: str, settings: Settings) -> IsolationStrategy:
    """An installed strategy, made with its table `[tool.hwb.isolation.NAME]` where it takes a `config`.

    Raises UsageError for a name that there is not, IsolationError for one that cannot be loaded or made.
    """
    from importlib.metadata import entry_points

    require_strategy(name)
    entry = next(iter(entry_points(group=STRATEGY_GROUP, name=name)))
    told = settings.get(OTHERS).get(name, {})
    try:
        made: IsolationStrategy = _made(entry, told)
    except HwbError:
        raise
    except Exception as error:  # other people's code: whatever it raises is theirs to correct, and has to name them
        what = f"the isolation strategy {name!r} cannot be loaded: {type(error).__name__}: {error}"
        raise IsolationError(what, where=entry.value, remedy=_theirs(entry)) from error
    missing = [method for method in ("create_environment", "check_available") if not hasattr(made, method)]
    if missing:
        what = f"the isolation strategy {name!r} has no {' and no '.join(missing)}"
        raise IsolationError(what, where=entry.value, remedy=_theirs(entry))
    return made


def _made(entry: EntryPoint, told: Mapping[str, Any]) -> Any:
    from inspect import signature

    factory = entry.load()
    if callable(factory) and "config" in signature(factory).parameters:
        return factory(config=dict(told))
    if told:
        what = f"the isolation strategy {entry.name!r} takes no settings"
        raise UsageError(what, remedy=f"delete [tool.hwb.isolation.{entry.name}]")
    return factory() if callable(factory) else factory  # an object that is a strategy already


def _theirs(entry: EntryPoint) -> str:
    return f"report it to the distribution {entry.dist.name if entry.dist is not None else 'that offers it'}"
