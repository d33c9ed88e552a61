"""What lies in the store, what of it does nobody need any more, and is the rest what it was when it was put there?

Nothing is taken from under a process that runs: environments and build places are taken by their locks, an
environment that a process was started from stays, and so does what was used within the last hour. What goes is renamed
first, so that nobody finds half of it.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from hwb.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = [
    "AGE",
    "KINDS",
    "Counts",
    "Entry",
    "clear",
    "count_build",
    "counts",
    "entries",
    "prune",
    "prune_sometimes",
    "tree_size",
    "verify",
]

AGE = 30 * 86400.0
"""Seconds after which what nobody used goes by itself (see `prune_sometimes`)."""
_DAY = 86400.0
_GRACE = 3600.0
"""Seconds within which what was used may be in use still: other systems than Linux do not say what a process uses."""
_FOLDERS = {
    "environments": ("envs",),
    "results": ("results", "files"),
    "sources": ("sources",),
    "pins": ("pins",),
    "wheels": ("wheels", "virtualenv"),
    "builds": ("build", "rooms", "kept", "ccache"),
    "notes": ("again", "asked", "last", "preload", "code", "compilers", "trees", "bytecode", "pythons", "images"),
    "temporaries": ("tmp",),
}
KINDS = tuple(_FOLDERS)
"""Kinds of what the store keeps."""
_MARKER = "hwb-env.json"
_COUNTS = "builds.count"
_STAMP = "pruned"


class Entry(NamedTuple):
    """One thing in the store: bytes, the Unix time of its last use, what it is in words, and whether it is a leftover.

    `lock` is the name of the store's lock that whoever works on it holds; empty when there is none.
    """

    kind: str
    name: str
    path: str
    size: int
    used: float
    what: str = ""
    leftover: bool = False
    lock: str = ""


class Counts(NamedTuple):
    """Builds that were answered from the store, and those that were not (CAC-10)."""

    hits: int
    misses: int


# --- what is there ----------------------------------------------------------------------------------------------------


def entries(store: Store, kind: str) -> list[Entry]:
    """Everything of a kind, the longest unused first; KeyError for a kind that is none."""
    listed = {
        "environments": _environments,
        "results": _results,
        "sources": _sources,
        "builds": _builds,
        "temporaries": _temporaries,
    }
    found = listed[kind](store) if kind in listed else _files(store, kind, _FOLDERS[kind])
    return sorted(found, key=lambda entry: (entry.used, entry.name))


def _environments(store: Store) -> Iterator[Entry]:
    for name, path in _children(store.root / "envs"):
        record = store.read_json("envs", name, _MARKER)
        made = isinstance(record, dict)
        pins = " ".join(str(pin).partition(" --hash=")[0] for pin in record.get("pins", ())) if made else ""
        used = _used(os.path.join(path, _MARKER)) if made else _used(path)
        what = (pins or "empty") if made else "unfinished"
        yield Entry("environments", name, path, tree_size(path), used, what, not made, f"env-{name}")


def _results(store: Store) -> Iterator[Entry]:
    known: set[str] = set()
    for name, path in _children(store.root / "results"):
        files = _files_of(store.read_json("results", name))
        kept = [os.fspath(store.root / "files" / sha256[:2] / sha256) for _, sha256 in files]
        known.update(sha256 for _, sha256 in files)
        size = sum(map(_size, (path, *kept)))
        what = ", ".join(name for name, _ in files) or "unreadable"
        yield Entry("results", name, path, size, max(map(_used, (path, *kept))), what, not files)
    for _, folder in _children(store.root / "files"):
        for name, path in _children(folder):
            if name not in known:
                yield Entry("results", name, path, _size(path), _used(path), "belongs to no result", True)


def _files_of(record: Any) -> list[tuple[str, str]]:
    """Name and sha256 of a result's files; empty for what is no record of a result."""
    rows = record.get("files") if isinstance(record, dict) else None
    return [(str(row[0]), str(row[1])) for row in rows or () if isinstance(row, list) and len(row) > 1]


def _sources(store: Store) -> Iterator[Entry]:
    inner = Store(store.root / "sources")
    for name, path in _children(inner.root / "files"):
        names = " ".join(child for child, _ in _children(path))
        used = max((_read(file) for _, file in _children(path)), default=_used(path))
        yield Entry("sources", name, path, tree_size(path), used, names)
    yield from _files(inner, "sources", ("urls",))
    yield from _temporaries(inner, "sources")


def _builds(store: Store) -> Iterator[Entry]:
    for name, path in _children(store.root / "build"):
        yield Entry("builds", name, path, tree_size(path), _used(path), "a build's place", True, f"build-{name}")
    for name, path in _children(store.root / "rooms"):
        what = "of builds in a container"
        yield Entry("builds", f"rooms/{name}", path, tree_size(path), _used(path), what, True, f"room-{name}")
    for name, path in _children(store.root / "ccache"):
        yield Entry(
            "builds", f"ccache/{name}", path, tree_size(path), _used(path), "what a compiler remembers", lock=name
        )
    for name, path in _children(store.root / "kept"):
        yield Entry("builds", f"kept/{name}", path, tree_size(path), _used(path), "of a failed build, kept to look at")


