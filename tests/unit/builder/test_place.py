"""Is a build's directory its own, empty, fenced off and gone afterwards?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hwb.builder.place import own_place
from hwb.store import open_store


def test_one_path_per_project() -> None:
    paths = []
    for identity in ("a", "a", "b"):
        with own_place(identity) as place:
            paths.append(place)
            assert os.listdir(place) == [".git"], "the fence: no ignore file around the store is the project's"
            assert os.path.isfile(os.path.join(place, ".git"))
            Path(place, "left").touch()
        assert not os.path.exists(place)
    assert paths[0] == paths[1] != paths[2]
    assert Path(paths[0]).parent == Path(os.path.realpath(open_store().root / "build"))


def test_what_is_there_already_is_removed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "a" / "b"
    (elsewhere / "old").mkdir(parents=True)
    with own_place("a", str(elsewhere)) as place:
        assert place == str(elsewhere)
        assert os.listdir(place) == [".git"]
    assert not elsewhere.exists()


def test_it_is_gone_after_a_failure() -> None:
    with pytest.raises(KeyboardInterrupt), own_place("a") as place:
        (Path(place) / "locked").mkdir()
        (Path(place) / "locked").chmod(0o500)
        raise KeyboardInterrupt
    assert not os.path.exists(place)
