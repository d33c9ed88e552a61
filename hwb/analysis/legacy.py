"""In what form is kept what setup.cfg or setup.py say, and how are the values found that they only refer to?"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ast

__all__ = ["Legacy", "assigned_literal", "parse_quietly", "resolve_attr", "resolve_file"]


@dataclass(frozen=True, slots=True, eq=False)
class Legacy:
    """By keyword of `setup()`: literal `values`; `computed`, how others are decided; `places` (file:line) of both.

    `complete`: nothing else can be passed. `problem`: why setup.py could not be read at all (None when it could).
    """

    values: dict[str, Any]
    computed: dict[str, str]
    places: dict[str, str]
    complete: bool = True
    problem: tuple[str, str] | None = None

    def text(self, key: str) -> str | None:
        """A string, or None."""
        value = self.values.get(key)
        return value.strip() or None if isinstance(value, str) else None

    def texts(self, key: str) -> list[str]:
        """A list of strings; one string is split into lines as setuptools does."""
        value = self.values.get(key)
        lines = value.splitlines() if isinstance(value, str) else value if isinstance(value, list | tuple) else []
        return [text.strip() for text in lines if isinstance(text, str) and text.strip()]

    def has(self, key: str) -> bool:
        """Whether the key is given, as a literal that is not empty or computed."""
        return key in self.computed or bool(self.values.get(key))


def resolve_attr(folder: str, attribute: str, package_dir: object = None) -> tuple[str, str] | None:
    """The literal a dotted name is assigned, with its place, found as setuptools does: by ast, never by import."""
    module, _, name = attribute.strip().rpartition(".")
    parts = (module or name).split(".")
    if not all(part.isidentifier() for part in [*parts, name]):
        return None
    told = package_dir.get("") if isinstance(package_dir, dict) else None
    roots = [told if isinstance(told, str) else "", "src", ""] if module else [""]
    for root in dict.fromkeys(root for root in roots if _inside(root)):
        base = os.path.join(folder, root, *parts)
        for path in (os.path.join(base, "__init__.py"), base + ".py"):
            if os.path.isfile(path):
                return assigned_literal(path, name)
    return None


def assigned_literal(path: str, name: str) -> tuple[str, str] | None:
    """The string (or number) that a module assigns once to `name`, with `file:line`; None when it computes it."""
    import ast

    try:
        body = parse_quietly(path).body
    except (SyntaxError, ValueError, RecursionError, OSError):
        return None
    found = []
    for node in body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            found.append((getattr(node, "value", None), node.lineno))
    if len(found) != 1 or not isinstance(found[0][0], ast.Constant):
        return None
    value = found[0][0].value
    return (str(value), f"{path}:{found[0][1]}") if isinstance(value, str | int | float) else None


def parse_quietly(path: str) -> ast.Module:
    """The syntax tree of somebody's file; what compilers only warn of (old escape sequences) is not our business."""
    import ast
    import warnings

    with open(path, "rb") as handle:
        text = handle.read()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def resolve_file(folder: str, name: str) -> tuple[str, str] | None:
    """The stripped text of one small file inside the project, with its place; None for anything else."""
    if "\0" in name:
        return None
    path = os.path.realpath(os.path.join(folder, name.strip()))
    if not path.startswith(os.path.join(os.path.realpath(folder), "")):
        return None
    try:
        with open(path, encoding="utf-8") as handle:
            return handle.read(65536).strip(), os.path.join(folder, name.strip())
    except (OSError, UnicodeDecodeError):
        return None


def _inside(root: str) -> bool:
    return root[:1] not in ("/", "\\") and root[1:2] != ":" and ".." not in root.replace("\\", "/").split("/")
