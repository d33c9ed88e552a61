"""What can be imported once a wheel is installed?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hwb.archive.zips import open_wheel
from hwb.wheel.model import WheelSubject

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["import_names"]

_NEVER_IMPORTED = frozenset({"setup", "conftest", "noxfile", "tests", "test"})
"""Top-level names that only ever get into a wheel by accident; importing them runs tests or a build."""


def import_names(wheel_path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Every top-level module that can be imported once the wheel is installed, by its RECORD, sorted.

    Packages, single modules and extension modules; below a namespace package (PEP 420) the first real packages, or
    its modules where it holds no package. Names that are no identifiers (`foo-stubs`) and accidents (`setup.py`,
    `tests`) are left out; a wheel that holds nothing else is taken at its word.
    """
    place = os.fspath(wheel_path)
    with open_wheel(place) as wheel:
        rows = WheelSubject(wheel, os.path.basename(place)).record or []
    tree = _tree(row[0] for row in rows)
    names = [name for top, below in tree.items() for name in _importable(top, below)]
    wanted = [name for name in names if name.split(".")[0] not in _NEVER_IMPORTED]
    return tuple(sorted(wanted or names))


_Tree = dict[str, "_Tree | None"]


def _tree(paths: Iterable[str]) -> _Tree:
    """Folders as dicts, modules as None under their names; only what is installed into site-packages."""
    root: _Tree = {}
    for path in paths:
        parts = path.split("/")
        if parts[0].endswith(".data"):
            if parts[1:2] not in (["purelib"], ["platlib"]):
                continue
            parts = parts[2:]
        module = _module_name(parts[-1]) if parts else ""
        if module and all(map(_is_name, parts[:-1])):
            folder = root
            for part in parts[:-1]:
                deeper = folder.get(part)
                if deeper is None:  # a package wins over a module of the same name, as it does on import
                    deeper = folder[part] = {}
                folder = deeper
            folder.setdefault(module, None)
    return root


def _is_name(text: str) -> bool:
    from keyword import iskeyword

    return text.isidentifier() and not iskeyword(text)


def _module_name(file: str) -> str:
    """The module that a file is (`.py`, `.pyd`, a shared object named as the import system wants), or nothing."""
    stem, _, suffix = file.partition(".")
    if not _is_name(stem) or stem == "__main__":
        return ""
    last = suffix.rpartition(".")[2]
    if suffix == "py" or last == "pyd":
        return stem
    tagged = suffix.startswith(("cpython-", "abi3", "pypy", "graalpy"))
    return stem if last == "so" and (tagged or (suffix == "so" and not stem.startswith("lib"))) else ""


def _importable(name: str, below: _Tree | None) -> list[str]:
    if below is None or "__init__" in below:
        return [] if name == "__init__" else [name]
    folders = [(part, deeper) for part, deeper in below.items() if deeper is not None]
    packages = [found for part, deeper in folders for found in _importable(part, deeper)]
    modules = [part for part, deeper in below.items() if deeper is None]
    return [f"{name}.{found}" for found in packages or modules]
