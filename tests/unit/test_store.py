"""Does the store survive other writers, broken records and directories that cannot be written?"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb import store
from hwb.context import CancelToken, Context, use
from hwb.errors import Cancelled
from hwb.store import Store, fingerprint, open_store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def kept(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@given(st.lists(st.text()), st.lists(st.text()))
def test_different_parts_have_different_fingerprints(left: list[str], right: list[str]) -> None:
    assert (fingerprint(*left) == fingerprint(*right)) == (left == right)
    assert len(fingerprint(*left)) == 32


def test_a_fingerprint_takes_undecodable_file_names() -> None:
    assert fingerprint(os.fsdecode(b"\xff")) != fingerprint("?")


def test_a_record_comes_back(kept: Store) -> None:
    kept.write_json("pins", "a.json", value={"pins": ["six==1"]})
    assert kept.read_json("pins", "a.json") == {"pins": ["six==1"]}


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff\xfe"])
def test_an_unreadable_record_counts_as_missing(kept: Store, content: bytes | None) -> None:
    if content is not None:
        kept.path("pins", "a.json").write_bytes(content)
    assert kept.read_json("pins", "a.json") is None


def test_a_record_that_cannot_be_written_is_no_error(kept: Store) -> None:
    kept.path("pins").write_text("a file where a directory should be")
    kept.write_json("pins", "a.json", value=1)
    assert kept.read_json("pins", "a.json") is None


def test_paths_have_parents(kept: Store) -> None:
    assert kept.path("a", "b", "c").parent.is_dir()
    assert kept.env_path("f").parent.is_dir()
    assert not kept.env_path("f").exists()
    assert kept.wheels_path("cp312").is_dir()
    assert len({kept.path("a"), kept.env_path("a"), kept.wheels_path("a")}) == 3


def test_a_temporary_directory_is_removed_always(kept: Store) -> None:
    with pytest.raises(RuntimeError), kept.temporary("x-") as path:
        (path / "file").write_text("")
        assert path.name.startswith("x-")
        assert kept.root in path.parents
        raise RuntimeError
    assert not path.exists()


def test_locks_of_one_name_exclude_each_other(kept: Store) -> None:
    waited: list[str] = []
    with kept.lock("env") as held, kept.lock("other"):
        other = kept.lock("env", on_wait=waited.append)
        assert not other.acquire(blocking=False)
        releaser = threading.Timer(0.05, held.release)
        releaser.start()
        with other:
            assert waited == [other.path]
        releaser.join()


def test_waiting_for_a_lock_ends_when_the_run_is_called_off(kept: Store) -> None:
    token = CancelToken()
    with kept.lock("env"), use(Context(token=token)):
        lock = kept.lock("env")
        token.cancel("enough")
        with pytest.raises(Cancelled, match="enough"):
            lock.acquire()


def test_the_users_store_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "deep" / "cache"))
    opened = open_store()
    assert opened.root == tmp_path / "deep" / "cache"
    assert open_store() is opened
    assert (opened.root / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "other"))
    assert open_store().root == tmp_path / "other"


def test_a_removed_store_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "cache"))
    (open_store().root / "CACHEDIR.TAG").unlink()
    open_store().root.rmdir()
    assert open_store().root.is_dir()


@pytest.mark.parametrize("how", ["no directory", "read-only"])
def test_a_store_that_cannot_be_written_is_replaced_for_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    cache = tmp_path / "cache"
    if how == "no directory":
        cache.write_text("a file")
    else:
        monkeypatch.setattr("hwb.fs.writable", lambda directory: False)
    monkeypatch.setenv("HWB_CACHE_DIR", str(cache))
    events: list[dict[str, Any]] = []
    cleanups: list[tuple[Any, ...]] = []
    monkeypatch.setattr("atexit.register", lambda *call: cleanups.append(call))
    with use(Context(emit=lambda kind, **fields: events.append({"kind": kind, **fields}))):
        private = open_store()
        assert open_store() is private
    assert [(event["kind"], event["level"]) for event in events] == [("message", "warning")]
    assert str(cache) in events[0]["text"]
    private.write_json("a.json", value=1)
    assert private.read_json("a.json") == 1
    [(remove, path, owner)] = cleanups
    remove(path, owner + 1)
    assert private.root.is_dir(), "a forked child must not remove it"
    remove(path, owner)
    assert not private.root.exists()
    store._opened.pop(str(cache))
