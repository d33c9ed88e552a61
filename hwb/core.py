"""What do programs that analyse and build projects import? The documented names of `core`, loaded when used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwb.builder.api import BuildResult
    from hwb.builder.facade import BuildEngine
    from hwb.project import ProjectAnalyzer, ProjectMetadata
    from hwb.source import ResolvedSource, SourceResolver, SourceSpec, SourceType

_HOME = {
    "BuildEngine": "hwb.builder.facade",
    "BuildResult": "hwb.builder.api",
    "ProjectAnalyzer": "hwb.project",
    "ProjectMetadata": "hwb.project",
    "ResolvedSource": "hwb.source",
    "SourceResolver": "hwb.source",
    "SourceSpec": "hwb.source",
    "SourceType": "hwb.source",
}

__all__ = [
    "BuildEngine",
    "BuildResult",
    "ProjectAnalyzer",
    "ProjectMetadata",
    "ResolvedSource",
    "SourceResolver",
    "SourceSpec",
    "SourceType",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hwb.core' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
