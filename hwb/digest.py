"""Have the sources of a project changed: one digest of everything that a build may read?

In git it is made of what git keeps anyway (object names of the index, status, refs) and of the bytes of what is
changed or untracked; elsewhere of every file's bytes, read again only when size, time or inode changed.
"""

from __future__ import annotations

import os

from hwb.litter import built_here, is_artifact, is_output, is_source_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    import hashlib
    from collections.abc import Iterator, Sequence

    from hwb.git import State

__all__ = ["content", "git_digest", "plain_digest", "plain_files", "untracked"]

_RACY_NS = 2_000_000_000
"""A file that was written this short a time before its bytes were read may have changed since without a new time."""


_MUCH = 1 << 20
"""Bytes from which on OpenSSL's sha256 makes up for the time that it takes to load."""


def _sha256(size: int = 0) -> hashlib._Hash:
    if size < _MUCH:
        try:
            from _sha2 import sha256  # type: ignore[import-not-found,unused-ignore]  # CPython 3.12
        except ImportError:
            pass
        else:
            found: hashlib._Hash = sha256()
            return found
    import hashlib

    return hashlib.sha256()


def untracked(state: State, exclude: Sequence[str] = ()) -> list[str]:
    """Untracked files that are sources: not ignored, and no output of a build or tool; `exclude` as real paths."""
    top = state.repository.top
    below = frozenset(
        os.path.relpath(path, top).replace(os.sep, "/") for path in exclude if path.startswith(top + os.sep)
    )
    found = [name for name in state.untracked if not is_output(name, state.repository.prefix, below)]
    suspects = {name for name in found if is_artifact(name)}
    if suspects:
        folders = {name.rpartition("/")[0] for name in suspects}
        folders = {folder for folder in folders if built_here(os.path.join(top, folder))}
        found = [name for name in found if name not in suspects or name.rpartition("/")[0] not in folders]
    return found


def git_digest(state: State, exclude: Sequence[str] = (), included: Sequence[str] = ()) -> str:
    """Hex digest of a working tree, submodules included; `included` are ignored files that count nevertheless."""
    digest = _sha256(len(state.files))
    for text in (state.head or "", state.branch or ""):
        digest.update(text.encode(errors="surrogateescape") + b"\n")
    for part in (state.refs, state.files):
        digest.update(b"%d\n" % len(part))
        digest.update(part)
    names = [*state.changed, *untracked(state, exclude), *included]
    if not state.plain:
        names += [name for flag, mode, _, name in state.entries if flag != "H" or mode == "160000"]
    for name in sorted(set(names)):
        digest.update(name.encode(errors="surrogateescape") + b"\0" + content(state, name) + b"\n")
    return digest.hexdigest()


def content(state: State, name: str) -> bytes:
    """What stands for a file's bytes and mode, a link's target, a nested repository's state."""
    path = os.path.join(state.repository.top, name.rstrip("/"))
    if os.path.isdir(path) and not os.path.islink(path):
        from hwb.git import discover, read_state

        inner = discover(os.path.realpath(path))
        if inner is None or inner.top == state.repository.top:
            return b"directory"
        return git_digest(read_state(inner)).encode()
    return _file_content(path)


def _file_content(path: str) -> bytes:
    try:
        if os.path.islink(path):
            return b"link " + os.fsencode(os.readlink(path))
        digest = _sha256()
        with open(path, "rb") as handle:
            mode = os.fstat(handle.fileno()).st_mode
            while block := handle.read(1 << 20):
                digest.update(block)
    except OSError:
        return b"gone"
    return (b"x " if mode & 0o100 else b"- ") + digest.hexdigest().encode()


# --- trees without git -----------------------------------------------------------------------------------------------


def plain_files(root: str, exclude: Sequence[str] = ()) -> Iterator[str]:
    """The sources of a tree without git, relative: everything but repositories, environments, caches and outputs.

    Raises SourceError for a directory that cannot be read.
    """
    # an unpacked sdist is no working tree: its egg-info is what setuptools knows the files by
    unpacked = os.path.isfile(os.path.join(root, "PKG-INFO"))
    outside = frozenset(exclude)
    for folder, folders, files in os.walk(root, onerror=_unreadable):
        below = "" if folder == root else os.path.relpath(folder, root) + os.sep
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        if ".hwb" in folders and built_here(folder):
            files = [name for name in files if not is_artifact(name)]
        folders[:] = sorted(
            name
            for name in folders
            if name not in links and is_source_dir(folder, name, root, outside, unpacked=unpacked)
        )
        yield from (below + name for name in (*files, *links))


def _unreadable(error: OSError) -> None:
    from hwb.errors import SourceError

    raise SourceError(f"a source directory cannot be read: {error.strerror}", where=str(error.filename)) from error


def plain_digest(root: str, exclude: Sequence[str] = ()) -> tuple[str, dict[str, str]]:
    """Hex digest of a tree without git, and what stands for each file; remembered by size, times, inode and mode."""
    import time

    from hwb.store import fingerprint, open_store

    store, record = open_store(), ("trees", f"{fingerprint(root)}.json")
    known = store.read_json(*record)
    known = known if isinstance(known, dict) else {}
    now, fresh, contents = time.time_ns(), {}, {}
    for name in sorted(plain_files(root, exclude)):
        signature = _signature(os.path.join(root, name))
        old = known.get(name)
        text = old[1] if isinstance(old, list) and len(old) == 2 and old[0] == signature[0] else None
        contents[name] = text or os.fsdecode(_file_content(os.path.join(root, name)))
        if signature[1] < now - _RACY_NS:
            fresh[name] = [signature[0], contents[name]]
    if fresh != known:
        store.write_json(*record, value=fresh)
    digest = _sha256()
    for name, text in contents.items():
        digest.update(f"{name}\0{text}\n".encode(errors="surrogateescape"))
    return digest.hexdigest(), contents


def _signature(path: str) -> tuple[str, int]:
    """A text that changes with the file, and its latest time in nanoseconds."""
    try:
        status = os.lstat(path)
    except OSError:
        return "gone", 0
    shown = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino} {status.st_mode:o}"
    return shown, max(status.st_mtime_ns, status.st_ctime_ns)
