"""Which variables does a build hook get? An allowlist: no secret and no setting of this shell reaches a build."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from hwb.context import current

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["chosen", "hook_environment", "passed"]

_ALLOWED = re.compile(
    r"LANG|LANGUAGE|LC_\w+|CC|CXX|CPP|LDSHARED|CFLAGS|CXXFLAGS|CPPFLAGS|LDFLAGS|AR|LD|NM|RANLIB|STRIP|MAKEFLAGS"
    r"|PKG_CONFIG|PKG_CONFIG_\w+|CMAKE_\w+|CARGO_HOME|RUSTUP_HOME|RUSTUP_TOOLCHAIN|RUSTFLAGS"
    r"|MACOSX_DEPLOYMENT_TARGET|ARCHFLAGS|SDKROOT|DEVELOPER_DIR|CUDA_HOME|CUDA_PATH|SETUPTOOLS_SCM_PRETEND_VERSION\w*"
)
_ALLOWED_WINDOWS = re.compile(
    r"SYSTEMROOT|SYSTEMDRIVE|WINDIR|COMSPEC|PATHEXT|PROGRAMFILES.*|PROGRAMDATA|COMMONPROGRAM.*|PROCESSOR_\w+"
    r"|NUMBER_OF_PROCESSORS|OS|INCLUDE|LIB|LIBPATH|VS\w+|VC\w+|WINDOWSSDK\w*|UCRT\w+|DISTUTILS_USE_SDK|MSSDK"
)


def passed(outer: Mapping[str, str], more: Sequence[str] = ()) -> dict[str, str]:
    """The variables of `outer` that builds may see; `more` are patterns (`MY_*`) of the setting build.env-pass."""
    return {name: value for name, value in outer.items() if _is_allowed(name)} | chosen(outer, more)


def chosen(outer: Mapping[str, str], patterns: Sequence[str]) -> dict[str, str]:
    """The variables of `outer` that a pattern (`MY_*`) names."""
    from fnmatch import fnmatchcase

    return {name: value for name, value in outer.items() if any(fnmatchcase(name, pattern) for pattern in patterns)}


def _is_allowed(name: str) -> bool:
    if sys.platform == "win32" and _ALLOWED_WINDOWS.fullmatch(name.upper()):
        return True
    return _ALLOWED.fullmatch(name) is not None


def hook_environment(
    bin_dir: str,
    place: str,
    epoch: int,
    *,
    in_tree: bool = False,
    more: Sequence[str] = (),
    room: Mapping[str, str] | None = None,
    first: str = "",
) -> dict[str, str]:
    """The whole environment of a hook.

    `bin_dir` is the build environment's (empty: none), `place` the build's own directory (home and temporary files lie
    there, at the same path in every run), `epoch` the time of the sources in seconds, `more` as for `passed`. An
    `in_tree` backend leaves no byte code beside itself, where it would become part of the sdist;
    others warm the byte code of the shared environment. In a room with variables of its own, all of them are passed and
    of this machine's only what `more` names. `first` are directories that come before those of PATH.
    """
    from hwb.git import safe_directory

    outer = current().outer_env if room is None else room
    home, temporary = os.path.join(place, "home"), os.path.join(place, "tmp")
    for folder in (home, temporary):
        os.makedirs(folder, exist_ok=True)
    own = {
        "PATH": os.pathsep.join(filter(None, (bin_dir, first, outer.get("PATH", os.defpath)))),
        "HOME": home,
        "TMPDIR": temporary,
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": str(epoch),
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",  # standard output and error in the order in which they were written
        "GIT_CEILING_DIRECTORIES": place,  # a repository around the store is not the project's
        **safe_directory(),
    }
    if in_tree:
        own["PYTHONDONTWRITEBYTECODE"] = "1"
    if sys.platform == "win32":
        own.update(USERPROFILE=home, LOCALAPPDATA=home, APPDATA=home, TEMP=temporary, TMP=temporary)
    if room is not None:
        return {**chosen(current().outer_env, more), **room, **own}
    return {**_rust_homes(outer), **passed(outer, more), **own}


def _rust_homes(outer: Mapping[str, str]) -> dict[str, str]:
    """Rust's tools look below HOME, which is another one here."""
    home = outer.get("USERPROFILE" if sys.platform == "win32" else "HOME", "")
    wanted = {"CARGO_HOME": os.path.join(home, ".cargo"), "RUSTUP_HOME": os.path.join(home, ".rustup")}
    return {name: path for name, path in wanted.items() if home and os.path.isdir(path)}
