"""What can a person, or a script, learn about a project before it is built?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwb.analysis.metadata import ProjectMetadata

__all__ = ["as_data", "command", "rows"]


@click.command("inspect")
@click.argument("source", default=".")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "-f", "--format", "form", type=click.Choice(["text", "json", "table"]), help="How to show it (default: text)."
)
@click.option("--check", is_flag=True, help="End with 5 when there is advice that is more than information.")
@click.pass_context
def command(ctx: click.Context, source: str, as_json: bool, form: str | None, check: bool) -> int:
    """What can be known about a project without running it?

    SOURCE is a folder, a pyproject.toml, setup.py or setup.cfg, an archive, or a repository.
    """
    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json contradicts --format {form}")
    metadata = _analyze(source, (ctx.obj or {}).get("directory"))
    show = {"json": _json, "table": _table}.get("json" if as_json else form or "text", _text)
    click.echo(show(metadata, source))
    serious = [advice for advice in metadata.advice if advice.severity != "info"]
    return 5 if check and serious else 0


def _analyze(source: str, directory: str | None) -> ProjectMetadata:
    """Local folders and files directly; everything else is resolved first, and removed afterwards."""
    from hwb.analysis.metadata import analyze_project
    from hwb.analysis.pyproject import MARKERS

    path = os.path.join(directory or "", source)
    if os.path.isdir(path) or (os.path.isfile(path) and os.path.basename(path) in MARKERS):
        return analyze_project(path)
    from hwb.source import parse_source, resolve_source

    with resolve_source(parse_source(path if os.path.exists(path) else source)) as resolved:
        return analyze_project(resolved.local_path)


def as_data(metadata: ProjectMetadata, source: str) -> dict[str, Any]:
    """Everything as plain data (schema `hwb.inspect/1`); places are relative to the project."""
    from dataclasses import asdict

    data = asdict(metadata)
    data["backend"]["name"] = metadata.backend.name if metadata.backend else ""
    prefix = os.path.join(data.pop("root"), "")
    for advice in data["advice"]:
        advice["where"] = advice["where"].removeprefix(prefix)
    return {"schema": "hwb.inspect/1", "source": source, **data}


def _json(metadata: ProjectMetadata, source: str) -> str:
    import json

    return json.dumps(as_data(metadata, source), indent=1)


def rows(metadata: ProjectMetadata) -> Iterator[tuple[str, str]]:
    """What a person reads: label and value; what is not there is left out."""
    data = metadata
    yield "name", data.name or f"? (decided by {data.undecided.get('name', 'the backend')})"
    yield "version", data.version or f"? (decided by {data.undecided.get('version', data.version_source)})"
    yield "version from", f"{data.version_source}: {data.version_place}"
    yield "requires Python", data.requires_python or data.undecided.get("requires-python", "any")
    if data.backend is not None:
        yield "backend", f"{data.backend.name} ({data.backend.module})"
        yield "build requires", ", ".join(data.backend.requirements) or "nothing"
    yield "editable", {True: "yes", False: "no", None: "not known"}[data.editable]
    yield "extensions", _extensions(data)
    if data.limited_api:
        yield "limited API", data.limited_api
    yield "import names", ", ".join(data.import_names)
    yield "licence", " ".join([data.license or "", *(f"({name})" for name in data.license_files)]).strip()
    yield "dependencies", _dependencies(data)
    for label, table in (("extra", data.optional_dependencies), ("group", data.dependency_groups)):
        for name, requirements in table.items():
            yield f"{label} {name}", ", ".join(requirements)
    for name, reference in data.scripts.items():
        yield f"script {name}", reference
    for member in data.members:
        needs = ", ".join(dict.fromkeys((*member.build_requires, *member.requires)))
        yield f"member {member.name}", member.path + (f" (needs {needs})" if needs else "")


def _extensions(data: ProjectMetadata) -> str:
    reasons = "; ".join(data.extension_reasons[:3])
    if not data.has_extension_modules:
        return f"none ({reasons})" if reasons else "none"
    return f"{', '.join(data.extension_languages) or 'yes'} ({reasons})"


def _dependencies(data: ProjectMetadata) -> str:
    if not data.dependencies and "dependencies" in data.undecided:
        return f"? (decided by {data.undecided['dependencies']})"
    return ", ".join(data.dependencies) or "none"


def _text(metadata: ProjectMetadata, source: str) -> str:
    shown = [(label, value) for label, value in rows(metadata) if value]
    width = max(len(label) for label, _ in shown)
    lines = [f"{label:<{width}}  {value}" for label, value in shown]
    return "\n".join([*lines, *_advice(metadata)])


def _table(metadata: ProjectMetadata, source: str) -> str:
    """A Markdown table, for comments and job summaries."""
    body = [f"| {label} | {_cell(value)} |" for label, value in rows(metadata) if value]
    return "\n".join([f"| {_cell(source)} | |", "|---|---|", *body, *_advice(metadata)])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _advice(metadata: ProjectMetadata) -> Iterator[str]:
    prefix = os.path.join(metadata.root, "")
    for number, advice in enumerate(metadata.advice):
        if not number:
            yield ""
        yield f"{advice.severity}: {advice.message} [{advice.id}]"
        yield f"  at: {advice.where.removeprefix(prefix)}"
        yield f"  try: {advice.remedy}"
