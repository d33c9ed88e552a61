"""Is a built distribution what it says it is, and what can be imported from it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwb.wheel.check import check_file, read_metadata, require_valid
    from hwb.wheel.finding import Finding, Severity
    from hwb.wheel.imports import import_names

__all__ = ["Finding", "Severity", "check_file", "import_names", "read_metadata", "require_valid"]

_HOME = {"Finding": "finding", "Severity": "finding", "import_names": "imports"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'hwb.wheel' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"hwb.wheel.{_HOME.get(name, 'check')}"), name)
    return value
