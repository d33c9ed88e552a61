"""In which line of a file does an option stand?"""

from __future__ import annotations

import re
from functools import cached_property

from hwb.toml import key_lines

__all__ = ["Places"]


class Places:
    """A file's text and the table in it (`("tool", "cibuildwheel")`); nothing is scanned before the first question."""

    def __init__(self, file: str, text: str, prefix: tuple[str, ...]) -> None:
        self._file, self._text, self._prefix = file, text, prefix

    @cached_property
    def _lines(self) -> dict[tuple[str, ...], int]:
        return key_lines(self._text)

    def of(self, *keys: str) -> str:
        """`file:line` of a key below the table, or of the nearest table above it; the file alone without TOML."""
        path = (*self._prefix, *keys)
        while path and path not in self._lines:
            path = path[:-1]
        return f"{self._file}:{self._lines[path]}" if path else self._file

    def in_array(self, name: str, number: int, key: str = "") -> str:
        """The same for a key of the `number`th `[[table.name]]`, counted from 0, or of the array's beginning."""
        header = r"\s*\.\s*".join(rf"[\"']?{re.escape(part)}[\"']?" for part in (*self._prefix, name))
        starts = [match.end() for match in re.finditer(rf"(?m)^[ \t]*\[\[\s*{header}\s*\]\]", self._text)]
        if number >= len(starts):
            return self.of(name)
        place = starts[number]
        end = re.compile(r"(?m)^[ \t]*\[").search(self._text, place)
        section = self._text[place : end.start() if end else len(self._text)]
        found = re.search(rf"(?m)^[ \t]*[\"']?{re.escape(key)}[\"']?\s*[.=]", section) if key else None
        return f"{self._file}:{self._text.count(chr(10), 0, place + (found.start() if found else 0)) + 1}"
