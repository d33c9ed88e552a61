"""Where does the version come from, and can it be read there without running anything?"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from hwb.analysis.backends import known_backend
from hwb.analysis.legacy import resolve_attr, resolve_file
from hwb.analysis.pyproject import place_of, subtable
from hwb.analysis.requirements import name_of, version_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwb.analysis.legacy import Legacy

__all__ = ["VersionSource", "dynamic_version", "legacy_version"]

_VCS: tuple[str, ...] = (
    "hatch-vcs",
    "setuptools-scm",
    "setuptools-git-versioning",
    "versioningit",
    "versioneer",
    "pbr",
    "vcs-versioning",
)
_VCS += ("poetry-dynamic-versioning", "uv-dynamic-versioning", "dunamai", "flit-scm", "versioneer-py", "setuptools-git")
_HATCH_DEFAULT = r"(?im)^(?:__version__|VERSION)(?: ?: ?str)? *= *(['\"])v?(.+?)\1"
_MESON_VERSION = r"(?s)\A(?:\s*#[^\n]*\n)*\s*project\s*\((?:[^#)]|#[^\n]*\n)*?\bversion\s*:\s*'([^']+)'"


class VersionSource(NamedTuple):
    """`kind`: static, attr, file, vcs or backend; `place`: a file:line, or what decides; `version`: None if open."""

    kind: str
    place: str
    version: str | None


def dynamic_version(
    folder: str, data: Mapping[str, Any], backend: str, requires: tuple[str, ...], names: tuple[str, ...]
) -> VersionSource:
    """For a version that pyproject.toml leaves open; `names` are the project's import names."""
    known = known_backend(backend)
    name = known.name if known else ""
    readers = {"hatchling": _hatch, "setuptools": _setuptools, "pdm": _pdm, "maturin": _maturin, "meson-python": _meson}
    found = _flit(folder, names) if name == "flit" and known and known.distribution == "flit-core" else None
    if found is None and name in readers:
        found = readers[name](folder, subtable(data, "tool"))
    if found is None:
        found = _from_vcs(data, requires)
    return _checked(found or VersionSource("backend", backend, None))


def legacy_version(
    folder: str, legacy: Legacy, requires: tuple[str, ...], data: Mapping[str, Any]
) -> VersionSource | None:
    """What setup.py or setup.cfg say about the version; None when they say nothing."""
    place = legacy.places.get("version", "")
    if text := legacy.text("version"):
        return _checked(VersionSource("static", place, text))
    how = legacy.computed.get("version", "")
    if how.startswith("attr:"):
        found = resolve_attr(folder, how[5:], legacy.values.get("package_dir"))
        return _checked(VersionSource("attr", *reversed(found))) if found else VersionSource("attr", place, None)
    if how.startswith("file:"):
        found = resolve_file(folder, how[5:])
        return _checked(VersionSource("file", *reversed(found))) if found else VersionSource("file", place, None)
    if legacy.has("use_scm_version"):
        return VersionSource("vcs", "setuptools-scm", None)
    if legacy.has("pbr"):
        return VersionSource("vcs", "pbr", None)
    requires = (*requires, *legacy.texts("setup_requires"))
    return _from_vcs(data, requires) or (VersionSource("backend", place, None) if how else None)


def _checked(found: VersionSource) -> VersionSource:
    """Only PEP 440 is passed on: what a file holds may be a template."""
    if found.version is not None and version_problem(found.version):
        return found._replace(version=None)
    return found


def _from_vcs(data: Mapping[str, Any], requires: tuple[str, ...]) -> VersionSource | None:
    for text in requires:
        if (name := name_of(text)) in _VCS:
            return VersionSource("vcs", name, None)
    tool = subtable(data, "tool")
    return next(
        (VersionSource("vcs", name.replace("_", "-"), None) for name in tool if name.replace("_", "-") in _VCS), None
    )


def _hatch(folder: str, tool: Mapping[str, Any]) -> VersionSource | None:
    table = subtable(tool, "hatch", "version")
    source = table.get("source", "regex")
    if source == "vcs":
        return VersionSource("vcs", "hatch-vcs", None)
    path = table.get("path")
    if source != "regex" or not isinstance(path, str):
        return VersionSource("vcs", source, None) if source in _VCS else None
    if table.get("pattern", True) is not True:
        return VersionSource("file", path, None)  # an expression of the project's: hatchling may run it, we do not
    return _matched(folder, path, _HATCH_DEFAULT)


def _matched(folder: str, path: str, pattern: str) -> VersionSource:
    """The last group of the first match in a file of the project."""
    found = resolve_file(folder, path) and _text(os.path.join(folder, path))
    match = re.search(pattern, found or "")
    if not match:
        return VersionSource("file", path, None)
    line = match.string.count("\n", 0, match.start(match.lastindex or 0)) + 1
    return VersionSource("file", f"{os.path.join(folder, path)}:{line}", match[match.lastindex or 0])


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as handle:
        return handle.read()


def _setuptools(folder: str, tool: Mapping[str, Any]) -> VersionSource | None:
    table = subtable(tool, "setuptools", "dynamic", "version")
    if isinstance(attribute := table.get("attr"), str):
        found = resolve_attr(folder, attribute, subtable(tool, "setuptools", "package-dir"))
        return VersionSource("attr", *reversed(found)) if found else VersionSource("attr", attribute, None)
    file = table.get("file")
    file = file[0] if isinstance(file, list) and len(file) == 1 else file
    if isinstance(file, str):
        found = resolve_file(folder, file)
        return VersionSource("file", *reversed(found)) if found else VersionSource("file", file, None)
    return None


def _pdm(folder: str, tool: Mapping[str, Any]) -> VersionSource | None:
    table = subtable(tool, "pdm", "version")
    if table.get("source") == "scm":
        return VersionSource("vcs", "pdm-backend", None)
    path = table.get("path", table.get("from"))
    if table.get("source", "file") != "file" or not isinstance(path, str):
        return None
    return _matched(folder, path, r"(?m)^__version__\s*=\s*(['\"])(.+?)\1\s*(?:#.*)?$")


def _flit(folder: str, names: tuple[str, ...]) -> VersionSource | None:
    found = resolve_attr(folder, f"{names[0]}.__version__") if names else None
    return VersionSource("attr", *reversed(found)) if found else None


def _maturin(folder: str, tool: Mapping[str, Any]) -> VersionSource | None:
    """The crate's version, spelled as PEP 440 does; SemVer pre-releases other than alpha, beta and rc are left open."""
    from hwb.analysis.cargo import read_cargo

    manifest, data = read_cargo(folder, tool)
    version = subtable(data, "package").get("version")
    if not isinstance(version, str):
        return VersionSource("file", manifest, None) if data else None
    spelled = re.sub(
        r"-(alpha|beta|rc)\.?([0-9]+)$",
        lambda found: {"alpha": "a", "beta": "b", "rc": "rc"}[found[1]] + found[2],
        version,
    )
    return VersionSource("file", place_of(manifest, "package", "version"), spelled)


def _meson(folder: str, tool: Mapping[str, Any]) -> VersionSource | None:
    path = os.path.join(folder, "meson.build")
    found = _matched(folder, "meson.build", _MESON_VERSION) if os.path.isfile(path) else None
    return found if found and found.version else None  # a command's output, or a file's: meson knows
