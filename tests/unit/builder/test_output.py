"""Is only what a build makes deleted, and never in a directory that is no place for it?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hwb.builder.output import clean_output, refuse_dangerous
from hwb.errors import UsageError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "around" / "project" / "dist").mkdir(parents=True)
    return tmp_path / "around" / "project"


def test_wheels_and_sdists_and_nothing_else(root: Path) -> None:
    dist = root / "dist"
    gone = ["a-1-py3-none-any.whl", "a-1.tar.gz", "link.whl", "broken.tar.gz"]
    kept = ["a-1.zip", "notes.txt", "a.whl.sig", "x.tar", ".hwb", "directory.whl", "sub"]
    for name in (*gone[:2], *kept[:4]):
        (dist / name).write_text("x")
    for name in kept[4:]:
        (dist / name).mkdir()
    (dist / "sub" / "b-1.tar.gz").write_text("x")
    outside = root / "outside.whl"
    outside.write_text("precious")
    (dist / "link.whl").symlink_to(outside)
    (dist / "broken.tar.gz").symlink_to(root / "nowhere")
    assert clean_output(str(dist), str(root)) == sorted(gone)
    assert sorted(os.listdir(dist)) == sorted(kept)
    assert outside.read_text() == "precious"
    assert os.listdir(dist / "sub") == ["b-1.tar.gz"]


def test_nothing_there(root: Path) -> None:
    assert clean_output(str(root / "not there"), str(root)) == []
    assert clean_output(str(root / "dist"), str(root)) == []


@pytest.mark.parametrize("name", ["root", "home", "project", "parent", "grandparent"])
@pytest.mark.parametrize("how", ["itself", "link", "dots"])
def test_dangerous_directories(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, how: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    place = {"root": Path(root.anchor), "home": home, "project": root, "parent": root.parent, "grandparent": tmp_path}[
        name
    ]
    wheel = place / "precious.whl"
    if name != "root":
        wheel.write_text("x")
    if how == "link":
        (tmp_path / "link").symlink_to(place)
        place = tmp_path / "link"
    elif how == "dots":
        place = Path(f"{place}/{'.' if name == 'root' else '../' + place.name}")
    for check in (refuse_dangerous, clean_output):
        with pytest.raises(UsageError, match="it is not cleaned") as caught:
            check(str(place), str(root))
        assert caught.value.remedy == "name another one with -o"
    assert name == "root" or wheel.exists()


def test_a_file_is_no_directory(root: Path) -> None:
    (root / "file").write_text("x")
    with pytest.raises(UsageError, match="is no directory"):
        clean_output(str(root / "file"), str(root))


def test_a_link_to_a_usual_directory_is_one(root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.whl").write_text("x")
    (root / "out").symlink_to(tmp_path / "elsewhere")
    assert clean_output(str(root / "out"), str(root)) == ["a.whl"]
