"""Does a build hook see only what it may?"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from hwb import context
from hwb.builder import hook_env
from hwb.builder.hook_env import hook_environment, passed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


def environment(place: Path, **outer: str) -> dict[str, str]:
    with context.use(context.Context(outer_env=outer)):
        return hook_environment("/env/bin", str(place), 1_700_000_000)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows needs more variables")
def test_environment_is_an_allowlist(place: Path) -> None:
    kept = {
        "LANG": "C.UTF-8",
        "LC_ALL": "C",
        "CC": "gcc",
        "CFLAGS": "-O1",
        "CMAKE_ARGS": "-G",
        "CARGO_HOME": "/cargo",
        "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_X": "1",
        "ARCHFLAGS": "-arch arm64",
    }
    lost = {
        "PYTHONPATH": "/x",
        "PYTHONSTARTUP": "/x",
        "VIRTUAL_ENV": "/x",
        "TWINE_PASSWORD": "x",
        "UV_PUBLISH_TOKEN": "x",
        "PIP_INDEX_URL": "x",
        "HTTPS_PROXY": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "SOURCE_DATE_EPOCH": "1",
        "XCC": "x",
        "GIT_DIR": "/x",
    }
    assert environment(place, PATH="/usr/bin", HOME="/nowhere", **kept, **lost) == {
        **kept,
        "PATH": "/env/bin:/usr/bin",
        "HOME": str(place / "home"),
        "TMPDIR": str(place / "tmp"),
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": "1700000000",
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "GIT_CEILING_DIRECTORIES": str(place),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
    assert (place / "home").is_dir()
    assert (place / "tmp").is_dir()


def test_more_variables_by_pattern() -> None:
    outer = {"MY_ONE": "1", "MY_TWO": "2", "OTHER": "3", "CC": "gcc"}
    assert passed(outer) == {"CC": "gcc"}
    assert passed(outer, ["MY_*"]) == {"MY_ONE": "1", "MY_TWO": "2", "CC": "gcc"}
    assert passed(outer, ["my_*", "OTHER"]) == {"OTHER": "3", "CC": "gcc"}


def test_what_hwb_sets_is_not_overridden(place: Path) -> None:
    with context.use(context.Context(outer_env={"HOME": "/mine", "TMPDIR": "/mine", "TZ": "x"})):
        found = hook_environment("", str(place), 1, more=["*"])
    assert (found["HOME"], found["TMPDIR"], found["TZ"]) == (str(place / "home"), str(place / "tmp"), "UTC")


def test_byte_code_of_an_in_tree_backend_is_not_written(place: Path) -> None:
    assert hook_environment("/env/bin", str(place), 0, in_tree=True)["PYTHONDONTWRITEBYTECODE"] == "1"
    assert "PYTHONDONTWRITEBYTECODE" not in hook_environment("/env/bin", str(place), 0)


def test_rust_finds_its_homes(place: Path, tmp_path: Path) -> None:
    (tmp_path / ".cargo").mkdir()
    home = "USERPROFILE" if sys.platform == "win32" else "HOME"
    found = environment(place, **{home: str(tmp_path)})
    assert found["CARGO_HOME"] == str(tmp_path / ".cargo")
    assert "RUSTUP_HOME" not in found
    assert environment(place, **{home: str(tmp_path), "CARGO_HOME": "/own"})["CARGO_HOME"] == "/own"


def test_windows_needs_more(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook_env.sys, "platform", "win32")
    found = environment(place, SystemRoot="C:\\Windows", ProgramFiles="C:\\Program Files", USERNAME="me")
    assert found["SystemRoot"] == "C:\\Windows"
    assert found["ProgramFiles"] == "C:\\Program Files"
    assert found["USERPROFILE"] == found["APPDATA"] == str(place / "home")
    assert found["TEMP"] == str(place / "tmp")
    assert "USERNAME" not in found


def test_without_an_environment_of_its_own_the_path_stays(place: Path) -> None:
    with context.use(context.Context(outer_env={"PATH": os.pathsep.join(["/a", "/b"])})):
        assert hook_environment("", str(place), 0)["PATH"] == os.pathsep.join(["/a", "/b"])
