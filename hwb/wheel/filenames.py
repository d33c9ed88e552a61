"""Which project, version and tags does a file name stand for?

Plain names are settled by a strict pattern; `packaging`, which takes longer to import than a wheel takes to check,
decides about the others. That both agree is a property test.
"""

from __future__ import annotations

import re

__all__ = ["SdistName", "WheelName", "canonical", "parse_sdist_name", "parse_wheel_name", "same_version"]

_PROJECT = r"(?P<project>[A-Za-z0-9]+(?:[._]?[A-Za-z0-9]+)*)"
_VERSION = r"(?P<version>[0-9]+(?:\.[0-9]+)*(?:(?:a|b|rc)[0-9]+)?(?:\.post[0-9]+)?(?:\.dev[0-9]+)?)"
_TAG = r"[a-z0-9_]+(?:\.[a-z0-9_]+)*"
_TAGS = rf"(?P<python>[a-z]{_TAG})-(?P<abi>{_TAG})-(?P<platform>{_TAG})"
_PLAIN_WHEEL = rf"{_PROJECT}-{_VERSION}-(?:(?P<build>[0-9][A-Za-z0-9_]*)-)?{_TAGS}\.whl"
_PLAIN_SDIST = rf"(?P<project>[A-Za-z0-9]+(?:[._-]?[A-Za-z0-9]+)*)-{_VERSION}\.tar\.gz"
_ZEROS = r"(?<![0-9])0+(?=[0-9])"
_TRAILING = r"^([0-9.]*?)(?:\.0)*(?=[a-z]|\.post|\.dev|$)"


class SdistName:
    """The parts of an sdist's name: `project` normalised (PEP 503), `version` as it is written."""

    __slots__ = ("project", "version")

    def __init__(self, project: str, version: str) -> None:
        self.project = project
        self.version = version


class WheelName(SdistName):
    """The parts of a wheel's name; the three sets of tags as they are written, `build` empty when there is none."""

    __slots__ = ("abis", "build", "platforms", "pythons")

    def __init__(self, project: str, version: str, build: str, tags: tuple[str, str, str]) -> None:
        super().__init__(project, version)
        self.build = build
        self.pythons, self.abis, self.platforms = (tuple(tag.split(".")) for tag in tags)

    @property
    def tags(self) -> frozenset[str]:
        """The expansion of the compressed tags (PEP 425)."""
        return frozenset(
            f"{python}-{abi}-{platform}" for python in self.pythons for abi in self.abis for platform in self.platforms
        )


def parse_wheel_name(name: str) -> WheelName | None:
    """The parts of name-version(-build)-python-abi-platform.whl; None when it is no such name."""
    match = re.fullmatch(_PLAIN_WHEEL, name)
    if match:
        tags = (match["python"], match["abi"], match["platform"])
        return WheelName(canonical(match["project"]), match["version"], match["build"] or "", tags)
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        project, version, build, _ = parse_wheel_filename(name)
    except InvalidWheelFilename:
        return None
    python, abi, platform = name.removesuffix(".whl").lower().split("-")[-3:]
    return WheelName(project, str(version), name.split("-")[2] if build else "", (python, abi, platform))


def parse_sdist_name(name: str) -> SdistName | None:
    """The parts of name-version.tar.gz; None when it is no such name."""
    match = re.fullmatch(_PLAIN_SDIST, name)
    if match:
        return SdistName(canonical(match["project"]), match["version"])
    from packaging.utils import InvalidSdistFilename, parse_sdist_filename

    try:
        project, version = parse_sdist_filename(name)
    except InvalidSdistFilename:
        return None
    return SdistName(project, str(version)) if name.endswith(".tar.gz") else None


def canonical(project: str) -> str:
    """A project name normalised (PEP 503)."""
    return project.lower() if project.isalnum() else re.sub(r"[-_.]+", "-", project).lower()


def same_version(one: str, two: str) -> bool:
    """Whether two versions are equal (PEP 440); one that is no version equals none."""
    if re.fullmatch(_VERSION, one) and re.fullmatch(_VERSION, two):
        return _key(one) == _key(two)
    from packaging.version import InvalidVersion, Version

    try:
        return Version(one) == Version(two)
    except InvalidVersion:
        return False


def _key(version: str) -> str:
    """A plain version without what does not count: leading zeros of numbers, trailing `.0` of the release."""
    return re.sub(_TRAILING, r"\1", re.sub(_ZEROS, "", version), count=1)
