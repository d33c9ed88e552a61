"""Which project is it: found from where the user stands, or named."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from hwb.errors import UsageError
from hwb.workspace import locate, open_workspace

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a hwbfile, and a folder deep in it, where the user stands."""
    root = tmp_path / "project"
    (root / ".git").mkdir(parents=True)
    (root / "deep" / "er").mkdir(parents=True)
    (root / "hwbfile.py").write_text("import hwb\n@hwb.recipe\ndef own(session): ...\n")
    monkeypatch.chdir(root / "deep" / "er")
    monkeypatch.delenv("HWB_ORG_FILE", raising=False)
    return root


def test_the_hwbfile_above_names_the_root(tree: Path) -> None:
    assert locate(None, None) == (str(tree), str(tree / "hwbfile.py"))


def test_without_a_hwbfile_the_project_does_else_the_directory(tree: Path) -> None:
    (tree / "hwbfile.py").unlink()
    assert locate(str(tree / "deep"), None) in ((str(tree / "deep"), None), (str(tree), None))
    (tree / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert locate(None, None) == (str(tree), None)


def test_a_file_that_is_named_makes_its_directory_the_root(tree: Path) -> None:
    other = tree / "deep" / "other.py"
    other.write_text("import hwb\n")

    assert locate(None, "../other.py") == (str(other.parent / "er" / ".."), str(tree / "deep" / "er" / "../other.py"))
    assert locate(str(tree), "deep/other.py") == (str(tree), os.path.join(str(tree), "deep/other.py"))


@pytest.mark.parametrize(
    ("directory", "file", "said"),
    [
        ("missing", None, "there is no directory"),
        ("../../hwbfile.py", None, "there is no directory"),
        (None, "missing.py", "there is no file"),
        (None, "..", "there is no file"),
    ],
)
def test_what_is_not_there(tree: Path, directory: str | None, file: str | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        locate(directory, file)


def test_a_directory_called_hwbfile(tree: Path) -> None:
    (tree / "hwbfile.py").unlink()
    (tree / "hwbfile.py").mkdir()
    with pytest.raises(UsageError, match="is a directory"):
        locate(str(tree), None)


def test_everything_is_loaded(tree: Path) -> None:
    workspace = open_workspace(options={"jobs": "3"})

    assert workspace.root == str(tree)
    assert workspace.invoked_from == os.getcwd()
    assert workspace.settings.get("jobs") == 3
    assert "own" in workspace.catalog.entries
    assert workspace.organisation is None


def test_the_organisations_file_must_exist(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWB_ORG_FILE", str(tree / "missing.py"))
    with pytest.raises(UsageError, match="HWB_ORG_FILE names"):
        open_workspace()
    (tree / "missing.py").write_text("import hwb\n@hwb.recipe\ndef theirs(session): ...\n")
    workspace = open_workspace()

    assert workspace.organisation == str(tree / "missing.py")
    assert workspace.catalog["theirs"].top.layer == "organisation"
