"""How are sessions shown: as a list, as JSON, as a graph?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hwb.cli import workspace_of

if TYPE_CHECKING:
    from hwb.plan import Plan, PlannedSession
    from hwb.workspace import Workspace

__all__ = ["command", "describe", "listing"]


@click.command("sessions")
@click.option("-l", "--list", "listed", is_flag=True, help="List every session (what happens without options too).")
@click.option("--json", "as_json", is_flag=True, help="Everything about every session, as JSON.")
@click.option("--graph", type=click.Choice(["mermaid", "dot"]), help="The graph of what requires what.")
@click.pass_context
def command(ctx: click.Context, listed: bool, as_json: bool, graph: str | None) -> int:
    """List every session with its origin, or draw their graph."""
    workspace: Workspace = workspace_of(ctx)
    if graph is not None:
        click.echo("\n".join(_graph(workspace, graph)))
    elif as_json:
        import json

        from hwb.plan import expand

        rows = [describe(workspace, session, None) for session in expand(workspace.catalog, _request(workspace))]
        click.echo(json.dumps({"schema": "hwb.sessions/1", "sessions": rows}, indent=1))
    else:
        click.echo("\n".join(listing(workspace)))
    return 0


def _request(workspace: Workspace) -> Any:
    from hwb.plan import Request

    return Request(default_backend=workspace.settings.get("default-venv-backend"))


def listing(workspace: Workspace) -> list[str]:
    """One line a session: `*` if a bare `hwb run` runs it, name, layer, what it does."""
    from hwb.plan import expand

    sessions = expand(workspace.catalog, _request(workspace))
    defaults = _defaults(workspace)
    width = min(max((len(session.id) for session in sessions), default=0), 40)
    lines = [f"Sessions in {workspace.hwbfile or workspace.root}:", ""]
    for session in sessions:
        entry = workspace.catalog.entries[session.recipe]
        star = "*" if _is_default(session, entry, defaults) else " "
        lines.append(f"{star} {session.id:<{width}}  {entry.top.layer:<9}  {entry.doc}".rstrip())
    lines += ["", "* runs when no session is named (hwb run)."]
    lines += [f"warning: {text}" for text in (*workspace.settings.warnings, *workspace.catalog.warnings)]
    return lines


def _defaults(workspace: Workspace) -> tuple[str, ...]:
    return tuple(workspace.settings.get("sessions"))


def _is_default(session: PlannedSession, entry: Any, defaults: tuple[str, ...]) -> bool:
    return any(session.answers_to(name) for name in defaults) if defaults else entry.is_default


def describe(workspace: Workspace, session: PlannedSession, plan: Plan | None) -> dict[str, Any]:
    """Everything about a session as plain data; with a plan, `requires` names the sessions that it waits for."""
    entry = workspace.catalog.entries[session.recipe]
    settings = workspace.settings
    backend = entry.option("venv_backend") or settings.get("default-venv-backend")
    isolation = entry.option("isolation") or settings.get("isolation")
    return {
        "session": session.id,
        "recipe": session.recipe,
        "description": entry.doc,
        "layer": entry.top.layer,
        "where": entry.top.where,
        "origins": [{"layer": recipe.layer, "where": recipe.where} for recipe in entry.chain],
        "requires": plan.direct_needs(session.id) if plan is not None else list(entry.option("requires") or ()),
        "after": list(entry.option("after") or ()),
        "tags": list(session.tags),
        "python": session.python,
        "parameters": {key: repr(value) for key, value in session.params.values.items()} if session.params else {},
        "isolation": "none" if backend == "none" or session.python is False else isolation,
        "venv_backend": backend,
        "reuse_venv": entry.option("reuse_venv"),
        "default": _is_default(session, entry, _defaults(workspace)),
        "allow_parallel": entry.option("allow_parallel", True),
        "process": entry.option("process", False),
        "timeout": entry.option("timeout", settings.get("timeout")),
        "retries": entry.option("retries", settings.get("retries")),
        "resources": dict(entry.option("resources") or {}),
        "signatures": list(session.signatures),
    }


def _graph(workspace: Workspace, kind: str) -> list[str]:
    from hwb.plan import Request, make_plan

    names = tuple(entry.name for entry in workspace.catalog)
    request = Request(names, default_backend=workspace.settings.get("default-venv-backend"))
    plan = make_plan(workspace.catalog, request)
    numbers = {session: f"n{number}" for number, session in enumerate(plan.ids)}
    edges = [(need, name) for name in plan.ids for need in plan.direct_needs(name)]
    soft = [(before, name) for name in plan.ids for before in plan.follows.get(name, ())]
    return (_mermaid if kind == "mermaid" else _dot)(numbers, edges, soft)


def _mermaid(numbers: dict[str, str], edges: list[tuple[str, str]], soft: list[tuple[str, str]]) -> list[str]:
    nodes = [f'  {number}["{name.replace(chr(34), "#quot;")}"]' for name, number in numbers.items()]
    arrows = [f"  {numbers[a]} --> {numbers[b]}" for a, b in edges]
    return ["graph LR", *nodes, *arrows, *(f"  {numbers[a]} -.-> {numbers[b]}" for a, b in soft)]


def _dot(numbers: dict[str, str], edges: list[tuple[str, str]], soft: list[tuple[str, str]]) -> list[str]:
    def quoted(name: str) -> str:
        return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'

    nodes = [f"  {quoted(name)};" for name in numbers]
    arrows = [f"  {quoted(a)} -> {quoted(b)};" for a, b in edges]
    dashed = [f"  {quoted(a)} -> {quoted(b)} [style=dashed];" for a, b in soft]
    return ["digraph sessions {", "  rankdir=LR;", *nodes, *arrows, *dashed, "}"]
