"""Which interpreters does this machine have?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from hwb.installs import scan
from hwb.pyprobe import ask
from hwb.pyspec import NAMES, Spec
from hwb.pythons import ranked, version_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwb.pyprobe import Interpreter

__all__ = ["Refused", "survey"]


class Refused(NamedTuple):
    """Something that looks like an interpreter and is none; `why` continues the sentence that its path begins."""

    path: str
    source: str
    why: str


def survey(environ: Mapping[str, str] | None = None) -> tuple[list[Interpreter], list[Refused]]:
    """Every interpreter of the machine, asked or remembered; of those that fit a request, the first is what it means.

    CPython comes first, the usual kind before others, newest minor first.
    """
    found: dict[str, Interpreter] = {}
    refused = []
    for candidate in ranked(scan(environ), Spec()):
        old = candidate.version[:1] == (2,)
        answer = ask(candidate.path, candidate.source) if not old else "is Python 2"
        if isinstance(answer, str):
            refused.append(Refused(candidate.path, candidate.source, answer))
        else:
            found.setdefault(os.path.realpath(answer.path), answer)
    return _grouped(list(found.values())), refused


def _grouped(found: Sequence[Interpreter]) -> list[Interpreter]:
    """Stable within a minor: there the order is that of the search."""
    names = [*NAMES]

    def key(one: Interpreter) -> tuple[int, str, int, int]:
        major, minor = version_key(one.version)[:2]
        rank = names.index(one.implementation) if one.implementation in names else len(names)
        return rank, one.flags, -major, -minor

    return sorted(found, key=key)
