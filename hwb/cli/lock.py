"""How are the exact build requirements of a project written down, and is what was written down still right?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hwb.pythons import Interpreter

__all__ = ["command"]


@click.command("lock")
@click.argument("source", default=".")
@click.option("--build", "build", is_flag=True, help="Lock what is needed to build: pylock.build.toml.")
@click.option("-p", "--python", "pythons", multiple=True, metavar="X.Y[,X.Y]", help="Lock for each of these.")
@click.option("--download-python", is_flag=True, help="Fetch a Python that is not there, with uv.")
@click.option("--upgrade", is_flag=True, help="Take the newest versions, not those that are in the file.")
@click.option("--check", is_flag=True, help="Write nothing; end with 5 when the file would change.")
@click.option("--offline", is_flag=True, help="Never use the network.")
@click.pass_context
def command(
    ctx: click.Context,
    source: str,
    build: bool,
    pythons: tuple[str, ...],
    download_python: bool,
    upgrade: bool,
    check: bool,
    offline: bool,
) -> int:
    """Write down the exact build requirements of the project in SOURCE.

    pylock.build.toml names every file by its sha256 (PEP 751); hwb build --locked installs exactly those.
    """
    if not build:
        raise click.UsageError("say what to lock: hwb lock --build")
    root = os.path.join(os.path.abspath((ctx.obj or {}).get("directory") or "."), os.path.expanduser(source))
    if not os.path.isdir(root):
        raise click.UsageError(f"{source} is no directory: only a project's own directory has a lock")

    from hwb.cli.watching import called_off
    from hwb.context import CancelToken, current, use
    from hwb.pydownload import way
    from hwb.pythons import downloading

    context, token = current(), CancelToken()
    context = context.but(token=token, offline=offline or _configured(), emit=_tell)
    with called_off(token), use(context), downloading(way(download_python or None)):
        return _lock(os.path.normpath(root), pythons, upgrade=upgrade, check=check)


def _configured() -> bool:
    return os.environ.get("HWB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def _tell(kind: str, **values: Any) -> None:
    if kind == "message" and values["level"] != "info":
        click.echo(f"{values['level']}: {values['text']}", err=True)


def _lock(root: str, words: Sequence[str], *, upgrade: bool, check: bool) -> int:
    from hwb.builder.lock import FILE_NAME
    from hwb.builder.locking import lock_text

    path = os.path.join(root, FILE_NAME)
    known = _text(path)
    text = lock_text(root, _interpreters(root, words), known, upgrade=upgrade)
    shown = os.path.relpath(path)
    if text == known:
        click.echo(f"{shown} is up to date")
        return 0
    if check:
        return _differs(shown, known, text)
    from hwb.fs import atomic_write

    atomic_write(path, text)
    click.echo(f"{shown}: {', '.join(_packages(text))}")
    for line in _only_sdists(path):
        click.echo(f"warning: {line}", err=True)
    return 0


def _text(path: str) -> str:
    """The lock that is there, checked; empty when there is none."""
    if not os.path.exists(path):
        return ""
    from hwb.builder.lock import read_lock

    read_lock(path)
    with open(path, encoding="utf-8-sig", newline="") as handle:
        return handle.read()


def _interpreters(root: str, words: Sequence[str]) -> list[Interpreter]:
    """Those that were named, else the one that hwb build would take."""
    from hwb.config import load
    from hwb.project import read_project
    from hwb.pydefault import choose, named
    from hwb.pydownload import permitted
    from hwb.pyspec import split_specs

    project, settings, requests = read_project(root), load(root, org_file=None), split_specs(words)
    with permitted(settings):
        if not requests:
            return [choose(root, settings, lambda: project.requires_python)]
        return named(root, settings, requests)


def _packages(text: str) -> list[str]:
    from hwb.toml import parse_toml

    return [f"{row['name']} {row.get('version', '')}".rstrip() for row in parse_toml(text)["packages"]] or ["nothing"]


def _differs(shown: str, known: str, text: str) -> int:
    old, new = (_packages(one) if one else [] for one in (known, text))
    changes = [*(f"+ {row}" for row in new if row not in old), *(f"- {row}" for row in old if row not in new)]
    click.echo(f"{shown} would change" if known else f"{shown} is missing", err=True)
    for change in changes or ["the same versions, other files or requirements"]:
        click.echo(f"  {change}", err=True)
    click.echo("  try: hwb lock --build", err=True)
    return 5


def _only_sdists(path: str) -> Iterator[str]:
    """What the lock does not reach: the build requirements of build requirements that have no wheel."""
    from hwb.builder.lock import read_lock

    for package in read_lock(path).packages:
        if not package.wheels and package.sdist is not None:
            yield f"{package.name} {package.version} has no wheel: what its own build needs is not locked"
