"""What does `hwb cache` show, remove and ask?"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb import pruning
from hwb.cli import invoke
from hwb.cli.cache import _KINDS, _shown_age, parse_age, parse_size
from hwb.cli.output import size_text
from hwb.store import Store, open_store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "store"))
    return open_store()


def source(store: Store, data: bytes = b"bytes", days: float = 0) -> Path:
    path = store.path("sources", "files", hashlib.sha256(data).hexdigest(), "x-1.zip")
    path.write_bytes(data)
    when = time.time() - days * 86400
    os.utime(path, (when, when))
    return path


def test_the_kinds_are_those_of_the_store() -> None:
    assert _KINDS == pruning.KINDS


def test_info_counts(store: Store, capfd: Any) -> None:
    source(store)
    pruning.count_build(hit=True)
    assert invoke(["cache", "info"]) == 0
    out = capfd.readouterr().out
    assert str(store.root) in out
    assert "builds: 1 answered from the store, 0 built" in out
    assert invoke(["cache", "info", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["schema"] == "hwb.cache/1"
    assert told["kinds"]["sources"] == {"count": 1, "size": 5}
    assert (told["size"], told["hits"], told["misses"]) == (5, 1, 0)


def test_list_shows_what_is_there(store: Store, capfd: Any) -> None:
    source(store, days=2)
    marker = store.path("envs", "e", "hwb-env.json")
    marker.write_text(json.dumps({"pins": [f"package-{number}==1" for number in range(20)]}))
    assert invoke(["cache", "list"]) == 0
    out = capfd.readouterr().out.splitlines()
    assert [line.split()[0] for line in out] == ["environments", "sources"]
    assert out[0].endswith("...")
    assert "2 d" in out[1]
    assert out[1].endswith("x-1.zip")
    assert invoke(["cache", "list", "environments"]) == 0
    assert len(capfd.readouterr().out.splitlines()) == 1
    assert invoke(["cache", "list", "sources", "--json"]) == 0
    (row,) = json.loads(capfd.readouterr().out)["entries"]
    assert (row["kind"], row["what"], row["size"]) == ("sources", "x-1.zip", 5)


def test_prune_takes_what_is_older(store: Store, capfd: Any) -> None:
    old, young = source(store, b"old", 31), source(store, b"young", 8)
    assert invoke(["cache", "prune", "--dry-run"]) == 0
    assert "3 B would be freed (1 removed)" in capfd.readouterr().out
    assert invoke(["cache", "prune"]) == 0
    assert "3 B were freed (1 removed)" in capfd.readouterr().out
    assert [old.exists(), young.exists()] == [False, True]
    assert invoke(["cache", "prune", "--older-than", "1w"]) == 0
    assert not young.exists()


def test_prune_to_a_size_looks_at_no_age(store: Store) -> None:
    old, young = source(store, b"old", 31), source(store, b"young", 8)
    assert invoke(["cache", "prune", "--max-size", "1kB"]) == 0
    assert [old.exists(), young.exists()] == [True, True]
    assert invoke(["cache", "prune", "--max-size", "6"]) == 0
    assert [old.exists(), young.exists()] == [False, True]


@pytest.mark.parametrize(
    "words", [["--older-than", "soon"], ["--older-than", "3"], ["--max-size", "big"], ["--max-size", "1y"]]
)
def test_limits_that_are_none(store: Store, words: list[str], capfd: Any) -> None:
    assert invoke(["cache", "prune", *words]) == 2
    assert "is no" in capfd.readouterr().err


def test_verify_ends_with_5_when_something_is_damaged(store: Store, capfd: Any) -> None:
    path = source(store)
    marker = store.path("envs", "e", "hwb-env.json")
    marker.write_text(json.dumps({"pins": ["six==1"], "manifest": "another"}))
    path.write_bytes(b"other")
    assert invoke(["cache", "verify"]) == 5
    out, err = capfd.readouterr()
    assert out == "2 damaged, removed\n"
    assert "damaged: sources" in err
    assert "damaged: environments e (six==1)" in err
    assert not path.exists()
    assert invoke(["cache", "verify"]) == 0
    assert "everything is as it was" in capfd.readouterr().out


def test_clear_needs_a_yes(store: Store, capfd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = source(store)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert invoke(["cache", "clear"]) == 2
    assert "hwb cache clear --yes" in capfd.readouterr().err
    assert path.exists()
    assert invoke(["cache", "clear", "pins", "-y"]) == 0
    assert path.exists()
    assert invoke(["cache", "clear", "--yes"]) == 0
    assert not path.exists()


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 130)])
def test_clear_asks_on_a_terminal(store: Store, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    path = source(store)
    stdin = io.StringIO(answer)
    monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", stdin)
    assert invoke(["cache", "clear"]) == code
    assert path.exists() == (code != 0)


def test_what_is_in_use_is_named(store: Store, capfd: Any) -> None:
    store.path("build", "here", "x").write_text("")
    with store.lock("build-here"):
        assert invoke(["cache", "clear", "--yes"]) == 0
    assert "in use, so it stays: builds here" in capfd.readouterr().err


def test_without_a_command_there_is_help(capfd: Any) -> None:
    assert invoke(["cache"]) == 2
    assert "prune" in capfd.readouterr().out


def test_ages_and_sizes() -> None:
    assert [parse_age(text) for text in ("45s", "90m", "12 h", "30d", "2W")] == [45, 5400, 43200, 2592000, 1209600]
    assert [parse_size(text) for text in ("7", "1.5kB", "5 GB", "1GiB", "2mb")] == [
        7,
        1500,
        5 * 10**9,
        2**30,
        2 * 10**6,
    ]
    assert [_shown_age(seconds) for seconds in (-1, 5, 61, 7300, 2e5)] == ["0 s", "5 s", "1 m", "2 h", "2 d"]
    assert [size_text(size) for size in (5, 1500, 2e6, 3e9, 4e13)] == [
        "5 B",
        "1.5 kB",
        "2.0 MB",
        "3.0 GB",
        "40000.0 GB",
    ]


@given(st.text())
def test_no_text_makes_the_parsers_stumble(text: str) -> None:
    import click

    for parse in (parse_age, parse_size):
        try:
            assert parse(text) >= 0  # type: ignore[operator]
        except click.UsageError:
            pass
