"""What is an entry of a source archive, and where do its links lead?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwb.archive.names import has_control, is_suspicious, refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["DIRECTORY", "FILE", "HARDLINK", "SYMLINK", "Member", "check_links"]

FILE, HARDLINK, SYMLINK, DIRECTORY = "file", "hard link", "symbolic link", "directory"
_MOST_LINKS = 40
"""Links that are followed on the way to one place: Linux gives up after as many (path_resolution(7))."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Member:
    """An entry of an archive; `name` without a trailing slash, `mtime` in seconds, `type` the type byte of its format.

    `offset` is where its bytes begin (tar: in the unpacked stream), `extended` are the keys of its extended header.
    """

    name: str
    kind: str
    size: int
    mode: int
    mtime: float
    linkname: str = ""
    offset: int = 0
    type: bytes = b"0"
    owner: tuple[int, int, str, str] = (0, 0, "", "")
    extended: frozenset[str] = frozenset()


def check_links(path: str, members: Iterable[Member], top: str) -> None:
    """Hard links name a file before them (POSIX ustar); symbolic ones stay below `top` however they are followed."""
    members = tuple(members)
    files: set[str] = set()
    links = {member.name: member.linkname for member in members if member.kind == SYMLINK}
    for member in members:
        shown = f"{member.name!r} -> {member.linkname!r}"
        if member.kind == HARDLINK and member.linkname not in files:
            what = f"has a hard link to no file before it: {shown}"
            raise refuse(path, what, rule="archive-type", member=member.name)
        if member.kind == SYMLINK and (problem := _link_problem(member.name, links, top)):
            raise refuse(path, f"has a link that {problem}: {shown}", rule="archive-type", member=member.name)
        if member.kind in (FILE, HARDLINK):
            files.add(member.name)


def _link_problem(name: str, links: Mapping[str, str], top: str) -> str:
    """Follow a link through the other links of the archive, as the kernel would after extraction."""
    reached: list[str] = []
    todo = name.split("/")[::-1]
    followed = 0
    while todo:
        part = todo.pop()
        if part == "..":
            if not reached:
                return "leaves it"
            reached.pop()
        elif part not in ("", "."):
            reached.append(part)
            target = links.get("/".join(reached))
            if target is not None:
                followed += 1
                if followed > _MOST_LINKS:
                    return "leads nowhere, only to more links"
                if not target or is_suspicious(target) or has_control(target):
                    return "leaves it"
                reached.pop()
                todo += target.split("/")[::-1]
    inside = top.split("/") if top else []
    return "" if reached[: len(inside)] == inside else "leaves it"
