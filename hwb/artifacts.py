"""Which files did a run make, which of them replaced which, and what was found out about each?

The ledger is append-only JSON lines, one record each, fsynced; everything else (what `session.artifacts` shows,
`dist/.hwb/manifest.json`, `SHA256SUMS`) is computed from it. Verdicts are facts about bytes, so they carry a hash.
"""

from __future__ import annotations

import os
import threading
from dataclasses import asdict, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from hwb.errors import HwbError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.tags import Tag

__all__ = ["Artifact", "ArtifactView", "Kind", "Ledger", "Verdict", "write_manifest"]

MANIFEST_SCHEMA = "hwb.manifest/1"
_MISSING_REMEDY = 'require a recipe that makes it: requires=["build"]'


class Kind(Enum):
    """What a file is, told by its name."""

    SDIST = "sdist"
    WHEEL = "wheel"
    OTHER = "other"

    @classmethod
    def of_name(cls, name: str) -> Kind:
        """A `.whl` is a wheel, a `.tar.gz` a source distribution (PEP 625), all else is other."""
        if name.endswith(".whl"):
            return cls.WHEEL
        return cls.SDIST if name.endswith(".tar.gz") else cls.OTHER


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file with its sha256 (hex), size in bytes and origin; `parent` is the sha256 of what it was made from."""

    path: str
    name: str
    kind: Kind
    sha256: str
    size: int
    producer: str
    session: str
    parent: str = ""

    def __fspath__(self) -> str:
        return self.path

    @classmethod
    def of_file(cls, path: str | os.PathLike[str], producer: str, session: str, parent: str = "") -> Artifact:
        """Measure a file that is there. Raises HwbError when it is not."""
        from hwb.fs import sha256_file

        place = os.path.abspath(path)
        try:
            digest, size = sha256_file(place), os.path.getsize(place)
        except OSError as error:
            raise HwbError(f"the artifact {place} cannot be read: {error.strerror}") from error
        name = os.path.basename(place)
        return cls(place, name, Kind.of_name(name), digest, size, producer, session, parent)

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back."""
        return {**asdict(self), "kind": self.kind.value}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Artifact:
        """The inverse of `to_json`; unknown keys are ignored, so that an older hwb reads a newer ledger."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        return cls(**{**known, "kind": Kind(data["kind"])})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found out about some bytes: `verdict` is checked, tested, published or verified."""

    sha256: str
    name: str
    verdict: str
    ok: bool
    detail: str

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Verdict:
        """The inverse of `to_json`; unknown keys are ignored."""
        return cls(**{name: data[name] for name in cls.__dataclass_fields__})


class Ledger:
    """The record of a run; several threads may add, one process writes, anybody may read at any time."""

    __slots__ = ("_artifacts", "_lock", "_path", "_replaced", "_verdicts")

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._path = None if path is None else os.fspath(path)
        self._lock = threading.Lock()
        self._artifacts: list[Artifact] = []
        self._verdicts: list[Verdict] = []
        self._replaced: dict[str, str] = {}
        if self._path is not None and os.path.exists(self._path):
            self._load(self._path)
            _cut_torn_line(self._path)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Ledger:
        """What a file says now, without touching it; a last line that a crash tore is left out."""
        ledger = cls(None)
        ledger._load(os.fspath(path))
        return ledger

    def _load(self, path: str) -> None:
        import json

        with open(path, "rb") as handle:
            lines = handle.read().split(b"\n")
        for number, line in enumerate(lines[:-1], 1):  # what follows the last newline was torn by a crash
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise HwbError("this line of the ledger cannot be read", where=f"{path}:{number}") from error

    def _take(self, record: dict[str, Any]) -> None:
        kind = record.get("record")
        if kind == "artifact":
            self._artifacts.append(Artifact.from_json(record))
        elif kind == "verdict":
            self._verdicts.append(Verdict.from_json(record))
        elif kind == "replaces":
            self._replaced[record["old"]] = record["new"]

    def _append(self, record: dict[str, Any]) -> None:
        from json import dumps

        with self._lock:
            if self._path is not None:
                _append_durably(self._path, dumps(record, ensure_ascii=False).encode(errors="surrogateescape") + b"\n")
            self._take(record)

    def add(self, artifact: Artifact) -> None:
        """Record a file."""
        self._append({"record": "artifact", **artifact.to_json()})

    def add_verdict(self, verdict: Verdict) -> None:
        """Record a fact about a file's bytes."""
        self._append({"record": "verdict", **verdict.to_json()})

    def replaces(self, old_sha256: str, new_sha256: str) -> None:
        """Record that one artifact took another's place (a repaired wheel that of the built one)."""
        if old_sha256 != new_sha256:
            self._append({"record": "replaces", "old": old_sha256, "new": new_sha256})

    def artifacts(self) -> tuple[Artifact, ...]:
        """Everything recorded, in order."""
        with self._lock:
            return tuple(self._artifacts)

    def leaves(self) -> tuple[Artifact, ...]:
        """What counts now: the last record of each path, unless its bytes were replaced."""
        with self._lock:
            latest = {artifact.path: artifact for artifact in self._artifacts}
            return tuple(artifact for artifact in latest.values() if artifact.sha256 not in self._replaced)

    def verdicts(self) -> tuple[Verdict, ...]:
        """Every fact recorded, in order."""
        with self._lock:
            return tuple(self._verdicts)


