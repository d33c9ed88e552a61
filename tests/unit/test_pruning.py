"""Does pruning take what nobody needs, leave what somebody uses, and find what is damaged?"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from hwb import pruning
from hwb.pruning import KINDS, Entry, clear, count_build, counts, entries, prune, prune_sometimes, tree_size, verify
from hwb.store import Store, open_store

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "store"))
    return open_store()


def age(path: Path, days: float) -> Path:
    when = time.time() - days * DAY
    os.utime(path, (when, when), follow_symlinks=False)
    return path


def write(path: Path, data: bytes = b"x", days: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return age(path, days)


def environment(store: Store, name: str, days: float, pins: Any = ("six==1",), size: int = 100) -> Path:
    folder = store.root / "envs" / name
    write(folder / "lib" / "module.py", b"x" * size)
    write(folder / "hwb-env.json", json.dumps({"pins": list(pins)}).encode(), days)
    return folder


def result(store: Store, name: str, *files: bytes, days: float = 0) -> list[Path]:
    rows, paths = [], []
    for data in files:
        sha256 = hashlib.sha256(data).hexdigest()
        paths.append(write(store.root / "files" / sha256[:2] / sha256, data, days))
        rows.append([f"{data.decode()}.whl", sha256, len(data)])
    write(store.root / "results" / f"{name}.json", json.dumps({"files": rows}).encode(), days)
    return paths


def names(found: list[Entry]) -> list[str]:
    return [entry.name for entry in found]


def test_an_empty_store_has_nothing(store: Store) -> None:
    assert [entries(store, kind) for kind in KINDS] == [[] for _ in KINDS]
    assert prune(store, older_than=0, max_size=0) == []
    assert verify(store, lambda path: True) == []


def test_a_kind_that_is_none(store: Store) -> None:
    with pytest.raises(KeyError):
        entries(store, "cakes")


def test_an_environment_is_told_by_its_pins(store: Store) -> None:
    environment(store, "b", 1, ["six==1 --hash=sha256:00", "tomli==2"])
    environment(store, "a", 2, [])
    write(store.root / "envs" / "c" / "half", b"", 0)
    found = entries(store, "environments")
    assert [(one.name, one.what, one.leftover) for one in found] == [
        ("a", "empty", False), ("b", "six==1 tomli==2", False), ("c", "unfinished", True),
    ]  # fmt: skip
    assert found[0].size == 100 + (store.root / "envs" / "a" / "hwb-env.json").stat().st_size


def test_a_result_is_as_young_as_its_youngest_file(store: Store) -> None:
    (path, _) = result(store, "r", b"one", b"two", days=40)
    age(path, 3)
    (entry,) = entries(store, "results")
    assert entry.what == "one.whl, two.whl"
    assert 2.9 * DAY < time.time() - entry.used < 3.1 * DAY


def test_looking_is_no_use(store: Store) -> None:
    result(store, "r", b"one", days=40)
    environment(store, "e", 40)
    write(store.root / "pins" / "p.json", b'{"requirements": ["six"]}', 40)
    for _ in range(2):
        found = [entry for kind in ("results", "environments", "pins") for entry in entries(store, kind)]
        assert [time.time() - entry.used > 39 * DAY for entry in found] == [True] * 3
    assert found[2].what == "six"


def test_old_things_go_and_young_ones_stay(store: Store) -> None:
    old, young = environment(store, "old", 31), environment(store, "young", 29)
    (gone,) = result(store, "old", b"old", days=31)
    (kept,) = result(store, "young", b"young", days=29)
    notes = [write(store.root / folder / "x.json", b"{}", 31) for folder in ("again", "last", "trees", "pins")]
    assert len(prune(store, older_than=30 * DAY)) == 2 + len(notes)
    assert [old.exists(), young.exists(), gone.exists(), kept.exists()] == [False, True, False, True]
    assert not any(note.exists() for note in notes)
    assert list((store.root / "tmp").iterdir()) == []


def test_a_dry_run_takes_nothing(store: Store) -> None:
    old = environment(store, "old", 31)
    assert names(prune(store, older_than=30 * DAY, dry_run=True)) == ["old"]
    assert old.exists()


def test_a_file_that_two_results_share_stays_with_the_second(store: Store) -> None:
    (shared,) = result(store, "a", b"same")
    result(store, "b", b"same")
    age(store.root / "results" / "a.json", 40)
    age(store.root / "results" / "b.json", 40)
    age(shared, 40)
    result(store, "b", b"same", b"more")
    age(shared, 40)
    assert names(prune(store, older_than=30 * DAY)) == ["a.json"]
    assert shared.exists()


def test_the_longest_unused_go_until_the_rest_fits(store: Store) -> None:
    for number in range(4):
        environment(store, f"e{number}", 10 - number, size=1000)
    total = sum(entry.size for entry in entries(store, "environments"))
    assert names(prune(store, max_size=total // 2 + 10)) == ["e0", "e1"]
    assert prune(store, max_size=total) == []


def test_what_was_used_within_the_hour_stays_whatever_the_limit_is(store: Store) -> None:
    used = environment(store, "used", 0.01)
    assert prune(store, older_than=0, max_size=0) == []
    assert used.exists()


def test_leftovers_go_without_any_limit(store: Store) -> None:
    gone = [
        write(store.root / "build" / "dead" / "file").parent,
        write(store.root / "pins" / ".x.json.1.2.part", b"x", 2),
        write(store.root / "files" / "ab" / "orphan", b"x", 2),
        age(write(store.root / "tmp" / "sync-1" / "x").parent, 2),
        age(write(store.root / "envs" / "half" / "x").parent, 2),
        write(store.root / "results" / "broken.json", b"[", 2),
    ]
    kept = [
        write(store.root / "files" / "ab" / "fresh"),
        write(store.root / "tmp" / "sync-2" / "x").parent,
        write(store.root / "envs" / "being made" / "x").parent,
        environment(store, "old", 400),
    ]
    assert len(prune(store)) == len(gone)
    assert [path.exists() for path in gone] == [False] * len(gone)
    assert [path.exists() for path in kept] == [True] * len(kept)


@pytest.mark.parametrize(("kind", "folder", "lock"), [("environments", "envs", "env"), ("builds", "build", "build")])
def test_what_is_locked_stays(store: Store, kind: str, folder: str, lock: str) -> None:
    path = store.root / folder / "a"
    environment(store, "a", 100)
    write(store.root / "build" / "a" / "x")
    with store.lock(f"{lock}-a"):
        gone = prune(store, older_than=DAY)
        assert kind not in {entry.kind for entry in gone}
        assert path.exists()
        cleared, stayed = clear(store, [kind])
        assert (cleared, names(stayed)) == ([], ["a"])
    assert kind in {entry.kind for entry in prune(store, older_than=DAY)}
    assert not path.exists()


def test_a_lock_that_is_taken_in_the_last_moment_is_respected(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    path = environment(store, "a", 100)
    monkeypatch.setattr(pruning, "_in_use", lambda store, entry: False)
    with store.lock("env-a"):
        assert prune(store, older_than=DAY) == []
    assert path.exists()


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs Linux's list of processes")
def test_an_environment_that_a_process_was_started_from_stays(store: Store) -> None:
    path = environment(store, "running", 100)
    link = path / "bin" / "python"
    link.parent.mkdir()
    link.symlink_to(os.path.realpath(sys.executable))
    command = [link, "-c", "print(flush=True); input()"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        assert prune(store, older_than=DAY) == []
    finally:
        process.communicate(b"\n")
    assert names(prune(store, older_than=DAY)) == ["running"]


def test_what_somebody_may_want_to_look_at_goes_by_age(store: Store) -> None:
    write(store.root / "kept" / "young" / "file", days=0)
    write(store.root / "ccache" / "room-1" / "object", days=0)
    write(store.root / "rooms" / "left" / "file", days=0)
    for folder, days in (("kept/old", 40), ("ccache/build-2", 40), ("ccache/build-3", 40)):
        write(store.root / folder / "file")
        age(store.root / folder, days)
    with store.lock("build-3"):
        gone = prune(store, older_than=30 * DAY)
    assert set(names(gone)) == {"rooms/left", "ccache/build-2", "kept/old"}


def test_what_cannot_be_removed_is_not_said_to_be_gone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    environment(store, "a", 100)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "replace", refuse)
    assert prune(store, older_than=DAY) == []


def test_clearing_one_kind_leaves_the_others(store: Store) -> None:
    environment(store, "a", 0)
    (kept,) = result(store, "r", b"one")
    gone, stayed = clear(store, ["environments"])
    assert (names(gone), stayed, kept.exists()) == (["a"], [], True)
    assert names(clear(store)[0]) == ["r.json"]
    assert not kept.exists()
    assert [entries(store, kind) for kind in KINDS] == [[] for _ in KINDS]


def source(store: Store, data: bytes, sha256: str = "") -> Path:
    folder = store.root / "sources" / "files" / (sha256 or hashlib.sha256(data).hexdigest())
    return write(folder / "a-1.tar.gz", data)


def test_damaged_files_are_found_and_removed(store: Store) -> None:
    good, bad = result(store, "r", b"good", b"bad")
    result(store, "other", b"good")
    fine, broken = source(store, b"fine"), source(store, b"broken", "0" * 64)
    bad.write_bytes(b"other")
    damaged = verify(store, lambda path: True)
    assert sorted(names(damaged)) == sorted([bad.name, "r.json", "0" * 64])
    assert [path.exists() for path in (good, bad, fine, broken)] == [True, False, True, False]
    assert names(entries(store, "results")) == ["other.json"]
    assert verify(store, lambda path: True) == []


def test_a_result_whose_file_is_gone_is_damaged(store: Store) -> None:
    (path,) = result(store, "r", b"one")
    path.unlink()
    assert names(verify(store, lambda path: True)) == ["r.json"]
    assert entries(store, "results") == []


def test_a_file_that_cannot_be_read_is_damaged(store: Store) -> None:
    (path,) = result(store, "r", b"one")
    path.unlink()
    path.mkdir()
    assert path.name in names(verify(store, lambda path: True))


def test_environments_are_judged_by_who_knows_them(store: Store) -> None:
    good, bad = environment(store, "good", 1), environment(store, "bad", 1)
    write(store.root / "envs" / "unfinished" / "x")
    assert names(verify(store, lambda path: path.endswith("good"))) == ["bad"]
    assert [good.exists(), bad.exists()] == [True, False]


def test_a_damaged_environment_in_use_is_named_and_left_to_its_user(store: Store) -> None:
    path = environment(store, "bad", 1)
    with store.lock("env-bad"):
        assert names(verify(store, lambda path: False)) == ["bad"]
    assert path.exists()


def test_sources_are_listed_with_what_is_known_of_them(store: Store) -> None:
    source(store, b"one")
    write(store.root / "sources" / "urls" / "u.json", b"{}")
    age(write(store.root / "sources" / "tmp" / "source-1-a" / "x").parent, 2)
    write(store.root / "sources" / "tmp" / "source-1-a.lock")
    found = entries(store, "sources")
    assert sorted((entry.what, entry.leftover) for entry in found) == [
        ("", False), ("a-1.tar.gz", False), ("of a command", True),
    ]  # fmt: skip
    assert names(prune(store)) == ["tmp/source-1-a"]


def test_hits_and_misses_are_counted(store: Store) -> None:
    assert counts(store) == (0, 0)
    for hit in (True, False, True):
        count_build(hit=hit)
    assert counts(store) == (2, 1)


def test_a_store_that_cannot_be_written_counts_nothing(store: Store) -> None:
    (store.root / "builds.count").mkdir()
    count_build(hit=True)
    assert counts(store) == (0, 0)


def test_pruning_happens_once_a_day(store: Store) -> None:
    first, second = environment(store, "first", 31), environment(store, "fresh", 1)
    prune_sometimes()
    assert [first.exists(), second.exists()] == [False, True]
    third = environment(store, "third", 31)
    prune_sometimes()
    assert third.exists()
    age(store.root / "pruned", 1.5)
    prune_sometimes()
    assert not third.exists()
    assert time.time() - (store.root / "pruned").stat().st_mtime < DAY


def test_a_store_that_cannot_be_stamped_is_not_pruned(store: Store) -> None:
    path = environment(store, "old", 31)
    age(store.root / "envs", 0)
    (store.root / "pruned").mkdir()
    age(store.root / "pruned", 5)
    prune_sometimes()
    assert path.exists()


def test_the_size_of_a_tree(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b", b"123")
    write(tmp_path / "c", b"45")
    assert [tree_size(str(tmp_path / name)) for name in ("a", "c", "none")] == [3, 2, 0]
    assert tree_size(str(tmp_path)) == 5
