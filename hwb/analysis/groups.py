"""What is in each dependency group once its includes are resolved (PEP 735)?"""

from __future__ import annotations

from typing import Any

from hwb.analysis.pyproject import Table
from hwb.analysis.requirements import canonical, requirement_problem

__all__ = ["read_groups"]


def read_groups(path: str, data: dict[str, Any]) -> dict[str, list[str]]:
    """Requirements by group, in order; AnalyzeError for wrong types, unknown groups and circles."""
    table = Table(path, data.get("dependency-groups", {}), "dependency-groups")
    names: dict[str, str] = {}
    for name in table.values:
        if (other := names.setdefault(canonical(name), name)) != name:
            raise table.wrong(name, f"is the same group as {other!r}")
    return {name: _resolved(table, names, name, ()) for name in table.values}


def _resolved(table: Table, names: dict[str, str], name: str, path: tuple[str, ...]) -> list[str]:
    """One group with its includes; `path` is the way that led here."""
    if name in path:
        raise table.wrong(name, f"includes itself: {' -> '.join((*path, name))}")
    items = table.values[name]
    if not isinstance(items, list):
        raise table.wrong(name, "must be a list of requirements and includes")
    found: list[str] = []
    for item in items:
        if isinstance(item, str):
            if problem := requirement_problem(item):
                raise table.wrong(name, f"has an entry that is no requirement (PEP 508): {item!r}: {problem}")
            found.append(item)
            continue
        if not isinstance(item, dict) or item.keys() != {"include-group"} or not isinstance(item["include-group"], str):
            raise table.wrong(name, 'has an entry that is neither a requirement nor {include-group = "name"}')
        included = names.get(canonical(item["include-group"]))
        if included is None:
            raise table.wrong(name, f"includes the unknown group {item['include-group']!r}")
        found += _resolved(table, names, included, (*path, name))
    return found
