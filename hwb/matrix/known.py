"""Which Pythons and which images are there to build with?

The answers are data: `pythons.toml` beside this file and `isolation/images.toml`, both written by `nox -s data` from
one pinned cibuildwheel, which is never imported here.
"""

from __future__ import annotations

import os
import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from hwb.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hwb.target import System

__all__ = ["Image", "Python", "architectures", "default_policy", "groups", "image", "policies", "pythons"]

_HERE = os.path.dirname(os.path.abspath(__file__))
_POLICY = re.compile(r"(?:manylinux|musllinux)(?:_\d+_\d+|1|2010|2014)")
_GLIBC = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}


class Python(NamedTuple):
    """An interpreter that wheels can be made for: `cp312-manylinux_x86_64`, `cp312`, `3.12`, `x86_64`.

    `group` is what `enable` must name to get it; empty for those that everybody gets.
    """

    identifier: str
    python: str
    version: str
    arch: str
    group: str = ""


class Image(NamedTuple):
    """A container image: `reference` is what an engine pulls, `policy` what its wheels may claim (empty: unknown)."""

    reference: str
    policy: str
    eol: bool = False


@cache
def _table(path: str) -> dict[str, Any]:
    from hwb.toml import load_toml

    return load_toml(path)


def _pythons() -> dict[str, Any]:
    return _table(os.path.join(_HERE, "pythons.toml"))


def _images() -> dict[str, Any]:
    return _table(os.path.join(os.path.dirname(_HERE), "isolation", "images.toml"))


@cache
def pythons(system: System) -> tuple[Python, ...]:
    """Every interpreter for a system, in cibuildwheel's order."""
    return tuple(Python(**row) for row in _pythons().get(system.value, ()))


def groups() -> tuple[str, ...]:
    """What `enable` may name besides `all`, those without an interpreter at present too."""
    return tuple(_pythons()["groups"])


@cache
def architectures(system: System) -> tuple[str, ...]:
    """The architectures that a system has interpreters for."""
    return tuple(dict.fromkeys(python.arch for python in pythons(system)))


def default_policy(family: str, arch: str) -> str:
    """The policy of a family (`manylinux`, `musllinux`) where nobody asks for one."""
    tables = {"manylinux": "defaults", "musllinux": "defaults-musllinux"}
    found: str = _images()[tables[family]][arch]
    return found


def policies(arch: str, family: str = "") -> tuple[str, ...]:
    """The policies that an architecture has official images for, oldest first."""
    found = [key.removesuffix(f"_{arch}") for key in _images()["images"] if key.endswith(f"_{arch}")]
    official = [policy for policy in found if _POLICY.fullmatch(policy) and policy.startswith(family)]
    return tuple(sorted(official, key=lambda policy: (policy[:4], _libc(policy))))


def _libc(policy: str) -> tuple[int, ...]:
    return _GLIBC.get(policy) or tuple(int(number) for number in re.findall(r"\d+", policy))


def image(wanted: str, arch: str, where: str = "") -> Image:
    """The image that a policy's name or a reference of the user's own means.

    There is an official 2_35 for armv7l only: elsewhere it means the image with the newest glibc that is not newer, and
    the policy stays what was asked for. Raises ConfigError, with those that exist, for a policy without an image.
    """
    if not _POLICY.fullmatch(wanted):
        named = _POLICY.search(wanted)
        return Image(wanted, named[0] if named else "")
    table = _images()
    key = f"{wanted}_{arch}"
    if key in table["images"]:
        return Image(table["images"][key], wanted, key in table["eol"])
    if wanted == "manylinux_2_35":
        older = [policy for policy in policies(arch, "manylinux") if _libc(policy) <= (2, 35)]
        if older:
            return Image(table["images"][f"{older[-1]}_{arch}"], wanted)
    raise _no_image(wanted, arch, policies(arch), where)


def _no_image(wanted: str, arch: str, there: Iterable[str], where: str) -> ConfigError:
    remedy = f"for {arch} there are {', '.join(there)}; or name an image of your own"
    return ConfigError(f"there is no image for {wanted} on {arch}", where=where, remedy=remedy)
