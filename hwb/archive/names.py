"""Which member names and sizes are safe, and how is it said that one is not?"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hwb.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "LIMITS",
    "StandardLimits",
    "check_names",
    "has_control",
    "is_suspicious",
    "name_problem",
    "plain_errors",
    "refuse",
    "verdict",
]

_PLAIN = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.+-]*/)*[A-Za-z0-9_][A-Za-z0-9_.+-]*/?")
"""What nearly every name looks like, settled at once."""
_REMEDY = "do not use this file; build it again from its sources"


class StandardLimits:
    """How much an archive may be. Counted while reading, never taken from what the archive says about itself.

    Others are given by `hwb.archive.Limits`, a dataclass, which takes as long to import as a small wheel to check.
    """

    bytes: int = 16 << 30
    """All members together, unpacked."""
    members: int = 100_000
    ratio: int = 200
    """Unpacked bytes for each packed one; asked from `ratio_from` bytes on. PyPI allows 50 from 64 MiB on."""
    ratio_from: int = 64 << 20
    name: int = 4096
    """Bytes of a whole member name (PATH_MAX of Linux); each part may have 255 (NAME_MAX)."""
    metadata: int = 32 << 20
    """Bytes of a member that is read as a whole: METADATA, RECORD, pyproject.toml."""
    header: int = 1 << 20
    """Bytes of one extended tar header."""


LIMITS = StandardLimits()


def refuse(path: str, what: str, *, rule: str = "archive-reading", member: str = "") -> ValidationError:
    """The error for an archive that is not read; `rule` is one of hwb.wheel.model.ARCHIVE_RULES."""
    error = ValidationError(f"{os.path.basename(path)} {what}", where=path, remedy=_REMEDY)
    vars(error).update(rule=rule, member=member)
    return error


def verdict(error: ValidationError) -> tuple[str, str]:
    """The rule and the member that an error of `refuse` is about."""
    return vars(error).get("rule", "archive-damage"), vars(error).get("member", "")


def name_problem(name: str) -> str:
    """Why a member name is unsafe, or an empty string; a trailing slash (a directory) is fine.

    A name must be its own normal form on every system: relative, `/` between parts, nothing that a terminal, a
    file system or a C string reads differently (Unicode categories Cc, Cf, Cn, Co, Cs).
    """
    if len(name) <= 255 and _PLAIN.fullmatch(name):
        return ""
    if name.isascii() and name.isprintable() and not is_suspicious(name):
        return _part_problem(name)
    if "\\" in name:
        return "contains a backslash"
    if name.startswith("/"):
        return "is absolute"
    if name[1:2] == ":" or name.startswith(":"):
        return "starts with a drive"
    if ":" in name:
        return "contains a colon"
    if has_control(name):
        return "contains a control or invisible character"
    return _part_problem(name)


def is_suspicious(name: str) -> bool:
    """Whether a path says more than names between slashes on some system."""
    return "\\" in name or ":" in name or name.startswith("/")


def has_control(name: str) -> bool:
    """Whether a character controls, cannot be seen, or means nothing (Unicode categories C*)."""
    from unicodedata import category

    return any(category(character)[0] == "C" for character in name)


def _part_problem(name: str) -> str:
    if len(name) > 63 and any(len(part.encode(errors="replace")) > 255 for part in name.split("/")):
        return "has a part of more than 255 bytes"
    if "//" not in name and "." not in name and name and not name.startswith("/"):
        return ""
    parts = name.removesuffix("/").split("/")
    if ".." in parts:
        return "leads out of the archive"
    return "is not a plain relative path" if "" in parts or "." in parts else ""


def check_names(path: str, names: Iterable[str], *, fold: bool = True, limits: StandardLimits = LIMITS) -> None:
    """Every name safe, none twice, none both a file and a directory; directories end with a slash.

    `fold`: also not after NFC and case folding, because on macOS and Windows the later one replaces the earlier.
    """
    seen: dict[str, str] = {}
    files: set[str] = set()
    parents: set[str] = set()
    for name in names:
        _check_name(path, name, limits)
        plain = name.removesuffix("/")
        key = _folded(plain) if fold else plain
        if key in seen:
            how = "the same name" if seen[key] == plain else f"names that differ by case only ({seen[key]!r})"
            raise refuse(path, f"has two members of {how}: {name!r}", rule="archive-name", member=name)
        seen[key] = plain
        if not name.endswith("/"):
            files.add(key)
        _add_parents(parents, key)
    for both in sorted(files & parents):
        what = f"has a member that is a file and a directory: {seen[both]!r}"
        raise refuse(path, what, rule="archive-name", member=seen[both])


def _check_name(path: str, name: str, limits: StandardLimits) -> None:
    problem = name_problem(name)
    if not problem and len(name) > limits.name // 4 and len(name.encode()) > limits.name:
        problem = f"has a name of more than {limits.name} bytes"
    if problem:
        shown = name if len(name) <= 300 else name[:300] + "..."
        raise refuse(path, f"has a member that {problem}: {shown!r}", rule="archive-name", member=shown)


def _folded(name: str) -> str:
    if name.isascii():
        return name.lower()
    from unicodedata import normalize

    return normalize("NFC", normalize("NFC", name).casefold())


def _add_parents(parents: set[str], name: str) -> None:
    at = name.rfind("/")
    while at > 0 and (parent := name[:at]) not in parents:
        parents.add(parent)
        at = name.rfind("/", 0, at)


@contextmanager
def plain_errors(path: str) -> Iterator[None]:
    """Damage is told as a ValidationError, never as a traceback of the library that found it."""
    import zlib

    try:
        yield
    except (zlib.error, EOFError, UnicodeDecodeError) as error:
        raise refuse(path, f"is damaged: {error}", rule="archive-damage") from error
    except OSError as error:
        raise refuse(path, f"cannot be read: {error.strerror or error}", rule="archive-damage") from error