def _append_durably(path: str, line: bytes) -> None:
    """One write in append mode, then fsync: a crash tears at most the last line."""
    from hwb.redact import write_all

    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
    try:
        write_all(fd, line)
        os.fsync(fd)
    finally:
        os.close(fd)


def _cut_torn_line(path: str) -> None:
    """Before appending to a ledger of a crashed run: what follows its last newline would spoil the next line."""
    with open(path, "rb+") as handle:
        data = handle.read()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            handle.truncate(whole)


class ArtifactView:
    """What a recipe sees as `session.artifacts`: the leaves of a ledger, perhaps of one producer only.

    `python` is the session's interpreter as its minor version ("3.12", "3.13t"); empty means the running one. With a
    `session` that makes one wheel, that one is meant by `wheel`.
    """

    __slots__ = ("_ledger", "_producer", "_python", "_session")

    def __init__(self, ledger: Ledger, python: str = "", producer: str | None = None, *, session: str = "") -> None:
        self._ledger = ledger
        self._python = python
        self._producer = producer
        self._session = session

    def __getitem__(self, producer: str) -> ArtifactView:
        return ArtifactView(self._ledger, self._python, producer, session=self._session)

    def __iter__(self) -> Iterator[Artifact]:
        leaves = self._ledger.leaves()
        return iter([a for a in leaves if self._producer is None or a.producer == self._producer])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _of(self, kind: Kind) -> tuple[Artifact, ...]:
        return tuple(artifact for artifact in self if artifact.kind is kind)

    @property
    def wheels(self) -> tuple[Artifact, ...]:
        """Every leaf wheel, whatever it is for."""
        return self._of(Kind.WHEEL)

    @property
    def sdists(self) -> tuple[Artifact, ...]:
        """Every leaf source distribution."""
        return self._of(Kind.SDIST)

    @property
    def wheel(self) -> Artifact:
        """The one leaf wheel that this session's interpreter can install. Raises HwbError when it is not one."""
        if self._session:
            own = tuple(wheel for wheel in self.wheels if wheel.session == self._session)
            return self._single(own, self.wheels, f"wheel of {self._session}")
        tags = _supported(self._python)
        fitting = tuple(wheel for wheel in self.wheels if _tags_of(wheel.name) & tags)
        return self._single(fitting, self.wheels, f"wheel for Python {self._python}" if self._python else "wheel")

    @property
    def sdist(self) -> Artifact:
        """The one leaf source distribution. Raises HwbError when it is not one."""
        return self._single(self.sdists, self.sdists, "sdist")

    def _single(self, found: tuple[Artifact, ...], seen: tuple[Artifact, ...], what: str) -> Artifact:
        different = {artifact.sha256: artifact for artifact in found}
        if len(different) == 1:
            return next(iter(different.values()))
        of = f" made by {self._producer!r}" if self._producer else ""
        problem = f"{len(different)} artifacts are a {what}" if different else f"no artifact is a {what}"
        shown = "\n".join(f"{a.name}  (made by {a.session})" for a in (found or seen))
        remedy = "ask for one of session.artifacts.wheels or .sdists" if different else _MISSING_REMEDY
        raise HwbError(f"{problem}{of}", detail=shown or "(there are no artifacts of this kind)", remedy=remedy)


