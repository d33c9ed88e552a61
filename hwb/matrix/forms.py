"""How does an option's value become text, and how do two values become one?

cibuildwheel gives every option a text form, which variables use; lists and tables of TOML are written in that form
before they are appended to one another. The same rules hold here, so that the same configuration means the same.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "COMMANDS",
    "ENVIRONMENT",
    "EXTRAS",
    "FIELDS",
    "PLAIN",
    "QUOTED",
    "SETTINGS",
    "WORDS",
    "Form",
    "fields",
    "pairs",
]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Form:
    """`accepts` in words; `between` joins a list's items (None: no list); `mark` is between a table's key and value.

    `quoted`: items are shell words. `merges`: append and prepend are possible.
    """

    accepts: str
    between: str | None = None
    mark: str | None = None
    quoted: bool = False
    merges: bool = True

    def text(self, value: Any) -> str:
        """The text form. Raises ValueError for a value that the option does not accept."""
        if isinstance(value, str):
            return value
        if isinstance(value, bool | int):
            return str(value)
        if isinstance(value, list) and self.between is not None and self.mark is None:
            return self.between.join(self._item(_leaf(item)) for item in value)
        if isinstance(value, dict) and self.mark is not None and self.between is not None:
            return self.between.join(self._pair(*pair) for pair in _flat(value))
        raise ValueError(f"must be {self.accepts}")

    def _item(self, text: str) -> str:
        return shlex.quote(text) if self.quoted else text

    def _pair(self, key: str, value: str) -> str:
        if self is ENVIRONMENT:
            return f'{key}="{value}"'
        return f"{key}{self.mark}{shlex.quote(value)}"

    def merged(self, before: str, after: str) -> str:
        """Both, in this order; a key of `after` replaces that of `before` in a table of settings.

        Raises ValueError when the option cannot be merged, or a text is no table.
        """
        if not self.merges or self.between is None:
            raise ValueError("cannot be appended or prepended to: write the whole value")
        if not before or not after:
            return before or after
        if self is SETTINGS:
            both = {**_grouped(before), **_grouped(after)}
            return " ".join(f"{key}={shlex.quote(value)}" for key, values in both.items() for value in values)
        return before + self.between + after


def _leaf(value: Any) -> str:
    if not isinstance(value, str | int | bool):
        raise ValueError("may hold texts and numbers only")
    return str(value)


def _flat(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A table's pairs; a list stands for its key written several times."""
    for key, value in table.items():
        for item in value if isinstance(value, list) else (value,):
            yield key, _leaf(item)


def _grouped(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in pairs(text):
        found.setdefault(key, []).append(value)
    return found


PLAIN = Form("a text or a number", merges=False)
WORDS = Form("a text or a list of texts", " ")
QUOTED = Form("a text or a list of texts", " ", quoted=True)
EXTRAS = Form("a text or a list of texts", ",")
COMMANDS = Form("a command or a list of commands", " && ")
ENVIRONMENT = Form("a text or a table of texts", " ", "=")
SETTINGS = Form("a text or a table of texts and lists", " ", "=")
FIELDS = Form("a text or a table", "; ", ":", merges=False)


def pairs(text: str) -> list[tuple[str, str]]:
    """The `key=value` words of a text. Raises ValueError for a word without `=`."""
    found = []
    for word in shlex.split(text):
        key, mark, value = word.partition("=")
        if not mark:
            raise ValueError(f"has {word!r}, which is no key=value")
        found.append((key, value))
    return found


def fields(text: str, first: str = "") -> dict[str, list[str]]:
    """`docker; create_args: --gpus all` as `{first: ["docker"], "create_args": ["--gpus", "all"]}`.

    Without `first` words that no `key:` precedes stand for themselves, with an empty list. Raises ValueError.
    """
    scanner = shlex.shlex(text, posix=True, punctuation_chars=";")
    scanner.commenters = ""
    scanner.whitespace_split = True
    found: dict[str, list[str]] = {}
    field: list[str] = []
    for word in [*scanner, ";"]:
        if set(word) != {";"}:
            field.append(word)
            continue
        if field:
            _add(found, field, first)
        field = []
    return found


def _add(found: dict[str, list[str]], field: list[str], first: str) -> None:
    key, mark, value = field[0].partition(":")
    if mark:
        found.setdefault(key, []).extend([*([value] if value else []), *field[1:]])
    elif not first:
        found.update({word: [] for word in field})
    elif first in found:
        raise ValueError(f"has a second value: {' '.join(field)}")
    else:
        found[first] = field
