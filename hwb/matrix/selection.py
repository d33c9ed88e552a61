"""Which identifiers does a configuration choose for a system, and why not the others?

Without narrowing these are the identifiers that `cibuildwheel --print-build-identifiers` prints (a test compares them).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from hwb.errors import ConfigError
from hwb.matrix.archs import resolve
from hwb.matrix.known import Python, groups, pythons
from hwb.matrix.layers import Found, Layer, look_up, near
from hwb.matrix.selectors import matches, matching_nothing
from hwb.target import System, Wanted, same_arch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from packaging.specifiers import SpecifierSet

    from hwb.matrix.strategy import Host
    from hwb.matrix.table import Exclusion, Own

__all__ = [
    "Narrowing",
    "Selected",
    "Skipped",
    "Wish",
    "idle_words",
    "names_python",
    "select",
    "selector_warnings",
    "served_by_abi3",
]


class Wish(NamedTuple):
    """What the command line narrows a matrix to; empty parts narrow nothing."""

    only: str = ""
    python: tuple[str, ...] = ()
    platform: tuple[Wanted, ...] = ()
    arch: tuple[str, ...] = ()


class Skipped(NamedTuple):
    """An identifier that is not built, and why."""

    identifier: str
    reason: str


class Selected(NamedTuple):
    """A Python that is built, and the policy or deployment target that the command line asks for it (empty: none)."""

    python: Python
    policy: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Narrowing:
    """All that chooses among a system's Pythons, already looked up."""

    build: Found
    skip: Found
    enable: frozenset[str]
    archs: tuple[str, ...]
    requires_python: str
    wish: Wish
    own: Own
    system: System
    host: Host


def select(
    system: System, layers: Sequence[Layer], own: Own, host: Host, requires_python: str, wish: Wish
) -> tuple[list[Selected], list[Skipped]]:
    """What is built and what is not, both in the data's order. Raises ConfigError for words that mean nothing."""
    narrowing = _narrowing(system, layers, own, host, requires_python, wish)
    specifiers = _specifiers(requires_python)
    chosen: list[Selected] = []
    skipped: list[Skipped] = []
    for python in pythons(system):
        wanted = _wanted(python, system, wish)
        reason = "" if wish.only else _reason_against(python, wanted, narrowing)
        reason = reason or _too_old(python, specifiers, requires_python)
        if wish.only and python.identifier != wish.only:
            continue
        if reason or wanted is None:
            skipped.append(Skipped(python.identifier, reason or "its platform is not asked for"))
        else:
            chosen.append(Selected(python, wanted.policy))
    return chosen, skipped


def _narrowing(
    system: System, layers: Sequence[Layer], own: Own, host: Host, requires_python: str, wish: Wish
) -> Narrowing:
    build = look_up("build", layers)
    build = build if build.text else Found("*", build.where)
    archs = look_up("archs", layers)
    words = " ".join(same_arch(system, one) for one in wish.arch)
    chosen = resolve(words or archs.text, system, host.system, host.arch, "--arch" if words else archs.where)
    enable = _enabled(look_up("enable", layers))
    return Narrowing(build, look_up("skip", layers), enable, chosen, requires_python, wish, own, system, host)


_GONE = {"cpython-freethreading": "remove it: wheels for free-threaded Pythons need no group since cibuildwheel 4"}
"""Groups that configurations still name."""


def _enabled(found: Found) -> frozenset[str]:
    names = found.text.split()
    for name in names:
        if name not in (*groups(), "all"):
            remedy = _GONE.get(name) or near(name, [*groups(), "all"])
            raise ConfigError(f"enable knows no group {name!r}", where=found.where, remedy=remedy)
    return frozenset(groups() if "all" in names else names)


def _specifiers(requires_python: str) -> SpecifierSet | None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(requires_python) if requires_python else None
    except InvalidSpecifier as error:
        raise ConfigError(f"requires-python: {requires_python!r} is no version specifier (PEP 440)") from error


def _too_old(python: Python, specifiers: SpecifierSet | None, requires_python: str) -> str:
    """A series counts when its last imaginable patch release does: `>=3.9.2` takes 3.9."""
    if specifiers is None or specifiers.contains(f"{python.version}.99"):
        return ""
    return f"requires-python is {requires_python}"


def _wanted(python: Python, system: System, wish: Wish) -> Wanted | None:
    """The first part of `--platform` that takes this Python; an empty one where nothing is asked for."""
    if not wish.platform:
        return Wanted(system)
    for wanted in sorted(wish.platform, key=lambda one: not one.arch):  # those that say more come first
        family = "" if system is System.MACOS else wanted.policy.partition("_")[0].rstrip("0123456789")
        is_arch = wanted.arch in ("", python.arch)
        if wanted.system is system and is_arch and f"-{family}" in python.identifier:
            return wanted
    return None


