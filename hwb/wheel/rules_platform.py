"""Does a wheel run on the oldest system that its platform tags promise, with the libraries that are there? (P14)"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hwb.wheel.binaries import fits
from hwb.wheel.rules_native import native_rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hwb.wheel.elf import Elf
    from hwb.wheel.filenames import WheelName
    from hwb.wheel.macho import Slice
    from hwb.wheel.model import WheelSubject
    from hwb.wheel.natives import Natives

__all__ = ["Contradiction", "claimed_against_real", "floor_of", "glibc_of"]

_LEGACY = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
"""PEP 513, 571 and 599; since PEP 600 the tag itself says the version."""
_FLOOR = r"(?P<family>manylinux|musllinux|macosx)_(?P<major>\d+)_(?P<minor>\d+)_\w+"
_MARKERS = {"GLIBC_ABI_DT_RELR": (2, 36)}
"""Versions without a number that a linker asks for, with the glibc that has them first."""
_MUSL = r"libc\.musl-\w+\.so\.1|libc\.so"
_EVERYWHERE = (
    r"(?:ld-linux|ld64|ld\.so|libc\.|libm\.|libdl\.|librt\.|libpthread\.|libutil\.|libnsl\.so\.1|libresolv\.|libmvec\."
    r"|libanl\.|libgcc_s\.|libstdc\+\+\.|libatomic\.|libz\.so\.1|libexpat\.so\.1|libX11\.|libXext\.|libXrender\.|libICE\."
    r"|libSM\.|libGL\.|libgobject-2|libgthread-2|libglib-2|ld-musl).*"
)
"""Libraries that PEP 513 and its successors promise on every such system."""
_RUNTIMES = r"(?:msvcp|vcomp|concrt|mfc)\d+.*\.dll|lib(?:gcc_s|stdc\+\+|winpthread|gomp|gfortran|quadmath|omp).*\.dll"
"""Compilers' libraries that neither Windows nor Python brings (both bring vcruntime140)."""
_PYTHON_DLL = r"python3(?P<minor>\d*)(?P<threads>t?)(?:_d)?\.dll"
_SHOWN = 5
_REPAIR = "repair the wheel (it gets the tag that its symbols prove), or build it on an older system"


class Contradiction:
    """A member that needs more than a platform tag of the wheel promises: a version, or another C library."""

    __slots__ = ("member", "needs", "platform", "symbols")

    def __init__(self, platform: str, member: str, needs: str, symbols: tuple[str, ...] = ()) -> None:
        self.platform = platform
        self.member = member
        self.needs = needs
        self.symbols = symbols

    def __str__(self) -> str:
        shown = ", ".join(self.symbols[:_SHOWN]) + (", ..." if len(self.symbols) > _SHOWN else "")
        return f"needs {self.needs}{f' ({shown})' if shown else ''}, but the wheel claims {self.platform}"


def floor_of(platform: str) -> tuple[str, tuple[int, int]] | None:
    """The family of a platform tag and the least version of its system; None for a tag that promises none.

    manylinux: glibc (PEP 600), musllinux: musl (PEP 656), macosx: the system itself.
    """
    legacy = platform.partition("_")[0]
    if legacy in _LEGACY:
        return "manylinux", _LEGACY[legacy]
    found = re.fullmatch(_FLOOR, platform)
    return (found["family"], (int(found["major"]), int(found["minor"]))) if found else None


