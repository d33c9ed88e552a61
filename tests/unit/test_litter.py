"""Is what tools and builds leave behind told from sources?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from hwb.litter import is_litter, is_litter_path, is_output, is_source_dir

if TYPE_CHECKING:
    from pathlib import Path

NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize("name", ["__pycache__", ".hwb", ".mypy_cache", ".tox", ".nox", ".eggs", ".pytest_cache"])
def test_caches(name: str) -> None:
    assert is_litter(name)
    assert is_litter_path(f"src/{name}/x")
    assert is_litter_path(name)
    assert is_output(f"deep/{name}/x", "", NONE)


@pytest.mark.parametrize("name", ["src", "build.py", "cache", ".github", "pycache", "hwb", ""])
def test_names_of_sources(name: str) -> None:
    assert not is_litter(name)
    assert not is_litter_path(f"src/{name}")


@pytest.mark.parametrize(
    ("name", "root", "output"),
    [
        ("build/lib/x.py", "", True),
        ("dist/x.whl", "", True),
        ("x.egg-info/SOURCES.txt", "", True),
        ("src/x.egg-info/SOURCES.txt", "", True),
        ("src/build/x.py", "", False),
        ("src/dist.py", "", False),
        ("builder/x.py", "", False),
        ("pkg/build/x", "pkg/", True),
        ("build/x", "pkg/", True),
        ("pkg/src/x", "pkg/", False),
        ("dist/", "", True),
    ],
)
def test_outputs_lie_in_the_directory_of_the_project_or_of_the_repository(name: str, root: str, output: bool) -> None:
    assert is_output(name, root, NONE) is output


def test_named_directories_are_outputs() -> None:
    exclude = frozenset({"out", "a/b"})
    assert is_output("out/x", "", exclude)
    assert is_output("out", "", exclude)
    assert is_output("a/b/c/d", "", exclude)
    assert not is_output("outside/x", "", exclude)
    assert not is_output("a/bc", "", exclude)


def test_directories_of_a_tree_without_git(tmp_path: Path) -> None:
    root = str(tmp_path)
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "pyvenv.cfg").touch()

    def source(name: str, folder: str = root, *, unpacked: bool = False) -> bool:
        return is_source_dir(folder, name, root, frozenset({os.path.join(root, "out")}), unpacked=unpacked)

    assert [
        name for name in (".git", ".hg", "CVS", ".hwb", "__pycache__", "env", "out", "build", "dist") if source(name)
    ] == []
    assert source("src")
    assert source("build", os.path.join(root, "src")), "only the project's own build directory is one"
    assert source("out", os.path.join(root, "src"))
    assert not source("x.egg-info")
    assert source("x.egg-info", unpacked=True), "setuptools knows an sdist's files by it"
