"""What is a wheel for: which Python, which system, which architecture, and which policy?

Identifiers are cibuildwheel's (`cp312-manylinux_x86_64`); the policy's version stands beside them, because it decides
the image and the file name but not which wheel is meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from hwb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["FORMS", "System", "Target", "Wanted", "same_arch"]


class System(Enum):
    """An operating system or runtime that wheels are made for; the value is how `--platform` and the tables say it."""

    LINUX = "linux"
    MACOS = "macos"
    WINDOWS = "windows"
    PYODIDE = "pyodide"
    ANDROID = "android"
    IOS = "ios"


_FAMILIES = {
    "manylinux": System.LINUX,
    "musllinux": System.LINUX,
    "macosx": System.MACOS,
    "win": System.WINDOWS,
    "pyodide": System.PYODIDE,
    "android": System.ANDROID,
    "ios": System.IOS,
}
_SYSTEMS = {**{system.value: system for system in System}, "darwin": System.MACOS, "win32": System.WINDOWS}
_SYNONYMS = {
    System.LINUX: {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64", "i386": "i686", "x86": "i686"},
    System.MACOS: {"amd64": "x86_64", "x64": "x86_64", "aarch64": "arm64"},
    System.WINDOWS: {"x86_64": "AMD64", "amd64": "AMD64", "x64": "AMD64", "aarch64": "ARM64", "arm64": "ARM64",
                     "i686": "x86", "x86": "x86", "win32": "x86"},
}  # fmt: skip
_OCI_VARIANTS = {"arm/v7": "armv7l", "386": "i686"}
"""Architectures that OCI spells in another way than Linux (`linux/arm/v7`)."""
FORMS = "manylinux or musllinux, a list of linux, macos and windows, linux/arm64, or a wheel's platform tag"
_IDENTIFIER = re.compile(
    r"(?P<python>(?P<kind>cp|pp|gp)3(?P<minor>\d+)(?P<suffix>t?)(?:_\d+)?)-(?P<family>manylinux|musllinux|macosx|win|pyodide|android|ios)_?(?P<arch>\w+)"
)
_TAG = re.compile(
    r"(?P<policy>(?:many|musl)linux_\d+_\d+|manylinux(?:1|2010|2014)|macosx[_-]\d+[._]\d+|win)[_-](?P<arch>\w+)|win32"
)
_IMPLEMENTATIONS = {"cp": "cpython", "pp": "pypy", "gp": "graalpy"}


def same_arch(system: System, arch: str) -> str:
    """The name by which a system's own tables know an architecture: `arm64` is `aarch64` on Linux (C-39)."""
    return _SYNONYMS.get(system, {}).get(arch.lower(), arch)


class Wanted(NamedTuple):
    """What one spelling of `--platform` says; an empty part says nothing."""

    system: System
    policy: str = ""
    """A family (`musllinux`) or one version of it (`manylinux_2_28`); on macOS the deployment target (`11.0`)."""
    arch: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """One wheel of a matrix: `python` is the interpreter's tag (`cp312`, `cp314t`, `pp311`), `family` the platform.

    `policy` is the oldest system that the wheel runs on: `manylinux_2_28`, `musllinux_1_2`; empty where there is none.
    """

    python: str
    family: str
    arch: str
    policy: str = ""

    @property
    def identifier(self) -> str:
        """cibuildwheel's name of this wheel."""
        if self.family == "win":
            return f"{self.python}-{_WINDOWS_TAGS.get(self.arch, self.arch)}"
        return f"{self.python}-{self.family}_{self.arch}"

    @property
    def system(self) -> System:
        """The operating system."""
        return _FAMILIES[self.family]

    @property
    def platform(self) -> str:
        """The platform tag that the wheel is to have: `manylinux_2_28_x86_64`; without a policy the identifier's."""
        if self.family == "win":
            return _WINDOWS_TAGS.get(self.arch, self.arch)
        return f"{self.policy or self.family}_{self.arch}"

    @property
    def version(self) -> str:
        """The Python's first two numbers, such as 3.12."""
        found = _IDENTIFIER.fullmatch(self.identifier)
        assert found is not None
        return f"3.{found['minor']}"

    @property
    def implementation(self) -> str:
        """`cpython`, `pypy` or `graalpy`."""
        return _IMPLEMENTATIONS[self.python[:2]]

    @property
    def free_threaded(self) -> bool:
        """Whether it is a CPython without the global interpreter lock (PEP 703)."""
        return self.python.endswith("t")

    @property
    def python_request(self) -> str:
        """What `hwb.pythons.find` calls it: 3.12, 3.14t, pypy3.11, graalpy3.12."""
        name = "" if self.implementation == "cpython" else self.implementation
        return f"{name}{self.version}{'t' if self.free_threaded else ''}"

    def __str__(self) -> str:
        return self.identifier

    @classmethod
    def of(cls, identifier: str, policy: str = "") -> Target:
        """The target of an identifier. Raises UsageError when it is none."""
        found = _IDENTIFIER.fullmatch(identifier)
        if found is None:
            remedy = "identifiers look like cp312-manylinux_x86_64; `hwb matrix --list` prints them"
            raise UsageError(f"{identifier!r} is no identifier of a wheel", remedy=remedy)
        family, arch = found["family"], found["arch"]
        if family == "win":
            arch = {"32": "x86", "amd64": "AMD64", "arm64": "ARM64"}.get(arch, arch)
        return cls(found["python"], family, arch, policy)

    @staticmethod
    def parse(text: str) -> tuple[Wanted, ...]:
        """What any of the four spellings of `--platform` wants (C-05). Raises UsageError that lists them."""
        return _unique(_one(part.strip(), text) for part in text.split(","))


_WINDOWS_TAGS = {"AMD64": "win_amd64", "x86": "win32", "ARM64": "win_arm64"}


def _unique(found: Iterable[Wanted]) -> tuple[Wanted, ...]:
    return tuple(dict.fromkeys(found))


def _one(text: str, whole: str) -> Wanted:
    lower = text.lower()
    if lower in _SYSTEMS:
        return Wanted(_SYSTEMS[lower])
    if lower in ("manylinux", "musllinux"):
        return Wanted(System.LINUX, lower)
    system, slash, arch = lower.partition("/")
    if slash and system in ("linux", "windows", "darwin") and arch:
        return Wanted(_SYSTEMS[system], "", same_arch(_SYSTEMS[system], _OCI_VARIANTS.get(arch, arch)))
    found = _TAG.fullmatch(lower)
    if found is None:
        raise UsageError(f"--platform {whole}: {text!r} is no platform", remedy=f"name {FORMS}")
    return _of_tag(found)


def _of_tag(found: re.Match[str]) -> Wanted:
    policy, arch = found["policy"] or "win", found["arch"] or "x86"
    if policy.startswith("macosx"):
        return Wanted(System.MACOS, policy[7:].replace("_", "."), same_arch(System.MACOS, arch))
    system = System.WINDOWS if policy == "win" else System.LINUX
    return Wanted(system, "" if policy == "win" else policy, same_arch(system, arch))
