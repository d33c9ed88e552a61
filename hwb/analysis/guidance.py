"""What should somebody change in a project's metadata, and how?

Nobody is asked to leave a backend: every remedy keeps the one that is there. hatchling is recommended only to pure
projects that have not chosen one.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from hwb.analysis.backends import known_backend
from hwb.analysis.pyproject import place_of, subtable
from hwb.analysis.requirements import canonical, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from hwb.analysis.legacy import Legacy
    from hwb.analysis.pep621 import Declared

__all__ = ["ADVICE", "Advice", "Facts", "advise"]

ADVICE = {
    "name-missing": ("error", "give the project a name: name = '...' in [project]"),
    "version-missing": ("error", "add version = '...' to [project], or dynamic = ['version'] if the backend knows it"),
    "requires-missing": ("error", "add requires = [...] to [build-system] (PEP 518)"),
    "backend-not-required": ("error", "add the backend's distribution to build-system.requires"),
    "readme-missing": ("error", "create the file, or correct project.readme"),
    "license-file-missing": ("error", "create the file, or correct project.license-files (PEP 639)"),
    "setup-py-unreadable": ("error", "make setup.py valid Python 3, or move its metadata to pyproject.toml"),
    "dependency-links": ("error", "installers ignore them: write 'name @ URL' requirements, or use an index"),
    "use-2to3": ("error", "setuptools 58 removed it: write code that runs on Python 3"),
    "setup-py-only": (
        "warning",
        "write [build-system] and [project] in pyproject.toml; setup.py may stay for extensions",
    ),
    "no-pyproject": ("warning", "write [build-system] and [project] in pyproject.toml; setuptools goes on as before"),
    "no-build-system": ("warning", "add [build-system], for setuptools: requires = ['setuptools>=61.0']"),
    "no-build-backend": ("warning", "add build-backend to [build-system], for setuptools: 'setuptools.build_meta'"),
    "setup-requires": ("warning", "move it to build-system.requires in pyproject.toml (PEP 518)"),
    "tests-require": ("warning", "move it to [dependency-groups] in pyproject.toml (PEP 735)"),
    "license-table": (
        "warning",
        "write an SPDX expression: license = 'MIT', and license-files = ['LICENSE'] (PEP 639)",
    ),
    "license-classifier": ("warning", "remove 'License ::' classifiers: license = 'MIT' says it (PEP 639)"),
    "no-requires-python": ("warning", "add requires-python = '>=3.x' to [project]: installers choose by it"),
    "stale-classifier": ("warning", "remove classifiers of Pythons that requires-python excludes"),
    "ignored-setting": ("warning", "remove it: [project] decides, and does not list it as dynamic (PEP 621)"),
    "unknown-field": ("warning", "remove it, or move it to [tool.*]: [project] has only the fields of PEP 621"),
    "unknown-extra": ("warning", "declare the extra in [project.optional-dependencies]"),
    "hatchling": ("info", "for a new pure project: requires = ['hatchling'], build-backend = 'hatchling.build'"),
}
"""Severity and remedy by identifier; docs/reference/analysis.md has the same table."""
_LEGACY_KEYWORDS = {
    "setup_requires": "setup-requires",
    "tests_require": "tests-require",
    "dependency_links": "dependency-links",
    "use_2to3": "use-2to3",
}
_SAME = {
    "version": "version",
    "description": "description",
    "python_requires": "requires-python",
    "install_requires": "dependencies",
    "extras_require": "optional-dependencies",
    "license": "license",
    "classifiers": "classifiers",
    "keywords": "keywords",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to change: `severity` is error, warning or info; `where` a file:line or the file."""

    id: str
    severity: str
    message: str
    remedy: str
    where: str


class Facts(NamedTuple):
    """What advice is derived from; `legacy` is None where neither setup.py nor setup.cfg is read."""

    folder: str
    data: Mapping[str, Any]
    declared: Declared
    legacy: Legacy | None
    backend: str
    requires_python: str | None
    name: str
    pure: bool


def advise(facts: Facts) -> tuple[Advice, ...]:
    """Everything there is to say, errors first; each identifier at most once per place."""
    order = ("error", "warning", "info")
    parts = (_about_build_system, _about_project, _about_license, _about_pythons, _about_legacy)
    found = [advice for part in parts for advice in part(facts)]
    return tuple(sorted(dict.fromkeys(found), key=lambda advice: order.index(advice.severity)))


def _advice(key: str, message: str, where: str) -> Advice:
    severity, remedy = ADVICE[key]
    return Advice(key, severity, message, remedy, where)


def _file(facts: Facts, name: str = "pyproject.toml") -> str:
    return os.path.join(facts.folder, name)


def _has(facts: Facts, name: str) -> bool:
    return os.path.isfile(_file(facts, name))


