"""What is a Python that only a container can run, and how is a virtual environment for it laid out from outside?

Nothing is run here: the image's Pythons have said once where their packages and executables are, and the rest is
files. The layout is that of PEP 405.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwb.errors import ContainerError, IsolationError
from hwb.pythons import Interpreter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hwb.isolation.engine import Engine

__all__ = ["ForeignPython", "choose_python", "layout_of", "move_scripts", "probe"]

_ASK = """import os, sys, sysconfig
try:
    libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
except (AttributeError, ValueError, OSError):
    libc = ""
base = getattr(sys, "_base_executable", None) or sys.executable
scheme = "venv" if "venv" in sysconfig.get_scheme_names() else "posix_prefix"
if sys.implementation.name == "pypy" and scheme != "venv":
    scheme = "pypy" if "pypy" in sysconfig.get_scheme_names() else scheme
v = sys.version_info
stage = {"alpha": "a", "beta": "b", "candidate": "rc"}.get(v[3])
flags = getattr(sys, "abiflags", "")
if "t" not in flags and sysconfig.get_config_var("Py_GIL_DISABLED"):
    flags += "t"
here = sysconfig.get_path("purelib", scheme, {"base": "", "platbase": "", "installed_base": ""})
told = {"asked": sys.argv[1], "path": base, "real": os.path.realpath(base),
    "version": "%d.%d.%d" % tuple(v[:3]) + (stage + str(v[4]) if stage else ""), "flags": flags,
    "implementation": sys.implementation.name, "platform": sysconfig.get_platform(), "packages": here.lstrip("/"),
    "soabi": sysconfig.get_config_var("SOABI") or "", "libc": libc,
    "policy": os.environ.get("AUDITWHEEL_PLAT", "")}
text = ", ".join('"%s": "%s"' % (k, v.replace("\\\\", r"\\\\").replace('"', r'\\"')) for k, v in told.items())
os.write(1, ("{%s}\\n" % text).encode("utf-8", "surrogateescape"))
"""
"""What every Python of an image is asked; one line of JSON, written at once, because several answer at the same time.

