"""Do the file name, the dist-info directory, METADATA and WHEEL speak of the same thing? (P7, P13)"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hwb.wheel.filenames import canonical, same_version
from hwb.wheel.model import sdist_rule, wheel_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwb.wheel.filenames import SdistName
    from hwb.wheel.model import SdistSubject, WheelSubject

__all__ = ["agrees", "split_stem"]

_PYTHON_TAG = r"(py|cp|pp|ip|jy|graalpy)[0-9]+(_[0-9]+)*"
_ABI_TAG = r"none|abi[0-9]+t?|cp[0-9]{2,}[dmut]*|(pypy|graalpy)[0-9_]*[a-z0-9_]*|[a-z][a-z0-9_]*"
_PLATFORM_TAG = (
    r"any|win32|win_(amd64|arm64|arm32|ia64)|macosx_[0-9]+_[0-9]+_[a-z0-9_]+|linux_[a-z0-9_]+"
    r"|manylinux(1|2010|2014)_[a-z0-9_]+|(many|musl)linux_[0-9]+_[0-9]+_[a-z0-9_]+|(android|ios)_[0-9]+(_[0-9]+)?_[a-z0-9_]+"
    r"|(emscripten|pyodide|pyemscripten)_[0-9]+_[0-9]+(_[0-9]+)?_wasm32|wasi_[a-z0-9_]+"
    r"|(freebsd|openbsd|netbsd|dragonfly|solaris|sunos|aix|cygwin|msys|mingw|haiku)[a-z0-9_]*"
)
_WHEEL_FIELDS = ("Wheel-Version", "Root-Is-Purelib")


@wheel_rule("wheel-name", "P13")
def _wheel_name(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """The file name is name-version(-build)-python-abi-platform (PEP 427, binary distribution format)."""
    if wheel.parsed is None:
        yield f"{wheel.file_name!r} is not a valid wheel file name", ""


@wheel_rule("tag-syntax", "P13", remedy="name the file with tags that installers know (PEP 425)")
def _tag_syntax(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """Every tag of the file name is one that some interpreter could support, and is there once (PEP 425)."""
    if wheel.parsed is None:
        return
    name = wheel.parsed
    sets = ((_PYTHON_TAG, name.pythons), (_ABI_TAG, name.abis), (_PLATFORM_TAG, name.platforms))
    for pattern, tags in sets:
        for tag in tags:
            if not re.fullmatch(pattern, tag):
                yield f"no interpreter supports the tag {tag!r}", ""
        if len(set(tags)) < len(tags):
            yield f"a tag is there twice in {'.'.join(tags)!r}", ""
    if ("any" in name.platforms) and name.abis != ("none",):
        yield "a wheel for any platform cannot need an ABI", ""


@wheel_rule("one-dist-info", "P7")
def _one_dist_info(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """Exactly one dist-info directory, named after the project and version of the file name."""
    if len(wheel.dist_infos) != 1:
        has = ", ".join(wheel.dist_infos) or "none"
        yield f"must have exactly one dist-info directory, has {has}", ""
    elif wheel.parsed and not agrees(*split_stem(wheel.dist_info.removesuffix(".dist-info")), wheel.parsed):
        yield f"does not agree with the file name {wheel.file_name}", wheel.dist_info


def split_stem(stem: str) -> tuple[str, str]:
    """The name and the version of a directory called name-version."""
    name, _, version = stem.rpartition("-")
    return name, version


def agrees(name: str | None, version: str | None, wanted: SdistName) -> bool:
    """Whether a name and a version mean the file name's, after normalisation (PEP 503, PEP 440)."""
    return canonical((name or "").strip()) == wanted.project and same_version((version or "").strip(), wanted.version)


