"""How does a container get an environment that has the requirements, before it is started without a network?

On this machine, without running anything: an installer is told the image's Python and platform and only takes wheels.
Where that cannot be (a requirement without a wheel, a Python that the installer cannot speak for), a container with a
network runs the image's own pip, which sees the requirements and never the project.
"""

from __future__ import annotations

import os
import re
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from hwb.context import current
from hwb.errors import DependencyError
from hwb.isolation.foreign import layout_of, move_scripts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from hwb.isolation.backends import Provisioner
    from hwb.isolation.engine import Engine
    from hwb.isolation.environment import Venv
    from hwb.isolation.foreign import ForeignPython
    from hwb.isolation.images import LocalImage
    from hwb.isolation.pip import PipInstaller
    from hwb.isolation.uv import UvInstaller
    from hwb.proc import Completed
    from hwb.pythons import Interpreter

__all__ = [
    "container_environment",
    "container_pins",
    "environment_of_container_pins",
    "pip_selection",
    "uv_selection",
]

T = TypeVar("T")

_UV_GLIBC = (17, 28, *range(31, 41))
"""The C libraries (2.N) that uv has names for."""
_UV_ARCHES = ("x86_64", "aarch64")
_OLDEST_GLIBC = 5
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_IN_IMAGE_SECONDS = 24 * 3600.0
"""How long it is remembered that requirements can only be installed in a container."""


def container_environment(
    engine: Engine,
    image: LocalImage,
    python: ForeignPython,
    requirements: Sequence[str],
    *,
    constraints: Sequence[str] = (),
    resolution: str = "",
) -> Venv:
    """The environment with these requirements (PEP 508) for a Python of an image, shared by all that need the same.

    It is mounted into containers under its own path, read-only. Raises DependencyError, OfflineError, IsolationError,
    ToolNotFound for a `resolution` that only uv has.
    """
    pins = container_pins(engine, image, python, requirements, constraints=constraints, resolution=resolution)
    return environment_of_container_pins(engine, image, python, requirements, pins)


def container_pins(
    engine: Engine,
    image: LocalImage,
    python: ForeignPython,
    requirements: Sequence[str],
    *,
    constraints: Sequence[str] = (),
    resolution: str = "",
) -> list[str]:
    """What requirements mean today for a Python of an image, as pins; remembered for a day.

    `resolution` is one of uv's: the lowest versions are the lowest that have a wheel, and only uv finds them. Raises
    DependencyError, OfflineError, ToolNotFound.
    """
    from hwb.isolation.resolution import is_lowest
    from hwb.isolation.shared import pins_of
    from hwb.isolation.venv import require_requirements

    require_requirements(requirements)
    asked = ("\n".join(sorted(requirements)), "\n".join(sorted(constraints)))
    either = _Either(engine, image, python, resolution)
    if is_lowest(resolution):
        return pins_of(python, requirements, constraints, installer=either.uv(resolution))
    pins = either.do(asked, lambda who: pins_of(python, requirements, constraints, installer=who))
    if either.was_inside:
        either.remember(_pinned(pins))  # what had to be built there is installed there
    return pins


def environment_of_container_pins(
    engine: Engine, image: LocalImage, python: ForeignPython, requirements: Sequence[str], pins: Sequence[str]
) -> Venv:
    """The environment that has exactly these pins, which is what `requirements` mean for that Python."""
    from hwb.isolation.shared import environment_of_pins

    return _Either(engine, image, python).do(
        _pinned(pins), lambda who: environment_of_pins(python, requirements, pins, installer=who)
    )


def _pinned(pins: Sequence[str]) -> tuple[str, ...]:
    return ("pins", "\n".join(sorted(pins)))


