"""What does a TOML file say, and in which line?"""

from __future__ import annotations

import re
from typing import Any

from hwb.errors import ConfigError

__all__ = ["key_lines", "load_toml", "parse_toml", "read_bytes"]

_TOKEN = re.compile(
    r'''(?P<text>"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')'''
    r"|(?P<word>[A-Za-z0-9_-]+)|(?P<mark>[][{}.,=\n])|#[^\n]*",
    re.DOTALL,
)


def load_toml(path: str) -> dict[str, Any]:
    """A TOML file as a dict; malformed text is a ConfigError with file and line."""
    return parse_toml(read_bytes(path) or b"", path)


def read_bytes(path: str) -> bytes | None:
    """The file's bytes; None when there is no such file."""
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", where=path) from error


def parse_toml(data: bytes | str, where: str = "TOML") -> dict[str, Any]:
    """The same for a text that comes from `where` (a file's name for the message)."""
    import sys

    if sys.version_info >= (3, 11):
        import tomllib
    else:  # tomli has the same functions, and no type stubs are needed where it is not installed
        import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
        parsed: dict[str, Any] = tomllib.loads(text.replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError("not UTF-8", where=f"{where}:{line}", remedy="save the file as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"line (\d+)", str(error))
        line = int(at.group(1)) if at else text.count("\n") + 1
        raise ConfigError(f"malformed TOML: {error}", where=f"{where}:{line}") from error
    return parsed


def key_lines(text: str) -> dict[tuple[str, ...], int]:
    """The line of every key and table header of a valid TOML text: dotted keys, sub-tables, inline tables."""
    scan = _KeyScan()
    line, position = 1, 0
    for token in _TOKEN.finditer(text):
        line += text.count("\n", position, token.start())
        position = token.start()
        if token["mark"]:
            scan.mark(token["mark"])
        elif token["word"] or token["text"]:
            scan.name(token["word"] or token["text"][1:-1], line)
    return scan.found


class _KeyScan:
    """Walks the tokens of a TOML text; `_open`: what we are inside of, inline tables' prefixes and None for arrays."""

    __slots__ = ("_header", "_in_value", "_line", "_open", "_parts", "_table", "found")

    def __init__(self) -> None:
        self.found: dict[tuple[str, ...], int] = {}
        self._table: tuple[str, ...] = ()
        self._open: list[tuple[str, ...] | None] = []
        self._parts: list[str] = []
        self._line = 0
        self._header = self._in_value = False

    def name(self, word: str, line: int) -> None:
        """A word or text: part of a key unless we are in a value."""
        if not self._in_value:
            if not self._parts:
                self._line = line
            self._parts.append(word)

    def mark(self, mark: str) -> None:
        """A punctuation character or the end of a line."""
        if self._in_value:
            self._value_mark(mark)
        elif mark == "=":
            self._record(self._prefix() + tuple(self._parts))
            self._in_value = True
        elif mark == "[":
            self._header = True
        elif mark == "]" and self._header:
            self._table = tuple(self._parts)
            self._header = False
            self._record(self._table)
            self._parts = []
        elif mark == "}" and self._open:
            self._close()

    def _value_mark(self, mark: str) -> None:
        if mark == "{":
            self._open.append(self._prefix() + tuple(self._parts))
            self._parts, self._in_value = [], False
        elif mark == "[":
            self._open.append(None)
        elif mark in "]}":
            self._close()
        elif (mark == "\n" and not self._open) or (mark == "," and self._open and self._open[-1] is not None):
            self._parts, self._in_value = [], False

    def _close(self) -> None:
        self._open.pop()
        self._in_value = True

    def _prefix(self) -> tuple[str, ...]:
        inner = [prefix for prefix in self._open if prefix is not None]
        return inner[-1] if inner else self._table

    def _record(self, path: tuple[str, ...]) -> None:
        for depth in range(1, len(path) + 1):
            self.found.setdefault(path[:depth], self._line)
