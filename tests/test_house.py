"""Does the house stand: imports go down only, nothing is public by accident, and starting up stays cheap?"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hwb"
RECIPES = ROOT / "recipes"

FLOORS = (
    "errors events context places redact procgroup _jobobject fs archive proc terminal litter which toml installs locks keys pyspec pyuv",
    "config source fetch git digest snapshot project analysis target pythons pyprobe pysurvey artifacts store index pruning",
    "wheel isolation pydownload pydefault screen demo version matrix",
    "builder registry repair",
    "declare loader plan spec commands session script workspace machine delivering making delegate inside",
    "runner",
    "cli __main__ __init__ core compat",
)
"""Rooms by floor, lowest first: a room may import from its own and those below (docs/explanation/architecture.md)."""
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms.split()}


def module_name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py")) if "recipes" not in path.parts}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), str(path))


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def statements(node: ast.AST):
    """Every node that runs, those in functions too; what only type checkers see is left out."""
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child):
            for other in child.orelse:
                yield other
                yield from statements(other)
        else:
            yield child
            yield from statements(child)


def imported(module: str, path: Path):
    """`(module of hwb, line)` for every import of ours; a public name taken from `hwb` counts as its home."""
    import hwb

    is_package = path.name == "__init__.py"
    for node in statements(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names if alias.name.startswith("hwb."))
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")[: len(module.split(".")) - node.level + is_package]
                base = ".".join([*above, *base.split(".")]).rstrip(".")
            for alias in node.names if base == "hwb" or base.startswith("hwb.") else ():
                full = f"{base}.{alias.name}"
                if full in MODULES:
                    yield full, node.lineno
                elif base != "hwb":
                    yield base, node.lineno
                elif alias.name in hwb._HOME:
                    yield hwb._HOME[alias.name], node.lineno


EDGES = {module: list(imported(module, path)) for module, path in MODULES.items()}


def test_every_room_has_a_floor():
    assert {room(module) for module in MODULES} - FLOOR.keys() == set()


def test_imports_go_down():
    upward = [
        f"{MODULES[module].relative_to(ROOT)}:{line}: {room(module)} (floor {FLOOR[room(module)]}) imports {other} "
        f"(floor {FLOOR[room(other)]})"
        for module, edges in EDGES.items()
        if room(module) != "__init__"  # its names are lazy
        for other, line in edges
        if FLOOR[room(other)] > FLOOR[room(module)]
    ]
    assert not upward, "\n".join(upward)


def circles(edges: dict[str, list[str]]) -> list[list[str]]:
    """Depth first; a way back onto the path is a circle."""
    found, done = [], set()

    def visit(module: str, path: list[str]) -> None:
        if module in path:
            found.append([*path[path.index(module) :], module])
        elif module not in done:
            for other in edges.get(module, ()):
                visit(other, [*path, module])
            done.add(module)

    for module in edges:
        visit(module, [])
    return found


def test_no_circles():
    inner = {module: edges for module, edges in EDGES.items() if module != "hwb"}
    found = circles({module: sorted({other for other, _ in edges} - {module}) for module, edges in inner.items()})
    assert not found, "\n".join(" -> ".join(circle) for circle in found)


def test_the_circle_finder_finds_circles():
    assert circles({"a": ["b"], "b": ["c"], "c": ["b"]}) == [["b", "c", "b"]]
    assert circles({"a": ["b"], "b": []}) == []


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.py")), ids=lambda path: path.stem)
def test_recipes_use_what_everybody_can(path):
    import hwb

    for node in statements(tree(path)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            if node.module == "hwb":
                assert set(names) <= set(hwb.__all__), f"{path.name}:{node.lineno}"
                continue
            names = [node.module or ""]
        for name in names:
            top = name.partition(".")[0]
            assert name == "hwb" or top in sys.stdlib_module_names, f"{path.name}:{node.lineno}: {name}"


EVERY_FILE = [*MODULES.values(), *sorted(RECIPES.glob("*.py"))]


def undocumented(path: Path):
    module = tree(path)
    doc = ast.get_docstring(module)
    if not doc:
        yield f"{path.relative_to(ROOT)}:1: no docstring"
    elif "?" not in doc and path.parent != RECIPES:
        yield f"{path.relative_to(ROOT)}:1: the docstring asks no question"
    yield from _undocumented_inside(module, path)


def _undocumented_inside(parent: ast.AST, path: Path):
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.If | ast.Try):
            yield from _undocumented_inside(node, path)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            decorators = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
            if not ast.get_docstring(node) and not decorators & {"overload", "setter", "override"}:
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} has no docstring"
            if isinstance(node, ast.ClassDef):
                yield from _undocumented_inside(node, path)


def test_everything_public_is_documented():
    missing = [line for path in EVERY_FILE for line in undocumented(path)]
    assert not missing, "\n".join(missing)


def test_a_broad_except_has_a_reason():
    bad = []
    for path in EVERY_FILE:
        lines = path.read_text(encoding="utf-8").splitlines()
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "everything"
                reraised = isinstance(node.body[-1], ast.Raise)
                broad = caught in ("everything", "Exception", "BaseException") and not reraised
                if broad and "#" not in lines[node.lineno - 1] + lines[node.lineno]:
                    bad.append(f"{path.relative_to(ROOT)}:{node.lineno}: except {caught} without a comment")
    assert not bad, "\n".join(bad)


def python(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environ, check=False
    )


NAMES = """
import pkgutil, importlib, hwb
for found in pkgutil.walk_packages(hwb.__path__, "hwb."):
    if not found.name.endswith("__main__") and not found.name.startswith("hwb.recipes"):
        importlib.import_module(found.name)
for name in hwb.__all__:
    if name != "__version__":
        assert getattr(hwb, name) is getattr(importlib.import_module(hwb._HOME[name]), name), name
assert set(dir(hwb)) >= set(hwb.__all__)
"""


def test_no_public_name_is_hidden_by_a_module():
    done = python(NAMES)
    assert done.returncode == 0, done.stderr


HEAVY = {
    *("rich", "asyncio", "virtualenv", "httpx", "requests"),
    *("twine", "packaging.requirements", "jinja2", "importlib.metadata"),
}


@pytest.mark.parametrize("arguments", [["--help"], ["sessions", "--list"]], ids=" ".join)
def test_b4_10_starting_up_imports_little(arguments, tmp_path, unmeasured):
    environ = {**unmeasured, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "hwb", *arguments],
        capture_output=True, text=True, cwd=tmp_path, env=environ, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "hwb.errors" in loaded
    assert loaded & HEAVY == set()


TEXT = (".py", ".md", ".toml", ".yml", ".yaml", ".c", ".cfg", ".in", ".json", "")
FORBIDDEN = (
    r"pip install (?:--?\S+ )*hwb\b",  # that name is a stranger's on the index
    r"pypi\.(?:org|python\.org)|pythonhosted\.org",  # indexes are the user's choice
    r"/(?:root|work)/(?!project|\.cache)",  # a documented example has a container's /root/.cache
)


def test_nothing_names_what_it_must_not():
    tops = ("hwb", "recipes", "templates", "docs", "tests", ".ci", ".github")
    files = [path for top in tops for path in (ROOT / top).rglob("*") if path.is_file() and path.suffix in TEXT]
    files += [path for path in ROOT.iterdir() if path.is_file() and path.suffix in TEXT and path.name != ".coverage"]
    found = []
    for path in files:
        if "__pycache__" in path.parts or path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for pattern in FORBIDDEN:
            found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in re.finditer(pattern, text)]
    assert not found, "\n".join(found)
