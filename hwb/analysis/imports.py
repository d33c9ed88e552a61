"""Under which top-level names will the project be imported, and who told so?"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from hwb.analysis.pyproject import subtable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hwb.analysis.legacy import Legacy

__all__ = ["import_names"]

_ROOTS = ("src", "lib", "python")
_NOT_IMPORTED = frozenset(
    (
        *("tests", "test", "docs", "doc", "examples", "example", "benchmarks", "build", "dist", "scripts", "tools"),
        *("setup", "conftest", "noxfile", "hwbfile", "tasks", "fabfile", "bin", "node_modules", "venv", "env"),
    )
)


def import_names(
    folder: str, name: str, data: Mapping[str, Any], legacy: Legacy | None, declared: Iterable[str]
) -> tuple[str, ...]:
    """Top-level names, sorted: PEP 794's, else those of the backend's settings, else what lies where backends look."""
    if given := _tops(declared):
        return given
    tool = subtable(data, "tool")
    configured = _tops([*_from_settings(tool), *(_from_setup(legacy) if legacy else ())])
    return configured or _found(folder, name, legacy, tool)


def _tops(names: Iterable[Any]) -> tuple[str, ...]:
    """`pkg.sub` is imported by `pkg`; PEP 794 marks private names by a suffix."""
    tops = {name.partition(";")[0].strip().partition(".")[0] for name in names if isinstance(name, str)}
    return tuple(sorted(top for top in tops if top.isidentifier() and top not in _ROOTS))


def _from_settings(tool: Mapping[str, Any]) -> list[Any]:
    """The tables in which backends are told what to pack."""
    found: list[Any] = []
    found += _list(subtable(tool, "flit", "module").get("name"))
    found += _list(subtable(tool, "flit", "metadata").get("module"))
    found += _list(subtable(tool, "uv", "build-backend").get("module-name"))
    found += _list(subtable(tool, "maturin").get("module-name"))
    wheel = subtable(tool, "hatch", "build", "targets", "wheel")
    paths = _list(wheel.get("packages")) or _list(wheel.get("only-include"))
    paths += _list(subtable(tool, "scikit-build", "wheel").get("packages"))
    found += [_stem(path) for path in paths if isinstance(path, str)]
    found += _list(subtable(tool, "setuptools").get("packages")) + _list(subtable(tool, "setuptools").get("py-modules"))
    for row in _list(subtable(tool, "poetry").get("packages")):
        include = row.get("include") if isinstance(row, dict) else row
        found += [_stem(include.partition("/")[0])] if isinstance(include, str) else []
    return found


def _from_setup(legacy: Legacy) -> list[str]:
    return legacy.texts("packages") + legacy.texts("py_modules")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []


def _stem(path: str) -> str:
    return os.path.basename(path.rstrip("/")).removesuffix(".py")


def _found(folder: str, name: str, legacy: Legacy | None, tool: Mapping[str, Any]) -> tuple[str, ...]:
    """The module with the project's name where backends look; else every package in the first folder that has one."""
    wanted = re.sub(r"[-.]+", "_", name).lower()
    where = legacy.computed.get("packages", "").partition("find:")[2].strip() if legacy else ""
    source = subtable(tool, "maturin").get("python-source")
    told = [root for root in (where, source) if isinstance(root, str) and root and ".." not in root]
    modules = {
        root: _modules(os.path.join(folder, root), namespaces=bool(root))
        for root in (*told, "src", "python", "lib", "")
    }
    for names in modules.values():
        if own := [module for module in names if wanted and module.lower() == wanted]:
            return tuple(own)
    return next((tuple(names) for names in modules.values() if names), ())


def _modules(root: str, *, namespaces: bool) -> list[str]:
    """Modules and packages, on request those without `__init__.py` (PEP 420); what is never installed is left out."""
    if not os.path.isdir(root):
        return []
    found = set()
    for entry in os.scandir(root):
        stem = entry.name.removesuffix(".py")
        if stem.lower() in _NOT_IMPORTED or stem.startswith("__") or not stem.isidentifier():
            continue
        is_module = entry.name.endswith(".py") and entry.is_file()
        if is_module or (entry.is_dir() and _is_package(entry.path, namespace=namespaces)):
            found.add(stem)
    return sorted(found)


def _is_package(path: str, *, namespace: bool) -> bool:
    if namespace:
        return any(name.endswith((".py", ".pyi")) for _, _, files in os.walk(path) for name in files)
    return any(os.path.isfile(os.path.join(path, "__init__" + end)) for end in (".py", ".pyi"))
