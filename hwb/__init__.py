"""What does `import hwb` offer? The decorator, the session, errors and entry points, each loaded when first used."""

from __future__ import annotations

TYPE_CHECKING = False
__version__ = "0.1.0"

if TYPE_CHECKING:
    from typing import Any

    from hwb.artifacts import Artifact
    from hwb.builder.api import BuildResult, build
    from hwb.builder.facade import BuildEngine
    from hwb.declare import param, parametrize, recipe
    from hwb.errors import (
        BuildError,
        Cancelled,
        CommandFailed,
        ConflictError,
        DependencyError,
        HwbError,
        IsolationError,
        ValidationError,
    )
    from hwb.runner.api import RunResult, run
    from hwb.session import Session

_HOME = {
    "Artifact": "hwb.artifacts",
    "BuildEngine": "hwb.builder.facade",
    "BuildError": "hwb.errors",
    "BuildResult": "hwb.builder.api",
    "Cancelled": "hwb.errors",
    "CommandFailed": "hwb.errors",
    "ConflictError": "hwb.errors",
    "DependencyError": "hwb.errors",
    "HwbError": "hwb.errors",
    "IsolationError": "hwb.errors",
    "RunResult": "hwb.runner.api",
    "Session": "hwb.session",
    "ValidationError": "hwb.errors",
    "build": "hwb.builder.api",
    "param": "hwb.declare",
    "parametrize": "hwb.declare",
    "recipe": "hwb.declare",
    "run": "hwb.runner.api",
}

__all__ = [
    "Artifact",
    "BuildEngine",
    "BuildError",
    "BuildResult",
    "Cancelled",
    "CommandFailed",
    "ConflictError",
    "DependencyError",
    "HwbError",
    "IsolationError",
    "RunResult",
    "Session",
    "ValidationError",
    "__version__",
    "build",
    "param",
    "parametrize",
    "recipe",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hwb' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
