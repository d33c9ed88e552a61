"""Is a result found by its inputs alone, verified when handed out, and forgotten when damaged?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hwb.builder import results
from hwb.builder.results import Kept, Requirements, differences, find, hand_out, keep, last, remember
from hwb.store import open_store

INPUTS = {"sources": "abc", "hwb": "1"}


def no_pins(_identity: str, _requires: object) -> list[str]:
    return []


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    paths = [tmp_path / "x-1.tar.gz", tmp_path / "x-1-py3-none-any.whl"]
    for path in paths:
        path.write_text(path.name)
    return [str(path) for path in paths]


def test_what_was_kept_is_found_by_the_same_inputs(files: list[str]) -> None:
    assert find(INPUTS, no_pins) is None
    kept = keep(INPUTS, files, [])
    assert [one.name for one in kept] == ["x-1.tar.gz", "x-1-py3-none-any.whl"]
    assert find(INPUTS, no_pins) == kept
    assert find(dict(reversed(list(INPUTS.items()))), no_pins) == kept
    assert find({**INPUTS, "hwb": "2"}, no_pins) is None
    assert find({**INPUTS, "more": ""}, no_pins) is None


def test_requirements_that_mean_others_now_are_another_result(files: list[str]) -> None:
    asked: list[Any] = []
    means = ["a==1", "b==1"]

    def pins(identity: str, requires: Any) -> list[str]:
        asked.append((identity, tuple(requires)))
        return means

    kept = keep(INPUTS, files, [Requirements("python", ("a", "b"), ("b==1", "a==1"))])
    assert find(INPUTS, pins) == kept
    assert asked == [("python", ("a", "b"))]
    means[:] = ["a==1", "b==2"]
    assert find(INPUTS, pins) is None
    means[:] = []
    assert find(INPUTS, pins) is None


def test_handing_out_verifies(files: list[str], tmp_path: Path) -> None:
    (first, second) = keep(INPUTS, files, [])
    (tmp_path / "out").mkdir()
    os.utime(first.path, (1, 1))
    assert hand_out([first], str(tmp_path / "out")) == [str(tmp_path / "out" / "x-1.tar.gz")]
    assert (tmp_path / "out" / "x-1.tar.gz").read_text() == "x-1.tar.gz"
    assert os.stat(first.path).st_mtime > 1, "pruning is by age of use"
    for damaged in (b"", b"other bytes"):
        Path(second.path).write_bytes(damaged)
        (tmp_path / "out" / second.name).write_text("from before")
        assert hand_out([first, second], str(tmp_path / "out")) is None
        assert not os.path.exists(second.path)
        assert (tmp_path / "out" / second.name).read_text() == "from before"
    assert hand_out([first, second], str(tmp_path / "out")) is None
    assert sorted(os.listdir(tmp_path / "out")) == ["x-1-py3-none-any.whl", "x-1.tar.gz"]


def test_a_result_whose_files_are_pruned_is_none(files: list[str]) -> None:
    kept = keep(INPUTS, files, [])
    os.unlink(kept[1].path)
    assert find(INPUTS, no_pins) is None


DAMAGE = [
    "",
    "garbage",
    "[]",
    "null",
    "{}",
    '{"files": 1}',
    '{"files": [[1]], "environments": []}',
    '{"environments": 3}',
]


@pytest.mark.parametrize("text", DAMAGE)
def test_a_damaged_record_is_none(files: list[str], text: str) -> None:
    keep(INPUTS, files, [])
    (record,) = (open_store().root / "results").iterdir()
    record.write_text(text)
    assert find(INPUTS, no_pins) is None


@pytest.mark.parametrize("text", [*DAMAGE, '{"inputs": 1, "files": []}'])
def test_a_damaged_record_of_the_last_build_is_none(text: str) -> None:
    remember("project", INPUTS, {"a.py": "1"})
    assert last("project") == (INPUTS, {"a.py": "1"})
    (record,) = (open_store().root / "last").iterdir()
    record.write_text(text)
    before = last("project")
    assert before is None or differences(before, INPUTS, {}) != []


def test_a_store_that_cannot_be_written_keeps_nothing(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    assert keep(INPUTS, files, []) == ()
    assert find(INPUTS, no_pins) is None
    assert [path for path in open_store().root.rglob("*") if path.suffix == ".part"] == []


def test_the_same_bytes_are_kept_once(files: list[str], tmp_path: Path) -> None:
    keep(INPUTS, files, [])
    keep({**INPUTS, "hwb": "2"}, files, [])
    assert len([path for path in (open_store().root / "files").rglob("*") if path.is_file()]) == 2


def test_differences_are_told_files_first() -> None:
    before = ({"sources": "1", "hwb": "1", "old": "x"}, {"same": "1", "changed": "1", "removed": "1"})
    assert differences(before, {"sources": "2", "hwb": "2"}, {"same": "1", "changed": "2", "new": "1"}) == [
        "changed: changed",
        "new: new",
        "removed: removed",
        "hwb: 1 -> 2",
        "old: x -> unset",
    ]
    assert differences(before, {"sources": "2", "hwb": "1", "old": "x"}, before[1]) == ["sources: 1 -> 2"]
    assert differences(before, *before) == []


def test_where_the_bytes_lie() -> None:
    digest = "ab" + "0" * 62
    assert Kept("x", digest, 1).path == str(open_store().root / "files" / "ab" / digest)
    assert results.last("never built") is None
