"""Which exact files does a pylock file allow for the build requirements of a project, on one interpreter here?

Reads PEP 751 lock files: those of `hwb lock --build`, and those of other tools as far as they name files with a
sha256. What cannot be verified by hash, or is not covered, is refused: `--locked` never asks an index what is newest.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from hwb.errors import ConfigError, DependencyError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packaging.requirements import Requirement

    from hwb.pythons import Interpreter

__all__ = ["FILE_NAME", "Lock", "LockedFile", "LockedPackage", "Target", "locked_pins", "read_lock", "refused"]

FILE_NAME = "pylock.build.toml"
"""PEP 751: `pylock.<name>.toml` is a lock file for one use."""
_REMEDY = "make it anew: hwb lock --build"


class LockedFile(NamedTuple):
    """One file: its name, lower-case sha256, and `url` or `path` (relative to the lock file); size in bytes or None."""

    name: str
    sha256: str
    url: str = ""
    path: str = ""
    size: int | None = None


class LockedPackage(NamedTuple):
    """One version of one project (canonical `name`); an `archive` is a file that a requirement names by its URL."""

    name: str
    version: str
    marker: str = ""
    requires_python: str = ""
    sdist: LockedFile | None = None
    wheels: tuple[LockedFile, ...] = ()
    archive: LockedFile | None = None
    where: str = ""

    @property
    def files(self) -> tuple[LockedFile, ...]:
        """Everything that may be installed."""
        return (*self.wheels, *(file for file in (self.sdist, self.archive) if file is not None))


class Lock(NamedTuple):
    """A lock file; `requires` are the requirements it was made from, None where another tool does not say."""

    path: str
    requires_python: str
    environments: tuple[str, ...]
    packages: tuple[LockedPackage, ...]
    requires: tuple[str, ...] | None = None


# --- reading ----------------------------------------------------------------------------------------------------------


def read_lock(path: str) -> Lock:
    """A lock file, checked. Raises ConfigError with file and line for what PEP 751 forbids or hwb cannot verify."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise ConfigError(f"the lock file cannot be read: {error.strerror}", where=path, remedy=_REMEDY) from error
    return _read(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=8)
def _read(path: str, _size: int, _changed: int) -> Lock:
    from hwb.toml import load_toml

    data = load_toml(path)
    reader = _Reader(path)
    version = data.get("lock-version")
    if not isinstance(version, str) or version.partition(".")[0] != "1":
        raise reader.wrong("lock-version", f"is {version!r}, and hwb reads 1.0 (PEP 751)")
    rows = data.get("packages")
    if not isinstance(rows, list):
        raise reader.wrong("packages", "is missing (PEP 751)")
    tool = data.get("tool")
    own = tool.get("hwb") if isinstance(tool, dict) else None
    return Lock(
        path,
        reader.specifiers(data, "requires-python", path),
        tuple(reader.markers(data)),
        tuple(reader.package(row, number) for number, row in enumerate(rows)),
        reader.requirements(own) if isinstance(own, dict) else None,
    )


