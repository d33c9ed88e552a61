"""Which Python interpreters are on this machine, and which one does a request mean?

A request is answered by looking into the directories where interpreters live, never by running version managers'
shims; only the one that is chosen is run, once, and the answer is remembered in the store.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwb.errors import ConfigError, InterpreterNotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["Candidate", "Interpreter", "Spec", "find", "parse_spec", "running", "scan"]

PROBE_SECONDS = 5.0
"""How long an interpreter may take to say its version."""
SOURCES = ("running", "uv", "pyenv", "mise", "asdf", "PATH", "system", "opt", "registry")
"""Where a candidate was seen, in the order of preference."""
_SYSTEM_DIRS = ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin")
_KEG_DIRS = ("/opt/homebrew/opt", "/usr/local/opt")
_FRAMEWORKS = "/Library/Frameworks/Python.framework/Versions"
_OPT_PYTHON = "/opt/python"
_PROBE = """import os, sys
v = sys.version_info
stage = {"alpha": "a", "beta": "b", "candidate": "rc"}.get(v[3])
version = "%d.%d.%d" % tuple(v[:3]) + (stage + str(v[4]) if stage else "")
base = getattr(sys, "_base_executable", None) or ""
flags = getattr(sys, "abiflags", "") or ("t" if "free-threading" in sys.version else "")
answer = ["hwb", version, sys.implementation.name, flags, sys.executable, sys.prefix, sys.base_prefix, base]
os.write(1, b"\\0".join(map(os.fsencode, answer)))
"""


# ---------------------------------------------------------------------------------------------- what is asked for


@dataclass(frozen=True, slots=True)
class Spec:
    """A request: either the beginning of a version number, or one executable's absolute path."""

    version: tuple[int, ...] = ()
    path: str = ""

    def __str__(self) -> str:
        return self.path or ".".join(map(str, self.version))

    def allows(self, version: tuple[int, ...]) -> bool:
        """Whether an interpreter whose version begins like this can be the one (the unknown rest counts as fitting)."""
        return all(wanted == known for wanted, known in zip(self.version, version))

    def contains(self, version: tuple[int, ...]) -> bool:
        """Whether a fully known version is the one."""
        return version[: len(self.version)] == self.version


def parse_spec(text: str) -> Spec:
    """Read "3.12", "3.12.1", "3", "python3.12", "cpython3.12" or an absolute path; ValueError says what is wrong."""
    wanted = text.strip()
    if _is_absolute(wanted):
        return Spec(path=wanted)
    name = wanted.lower()
    if name.startswith("pypy"):
        raise ValueError(f"{text!r} asks for PyPy, which hwb cannot find by version: give the path of its executable")
    if name and name[0] in "<>=!~":
        raise ValueError(f"{text!r} is a range: give one version, such as '3.12'")
    digits = name.removeprefix("c").removeprefix("python") if name.startswith(("python", "cpython")) else name
    if digits[-1:] == "t" and _numbers(digits[:-1]):
        raise ValueError(f"{text!r} asks for a free-threaded Python, which hwb cannot find by version yet: give a path")
    numbers = _numbers(digits)
    if not numbers or len(numbers) > 3:
        hint = "a relative path: give the absolute one" if "/" in text or "\\" in text else "no Python version"
        raise ValueError(f"{text!r} is {hint} (expected for example '3.12', '3.12.1', 'python3.12' or a path)")
    return Spec(version=numbers)


def _is_absolute(text: str) -> bool:
    """On POSIX or on Windows, whichever this machine is: a hwbfile is read on both."""
    drive = len(text) > 2 and text[0].isalpha() and text[1] == ":" and text[2] in "\\/"
    return text.startswith(("/", "\\\\")) or drive


def _numbers(text: str) -> tuple[int, ...]:
    """(3, 12) of "3.12"; empty when it is anything but numbers and dots."""
    parts = text.split(".")
    return tuple(map(int, parts)) if all(part.isascii() and part.isdigit() for part in parts) else ()


