"""Who builds the project, and what must be installed for that (PEP 517, PEP 518)?"""

from __future__ import annotations

from typing import Any, NamedTuple

from hwb.analysis.pyproject import Table, place_of
from hwb.analysis.requirements import requirement_problem
from hwb.errors import AnalyzeError

__all__ = ["LEGACY_BACKEND", "LEGACY_REQUIRES", "BuildSystem", "read_build_system"]

LEGACY_BACKEND = "setuptools.build_meta:__legacy__"
"""PEP 517: builds what has no build-backend as `setup.py` did, with the project's directory importable."""
LEGACY_REQUIRES = ("setuptools>=40.8.0",)
"""The oldest setuptools with that backend; it asks for wheel itself where it needs it."""


class BuildSystem(NamedTuple):  # no dataclass: reading a project would take twice as long for their import alone
    """The backend as module path `module[:object]`, its static requirements (PEP 508), its in-tree folders."""

    requires: tuple[str, ...]
    backend: str
    backend_path: tuple[str, ...]


def read_build_system(path: str, data: dict[str, Any]) -> BuildSystem:
    """What frontends must do: without a table setuptools, without build-backend its legacy backend with these requires.

    Raises AnalyzeError for what PEP 517 and PEP 518 forbid.
    """
    if "build-system" not in data:
        return BuildSystem(LEGACY_REQUIRES, LEGACY_BACKEND, ())
    table = Table(path, data["build-system"], "build-system")
    if "requires" not in table.values:
        remedy = 'add requires = [...]; for setuptools: requires = ["setuptools"]'
        where = place_of(path, "build-system")
        raise AnalyzeError("build-system.requires is missing (PEP 518)", where=where, remedy=remedy)
    requires, backend, backend_path = table.texts("requires"), table.text("build-backend"), table.texts("backend-path")
    for text in requires:
        if problem := requirement_problem(text):
            raise table.wrong("requires", f"has an entry that is no requirement (PEP 508): {text!r}: {problem}")
    if backend is None:
        if backend_path:
            raise table.wrong("backend-path", "is given without build-backend (PEP 517)")
        return BuildSystem(requires, LEGACY_BACKEND, ())
    for part in backend_path:
        if part.startswith(("/", "\\")) or part[1:2] == ":" or ".." in part.replace("\\", "/").split("/"):
            raise table.wrong("backend-path", f"must stay inside the project (PEP 517): {part!r}")
    return BuildSystem(requires, backend, backend_path)