def _reason_against(python: Python, wanted: Wanted | None, narrowing: Narrowing) -> str:
    """The first of all reasons not to build it; empty when there is none."""
    return next(_reasons(python, wanted, narrowing), "")


def _reasons(python: Python, wanted: Wanted | None, chosen: Narrowing) -> Iterator[str]:
    if python.group and python.group not in chosen.enable:
        yield f'it needs enable = ["{python.group}"]'
    if not matches(chosen.build.text, python.identifier):
        yield f"build does not name it{_at(chosen.build)}"
    if matches(chosen.skip.text, python.identifier):
        yield f"skip names it{_at(chosen.skip)}"
    if chosen.own.python and not names_python(chosen.own.python, python):
        yield f"python does not name it ({chosen.own.python_where})"
    yield from _excluded(python, chosen)
    if chosen.wish.python and not names_python(chosen.wish.python, python):
        yield "another Python is asked for"
    if wanted is None:
        yield "its platform is not asked for"
    elif not wanted.arch and chosen.system is not System.PYODIDE and python.arch not in chosen.archs:
        yield f"{python.arch} is not among the architectures ({', '.join(chosen.archs) or 'none'})"
    if chosen.host.arch == "x86_64" and python.arch == "arm64" and python.python.startswith(("pp", "gp")):
        yield f"{python.python} for arm64 is not made on x86_64"


def _at(found: Found) -> str:
    return f" ({found.where})" if found.where else ""


def _excluded(python: Python, chosen: Narrowing) -> Iterator[str]:
    for exclusion in chosen.own.exclude:
        if _fits(exclusion, python, chosen.system):
            yield f"exclude names it ({exclusion.where})"


def _fits(exclusion: Exclusion, python: Python, system: System) -> bool:
    is_python = not exclusion.python or names_python([exclusion.python], python)
    is_system = exclusion.system in (None, system)
    return is_python and is_system and (not exclusion.arch or same_arch(system, exclusion.arch) == python.arch)


def names_python(tags: Iterable[str], python: Python) -> bool:
    """Whether a tag names it; GraalPy's own version may be left out (`gp312` for `gp312_250`)."""
    return any(tag in (python.python, python.python.partition("_")[0]) for tag in tags)


def idle_words(own: Own) -> Iterator[str]:
    """One warning for each `python` and `exclude` of the table that fits no Python of any system."""
    everything = [(python, system) for system in System for python in pythons(system)]
    for tag in own.python:
        if not any(names_python([tag], python) for python, _ in everything):
            yield f"{own.python_where}: python: there is no {tag}"
    for exclusion in own.exclude:
        if not any(_fits(exclusion, *one) for one in everything):
            yield f"{exclusion.where}: exclude fits no identifier"


def served_by_abi3(chosen: Sequence[Selected], limited_api: str) -> tuple[list[Selected], list[Skipped]]:
    """Leave out each CPython that the wheel of an older one of the same platform serves (PEP 384).

    `limited_api` is the wheel's tag, such as cp39, or `abi3` where no version is named. Those older than the tag, and
    those that abi3 says nothing about (free-threaded ones, PyPy, GraalPy), are built as without it.
    """
    first = int(limited_api[3:]) if limited_api[3:].isdigit() else 0
    kept: list[Selected] = []
    skipped: list[Skipped] = []
    lowest: dict[str, str] = {}
    for one in chosen:
        python, platform = one.python, one.python.identifier.partition("-")[2]
        fits = python.python[:2] == "cp" and python.python[2:].isdigit() and int(python.python[3:]) >= first
        if fits and platform in lowest:
            reason = f"the abi3 wheel of {lowest[platform]} serves it"
            skipped.append(Skipped(python.identifier, reason))
            continue
        if fits:
            lowest[platform] = python.python
        kept.append(one)
    return kept, skipped


def selector_warnings(name: str, found: Found, enable: str) -> Iterator[str]:
    """One warning for each word of a selector that fits no identifier of any system."""
    everything = [python for system in System for python in pythons(system)]
    words = enable.split()
    reachable = [one.identifier for one in everything if not one.group or one.group in words or "all" in words]
    for word in matching_nothing(found.text, _with_halves(reachable) if name == "test-skip" else reachable):
        gated = sorted({one.group for one in everything if one.group and matches(word, one.identifier)})
        hint = f"; it would with enable = {gated}" if gated else ""
        yield f"{found.where + ': ' if found.where else ''}{name}: {word!r} fits no identifier{hint}"


def _with_halves(identifiers: list[str]) -> list[str]:
    """A universal2 wheel is tested once for each half, which test-skip may name: `*:arm64`."""
    both = [one for one in identifiers if one.endswith("-macosx_universal2")]
    return identifiers + [f"{one}:{half}" for one in both for half in ("x86_64", "arm64")]
