"""What can be known about a project without running any of its code?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from hwb.analysis.buildsystem import LEGACY_BACKEND, BuildSystem, read_build_system
from hwb.analysis.pyproject import MARKERS, Table, load
from hwb.analysis.requirements import specifier_problem
from hwb.errors import AnalyzeError

if TYPE_CHECKING:
    from hwb.analysis.guidance import Advice
    from hwb.analysis.metadata import BuildBackend, ProjectAnalyzer, ProjectMetadata, analyze_project

__all__ = [
    "LEGACY_BACKEND",
    "MARKERS",
    "Advice",
    "BuildBackend",
    "BuildSystem",
    "Project",
    "ProjectAnalyzer",
    "ProjectMetadata",
    "analyze_project",
    "find_root",
    "read_project",
]

_HOME = {
    "Advice": "hwb.analysis.guidance",
    "BuildBackend": "hwb.analysis.metadata",
    "ProjectAnalyzer": "hwb.analysis.metadata",
    "ProjectMetadata": "hwb.analysis.metadata",
    "analyze_project": "hwb.analysis.metadata",
}


def __getattr__(name: str) -> Any:
    """The whole analysis is imported when it is asked for: every build reads a project, few analyse one."""
    if name not in _HOME:
        raise AttributeError(f"module 'hwb.project' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


class Project(NamedTuple):  # no dataclass: see BuildSystem
    """What the files say; `name` and `version` are None where only the backend knows them.

    `has_extension_modules` is what backend, requirements and setup.py tell; sources are not looked at.
    """

    root: str
    name: str | None
    version: str | None
    requires_python: str
    build_system: BuildSystem
    has_pyproject: bool
    has_setup_py: bool
    has_setup_cfg: bool
    has_extension_modules: bool


def find_root(start: str | os.PathLike[str]) -> str | None:
    """The nearest directory from `start` upwards that is a project."""
    folder = os.path.abspath(start)
    while True:
        if any(os.path.isfile(os.path.join(folder, marker)) for marker in MARKERS):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def read_project(root: str | os.PathLike[str]) -> Project:
    """What an engine must know before it builds, in milliseconds; setup.cfg and setup.py only where they are asked.

    Raises AnalyzeError with file and line when a file is missing or malformed (PEP 517, PEP 518, PEP 621, PEP 440).
    """
    from hwb.analysis.extensions import declared

    folder = os.path.abspath(root)
    has_pyproject, has_setup_py, has_setup_cfg = (os.path.isfile(os.path.join(folder, marker)) for marker in MARKERS)
    if not (has_pyproject or has_setup_py or has_setup_cfg):
        what = f"no pyproject.toml, setup.py or setup.cfg in {folder}"
        raise AnalyzeError(what, remedy="run hwb in a Python project, or name one with --directory")
    path = os.path.join(folder, "pyproject.toml")
    data = load(path) if has_pyproject else {}
    system = read_build_system(path, data)
    found = _static(path, data)
    if system.backend.startswith("setuptools.") and (has_setup_py or has_setup_cfg):
        found = _completed(folder, data, found)
    compiles = declared(folder, system.backend, system.requires, data).compiles is True
    name, version, requires_python = found
    marks = (has_pyproject, has_setup_py, has_setup_cfg)
    return Project(folder, name, version, requires_python or "", system, *marks, compiles)


def _static(path: str, data: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    """Name, version and requires-python of [project]."""
    table = Table(path, data.get("project", {}), "project")
    requires_python = table.text("requires-python")
    if problem := specifier_problem(requires_python or ""):
        raise table.wrong("requires-python", f"is no version specifier (PEP 440): {problem}")
    return table.text("name"), table.text("version"), requires_python


def _completed(
    folder: str, data: dict[str, Any], found: tuple[str | None, str | None, str | None]
) -> tuple[str | None, str | None, str | None]:
    """What setup.py and setup.cfg add: all of it without [project], else what that declares dynamic (PEP 621)."""
    path = os.path.join(folder, "pyproject.toml")
    everything = ("name", "version", "requires-python")
    dynamic = Table(path, data["project"], "project").texts("dynamic") if "project" in data else everything
    keys = ("name", "version", "python_requires")
    missing = [value is None and key in dynamic for key, value in zip(everything, found)]
    if not any(missing):
        return found
    from hwb.analysis.setuptools_files import read_legacy

    legacy = read_legacy(folder)
    name, version, requires_python = (
        legacy.text(key) if open_ else value for key, value, open_ in zip(keys, found, missing)
    )
    return name, version, requires_python
