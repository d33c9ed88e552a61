"""Which Pythons are on this machine, and which of them does a project take?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hwb.pyprobe import Interpreter
    from hwb.pysurvey import Refused

__all__ = ["command"]


@click.group("python", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Which Pythons are on this machine?"""
    from hwb.cli import help_without_command

    help_without_command(ctx)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON (schema hwb.pythons/1).")
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> int:
    """List every Python of this machine: version and kind, where it was found, its path.

    The first of those that fit a request is the one that it means; the star marks the one that is taken here when
    nothing names a Python.
    """
    from hwb.pysurvey import survey

    found, refused = survey()
    default, why = _default((ctx.obj or {}).get("directory") or ".")
    if as_json:
        import json

        click.echo(json.dumps(_as_json(found, refused, default, why), indent=1))
        return 0
    _show(found, refused, default)
    if why:
        click.echo(f"none is taken here without being named: {why}", err=True)
    return 0


def _default(directory: str) -> tuple[Interpreter | None, str]:
    """What `hwb build` takes in this directory, or why it takes none."""
    from hwb.config import load, org_file
    from hwb.errors import HwbError
    from hwb.project import find_root
    from hwb.pydefault import choose, requires_python_of

    start = os.path.abspath(directory)
    if not os.path.isdir(start):
        raise click.UsageError(f"there is no directory {start}")
    root = find_root(start) or start
    try:
        settings = load(root, org_file=org_file(os.environ))
        return choose(root, settings, lambda: requires_python_of(root)), ""
    except HwbError as error:
        return None, str(error)


def _is(one: Interpreter, default: Interpreter | None) -> bool:
    return default is not None and os.path.realpath(one.path) == os.path.realpath(default.path)


def _show(found: list[Interpreter], refused: list[Refused], default: Interpreter | None) -> None:
    width = max((len(one.title) for one in found), default=0)
    for one in found:
        star = "*" if _is(one, default) else " "
        click.echo(f"{star} {one.title:<{width}}  {one.source:<8}  {one.path}")
    for other in refused:
        click.echo(f"  {'-':<{width}}  {other.source:<8}  {other.path}  ({other.why})")


def _as_json(found: list[Interpreter], refused: list[Refused], default: Interpreter | None, why: str) -> dict[str, Any]:
    rows = [
        {
            "version": one.version,
            "implementation": one.implementation,
            "free_threaded": "t" in one.flags,
            "debug": "d" in one.flags,
            "source": one.source,
            "path": one.path,
            "default": _is(one, default),
        }
        for one in found
    ]
    told: dict[str, Any] = {"schema": "hwb.pythons/1", "pythons": rows, "unusable": [row._asdict() for row in refused]}
    return {**told, "no_default": why} if why else told