def _temporaries(store: Store, kind: str = "temporaries") -> Iterator[Entry]:
    for name, path in _children(store.root / "tmp"):
        if not name.endswith(".lock"):
            yield Entry(kind, f"tmp/{name}", path, tree_size(path), _used(path), "of a command", True)


def _files(store: Store, kind: str, folders: Iterable[str]) -> Iterator[Entry]:
    """Every file below folders of the store; what a killed process began to write is a leftover."""
    for folder in folders:
        for place, _, names in os.walk(store.root / folder):
            for name in names:
                path = os.path.join(place, name)
                shown = os.path.relpath(path, store.root).replace(os.sep, "/")
                used = _used(path) if folder == "pins" else _read(path)
                yield Entry(kind, shown, path, _size(path), used, _in_words(store, shown), _is_part(name))


def _in_words(store: Store, name: str) -> str:
    if not name.startswith("pins/"):
        return ""
    record = store.read_json(*name.split("/"))
    return " ".join(map(str, record.get("requirements", ()))) if isinstance(record, dict) else ""


def _is_part(name: str) -> bool:
    return name.startswith(".") and name.endswith(".part")


def _children(folder: str | os.PathLike[str]) -> list[tuple[str, str]]:
    try:
        return sorted((entry.name, entry.path) for entry in os.scandir(folder))
    except OSError:
        return []


def tree_size(path: str) -> int:
    """Bytes of a file, or of all files below a directory."""
    if not os.path.isdir(path):
        return _size(path)
    return sum(_size(os.path.join(place, name)) for place, _, names in os.walk(path) for name in names)


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def _used(path: str) -> float:
    """When it was written or touched."""
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return 0.0


def _read(path: str) -> float:
    """The same for what its users only read, as far as the file system notes that; looking at it here must not."""
    try:
        status = os.lstat(path)
    except OSError:
        return 0.0
    return max(status.st_mtime, status.st_atime)


# --- what goes --------------------------------------------------------------------------------------------------------


def prune(
    store: Store, *, older_than: float | None = None, max_size: int | None = None, dry_run: bool = False
) -> list[Entry]:
    """Remove leftovers, what was not used for `older_than` seconds, and the longest unused until `max_size` bytes.

    Returns what went (with `dry_run`: would go). What may be in use stays, whatever the limits are.
    """
    everything = [entry for kind in KINDS for entry in entries(store, kind)]
    chosen = _chosen(everything, older_than, max_size, time.time())
    gone = [entry for entry in chosen if not _in_use(store, entry) and (dry_run or _remove(store, entry))]
    if not dry_run:
        _sweep_files(store, _GRACE)
    return gone


def _chosen(everything: Sequence[Entry], older_than: float | None, max_size: int | None, now: float) -> list[Entry]:
    """Leftovers and old entries first, then the longest unused ones until the rest fits."""
    going = [entry for entry in everything if _is_over(entry, older_than, now)]
    if max_size is None:
        return going
    left = sum(entry.size for entry in everything) - sum(entry.size for entry in going)
    names = {(entry.kind, entry.name) for entry in going}
    for entry in sorted(everything, key=lambda entry: entry.used):
        if left <= max_size:
            break
        if (entry.kind, entry.name) not in names and not entry.leftover and entry.used < now - _GRACE:
            going.append(entry)
            left -= entry.size
    return going


def _is_over(entry: Entry, older_than: float | None, now: float) -> bool:
    if entry.kind == "builds" and entry.leftover:
        return True  # its lock decides
    if entry.leftover:
        return entry.used < now - (_GRACE if entry.lock or entry.kind == "results" else _DAY)
    return older_than is not None and entry.used < now - max(older_than, _GRACE)


def _in_use(store: Store, entry: Entry) -> bool:
    """Whether a process works on it, or was started from it."""
    if entry.kind == "environments" and entry.name in _started_from(store):
        return True
    if not entry.lock:
        return False
    lock = store.lock(entry.lock)
    if not os.path.exists(lock.path):
        return False  # nobody ever took it
    if not lock.acquire(blocking=False):
        return True
    lock.release()
    return False


def _started_from(store: Store) -> set[str]:
    """Environments whose Python runs now, by Linux's list of processes; elsewhere the hour of grace must do."""
    inside = os.fsencode(os.path.join(store.root, "envs", ""))
    found: set[bytes] = set()
    for name, path in _children("/proc") if os.path.isdir("/proc/self") else ():
        if name.isdigit():
            try:
                with open(os.path.join(path, "cmdline"), "rb") as handle:
                    words = handle.read().split(b"\0")
            except OSError:
                continue  # it has ended, or is somebody else's
            found.update(word[len(inside) :].split(b"/")[0] for word in words if word.startswith(inside))
    return {os.fsdecode(name) for name in found}


