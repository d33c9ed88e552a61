"""Which Python interpreters are on this machine?

The directories where interpreters live are looked into; nothing is run, version managers' shims least of all.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "SOURCES",
    "Candidate",
    "base_executable",
    "is_shim",
    "numbers",
    "running_candidate",
    "running_executable",
    "scan",
]

SOURCES = ("running", "uv", "pyenv", "mise", "asdf", "PATH", "system", "opt", "registry")
"""Where a candidate was seen, in the order of preference."""
_SYSTEM_DIRS = ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin")
_KEG_DIRS = ("/opt/homebrew/opt", "/usr/local/opt")
_FRAMEWORKS = "/Library/Frameworks/Python.framework/Versions"
_OPT_PYTHON = "/opt/python"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An executable that is probably a CPython; `version` is what names tell (partial for links and prereleases)."""

    path: str
    version: tuple[int, ...]
    source: str


def scan(environ: Mapping[str, str] | None = None) -> list[Candidate]:
    """Every interpreter in sight, best source first, newest first within a source of versions; nothing is executed."""
    env = os.environ if environ is None else environ
    seen: set[str] = set()
    found = []
    for candidate in _looked_up(env):
        real = os.path.realpath(candidate.path)
        if real not in seen and _plausible(real):
            seen.add(real)
            found.append(candidate)
    return found


def _looked_up(env: Mapping[str, str]) -> Iterator[Candidate]:
    home = env.get("HOME") or os.path.expanduser("~")
    own = running_candidate()
    if own is not None:
        yield own
    for source, directory, prefix in _version_dirs(env, home):
        yield from _installs(directory, source, prefix)
    for directory in env.get("PATH", "").split(os.pathsep):
        if directory and not _holds_shims(directory):
            yield from _executables(directory, "PATH")
    for directory in _SYSTEM_DIRS:
        yield from _executables(directory, "system")
    for kegs in _KEG_DIRS:
        for name in _listed(kegs, "python@"):
            yield from _executables(os.path.join(kegs, name, "bin"), "system")
    yield from _installs(_FRAMEWORKS, "system")
    yield from _installs(_OPT_PYTHON, "opt")
    if sys.platform == "win32":
        yield from _registered()


def _version_dirs(env: Mapping[str, str], home: str) -> Iterator[tuple[str, str, str]]:
    """(source, directory with one subdirectory per version, what their names begin with)."""
    data = env.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
    if sys.platform == "win32":
        uv = os.path.join(env.get("APPDATA") or os.path.join(home, "AppData", "Roaming"), "uv", "data", "python")
    else:
        uv = os.path.join(data, "uv", "python")
    yield "uv", env.get("UV_PYTHON_INSTALL_DIR") or uv, "cpython-"
    yield "pyenv", os.path.join(env.get("PYENV_ROOT") or os.path.join(home, ".pyenv"), "versions"), ""
    yield "mise", os.path.join(env.get("MISE_DATA_DIR") or os.path.join(data, "mise"), "installs", "python"), ""
    yield "asdf", os.path.join(env.get("ASDF_DATA_DIR") or os.path.join(home, ".asdf"), "installs", "python"), ""


def _listed(directory: str, prefix: str = "") -> list[str]:
    try:
        return sorted(name for name in os.listdir(directory) if name.startswith(prefix))
    except OSError:
        return []


def _installs(directory: str, source: str, prefix: str = "") -> list[Candidate]:
    """One candidate per version directory, newest patch first."""
    versions = [(_install_version(name[len(prefix) :]), name) for name in _listed(directory, prefix)]
    found = []
    for version, name in sorted(versions, reverse=True):
        path = _install_executable(os.path.join(directory, name), version)
        if path:
            found.append(Candidate(path, version, source))
    return found


def _install_version(name: str) -> tuple[int, ...]:
    """The version in "3.12.1", "3.12.1-linux-x86_64-gnu", "cp312-cp312"; a prerelease counts as less than its .0.

    Empty for anything else, free-threaded and debug variants among them: their ABI is another one.
    """
    if name.startswith("cp3"):
        tag, _, abi = name.partition("-")
        return (3, int(tag[3:])) if tag == abi and tag[3:].isdigit() else ()
    first = name.partition("-")[0]
    version = numbers(first)
    if len(version) in (2, 3) and "+" not in name:
        return version if not name.endswith("-dev") else version[:2]
    for stage in ("rc", "a", "b"):
        final, found, serial = first.partition(stage)
        if found and serial.isdigit() and len(numbers(final)) == 3:
            return numbers(final)[:2]
    return ()


def _install_executable(directory: str, version: tuple[int, ...]) -> str:
    if len(version) < 2:
        return ""
    for relative in (f"bin/python{version[0]}.{version[1]}", "bin/python3", "python.exe"):
        path = os.path.join(directory, *relative.split("/"))
        if os.path.isfile(path):
            return path
    return ""