class _Either:
    """Lets this machine's installer do work, and the image's where that cannot; then the image's is asked first."""

    def __init__(self, engine: Engine, image: LocalImage, python: ForeignPython, resolution: str = "") -> None:
        from hwb.isolation.backends import choose
        from hwb.isolation.in_image import InImage

        self.was_inside = False
        self._python = python
        self._inside, self._outside = InImage(engine, image, python), _outside(choose(), python, resolution)

    def uv(self, resolution: str) -> Provisioner:
        """The one that finds old versions. Raises ToolNotFound where it is another that knows the image's Python."""
        from hwb.isolation.resolution import require_uv

        chosen = self._outside or self._inside
        require_uv(resolution, chosen.name)
        return chosen

    def do(self, asked: tuple[str, ...], work: Callable[[Provisioner], T]) -> T:
        """The work's result; `asked` says which work it is. Raises what the last one that was asked raises."""
        from hwb.isolation.installing import NetworkDown

        if self._outside is not None and not self._recently(asked):
            try:
                return work(self._outside)
            except NetworkDown:
                raise
            except DependencyError as error:
                which = f"Python {self._python.spoken} on {self._python.platform}"
                text = f"not everything has a wheel for {which}: a container installs it ({error.what})"
                current().emit("message", level="info", text=text)
        done = work(self._inside)
        self.was_inside = True
        self.remember(asked)
        return done

    def remember(self, asked: tuple[str, ...]) -> None:
        """That the image's installer is to be asked first for a day."""
        from hwb.store import open_store

        if self._outside is not None and not self._recently(asked):
            open_store().write_json(*self._record(asked), value=time.time())

    def _recently(self, asked: tuple[str, ...]) -> bool:
        from hwb.store import open_store

        told = open_store().read_json(*self._record(asked))
        return isinstance(told, (int, float)) and 0 <= time.time() - told < _IN_IMAGE_SECONDS

    def _record(self, asked: tuple[str, ...]) -> tuple[str, str]:
        from hwb.store import fingerprint

        name = self._outside.name if self._outside is not None else ""
        return "pins", f"{fingerprint('in image', self._python.identity, name, *asked)}.json"


def _outside(installer: object, python: ForeignPython, resolution: str) -> Provisioner | None:
    """What can fill an environment for that Python from here; None: nothing can. pip has only one `resolution`."""
    from hwb.isolation.pip import PipInstaller
    from hwb.isolation.uv import UvInstaller

    if isinstance(installer, UvInstaller) and (chosen := uv_selection(python)):
        if not resolution:
            return _UvOutside(installer, chosen)
        return _UvOutside(installer, [*chosen, "--resolution", resolution], f"uv for images, {resolution}")
    if isinstance(installer, PipInstaller) and _speaks_for(python):
        return _PipOutside(installer, pip_selection(python))
    return None


# ------------------------------------------------------------------------------------------------ on this machine


def glibc_of(python: ForeignPython) -> int:
    """N of the newest glibc 2.N that wheels for this Python may want; 0: it runs on another C library.

    The policy of the image counts, too: programs in wheels are started by the image's own loader.
    """
    found = re.fullmatch(r"glibc 2\.(\d+).*", python.libc)
    if found is None:
        return 0
    promised = re.match(r"manylinux_2_(\d+)_|manylinux(2014)_", python.policy)
    limit = int(promised[1] or 17) if promised else int(found[1])
    return min(int(found[1]), limit)


def uv_selection(python: ForeignPython) -> list[str]:
    """uv's options for a Python that is not here; empty when uv has no words for it.

    uv asks an interpreter of this machine for implementation and ABI: only plain CPython is safe.
    """
    from hwb import pythons

    if python.implementation != "cpython" or python.free_threaded or python.arch not in _UV_ARCHES:
        return []
    names = [number for number in _UV_GLIBC if number <= glibc_of(python)]
    if names:
        platform = f"{python.arch}-manylinux_2_{max(names)}"
    elif not python.libc and python.policy.startswith("musllinux_1_2"):
        platform = f"{python.arch}-unknown-linux-musl"
    else:
        return []
    version = python.version if python.version.replace(".", "").isdigit() else python.minor
    own = pythons.running().path
    named = ["--python-version", version, "--python-platform", platform]
    return ["--python", own, *named, "--only-binary", ":all:"]


