"""What is everything that a project's files tell, before any of its code runs?"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from hwb.analysis.backends import backend_name, editable_support, known_backend
from hwb.analysis.guidance import Advice, Facts, advise
from hwb.analysis.pyproject import MARKERS, Table, load, place_of
from hwb.errors import AnalyzeError

if TYPE_CHECKING:
    from hwb.analysis.legacy import Legacy
    from hwb.analysis.members import Member
    from hwb.analysis.pep621 import Declared

__all__ = ["BuildBackend", "ProjectAnalyzer", "ProjectMetadata", "analyze_project"]


@dataclass(frozen=True, slots=True)
class BuildBackend:
    """A PEP 517 backend: its module path, and the requirements (PEP 508) to install before it is asked."""

    module: str
    requirements: list[str]

    @property
    def name(self) -> str:
        """What people call it: hatchling, setuptools, flit, pdm, maturin, poetry, ...; else the module."""
        return backend_name(self.module)


@dataclass(frozen=True, slots=True)
class ProjectMetadata:
    """What the files say; None, "" or an empty list where they do not, `undecided` says who does then.

    Requirements are PEP 508 strings, paths are relative with slashes. `version_source` is static, attr, file, vcs or
    backend (see `version_place`). `editable` is whether the backend makes editable installs (PEP 660), None when that
    is not known. `limited_api` is a Python tag such as cp38, `abi3` where no version is named.
    `undecided` maps a field to what decides it when the project is built.
    """

    name: str
    version: str | None
    requires_python: str | None = None
    dependencies: list[str] = field(default_factory=list)
    optional_dependencies: dict[str, list[str]] = field(default_factory=dict)
    backend: BuildBackend | None = None
    has_pyproject: bool = False
    has_setup_py: bool = False
    has_setup_cfg: bool = False
    has_extension_modules: bool = False
    extension_languages: list[str] = field(default_factory=list)
    root: str = ""
    description: str | None = None
    readme: str | None = None
    license: str | None = None
    license_files: list[str] = field(default_factory=list)
    classifiers: list[str] = field(default_factory=list)
    scripts: dict[str, str] = field(default_factory=dict)
    dependency_groups: dict[str, list[str]] = field(default_factory=dict)
    dynamic: list[str] = field(default_factory=list)
    version_source: str = "backend"
    version_place: str = ""
    extension_reasons: list[str] = field(default_factory=list)
    limited_api: str | None = None
    editable: bool | None = None
    import_names: list[str] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    undecided: dict[str, str] = field(default_factory=dict)
    advice: list[Advice] = field(default_factory=list)


class ProjectAnalyzer:
    """The documented way in. `DEFAULT_BACKEND` stands for projects without [build-system].

    The engine builds those with PEP 517's own default, `setuptools.build_meta:__legacy__`, which has the project's
    directory on the path: an old setup.py may import from there. What people are told to write is this one.
    """

    DEFAULT_BACKEND: ClassVar[BuildBackend] = BuildBackend("setuptools.build_meta", ["setuptools>=61.0", "wheel"])

    async def analyze(self, source_path: str | os.PathLike[str]) -> ProjectMetadata:
        """`analyze_project` in a thread: reading files does not hold up the loop."""
        import asyncio

        return await asyncio.to_thread(analyze_project, source_path)


def analyze_project(path: str | os.PathLike[str]) -> ProjectMetadata:
    """Analyse a project's folder (or the pyproject.toml, setup.py or setup.cfg in it).

    Raises AnalyzeError with file and line for a folder that is no project and for fields that break PEP 508, 517, 518,
    621, 639 or 735. Debatable things are `advice`.
    """
    folder = os.path.abspath(path)
    if os.path.basename(folder) in MARKERS and os.path.isfile(folder):
        folder = os.path.dirname(folder)
    has = [os.path.isfile(os.path.join(folder, marker)) for marker in MARKERS]
    if not any(has):
        what = f"no pyproject.toml, setup.py or setup.cfg in {folder}"
        raise AnalyzeError(what, remedy="name the folder of a Python project")
    return _Analysis(folder, *has).metadata()


class _Analysis:
    """One project while it is put together from its files."""

    def __init__(self, folder: str, has_pyproject: bool, has_setup_py: bool, has_setup_cfg: bool) -> None:
        from hwb.analysis.pep621 import read_declared

        self.folder, self.path = folder, os.path.join(folder, "pyproject.toml")
        self.has = (has_pyproject, has_setup_py, has_setup_cfg)
        self.data: dict[str, Any] = load(self.path) if has_pyproject else {}
        self.declared: Declared = read_declared(self.path, self.data)
        self.backend = _backend(self.path, self.data)
        self.legacy = self._legacy()
        self.tool = self._tool_values()

    def _legacy(self) -> Legacy | None:
        """setup.py and setup.cfg count for setuptools, backends in the tree (which often wrap it) and unknown ones."""
        known = known_backend(self.backend.module)
        if not any(self.has[1:]) or (known is not None and known.name not in ("setuptools", "pbr")):
            return None
        from hwb.analysis.setuptools_files import read_legacy

        return read_legacy(self.folder)

    def _tool_values(self) -> dict[str, Any]:
        """Keywords of `setup()` from where backends kept metadata before [project]."""
        if self.backend.name == "poetry":
            from hwb.analysis.tooltables import from_poetry

            return from_poetry(self.data)
        if self.backend.name == "flit" and "project" not in self.data:
            from hwb.analysis.tooltables import from_flit

            return from_flit(self.data)
        return {}

    def _open(self, key: str) -> bool:
        """Whether [project] leaves a field to the backend."""
        return "project" not in self.data or key in self.declared.dynamic

    def _value(self, key: str, keyword: str, static: Any) -> Any:
        """The field from [project], else from what the backend reads."""
        if not self._open(key):
            return static
        if self.legacy is not None and self.legacy.values.get(keyword):
            return self.legacy.values[keyword]
        return self.tool.get(keyword) or static

    def metadata(self) -> ProjectMetadata:
        """Everything, in one value."""
        from hwb.analysis.extensions import declared, detect
        from hwb.analysis.groups import read_groups
        from hwb.analysis.imports import import_names
        from hwb.analysis.limited_api import limited_api
        from hwb.analysis.members import workspace_members

        requires = tuple(self.backend.requirements)
        told = declared(self.folder, self.backend.module, requires, self.data)
        extensions = detect(self.folder, told, setup_py_decides=self._setup_py_decides())
        name = self._name()
        imports = import_names(self.folder, name, self.data, self.legacy, self.declared.import_names)
        version, kind, place = self._version(requires, imports)
        requires_python = self._text("requires-python", "python_requires", self.declared.requires_python)
        fields = self._fields()
        facts = Facts(
            self.folder,
            self.data,
            self.declared,
            self.legacy,
            self.backend.module,
            requires_python,
            name,
            not extensions.compiles,
        )
        return ProjectMetadata(
            name=name,
            version=version,
            requires_python=requires_python,
            backend=self.backend,
            has_pyproject=self.has[0],
            has_setup_py=self.has[1],
            has_setup_cfg=self.has[2],
            has_extension_modules=bool(extensions.compiles),
            extension_languages=list(extensions.languages),
            root=self.folder,
            dependency_groups=read_groups(self.path, self.data),
            version_source=kind,
            version_place=self._shown(place),
            extension_reasons=list(extensions.reasons),
            limited_api=limited_api(self.folder, self.backend.name, self.data, self.legacy)
            if extensions.compiles
            else None,
            editable=editable_support(self.backend.module, requires),
            import_names=list(imports),
            members=list(workspace_members(self.folder)),
            undecided=self._undecided(version, place),
            advice=list(advise(facts)),
            **fields,
        )

    def _fields(self) -> dict[str, Any]:
        """The fields that are copied."""
        declared = self.declared
        return {
            "dependencies": _strings(self._value("dependencies", "install_requires", declared.dependencies)),
            "optional_dependencies": _lists(
                self._value("optional-dependencies", "extras_require", declared.optional_dependencies)
            ),
            "description": self._text("description", "description", declared.description),
            "readme": declared.readme,
            "license": self._text("license", "license", declared.license),
            "license_files": _strings(self._value("license-files", "license_files", declared.license_files or ())),
            "classifiers": _strings(self._value("classifiers", "classifiers", declared.classifiers)),
            "scripts": self._scripts(),
            "dynamic": list(declared.dynamic),
        }

    def _setup_py_decides(self) -> bool:
        """setuptools, and a setup.py that was understood to its last keyword."""
        known = known_backend(self.backend.module)
        return bool(known and known.name == "setuptools" and self.has[1] and self.legacy and self.legacy.complete)

    def _name(self) -> str:
        return self._text("name", "name", self.declared.name) or ""

    def _text(self, key: str, keyword: str, static: str | None) -> str | None:
        value = self._value(key, keyword, static)
        return value.strip() or None if isinstance(value, str) else static

    def _version(self, requires: tuple[str, ...], imports: tuple[str, ...]) -> tuple[str | None, str, str]:
        """Version, kind and place of its source."""
        from hwb.analysis.versions import dynamic_version, legacy_version

        if self.declared.version is not None:
            return self.declared.version, "static", place_of(self.path, "project", "version")
        if isinstance(self.tool.get("version"), str) and self.tool["version"] not in ("0", "0.0.0"):
            return self.tool["version"], "static", place_of(self.path, "tool", "poetry", "version")
        found = legacy_version(self.folder, self.legacy, requires, self.data) if self.legacy is not None else None
        if found is None or (found.version is None and found.kind == "backend"):
            found = dynamic_version(self.folder, self.data, self.backend.module, requires, imports)
        return found.version, found.kind, found.place

    def _scripts(self) -> dict[str, str]:
        """Console scripts by name."""
        if not self._open("scripts"):
            return self.declared.scripts
        if isinstance(self.tool.get("scripts"), dict):
            return {**self.tool["scripts"], **self.declared.scripts}
        groups = self.legacy.values.get("entry_points") if self.legacy is not None else None
        rows = groups.get("console_scripts", ()) if isinstance(groups, dict) else ()
        lines = rows.splitlines() if isinstance(rows, str) else rows
        pairs = (line.partition("=") for line in lines if isinstance(line, str) and "=" in line)
        return {name.strip(): reference.strip() for name, _, reference in pairs} or self.declared.scripts

    def _undecided(self, version: str | None, place: str) -> dict[str, str]:
        """Fields that only a build tells, and who decides them."""
        found = dict.fromkeys(self.declared.dynamic, self.backend.name)
        keywords = {"install_requires": "dependencies", "extras_require": "optional-dependencies"}
        keywords |= {"python_requires": "requires-python", "name": "name"}
        for keyword, key in keywords.items():
            given = self.legacy.values.get(keyword) if self.legacy is not None else self.tool.get(keyword)
            if given or not self._open(key):
                found.pop(key, None)
            elif self.tool and keyword not in self.tool:
                found[key] = self.backend.name
            elif self.legacy is not None and (keyword in self.legacy.computed or not self.legacy.complete):
                found[key] = f"setuptools ({self.legacy.computed.get(keyword, 'computed by setup.py')})"
        if version is None:
            return {**found, "version": self._shown(place) or self.backend.name}
        found.pop("version", None)
        return found

    def _shown(self, place: str) -> str:
        """Places relative to the project, so that reports of one project are equal everywhere."""
        return place.removeprefix(os.path.join(self.folder, ""))


def _backend(path: str, data: dict[str, Any]) -> BuildBackend:
    """What is documented: setuptools for a missing build-backend, setuptools and wheel for missing requires."""
    from hwb.analysis.buildsystem import read_build_system

    if "build-system" not in data:
        return ProjectAnalyzer.DEFAULT_BACKEND
    table = Table(path, data["build-system"], "build-system")
    given = {"requires": ["setuptools", "wheel"], **table.values}
    system = read_build_system(path, {"build-system": given})
    module = ProjectAnalyzer.DEFAULT_BACKEND.module if "build-backend" not in table.values else system.backend
    return BuildBackend(module, list(system.requires))


def _strings(value: Any) -> list[str]:
    lines = value.splitlines() if isinstance(value, str) else value
    return (
        [item.strip() for item in lines if isinstance(item, str) and item.strip()]
        if isinstance(lines, list | tuple)
        else []
    )


def _lists(value: Any) -> dict[str, list[str]]:
    return {str(key): _strings(items) for key, items in value.items()} if isinstance(value, dict) else {}
