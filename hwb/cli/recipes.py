"""How does a user see where recipes come from, read one, and take one over?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from hwb.cli import help_without_command, workspace_of

if TYPE_CHECKING:
    from hwb.declare import Recipe

__all__ = ["command"]


@click.group("recipes", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List, show or eject recipes."""
    help_without_command(ctx)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def _list(ctx: click.Context, as_json: bool) -> int:
    """Every recipe with its chain of origins, the one that runs first."""
    catalog = workspace_of(ctx).catalog
    if as_json:
        import json

        rows = [
            {"recipe": e.name, "description": e.doc, "origins": [{"layer": r.layer, "where": r.where} for r in e.chain]}
            for e in catalog
        ]
        click.echo(json.dumps({"schema": "hwb.recipes/1", "recipes": rows}, indent=1))
        return 0
    for entry in catalog:
        click.echo(f"{entry.name}: {entry.doc}" if entry.doc else entry.name)
        for recipe in entry.chain:
            click.echo(f"    {recipe.layer:<12} {recipe.where}")
    return 0


@command.command("show")
@click.argument("name")
@click.pass_context
def _show(ctx: click.Context, name: str) -> int:
    """The source of a recipe, and of those that it overrides."""
    for recipe in workspace_of(ctx).catalog[name].chain:
        click.echo(f"# {recipe.layer}: {recipe.where}")
        click.echo(_source(recipe))
    return 0


@command.command("eject")
@click.argument("name")
@click.pass_context
def _eject(ctx: click.Context, name: str) -> int:
    """Copy a recipe into your hwbfile.py, where it overrides the one it was copied from."""
    from hwb.errors import UsageError
    from hwb.fs import atomic_write
    from hwb.loader import HWBFILE

    workspace = workspace_of(ctx)
    recipe = workspace.catalog[name].top
    target = workspace.hwbfile or os.path.join(workspace.root, HWBFILE)
    if recipe.layer == "hwbfile":
        raise UsageError(f"recipe {name!r} is in your hwbfile already: {recipe.where}", remedy="edit it there")
    text = _with_recipe(_read(target), recipe)
    atomic_write(target, text)
    click.echo(f"{name} is now in {target}")
    return 0


def _read(path: str) -> str:
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as handle:
        return handle.read()


def _source(recipe: Recipe) -> str:
    import inspect

    return inspect.getsource(recipe.function).rstrip()


def _with_recipe(text: str, recipe: Recipe) -> str:
    """The hwbfile with the recipe's source at its end, and the imports that the source needs."""
    source = _source(recipe)
    needed = [line for line in _imports(recipe.file) if _used(line, source) and line not in text.splitlines()]
    future = [line for line in needed if line.startswith("from __future__")]
    rest = [line for line in needed if not line.startswith("from __future__")]
    head = text if not future else _after_docstring(text, future[0])
    body = head.rstrip()
    parts = [body] if body else []
    if rest:
        parts.append("\n".join(rest))
    return "\n\n".join([*parts, "\n" + source]).lstrip("\n") + "\n"


def _after_docstring(text: str, line: str) -> str:
    """`from __future__` must stand before everything but comments and the docstring."""
    import ast

    if not text.strip():
        return line
    body = ast.parse(text).body
    docstring = body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    lines = text.splitlines()
    at = body[0].end_lineno or 0 if docstring else body[0].lineno - 1 if body else len(lines)
    return "\n".join([*lines[:at], line, *lines[at:]])


def _imports(path: str) -> list[str]:
    import ast

    tree = ast.parse(_read(path))
    return [ast.unparse(node) for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]


def _used(line: str, source: str) -> bool:
    import ast
    import re

    node: Any = ast.parse(line).body[0]
    if isinstance(node, ast.ImportFrom) and node.module == "__future__":
        return True
    names = [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    return any(re.search(rf"\b{re.escape(name)}\b", source) for name in names)
