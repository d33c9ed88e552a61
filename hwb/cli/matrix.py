"""How does `hwb matrix` show which wheels a project needs, and make those that this machine can?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from hwb.cli import workspace_of

if TYPE_CHECKING:
    from hwb.matrix.planning import MatrixPlan
    from hwb.workspace import Workspace

__all__ = ["command"]


@click.command("matrix")
@click.option("-l", "--list", "listed", is_flag=True, help="Only print the wheels that the project needs.")
@click.option("--skipped", is_flag=True, help="With --list: also what is not selected, and why.")
@click.option("--format", "shown_as", type=click.Choice(["github"]), help="Print the matrix of a workflow.")
@click.option("--only", metavar="ID", default="", help="This wheel, whatever is selected: cp312-manylinux_x86_64.")
@click.option("-p", "--python", metavar="X.Y[,X.Y]", default="", help="Only wheels for these Pythons.")
@click.option("--download-python", is_flag=True, default=None, help="Fetch a Python that is not there, with uv.")
@click.option("--platform", metavar="NAME[,NAME]", default="", help="linux, macos, linux/arm64, musllinux, ...")
@click.option("--arch", metavar="NAME[,NAME]", default="", help="x86_64, aarch64, ...")
@click.option("--config", "file", metavar="FILE", help="A TOML or YAML file instead of [tool.hwb.matrix].")
@click.option("-j", "--jobs", "--parallel", "jobs", metavar="N|auto", help="How many wheels are made at once.")
@click.option("-x", "--stop-on-first-error", is_flag=True, default=None, help="Start nothing more after a failure.")
@click.option("--offline", is_flag=True, default=None, help="Never use the network.")
@click.option("--keep", is_flag=True, help="Keep the container of a wheel that fails, and say how to enter it.")
@click.option("--resume", is_flag=True, help="Continue the last run of the same plan: what it did is not run again.")
@click.option("--json", "as_json", is_flag=True, help="With --list one JSON object, else events as JSON lines.")
@click.option("-v", "--verbose", count=True, help="Say more (-vv: everything).")
@click.option("-q", "--quiet", is_flag=True, help="Only failures and the last line.")
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> int:
    """Make every wheel that the project needs: built, repaired, checked and tested, each in its own session.

    What this machine cannot make is listed with the place where it can be made.
    """
    own = ("jobs", "stop_on_first_error", "offline", "download_python")
    workspace: Workspace = workspace_of(ctx, {name.replace("_", "-"): options[name] for name in own})
    plan = _plan(workspace, options)
    if options["listed"] or options["shown_as"] is not None:
        if options["resume"]:
            raise click.UsageError("--list and --format run nothing: leave --resume out")
        click.echo(_shown(plan, options))
        return 0
    return _make(ctx, workspace, plan, options)


def _plan(workspace: Workspace, options: dict[str, Any]) -> MatrixPlan:
    from hwb.machine import plan_of

    narrowing = {name: options[name] for name in ("only", "python", "platform", "arch", "file")}
    return plan_of(workspace.root, workspace.settings, os.environ, **narrowing)


def _shown(plan: MatrixPlan, options: dict[str, Any]) -> str:
    import json

    from hwb.matrix.listing import as_json, as_text, github_include

    if options["shown_as"] == "github":
        return json.dumps({"include": github_include(plan)})
    if options["as_json"]:
        return json.dumps({"schema": "hwb.matrix/1", **as_json(plan)}, indent=1)
    return as_text(plan, skipped=options["skipped"]).rstrip("\n")


def _make(ctx: click.Context, workspace: Workspace, plan: MatrixPlan, options: dict[str, Any]) -> int:
    from hwb.cli.run import run_plan
    from hwb.machine import Wanted
    from hwb.plan import Request, make_plan

    whole = not any(options[name] for name in ("only", "python", "platform", "arch"))
    wheels = Wanted.of(plan, whole=whole)
    for line in wheels.told:
        click.echo(line, err=True)
    backend = workspace.settings.get("default-venv-backend")
    sessions = make_plan(workspace.catalog, Request(("matrix",), default_backend=backend, targets=tuple(wheels.made)))
    return run_plan(ctx, workspace, sessions, options, wheels)