def pip_selection(python: ForeignPython) -> list[str]:
    """pip's options for a Python that is not here."""
    digits = python.minor.replace(".", "")
    args = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", python.minor]
    for abi in (f"cp{digits}{'t' if python.free_threaded else ''}", "abi3", "none"):
        args += ["--abi", abi]
    for platform in _platforms(python):
        args += ["--platform", f"{platform}_{python.arch}"]
    return args


def _platforms(python: ForeignPython) -> Iterator[str]:
    for number in range(glibc_of(python), _OLDEST_GLIBC - 1, -1):
        yield f"manylinux_2_{number}"
        if number in _LEGACY:
            yield _LEGACY[number]
    if python.policy.startswith("musllinux_1_"):
        for number in range(int(python.policy.split("_")[2]), -1, -1):
            yield f"musllinux_1_{number}"
    yield "linux"


def _speaks_for(python: ForeignPython) -> bool:
    """Whether this machine's Python reads the markers of requirements as that one would (pip has no other way)."""
    import platform

    from hwb import pythons

    same = pythons.running().minor == python.minor and sys.implementation.name == python.implementation
    return same and sys.platform == "linux" and platform.machine() == python.arch


@dataclass(frozen=True, slots=True)
class _UvOutside:
    """uv of this machine."""

    uv: UvInstaller
    selection: Sequence[str]
    name: str = "uv for images"

    def create(self, path: str, interpreter: Interpreter, params: Sequence[str]) -> None:
        layout_of(path, interpreter)

    def resolve(
        self,
        interpreter: Interpreter,
        requirements: Sequence[str],
        constraints: Sequence[str],
        *,
        env: Mapping[str, str],
        offline: bool,
    ) -> list[str]:
        return self.uv.resolve_for(self.selection, requirements, constraints, env=env, offline=offline)

    def sync(self, python: str, requirements: str, *, env: Mapping[str, str], offline: bool) -> Completed:
        path, packages = _places(python)
        target = os.path.join(path, packages)
        done = self.uv.sync_to(target, self.selection, requirements, env=env, offline=offline)
        move_scripts(path, packages)
        return done


@dataclass(frozen=True, slots=True)
class _PipOutside:
    """pip of this machine."""

    pip: PipInstaller
    selection: Sequence[str]
    name: str = "pip for images"

    def create(self, path: str, interpreter: Interpreter, params: Sequence[str]) -> None:
        layout_of(path, interpreter)

    def resolve(
        self,
        interpreter: Interpreter,
        requirements: Sequence[str],
        constraints: Sequence[str],
        *,
        env: Mapping[str, str],
        offline: bool,
    ) -> list[str]:
        return self.pip.resolve_for(
            self._python(), self.selection, requirements, constraints, self._wheels(), env=env, offline=offline
        )

    def sync(self, python: str, requirements: str, *, env: Mapping[str, str], offline: bool) -> Completed:
        path, packages = _places(python)
        target = os.path.join(path, packages)
        done = self.pip.sync_to(
            self._python(), target, self.selection, requirements, self._wheels(), env=env, offline=offline
        )
        move_scripts(path, packages)
        return done

    def _python(self) -> str:
        """An environment of this machine that has nothing but pip."""
        from hwb import pythons
        from hwb.isolation.shared import environment_of_pins

        return environment_of_pins(pythons.running(), [], [], installer=self.pip).python

    def _wheels(self) -> Path:
        from hwb.store import fingerprint, open_store

        return open_store().wheels_path(f"for-images-{fingerprint(*self.selection)}")


def _places(python: str) -> tuple[str, str]:
    """The environment of that `bin/python`, and where it has its packages, relative to it."""
    from pathlib import Path

    path = os.path.dirname(os.path.dirname(python))
    site = next(Path(path).glob("lib/*/site-packages"), None) or Path(path, "site-packages")
    return path, site.relative_to(path).as_posix()
