"""Files: whole or not at all, locked, removed."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from hwb import fs
from hwb.errors import HwbError

if TYPE_CHECKING:
    from pathlib import Path


def test_atomic_write_replaces_whole(tmp_path: Path) -> None:
    target = tmp_path / "file"
    fs.atomic_write(target, "one")
    fs.atomic_write(target, b"two", durable=False)

    assert target.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["file"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    target.write_text("old")

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        fs.atomic_write(target, "new")
    with pytest.raises(OSError, match="No space"), fs.atomic_path(target) as path:
        path.write_text("new")

    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_write_that_cannot_begin_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fs.atomic_write(tmp_path / "missing" / "file", "x")


def test_copy_and_hash(tmp_path: Path) -> None:
    source = tmp_path / "a"
    source.write_bytes(b"x" * 3_000_000)
    fs.copy_file(source, tmp_path / "b")

    assert fs.sha256_file(tmp_path / "b") == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_remove_tree_forces_read_only_entries(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    (tree / "inner" / "file").write_text("x")
    (tree / "inner" / "file").chmod(stat.S_IRUSR)
    (tree / "inner").chmod(stat.S_IRUSR | stat.S_IXUSR)
    fs.remove_tree(tree)
    fs.remove_tree(tree)

    assert not tree.exists()


def test_what_resists_is_made_writable_and_tried_once_more(tmp_path: Path) -> None:
    """Called as shutil.rmtree calls it when an entry cannot be removed; root never gets there by itself."""
    tree = tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    file = tree / "file"
    file.write_text("x")
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o400)
    (tree / "link").symlink_to(outside)
    (tree / "folder-link").symlink_to(tmp_path, target_is_directory=True)
    file.chmod(0o400)

    fs._force(str(tree), os.unlink, str(file))
    fs._force(str(tree), os.unlink, str(tree / "link"))
    fs._force(str(tree), os.scandir, str(tree / "inner"))  # a directory that could not be listed
    fs._force(str(tree), os.scandir, str(tree / "folder-link"))
    fs._force(str(tree), os.unlink, str(tree / "missing"))

    assert sorted(os.listdir(tree)) == ["folder-link"]
    assert stat.S_IMODE(outside.stat().st_mode) == 0o400
    before = stat.S_IMODE(tmp_path.stat().st_mode)
    fs._force(str(tree), os.rmdir, str(tree))
    assert stat.S_IMODE(tmp_path.stat().st_mode) == before


def test_a_file_system_without_locks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(_fd: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    def broken(_fd: int, _operation: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(HwbError, match="has no locks"):
        fs.FileLock(tmp_path / "lock").acquire()
    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(OSError, match="Input/output"):
        fs.FileLock(tmp_path / "lock").acquire()


def test_writable_is_found_out_by_writing(tmp_path: Path) -> None:
    assert fs.writable(tmp_path)
    assert not fs.writable(tmp_path / "missing")
    assert os.listdir(tmp_path) == []


def test_a_lock_excludes_and_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    waited: list[str] = []
    first = fs.FileLock(path)
    assert first.acquire()
    assert not fs.FileLock(path).acquire(blocking=False)
    timer = threading.Timer(0.1, first.release)
    timer.start()
    with fs.FileLock(path, on_wait=waited.append) as second:
        assert second.path == str(path)
    timer.join()

    assert waited == [str(path)]
    first.release()


def test_waiting_for_a_lock_can_be_called_off(tmp_path: Path) -> None:
    path = tmp_path / "lock"

    def stop() -> None:
        raise KeyboardInterrupt

    with fs.FileLock(path), pytest.raises(KeyboardInterrupt):
        fs.FileLock(path, check=stop).acquire()


def test_a_lock_dies_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = f"import os, sys; from hwb.fs import FileLock; FileLock({str(path)!r}).acquire(); print('held', flush=True); os.kill(os.getpid(), 9)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert child.stdout == "held\n"
    assert fs.FileLock(path).acquire(blocking=False)


def test_what_killed_processes_left_goes_and_nothing_else(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    number = dead.stdout.decode().strip()
    gone = [f".a.whl.{number}.part", f".manifest.json.{number}.1f6cbb11a2c2.part"]
    stays = [f".a.whl.{os.getpid()}.part", f".other.{number}.part", f"a.whl.{number}.part", ".a.whl.part", "a.whl"]
    for name in (*gone, *stays):
        (tmp_path / name).touch()
    fs.remove_parts(str(tmp_path), (".whl", "manifest.json"))
    assert sorted(os.listdir(tmp_path)) == sorted(stays if sys.platform != "win32" else [*gone, *stays])
    fs.remove_parts(str(tmp_path / "no such directory"), (".whl",))
