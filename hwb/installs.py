"""Which Python interpreters are on this machine?

The directories where interpreters live are looked into; nothing is run, version managers' shims least of all.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "SOURCES",
    "Candidate",
    "base_executable",
    "downloads_dir",
    "is_shim",
    "numbers",
    "running_candidate",
    "running_executable",
    "running_flags",
    "scan",
]

SOURCES = ("running", "uv", "pyenv", "mise", "asdf", "PATH", "system", "opt", "registry", "hwb")
"""Where a candidate was seen, in the order of preference; what hwb downloaded itself comes last."""
_NAMES = ("python", "pypy", "graalpy")
_SYSTEM_DIRS = ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin")
_KEG_DIRS = ("/opt/homebrew/opt", "/usr/local/opt")
_FRAMEWORKS = "/Library/Frameworks/Python.framework/Versions"
_OPT_PYTHON = "/opt/python"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An executable that is probably a Python; `version` is what names tell (partial for links and prereleases).

    `flags` are the ABI's: "t" is free-threaded, "d" a debug build; names do not always tell them.
    """

    path: str
    version: tuple[int, ...]
    source: str
    implementation: str = "cpython"
    flags: str = ""


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
    for source, directory in _version_dirs(env, home):
        yield from _installs(directory, source)
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
    yield from _installs(downloads_dir(), "hwb")


def _version_dirs(env: Mapping[str, str], home: str) -> Iterator[tuple[str, str]]:
    """(source, directory with one subdirectory per version)."""
    data = env.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
    if sys.platform == "win32":
        uv = os.path.join(env.get("APPDATA") or os.path.join(home, "AppData", "Roaming"), "uv", "data", "python")
    else:
        uv = os.path.join(data, "uv", "python")
    yield "uv", env.get("UV_PYTHON_INSTALL_DIR") or uv
    yield "pyenv", os.path.join(env.get("PYENV_ROOT") or os.path.join(home, ".pyenv"), "versions")
    yield "mise", os.path.join(env.get("MISE_DATA_DIR") or os.path.join(data, "mise"), "installs", "python")
    yield "asdf", os.path.join(env.get("ASDF_DATA_DIR") or os.path.join(home, ".asdf"), "installs", "python")


def downloads_dir() -> str:
    """Where hwb itself puts interpreters, laid out as uv does; part of the store, and nothing is there by default."""
    from hwb.places import cache_dir

    return os.path.join(cache_dir(), "interpreters")


def _listed(directory: str, prefix: str | tuple[str, ...] = "") -> list[str]:
    try:
        return sorted(name for name in os.listdir(directory) if name.startswith(prefix))
    except OSError:
        return []


def _installs(directory: str, source: str) -> list[Candidate]:
    """One candidate per version directory, newest patch first."""
    installs = ((_install_name(name), name) for name in _listed(directory))
    named = sorted(((kind, name) for kind, name in installs if kind is not None), reverse=True)
    found = []
    for kind, name in named:
        path = _install_executable(os.path.join(directory, name), kind)
        if path:
            found.append(Candidate(path, kind.version, source, kind.implementation, kind.flags))
    return found


class _Kind(NamedTuple):
    """What a name tells."""

    version: tuple[int, ...]
    implementation: str = "cpython"
    flags: str = ""


_PYENV = (
    r"(?:cpython-)?(?P<version>3\.[0-9]+(?:\.[0-9]+)?|2\.7(?:\.[0-9]+)?)(?P<stage>(?:a|b|rc)[0-9]+)?(?P<flags>t?)"
    r"(?P<plus>(?:\+(?:freethreaded|debug))*)(?P<rest>-.*)?"
)
"""3.12.1, 3.13.0t, 3.15-dev, 3.12.1-debug (pyenv, mise, asdf); cpython-3.13.0+freethreaded-linux-x86_64-gnu (uv)."""
_OTHERS = r"(?P<name>pypy|graalpy)-?(?P<version>3(?:\.[0-9]+){0,2}(?=-|$)|)(?:-.*)?"
"""pypy3.10-7.3.12, graalpy-24.1.1 (pyenv, its own release); pypy-3.10.14-linux-x86_64-gnu (uv, the Python's)."""
_IMAGE = r"(?P<name>cp|pp|graalpy|gp)3(?P<minor>[0-9]+)-(?:cp3[0-9]+(?P<flags>td?|d|)|pypy3.*|graalpy.*)"
"""cp313-cp313t, pp310-pypy310_pp73, graalpy311-graalpy242_311_native (the images of PyPA)."""
_SHORT = {"cp": "cpython", "pp": "pypy", "gp": "graalpy", "graalpy": "graalpy"}


