"""Which isolation strategies are there? The documented names, each loaded when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwb.isolation.docker import DockerConfig, DockerIsolation
    from hwb.isolation.protocol import BuildEnvironment, IsolationStrategy
    from hwb.isolation.venv import VenvConfig, VenvIsolation

__all__ = [
    "BuildEnvironment",
    "DockerConfig",
    "DockerIsolation",
    "IsolationStrategy",
    "VenvConfig",
    "VenvIsolation",
]

_HOME = {
    "DockerConfig": "hwb.isolation.docker",
    "DockerIsolation": "hwb.isolation.docker",
    "BuildEnvironment": "hwb.isolation.protocol",
    "IsolationStrategy": "hwb.isolation.protocol",
    "VenvConfig": "hwb.isolation.venv",
    "VenvIsolation": "hwb.isolation.venv",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hwb.isolation' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
