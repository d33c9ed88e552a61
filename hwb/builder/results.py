"""Was exactly this built before, and if not, what is different from the last time?

A result is found by everything that is known before a build starts (`inputs`). It also says which requirements meant
which pins while it was built; if one of them means others by now, it is no result any more. The files themselves are
kept by their sha256 and verified whenever they are handed out.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from hwb.store import fingerprint, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Kept", "Requirements", "differences", "find", "hand_out", "keep", "last", "remember"]

_FORMAT = "result/1"


class Kept(NamedTuple):
    """One file of a result."""

    name: str
    sha256: str
    size: int

    @property
    def path(self) -> str:
        """Where the store has its bytes."""
        return str(open_store().path("files", self.sha256[:2], self.sha256))


class Requirements(NamedTuple):
    """What requirements meant in the environment of an interpreter while something was built."""

    interpreter: str
    requires: tuple[str, ...]
    pins: tuple[str, ...]


def _key(inputs: Mapping[str, str]) -> str:
    return fingerprint(_FORMAT, *(f"{name}={value}" for name, value in sorted(inputs.items())))


def find(inputs: Mapping[str, str], pins: Callable[[str, Sequence[str]], Sequence[str]]) -> tuple[Kept, ...] | None:
    """The files of an earlier build of the same inputs; None when there is none.

    `pins(interpreter identity, requirements)` says what the requirements mean now.
    """
    record = open_store().read_json("results", f"{_key(inputs)}.json")
    try:
        environments = [(identity, list(requires), list(meant)) for identity, requires, meant in record["environments"]]
        files = tuple(Kept(name, sha256, size) for name, sha256, size in record["files"])
    except (TypeError, KeyError, ValueError):
        return None  # none, or one of another shape
    for identity, requires, meant in environments:
        if sorted(pins(identity, requires)) != sorted(meant):
            return None
    return files if all(os.path.isfile(kept.path) for kept in files) else None


def keep(inputs: Mapping[str, str], paths: Sequence[str], environments: Sequence[Requirements]) -> tuple[Kept, ...]:
    """Remember what was built; a disk that is full or read-only only means that it is built again."""
    import shutil

    from hwb.fs import atomic_path, sha256_file

    store = open_store()
    files = []
    for path in paths:
        kept = Kept(os.path.basename(path), sha256_file(path), os.path.getsize(path))
        files.append(kept)
        try:
            with atomic_path(kept.path, durable=False) as target:
                shutil.copyfile(path, target)
        except OSError:
            return ()
    record = {
        "at": time.time(),
        "files": [[kept.name, kept.sha256, kept.size] for kept in files],
        "environments": [[e.interpreter, list(e.requires), list(e.pins)] for e in environments],
    }
    store.write_json("results", f"{_key(inputs)}.json", value=record)
    return tuple(files)


def hand_out(files: Sequence[Kept], out_dir: str) -> list[str] | None:
    """Copy kept files into a directory, all or none; None when the bytes of one changed (it is forgotten)."""
    from contextlib import ExitStack

    from hwb.fs import atomic_path

    finals = [os.path.join(os.path.abspath(out_dir), kept.name) for kept in files]
    try:
        with ExitStack() as stack:
            for kept, final in zip(files, finals):
                _copy_verified(kept, os.fspath(stack.enter_context(atomic_path(final))))
    except _Changed:
        return None
    except OSError as error:
        error.filename = error.filename or out_dir  # a write that fails does not know where
        raise
    for kept in files:
        os.utime(kept.path)  # pruning is by age of use
    return finals


def _copy_verified(kept: Kept, target: str) -> None:
    import hashlib

    digest = hashlib.sha256()
    try:
        source = open(kept.path, "rb")  # noqa: SIM115 - closed below; what is missing is told apart from what is wrong
    except OSError as error:
        raise _Changed from error
    with source, open(target, "wb") as copy:
        while block := source.read(1 << 20):
            digest.update(block)
            copy.write(block)
    if digest.hexdigest() != kept.sha256:
        os.unlink(kept.path)
        raise _Changed


class _Changed(Exception):
    """The store's bytes are not what they were."""


# --- what is different from last time --------------------------------------------------------------------------------


def remember(project: str, inputs: Mapping[str, str], files: Mapping[str, str]) -> None:
    """Note what a project (by its directory) was last built from; `files` maps each source to what stands for it."""
    value: dict[str, Any] = {"inputs": dict(inputs), "files": dict(files)}
    open_store().write_json("last", f"{fingerprint(project)}.json", value=value)


def last(project: str) -> tuple[dict[str, str], dict[str, str]] | None:
    """What the last build was made from; None when there was none."""
    record = open_store().read_json("last", f"{fingerprint(project)}.json")
    found = record if isinstance(record, dict) else {}
    inputs, files = found.get("inputs"), found.get("files")
    return (inputs, files) if isinstance(inputs, dict) and isinstance(files, dict) else None


def differences(
    before: tuple[Mapping[str, str], Mapping[str, str]], inputs: Mapping[str, str], files: Mapping[str, str]
) -> list[str]:
    """What changed, in words, files first."""
    old_inputs, old_files = before
    found = [
        f"{'changed' if name in old_files and name in files else 'new' if name in files else 'removed'}: {name}"
        for name in sorted({*old_files, *files})
        if old_files.get(name) != files.get(name)
    ]
    skipped = {"sources"} if found else set()
    return found + [
        f"{name}: {_brief(old_inputs.get(name))} -> {_brief(inputs.get(name))}"
        for name in sorted({*old_inputs, *inputs} - skipped)
        if old_inputs.get(name) != inputs.get(name)
    ]


def _brief(value: str | None, limit: int = 60) -> str:
    """A value on one line: an interpreter (`path|version|...`) by its version, a long text by its beginning."""
    if not value:
        return "unset"
    if "|" in value:
        return ", ".join("Python " + part.split("|")[1] for part in value.split(", ") if part.count("|") > 1)
    return value if len(value) <= limit else value[:limit] + "..."
