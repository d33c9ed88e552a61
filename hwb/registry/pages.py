"""What does a static simple index say about its files, as HTML (PEP 503) and JSON (PEP 691, version 1.1 of PEP 700)?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["PageFile", "project_html", "project_json", "root_html"]


@dataclass(frozen=True, slots=True)
class PageFile:
    """One line of a project's page: `uploaded` is Unix time in seconds, `size` in bytes."""

    name: str
    version: str
    sha256: str
    size: int
    requires_python: str
    uploaded: float


def _page(title: str, links: Iterable[str]) -> str:
    head = f'<meta charset="utf-8"><meta name="pypi:repository-version" content="1.0"><title>{title}</title>'
    body = "".join(f"{link}<br>\n" for link in links)
    return f"<!DOCTYPE html>\n<html><head>{head}</head>\n<body>\n<h1>{title}</h1>\n{body}</body></html>\n"


def project_html(project: str, files: Sequence[PageFile]) -> str:
    """The page of a project; relative links, so that the folder can be moved or served from anywhere."""
    return _page(f"Links for {project}", map(_link, files))


def _link(file: PageFile) -> str:
    from html import escape
    from urllib.parse import quote

    needs = f' data-requires-python="{escape(file.requires_python)}"' if file.requires_python else ""
    return f'<a href="{quote(file.name)}#sha256={file.sha256}"{needs}>{escape(file.name)}</a>'


def root_html(projects: Iterable[str]) -> str:
    """The list of all projects."""
    return _page("Simple index", (f'<a href="{name}/">{name}</a>' for name in projects))


def project_json(project: str, files: Sequence[PageFile]) -> str:
    """The same page as JSON."""
    from json import dumps

    versions = list(dict.fromkeys(file.version for file in files))
    page = {
        "meta": {"api-version": "1.1"},
        "name": project,
        "versions": versions,
        "files": [_entry(file) for file in files],
    }
    return dumps(page, indent=1) + "\n"


def _entry(file: PageFile) -> dict[str, Any]:
    from datetime import datetime, timezone
    from urllib.parse import quote

    moment = datetime.fromtimestamp(file.uploaded, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    entry: dict[str, Any] = {
        "filename": file.name,
        "url": quote(file.name),
        "hashes": {"sha256": file.sha256},
        "size": file.size,
        "upload-time": moment,
    }
    return {**entry, "requires-python": file.requires_python} if file.requires_python else entry
