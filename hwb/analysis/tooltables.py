"""What do the tables say in which Poetry and flit kept metadata before [project] existed?

Poetry's own version constraints (caret, tilde, wildcards) become PEP 440 specifiers where they have one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hwb.analysis.pyproject import subtable
from hwb.analysis.requirements import requirement_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["from_flit", "from_poetry", "poetry_specifier"]


def from_poetry(data: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords of `setup()` from [tool.poetry]; a dependency that PEP 508 cannot say makes them all unknown."""
    table = subtable(data, "tool", "poetry")
    wanted = dict(subtable(table, "dependencies"))
    found = {
        key: table[key] for key in ("name", "version", "description", "license") if isinstance(table.get(key), str)
    }
    python = poetry_specifier(wanted.pop("python", "*"))
    if python is not None:
        found["python_requires"] = python
    scripts = {key: value for key, value in subtable(table, "scripts").items() if isinstance(value, str)}
    optional = {name for name, value in wanted.items() if isinstance(value, dict) and value.get("optional")}
    needed = [_poetry_requirement(name, value) for name, value in wanted.items() if name not in optional]
    if None not in needed:
        found["install_requires"] = needed
    extras = {
        key: [_poetry_requirement(name, wanted.get(name)) for name in names if isinstance(name, str)]
        for key, names in subtable(table, "extras").items()
        if isinstance(names, list)
    }
    if all(None not in entries for entries in extras.values()):
        found["extras_require"] = extras
    return {**found, "scripts": scripts, "classifiers": _strings(table.get("classifiers"))}


def _strings(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _poetry_requirement(name: str, value: Any) -> str | None:
    """PEP 508, or None: lists of alternatives, paths, markers of Poetry's own are left to the backend."""
    table = {"version": value} if isinstance(value, str) else value
    if not isinstance(table, dict) or not table.keys() <= {"version", "extras", "optional", "markers", "python"}:
        return None
    specifier = poetry_specifier(table.get("version", "*"))
    if specifier is None:
        return None
    extras = f"[{','.join(_strings(table.get('extras')))}]" if table.get("extras") else ""
    marker = table.get("markers", "")
    if "python" in table:
        found = re.fullmatch(r"(<|>=)\s*([0-9]+\.[0-9]+)", str(table["python"]))
        if not found or marker:
            return None
        marker = f'python_version {found[1]} "{found[2]}"'
    text = f"{name}{extras}{specifier}{f' ; {marker}' if marker else ''}"
    return None if requirement_problem(text) else text


def poetry_specifier(text: Any) -> str | None:
    """`^1.2` is `>=1.2,<2.0`, `~1.2` is `>=1.2,<1.3`, a bare version is `==`; None for alternatives (`||`)."""
    if not isinstance(text, str) or "|" in text:
        return None
    clauses = [
        _poetry_clause(clause) for clause in re.split(r"\s*,\s*|(?<=[\w*])\s+(?=[<>=!~^])", text.strip()) if clause
    ]
    return None if None in clauses else ",".join(clause for clause in clauses if clause)


def _poetry_clause(clause: str) -> str | None:
    if clause == "*":
        return ""
    found = re.fullmatch(r"(\^|~=|~|>=|<=|==|!=|>|<|=)?\s*v?([0-9]+(?:\.[0-9]+)*)([\w.+-]*?)(\.\*)?", clause)
    if not found:
        return None
    operator, release, suffix, star = found.groups()
    if operator in ("^", "~"):
        return f">={release}{suffix},<{_next(release, caret=operator == '^')}"
    if star and operator in (None, "=", "=="):
        return f"=={release}.*"
    return f"{'==' if operator in (None, '=') else operator}{release}{suffix}{star or ''}"


def _next(release: str, *, caret: bool) -> str:
    """The first release that is too new: for a caret the leftmost number that is not 0 counts up."""
    parts = [int(part) for part in release.split(".")]
    last = min(1, len(parts) - 1)
    at = next((number for number, part in enumerate(parts) if part), len(parts) - 1) if caret else last
    bumped = [*parts[:at], parts[at] + 1, *[0] * (len(parts) - at - 1)]
    return ".".join(map(str, bumped if len(bumped) > 1 else [*bumped, 0]))


def from_flit(data: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords of `setup()` from [tool.flit.metadata], flit's table before PEP 621."""
    table = subtable(data, "tool", "flit", "metadata")
    name = table.get("dist-name", table.get("module"))
    found: dict[str, Any] = {"name": name} if isinstance(name, str) else {}
    if isinstance(table.get("requires-python"), str):
        found["python_requires"] = table["requires-python"]
    found["install_requires"] = _strings(table.get("requires"))
    extras = subtable(table, "requires-extra")
    scripts = {key: value for key, value in subtable(data, "tool", "flit", "scripts").items() if isinstance(value, str)}
    return {
        **found,
        "extras_require": {key: _strings(value) for key, value in extras.items()},
        "scripts": scripts,
        "classifiers": _strings(table.get("classifiers")),
    }
