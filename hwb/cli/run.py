"""How does `hwb run` turn its words into a request, a plan and a run?"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from hwb.cli import workspace_of

if TYPE_CHECKING:
    from hwb.machine import Wanted
    from hwb.plan import Plan, Request
    from hwb.workspace import Workspace

__all__ = ["command", "run_plan"]


def _split(values: tuple[str, ...]) -> tuple[str, ...]:
    """Options that may be repeated take comma lists too."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


class _Posargs(click.Command):
    """Everything behind the first `--` belongs to the sessions, also further `--` and things that look like options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.obj = dict(ctx.obj or {})
        if "--" in args:
            cut = args.index("--")
            ctx.obj["posargs"] = tuple(args[cut + 1 :])
            args = args[:cut]
        return super().parse_args(ctx, args)


@click.command("run", cls=_Posargs, context_settings={"ignore_unknown_options": False})
@click.argument("names", nargs=-1, metavar="[SESSION]... [-- ARGUMENT...]")
@click.option("-s", "--session", "more", multiple=True, metavar="NAME", help="A session to run (as nox spells it).")
@click.option("-k", "--keywords", metavar="EXPR", help="Only sessions whose name or tags match: 'test and not slow'.")
@click.option("-t", "--tags", multiple=True, metavar="TAG", help="Only sessions with one of these tags.")
@click.option("-p", "--pythons", multiple=True, metavar="X.Y", help="Only sessions for these Pythons.")
@click.option("-P", "--force-python", metavar="X.Y", help="Run with this Python, also where it is not declared.")
@click.option("--python", metavar="X.Y", help="The Python of sessions that name none.")
@click.option("--download-python", is_flag=True, default=None, help="Fetch a Python that is not there, with uv.")
@click.option("-j", "--jobs", metavar="N|auto", help="How many sessions run at once.")
@click.option("-x", "--stop-on-first-error", is_flag=True, default=None, help="Start nothing more after a failure.")
@click.option("-r", "--reuse-existing-virtualenvs", "reuse", is_flag=True, help="Use environments again.")
@click.option("-R", "reuse_no_install", is_flag=True, help="As -r, and install nothing into them.")
@click.option("--reuse-venv", metavar="no|yes|never|always", help="Whether environments are used again.")
@click.option("--install-only", is_flag=True, help="Make the environments and install; run no command.")
@click.option("--no-install", is_flag=True, help="Install nothing into environments that are used again.")
@click.option("--non-interactive", is_flag=True, help="No session gets the terminal.")
@click.option("--error-on-external-run", is_flag=True, default=None, help="Refuse programs outside the environment.")
@click.option("--default-venv-backend", metavar="NAME", help="uv, virtualenv, venv, none, or a|b.")
@click.option("--isolation", metavar="auto|venv|docker|none", help="Where sessions that do not say run.")
@click.option("--timeout", metavar="SECONDS", help="Longest time for a session.")
@click.option("--run-timeout", metavar="SECONDS", help="Longest time for the run.")
@click.option("--idle-timeout", metavar="SECONDS", help="Longest time for a command to print nothing.")
@click.option("--retries", metavar="N", help="How often a failed session is tried again.")
@click.option("--offline", is_flag=True, default=None, help="Never use the network.")
@click.option("--keep", is_flag=True, help="Keep the container of a wheel that fails, and say how to enter it.")
@click.option("--partial", is_flag=True, help="Publish anywhere even if wheels are missing that cannot be made here.")
@click.option("--args", "arguments", multiple=True, metavar="NAME='...'", help="Arguments for one session only.")
@click.option("--resume", is_flag=True, help="Continue the last run of the same plan: what it did is not run again.")
@click.option("-n", "--dry-run", is_flag=True, help="Print the plan; run nothing.")
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on standard output.")
@click.option("-v", "--verbose", count=True, help="Say more (-vv: everything).")
@click.option("-q", "--quiet", is_flag=True, help="Only failures and the last line.")
@click.option("--color/--no-color", default=None, help="Colours, whatever the terminal says.")
@click.pass_context
def command(ctx: click.Context, /, names: tuple[str, ...], **options: Any) -> int:
    """Run sessions and everything they require.

    Without a name: the sessions of [tool.hwb] sessions, else the default recipes of your hwbfile.py. What stands
    behind -- reaches the sessions as session.posargs.
    """
    from hwb.machine import wanted

    if options["resume"] and options["dry_run"]:
        raise click.UsageError("--dry-run runs nothing: leave --resume out")
    workspace: Workspace = workspace_of(ctx, _settings(options))
    request = _request(workspace, (*names, *options["more"]), options)
    wheels = wanted(workspace, request.names or request.defaults)
    for line in wheels.told:
        click.echo(line, err=True)
    plan = _plan(workspace, replace(request, targets=tuple(wheels.made)))
    if options["dry_run"]:
        return _dry_run(workspace, plan, as_json=options["as_json"])
    return run_plan(ctx, workspace, plan, options, wheels)


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """Options that are settings too: given ones win over every file and variable."""
    same = (
        "python",
        "download_python",
        "jobs",
        "isolation",
        "timeout",
        "run_timeout",
        "idle_timeout",
        "retries",
        "offline",
    )
    flags = ("stop_on_first_error", "error_on_external_run", "default_venv_backend")
    chosen = {name.replace("_", "-"): options[name] for name in (*same, *flags)}
    reuse = options["reuse_venv"] or ("yes" if options["reuse"] or options["reuse_no_install"] else None)
    return {**chosen, "reuse-venv": reuse}


def _request(workspace: Workspace, names: tuple[str, ...], options: dict[str, Any]) -> Request:
    from hwb.plan import Request
    from hwb.pyspec import split_specs

    return Request(
        names,
        options["keywords"],
        _split(options["tags"]),
        tuple(split_specs(options["pythons"])),
        options["force_python"],
        workspace.settings.get("default-venv-backend"),
        tuple(workspace.settings.get("sessions")),
    )


def _plan(workspace: Workspace, request: Request) -> Plan:
    """The plan; without any default, what could be run is listed before the error says so."""
    from hwb.errors import UsageError
    from hwb.plan import make_plan

    try:
        return make_plan(workspace.catalog, request)
    except UsageError:
        if not (request.names or request.keywords or request.tags or request.pythons or request.defaults):
            from hwb.cli.sessions import listing

            click.echo("\n".join(listing(workspace)), err=True)
        raise


def _dry_run(workspace: Workspace, plan: Plan, *, as_json: bool) -> int:
    from hwb.cli.sessions import describe

    rows = [describe(workspace, session, plan) for session in plan.sessions]
    if as_json:
        import json

        click.echo(json.dumps({"schema": "hwb.plan/1", "sessions": rows}, indent=1))
        return 0
    for number, row in enumerate(rows, 1):
        needs = plan.needs.get(row["session"], ())
        waits = ", ".join(f"all of {need[1:]}" if need in plan.groups else need for need in needs)
        click.echo(f"{number:>3}. {row['session']}{f'  (after {waits})' if waits else ''}  [{row['where']}]")
    return 0


def run_plan(
    ctx: click.Context,
    workspace: Workspace,
    plan: Plan,
    options: dict[str, Any],
    wheels: Wanted,
) -> int:
    """Run a plan as the options say (those that a command does not have are off); the exit code."""
    from hwb.runner.api import Flags, execute
    from hwb.runner.display import Display

    as_json = options["as_json"]
    flags = Flags(
        ctx.obj.get("posargs", ()),
        _arguments(options.get("arguments", ())),
        options.get("install_only", False),
        options.get("no_install", False) or options.get("reuse_no_install", False),
        options.get("non_interactive", False),
        tuple(sys.argv[1:]),
        wheels.made,
        wheels.missing,
        options.get("partial", False),
        options.get("keep", False),
        options.get("resume", False),
    )
    display = Display(
        sys.stderr if as_json else sys.stdout,
        sys.stdout if as_json else None,
        options["verbose"],
        options["quiet"],
        options.get("color"),
        interactive=_interactive() and not as_json,
    )
    try:
        result = execute(workspace, plan, flags, display)
        if wheels.made and not (as_json or options["quiet"]):
            from hwb.cli.made import table

            folder = os.path.join(workspace.root, workspace.settings.get("output-dir"))
            for line in table(result, folder, wheels.missing or ()):
                click.echo(line)
        return result.exit_code
    finally:
        from hwb.procgroup import end_children

        end_children()  # what a recipe forked out of this very process


def _interactive() -> bool:
    try:
        return sys.stdin.isatty() and sys.stdout.isatty() and not os.environ.get("CI")
    except (AttributeError, ValueError):
        return False  # a closed or missing standard input


def _arguments(given: tuple[str, ...]) -> dict[str, list[str]]:
    """`--args NAME='a "b c"'`: split as a shell splits words."""
    import shlex

    found = {}
    for text in given:
        # parameters have "=" in a session's name: what counts is the one behind the parentheses
        front, parenthesis, back = text.partition(")=")
        name, sign, words = (f"{front})", "=", back) if parenthesis else text.partition("=")
        if not sign or not name:
            raise click.UsageError(f"--args {text!r}: write --args NAME='...'")
        try:
            found[name] = shlex.split(words)
        except ValueError as error:
            raise click.UsageError(f"--args {text!r}: {error}") from error
    return found