def glibc_of(version: str) -> tuple[int, int] | None:
    """The glibc that has a version of symbols first (`GLIBC_2.34`); None when it is not of glibc or not public."""
    if version in _MARKERS:
        return _MARKERS[version]
    found = re.fullmatch(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?", version)
    return (int(found[1]), int(found[2])) if found else None


def claimed_against_real(wheel: WheelSubject, platforms: Sequence[str] = ()) -> list[Contradiction]:
    """Where platform tags (those of the wheel's name) promise more than the symbols of its ELF files prove."""
    from hwb.wheel.natives import natives

    platforms = platforms or _platforms(wheel)
    found = []
    for name, elf in natives(wheel).elves.items():
        lowest: dict[str, tuple[tuple[int, int], str]] = {}
        for platform in platforms:
            claimed = floor_of(platform)
            if claimed and fits(wheel.binaries[name], platform):
                family, version = claimed
                lowest[family] = min(lowest.get(family, (version, platform)), (version, platform))
        found += [_contradiction(wheel, name, elf, family, *claim) for family, claim in sorted(lowest.items())]
    return [one for one in found if one]


def _contradiction(
    wheel: WheelSubject, name: str, elf: Elf, family: str, version: tuple[int, int], platform: str
) -> Contradiction | None:
    uses_musl = any(re.fullmatch(_MUSL, library) for library in elf.needed)
    if family == "musllinux":
        of_glibc = next((wanted.version for wanted in elf.versions if glibc_of(wanted.version)), "")
        return Contradiction(platform, name, f"glibc ({of_glibc})") if of_glibc else None
    if uses_musl:
        return Contradiction(platform, name, "musl")
    wanted = {one.version: glibc for one in elf.versions if not one.weak and (glibc := glibc_of(one.version))}
    newer = {text: glibc for text, glibc in wanted.items() if glibc > version}
    if not newer:
        return None
    highest = max(newer.values())
    return Contradiction(platform, name, f"glibc {highest[0]}.{highest[1]}", _symbols(wheel, name, newer))


def _symbols(wheel: WheelSubject, name: str, versions: Iterable[str]) -> tuple[str, ...]:
    from hwb.errors import ValidationError
    from hwb.wheel.elf import undefined_symbols
    from hwb.wheel.natives import content

    wanted = set(versions)
    try:
        found = undefined_symbols(content(wheel, name), name)
    except ValidationError:
        return ()  # only the names are missing: what is wrong is known
    return tuple(f"{symbol}@{version}" for symbol, version in sorted(found) if version in wanted)


@native_rule("native-format", warns=True, remedy="make sure that the file is whole, and that it loads")
def _native_format(wheel: WheelSubject, found: Natives) -> Iterator[tuple[str, str]]:
    """Native files can be read by what loads them: every table that an ELF, Mach-O or PE file speaks of is in it."""
    yield from ((what, name) for name, what in found.unread.items())


@native_rule(
    "platform-symbols",
    remedy=_REPAIR,
)
def _platform_symbols(wheel: WheelSubject, found: Natives) -> Iterator[tuple[str, str]]:
    """What ELF files want of the C library is in the oldest system that the tags promise (PEP 600, PEP 656)."""
    yield from ((str(found), found.member) for found in claimed_against_real(wheel))


@native_rule("macos-floor", warns=True, remedy="set MACOSX_DEPLOYMENT_TARGET when building, or raise the tag")
def _macos_floor(wheel: WheelSubject, found: Natives) -> Iterator[tuple[str, str]]:
    """Mach-O files are built for the macOS of the platform tag or an older one."""
    floors = [floor[1] for platform in _platforms(wheel) if (floor := floor_of(platform)) and floor[0] == "macosx"]
    if not floors:
        return
    for name, slices in found.machos.items():
        for part in slices:
            claimed = max(min(floors), (11, 0)) if part.arch == "arm64" else min(floors)  # arm64 begins with 11
            if part.least and part.least > claimed:
                least, said = (".".join(map(str, version)) for version in (part.least, claimed))
                yield f"needs macOS {least} ({part.arch}), but the wheel claims {said}", name


@native_rule("missing-library", warns=True, remedy="repair the wheel, or depend on what brings the library")
def _missing_library(wheel: WheelSubject, found: Natives) -> Iterator[tuple[str, str]]:
    """Libraries that native code needs are in the wheel, or promised by the platform (PEP 513, PEP 600)."""
    here = {name.rpartition("/")[2] for name in wheel.files} | {elf.soname for elf in found.elves.values()}
    if any((floor_of(platform) or ("",))[0] == "manylinux" for platform in _platforms(wheel)):
        for name, elf in found.elves.items():
            lost = [library for library in elf.needed if library not in here and not re.fullmatch(_EVERYWHERE, library)]
            if lost:
                yield f"needs {', '.join(lost)}", name
    for name, slices in found.machos.items():
        if lost := sorted(_foreign(slices)):
            yield f"needs {', '.join(lost)}", name
    dlls = {file.lower() for file in here}
    for name, imports in found.imports.items():
        if lost := [dll for dll in imports if dll not in dlls and re.fullmatch(_RUNTIMES, dll)]:
            yield f"needs {', '.join(lost)}", name


def _foreign(slices: tuple[Slice, ...]) -> set[str]:
    """Libraries at absolute places that are not the system's own."""
    own = ("/usr/lib/", "/System/Library/", "/Library/Frameworks/Python")
    every = {library for part in slices for library in part.libraries}
    return {library for library in every if library.startswith("/") and not library.startswith(own)}


@native_rule("python-library", remedy="build it with the Python of the tag; for abi3 define Py_LIMITED_API, too")
def _python_library(wheel: WheelSubject, found: Natives) -> Iterator[tuple[str, str]]:
    """Extension modules load the Python library of the wheel's tags: of one version, or of the stable ABI (Windows)."""
    for name, imports in found.imports.items():
        for dll in imports:
            loaded = re.fullmatch(_PYTHON_DLL, dll)
            if loaded and name in wheel.extensions and wheel.parsed and not _loads(loaded, wheel.parsed):
                yield (
                    f"loads {dll}, in a wheel for {'.'.join(wheel.parsed.pythons)}-{'.'.join(wheel.parsed.abis)}",
                    name,
                )


def _loads(dll: re.Match[str], wheel: WheelName) -> bool:
    """Whether a Python that the wheel is for brings that library; one of the stable ABI is brought by all of them."""
    if not dll["minor"] or any(not python.startswith("cp") for python in wheel.pythons):
        return True
    if f"cp3{dll['minor']}" not in wheel.pythons:
        return False
    return any(not abi.startswith("abi3") and abi.endswith("t") == bool(dll["threads"]) for abi in wheel.abis)


def _platforms(wheel: WheelSubject) -> tuple[str, ...]:
    return wheel.parsed.platforms if wheel.parsed else ()
