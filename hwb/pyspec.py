"""Which Pythons does a request allow?

A request is a version ("3.12"), one of another kind ("3.14t", "3.13d", "pypy3.11"), a range (">=3.11,<3.13"), or the
path of an executable. A `.python-version` file has one for each line, in the spellings of pyenv and uv.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from hwb.errors import ConfigError
from hwb.installs import numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["FILE_NAME", "NAMES", "Line", "Spec", "allowed", "kind_of", "parse_spec", "read_file", "split_specs"]

FILE_NAME = ".python-version"
"""The file that pyenv, uv and others read; of a project only the one in its root counts."""
NAMES = {"cpython": "CPython", "pypy": "PyPy", "graalpy": "GraalPy"}
"""The implementations that can be asked for, and how people write them."""
_IMPLEMENTATIONS = {"": "cpython", "python": "cpython", "cpython": "cpython", "cp": "cpython", "pypy": "pypy",
                    "pp": "pypy", "graalpy": "graalpy", "gp": "graalpy"}  # fmt: skip
_REQUEST = (
    r"(?P<name>c?python|pypy|graalpy|)[-@]?(?P<version>[0-9]+(?:\.[0-9]+){0,2})(?P<stage>(?:a|b|rc)[0-9]+)?"
    r"(?P<flags>td?|d|(?:\+(?:freethreaded|debug)){0,2})"
)
_TAG = r"(?P<name>cp|pp|gp)(?P<major>[0-9])(?P<minor>[0-9]+)(?P<flags>td?|d|)"
"""What a wheel's name says (PEP 425): pp311, cp314t."""
_BARE = ("pypy", "graalpy")
_RANGE = r"(?P<name>c?python|pypy|graalpy|)(?P<range>[<>=!~].*)"
_PRERELEASE = r"==([0-9.]+(?:a|b|rc)[0-9]+)"


class Spec(NamedTuple):  # no dataclass: making one takes longer than reading a request
    """A request: the beginning of a version number, a range of them (PEP 440), or one executable's absolute path.

    `flags` are those of the ABI: "t" is free-threaded (PEP 703), "d" a debug build. Nothing at all allows everything
    that is CPython and of the usual kind.
    """

    version: tuple[int, ...] = ()
    path: str = ""
    implementation: str = "cpython"
    flags: str = ""
    range: str = ""

    def __str__(self) -> str:
        name = "" if self.implementation == "cpython" else self.implementation
        return self.path or f"{name}{self.number}{self.flags}"

    @property
    def named(self) -> bool:
        """Whether anything is asked for at all."""
        return self != _NOTHING

    @property
    def spoken(self) -> str:
        """What is asked for, in words: `Python 3.14 free-threaded`, `PyPy 3.11`, `Python >=3.11`."""
        if self.path:
            return self.path
        name = "Python" if self.implementation == "cpython" else NAMES[self.implementation]
        return " ".join(filter(None, (name, self.number, kind_of(self.flags))))

    @property
    def number(self) -> str:
        """The version or the range as text; a range that allows one pre-release only is that."""
        if not self.range:
            return ".".join(map(str, self.version))
        one = re.fullmatch(_PRERELEASE, self.range)
        return one[1] if one is not None else self.range

    def allows(self, version: tuple[int, ...]) -> bool:
        """Whether an interpreter whose version begins like this can be the one (the unknown rest counts as fitting)."""
        return all(wanted == known for wanted, known in zip(self.version, version))

    def contains(self, version: tuple[int, ...]) -> bool:
        """Whether a fully known version is the one."""
        return version[: len(self.version)] == self.version


_NOTHING = Spec()


def kind_of(flags: str) -> str:
    """The ABI's flags in words: `free-threaded`, `debug`, both, or nothing."""
    return " ".join(word for flag, word in (("t", "free-threaded"), ("d", "debug")) if flag in flags)


def parse_spec(text: str) -> Spec:
    """Read a request; ValueError says what is wrong with it.

    "3.12", "3.12.1", "3", "python3.12", "cp312"; "3.14t", "3.13d", "3.13td"; "pypy3.11", "pypy", "pp311",
    "graalpy3.12"; ">=3.11,<3.13"; uv's "cpython@3.12" and "3.14+freethreaded"; an absolute path.
    """
    wanted = text.strip()
    if _is_absolute(wanted):
        return Spec(path=wanted)
    name = wanted.lower()
    version = numbers(name)
    if 0 < len(version) <= 3:
        return Spec(version)
    if name in _BARE:
        return Spec(implementation=name)
    found = re.fullmatch(_RANGE, name, re.DOTALL)
    if found is not None:
        return _range(_IMPLEMENTATIONS[found["name"]], found["range"], text)
    tag = re.fullmatch(_TAG, name)
    if tag is not None:
        return Spec((int(tag["major"]), int(tag["minor"])), "", _IMPLEMENTATIONS[tag["name"]], tag["flags"])
    found = re.fullmatch(_REQUEST, name)
    if found is None:
        relative = "/" in text or "\\" in text
        hint = "a relative path: give the absolute one" if relative else "no Python version"
        raise ValueError(f"{text!r} is {hint} (expected for example '3.12', '3.14t', 'pypy3.11', '>=3.11' or a path)")
    return _of_request(found)


