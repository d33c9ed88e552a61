"""Where things are, on each system."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from hwb import places

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {
    "XDG_CACHE_HOME": (places.cache_dir, ".cache", "Library/Caches", "cache"),
    "XDG_STATE_HOME": (places.state_dir, ".local/state", "Library/Application Support", "state"),
    "XDG_CONFIG_HOME": (places.config_dir, ".config", "Library/Application Support", "config"),
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (*KINDS, "HWB_CACHE_DIR", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("variable", KINDS)
def test_each_system_has_its_own_places(home: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    ask, unix, mac, windows = KINDS[variable]
    for platform, below in (
        ("linux", f"{unix}/hwb"),
        ("darwin", f"{mac}/hwb"),
        ("win32", f"AppData/Local/hwb/{windows}"),
    ):
        monkeypatch.setattr("sys.platform", platform)
        assert ask() == os.path.join(str(home), *below.split("/")) or os.path.normpath(ask()) == os.path.normpath(
            home / below
        )
    monkeypatch.setenv("LOCALAPPDATA", os.path.join(str(home), "local"))
    assert ask() == os.path.join(str(home), "local", "hwb", windows)


@pytest.mark.parametrize("variable", KINDS)
def test_the_base_directory_specification_is_honoured(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(home / "elsewhere"))
    for platform in ("linux", "darwin"):
        monkeypatch.setattr("sys.platform", platform)
        assert KINDS[variable][0]() == os.path.join(str(home), "elsewhere", "hwb")


def test_the_store_may_be_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWB_CACHE_DIR", str(home / "store"))
    assert places.cache_dir() == str(home / "store")
    monkeypatch.chdir(home)
    monkeypatch.setenv("HWB_CACHE_DIR", "store")
    assert os.path.realpath(places.cache_dir()) == os.path.realpath(home / "store")


def test_shipped_files_are_inside_of_a_wheel_and_beside_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert os.path.isfile(os.path.join(places.recipes_dir(), "build.py"))
    assert places.templates_dir().is_dir()
    monkeypatch.setattr(places, "_PACKAGE", str(tmp_path / "hwb"))
    assert places.recipes_dir() == str(tmp_path / "recipes")
    (tmp_path / "hwb" / "recipes").mkdir(parents=True)
    assert places.recipes_dir() == str(tmp_path / "hwb" / "recipes")
