"""How is pyproject.toml read so that every mistake in it has a file and a line?"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from hwb.errors import AnalyzeError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MARKERS", "Table", "load", "place_of", "subtable"]

MARKERS = ("pyproject.toml", "setup.py", "setup.cfg")
"""A directory with one of these is a project."""
_PART = r"""[\w-]+|"[^"]*"|'[^']*'"""
_DOTTED = rf"(?:{_PART})(?:\s*\.\s*(?:{_PART}))*"


def load(path: str) -> dict[str, Any]:
    """The file as a dict; AnalyzeError with file and line when it is no TOML 1.0 in UTF-8."""
    if sys.version_info >= (3, 11):
        import tomllib

        try:
            with open(path, "rb") as handle:
                return tomllib.loads(handle.read().decode().removeprefix("\ufeff").replace("\r\n", "\n"))
        except (OSError, ValueError):
            pass  # the other way says why
    return _load_with_reasons(path)


def _load_with_reasons(path: str) -> dict[str, Any]:
    """The slower way: it knows a parser for Python 3.10, and says where the mistake is."""
    from hwb.errors import ConfigError
    from hwb.toml import load_toml

    try:
        return load_toml(path)
    except ConfigError as error:
        raise AnalyzeError(error.what, where=error.where or path, remedy=error.remedy, detail=error.detail) from error


def place_of(path: str, *keys: str) -> str:
    """`file:line` where a TOML key is written (parsers keep no positions), or that of the nearest table around it."""
    header = re.compile(rf"\s*\[\[?\s*({_DOTTED})\s*\]\]?")
    assignment = re.compile(rf"\s*({_DOTTED})\s*=")
    table: tuple[str, ...] = ()
    best, line = 0, 0
    with open(path, encoding="utf-8-sig", errors="replace") as handle:
        for number, text in enumerate(handle, 1):
            if found := header.match(text):
                full = table = _parts(found[1])
            elif found := assignment.match(text):
                full = table + _parts(found[1])
            else:
                continue
            common = _common(full, keys)
            if common > best:
                best, line = common, number
    return f"{path}:{line}" if line else path


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))


def _common(full: tuple[str, ...], keys: tuple[str, ...]) -> int:
    """How many of the wanted keys this line fixes: none when it leads elsewhere."""
    length = min(len(full), len(keys))
    return length if full[:length] == keys[:length] else 0


def subtable(data: Any, *keys: str) -> Mapping[str, Any]:
    """A table of somebody else's settings (`tool.x.y`); empty when it is missing or no table (not our business)."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


class Table:
    """A TOML table whose values are asked for by type; the wrong type is an AnalyzeError with the key's line."""

    def __init__(self, path: str, value: Any, *names: str) -> None:
        self.path, self.names = path, names
        if not isinstance(value, dict):
            raise AnalyzeError(f"{'.'.join(names)} must be a table", where=place_of(path, *names))
        self.values: dict[str, Any] = value

    def wrong(self, key: str, problem: str, remedy: str = "") -> AnalyzeError:
        """The error to raise for a key."""
        return AnalyzeError(f"{'.'.join(self.names)}.{key} {problem}", where=self.place(key), remedy=remedy)

    def place(self, key: str) -> str:
        """`file:line` of a key."""
        return place_of(self.path, *self.names, key)

    def text(self, key: str) -> str | None:
        """A string, or None when the key is not there."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise self.wrong(key, "must be a string")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings; empty when the key is not there."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, "must be a list of strings")
        return tuple(value)

    def table(self, key: str) -> Table:
        """A table inside this one; empty when the key is not there."""
        return Table(self.path, self.values.get(key, {}), *self.names, key)

    def mapping(self, key: str) -> dict[str, str]:
        """A table of strings; empty when the key is not there."""
        inner = self.table(key)
        for name in inner.values:
            inner.text(name)
        return dict(inner.values)
