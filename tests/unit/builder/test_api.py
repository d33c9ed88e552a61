"""Is everything that a request asks for obeyed or refused, and nothing passed over?"""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from hwb.builder.api import BuildRequest, build_source
from hwb.context import Context, use
from hwb.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

PYPROJECT = """
[build-system]
requires = []
build-backend = "mine"
backend-path = ["."]
[project]
name = "mine"
version = "1"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "mine-1"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (folder / "pylock.build.toml").write_text("")
    return folder


def refused(source: Path, **asked: Any) -> UsageError:
    with use(Context(cwd=str(source.parent))), pytest.raises(UsageError) as caught:
        build_source(BuildRequest(str(source), **asked))
    return caught.value


@pytest.mark.parametrize("how", [{"frontend": "build"}, {"frontend": "uv"}, {"isolated": False}])
@pytest.mark.parametrize(
    ("option", "asked"),
    [("--locked", {"locked": True}), ("--build-constraint", {"constraints": ("setuptools<80",)})],
)
def test_what_only_own_environments_can_obey(
    project: Path, option: str, asked: dict[str, Any], how: dict[str, Any]
) -> None:
    error = refused(project, **asked, **how)
    assert error.what.startswith(f"{option} is for hwb's own build environments")
    assert option in error.remedy


def test_an_unknown_front_end(project: Path) -> None:
    assert refused(project, frontend="flit").remedy == '--frontend takes one of "hwb", "build", "uv"'


def test_a_wheel_from_the_tree_of_a_source_that_has_none(project: Path, tmp_path: Path) -> None:
    packed = tmp_path / "mine-1.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(project, "mine-1")
    assert "there is no tree" in refused(packed, from_tree=True).what
    assert "is an sdist already" in refused(packed, sdist=True).what
    assert "no wheel is asked for" in refused(project, from_tree=True, sdist=True).what
