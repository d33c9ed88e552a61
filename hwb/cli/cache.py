"""What does the store hold, how large is it, and how is it made smaller, checked or emptied?"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from hwb.cli.output import size_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hwb.pruning import Entry

__all__ = ["command", "parse_age", "parse_size"]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_KINDS = ("environments", "results", "sources", "pins", "wheels", "builds", "notes", "temporaries")


@click.group("cache", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """What is in the store, and how is it pruned?"""
    from hwb.cli import help_without_command

    help_without_command(ctx)


@command.command("info")
@click.option("--json", "as_json", is_flag=True, help="As JSON (schema hwb.cache/1).")
def info(as_json: bool) -> int:
    """Show where the store is, what it holds, and how often it had the answer."""
    from hwb.pruning import KINDS, counts, entries
    from hwb.store import open_store

    store = open_store()
    listed = {kind: entries(store, kind) for kind in KINDS}
    rows = [(kind, len(found), _total(found)) for kind, found in listed.items()]
    hits, misses = counts(store)
    if as_json:
        import json

        kinds = {kind: {"count": count, "size": size} for kind, count, size in rows}
        told = {"schema": "hwb.cache/1", "path": str(store.root), "kinds": kinds, "size": sum(row[2] for row in rows)}
        click.echo(json.dumps({**told, "hits": hits, "misses": misses}, indent=1))
        return 0
    click.echo(f"{store.root}  {size_text(sum(row[2] for row in rows))}")
    for kind, count, size in rows:
        click.echo(f"  {kind:<12} {count:>6}  {size_text(size):>9}")
    click.echo(f"builds: {hits} answered from the store, {misses} built")
    return 0


@command.command("list")
@click.argument("kind", required=False, type=click.Choice(_KINDS))
@click.option("--json", "as_json", is_flag=True, help="As JSON (schema hwb.cache.list/1).")
def list_(kind: str | None, as_json: bool) -> int:
    """List what is there: kind, time since its last use, size, name, what it is."""
    from hwb.pruning import KINDS, entries
    from hwb.store import open_store

    found = [entry for one in ([kind] if kind else KINDS) for entry in entries(open_store(), one)]
    if as_json:
        import json

        rows = [{key: value for key, value in entry._asdict().items() if key != "lock"} for entry in found]
        click.echo(json.dumps({"schema": "hwb.cache.list/1", "entries": rows}, indent=1))
        return 0
    _show(found)
    return 0


@command.command("prune")
@click.option("--older-than", metavar="AGE", help="What was not used for so long: 30d, 12h, 2w (default: 30d).")
@click.option("--max-size", metavar="SIZE", help="The longest unused until the rest fits: 5GB, 500MB.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would go.")
def prune(older_than: str | None, max_size: str | None, dry_run: bool) -> int:
    """Remove what nobody used for long, and what killed commands left behind; what is in use stays."""
    from hwb.pruning import AGE
    from hwb.pruning import prune as prune_store
    from hwb.store import open_store

    limit = None if max_size is None else parse_size(max_size)
    age = parse_age(older_than) if older_than is not None else AGE if limit is None else None
    gone = prune_store(open_store(), older_than=age, max_size=limit, dry_run=dry_run)
    _show(gone)
    click.echo(f"{size_text(_total(gone))} {'would be' if dry_run else 'were'} freed ({len(gone)} removed)")
    return 0


@command.command("verify")
def verify() -> int:
    """Read everything again; what is damaged is named and removed. Ends with 5 when there was any."""
    from hwb import pythons
    from hwb.isolation.environment import Venv
    from hwb.isolation.venv import verify_unmodified
    from hwb.pruning import verify as verify_store
    from hwb.store import open_store

    running = pythons.running()
    damaged = verify_store(open_store(), lambda path: verify_unmodified(Venv(path, "", "", "", running, reused=True)))
    for entry in damaged:
        click.echo(f"damaged: {entry.kind} {entry.name} ({entry.what})", err=True)
    click.echo(f"{len(damaged)} damaged, removed" if damaged else "everything is as it was when it was put there")
    return 5 if damaged else 0


@command.command("clear")
@click.argument("kind", required=False, type=click.Choice(_KINDS))
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def clear(kind: str | None, yes: bool) -> int:
    """Remove everything, or everything of a kind; what a running process uses stays."""
    from hwb.pruning import KINDS
    from hwb.pruning import clear as clear_store
    from hwb.store import open_store

    store = open_store()
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("say that you mean it: hwb cache clear --yes")
        click.confirm(f"remove {kind or 'everything'} from {store.root}?", abort=True)
    gone, stayed = clear_store(store, [kind] if kind else KINDS)
    click.echo(f"{size_text(_total(gone))} were freed ({len(gone)} removed)")
    for entry in stayed:
        click.echo(f"in use, so it stays: {entry.kind} {entry.name}", err=True)
    return 0


# --- words and numbers ------------------------------------------------------------------------------------------------


def parse_age(text: str) -> float:
    """Seconds of "30d", "12h", "90m", "2w", "45s"; raises a usage error."""
    number, unit = _split(text)
    if unit not in _SECONDS:
        raise click.UsageError(f"{text!r} is no age: a number with s, m, h, d or w, for example 30d")
    return number * _SECONDS[unit]


def parse_size(text: str) -> int:
    """Bytes of "5GB", "500 MB", "1GiB", "0"; raises a usage error."""
    number, unit = _split(text)
    if (unit or "b") not in _BYTES:
        raise click.UsageError(f"{text!r} is no size: a number with kB, MB, GB or KiB, MiB, GiB, for example 5GB")
    return int(number * _BYTES[unit or "b"])


def _split(text: str) -> tuple[float, str]:
    """Number and lower-case unit; the unit "?" stands for what is no number."""
    import re

    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", text)
    return (float(found[1]), found[2].lower()) if found else (0.0, "?")


def _total(found: Iterable[Entry]) -> int:
    return sum(entry.size for entry in found)


def _show(found: Sequence[Entry]) -> None:
    now = time.time()
    for entry in found:
        what = entry.what if len(entry.what) <= 100 else f"{entry.what[:97]}..."
        age = _shown_age(now - entry.used)
        click.echo(f"{entry.kind:<12} {age:>5} {size_text(entry.size):>9}  {entry.name}  {what}".rstrip())


def _shown_age(seconds: float) -> str:
    unit = next((unit for unit in ("d", "h", "m") if seconds >= _SECONDS[unit]), "s")
    return f"{max(seconds, 0) / _SECONDS[unit]:.0f} {unit}"
