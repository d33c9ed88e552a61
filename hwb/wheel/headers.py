"""What do METADATA, WHEEL, PKG-INFO and RECORD say? Small parsers: `email` and `csv` cost more than a whole check."""

from __future__ import annotations

import re
from typing import TypeVar, overload

__all__ = ["Headers", "parse_headers", "parse_record"]

_Default = TypeVar("_Default")
_FIELD = re.compile(r"([!-9;-~]+):[ \t]*(.*)", re.DOTALL)
_NEWLINE = re.compile(r"\r\n|\r|\n")


class Headers:
    """Fields in order, found by name in any case (core metadata is an e-mail header block, RFC 822 and PEP 566).

    `problems` are lines that are neither field nor continuation; `body` is what follows the first empty line.
    """

    __slots__ = ("body", "fields", "problems", "utf8")

    def __init__(self, fields: list[tuple[str, str]], body: str, problems: list[str], utf8: bool) -> None:
        self.fields = fields
        self.body = body
        self.problems = problems
        self.utf8 = utf8

    def __getitem__(self, name: str) -> str | None:
        return self.get(name)

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: _Default) -> str | _Default: ...
    def get(self, name: str, default: object = None) -> object:
        """The first field of that name."""
        wanted = name.lower()
        return next((value for key, value in self.fields if key.lower() == wanted), default)

    @overload
    def get_all(self, name: str) -> list[str] | None: ...
    @overload
    def get_all(self, name: str, default: _Default) -> list[str] | _Default: ...
    def get_all(self, name: str, default: object = None) -> object:
        """Every field of that name, or the default when there is none (as `email.message.Message` does)."""
        wanted = name.lower()
        return [value for key, value in self.fields if key.lower() == wanted] or default


def parse_headers(data: bytes) -> Headers:
    """The fields of a header block. A line that begins with a space or tab continues the field before it."""
    try:
        text, utf8 = data.decode(), True
    except UnicodeDecodeError:
        text, utf8 = data.decode("utf-8", "surrogateescape"), False
    fields: list[tuple[str, str]] = []
    problems: list[str] = []
    lines = _NEWLINE.split(text)
    end = next((number for number, line in enumerate(lines) if not line), len(lines))
    for line in lines[:end]:
        if line[0] in " \t" and fields:
            fields[-1] = (fields[-1][0], f"{fields[-1][1]}\n{line}")
        elif match := _FIELD.fullmatch(line):
            fields.append((match[1], match[2]))
        else:
            problems.append(line)
    return Headers(fields, "\n".join(lines[end + 1 :]), problems, utf8)


def parse_record(data: bytes) -> list[list[str]]:
    """The rows of a RECORD (PEP 376: CSV with the default dialect); empty lines are left out."""
    text = data.decode("utf-8", "surrogateescape")
    if '"' in text:
        import csv

        return [row for row in csv.reader(text.splitlines()) if row]
    return [line.split(",") for line in _NEWLINE.split(text) if line]