# ----------------------------------------------------------------------------------------------- what is there


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
    own = _running_candidate()
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
    version = _numbers(first)
    if len(version) in (2, 3) and "+" not in name:
        return version if not name.endswith("-dev") else version[:2]
    for stage in ("rc", "a", "b"):
        final, found, serial = first.partition(stage)
        if found and serial.isdigit() and len(_numbers(final)) == 3:
            return _numbers(final)[:2]
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
        version = _numbers(stem[6:]) if stem != "python" else ()
        if stem != "python" and not version:
            continue  # python3-config, pythonw.exe, python3.13t
        path = os.path.join(directory, name)
        if len(version) < 2:
            version = _numbers(os.path.basename(os.path.realpath(path)).removeprefix("python")) or version
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
                for tag in sorted(tags, key=_numbers, reverse=True):
                    path = _registered_path(core, tag)
                    if path and _numbers(tag):
                        yield Candidate(path, _numbers(tag), "registry")
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


# ------------------------------------------------------------------------------------------- what was chosen


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that said its version itself; `path` is absolute and never inside a virtual environment."""

    path: str
    version: str
    implementation: str
    source: str

    @property
    def minor(self) -> str:
        """The first two numbers: 3.12 of 3.12.1."""
        return ".".join(self.version.split(".")[:2])

    @property
    def identity(self) -> str:
        """A text that changes when the executable is replaced (an upgrade in place included)."""
        real = os.path.realpath(self.path)
        try:
            status = os.stat(real)
        except OSError:
            return f"{real}|{self.version}|gone"
        return f"{real}|{self.version}|{status.st_size}|{status.st_mtime_ns}"


def running() -> Interpreter:
    """The interpreter that runs hwb; of a virtual environment the one that it was made from."""
    path = _base(sys.executable, sys.prefix, sys.base_prefix, getattr(sys, "_base_executable", "") or "")
    if not path:
        raise InterpreterNotFound("the running Python does not know its executable", remedy="name one with --python")
    info = sys.version_info
    stage = {"alpha": "a", "beta": "b", "candidate": "rc"}.get(info.releaselevel, "")
    version = f"{info.major}.{info.minor}.{info.micro}{f'{stage}{info.serial}' if stage else ''}"
    return Interpreter(path, version, sys.implementation.name, "running")


def _base(executable: str, prefix: str, base_prefix: str, base_executable: str) -> str:
    """The executable outside of any virtual environment; empty when there is none."""
    if prefix == base_prefix:
        return os.path.abspath(executable) if executable else ""
    inside = os.path.join(prefix, "")
    choices = [base_executable, os.path.realpath(executable) if executable else ""]
    choices += [os.path.join(base_prefix, "bin", "python3"), os.path.join(base_prefix, "python.exe")]
    usable = (path for path in choices if path and not path.startswith(inside) and os.path.isfile(path))
    return next(usable, "")


def _running_candidate() -> Candidate | None:
    """The running interpreter when a version number can mean it: a CPython with the usual ABI."""
    unusual = getattr(sys, "abiflags", None) or "free-threading" in sys.version  # Windows has no abiflags before 3.14
    if sys.implementation.name != "cpython" or unusual:
        return None
    try:
        path = running().path
    except InterpreterNotFound:
        return None
    return Candidate(path, tuple(sys.version_info[:3]), "running")


def find(
    spec: str | None = None,
    *,
    requires_python: str = "",
    environ: Mapping[str, str] | None = None,
    python_path: str | None = None,
) -> Interpreter:
    """The interpreter that a request means; without one the running one, else the newest that `requires_python` allows.

    `python_path` is a configured executable: it is taken if it is what `spec` asks for, nothing else is looked at.
    Raises InterpreterNotFound (with everything that was seen), UsageError for a spec that makes no sense, ConfigError
    for a `requires_python` that is no PEP 440 specifier.
    """
    wanted = _parsed(spec)
    allowed = _allowed(requires_python)
    explicit = python_path or wanted.path
    if explicit:
        return _explicit(os.path.abspath(os.path.expanduser(explicit)), wanted, allowed, requires_python)
    own = _running_candidate()
    if own is not None and wanted.contains(own.version) and allowed(running().version):
        return running()
    return _search(wanted, allowed, requires_python, scan(environ))


def _parsed(spec: str | None) -> Spec:
    try:
        return parse_spec(spec) if spec else Spec()
    except ValueError as error:
        raise UsageError(str(error), remedy="name a version such as 3.12, or the path of an interpreter") from error


def _allowed(requires_python: str) -> Callable[[str], bool]:
    if not requires_python.strip():
        return lambda version: True
    plain = _plain_clauses(requires_python)
    if plain is None:
        return _by_packaging(requires_python)
    return lambda version: (
        all(_holds(_numbers_of(version), *clause) for clause in plain)
        if version.replace(".", "").isdecimal()
        else _by_packaging(requires_python)(version)  # a pre-release comes before its release
    )


def _by_packaging(requires_python: str) -> Callable[[str], bool]:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        specifiers = SpecifierSet(requires_python)
    except InvalidSpecifier as error:
        raise ConfigError(
            f"requires-python {requires_python!r} is no version specifier", remedy="write it like '>=3.10' (PEP 440)"
        ) from error
    return lambda version: specifiers.contains(version, prereleases=True)


def _plain_clauses(requires_python: str) -> list[tuple[str, tuple[int, ...]]] | None:
    """The clauses of a specifier such as `>=3.8, <4`; None for anything else (packaging's import takes its time)."""
    found = []
    for clause in requires_python.split(","):
        sign = next((s for s in (">=", "<=", "<", ">") if clause.strip().startswith(s)), None)
        numbers = clause.strip()[len(sign) :].strip() if sign else ""
        if sign not in (">=", "<") or not all(part.isdecimal() for part in numbers.split(".")):
            return None
        found.append((sign, tuple(map(int, numbers.split(".")))))
    return found


def _holds(version: tuple[int, ...], sign: str, limit: tuple[int, ...]) -> bool:
    """Whether a release satisfies one clause (PEP 440: missing numbers are zeros)."""
    width = max(len(version), len(limit))
    own, other = ((*numbers, *(0,) * (width - len(numbers))) for numbers in (version, limit))
    return own >= other if sign == ">=" else own < other


def _explicit(path: str, wanted: Spec, allowed: Callable[[str], bool], requires_python: str) -> Interpreter:
    answer = _ask(path, "path")
    if isinstance(answer, str):
        raise InterpreterNotFound(f"{path} {answer}", remedy="give the path of a Python executable")
    version = _numbers_of(answer.version)
    if not wanted.contains(version) or not allowed(answer.version):
        asked = str(wanted) if wanted.version else f"Python {requires_python}"
        raise InterpreterNotFound(
            f"{path} is Python {answer.version}, but {asked} is asked for",
            remedy="correct the path (python-path) or the version",
        )
    return answer


def _search(
    wanted: Spec, allowed: Callable[[str], bool], requires_python: str, candidates: list[Candidate]
) -> Interpreter:
    refused: dict[str, str] = {}
    prerelease: Interpreter | None = None
    fitting = [candidate for candidate in candidates if wanted.allows(candidate.version)]
    for candidate in _ranked(fitting, wanted):
        answer = _ask(candidate.path, candidate.source)
        if isinstance(answer, str):
            refused[candidate.path] = answer
        elif answer.implementation != "cpython" or not wanted.contains(_numbers_of(answer.version)):
            refused[candidate.path] = f"is {answer.implementation} {answer.version}"
        elif not allowed(answer.version):
            refused[candidate.path] = f"is {answer.version}, outside of {requires_python}"
        elif len(wanted.version) >= 2 or answer.version.replace(".", "").isdigit():
            return answer
        else:
            prerelease = prerelease or answer  # whoever names no minor wants a finished one
    if prerelease is not None:
        return prerelease
    raise _not_found(wanted, requires_python, candidates, refused)


def _ranked(candidates: list[Candidate], wanted: Spec) -> list[Candidate]:
    """Known minors first, newest first; then by source, then by patch. A name without a minor is the last resort."""

    def key(candidate: Candidate) -> tuple[bool, tuple[int, ...], int, tuple[int, ...]]:
        version = candidate.version
        minor = tuple(-number for number in version[:2]) if len(wanted.version) < 2 else ()
        patch = tuple(-number for number in version[2:]) if candidate.source != "PATH" else ()
        return len(version) < 2, minor, SOURCES.index(candidate.source), patch or (1,)

    return sorted(candidates, key=key)


def _numbers_of(version: str) -> tuple[int, ...]:
    """(3, 15, 0) of "3.15.0rc1"."""
    import re

    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _not_found(
    wanted: Spec, requires_python: str, candidates: Iterable[Candidate], refused: Mapping[str, str]
) -> InterpreterNotFound:
    what = f"Python {wanted}" if wanted.version else f"Python that satisfies {requires_python or 'the request'}"
    lines = []
    for candidate in candidates:
        known = ".".join(map(str, candidate.version)) or "?"
        reason = f"  ({refused[candidate.path]})" if candidate.path in refused else ""
        lines.append(f"{known:<8} {candidate.source:<8} {candidate.path}{reason}")
    number = str(wanted) if wanted.version else "VERSION"
    remedy = f"`uv python install {number}`, `pyenv install {number}`, or your system's package for that version"
    return InterpreterNotFound(
        f"there is no {what} on this machine", remedy=remedy, detail="seen:\n" + "\n".join(lines or ["nothing"])
    )


# ------------------------------------------------------------------------------------------ asking an executable


def _ask(path: str, source: str) -> Interpreter | str:
    """The interpreter, or a few words on why it is none; the answer is remembered while the file stays the same."""
    if is_shim(path):
        return "is a version manager's shim, not an interpreter"
    real = os.path.realpath(path)
    try:
        status = os.stat(real)
    except OSError as error:
        return f"cannot be used: {error.strerror}"
    # a link inside a virtual environment leads out of it: what is asked is the real file, so that the answer is the
    # same for every name it has
    from hwb.store import fingerprint, open_store

    store = open_store()
    record = ("pythons", f"{fingerprint(real)}.json")
    state = [status.st_ino, status.st_mtime_ns, status.st_size]
    known = store.read_json(*record)
    if not (isinstance(known, dict) and known.get("state") == state and isinstance(known.get("answer"), list)):
        answer = _probe(real)
        if isinstance(answer, str):
            return answer
        known = {"state": state, "answer": answer}
        store.write_json(*record, value=known)
    return _interpreter(path, real, known["answer"], source)


def _interpreter(path: str, real: str, answer: list[str], source: str) -> Interpreter | str:
    version, implementation, flags, executable, prefix, base_prefix, base = answer
    if source != "path" and flags.replace("m", ""):
        return f"is a {flags!r} build (free-threaded or debug), which only its path can name"
    outside = _base(executable, prefix, base_prefix, base) if prefix != base_prefix else _outside(path, real)
    if not outside:
        return "is a virtual environment whose base is gone"
    return Interpreter(outside, version, implementation, source)


def _outside(path: str, real: str) -> str:
    """The name as it was given, unless it lies in a virtual environment (PEP 405: a pyvenv.cfg beside or above it)."""
    directory = os.path.dirname(path)
    inside = any(os.path.isfile(os.path.join(at, "pyvenv.cfg")) for at in (directory, os.path.dirname(directory)))
    return real if inside else os.path.abspath(path)


def _probe(real: str) -> list[str] | str:
    """Run it once, isolated from user settings, and let it say what it is; or why it does not."""
    import subprocess

    from hwb import proc
    from hwb.errors import CommandFailed, CommandTimeout

    try:
        done = proc.run(
            [real, "-I", "-c", _PROBE],
            check=False,
            capture=True,
            quiet=True,
            stderr=subprocess.DEVNULL,
            timeout=PROBE_SECONDS,
            cwd=os.path.dirname(real),
        )
    except CommandTimeout:
        return f"gave no answer within {PROBE_SECONDS:g} s"
    except CommandFailed as error:
        return f"cannot be run: {error.what}"
    answer = [os.fsdecode(part) for part in (done.output or b"").rpartition(b"hwb\0")[2].split(b"\0")]
    if done.return_code or len(answer) != 7:
        return f"does not run as Python 3 (exit code {done.return_code})"
    return answer