def _remove(store: Store, entry: Entry) -> bool:
    """Whether it is gone now; whoever holds its lock keeps it."""
    if not entry.lock:
        return _take_away(store, entry.path)
    lock = store.lock(entry.lock)
    if not lock.acquire(blocking=False):
        return False
    try:
        return _take_away(store, entry.path)
    finally:
        lock.release()


def _take_away(store: Store, path: str) -> bool:
    """Rename (at once), then remove; False where the system does not let go of it."""
    from hwb.fs import remove_tree

    away = store.path("tmp", f"removed-{os.getpid()}-{time.monotonic_ns():x}")
    try:
        if not os.path.isdir(path):
            os.unlink(path)
            return True
        os.replace(path, away)
    except OSError:
        return not os.path.lexists(path)
    remove_tree(away)
    return True


def _sweep_files(store: Store, grace: float) -> None:
    """Files that belong to no result; the result of one that was written just now may be about to be."""
    for entry in _results(store):
        if entry.leftover and entry.used < time.time() - grace:
            _take_away(store, entry.path)


def clear(store: Store, kinds: Iterable[str] = KINDS) -> tuple[list[Entry], list[Entry]]:
    """Remove everything of some kinds: what went, and what stayed because it is in use."""
    gone: list[Entry] = []
    stayed: list[Entry] = []
    for kind in kinds:
        for entry in entries(store, kind):
            (gone if not _in_use(store, entry) and _remove(store, entry) else stayed).append(entry)
        if kind == "results":
            _sweep_files(store, 0.0)
    return gone, stayed


def prune_sometimes() -> None:
    """Once a day: remove leftovers and what nobody used for `AGE` seconds. Returns at once when it was done today."""
    store = open_store()
    stamp = os.fspath(store.root / _STAMP)
    try:
        if 0 <= time.time() - os.stat(stamp).st_mtime < _DAY:
            return
    except OSError:
        pass  # for the first time
    try:
        open(stamp, "wb").close()  # before the work: two processes need not do it
        os.utime(stamp)
    except OSError:
        return  # a store that cannot be written cannot be pruned
    prune(store, older_than=AGE)


# --- is it what it was ------------------------------------------------------------------------------------------------


def verify(store: Store, intact: Callable[[str], bool]) -> list[Entry]:
    """Read every kept file again and remove what is damaged; returns that.

    `intact(path)` says whether an environment is as it was made. One that is in use is looked at and, if damaged,
    reported; its user keeps it.
    """
    damaged = [*_damaged_results(store), *_damaged_sources(store)]
    damaged += [one for one in entries(store, "environments") if not one.leftover and not intact(one.path)]
    for entry in damaged:
        if not _in_use(store, entry):
            _remove(store, entry)
    return damaged


def _damaged_results(store: Store) -> Iterator[Entry]:
    """Files whose bytes are not what their name says, and every result that is nothing without them."""
    bad: set[str] = set()
    for _, folder in _children(store.root / "files"):
        for name, path in _children(folder):
            if not _is_part(name) and _sha256(path) != name:
                bad.add(name)
                yield Entry("results", name, path, _size(path), _used(path), "a file with other bytes")
    for entry in entries(store, "results"):
        if entry.path.endswith(".json"):
            names = {sha256 for _, sha256 in _files_of(store.read_json("results", entry.name))}
            missing = {one for one in names if not os.path.isfile(store.root / "files" / one[:2] / one)}
            if entry.leftover or names & bad or missing:
                yield entry


def _damaged_sources(store: Store) -> Iterator[Entry]:
    for entry in entries(store, "sources"):
        if os.path.isdir(entry.path) and not entry.leftover:
            files = [path for name, path in _children(entry.path) if not _is_part(name)]
            if not files or any(_sha256(path) != entry.name for path in files):
                yield entry


def _sha256(path: str) -> str:
    from hwb.fs import sha256_file

    try:
        return sha256_file(path)
    except OSError:
        return ""


# --- hits and misses --------------------------------------------------------------------------------------------------


def count_build(*, hit: bool) -> None:
    """Note that a build was answered from the store, or not: one byte at the end of a file, safe for many writers."""
    try:
        descriptor = os.open(open_store().root / _COUNTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    except OSError:
        return  # a store that cannot be written counts nothing
    try:
        os.write(descriptor, b"+" if hit else b"-")
    finally:
        os.close(descriptor)


def counts(store: Store) -> Counts:
    """How many builds there were since the store was made or cleared."""
    try:
        with open(store.root / _COUNTS, "rb") as handle:
            data = handle.read()
    except OSError:
        return Counts(0, 0)
    return Counts(data.count(b"+"), data.count(b"-"))