@wheel_rule("metadata", "P7")
def _metadata(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """METADATA is there, and its name and version are the file name's."""
    found = wheel.metadata
    if found is None:
        yield "there is no METADATA in the dist-info directory", wheel.dist_info
    elif wheel.parsed and not agrees(found["Name"], found["Version"], wheel.parsed):
        name = wheel.parsed
        what = f"says {found['Name']} {found['Version']}, the file name {name.project} {name.version}"
        yield what, wheel.metadata_member


@wheel_rule("wheel-version", "P7")
def _wheel_version(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """WHEEL is there, and its format is version 1.x, the only one that installers read."""
    found = wheel.headers("WHEEL")
    if found is None:
        yield "there is no WHEEL in the dist-info directory", wheel.dist_info
    elif not re.fullmatch(r"1\.\d+", (found["Wheel-Version"] or "").strip()):
        yield f"Wheel-Version is {found['Wheel-Version']!r}, not 1.x", wheel.member("WHEEL")


@wheel_rule("wheel-fields", "P7")
def _wheel_fields(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """WHEEL is a block of fields; Root-Is-Purelib says true or false, nothing that decides is there twice."""
    found = wheel.headers("WHEEL")
    if found is None:
        return
    member = wheel.member("WHEEL")
    for name in _WHEEL_FIELDS:
        if len(found.get_all(name, [])) > 1:
            yield f"{name} is there twice", member
    if (found["Root-Is-Purelib"] or "").strip().lower() not in ("true", "false"):
        yield f"Root-Is-Purelib is {found['Root-Is-Purelib']!r}, neither true nor false", member
    if found.problems or not found.utf8:
        yield f"has a line that is no field: {found.problems[:1] or 'not UTF-8'}", member


@wheel_rule("wheel-tags", "P7", warns=True)
def _wheel_tags(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """The Tag lines of WHEEL are the expansion of the file name's tags (PEP 425): an error of what hwb builds."""
    found = wheel.headers("WHEEL")
    if found is None or wheel.parsed is None:
        return
    lines = [line.strip() for line in found.get_all("Tag", [])]
    said = {tag for line in lines for tag in _expanded(line.lower())}
    missing = wheel.parsed.tags - said
    # maturin names py2 in the file name only; nothing that runs today can tell
    if not said or said - wheel.parsed.tags or not all(tag.startswith("py2-") for tag in missing):
        yield f"its Tag lines ({', '.join(lines) or 'none'}) are not the file name's tags", wheel.member("WHEEL")


def _expanded(line: str) -> Iterator[str]:
    """A compressed set on one line is what some builders write; a line that is no tag stays as it is."""
    parts = line.split("-")
    if len(parts) != 3:
        return
    for python in parts[0].split("."):
        for abi in parts[1].split("."):
            for platform in parts[2].split("."):
                yield f"{python}-{abi}-{platform}"


@wheel_rule("wheel-build", "P7")
def _wheel_build(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """The Build line of WHEEL, when there is one, is the build tag of the file name."""
    found = wheel.headers("WHEEL")
    builds = found.get_all("Build", []) if found else []
    if wheel.parsed and builds and builds != [wheel.parsed.build]:
        yield f"Build is {', '.join(builds)}, the file name's is {wheel.parsed.build or 'none'}", wheel.member("WHEEL")


@sdist_rule("sdist-name", "P13")
def _sdist_name(sdist: SdistSubject) -> Iterator[tuple[str, str]]:
    """The file name is name-version.tar.gz."""
    if sdist.parsed is None:
        yield f"{sdist.file_name!r} is not a valid sdist file name", ""


@sdist_rule("sdist-name-legacy", "P13", warns=True)
def _sdist_name_legacy(sdist: SdistSubject) -> Iterator[tuple[str, str]]:
    """Name and version in the file name are normalised (PEP 625), which is younger than many backends."""
    if sdist.parsed is None:
        return
    wanted = f"{sdist.parsed.project.replace('-', '_')}-{sdist.parsed.version}.tar.gz"
    if sdist.file_name != wanted:
        yield f"the file name is a legacy one; PEP 625 wants {wanted}", ""
