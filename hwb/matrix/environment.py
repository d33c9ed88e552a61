"""What do the assignments of `environment` say, and what are they worth?

A text is bash's: `CFLAGS="-O2 $CFLAGS" PREFIX=$(brew --prefix)`. A table's values stand between double quotes, so that
`$NAME` and `$(command)` mean the same in both.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hwb.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["assignments", "evaluate"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)\}|(?P<plain>[A-Za-z_][A-Za-z0-9_]*))")


def assignments(text: str, where: str = "") -> tuple[tuple[str, str], ...]:
    """The `(name, shell word)` pairs of a text, in order. Raises ConfigError for anything else."""
    found, rest = [], text.strip()
    while rest:
        name = _NAME.match(rest)
        if name is None or rest[name.end() : name.end() + 1] != "=":
            raise _wrong(text, f"{rest.split()[0]!r} is no NAME=value", where)
        start = name.end() + 1
        end = _end_of_word(rest, start, text, where)
        found.append((name[0], rest[start:end]))
        rest = rest[end:].lstrip()
    return tuple(found)


def _wrong(text: str, why: str, where: str) -> ConfigError:
    remedy = 'write NAME="value" NAME2="value", or a table'
    return ConfigError(f"environment: {why} (in {text.strip()[:80]!r})", where=where, remedy=remedy)


def _end_of_word(text: str, start: int, whole: str, where: str) -> int:
    """Where a shell word ends: at white space outside quotes and substitutions."""
    place = start
    while place < len(text) and not text[place].isspace():
        place = _after(text, place, whole, where)
    return place


def _after(text: str, place: int, whole: str, where: str) -> int:
    """The place after one part of a word: a quoted text, a substitution, or one character."""
    letter = text[place]
    if letter == "\\":
        return min(place + 2, len(text))
    if letter == "'":
        return _closing(text, place, "'", whole, where)
    if letter == '"':
        return _after_double(text, place, whole, where)
    if letter == "`":
        return _closing(text, place, "`", whole, where)
    if text.startswith("$(", place):
        return _after_substitution(text, place, whole, where)
    if letter in ";&|<>()":
        raise _wrong(whole, f"{letter!r} outside quotes", where)
    return place + 1


def _closing(text: str, place: int, mark: str, whole: str, where: str) -> int:
    end = text.find(mark, place + 1)
    if end < 0:
        raise _wrong(whole, f"{mark} is never closed", where)
    return end + 1


def _after_double(text: str, place: int, whole: str, where: str) -> int:
    place += 1
    while place < len(text):
        if text[place] == '"':
            return place + 1
        if text.startswith("$(", place):
            place = _after_substitution(text, place, whole, where)
        else:
            place += 2 if text[place] == "\\" else 1
    raise _wrong(whole, '" is never closed', where)


def _after_substitution(text: str, place: int, whole: str, where: str) -> int:
    place += 2
    while place < len(text):
        if text[place] == ")":
            return place + 1
        nested = text[place] == "("
        place = _after_substitution(text, place - 1, whole, where) if nested else _inside(text, place, whole, where)
    raise _wrong(whole, "$( is never closed", where)


def _inside(text: str, place: int, whole: str, where: str) -> int:
    """As `_after`, where operators are part of the command."""
    return place + 1 if text[place] in ";&|<>" else _after(text, place, whole, where)


def evaluate(
    pairs: Iterable[tuple[str, str]], environ: Mapping[str, str], command: Callable[[str, Mapping[str, str]], str]
) -> dict[str, str]:
    """The environment after all assignments: each sees those before it; `command` answers `$(...)`, newlines at the
    end of its answer do not count.
    """
    found = dict(environ)
    for name, word in pairs:
        found[name] = _value(word, found, command)
    return found


def _value(word: str, environ: Mapping[str, str], command: Callable[[str, Mapping[str, str]], str]) -> str:
    made, place = [], 0
    while place < len(word):
        end = _after(word, place, word, "")
        made.append(_part(word[place:end], word, place, environ, command))
        if word[place] == "$" and (variable := _VARIABLE.match(word, place)):
            end = variable.end()
        place = end
    return "".join(made)


def _part(
    part: str, word: str, place: int, environ: Mapping[str, str], command: Callable[[str, Mapping[str, str]], str]
) -> str:
    if part[0] == "'":
        return part[1:-1]
    if part[0] == '"':
        return _double(part[1:-1], environ, command)
    if part[0] == "\\":
        return part[1:]
    if part[0] == "`":
        return command(part[1:-1], environ).rstrip("\n")
    if part.startswith("$("):
        return command(part[2:-1], environ).rstrip("\n")
    if part == "$" and (variable := _VARIABLE.match(word, place)):
        return environ.get(variable["braced"] or variable["plain"], "")
    return part


def _double(text: str, environ: Mapping[str, str], command: Callable[[str, Mapping[str, str]], str]) -> str:
    """Between double quotes only `$`, the backtick and a backslash before one of a few characters mean something."""
    made, place = [], 0
    while place < len(text):
        letter, variable = text[place], _VARIABLE.match(text, place)
        if variable:
            made.append(environ.get(variable["braced"] or variable["plain"], ""))
            place = variable.end()
        elif text.startswith("$(", place) or (letter == "`" and "`" in text[place + 1 :]):
            end = _after(text, place, text, "")
            inner = text[place + (2 if letter == "$" else 1) : end - 1]
            made.append(command(inner, environ).rstrip("\n"))
            place = end
        elif letter == "\\" and text[place + 1 : place + 2] in ('"', "$", "`", "\\", "\n"):
            made.append(text[place + 1].replace("\n", ""))
            place += 2
        else:
            made.append(letter)
            place += 1
    return "".join(made)
