"""What did a repair make, and is it what it says?"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwb.errors import RepairError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwb.target import System
    from hwb.wheel.filenames import WheelName
    from hwb.wheel.model import WheelSubject

__all__ = ["Bundled", "Given", "RepairOptions", "Repaired", "accept", "opened", "read_given"]


@dataclass(frozen=True, slots=True)
class RepairOptions:
    """How wheels are repaired. What a platform's tool cannot do is refused for its wheels, never left out silently."""

    policy: str = ""
    """manylinux_2_28, musllinux_1_2, macOS's least version (11.0); empty: the oldest system that the code proves."""
    exclude: tuple[str, ...] = ()
    """Patterns of libraries that stay outside: the user's machine brings them."""
    strip: bool = False
    """Take symbols and debug information out of the native code (Linux)."""
    only_plat: bool = False
    """Claim the wanted policy only, not a better one that the code proves, too (Linux)."""
    audit: bool = False
    """Look with abi3audit whether wheels for the stable ABI use nothing else."""
    pure: bool = False
    """Pass wheels for any platform on as they are; else there must be something to repair."""
    epoch: int | None = None
    """The time of all members in Unix seconds; None: that of the wheel's newest one."""
    jobs: int = 0
    """Wheels at once; 0: one for each processor."""


@dataclass(frozen=True, slots=True)
class Bundled:
    """A library that a repair put into the wheel: its member name, sha256 (hex) and size in bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Repaired:
    """One wheel after its repair; `source` is the path of what was given, `changed` whether the bytes are others.

    `removed_paths` are the absolute directories that its code would have looked for libraries in.
    """

    path: str
    source: str
    platforms: tuple[str, ...]
    bundled: tuple[Bundled, ...]
    sboms: tuple[str, ...]
    removed_paths: tuple[str, ...]
    changed: bool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Given:
    """What is known of a wheel before its repair; `system` is None for a wheel for any platform."""

    path: str
    name: WheelName
    system: System | None
    members: frozenset[str]
    absolute: tuple[str, ...]
    epoch: int

    @property
    def file(self) -> str:
        """The file's name."""
        return os.path.basename(self.path)


def read_given(path: str) -> Given:
    """Read a wheel. Raises RepairError when no tool repairs wheels of its platform, ValidationError when it is bad."""
    from hwb.archive.zips import zip_members
    from hwb.wheel.natives import natives
    from hwb.wheel.rules_compiled import absolute_paths

    with opened(path) as subject:
        if subject.parsed is None:
            raise RepairError(f"{os.path.basename(path)} is not the name of a wheel", where=path)
        elves = natives(subject).elves.values()
        absolute = tuple(dict.fromkeys(found for elf in elves for found in absolute_paths(elf)))
        epoch = int(max((member.mtime for member in zip_members(subject.reader)), default=0))
        return Given(path, subject.parsed, _system_of(subject.parsed, path), subject.files, absolute, epoch)


@contextmanager
def opened(path: str) -> Iterator[WheelSubject]:
    """A wheel that can be asked; read leniently, because a front end may have written it in an older way."""
    from hwb.archive.zips import open_wheel
    from hwb.wheel.model import WheelSubject

    with open_wheel(path, strict=False) as reader:
        yield WheelSubject(reader, os.path.basename(path))


def _system_of(name: WheelName, path: str) -> System | None:
    from hwb.target import System

    first = name.platforms[0]
    if first == "any":
        return None
    if first.startswith(("linux_", "manylinux", "musllinux")):
        return System.LINUX
    if first.startswith("macosx_"):
        return System.MACOS
    if first.startswith("win"):
        return System.WINDOWS
    what = f"{os.path.basename(path)} is for {first}, whose wheels nothing repairs"
    raise RepairError(what, where=path, remedy="publish it as it is, where that platform's wheels are taken")


def accept(given: Given, folder: str, out_dir: str, policy: str) -> Repaired:
    """Look at the one file that a tool left in `folder`, and move it to `out_dir`. Raises RepairError when it lies.

    It lies when there is no file or another one too, when it is of another project or Python, and when its tags promise
    what its own symbols contradict.
    """
    made = sorted(os.listdir(folder))
    if len(made) != 1 or not made[0].endswith(".whl"):
        what = f"the repair of {given.file} ended well but made {', '.join(made) or 'no file'}"
        remedy = "the wheel may have no native code that needs other libraries: build it for any platform then"
        raise RepairError(what, where=given.path, remedy=remedy)
    path = os.path.join(folder, made[0])
    with opened(path) as subject:
        _verify(given, subject, policy)
        repaired = _described(given, subject, os.path.join(out_dir, made[0]))
    os.replace(path, repaired.path)
    return repaired


def _verify(given: Given, subject: WheelSubject, policy: str) -> None:
    from hwb.wheel.natives import natives
    from hwb.wheel.rules_compiled import absolute_paths
    from hwb.wheel.rules_platform import claimed_against_real

    name, old = subject.parsed, given.name
    problems = [str(found) for found in claimed_against_real(subject)]
    if name is None or (name.project, name.version, name.build) != (old.project, old.version, old.build):
        problems.append(f"it is called {subject.file_name}")
    elif (name.pythons, name.abis) != (old.pythons, old.abis):
        problems.append(f"it is for {'.'.join(name.pythons)}-{'.'.join(name.abis)}")
    elif any(platform.startswith("linux_") for platform in name.platforms):
        problems.append(f"it is for {', '.join(name.platforms)} still")
    elif policy and not any(platform.startswith(f"{policy}_") for platform in name.platforms):
        problems.append(f"it is for {', '.join(name.platforms)}, not for {policy}")
    for member, elf in natives(subject).elves.items():
        problems += [f"{member} looks for libraries in {path}" for path in absolute_paths(elf)]
    if problems:
        what = f"the repair of {given.file} ended well, but what it made is not what it says"
        raise RepairError(what, where=given.path, detail="\n".join(problems), remedy="report it to hwb")


def _described(given: Given, subject: WheelSubject, path: str) -> Repaired:
    from hwb.fs import sha256_file

    assert subject.parsed is not None
    new = sorted(subject.files - given.members)
    digests = {name: subject.reader.digest(name, "sha256") for name in new if ".dist-info/" not in name}
    return Repaired(
        path=path,
        source=given.path,
        platforms=subject.parsed.platforms,
        bundled=tuple(Bundled(name, digest.hex(), size) for name, (digest, size) in digests.items()),
        sboms=tuple(sorted(name for name in subject.files if ".dist-info/sboms/" in name)),
        removed_paths=given.absolute,
        changed=sha256_file(subject.reader.path) != sha256_file(given.path),
    )
