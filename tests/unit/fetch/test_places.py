"""Do places vanish with whoever needed them, and do subdirectories stay inside?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb.errors import SourceError
from hwb.fetch.places import inside_path, project_directory, take_place
from hwb.store import Store


def content(store: Store) -> list[str]:
    return sorted(os.listdir(store.root / "tmp"))


def test_a_place_is_empty_and_goes_away(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    place = take_place(store)
    assert list(place.path.iterdir()) == []
    (place.path / "x").write_text("x")
    place.remove()
    place.remove()
    assert content(store) == []


def test_what_a_killed_process_left_is_removed_and_what_is_in_use_stays(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    code = (
        "import os, sys, pathlib; from hwb.fetch.places import take_place; from hwb.store import Store;"
        "place = take_place(Store(pathlib.Path(sys.argv[1]))); (place.path / 'f').write_text('x');"
        "print(place.path); sys.stdout.flush(); os._exit(9)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", code, str(store.root)], capture_output=True, text=True, env=env, check=False
    )
    left = Path(done.stdout.strip())
    assert (left / "f").exists()
    first = take_place(store)
    assert not left.exists()
    second = take_place(store)
    assert first.path.exists()
    assert second.path.exists()
    first.remove()
    second.remove()
    assert content(store) == []


def test_what_others_keep_there_is_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    other = store.path("tmp", "download-x")
    other.mkdir()
    take_place(store).remove()
    assert other.exists()


@pytest.mark.parametrize(
    ("given_", "plain"), [(None, ""), ("", ""), (".", ""), ("a/b/", "a/b"), ("./a//b", "a/b"), ("a\\b", "a/b")]
)
def test_subdirectories_become_plain(given_: str | None, plain: str) -> None:
    assert inside_path(given_) == plain


@pytest.mark.parametrize(
    "bad", ["..", "a/../../b", "/etc", "\\x", "C:\\x", "c:x", "a\0b", "-x", "a/.git", ".git/hooks"]
)
def test_subdirectories_that_lead_out(bad: str) -> None:
    with pytest.raises(SourceError, match="leads out of the source"):
        inside_path(bad)


@given(st.text())
def test_a_plain_subdirectory_is_always_below(text: str) -> None:
    try:
        plain = inside_path(text)
    except SourceError:
        return
    assert os.path.normpath(os.path.join("/top", plain)).startswith("/top")
    assert inside_path(plain) == plain


def test_project_directory(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    assert project_directory(tmp_path, None) == tmp_path
    assert project_directory(tmp_path, "a/b") == tmp_path / "a" / "b"
    with pytest.raises(SourceError, match="no directory 'c'") as caught:
        project_directory(tmp_path, "c")
    assert caught.value.remedy == "its directories are a"
    with pytest.raises(SourceError) as caught:
        project_directory(tmp_path / "a" / "b", "c")
    assert caught.value.remedy == "it has no directories"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_that_leads_out_is_no_project(tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "out").symlink_to("..")
    with pytest.raises(SourceError, match="link that leads out"):
        project_directory(tmp_path / "top", "out")


def test_a_name_that_somebody_sweeps_is_left_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "store")
    names = iter([b"aaaa", b"aaaa", b"bbbb"])
    monkeypatch.setattr("hwb.fetch.places.os.urandom", lambda size: next(names))
    first, second = take_place(store), take_place(store)
    assert first.path != second.path
    first.remove()
    second.remove()