class _Reader:
    """Reads the values of one file; what is wrong is an error with its line."""

    def __init__(self, path: str) -> None:
        self._path = path

    def wrong(self, key: str, problem: str, where: str = "") -> ConfigError:
        return ConfigError(f"{key} {problem}", where=where or self._line_of(key), remedy=_REMEDY)

    def _line_of(self, key: str) -> str:
        from hwb.analysis.pyproject import place_of

        return place_of(self._path, key)

    def _package_line(self, number: int) -> str:
        with open(self._path, encoding="utf-8-sig", errors="replace") as handle:
            headers = [line for line, text in enumerate(handle, 1) if text.strip().startswith("[[packages]]")]
        return f"{self._path}:{headers[number]}" if number < len(headers) else self._path

    def text(self, row: dict[str, Any], key: str, where: str) -> str:
        value = row.get(key, "")
        if not isinstance(value, str):
            raise self.wrong(key, "must be a string (PEP 751)", where)
        return value

    def specifiers(self, row: dict[str, Any], key: str, where: str) -> str:
        from hwb.analysis.requirements import specifier_problem

        text = self.text(row, key, where)
        if problem := specifier_problem(text):
            raise self.wrong(key, f"is no version specifier (PEP 440): {problem}", where)
        return text

    def marker(self, text: str, where: str) -> str:
        from packaging.markers import InvalidMarker, Marker

        try:
            return str(Marker(text)) if text else ""
        except InvalidMarker as error:
            problem = str(error).splitlines()[0]
            raise self.wrong("marker", f"{text!r} cannot be understood (PEP 508): {problem}", where) from error

    def markers(self, data: dict[str, Any]) -> Iterator[str]:
        values = data.get("environments", [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise self.wrong("environments", "must be a list of markers (PEP 751)")
        yield from (self.marker(value, self._line_of("environments")) for value in values)

    def requirements(self, own: dict[str, Any]) -> tuple[str, ...] | None:
        from hwb.analysis.requirements import requirement_problem

        values = own.get("requires")
        if values is None:
            return None
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise self.wrong("tool.hwb.requires", "must be a list of requirements", self._path)
        for value in values:
            if problem := requirement_problem(value):
                raise self.wrong("tool.hwb.requires", f"has {value!r}: {problem}", self._path)
        return tuple(values)

    def package(self, row: Any, number: int) -> LockedPackage:
        from hwb.analysis.requirements import canonical, version_problem

        where = self._package_line(number)
        if not isinstance(row, dict) or not isinstance(row.get("name"), str) or not row["name"]:
            raise self.wrong("packages", "has an entry without a name (PEP 751)", where)
        for kind in ("vcs", "directory"):
            if kind in row:
                what = f"{row['name']} comes from a {kind} source, which has no hash to verify"
                raise ConfigError(what, where=where, remedy="require it by version, or by the URL of an archive")
        version = self.text(row, "version", where)
        if version and (problem := version_problem(version)):
            raise self.wrong(f"the version of {row['name']}", f"is none (PEP 440): {problem}", where)
        wheels = row.get("wheels", [])
        if not isinstance(wheels, list):
            raise self.wrong("wheels", "must be a list (PEP 751)", where)
        found = LockedPackage(
            canonical(row["name"]),
            version,
            self.marker(self.text(row, "marker", where), where),
            self.specifiers(row, "requires-python", where),
            self.file(row["sdist"], where) if "sdist" in row else None,
            tuple(self.file(wheel, where) for wheel in wheels),
            self.file(row["archive"], where) if "archive" in row else None,
            where,
        )
        if not found.files or not (version or found.archive):
            raise self.wrong(row["name"], "has no files or no version, so nothing can be verified", where)
        return found

    def file(self, row: Any, where: str) -> LockedFile:
        from urllib.parse import unquote, urlsplit

        if not isinstance(row, dict):
            raise self.wrong("packages", "has a file that is no table (PEP 751)", where)
        url, path = self.text(row, "url", where), self.text(row, "path", where)
        name = self.text(row, "name", where) or unquote(urlsplit(url or path).path).rpartition("/")[2]
        hashes = row.get("hashes")
        sha256 = hashes.get("sha256") if isinstance(hashes, dict) else None
        if not isinstance(sha256, str) or len(sha256) != 64 or set(sha256.lower()) - set("0123456789abcdef"):
            raise self.wrong("hashes", f"of {name or 'a file'} have no sha256", where)
        size = row.get("size")
        if not name or (size is not None and not isinstance(size, int)):
            raise self.wrong("packages", "has a file without a name, or whose size is no number (PEP 751)", where)
        return LockedFile(name, sha256.lower(), url, path, size)


# --- for one interpreter ----------------------------------------------------------------------------------------------


class Target:
    """An interpreter on this machine, as markers (PEP 508) and wheel tags (PEP 425) see it."""

    def __init__(self, interpreter: Interpreter) -> None:
        from packaging.markers import default_environment

        names = {"cpython": "CPython", "pypy": "PyPy", "graalpy": "GraalVM"}
        self.interpreter = interpreter
        self._ranks: dict[object, int] | None = None
        self.environment = {
            **{name: str(value) for name, value in default_environment().items()},
            "python_version": interpreter.minor,
            "python_full_version": interpreter.version,
            "implementation_name": interpreter.implementation,
            "implementation_version": interpreter.version,
            "platform_python_implementation": names.get(interpreter.implementation, interpreter.implementation),
        }

    def allows(self, marker: str) -> bool:
        """Whether a marker holds; an empty one does."""
        from packaging.markers import Marker

        return not marker or Marker(marker).evaluate({**self.environment, "extra": ""})

    def satisfies(self, requires_python: str) -> bool:
        """Whether the interpreter's version is one of these (PEP 440)."""
        from packaging.specifiers import SpecifierSet

        return SpecifierSet(requires_python).contains(self.interpreter.version, prereleases=True)

    def best(self, wheels: Sequence[LockedFile]) -> LockedFile | None:
        """The wheel that an installer would take; None when none of them fits. Raises ConfigError: no wheel's name."""
        ranked = [(rank, wheel) for wheel in wheels if (rank := self._rank(wheel)) is not None]
        return min(ranked, key=lambda pair: pair[0])[1] if ranked else None

    def _rank(self, wheel: LockedFile) -> int | None:
        from packaging.utils import InvalidWheelFilename, parse_wheel_filename

        if self._ranks is None:
            self._ranks = {tag: rank for rank, tag in reversed(list(enumerate(_tags(self.interpreter))))}
        try:
            tags = parse_wheel_filename(wheel.name)[3]
        except InvalidWheelFilename as error:
            raise ConfigError(f"{wheel.name!r} is no name of a wheel: {error}", remedy=_REMEDY) from error
        return min((self._ranks[tag] for tag in tags if tag in self._ranks), default=None)


def _tags(interpreter: Interpreter) -> Iterator[object]:
    """Tags that the interpreter can install, best first: hwb itself may run on another one."""
    import sys

    from packaging import tags

    from hwb import pythons

    same = os.path.realpath(pythons.running().path) == os.path.realpath(interpreter.path)
    if same and interpreter.implementation == sys.implementation.name:
        yield from tags.sys_tags()
        return
    numbers = tuple(map(int, interpreter.minor.split(".")))
    digits = interpreter.minor.replace(".", "")
    if interpreter.implementation == "cpython":
        yield from tags.cpython_tags(numbers, abis=[f"cp{digits}"])
    yield from tags.compatible_tags(numbers, interpreter=f"cp{digits}")


# --- pins -------------------------------------------------------------------------------------------------------------


def locked_pins(path: str, interpreter: Interpreter, requires: Sequence[str]) -> list[str]:
    """Lines `name==version --hash=sha256:...` for everything in the lock that applies to the interpreter.

    A requirement by `file:` URL (a wheel of the workspace) stands for itself, with its hash. Raises ConfigError when
    the file is malformed, RefusedError when it does not cover the interpreter or a requirement.
    """
    lock, target = read_lock(path), Target(interpreter)
    _check_python(lock, target)
    chosen = _applying(lock, target)
    local = _local(requires)
    for text in requires:
        _check_covered(lock, target, chosen, text)
    pins = {name: _pin(package, target) for name, package in chosen.items()}
    return [line for _, line in sorted({**pins, **local}.items())]


def refused(error: DependencyError, path: str) -> RefusedError | None:
    """What to say when an installer did not get the locked files; None when it failed for another reason."""
    if "hash" not in error.detail.lower():
        return None
    what = "what the index has is not what the lock names: a sha256 differs"
    remedy = "find out who changed the file; if you trust the new one: hwb lock --build --upgrade"
    return RefusedError(what, where=path, detail=error.detail, remedy=remedy)


def _check_python(lock: Lock, target: Target) -> None:
    python = target.interpreter
    if not target.satisfies(lock.requires_python):
        what = f"the lock is for Python {lock.requires_python}, not for {python.version}"
        raise RefusedError(what, where=lock.path, remedy=f"hwb lock --build --python {python.minor} (and the others)")
    if lock.environments and not any(map(target.allows, lock.environments)):
        what = f"the lock is for other environments than Python {python.minor} here: {'; '.join(lock.environments)}"
        raise RefusedError(what, where=lock.path, remedy=f"hwb lock --build --python {python.minor} (and the others)")


def _applying(lock: Lock, target: Target) -> dict[str, LockedPackage]:
    """The packages whose markers hold, by name; two of one name are ambiguous (PEP 751)."""
    chosen: dict[str, LockedPackage] = {}
    for package in lock.packages:
        if not target.allows(package.marker):
            continue
        if package.name in chosen:
            what = f"{package.name} is there twice for Python {target.interpreter.minor}"
            raise ConfigError(what, where=package.where, remedy=_REMEDY)
        if not target.satisfies(package.requires_python):
            what = f"{package.name} {package.version} needs Python {package.requires_python}"
            raise RefusedError(what, where=package.where, remedy=_REMEDY)
        chosen[package.name] = package
    return chosen


def _pin(package: LockedPackage, target: Target) -> str:
    if package.archive is not None:
        return f"{package.name} @ {package.archive.url} --hash=sha256:{package.archive.sha256}"
    file = target.best(package.wheels) or package.sdist
    if file is None:
        what = f"no wheel of {package.name} {package.version} in the lock fits Python {target.interpreter.minor} here"
        raise RefusedError(what, where=package.where, remedy=_REMEDY)
    return f"{package.name}=={package.version} --hash=sha256:{file.sha256}"


def _local(requires: Sequence[str]) -> dict[str, str]:
    """Lines for requirements that name a file of this machine."""
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    from hwb.analysis.requirements import name_of
    from hwb.fs import sha256_file

    found = {}
    for text in requires:
        address = text.partition(";")[0].partition("@")[2].strip()
        if address.startswith("file:"):
            sha256 = sha256_file(url2pathname(urlsplit(address).path))
            found[name_of(text)] = f"{text} --hash=sha256:{sha256}"
    return found


def _check_covered(lock: Lock, target: Target, chosen: dict[str, LockedPackage], text: str) -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    wanted = Requirement(text)
    if not target.allows(str(wanted.marker or "")) or (wanted.url or "").startswith("file:"):
        return
    package = chosen.get(canonicalize_name(wanted.name))
    if package is None:
        raise RefusedError(f"the lock does not have the build requirement {text!r}", where=lock.path, remedy=_REMEDY)
    if problem := _problem(lock, package, wanted):
        raise RefusedError(f"the lock does not fit {text!r}: {problem}", where=package.where, remedy=_REMEDY)


def _problem(lock: Lock, package: LockedPackage, wanted: Requirement) -> str:
    """Why a locked package is not what is wanted; empty when it is."""
    if wanted.url:
        known = package.archive.url if package.archive is not None else f"version {package.version}"
        return "" if known == wanted.url.partition("#")[0] else f"it has {known}"
    if package.version and not wanted.specifier.contains(package.version, prereleases=True):
        return f"it has version {package.version}"
    missing = sorted(wanted.extras - _extras(lock, package.name))
    return f"it was made without the extra {', '.join(missing)}" if missing else ""


def _extras(lock: Lock, name: str) -> set[str]:
    """The extras that the lock was made with: PEP 751 does not say, `[tool.hwb]` does."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    known = [Requirement(text) for text in lock.requires or ()]
    return {extra for one in known if canonicalize_name(one.name) == name for extra in one.extras}
