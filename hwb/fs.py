"""How are files written, copied, hashed, locked and removed so that nothing is half done?"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hwb.errors import HwbError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = [
    "FileLock",
    "atomic_path",
    "atomic_write",
    "copy_file",
    "fsync_dir",
    "remove_parts",
    "remove_tree",
    "sha256_file",
    "writable",
]


def fsync_dir(path: str | os.PathLike[str]) -> None:
    """Make a rename in this directory durable (a no-op where directories cannot be opened)."""
    if sys.platform == "win32":
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove_parts(folder: str, names: tuple[str, ...]) -> None:
    """Delete the temporary files that killed processes left in a directory (`.NAME.PID.TIME.part`).

    `names` are the ends of the names that count; what belongs to a living process stays.
    """
    import re

    if not os.path.isdir(folder):
        return
    ends = "|".join(map(re.escape, names))
    pattern = re.compile(rf"\..*(?:{ends})\.(\d+)\.(?:[0-9a-f]+\.)?part")
    for name in os.listdir(folder):
        found = pattern.fullmatch(name)
        if found and not _runs(int(found[1])):
            os.unlink(os.path.join(folder, name))


def _runs(pid: int) -> bool:
    if sys.platform == "win32":
        return True  # the system does not let go of a file that is open, and asking for a process may end it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # somebody else's
    return True


@contextmanager
def atomic_path(target: str | os.PathLike[str], *, durable: bool = True) -> Iterator[Path]:
    """A temporary path beside `target` to write to; renamed onto it when the block succeeds, removed when it fails."""
    from pathlib import Path

    final = Path(target)
    temporary = final.with_name(f".{final.name}.{os.getpid()}.{time.monotonic_ns():x}.part")
    try:
        yield temporary
        if durable:
            with open(temporary, "rb+") as handle:
                os.fsync(handle.fileno())
        os.replace(temporary, final)
        if durable:
            fsync_dir(final.parent)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write(target: str | os.PathLike[str], data: str | bytes, *, durable: bool = True) -> None:
    """Write a whole file, or leave the old one."""
    folder, name = os.path.split(os.fspath(target))
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.{time.monotonic_ns():x}.part")
    try:
        with open(temporary, "wb") as handle:
            handle.write(data.encode(errors="surrogateescape") if isinstance(data, str) else data)
            if durable:
                handle.flush()
                os.fsync(handle.fileno())
        os.replace(temporary, target)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    if durable:
        fsync_dir(folder or ".")


def copy_file(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Copy one file's bytes atomically."""
    import shutil

    with atomic_path(target) as path:
        shutil.copyfile(source, path)


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Hex digest of a file's bytes, read in blocks."""
    import hashlib

    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _force(root: str, function: Callable[..., Any], path: str) -> None:
    """Read-only entries (git objects, Windows files) are made writable and tried once more.

    Nothing outside of the tree changes its mode: not the directory that `root` lies in, nor what a link points to.
    """
    import shutil
    import stat
    from pathlib import Path

    entry = Path(path)
    link = entry.is_symlink()
    try:
        if path != root:
            entry.parent.chmod(stat.S_IRWXU)
        if not link:
            entry.chmod(stat.S_IRWXU)
        if function in (os.unlink, os.rmdir):
            function(path)
        elif not link:
            shutil.rmtree(path, ignore_errors=True)  # a directory that could not be listed
    except OSError:
        pass


def remove_tree(path: str | os.PathLike[str]) -> None:
    """Remove a directory if it is there; what cannot be removed stays without an error (VEN-08)."""
    root = os.fspath(path)
    if not os.path.lexists(root):
        return
    import shutil

    if sys.version_info >= (3, 12):
        shutil.rmtree(root, onexc=lambda function, entry, _error: _force(root, function, entry))
    else:
        shutil.rmtree(root, onerror=lambda function, entry, _error: _force(root, function, entry))


def writable(directory: str | os.PathLike[str]) -> bool:
    """Whether a file can be made there, found out by making one (root ignores mode bits, mounts do not)."""
    probe = os.path.join(directory, f".hwb-probe-{os.getpid()}-{time.monotonic_ns():x}")
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        os.unlink(probe)
    except OSError:
        return False
    return True


class FileLock:
    """An exclusive advisory lock that the kernel releases when its holder dies.

    Use `with FileLock(path, on_wait=...)`; `on_wait(path)` is called once when another process holds it.
    `acquire(blocking=False)` returns whether it was got. Waiting is cancellable: `check` is called while waiting.
    """

    __slots__ = ("_check", "_fd", "_on_wait", "path")

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        on_wait: Callable[[str], None] | None = None,
        check: Callable[[], None] | None = None,
    ) -> None:
        self.path = os.fspath(path)
        self._fd = -1
        self._on_wait = on_wait
        self._check = check

    def acquire(self, *, blocking: bool = True) -> bool:
        """Take the lock; False when `blocking` is false and somebody else has it."""
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        try:
            if not self._wait_for(fd, blocking):
                os.close(fd)
                return False
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        return True

    def _wait_for(self, fd: int, blocking: bool) -> bool:
        delay, told = 0.005, False
        while not _try_lock(fd):
            if not blocking:
                return False
            if not told and self._on_wait is not None:
                self._on_wait(self.path)
            told = True
            if self._check is not None:
                self._check()
            time.sleep(delay)
            delay = min(delay * 1.5, 0.1)
        return True

    def release(self) -> None:
        """Give the lock back; the file stays, so that nobody locks a name that another one unlinked."""
        if self._fd >= 0:
            _unlock(self._fd)
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.release()


if sys.platform == "win32":
    import msvcrt

    def _try_lock(fd: int) -> bool:
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(fd: int) -> None:
        os.lseek(fd, 0, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            import errno

            if error.errno == errno.ENOLCK:
                raise HwbError(
                    f"this file system has no locks: {error}", remedy="set HWB_CACHE_DIR to a local disk"
                ) from error
            raise
        return True

    def _unlock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)
