"""What can be known about a project without running any of its code?"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

from hwb.errors import AnalyzeError

__all__ = ["LEGACY_BACKEND", "MARKERS", "BuildSystem", "Project", "find_root", "read_project"]

MARKERS = ("pyproject.toml", "setup.py", "setup.cfg")
"""A directory with one of these is a project."""
LEGACY_BACKEND = "setuptools.build_meta:__legacy__"
_LEGACY_REQUIRES = ("setuptools>=40.8.0",)
_NATIVE_BACKENDS = ("maturin", "scikit_build_core", "mesonpy", "py_build_cmake", "sipbuild")
_NATIVE_REQUIRES = re.compile(r"(?i:cython|cffi|pybind11|nanobind|mypy|setuptools[-_.]rust|scikit[-_.]build)\b")
_NATIVE_SETUP = re.compile(r"\b(ext_modules|Extension|cythonize|cffi_modules|rust_extensions|mypycify)\b")


@dataclass(frozen=True, slots=True)
class BuildSystem:
    """Who builds the project, and what must be installed for that (PEP 517, PEP 518)."""

    requires: tuple[str, ...]
    backend: str
    backend_path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Project:
    """What the files say; `name` and `version` are None where only the backend knows them."""

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
    """Read pyproject.toml and setup.cfg. Raises AnalyzeError with file and line when they are missing or malformed."""
    folder = os.path.abspath(root)
    has = {marker: os.path.isfile(os.path.join(folder, marker)) for marker in MARKERS}
    if not any(has.values()):
        what = f"no pyproject.toml, setup.py or setup.cfg in {folder}"
        raise AnalyzeError(what, remedy="run hwb in a Python project, or name one with --directory")
    path = os.path.join(folder, "pyproject.toml")
    data = _load(path) if has["pyproject.toml"] else {}
    table = _Table(path, data.get("project", {}), "project")
    cfg = _setup_cfg(os.path.join(folder, "setup.cfg")) if has["setup.cfg"] else {}
    build_system = _build_system(path, data)
    return Project(
        root=folder,
        name=table.text("name") or cfg.get("name"),
        version=table.text("version") or cfg.get("version"),
        requires_python=_specifier(path, table.text("requires-python")) or cfg.get("python_requires") or "",
        build_system=build_system,
        has_pyproject=has["pyproject.toml"],
        has_setup_py=has["setup.py"],
        has_setup_cfg=has["setup.cfg"],
        has_extension_modules=_has_extension_modules(folder, build_system, data),
    )


def _load(path: str) -> dict[str, Any]:
    from hwb.config import load_toml
    from hwb.errors import ConfigError

    try:
        return load_toml(path)
    except ConfigError as error:
        raise AnalyzeError(error.what, where=error.where or path, remedy=error.remedy, detail=error.detail) from error


def _at(path: str, key: str) -> str:
    """file:line of a key (TOML parsers keep no positions); the file alone when the key is written in another way."""
    with open(path, encoding="utf-8", errors="replace") as handle:
        for number, line in enumerate(handle, 1):
            if re.match(rf"\s*(\[\s*)?[\w.-]*\"?{re.escape(key)}\"?\s*[\].=]", line):
                return f"{path}:{number}"
    return path


class _Table:
    """A TOML table whose values are asked for by type."""

    def __init__(self, path: str, value: Any, name: str) -> None:
        if not isinstance(value, dict):
            raise AnalyzeError(f"{name} must be a table", where=_at(path, name))
        self._path, self._values, self._name = path, value, name

    def wrong(self, key: str, problem: str) -> AnalyzeError:
        return AnalyzeError(f"{self._name}.{key} {problem}", where=_at(self._path, key))

    def text(self, key: str) -> str | None:
        value = self._values.get(key)
        if value is not None and not isinstance(value, str):
            raise self.wrong(key, "must be a string")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, "must be a list of strings")
        return tuple(value)


def _specifier(path: str, text: str | None) -> str:
    """A version specifier (PEP 440), checked."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(text or "")
    except InvalidSpecifier as error:
        raise AnalyzeError(f"project.requires-python: {error}", where=_at(path, "requires-python")) from error
    return text or ""


def _build_system(path: str, data: dict[str, Any]) -> BuildSystem:
    """PEP 517 and 518: without a table setuptools, without build-backend its legacy backend and the given requires."""
    if "build-system" not in data:
        return BuildSystem(_LEGACY_REQUIRES, LEGACY_BACKEND, ())
    table = _Table(path, data["build-system"], "build-system")
    if "requires" not in data["build-system"]:
        remedy = 'add requires = [...]; for setuptools: requires = ["setuptools"]'
        raise AnalyzeError("build-system.requires is missing (PEP 518)", where=_at(path, "build-system"), remedy=remedy)
    requires, backend, backend_path = table.texts("requires"), table.text("build-backend"), table.texts("backend-path")
    _check_requirements(table, requires)
    if backend is None:
        if backend_path:
            raise table.wrong("backend-path", "is given without build-backend (PEP 517)")
        return BuildSystem(requires, LEGACY_BACKEND, ())
    for part in backend_path:
        if part.startswith(("/", "\\")) or part[1:2] == ":" or ".." in part.replace("\\", "/").split("/"):
            raise table.wrong("backend-path", f"must stay inside the project (PEP 517): {part!r}")
    return BuildSystem(requires, backend, backend_path)


def _check_requirements(table: _Table, requires: tuple[str, ...]) -> None:
    from packaging.requirements import InvalidRequirement, Requirement

    for text in requires:
        try:
            Requirement(text)
        except InvalidRequirement as error:
            problem = str(error).splitlines()[0]
            raise table.wrong(
                "requires", f"has an entry that is no requirement (PEP 508): {text!r}: {problem}"
            ) from error


def _setup_cfg(path: str) -> dict[str, str]:
    """Literal name, version and python_requires; `attr:` and `file:` values are known to setuptools only."""
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    try:
        with open(path, encoding="utf-8") as handle:
            parser.read_file(handle)
    except configparser.Error as error:
        line = getattr(error, "lineno", 0) or (getattr(error, "errors", None) or [(0, "")])[0][0]
        where = f"{path}:{line}" if line else path
        raise AnalyzeError(f"setup.cfg cannot be read: {str(error).splitlines()[0]}", where=where) from error
    except UnicodeDecodeError as error:
        raise AnalyzeError("setup.cfg is not UTF-8", where=path) from error
    found = {}
    for section, key in (("metadata", "name"), ("metadata", "version"), ("options", "python_requires")):
        value = parser.get(section, key, fallback="").strip()
        if value and not value.startswith(("attr:", "file:")):
            found[key] = value
    return found


def _has_extension_modules(folder: str, build_system: BuildSystem, data: dict[str, Any]) -> bool:
    """Whether the build compiles something, as far as backend, requirements and setup.py tell."""
    if build_system.backend.split(".")[0] in _NATIVE_BACKENDS:
        return True
    if any(map(_NATIVE_REQUIRES.match, build_system.requires)):
        return True
    tool = data.get("tool")
    setuptools = tool.get("setuptools") if isinstance(tool, dict) else None
    if isinstance(setuptools, dict) and setuptools.get("ext-modules"):
        return True
    try:
        with open(os.path.join(folder, "setup.py"), encoding="utf-8", errors="replace") as handle:
            return _NATIVE_SETUP.search(handle.read()) is not None
    except OSError:
        return False
