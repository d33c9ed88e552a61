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
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.tags import Tag

__all__ = ["Artifact", "ArtifactView", "Kind", "Ledger", "Verdict", "complete_manifests", "write_manifest"]

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

    __slots__ = ("_artifacts", "_done", "_lock", "_made", "_missing", "_path", "_replaced", "_verdicts")

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._path = None if path is None else os.fspath(path)
        self._lock = threading.Lock()
        self._artifacts: list[Artifact] = []
        self._made: dict[str, list[Artifact]] = {}
        self._done: dict[str, dict[str, str]] = {}
        self._verdicts: list[Verdict] = []
        self._replaced: dict[str, str] = {}
        self._missing: tuple[tuple[str, str], ...] | None = None
        if self._path is not None and os.path.exists(self._path):
            self._load(self._path)
            _cut_torn_line(self._path)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Ledger:
        """What a file says now, without touching it; a last line that a crash tore is left out."""
        ledger = cls(None)
        ledger._load(os.fspath(path))
        return ledger

    @staticmethod
    def records(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
        """The lines as they are, without one that a crash tore. Raises HwbError for any other that is no record."""
        return list(Ledger(None)._records(os.fspath(path)))

    @classmethod
    def of(cls, records: Iterable[dict[str, Any]]) -> Ledger:
        """What these records say, without a file."""
        ledger = cls(None)
        for record in records:
            ledger._take(record)
        return ledger

    def _load(self, path: str) -> None:
        for _ in self._records(path):
            pass

    def _records(self, path: str) -> Iterator[dict[str, Any]]:
        import json

        with open(path, "rb") as handle:
            lines = handle.read().split(b"\n")
        for number, line in enumerate(lines[:-1], 1):  # what follows the last newline was torn by a crash
            try:
                record = json.loads(line)
                self._take(record)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise HwbError("this line of the ledger cannot be read", where=f"{path}:{number}") from error
            yield record

    def _take(self, record: dict[str, Any]) -> None:
        kind = record.get("record")
        if kind == "artifact":
            artifact = Artifact.from_json(record)
            self._artifacts.append(artifact)
            self._made.setdefault(artifact.session, []).append(artifact)
        elif kind == "verdict":
            self._verdicts.append(Verdict.from_json(record))
        elif kind == "replaces":
            self._replaced[record["old"]] = record["new"]
        elif kind == "missing":
            self._missing = tuple((one["identifier"], one["reason"]) for one in record["targets"])
        elif kind == "done":
            self._done[record["session"]] = {name: str(record[name]) for name in ("inputs", "status", "run")}

    def _append(self, *records: dict[str, Any]) -> None:

        with self._lock:
            if self._path is not None and records:
                lines = [_line(record) for record in records]
                _append_durably(self._path, b"".join(line + b"\n" for line in lines))
            for record in records:
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

    def set_missing(self, targets: Iterable[tuple[str, str]]) -> None:
        """Record which wheels of the project this run does not make: identifiers with reasons; none is a fact, too."""
        listed = [{"identifier": identifier, "reason": reason} for identifier, reason in targets]
        self._append({"record": "missing", "targets": listed})

    def add_done(self, session: str, inputs: str, status: str, run: str) -> None:
        """Record that a session ended well: with which `inputs` (a digest), how (success, skipped), in which run."""
        self._append({"record": "done", "session": session, "inputs": inputs, "status": status, "run": run})

    def take_over(self, records: Iterable[dict[str, Any]]) -> None:
        """Record what another ledger says: all of it at once, in its order. Raises OSError."""
        self._append(*records)

    def done(self) -> dict[str, dict[str, str]]:
        """`inputs`, `status` and `run` of each session that ended well; the last record of a session counts."""
        with self._lock:
            return dict(self._done)

    def made_by(self, session: str) -> tuple[Artifact, ...]:
        """Everything that a session recorded, in order, replaced or not."""
        with self._lock:
            return tuple(self._made.get(session, ()))

    def missing(self) -> tuple[tuple[str, str], ...] | None:
        """What `set_missing` said last; None when nobody looked at the whole project."""
        return self._missing

    def artifacts(self) -> tuple[Artifact, ...]:
        """Everything recorded, in order."""
        with self._lock:
            return tuple(self._artifacts)

    def leaves(self) -> tuple[Artifact, ...]:
        """What counts now: the last record of each path, unless its bytes were replaced, and each file once."""
        with self._lock:
            latest = {artifact.path: artifact for artifact in self._artifacts}
            kept = [artifact for artifact in latest.values() if artifact.sha256 not in self._replaced]
            # a wheel that needed no repair was delivered as it is: the copy that came last is the one to take
            last = {(artifact.name, artifact.sha256): artifact for artifact in kept}
            return tuple(artifact for artifact in kept if last[artifact.name, artifact.sha256] is artifact)

    def verdicts(self) -> tuple[Verdict, ...]:
        """Every fact recorded, in order."""
        with self._lock:
            return tuple(self._verdicts)


def _line(record: dict[str, Any]) -> bytes:
    from json import dumps

    try:
        return dumps(record, ensure_ascii=False).encode(errors="surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, which no encoding has: JSON's own spelling
        return dumps(record).encode()


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

    `python` asks for the session's interpreter ("3.12", "3.13t", "pypy3.11"); empty means the running one. With a
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
        what = f"wheel for Python {self._python}" if self._python else "wheel"
        return self._single(self.installable, self.wheels, what)

    @property
    def installable(self) -> tuple[Artifact, ...]:
        """The leaf wheels that this session's interpreter can install, best first (PEP 425's order)."""
        tagged = [(_tags_of(wheel.name), wheel) for wheel in self.wheels]
        rank = _supported(self._python, {tag.abi for tags, _ in tagged for tag in tags})
        ranked = [(min((rank[tag] for tag in tags if tag in rank), default=-1), wheel) for tags, wheel in tagged]
        return tuple(wheel for number, wheel in sorted(ranked, key=lambda pair: pair[0]) if number >= 0)

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


def _supported(python: str, abis: Iterable[str]) -> dict[Tag, int]:
    """Every tag that such a Python installs on this machine, with its rank: 0 is best (PEP 425).

    `abis` are those of the wheels in question: which of them a PyPy has, its version does not tell, only its name.
    """
    from packaging import tags

    from hwb.pyspec import parse_spec

    if not python:
        return {tag: rank for rank, tag in enumerate(tags.sys_tags())}
    spec = parse_spec(python)
    digits = "".join(map(str, spec.version[:2]))
    interpreter = {"pypy": "pp", "graalpy": "gp"}.get(spec.implementation, "cp") + digits
    if spec.implementation == "cpython":
        letters = dict.fromkeys((spec.flags, spec.flags.rstrip("d")))  # a debug build takes the others' wheels, too
        own = tags.cpython_tags(spec.version[:2], [interpreter + flags for flags in letters] if spec.flags else None)
    else:
        named = f"{spec.implementation}{digits}_"
        own = tags.generic_tags(interpreter, sorted(abi for abi in abis if abi.startswith(named)))
    ordered = (*own, *tags.compatible_tags(spec.version[:2], interpreter))
    return {tag: rank for rank, tag in enumerate(ordered)}


def write_manifest(directory: str | os.PathLike[str], ledger: Ledger, facts: Mapping[str, Any] | None = None) -> None:
    """Write `.hwb/manifest.json` and `.hwb/SHA256SUMS` (for `sha256sum -c`, run in `directory`) beside the artifacts.

    They lie in a dot folder because an uploader given `dist/*` refuses whatever is no distribution. What an earlier
    manifest says of other files that are still there stays; `facts` are said of each of these. Artifacts elsewhere are
    left out; when there is none here, nothing is written. `missing` are the wheels that the last look at the whole
    project found impossible to make where it was, without those that were made since.
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
        known = _known(place)
        rows = {row["name"]: row for row in known.get("artifacts", ())}
        verdicts = ledger.verdicts()
        rows |= {a.name: {**_told(rows, a), **_manifest_row(a, verdicts), **(facts or {})} for a in here}
        listed = [rows[name] for name in sorted(rows)]
        told = {"schema": MANIFEST_SCHEMA, "artifacts": listed, **_still_missing(known, ledger, listed)}
        text = dumps(told, indent=2, ensure_ascii=False)
        atomic_write(os.path.join(folder, "manifest.json"), text + "\n")
        atomic_write(os.path.join(folder, "SHA256SUMS"), "".join(f"{r['sha256']}  {r['name']}\n" for r in listed))


def complete_manifests(ledger: Ledger) -> None:
    """Add the verdicts of a run that is over to the manifests beside its artifacts. Raises OSError."""
    if ledger.verdicts():
        for place in dict.fromkeys(os.path.dirname(artifact.path) for artifact in ledger.leaves()):
            if os.path.exists(os.path.join(place, ".hwb", "manifest.json")):
                write_manifest(place, ledger)


def _known(place: str) -> dict[str, Any]:
    """The manifest that is there, with the rows whose file is still the one they speak of."""
    from json import loads

    from hwb.fs import sha256_file

    try:
        with open(os.path.join(place, ".hwb", "manifest.json"), encoding="utf-8") as handle:
            told = loads(handle.read())
        named = [(row, os.path.join(place, os.path.basename(row["name"]))) for row in told["artifacts"]]
        rows = [row for row, path in named if os.path.isfile(path) and sha256_file(path) == row["sha256"]]
        return {"artifacts": rows, "missing": [dict(one) for one in told.get("missing", ())]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # none, or one that something else wrote


def _still_missing(known: dict[str, Any], ledger: Ledger, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """`missing` of a manifest, left out when nothing is."""
    said = ledger.missing()
    listed = known.get("missing", []) if said is None else [{"identifier": i, "reason": r} for i, r in said]
    made = {row["session"].partition("(")[2].rstrip(")") for row in rows}
    found = [one for one in listed if one.get("identifier") not in made]
    return {"missing": found} if found else {}


def _told(rows: Mapping[str, dict[str, Any]], artifact: Artifact) -> dict[str, Any]:
    """What the manifest says of these very bytes so far."""
    row = rows.get(artifact.name, {})
    return row if row.get("sha256") == artifact.sha256 else {}


def _manifest_row(artifact: Artifact, verdicts: tuple[Verdict, ...]) -> dict[str, Any]:
    """One artifact without paths of this machine, with the last word of each kind of verdict."""
    row = {key: value for key, value in artifact.to_json().items() if key != "path"}
    said = {v.verdict: {"ok": v.ok, "detail": v.detail} for v in verdicts if v.sha256 == artifact.sha256}
    return {**row, "verdicts": said}
