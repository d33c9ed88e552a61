"""Which Python interpreter does a request mean?

Of those that are installed only the one that is chosen is run, once, and its answer is remembered in the store.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwb.errors import ConfigError, InterpreterNotFound, UsageError
from hwb.installs import (
    SOURCES,
    Candidate,
    base_executable,
    is_shim,
    numbers,
    running_candidate,
    running_executable,
    scan,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Interpreter", "Spec", "allowed", "find", "parse_spec", "running", "version_key"]

PROBE_SECONDS = 5.0
"""How long an interpreter may take to say its version."""
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
    if digits[-1:] == "t" and numbers(digits[:-1]):
        raise ValueError(f"{text!r} asks for a free-threaded Python, which hwb cannot find by version yet: give a path")
    version = numbers(digits)
    if not version or len(version) > 3:
        hint = "a relative path: give the absolute one" if "/" in text or "\\" in text else "no Python version"
        raise ValueError(f"{text!r} is {hint} (expected for example '3.12', '3.12.1', 'python3.12' or a path)")
    return Spec(version=version)


def _is_absolute(text: str) -> bool:
    """On POSIX or on Windows, whichever this machine is: a hwbfile is read on both."""
    drive = len(text) > 2 and text[0].isalpha() and text[1] == ":" and text[2] in "\\/"
    return text.startswith(("/", "\\\\")) or drive


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
    path = running_executable()
    if not path:
        raise InterpreterNotFound("the running Python does not know its executable", remedy="name one with --python")
    info = sys.version_info
    stage = {"alpha": "a", "beta": "b", "candidate": "rc"}.get(info.releaselevel, "")
    version = f"{info.major}.{info.minor}.{info.micro}{f'{stage}{info.serial}' if stage else ''}"
    return Interpreter(path, version, sys.implementation.name, "running")


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
    fits = allowed(requires_python)
    explicit = python_path or wanted.path
    if explicit:
        return _explicit(os.path.abspath(os.path.expanduser(explicit)), wanted, fits, requires_python)
    own = running_candidate()
    if own is not None and wanted.contains(own.version) and fits(running().version):
        return running()
    return _search(wanted, fits, requires_python, scan(environ))


def _parsed(spec: str | None) -> Spec:
    try:
        return parse_spec(spec) if spec else Spec()
    except ValueError as error:
        raise UsageError(str(error), remedy="name a version such as 3.12, or the path of an interpreter") from error


def allowed(requires_python: str) -> Callable[[str], bool]:
    """Whether a version satisfies a requires-python (PEP 440; empty: any does). Raises ConfigError for no specifier."""
    if not requires_python.strip():
        return lambda version: True
    plain = _plain_clauses(requires_python)
    if plain is None:
        return _by_packaging(requires_python)
    return lambda version: (
        all(_holds(version_key(version), *clause) for clause in plain)
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


def _explicit(path: str, wanted: Spec, fits: Callable[[str], bool], requires_python: str) -> Interpreter:
    answer = _ask(path, "path")
    if isinstance(answer, str):
        raise InterpreterNotFound(f"{path} {answer}", remedy="give the path of a Python executable")
    version = version_key(answer.version)
    if not wanted.contains(version) or not fits(answer.version):
        asked = str(wanted) if wanted.version else f"Python {requires_python}"
        raise InterpreterNotFound(
            f"{path} is Python {answer.version}, but {asked} is asked for",
            remedy="correct the path (python-path) or the version",
        )
    return answer


def _search(
    wanted: Spec, fits: Callable[[str], bool], requires_python: str, candidates: list[Candidate]
) -> Interpreter:
    refused: dict[str, str] = {}
    prerelease: Interpreter | None = None
    fitting = [candidate for candidate in candidates if wanted.allows(candidate.version)]
    for candidate in _ranked(fitting, wanted):
        answer = _ask(candidate.path, candidate.source)
        if isinstance(answer, str):
            refused[candidate.path] = answer
        elif answer.implementation != "cpython" or not wanted.contains(version_key(answer.version)):
            refused[candidate.path] = f"is {answer.implementation} {answer.version}"
        elif not fits(answer.version):
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


def version_key(version: str) -> tuple[int, ...]:
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
    outside = base_executable(executable, prefix, base_prefix, base) if prefix != base_prefix else _outside(path, real)
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