def _of_request(found: re.Match[str]) -> Spec:
    implementation, flags = _IMPLEMENTATIONS[found["name"]], _flags(found["flags"])
    if found["stage"]:
        return Spec((), "", implementation, flags, f"=={found['version']}{found['stage']}")
    return Spec(tuple(map(int, found["version"].split("."))), "", implementation, flags)


def _flags(text: str) -> str:
    """ "td" of "td" and of uv's "+freethreaded+debug"."""
    if not text.startswith("+"):
        return text
    return ("t" if "+freethreaded" in text else "") + ("d" if "+debug" in text else "")


def _range(implementation: str, text: str, whole: str) -> Spec:
    try:
        allowed(text)
    except ConfigError as error:
        raise ValueError(f"{whole!r} is no range of versions (PEP 440): write it like '>=3.11,<3.13'") from error
    return Spec((), "", implementation, "", ",".join(clause.strip() for clause in text.split(",")))


def _is_absolute(text: str) -> bool:
    """On POSIX or on Windows, whichever this machine is: a hwbfile is read on both."""
    drive = len(text) > 2 and text[0].isalpha() and text[1] == ":" and text[2] in "\\/"
    return text.startswith(("/", "\\\\")) or drive


def split_specs(texts: Sequence[str]) -> list[str]:
    """Requests that are separated by commas, as options give them; a range's own commas do not separate.

    >>> split_specs(["3.10, >=3.11,<3.13", "pypy3.11"])
    ['3.10', '>=3.11,<3.13', 'pypy3.11']
    """
    found: list[str] = []
    for text in texts:
        ranging = False
        for part in filter(None, map(str.strip, text.split(","))):
            if ranging and part[0] in "<>=!~":
                found[-1] += f",{part}"
            else:
                found.append(part)
                ranging = re.match(_RANGE, part.lower()) is not None
    return found


# --------------------------------------------------------------------------------------------------------- ranges


def allowed(specifier: str) -> Callable[[str], bool]:
    """Whether a version satisfies a range (PEP 440; empty: any does). Raises ConfigError for what is none."""
    if not specifier.strip():
        return lambda version: True
    plain = _plain_clauses(specifier)
    if plain is None:
        return _by_packaging(specifier)
    return lambda version: (
        all(_holds(_release(version), *clause) for clause in plain)
        if version.replace(".", "").isdecimal()
        else _by_packaging(specifier)(version)  # a pre-release comes before its release
    )


def _by_packaging(specifier: str) -> Callable[[str], bool]:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        specifiers = SpecifierSet(specifier)
    except InvalidSpecifier as error:
        raise ConfigError(
            f"requires-python {specifier!r} is no version specifier", remedy="write it like '>=3.10' (PEP 440)"
        ) from error
    return lambda version: specifiers.contains(version, prereleases=True)


def _plain_clauses(specifier: str) -> list[tuple[str, tuple[int, ...]]] | None:
    """The clauses of a specifier such as `>=3.8, <4`; None for anything else (packaging's import takes its time)."""
    found = []
    for clause in specifier.split(","):
        sign = next((s for s in (">=", "<=", "<", ">") if clause.strip().startswith(s)), None)
        limit = numbers(clause.strip()[len(sign) :].strip()) if sign else ()
        if sign not in (">=", "<") or not limit:
            return None
        found.append((sign, limit))
    return found


def _release(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _holds(version: tuple[int, ...], sign: str, limit: tuple[int, ...]) -> bool:
    """Whether a release satisfies one clause (PEP 440: missing numbers are zeros)."""
    width = max(len(version), len(limit))
    own, other = ((*one, *(0,) * (width - len(one))) for one in (version, limit))
    return own >= other if sign == ">=" else own < other


# ----------------------------------------------------------------------------------------------- .python-version


class Line(NamedTuple):
    """A line of a `.python-version` file that asks for a Python; `where` is file:line."""

    spec: Spec
    text: str
    where: str


_UV_KEY = r"((?:cpython|pypy|graalpy)-[0-9][^-]*)-\w+-\w+-\w+"
"""How uv names an installation: cpython-3.12.1-linux-x86_64-gnu. The platform may be another machine's."""
_PYENV = r"(pypy[0-9]\.[0-9]+)-v?[0-9][\w.]*|([0-9]\.[0-9]+t?)-dev"
"""How pyenv names PyPy's releases (the Python's version counts here, not PyPy's own) and what is not yet released."""


def read_file(root: str) -> list[Line]:
    """What the project's `.python-version` asks for, in its order; empty without one.

    Comments and empty lines do not count, nor does `system`, pyenv's word for "no choice". Raises ConfigError with the
    line for what is no request: the name of a virtual environment, for example.
    """
    path = os.path.join(root, FILE_NAME)
    try:
        with open(path, "rb") as handle:
            data = handle.read()
    except OSError:
        return []
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{FILE_NAME} is no UTF-8 text", where=f"{path}:1") from error
    plain = [(number, line.partition("#")[0].split()) for number, line in enumerate(lines, 1)]
    return [_line(word, f"{path}:{number}") for number, words in plain for word in words if word != "system"]


def _line(word: str, where: str) -> Line:
    found = re.fullmatch(_UV_KEY, word) or re.fullmatch(_PYENV, word)
    request = next(filter(None, found.groups())) if found is not None else word
    try:
        return Line(parse_spec(request), word, where)
    except ValueError as error:
        remedy = "write a version such as 3.12, or name one elsewhere (--python, python in [tool.hwb])"
        raise ConfigError(str(error), where=where, remedy=remedy) from error
