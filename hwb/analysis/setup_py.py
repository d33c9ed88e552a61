"""What does setup.py pass to `setup()`, as far as its text tells without running it?"""

from __future__ import annotations

import ast
from collections import Counter
from typing import Any

from hwb.analysis.legacy import Legacy, parse_quietly

__all__ = ["read_setup_py"]

_MUTATORS = ("append", "extend", "insert", "update", "remove", "pop", "setdefault", "clear", "sort", "reverse", "add")
_FINDERS = ("find_packages", "find_namespace_packages")


class _Unknown(Exception):
    """The value is computed when setup.py runs."""


def read_setup_py(path: str) -> Legacy:
    """Keywords of the `setup()` call with literal values; the others are named in `computed`.

    Never raises for what the file holds: what cannot be parsed (Python 2, say) is told as `problem`.
    """
    try:
        tree = parse_quietly(path)
    except SyntaxError as error:
        return Legacy({}, {}, {}, False, (f"setup.py cannot be parsed: {error.msg}", f"{path}:{error.lineno or 1}"))
    except (ValueError, RecursionError) as error:  # a null byte, or nested beyond reason
        return Legacy({}, {}, {}, False, (f"setup.py cannot be parsed: {error}", path))
    return _Reader(path, tree).read()


class _Reader:
    """One parsed file; names count as their value when they are bound once, to a literal, and never changed."""

    def __init__(self, path: str, tree: ast.Module) -> None:
        self.path = path
        self.nodes = list(ast.walk(tree))
        self.bindings = Counter(name for node in self.nodes for name in _bound(node))
        self.changed = {name for node in self.nodes for name in _changed(node)}
        self.assigned = {
            node.targets[0].id: node.value
            for node in self.nodes
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
        }
        self.imported = dict(pair for node in self.nodes for pair in _imported(node))

    def read(self) -> Legacy:
        """The call with most keywords: scripts with several try the same with less."""
        calls = [node for node in self.nodes if isinstance(node, ast.Call) and _called(node) == "setup"]
        if not calls:
            return Legacy({}, {}, {}, complete=False)
        call = max(calls, key=lambda node: len(node.keywords))
        values: dict[str, Any] = {}
        computed: dict[str, str] = {}
        places: dict[str, str] = {}
        pairs, complete = self._keywords(call)
        for key, node in pairs:
            places[key] = f"{self.path}:{node.lineno}"
            try:
                values[key] = self.value(node)
            except _Unknown as reason:
                computed[key] = str(reason) or "computed by setup.py"
        return Legacy(values, computed, places, complete and len(calls) == 1)

    def _keywords(self, call: ast.Call) -> tuple[list[tuple[str, ast.expr]], bool]:
        """Keywords, those of `**name` and `**dict(...)` too; whether that is all of them."""
        pairs, complete = [], True
        for keyword in call.keywords:
            if keyword.arg is not None:
                pairs.append((keyword.arg, keyword.value))
                continue
            inner = self._settled(keyword.value)
            if isinstance(inner, ast.Dict) and all(isinstance(key, ast.Constant) for key in inner.keys):
                pairs += [(str(getattr(key, "value", "")), node) for key, node in zip(inner.keys, inner.values)]
            elif isinstance(inner, ast.Call) and _called(inner) == "dict" and not inner.args:
                pairs += [(word.arg, word.value) for word in inner.keywords if word.arg]
            else:
                complete = False
        return pairs, complete

    def _settled(self, node: ast.expr) -> ast.expr:
        """What a name stands for, when that cannot change."""
        if isinstance(node, ast.Name) and self.bindings[node.id] == 1 and node.id not in self.changed:
            return self.assigned.get(node.id, node)
        return node

    def value(self, node: ast.expr, depth: int = 0) -> Any:
        """A literal, built from literals by `+`, `%` with strings, f-strings, lists, dicts, `dict()` and names."""
        if depth > 50:
            raise _Unknown
        settled = self._settled(node)
        if settled is not node:
            return self.value(settled, depth + 1)
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            return [self.value(item, depth + 1) for item in node.elts]
        if isinstance(node, ast.Dict):
            return {self._key(key, depth): self.value(item, depth + 1) for key, item in zip(node.keys, node.values)}
        if isinstance(node, ast.BinOp):
            return self._joined(node, depth)
        if isinstance(node, ast.JoinedStr):
            return "".join(self._formatted(part, depth) for part in node.values)
        raise _Unknown(self._how(node))

    def _key(self, key: ast.expr | None, depth: int) -> str:
        value = self.value(key, depth + 1) if key is not None else None
        if not isinstance(value, str):
            raise _Unknown
        return value

    def _joined(self, node: ast.BinOp, depth: int) -> Any:
        left, right = self.value(node.left, depth + 1), self.value(node.right, depth + 1)
        if isinstance(node.op, ast.Add) and type(left) is type(right) and isinstance(left, str | list):
            return left + right
        raise _Unknown

    def _formatted(self, part: ast.expr, depth: int) -> str:
        if isinstance(part, ast.FormattedValue):
            if part.format_spec is not None or part.conversion != -1:
                raise _Unknown
            part = part.value
        value = self.value(part, depth + 1)
        if isinstance(value, str):
            return value
        raise _Unknown

    def _how(self, node: ast.expr) -> str:
        """In setuptools' words where there is a word: `attr: pkg.__version__` for what is imported, `find:`."""
        if isinstance(node, ast.Call) and _called(node) in _FINDERS:
            where = next(
                (word.value for word in node.keywords if word.arg == "where"), node.args[0] if node.args else None
            )
            return (
                f"find: {where.value}" if isinstance(where, ast.Constant) and isinstance(where.value, str) else "find:"
            )
        if isinstance(node, ast.Name) and node.id in self.imported:
            return f"attr: {self.imported[node.id]}"
        if isinstance(node, ast.Attribute) and (dotted := ast.unparse(node)).replace(".", "").isidentifier():
            first, _, rest = dotted.partition(".")
            if first in self.imported:
                return f"attr: {self.imported[first]}.{rest}"
        return ""


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _bound(node: ast.AST) -> list[str]:
    """Names that a node binds."""
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        return [node.id]
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, ast.alias):
        return [(node.asname or node.name).partition(".")[0]]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    return [node.name] if isinstance(node, ast.ExceptHandler) and node.name else []


def _changed(node: ast.AST) -> list[str]:
    """Names whose value a node changes, or hands to something that may: an alias, a mutating method, an item."""
    touched: list[ast.expr] = []
    if isinstance(node, ast.AugAssign):
        touched = [node.target]
    elif isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
        touched = [node.value]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MUTATORS:
        touched = [node.func.value]
    elif isinstance(node, ast.Call) and _called(node) in ("exec", "execfile"):
        touched = list(node.args)
    elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
        touched = [node.value]
    return [item.id for item in touched if isinstance(item, ast.Name)]


def _imported(node: ast.AST) -> list[tuple[str, str]]:
    """Names that imports bind, with the dotted name that each stands for."""
    if isinstance(node, ast.Import):
        return [
            (item.asname or item.name.partition(".")[0], item.name if item.asname else item.name.partition(".")[0])
            for item in node.names
        ]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [(item.asname or item.name, f"{node.module}.{item.name}") for item in node.names]
    return []
