"""Which identifiers does a text such as `cp3{12,13}-* *-musllinux_*` mean?

The rules are cibuildwheel's: patterns are separated by white space, braces are expanded as bash does it, and each
result is a glob over the whole identifier (`fnmatch`, here with the letters' case on every system).
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import pairwise
from typing import TYPE_CHECKING

from hwb.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["expand_braces", "matches", "matching_nothing"]

MOST = 1000
"""How many patterns one word may become, and how long it may be: more is a mistake, and would cost without bound."""


def matches(patterns: str, identifier: str) -> bool:
    """Whether any pattern of the text fits the identifier."""
    return any(fnmatchcase(identifier, one) for word in patterns.split() for one in expand_braces(word))


def matching_nothing(patterns: str, identifiers: Iterable[str]) -> list[str]:
    """The words of the text that fit none of the identifiers; an expanded one counts as one word."""
    known = list(identifiers)
    return [word for word in patterns.split() if not any(matches(word, identifier) for identifier in known)]


def expand_braces(word: str) -> list[str]:
    """`a{b,c}` is `ab` and `ac`; `{1..3}` and `{a..e..2}` count; a brace that is no such thing is a character.

    Raises ConfigError where more than a thousand patterns would come of it, or it is longer than that.
    """
    if len(word) > MOST:
        raise ConfigError(f"{_short(word)!r} is longer than {MOST} characters", remedy="separate patterns by spaces")
    found = []
    for one in _expanded(word):
        found.append(one)
        if len(found) > MOST:
            raise ConfigError(f"{_short(word)!r} means more than {MOST} patterns", remedy="use * instead of braces")
    return found


def _short(word: str) -> str:
    return word if len(word) <= 60 else word[:57] + "..."


def _expanded(word: str) -> Iterator[str]:
    group = _first_group(word)
    if group is None:
        yield _without_escapes(word)
        return
    start, end, parts = group
    before = _without_escapes(word[:start])
    for part in parts:
        for middle in _expanded(part):
            for after in _expanded(word[end:]):
                yield before + middle + after


def _first_group(word: str) -> tuple[int, int, list[str]] | None:
    """The first braces that expand: where they begin, where they end, and what is between; None without any."""
    closings = _closings(word)
    for start, (end, commas) in sorted(closings.items()):
        inside = word[start + 1 : end]
        if commas:
            edges = [start, *commas, end]
            return start, end + 1, [word[left + 1 : right] for left, right in pairwise(edges)]
        if counted := _counted(inside):
            return start, end + 1, counted
    return None


def _closings(word: str) -> dict[int, tuple[int, list[int]]]:
    """For every opening brace that is closed: where, and the commas that are directly inside."""
    found: dict[int, tuple[int, list[int]]] = {}
    open_: list[tuple[int, list[int]]] = []
    escaped = False
    for place, letter in enumerate(word):
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == "{":
            open_.append((place, []))
        elif letter == "," and open_:
            open_[-1][1].append(place)
        elif letter == "}" and open_:
            start, commas = open_.pop()
            found[start] = (place, commas)
    return found


def _counted(inside: str) -> list[str]:
    """The members of `1..3`, `01..10..3` or `a..e`; empty for anything else."""
    parts = inside.split("..")
    if len(parts) not in (2, 3):
        return []
    step = _whole(parts[2]) if len(parts) == 3 else 1
    if step is None:
        return []
    first, last = _whole(parts[0]), _whole(parts[1])
    if first is not None and last is not None:
        width = max(len(part) for part in parts[:2]) if _padded(parts[0]) or _padded(parts[1]) else 0
        return [f"{number:0{width}d}" for number in _between(first, last, step)]
    if all(len(part) == 1 and part.isascii() and part.isalpha() for part in parts[:2]):
        return [chr(number) for number in _between(ord(parts[0]), ord(parts[1]), step)]
    return []


def _whole(text: str) -> int | None:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 10 else None


def _padded(text: str) -> bool:
    digits = text.removeprefix("-")
    return len(digits) > 1 and digits.startswith("0")


def _between(first: int, last: int, step: int) -> list[int]:
    size = abs(step) or 1
    if abs(last - first) // size >= MOST:
        raise ConfigError(f"{{{first}..{last}}} means more than {MOST} patterns", remedy="use * instead of braces")
    return list(range(first, last + 1, size)) if first <= last else list(range(first, last - 1, -size))


def _without_escapes(text: str) -> str:
    """Backslashes kept a brace or comma from its meaning; a glob knows none."""
    kept, escaped = [], False
    for letter in text:
        if letter == "\\" and not escaped:
            escaped = True
        else:
            kept.append(letter)
            escaped = False
    return "".join(kept) + ("\\" if escaped else "")