def _tags_of(name: str) -> frozenset[Tag]:
    """The tags a wheel's name claims; nothing for a name that is none (the check recipe says why)."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        return parse_wheel_filename(name)[3]
    except InvalidWheelFilename:
        return frozenset()


def _supported(python: str) -> frozenset[Tag]:
    """Every tag that a CPython of that minor version installs on this machine (PEP 425)."""
    from packaging import tags

    if not python:
        return frozenset(tags.sys_tags())
    threaded = python.endswith("t")
    major, minor = python.rstrip("t").split(".")[:2]
    version = (int(major), int(minor))
    abis = [f"cp{major}{minor}t"] if threaded else None
    interpreter = f"cp{major}{minor}"
    return frozenset((*tags.cpython_tags(version, abis), *tags.compatible_tags(version, interpreter)))


def write_manifest(directory: str | os.PathLike[str], ledger: Ledger, facts: Mapping[str, Any] | None = None) -> None:
    """Write `.hwb/manifest.json` and `.hwb/SHA256SUMS` (for `sha256sum -c`, run in `directory`) beside the artifacts.

    They lie in a dot folder because an uploader given `dist/*` refuses whatever is no distribution. What an earlier
    manifest says of other files that are still there stays; `facts` are said of each of these. Artifacts elsewhere are
    left out; when there is none here, nothing is written.
    """
    from json import dumps

    from hwb.fs import FileLock, atomic_write, remove_parts

    place = os.path.abspath(directory)
    here = [artifact for artifact in ledger.leaves() if os.path.dirname(artifact.path) == place]
    if not here:
        return
    folder = os.path.join(place, ".hwb")
    os.makedirs(folder, exist_ok=True)
    with FileLock(os.path.join(folder, "lock")):
        remove_parts(folder, ("manifest.json", "SHA256SUMS"))
        rows = {row["name"]: row for row in _known_rows(place)}
        rows |= {a.name: {**_manifest_row(a, ledger.verdicts()), **(facts or {})} for a in here}
        listed = [rows[name] for name in sorted(rows)]
        text = dumps({"schema": MANIFEST_SCHEMA, "artifacts": listed}, indent=2, ensure_ascii=False)
        atomic_write(os.path.join(folder, "manifest.json"), text + "\n")
        atomic_write(os.path.join(folder, "SHA256SUMS"), "".join(f"{r['sha256']}  {r['name']}\n" for r in listed))


def _known_rows(place: str) -> list[dict[str, Any]]:
    """Rows of the manifest that is there whose file is still the one they speak of."""
    from json import loads

    from hwb.fs import sha256_file

    try:
        with open(os.path.join(place, ".hwb", "manifest.json"), encoding="utf-8") as handle:
            rows = loads(handle.read())["artifacts"]
        named = [(row, os.path.join(place, os.path.basename(row["name"]))) for row in rows]
        return [row for row, path in named if os.path.isfile(path) and sha256_file(path) == row["sha256"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # none, or one that something else wrote


def _manifest_row(artifact: Artifact, verdicts: tuple[Verdict, ...]) -> dict[str, Any]:
    """One artifact without paths of this machine, with the last word of each kind of verdict."""
    row = {key: value for key, value in artifact.to_json().items() if key != "path"}
    said = {v.verdict: {"ok": v.ok, "detail": v.detail} for v in verdicts if v.sha256 == artifact.sha256}
    return {**row, "verdicts": said}
