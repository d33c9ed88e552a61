"""What do compiled builds need so that the same sources give the same bytes?"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from hwb.context import current

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwb.builder.room import Room
    from hwb.project import Project

__all__ = ["CACHING", "cache_variables", "caching_compilers", "compilers", "may_compile", "steady_flags"]

_KNOWN = frozenset({"setuptools", "hatchling", "flit_core", "poetry", "pdm", "uv_build"})
"""Backends that compile only for projects that the analysis finds to have extension modules."""
_VARIABLES = ("CFLAGS", "CXXFLAGS")
_PLAIN = re.compile(r"[\w./+,@%-]+")
CACHING = ("/usr/lib64/ccache", "/usr/lib/ccache", "/opt/homebrew/opt/ccache/libexec", "/usr/local/opt/ccache/libexec")
"""Where ccache's packages put compilers by their usual names, to be found first on PATH (ccache(1), RUN MODES)."""
_PLACE = "/hwb"
"""What stands for the build's directory in debug information."""


def may_compile(project: Project) -> bool:
    """Whether a build may call a compiler: the project has extension modules, or nobody knows what its backend does."""
    system = project.build_system
    known = system.backend.partition(".")[0] in _KNOWN and not system.backend_path
    return project.has_extension_modules or not known


def compilers(environ: Mapping[str, str]) -> str:
    """Paths, sizes and times of the C and C++ compilers that a build would find: another compiler, other bytes."""
    from hwb.proc import which

    found = []
    for variable, usual in (("CC", "cc"), ("CXX", "c++")):
        command = (environ.get(variable, "").split() or [usual])[0]
        path = os.path.realpath(which(command, environ.get("PATH")) or "")
        if os.path.isfile(path):
            status = os.stat(path)
            found.append(f"{path} {status.st_size} {status.st_mtime_ns}")
    return ", ".join(found)


def cache_variables(folder: str) -> dict[str, str]:
    """What ccache is told: a directory of one project's own, so that no project's objects get into another's wheel."""
    return {"CCACHE_DIR": folder, "CCACHE_MAXSIZE": "2G", "CCACHE_COMPILERCHECK": "content"}


def caching_compilers(project: Project, identity: str) -> tuple[str, dict[str, str]]:
    """Directories (joined as on PATH) of compilers here that remember what they compiled, and their variables.

    Empty without ccache, for projects that compile nothing, and where the user set one up: `CCACHE_DIR`, or a compiler
    by its path. The bytes are those of the compiler: ccache's key is all that they depend on.
    """
    from hwb.store import fingerprint, open_store

    outer = current().outer_env
    chosen = any(os.sep in outer.get(name, "") for name in ("CC", "CXX"))
    found = [folder for folder in CACHING if os.path.isdir(folder)]
    if sys.platform == "win32" or not found or chosen or "CCACHE_DIR" in outer or not may_compile(project):
        return "", {}
    if not compilers(outer):
        return "", {}  # ccache would say that it finds none, which is not what is the matter
    folder = str(open_store().path("ccache", f"build-{fingerprint(identity)}"))  # the lock of whoever builds it
    return os.pathsep.join(found), cache_variables(folder)


def steady_flags(project: Project, place: str, room: Room | None = None) -> dict[str, str]:
    """Flags that keep the build's directory out of what compilers write (debug information, assertions).

    Only where the compiler knows them (GCC 8, Clang 10; asked once and remembered), only for compiled projects.
    """
    # flags are a text that tools split at blanks, each in its own way: a place with one gets none
    if sys.platform == "win32" or not may_compile(project) or not _PLAIN.fullmatch(place):
        return {}
    outer = current().outer_env if room is None else room.environ
    flag = f"-ffile-prefix-map={place}={_PLACE}"
    if not _understood(compilers(outer) if room is None else room.identity, outer, room):
        return {}
    return {name: f"{outer[name]} {flag}" if outer.get(name) else flag for name in _VARIABLES}


def _understood(identity: str, environ: Mapping[str, str], room: Room | None) -> bool:
    from hwb.store import fingerprint, open_store

    if not identity:
        return False
    record = ("compilers", f"{fingerprint(identity)}.json")
    known = open_store().read_json(*record)
    if not isinstance(known, bool):
        known = _ask(environ, room)
        open_store().write_json(*record, value=known)
    return known


def _ask(environ: Mapping[str, str], room: Room | None = None) -> bool:
    from hwb import proc
    from hwb.errors import CommandFailed

    words = environ.get("CC", "").split() or ["cc"]
    command = [*words, "-ffile-prefix-map=/a=/b", "-x", "c", "-E", os.devnull, "-o", os.devnull]
    client: dict[str, str] | None = None
    if room is not None:
        command, client = room.command(command, env=environ, cwd="/")
    try:
        return proc.run(command, cwd="/", env=client, check=False, capture=True, quiet=True).return_code == 0
    except CommandFailed:
        return False
