"""How does a wheel that runs on the machine that built it become one that runs on others?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwb.repair.api import repair_each, repair_wheels
    from hwb.repair.outcome import Bundled, Repaired, RepairOptions
    from hwb.repair.tools import Tool, host_tool
    from hwb.wheel.rules_platform import claimed_against_real

__all__ = [
    "Bundled",
    "RepairOptions",
    "Repaired",
    "Tool",
    "claimed_against_real",
    "host_tool",
    "repair_each",
    "repair_wheels",
]

_HOME = {
    "Bundled": "hwb.repair.outcome",
    "RepairOptions": "hwb.repair.outcome",
    "Repaired": "hwb.repair.outcome",
    "Tool": "hwb.repair.tools",
    "claimed_against_real": "hwb.wheel.rules_platform",
    "host_tool": "hwb.repair.tools",
    "repair_each": "hwb.repair.api",
    "repair_wheels": "hwb.repair.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hwb.repair' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value
