"""How do a wheel for arm64 and one for x86_64 become one that runs on every Mac?

Most backends build for both at once (`ARCHFLAGS`); for those that cannot, each architecture is built by itself and
delocate fuses the two. It takes the second wheel's file without a word where the two differ and are no code, and says
nothing of code that only one of them has: both is looked for here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hwb.context import current
from hwb.errors import RepairError
from hwb.repair.outcome import opened, read_given

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hwb.repair.outcome import Given
    from hwb.repair.tools import Tool

__all__ = ["builds_both", "fuse_wheels"]

ARCHES = ("arm64", "x86_64")
_THIN_ONLY = frozenset({"mesonpy"})
"""Backends that refuse an `ARCHFLAGS` with two architectures."""


def builds_both(backend: str) -> bool:
    """Whether a build backend (`mesonpy`, `setuptools.build_meta`) compiles for both architectures in one build."""
    return backend.partition(":")[0] not in _THIN_ONLY


def fuse_wheels(arm64: str, x86_64: str, folder: str, tool: Callable[[str], Tool]) -> str:
    """Fuse the two wheels of one project into `folder` (emptied before); the new wheel's path.

    Raises RepairError when they are not two halves of the same thing, when delocate fails, and when what it made has
    code for one architecture only; ValidationError for a file that is no sound wheel.
    """
    from hwb.fs import remove_tree

    given = _given(arm64, "arm64"), _given(x86_64, "x86_64")
    one, other = (given[0].name, given[1].name)
    if (one.project, one.version, one.pythons, one.abis) != (other.project, other.version, other.pythons, other.abis):
        what = f"{given[0].file} and {given[1].file} are not the same wheel for two architectures"
        raise RepairError(what, remedy="build both of the same sdist, with the same Python")
    _require_same(*given)
    remove_tree(folder)
    os.makedirs(folder)
    used = tool("delocate")
    argv = [used.python, "-m", "delocate.cmd.delocate_merge", "--wheel-dir", folder, arm64, x86_64]
    done = used.run(argv, {"SOURCE_DATE_EPOCH": str(max(half.epoch for half in given))})
    current().log.write(done.text)
    if done.return_code:
        what = f"{given[0].file} and {given[1].file} cannot be fused: delocate ended with exit code {done.return_code}"
        detail = "\n".join(done.text.strip().splitlines()[-20:])
        raise RepairError(what, detail=detail, remedy="see what delocate says")
    return _made(folder, given[0])


def _given(path: str, arch: str) -> Given:
    given = read_given(path)
    if not all(tag.startswith("macosx_") and tag.endswith(f"_{arch}") for tag in given.name.platforms):
        raise RepairError(f"{given.file} is not for {arch} on macOS", where=path, remedy="name the arm64 wheel first")
    return given


def _require_same(one: Given, other: Given) -> None:
    """What is no code must be the same in both: nobody can say which of two texts is meant."""
    first, second = _plain(one.path), _plain(other.path)
    different = sorted(name for name in first.keys() & second.keys() if first[name] != second[name])
    if different:
        what = f"{one.file} and {other.file} differ in what is no code"
        remedy = "have the build write the same for both architectures, or publish the two wheels as they are"
        raise RepairError(what, detail="\n".join(different), remedy=remedy)


def _plain(path: str) -> Mapping[str, tuple[int, int]]:
    """Size and checksum of each member that is no code and is not written anew."""
    from hwb.wheel.natives import natives

    with opened(path) as subject:
        code = natives(subject).machos
        entries = subject.reader.entries.values()
        return {one.name: (one.size, one.crc) for one in entries if one.name not in code and not _rewritten(one.name)}


def _rewritten(name: str) -> bool:
    return name.endswith((".dist-info/WHEEL", ".dist-info/RECORD"))


def _made(folder: str, given: Given) -> str:
    found = sorted(os.listdir(folder))
    if len(found) != 1:
        what = f"delocate made {len(found)} files of {given.file} and its other half"
        raise RepairError(what, detail="\n".join(found), remedy="see what delocate says")
    path = os.path.join(folder, found[0])
    made = read_given(path)
    if not all(tag.startswith("macosx_") and tag.endswith("_universal2") for tag in made.name.platforms):
        raise RepairError(f"{made.file} is not for every Mac, as its tags say", remedy="see what delocate says")
    thin = _thin(path)
    if thin:
        what = f"{made.file} has code for one architecture only"
        remedy = "have both builds make the same files, or publish the two wheels as they are"
        raise RepairError(what, where=path, detail="\n".join(thin), remedy=remedy)
    return path


def _thin(path: str) -> list[str]:
    from hwb.wheel.natives import natives

    with opened(path) as subject:
        found = natives(subject).machos
        arches = {name: {one.arch for one in slices} for name, slices in found.items()}
    return sorted(f"{name}: {', '.join(sorted(has))}" for name, has in arches.items() if has != set(ARCHES))