def _install_name(name: str) -> _Kind | None:
    """What the name of an installation's directory tells; a prerelease counts as less than its .0; None: nothing."""
    found = re.fullmatch(_IMAGE, name)
    if found is not None:
        return _Kind((3, int(found["minor"])), _SHORT[found["name"]], found["flags"] or "")
    found = re.fullmatch(_OTHERS, name)
    if found is not None:
        return _Kind(numbers(found["version"]), found["name"])
    found = re.fullmatch(_PYENV, name)
    if found is None:
        return None
    rest, plus = found["rest"] or "", found["plus"]
    version = numbers(found["version"])
    flags = ("t" if found["flags"] or "+freethreaded" in plus else "") + (
        "d" if "+debug" in plus or rest == "-debug" else ""
    )
    return _Kind(version[:2] if found["stage"] or rest == "-dev" else version, "cpython", flags)


def _install_executable(directory: str, kind: _Kind) -> str:
    minor = ".".join(map(str, kind.version[:2]))
    if kind.implementation == "cpython":
        names = [f"bin/python{minor}{kind.flags}", f"bin/python{minor}", "bin/python3", "python.exe"]
    else:
        own = kind.implementation
        names = [f"bin/{own}{minor}", f"bin/{own}3", f"bin/{own}", "bin/python3", "bin/python"]
        names += [f"{own}{minor}.exe", f"{own}3.exe", f"{own}.exe", f"bin/{own}.exe", "python.exe"]
    paths = (os.path.join(directory, *name.split("/")) for name in names)
    return next(filter(os.path.isfile, paths), "")


_PROGRAM = r"(?P<name>python|pypy|graalpy)(?P<version>[0-9.]*)(?P<flags>td?|d|)(?:\.exe)?"


def _program_name(name: str) -> _Kind | None:
    """What an executable's name tells: python3.12, python3.13t, python3.11d, pypy3; None for python3-config."""
    found = re.fullmatch(_PROGRAM, name) if name.startswith(_NAMES) else None
    if found is None or (found["version"] and not numbers(found["version"])):
        return None
    implementation = "cpython" if found["name"] == "python" else found["name"]
    return _Kind(numbers(found["version"]), implementation, found["flags"])


def _executables(directory: str, source: str) -> list[Candidate]:
    """python3.12 before python3 before python, newest first; a link is what it leads to."""
    found = []
    for name in _listed(directory, _NAMES):
        named = _program_name(name)
        if named is None:
            continue  # python3-config, pythonw.exe
        path = os.path.join(directory, name)
        real = _program_name(os.path.basename(os.path.realpath(path))) or named
        version = named.version if len(named.version) >= 2 else real.version or named.version
        candidate = Candidate(path, version, source, real.implementation, real.flags)
        found.append((version, named[1:] == real[1:], path, candidate))
    return [candidate for *_, candidate in sorted(found, key=lambda row: row[:3], reverse=True)]


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
    """A program, and by its name a Python: no script (wrappers and shims)."""
    if not os.path.basename(real).lower().startswith(_NAMES) or not os.access(real, os.X_OK):
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
                for tag in sorted(tags, key=lambda tag: numbers(tag.rstrip("t")), reverse=True):
                    path, version = _registered_path(core, tag), numbers(tag.rstrip("t"))
                    if path and version:
                        yield Candidate(path, version, "registry", flags="t" if tag.endswith("t") else "")
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
    """The running interpreter; None when it does not know its executable."""
    path = running_executable()
    version = tuple(sys.version_info[:3])
    return Candidate(path, version, "running", sys.implementation.name, running_flags()) if path else None


def running_flags() -> str:
    """Which kind of build runs: "t" (PEP 703), "d", both or none. Windows has no sys.abiflags before 3.14."""
    free_threaded = "free-threading" in sys.version
    return ("t" if free_threaded else "") + ("d" if hasattr(sys, "gettotalrefcount") else "")


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
