"""How does a build hook run: with which environment, where does its output go, and what of it is quoted on failure?"""

from __future__ import annotations

import os
import re
import stat
import sys
from typing import TYPE_CHECKING

from hwb.context import current
from hwb.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["HookRunner", "hook_environment"]

_TAIL_LINES = 40
_TAIL_BYTES = 64 << 10

_ALLOWED = re.compile(
    r"LANG|LANGUAGE|LC_\w+|CC|CXX|CPP|LDSHARED|CFLAGS|CXXFLAGS|CPPFLAGS|LDFLAGS|AR|LD|NM|RANLIB|STRIP|MAKEFLAGS"
    r"|PKG_CONFIG|PKG_CONFIG_\w+|CMAKE_\w+|CARGO_HOME|RUSTUP_HOME|RUSTUP_TOOLCHAIN|RUSTFLAGS"
    r"|MACOSX_DEPLOYMENT_TARGET|ARCHFLAGS|SDKROOT|DEVELOPER_DIR|CUDA_HOME|CUDA_PATH|SETUPTOOLS_SCM_PRETEND_VERSION\w*"
)
_ALLOWED_WINDOWS = re.compile(
    r"SYSTEMROOT|SYSTEMDRIVE|WINDIR|COMSPEC|PATHEXT|PROGRAMFILES.*|PROGRAMDATA|COMMONPROGRAM.*|PROCESSOR_\w+"
    r"|NUMBER_OF_PROCESSORS|OS|INCLUDE|LIB|LIBPATH|VS\w+|VC\w+|WINDOWSSDK\w*|UCRT\w+|DISTUTILS_USE_SDK|MSSDK"
)


def hook_environment(bin_dir: str, place: str, epoch: int, *, in_tree: bool = False) -> dict[str, str]:
    """The whole environment of a hook: an allowlist, so that no secret and no setting of this shell reaches a build.

    `bin_dir` is the build environment's, `place` the build's own directory (home and temporary files lie there, at
    the same path in every run), `epoch` the time of the sources in seconds. An `in_tree` backend leaves no byte code
    beside itself, where it would become part of the sdist; others warm the byte code of the shared environment.
    """
    from hwb.snapshot import safe_directory

    outer = current().outer_env
    kept = {name: value for name, value in outer.items() if _is_allowed(name)}
    home, temporary = os.path.join(place, "home"), os.path.join(place, "tmp")
    for folder in (home, temporary):
        os.makedirs(folder, exist_ok=True)
    own = {
        "PATH": os.pathsep.join(filter(None, (bin_dir, outer.get("PATH", os.defpath)))),
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
    return {**_rust_homes(outer), **kept, **own}


def _is_allowed(name: str) -> bool:
    if sys.platform == "win32" and _ALLOWED_WINDOWS.fullmatch(name.upper()):
        return True
    return _ALLOWED.fullmatch(name) is not None


def _rust_homes(outer: Mapping[str, str]) -> dict[str, str]:
    """Rust's tools look below HOME, which is another one here."""
    home = outer.get("USERPROFILE" if sys.platform == "win32" else "HOME", "")
    wanted = {"CARGO_HOME": os.path.join(home, ".cargo"), "RUSTUP_HOME": os.path.join(home, ".rustup")}
    return {name: path for name, path in wanted.items() if home and os.path.isdir(path)}


class HookRunner:
    """A runner for pyproject-hooks: each hook is a child of its own, its output goes to the log of whoever works.

    `tail` is the end of what the last hook printed, masked; it is worked out when asked for.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._captured: bytes | None = None
        self._offset = 0

    def __call__(
        self, cmd: Sequence[str], cwd: str | None = None, extra_environ: Mapping[str, str] | None = None
    ) -> None:
        """Run one hook. Raises CommandFailed."""
        from hwb import proc

        size = _log_size()
        self._captured = None if size is not None else b""
        self._offset = size or 0
        env = {**self._environ, **(extra_environ or {})}
        # generated files keep the mode they get, and archives keep that: the user's umask must not decide
        done = proc.run(cmd, cwd=cwd, env=env, check=False, capture=size is None, umask=0o022)
        if done.output is not None:
            self._captured = done.output
            current().log.write(done.text)
        _tell_warnings(cmd[-1])
        if done.return_code != 0:
            how = f"exit code {done.return_code}" if done.return_code > 0 else f"signal {-done.return_code}"
            raise CommandFailed(f"ended with {how}", done.return_code)

    def tail(self) -> str:
        """The last lines of the last hook's output."""
        data = _log_from(self._offset) if self._captured is None else self._captured
        from hwb.redact import Redactor

        text = Redactor(current().secrets).mask(data[-_TAIL_BYTES:]).decode(errors="replace")
        return "\n".join(text.splitlines()[-_TAIL_LINES:])


def _log_size() -> int | None:
    """The log's length in bytes, when what is appended can be read back; else None."""
    fd = current().log.fileno()
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or not hasattr(os, "pread"):
        return None
    try:
        os.pread(fd, 1, 0)
    except OSError:
        return None  # open for writing only
    return status.st_size


def _log_from(offset: int) -> bytes:
    """The end of what was appended to the log since `offset`."""
    if sys.platform == "win32":
        raise AssertionError("no offset is handed out where files cannot be read at one")
    fd = current().log.fileno()
    start = max(offset, os.fstat(fd).st_size - _TAIL_BYTES)
    return os.pread(fd, _TAIL_BYTES, start)


def _tell_warnings(exchange: str) -> None:
    """Write the backend's warnings to the log: pyproject-hooks would issue them in this process."""
    import json

    path = os.path.join(exchange, "output.json")
    try:
        with open(path, encoding="utf-8") as handle:
            answer = json.load(handle)
    except (OSError, ValueError):
        return  # the hook did not get that far
    told = answer.pop("warnings", None) if isinstance(answer, dict) else None
    if told:
        for warning in told:
            current().log.write(f"warning: {warning['message']}\n")
        with open(path, "w", encoding="utf-8") as handle:
            json.dump(answer, handle)
