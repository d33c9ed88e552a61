"""Can this sdist be built by somebody who has nothing else? (P15; PEP 517, 621, 625, 643)"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from hwb.wheel.model import sdist_rule
from hwb.wheel.rules_names import agrees, split_stem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwb.wheel.model import SdistSubject

__all__: list[str] = []


@sdist_rule("sdist-top", "P15")
def _sdist_top(sdist: SdistSubject) -> Iterator[tuple[str, str]]:
    """The one top directory means the project and version of the file name (PEP 625)."""
    top = sdist.reader.top
    same = top == sdist.file_name.removesuffix(".tar.gz")
    if not same and not (sdist.parsed and agrees(*split_stem(top), sdist.parsed)):
        yield "the top directory does not agree with the file name", top


@sdist_rule("sdist-top-spelling", "P15", warns=True)
def _sdist_top_spelling(sdist: SdistSubject) -> Iterator[tuple[str, str]]:
    """The top directory is spelt as the file is; an older spelling of it is only said."""
    top = sdist.reader.top
    same = top == sdist.file_name.removesuffix(".tar.gz")
    if not same and sdist.parsed and agrees(*split_stem(top), sdist.parsed):
        yield "the top directory is spelt differently from the file name", top


@sdist_rule("pkg-info", "P15")
def _pkg_info(sdist: SdistSubject) -> Iterator[tuple[str, str]]:
    """PKG-INFO is there (PEP 643), and its name and version are the file name's."""
    found = sdist.metadata
    if found is None:
        yield "there is no PKG-INFO in the top directory", sdist.metadata_member
    elif sdist.parsed and not agrees(found["Name"], found["Version"], sdist.parsed):
        name = sdist.parsed
        what = f"says {found['Name']} {found['Version']}, the file name {name.project} {name.version}"
        yield what, sdist.metadata_member


@sdist_rule("sdist-buildable", "P15", remedy="add pyproject.toml or setup.py to the sdist")
def _sdist_buildable(sdist: SdistSubject) -> Iterator[tuple[str, str]]:
    """pyproject.toml or setup.py is there: without them no front end knows how to build (PEP 517)."""
    if not any(f"{sdist.reader.top}/{name}" in sdist.names for name in ("pyproject.toml", "setup.py")):
        yield "there is neither pyproject.toml nor setup.py in the top directory", sdist.reader.top


@sdist_rule("sdist-pyproject", "P15", remedy="correct pyproject.toml")
def _sdist_pyproject(sdist: SdistSubject) -> Iterator[tuple[str, str]]:
    """pyproject.toml is TOML, and its build-system table is one (PEP 518): requires is a list of strings."""
    if sdist.pyproject is None:
        return
    tables, problem = sdist.pyproject
    member = f"{sdist.reader.top}/pyproject.toml"
    system = tables.get("build-system", {"requires": []})
    if problem:
        yield problem, member
    elif not isinstance(system, dict) or not _strings(system.get("requires")):
        yield "build-system.requires is missing or no list of strings (PEP 518)", member
    elif not isinstance(system.get("build-backend", ""), str) or not _strings(system.get("backend-path", [])):
        yield "build-backend is no string, or backend-path no list of strings (PEP 517)", member


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


@sdist_rule("backend-path", "P15", remedy="ship the directory, and name it relative to pyproject.toml")
def _backend_path(sdist: SdistSubject) -> Iterator[tuple[str, str]]:
    """Every entry of backend-path is a directory of the sdist (PEP 517: it must not leave the tree)."""
    tables = sdist.pyproject[0] if sdist.pyproject else {}
    system = tables.get("build-system")
    paths = system.get("backend-path", []) if isinstance(system, dict) else []
    for path in paths if _strings(paths) else ():
        place = posixpath.normpath(posixpath.join(sdist.reader.top, path))
        inside = place == sdist.reader.top or place.startswith(f"{sdist.reader.top}/")
        if posixpath.isabs(path) or not inside:
            yield f"backend-path leaves the sdist: {path!r}", f"{sdist.reader.top}/pyproject.toml"
        elif not any(name == place or name.startswith(f"{place}/") for name in sdist.names):
            yield f"backend-path names {path!r}, which is not there", f"{sdist.reader.top}/pyproject.toml"


@sdist_rule("sdist-files", "P15", warns=True, remedy="include the file in the sdist")
def _sdist_files(sdist: SdistSubject) -> Iterator[tuple[str, str]]:
    """The readme that pyproject.toml names, and the licences that PKG-INFO names, are in the sdist."""
    tables = sdist.pyproject[0] if sdist.pyproject else {}
    project = tables.get("project")
    readme = project.get("readme") if isinstance(project, dict) else None
    file = readme.get("file") if isinstance(readme, dict) else readme
    wanted = [(file, "pyproject.toml")] if isinstance(file, str) else []
    if sdist.metadata:
        wanted += [(name.strip(), "PKG-INFO") for name in sdist.metadata.get_all("License-File", [])]
    for name, where in wanted:
        if posixpath.normpath(f"{sdist.reader.top}/{name}") not in sdist.names:
            yield f"{where} names {name!r}, which is not there", f"{sdist.reader.top}/{where}"
