"""Are these wheels and sdists what they claim to be? Nothing is built, run or asked from a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["command"]


@click.command("check")
@click.argument("files", nargs=-1, metavar="FILE...", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="As JSON (schema hwb.check/1).")
@click.option("--ignore", multiple=True, metavar="ID", help="Leave out a rule; may be given several times.")
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@click.option("--explain", metavar="ID", help="Say what a rule is about, and what to do.")
@click.option("--list-rules", is_flag=True, help="List every rule.")
def command(
    files: tuple[str, ...], as_json: bool, ignore: tuple[str, ...], strict: bool, explain: str | None, list_rules: bool
) -> int:
    """Check wheels (.whl) and sdists (.tar.gz), or all of them in a directory.

    Ends with 5 when one is refused.
    """
    if list_rules or explain:
        return _show_rules([explain] if explain else [], as_json)
    if not files:
        raise click.UsageError("name wheels, sdists, or a directory with some, for example: hwb check dist")
    from hwb.wheel.report import report

    return report(files, ignore=ignore, strict=strict, as_json=as_json)


def _show_rules(only: Sequence[str], as_json: bool) -> int:
    from hwb.errors import UsageError
    from hwb.wheel.rules import applies_to, every_rule

    rules = every_rule()
    for name in only:
        if name not in rules:
            raise UsageError(f"there is no rule {name!r}", remedy="list them with: hwb check --list-rules")
    rows = [
        {
            "id": rule.id,
            "principle": rule.principle,
            "severity": rule.severity.value,
            "applies_to": applies_to(rule.id),
            "doc": rule.doc,
            "remedy": rule.remedy,
        }
        for rule in (rules[name] for name in (only or rules))
    ]
    if as_json:
        import json

        click.echo(json.dumps({"schema": "hwb.check.rules/1", "rules": rows}, indent=1))
    for row in rows if not as_json else ():
        click.echo(f"{row['id']:<20} {row['principle']:<4} {row['severity']:<8} {row['applies_to']:<12} {row['doc']}")
        if only:
            click.echo(f"{'':<20} try: {row['remedy']}")
    return 0
