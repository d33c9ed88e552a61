"""Which files of a project does a simple index offer (PEP 503 HTML or PEP 691 JSON, read from disk)?"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from hwb.errors import HwbError, UsageError

__all__ = ["IndexFile", "files"]


@dataclass(frozen=True, slots=True)
class IndexFile:
    """One offered file; `url` is absolute, `sha256` empty when the index gives none."""

    name: str
    url: str
    sha256: str
    requires_python: str


def files(index: str | os.PathLike[str], project: str) -> list[IndexFile]:
    """The files of `project` in an index given as a directory or a `file:` URL; empty when it has no such project.

    `index.json` is preferred, `index.html` is the fallback. Raises UsageError for any other kind of URL and HwbError
    when a page cannot be understood.
    """
    from packaging.utils import canonicalize_name

    folder = os.path.join(_directory(os.fspath(index)), canonicalize_name(project))
    for name, read in (("index.json", _from_json), ("index.html", _from_html)):
        page = os.path.join(folder, name)
        try:
            with open(page, encoding="utf-8") as handle:
                text = handle.read()
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            return read(text, _base(folder))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise HwbError(f"this page of the index cannot be understood: {error!r}", where=page) from error
    return []


def _directory(index: str) -> str:
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    if "://" not in index:
        return os.path.abspath(index)
    parts = urlsplit(index)
    if parts.scheme != "file":
        what = f"only indexes on this machine can be read, not {parts.scheme}: ones"
        raise UsageError(what, remedy="give a directory or a file: URL")
    return url2pathname(parts.path)


def _base(folder: str) -> str:
    from pathlib import Path

    return Path(folder).as_uri() + "/"


def _from_json(text: str, base: str) -> list[IndexFile]:
    from json import loads
    from urllib.parse import urljoin

    def one(entry: dict[str, Any]) -> IndexFile:
        digest = entry["hashes"].get("sha256", "")
        return IndexFile(entry["filename"], urljoin(base, entry["url"]), digest, entry.get("requires-python") or "")

    return [one(entry) for entry in loads(text)["files"]]


def _from_html(text: str, base: str) -> list[IndexFile]:
    from html.parser import HTMLParser
    from urllib.parse import unquote, urldefrag, urljoin

    found: list[IndexFile] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            values = dict(attrs)
            href = values.get("href")
            if tag != "a" or not href:
                return
            url, fragment = urldefrag(urljoin(base, href))
            digest = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else ""
            name = unquote(url.rsplit("/", 1)[-1])
            found.append(IndexFile(name, url, digest, values.get("data-requires-python") or ""))

    Links().feed(text)
    return found
