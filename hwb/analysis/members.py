"""Which projects does a workspace have, and which of them need which others?"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwb.analysis.pyproject import load, place_of, subtable
from hwb.analysis.requirements import canonical, name_of
from hwb.errors import AnalyzeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Member", "workspace_members"]


@dataclass(frozen=True, slots=True)
class Member:
    """One project of a workspace: canonical `name`, `path` relative to the root with slashes ("." is the root itself).

    `build_requires` are the other members (canonical names) that must be there to build it, `requires` those that it
    depends on when it runs, extras and groups left out.
    """

    name: str
    path: str
    build_requires: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()


def workspace_members(root: str | os.PathLike[str]) -> tuple[Member, ...]:
    """Members by path, the root first if it is a project; empty when pyproject.toml names none.

    Read from [tool.hwb] members, [tool.uv.workspace], [tool.hatch.workspace] and hatch environments, and the path
    dependencies of Poetry and PDM. AnalyzeError: two members with one name, or a member without a name.
    """
    folder = os.path.abspath(root)
    path = os.path.join(folder, "pyproject.toml")
    data = load(path) if os.path.isfile(path) else {}
    found = {name: os.path.join(folder, name, "pyproject.toml") for name in sorted(set(_paths(folder, data)))}
    if not found:
        return ()
    tables = {name: load(file) for name, file in found.items()}
    if "name" in subtable(data, "project") or "name" in subtable(data, "tool", "poetry"):
        tables = {".": data, **tables}
    names: dict[str, str] = {}
    for where, table in tables.items():
        name = _name(os.path.normpath(os.path.join(folder, where, "pyproject.toml")), table)
        if name in names:
            raise AnalyzeError(f"two members are named {name!r}: {names[name]} and {where}", where=path)
        names[name] = where
    return tuple(_member(name, where, tables[where], names) for name, where in names.items())


def _member(name: str, where: str, data: Mapping[str, Any], names: Mapping[str, str]) -> Member:
    def ours(requirements: Any) -> tuple[str, ...]:
        texts = [text for text in requirements if isinstance(text, str)] if isinstance(requirements, list) else []
        return tuple(sorted({name_of(text) for text in texts} & names.keys() - {name}))

    project, poetry = subtable(data, "project"), subtable(data, "tool", "poetry", "dependencies")
    requires = (
        [*(project.get("dependencies") or ()), *poetry] if isinstance(project.get("dependencies", []), list) else []
    )
    return Member(name, where, ours(subtable(data, "build-system").get("requires")), ours(requires))


def _name(path: str, data: Mapping[str, Any]) -> str:
    for table in (subtable(data, "project"), subtable(data, "tool", "poetry")):
        if isinstance(name := table.get("name"), str):
            return canonical(name)
    from hwb.analysis.setuptools_files import read_legacy

    if name := read_legacy(os.path.dirname(path)).text("name"):
        return canonical(name)
    raise AnalyzeError("a workspace member needs a name that can be read", where=place_of(path, "project", "name"))


def _paths(folder: str, data: Mapping[str, Any]) -> Iterator[str]:
    """Relative folders with a pyproject.toml, without the root."""
    tool = subtable(data, "tool")
    uv = subtable(tool, "uv", "workspace")
    excluded = set(_matching(folder, uv.get("exclude")))
    yield from (name for name in _matching(folder, uv.get("members")) if name not in excluded)
    yield from _matching(folder, subtable(tool, "hwb").get("members"))
    yield from _matching(folder, subtable(tool, "hatch", "workspace").get("members"))
    for env in subtable(tool, "hatch", "envs"):
        workspace = subtable(tool, "hatch", "envs", env, "workspace")
        members = workspace.get("members")
        yield from _matching(folder, [_hatch_path(item) for item in members] if isinstance(members, list) else None)
    yield from _matching(folder, list(_path_dependencies(tool)))


def _hatch_path(item: Any) -> Any:
    return item.get("path") if isinstance(item, dict) else item


def _path_dependencies(tool: Mapping[str, Any]) -> Iterator[str]:
    """`{path = "..."}` of Poetry (main and groups), `-e file:///${PROJECT_ROOT}/x` of PDM's development groups."""
    poetry = subtable(tool, "poetry")
    tables = [subtable(poetry, "dependencies"), subtable(poetry, "dev-dependencies")]
    tables += [subtable(poetry, "group", name, "dependencies") for name in subtable(poetry, "group")]
    for table in tables:
        yield from (row["path"] for row in table.values() if isinstance(row, dict) and isinstance(row.get("path"), str))
    for rows in subtable(tool, "pdm", "dev-dependencies").values():
        for row in rows if isinstance(rows, list) else ():
            _, marked, path = row.partition("${PROJECT_ROOT}/") if isinstance(row, str) else ("", "", "")
            if marked:
                yield path.partition("#")[0]


def _matching(folder: str, patterns: Any) -> Iterator[str]:
    """Folders inside the root that match a list of globs and hold a pyproject.toml."""
    import glob

    for pattern in patterns if isinstance(patterns, list) else ():
        if not isinstance(pattern, str) or os.path.isabs(pattern):  # noqa: PTH117 - of a string, not of a file
            continue
        for name in glob.glob(os.path.normpath(pattern), root_dir=folder, recursive=True):
            name = name.replace(os.sep, "/")
            if (
                name != "."
                and ".." not in name.split("/")
                and os.path.isfile(os.path.join(folder, name, "pyproject.toml"))
            ):
                yield name
