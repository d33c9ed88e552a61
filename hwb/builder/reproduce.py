"""Does a second build, elsewhere, at another time of day and for another user, give the same bytes?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hwb.context import current, use
from hwb.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwb.builder.options import BuildOptions, Built, Source

__all__ = ["first_difference", "reproduce"]

_ZONE = "Pacific/Kiritimati"  # UTC+14, as far from UTC as time zones get


def reproduce(source: Source, built: Built, options: BuildOptions) -> None:
    """Build again as somebody else would (another umask, time zone, locale), at another path, and compare.

    For the time of the second build the umask is that of the process: hooks get the same one in every build.
    Raises ValidationError that names the first difference; the files of the first build stay where they are.
    """
    from hwb.builder.backend import phase
    from hwb.builder.engine import build_project
    from hwb.store import open_store

    context = current()
    other_env = {**context.outer_env, "TZ": _ZONE, "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}
    other_env.setdefault("SOURCE_DATE_EPOCH", str(built.epoch))
    with open_store().temporary("reproduce-") as directory, phase("reproduce"):
        place = os.path.join(directory, "a-longer-path-than-the-first-one", "build")
        again = options._replace(cache=False, elsewhere=place)
        before = os.umask(0o077)
        try:
            with use(context.but(outer_env=other_env, shared=None)):
                second = build_project(source, os.path.join(directory, "out"), again)
        finally:
            os.umask(before)
        _compare(built, second)
    text = "built twice (another path, umask and time zone): the same bytes"
    context.emit("message", level="info", text=text)


def _compare(built: Built, second: Built) -> None:
    others = {os.path.basename(path): path for path in second.files}
    for path in built.files:
        name = os.path.basename(path)
        if name not in others:
            what = f"the second build made {', '.join(others) or 'nothing'} instead of {name}"
        else:
            what = first_difference(path, others[name])
        if what:
            remedy = (
                "make the build deterministic (sorted lists, SOURCE_DATE_EPOCH, no paths), or build without --reproduce"
            )
            raise ValidationError(f"{name} is not reproducible: {what}", where=path, remedy=remedy)


def first_difference(first: str, second: str) -> str:
    """What differs between two archives of one kind: a member and how, or the container; empty for the same bytes."""
    with open(first, "rb") as one, open(second, "rb") as two:
        if one.read() == two.read():
            return ""
    here, there = dict(_members(first)), dict(_members(second))
    # RECORD last: it differs because something else does
    for name in sorted({*here, *there}, key=lambda name: (name.endswith(".dist-info/RECORD"), name)):
        if name not in here or name not in there:
            return f"{name} is in only one of them"
        if here[name] != there[name]:
            return f"{name} differs{_where(here[name], there[name])}"
    return "the members are equal, but not how they are packed (order, times, modes)"


def _members(path: str) -> Iterator[tuple[str, bytes]]:
    from hwb.archive import open_sdist, open_wheel
    from hwb.archive.members import FILE

    if path.endswith(".whl"):
        with open_wheel(path) as wheel:
            yield from ((name, wheel.read(name)) for name in wheel.names if not name.endswith("/"))
    else:
        with open_sdist(path) as sdist:
            yield from ((m.name, sdist.read(m.name)) for m in sdist.members if m.kind == FILE)


def _where(here: bytes, there: bytes) -> str:
    """The first differing line of a text, or the first differing byte."""
    position = next((i for i, (a, b) in enumerate(zip(here, there)) if a != b), min(len(here), len(there)))
    if b"\0" in here[:4096]:
        return f" from byte {position} of {len(here)} on"
    line = here.count(b"\n", 0, position)
    lines = [data.split(b"\n")[line : line + 1] or [b""] for data in (here, there)]
    shown = [text[0].decode(errors="replace")[:120] for text in lines]
    return f" in line {line + 1}: {shown[0]!r} and {shown[1]!r}"
