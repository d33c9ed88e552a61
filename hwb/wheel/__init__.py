"""Is a built distribution what it says it is, and what can be imported from it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwb.wheel.check import Finding, Severity, check_file, import_names, read_metadata, require_valid

__all__ = ["Finding", "Severity", "check_file", "import_names", "read_metadata", "require_valid"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'hwb.wheel' has no attribute {name!r}")
    from hwb.wheel import check

    value = globals()[name] = getattr(check, name)
    return value
