"""What does an executable say that it is?

It is run once, and its answer is remembered in the store while the file stays the same.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from hwb.installs import base_executable, is_shim
from hwb.pyspec import NAMES, kind_of

__all__ = ["Interpreter", "ask"]

PROBE_SECONDS = 5.0
"""How long an interpreter may take to say its version."""
_PROBE = """import os, sys
v = sys.version_info
stage = {"alpha": "a", "beta": "b", "candidate": "rc"}.get(v[3])
version = "%d.%d.%d" % tuple(v[:3]) + (stage + str(v[4]) if stage else "")
base = getattr(sys, "_base_executable", None) or ""
flags = "t" if "free-threading" in sys.version else ""
flags += "d" if hasattr(sys, "gettotalrefcount") else ""
answer = ["hwb", version, sys.implementation.name, flags, sys.executable, sys.prefix, sys.base_prefix, base]
os.write(1, b"\\0".join(map(os.fsencode, answer)))
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that said its version itself; `path` is absolute and never inside a virtual environment.

    `implementation` is `sys.implementation.name`, `version` that of the language (PyPy's own is another number).
    """

    path: str
    version: str
    implementation: str
    source: str
    flags: str = ""
    """Its ABI's: "t" is free-threaded (PEP 703), "d" a debug build."""

    @property
    def minor(self) -> str:
        """The first two numbers: 3.12 of 3.12.1."""
        return ".".join(self.version.split(".")[:2])

    @property
    def request(self) -> str:
        """What asks for one like it: 3.12, 3.14t, pypy3.11."""
        return f"{'' if self.implementation == 'cpython' else self.implementation}{self.minor}{self.flags}"

    @property
    def title(self) -> str:
        """What it is, for people: `3.12.1`, `3.14.0 free-threaded`, `PyPy 3.11.9`."""
        name = "" if self.implementation == "cpython" else NAMES.get(self.implementation, self.implementation)
        return " ".join(filter(None, (name, self.version, kind_of(self.flags))))

    @property
    def sentence(self) -> str:
        """The same after a verb: `Python 3.12.1`, `PyPy 3.11.9`."""
        return f"Python {self.title}" if self.implementation == "cpython" else self.title

    @property
    def identity(self) -> str:
        """A text that changes when the executable is replaced (an upgrade in place included)."""
        real = os.path.realpath(self.path)
        kind = "" if self.implementation == "cpython" else self.implementation
        said = f"{real}|{kind}{self.version}{self.flags}"
        try:
            status = os.stat(real)
        except OSError:
            return f"{said}|gone"
        return f"{said}|{status.st_size}|{status.st_mtime_ns}"


def ask(path: str, source: str) -> Interpreter | str:
    """The interpreter, or a few words on why it is none."""
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
    state = [2, status.st_ino, status.st_mtime_ns, status.st_size]
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
    outside = base_executable(executable, prefix, base_prefix, base) if prefix != base_prefix else _outside(path, real)
    if not outside:
        return "is a virtual environment whose base is gone"
    return Interpreter(outside, version, implementation, source, flags)


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