def _executables(directory: str, source: str) -> list[Candidate]:
    """python3.12 before python3 before python, newest first."""
    found = []
    for name in _listed(directory, "python"):
        stem = name.removesuffix(".exe")
        version = numbers(stem[6:]) if stem != "python" else ()
        if stem != "python" and not version:
            continue  # python3-config, pythonw.exe, python3.13t
        path = os.path.join(directory, name)
        if len(version) < 2:
            version = numbers(os.path.basename(os.path.realpath(path)).removeprefix("python")) or version
        found.append(Candidate(path, version, source))
    return sorted(found, key=lambda candidate: (candidate.version, candidate.path), reverse=True)


def _holds_shims(directory: str) -> bool:
    """Directories in which everything is a version manager's (or the Windows store's) stand-in."""
    path = os.path.normpath(directory)
    return os.path.basename(path) == "shims" or f"{os.sep}WindowsApps" in path


def is_shim(path: str) -> bool:
    """Whether running this file means running pyenv, asdf or mise, which may take seconds or use the network."""
    real = os.path.realpath(path)
    if _holds_shims(os.path.dirname(path)) or os.path.basename(real) in ("mise", "asdf", "rtx"):
        return True
    head = _head(real)
    return head[:2] == b"#!" and any(manager in head for manager in (b"pyenv", b"asdf", b"mise", b"rtx"))


def _head(path: str) -> bytes:
    try:
        with open(path, "rb") as handle:
            return handle.read(512)
    except OSError:
        return b""


def _plausible(real: str) -> bool:
    """A program, and by its name a CPython: no script (wrappers and shims), no PyPy behind a link called python3."""
    if not os.path.basename(real).lower().startswith("python") or not os.access(real, os.X_OK):
        return False
    if sys.platform == "darwin" and real == "/usr/bin/python3":
        # Apple's stand-in opens a dialogue window when the developer tools are not installed
        return os.path.isdir("/Library/Developer/CommandLineTools")
    return _head(real)[:2] not in (b"#!", b"")


def _registered() -> Iterator[Candidate]:  # pragma: no cover - Windows
    """Interpreters that announce themselves in the registry (PEP 514)."""
    if sys.platform != "win32":
        return
    import winreg

    for hive in (winreg.HKEY_CURRENT_USER, winreg.HKEY_LOCAL_MACHINE):
        try:
            with winreg.OpenKey(hive, r"Software\Python\PythonCore") as core:
                tags = [winreg.EnumKey(core, index) for index in range(winreg.QueryInfoKey(core)[0])]
                for tag in sorted(tags, key=numbers, reverse=True):
                    path = _registered_path(core, tag)
                    if path and numbers(tag):
                        yield Candidate(path, numbers(tag), "registry")
        except OSError:
            continue


def _registered_path(core: object, tag: str) -> str:  # pragma: no cover - Windows
    if sys.platform != "win32":
        return ""
    import winreg

    try:
        with winreg.OpenKey(core, rf"{tag}\InstallPath") as key:  # type: ignore[arg-type, unused-ignore]
            return str(winreg.QueryValueEx(key, "ExecutablePath")[0])
    except OSError:
        return ""


def running_candidate() -> Candidate | None:
    """The running interpreter when a version number can mean it: a CPython with the usual ABI."""
    unusual = getattr(sys, "abiflags", None) or "free-threading" in sys.version  # Windows has no abiflags before 3.14
    if sys.implementation.name != "cpython" or unusual:
        return None
    path = running_executable()
    return Candidate(path, tuple(sys.version_info[:3]), "running") if path else None


def running_executable() -> str:
    """The executable that runs hwb; of a virtual environment the one that it was made from, empty when unknown."""
    return base_executable(sys.executable, sys.prefix, sys.base_prefix, getattr(sys, "_base_executable", "") or "")


def base_executable(executable: str, prefix: str, base_prefix: str, base_executable: str) -> str:
    """The executable outside of any virtual environment; empty when there is none."""
    if prefix == base_prefix:
        return os.path.abspath(executable) if executable else ""
    inside = os.path.join(prefix, "")
    choices = [base_executable, os.path.realpath(executable) if executable else ""]
    choices += [os.path.join(base_prefix, "bin", "python3"), os.path.join(base_prefix, "python.exe")]
    usable = (path for path in choices if path and not path.startswith(inside) and os.path.isfile(path))
    return next(usable, "")


def numbers(text: str) -> tuple[int, ...]:
    """(3, 12) of "3.12"; empty when it is anything but numbers and dots."""
    parts = text.split(".")
    return tuple(map(int, parts)) if all(part.isascii() and part.isdigit() for part in parts) else ()
