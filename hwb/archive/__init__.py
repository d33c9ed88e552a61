"""How are wheels, sdists and source archives read when nobody knows who made them?

One zip reader and one tar reader, both our own: what the running Python's `zipfile` and `tarfile` accept changes with
its patch level. A file that two readers could read in two ways, or whose members could write outside of their place,
is refused with the exact entry. Everything here is imported when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwb.archive.extract import extract_archive, extract_sdist
    from hwb.archive.limits import Limits
    from hwb.archive.members import Member
    from hwb.archive.names import name_problem
    from hwb.archive.tars import SdistReader, open_sdist
    from hwb.archive.zips import WheelReader, open_wheel

__all__ = [
    "Limits",
    "Member",
    "SdistReader",
    "WheelReader",
    "extract_archive",
    "extract_sdist",
    "name_problem",
    "open_sdist",
    "open_wheel",
]

_HOME = {
    "Limits": "limits",
    "Member": "members",
    "SdistReader": "tars",
    "WheelReader": "zips",
    "extract_archive": "extract",
    "extract_sdist": "extract",
    "name_problem": "names",
    "open_sdist": "tars",
    "open_wheel": "zips",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hwb.archive' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"hwb.archive.{_HOME[name]}"), name)
    return value