def _about_build_system(facts: Facts) -> Iterator[Advice]:
    path = _file(facts)
    if not _has(facts, "pyproject.toml"):
        if _has(facts, "setup.cfg"):
            yield _advice("no-pyproject", "there is no pyproject.toml", _file(facts, "setup.cfg"))
        else:
            yield _advice("setup-py-only", "setup.py is the only description of the project", _file(facts, "setup.py"))
        return
    if "build-system" not in facts.data:
        yield _advice("no-build-system", "[build-system] is missing: setuptools' legacy backend builds it", path)
        if "project" in facts.data and facts.pure and not _has(facts, "setup.py") and not _has(facts, "setup.cfg"):
            yield _advice("hatchling", "no backend is chosen yet", path)
        return
    table = subtable(facts.data, "build-system")
    where = place_of(path, "build-system")
    if "requires" not in table:
        yield _advice("requires-missing", "build-system.requires is missing", where)
    if "build-backend" not in table:
        yield _advice(
            "no-build-backend", "build-system.build-backend is missing: setuptools' legacy backend builds it", where
        )
        return
    row = known_backend(facts.backend)
    names = {name_of(text) for text in table.get("requires", ())}
    if row and names and row.distribution not in names and "backend-path" not in table:
        message = f"build-backend is {facts.backend}, but build-system.requires lacks {row.distribution}"
        yield _advice("backend-not-required", message, place_of(path, "build-system", "requires"))


def _about_project(facts: Facts) -> Iterator[Advice]:
    path, declared = _file(facts), facts.declared
    project = facts.data.get("project")
    if project is None:
        return
    if declared.name is None:
        yield _advice("name-missing", "project.name is missing (PEP 621)", place_of(path, "project"))
    if declared.version is None and "version" not in declared.dynamic:
        yield _advice(
            "version-missing", "project.version is neither static nor dynamic (PEP 621)", place_of(path, "project")
        )
    for key in declared.unknown:
        yield _advice("unknown-field", f"project.{key} is no field of PEP 621", place_of(path, "project", key))
    if declared.readme and not _has(facts, declared.readme):
        yield _advice("readme-missing", f"there is no {declared.readme}", place_of(path, "project", "readme"))
    extras = {canonical(name) for name in declared.optional_dependencies}
    texts = [*declared.dependencies, *(text for group in declared.optional_dependencies.values() for text in group)]
    for text in texts:
        found = re.match(r"[^\[;@]*\[([^\]]*)\]", text)
        if found and name_of(text) == canonical(facts.name) and "optional-dependencies" not in declared.dynamic:
            for extra in sorted({canonical(part.strip()) for part in found[1].split(",")} - extras):
                yield _advice(
                    "unknown-extra", f"{text} names the extra {extra!r}, which is not there", place_of(path, "project")
                )


def _about_license(facts: Facts) -> Iterator[Advice]:
    path, declared = _file(facts), facts.declared
    if declared.license_is_table:
        yield _advice(
            "license-table", "license as a table is deprecated (PEP 639)", place_of(path, "project", "license")
        )
    classifiers = [text for text in declared.classifiers if text.startswith("License ::")]
    if classifiers:
        where = place_of(path, "project", "classifiers")
        yield _advice("license-classifier", f"{classifiers[0]!r} is deprecated (PEP 639)", where)
    import glob

    for pattern in declared.license_files or ():
        if not any(glob.iglob(pattern, root_dir=facts.folder, recursive=True)):
            where = place_of(path, "project", "license-files")
            yield _advice("license-file-missing", f"license-files: nothing matches {pattern!r}", where)


def _about_pythons(facts: Facts) -> Iterator[Advice]:
    path = _file(facts)
    classifiers = [*facts.declared.classifiers, *(facts.legacy.texts("classifiers") if facts.legacy else ())]
    if facts.requires_python is None:
        computed = facts.legacy is not None and (facts.legacy.has("python_requires") or not facts.legacy.complete)
        if not computed and "requires-python" not in facts.declared.dynamic:
            name = next(name for name in ("pyproject.toml", "setup.cfg", "setup.py") if _has(facts, name))
            yield _advice("no-requires-python", "no Python version is required", _file(facts, name))
        return
    lowest = re.search(r"(?:>=|~=|==)\s*3\.([0-9]+)", facts.requires_python)
    minors = [int(found[1]) for text in classifiers if (found := re.search(r":: 3\.([0-9]+)$", text))]
    stale = [minor for minor in minors if lowest and minor < int(lowest[1])]
    if stale:
        where = place_of(path, "project", "classifiers") if "project" in facts.data else facts.folder
        names = ", ".join(f"3.{minor}" for minor in sorted(stale))
        yield _advice(
            "stale-classifier", f"classifiers name Python {names}, requires-python is {facts.requires_python}", where
        )


def _about_legacy(facts: Facts) -> Iterator[Advice]:
    legacy = facts.legacy
    if legacy is None:
        return
    if legacy.problem:
        yield _advice("setup-py-unreadable", *legacy.problem)
    for key, identifier in _LEGACY_KEYWORDS.items():
        if legacy.has(key):
            yield _advice(identifier, f"{key} is used", legacy.places.get(key, facts.folder))
    if "project" not in facts.data:
        return
    for key, instead in _SAME.items():
        if legacy.has(key) and instead not in facts.declared.dynamic:
            message = f"{key} is ignored: pyproject.toml has [project]"
            yield _advice("ignored-setting", message, legacy.places.get(key, facts.folder))