Without the json module: images have no byte code, and it takes longer to compile than all the rest.
"""
_LOOK = """for p in /opt/python/*/bin/python /usr/local/bin/python3* /usr/bin/python3*
do case "$p" in *-config) continue;; esac
if [ -x "$p" ]; then "$p" -I -B -S -c "$1" "$p" 2>/dev/null & fi
done
wait"""
_KEYS = (
    "asked",
    "path",
    "real",
    "version",
    "flags",
    "implementation",
    "platform",
    "packages",
    "soabi",
    "libc",
    "policy",
)
_SHEBANG_LIMIT = 127
"""Bytes of a first line that every Linux reads (BINPRM_BUF_SIZE of old kernels)."""
_PYTHON_LINE = re.compile(rb"#![^\n]*python[^\n]*\n")
_SHELL_LINES = re.compile(rb"#!/bin/sh\n'''exec' [^\n]*\n' '''\n")
"""The two first lines that installers write (distlib's trick for long paths and those with spaces)."""
_DATA = ("bin", "share", "etc", "include", "man")
"""What `--target` puts beside the packages and an environment has in its own directories."""


@dataclass(frozen=True, slots=True)
class ForeignPython(Interpreter):
    """A Python of an image: `path` is inside of the image, `source` is "image"."""

    image: str = ""
    """The image's id: its digest."""
    asked: str = ""
    """Where it was found, such as /opt/python/cp312-cp312/bin/python."""
    flags: str = ""
    """Its ABI's flags: `t` is free-threaded (PEP 703)."""
    platform: str = ""
    """sysconfig's name: linux-x86_64."""
    packages: str = ""
    """Where an environment has its packages, relative to it."""
    soabi: str = ""
    libc: str = ""
    """The C library's version that it runs on ("glibc 2.28"); empty: not glibc."""
    policy: str = ""
    """What wheels the image is for (AUDITWHEEL_PLAT): manylinux_2_28_x86_64; empty when it does not say."""

    @property
    def identity(self) -> str:
        """A text that changes when image or interpreter change; this machine's files do not matter."""
        return f"{self.path}|{self.version}|{self.implementation}|{self.soabi}|{self.image}"

    @property
    def arch(self) -> str:
        """The processor, as Linux names it."""
        return self.platform.partition("-")[2]

    @property
    def free_threaded(self) -> bool:
        """Whether it has no global interpreter lock (PEP 703)."""
        return "t" in self.flags

    @property
    def spoken(self) -> str:
        """What `--python` calls it: 3.12, 3.14t, pypy3.11."""
        name = "" if self.implementation == "cpython" else self.implementation
        return f"{name}{self.minor}{'t' if self.free_threaded else ''}"


def probe(
    engine: Engine, image: str, image_id: str, lockdown: Sequence[str], launcher: Sequence[str] = ()
) -> list[ForeignPython]:
    """Every Python of an image, asked in one container; those of /opt/python first (PEP 513's images have them there).

    `lockdown` are the arguments of a container that can do nothing. Raises ContainerError when there is none.
    """
    first, *rest = [*launcher, "/bin/sh", "-c", _LOOK, "sh", _ASK]
    args = ["run", "--rm", *lockdown, f"--entrypoint={first}", image_id, *rest]
    printed = engine.call(*args, what=f"looking for the Pythons of {image}")
    found = [python for line in printed.splitlines() if (python := _python(line, image_id)) is not None]
    if not found:
        remedy = "use an image with a Python in /opt/python, /usr/local/bin or /usr/bin"
        raise ContainerError(f"the image {image} has no Python", remedy=remedy)
    found.sort(key=lambda one: (not one.asked.startswith("/opt/python/"), _tag(one) not in one.asked, one.asked))
    chosen: dict[str, ForeignPython] = {}
    for python in found:
        chosen.setdefault(python.spoken, python)
    return list(chosen.values())


def _python(line: str, image_id: str) -> ForeignPython | None:
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return from_record({**told, "image": image_id}) if isinstance(told, dict) else None


def from_record(told: Any) -> ForeignPython | None:
    """The Python that a record describes; None for a record of another shape."""
    if not isinstance(told, dict) or not all(isinstance(told.get(key), str) for key in (*_KEYS, "image")):
        return None
    packages = os.path.normpath(told["packages"])
    if packages.startswith(("..", "/")) or not told["path"].startswith("/"):
        return None  # what an image says decides about paths on this machine
    return ForeignPython(
        told["path"],
        told["version"],
        told["implementation"],
        "image",
        image=told["image"],
        asked=told["asked"],
        flags=told["flags"],
        platform=told["platform"],
        packages=packages,
        soabi=told["soabi"],
        libc=told["libc"],
        policy=told["policy"],
    )


def as_record(python: ForeignPython) -> dict[str, str]:
    """The same as plain data."""
    names = ("path", "version", "implementation", "image", "asked", "flags", "platform", "packages", "soabi", "libc")
    return {"real": python.path, "policy": python.policy, **{name: getattr(python, name) for name in names}}


def choose_python(pythons: Sequence[ForeignPython], wanted: str, image: str) -> ForeignPython:
    """The Python that a request ("3.12", "3.14t", "pypy3.11", ">=3.11", see `hwb.pyspec`) or a path inside means.

    Of several that fit it is the newest, a pre-release last; an empty request means a plain CPython. Raises
    ContainerError that lists what the image has.
    """
    text = wanted.strip()
    if not text:
        plain = [python for python in pythons if python.implementation == "cpython" and not python.free_threaded]
        return max(plain or pythons, key=_age)
    by_path = [python for python in pythons if text in (python.asked, python.path)]
    fitting = by_path or [python for python in pythons if _fits(python, text)]
    if fitting:
        return max(fitting, key=_age)
    ordered = sorted(pythons, key=lambda python: (python.implementation != "cpython", _numbers(python.version)))
    has = ", ".join(python.spoken for python in ordered)
    raise ContainerError(f"the image {image} has no Python {wanted}", remedy=f"it has {has}")


def _fits(python: ForeignPython, text: str) -> bool:
    from hwb.pyspec import allowed, parse_spec

    try:
        spec = parse_spec(text)
    except ValueError:
        return False
    kind = (python.implementation, "".join(flag for flag in "td" if flag in python.flags))
    same = not spec.path and kind == (spec.implementation, spec.flags)
    return same and spec.contains(_numbers(python.version)) and allowed(spec.range)(python.version)


def _age(python: ForeignPython) -> tuple[bool, tuple[int, ...]]:
    """Newest last, after everything that is not finished."""
    return python.version.replace(".", "").isdigit(), _numbers(python.version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))


def _tag(python: ForeignPython) -> str:
    kind = {"cpython": "cp", "pypy": "pp", "graalpy": "gp"}.get(python.implementation, python.implementation)
    return f"{kind}{python.minor.replace('.', '')}{'t' if python.free_threaded else ''}"


# ---------------------------------------------------------------------------------------------------------- layout


def layout_of(path: str, python: Interpreter) -> None:
    """An environment without packages at `path` (PEP 405), whose Python is a link that leads somewhere inside only."""
    from pathlib import Path

    if not isinstance(python, ForeignPython):
        raise IsolationError(f"{python.path} is no Python of an image")

    top = Path(path)
    (top / python.packages).mkdir(parents=True)
    scripts = top / "bin"
    scripts.mkdir()
    (scripts / "python").symlink_to(python.path)
    for name in {"python3", f"python{python.minor}", _COMMANDS.get(python.implementation, "python3")}:
        (scripts / name).symlink_to("python")
    if python.packages.startswith("lib/"):
        (top / "lib64").symlink_to("lib")
    lines = [
        f"home = {os.path.dirname(python.path)}",
        f"implementation = {_NAMES.get(python.implementation, python.implementation)}",
        f"version_info = {python.version}",
        "include-system-site-packages = false",
    ]
    (top / "pyvenv.cfg").write_text("\n".join(lines) + "\n", encoding="utf-8")


_COMMANDS = {"pypy": "pypy3", "graalpy": "graalpy"}
_NAMES = {"cpython": "CPython", "pypy": "PyPy", "graalpy": "GraalVM"}


def move_scripts(path: str, packages: str) -> None:
    """Put what an installer's `--target` left among the packages where an environment has it.

    Scripts go to `bin` and start with this environment's Python; other data goes to the environment's own directories;
    the lists of files (RECORD) follow.
    """
    site = os.path.join(path, packages)
    moved = {name for name in _DATA if _is_data(os.path.join(site, name))}
    for name in sorted(moved):
        _merge(os.path.join(site, name), os.path.join(path, name), scripts=name == "bin", first=_first_line(path))
    if moved:
        up = "/".join([".."] * (packages.count("/") + 1))
        for record in _records(site):
            _correct(record, moved, up)


def _is_data(place: str) -> bool:
    """Whether a directory among the packages is none: neither a package nor part of a namespace."""
    if not _is_folder(place):
        return False
    return os.path.basename(place) == "bin" or not any(name.endswith(".py") for name in os.listdir(place))


def _is_folder(place: str) -> bool:
    import stat

    try:
        return stat.S_ISDIR(os.lstat(place).st_mode)
    except OSError:
        return False


def _first_line(path: str) -> bytes:
    """What makes a script run with the environment's Python."""
    python = os.path.join(path, "bin", "python")
    plain = f"#!{python}\n".encode()
    if len(plain) <= _SHEBANG_LIMIT and " " not in python:
        return plain
    import shlex

    return f"#!/bin/sh\n'''exec' {shlex.quote(python)} \"$0\" \"$@\"\n' '''\n".encode()


def _merge(source: str, target: str, *, scripts: bool, first: bytes) -> None:
    os.makedirs(target, exist_ok=True)
    for name in os.listdir(source):
        here, there = os.path.join(source, name), os.path.join(target, name)
        if _is_folder(here):
            _merge(here, there, scripts=scripts, first=first)
        elif scripts:
            _write_script(here, there, first)
        else:
            os.replace(here, there)
    os.rmdir(source)


def _write_script(source: str, target: str, first: bytes) -> None:
    """A new file, never the old one changed: installers link to files of their cache. No script replaces Python."""
    if os.path.lexists(target):
        os.unlink(source)
        return
    with open(source, "rb") as handle:
        content = handle.read()
    line = _SHELL_LINES.match(content) or _PYTHON_LINE.match(content)
    if line is None:
        os.replace(source, target)
        return
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o755)
    with open(descriptor, "wb") as handle:
        handle.write(first + content[line.end() :])
    os.unlink(source)


def _records(site: str) -> Iterator[str]:
    for name in os.listdir(site):
        record = os.path.join(site, name, "RECORD")
        if name.endswith(".dist-info") and os.path.isfile(record):
            yield record


def _correct(record: str, moved: set[str], up: str) -> None:
    """Paths of moved files; hash and size of scripts are left out, as is allowed for generated files (PEP 376)."""
    import csv
    import io

    from hwb.fs import atomic_write

    with open(record, encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.reader(handle) if row]
    changed = False
    for row in rows:
        top = row[0].partition("/")[0]
        if top in moved and "/" in row[0]:
            row[:] = [f"{up}/{row[0]}", *(["", ""] if top == "bin" else row[1:])]
            changed = True
    if changed:
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(rows)
        atomic_write(record, out.getvalue(), durable=False)
