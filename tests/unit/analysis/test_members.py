"""Are the members of every kind of workspace found, with what they need of each other?"""

from __future__ import annotations

from pathlib import Path

import pytest

from hwb.analysis.members import Member, workspace_members
from hwb.errors import AnalyzeError

PROJECTS = Path(__file__).parents[2] / "projects"


def make(root: Path, head: str, **members: str) -> Path:
    (root / "pyproject.toml").write_text(head)
    for name, text in members.items():
        (root / "libs" / name).mkdir(parents=True, exist_ok=True)
        (root / "libs" / name / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n{text}\n')
    return root


def test_uv_workspace() -> None:
    assert workspace_members(PROJECTS / "workspace") == (
        Member("demo-app", "packages/app", ("demo-core",), ("demo-core",)),
        Member("demo-core", "packages/core"),
    )


@pytest.mark.parametrize(
    "head",
    [
        '[tool.hwb]\nmembers = ["libs/*"]\n',
        '[tool.uv.workspace]\nmembers = ["libs/*", "other/*"]\nexclude = ["libs/c*"]\n',
        '[tool.hatch.workspace]\nmembers = ["libs/a", "libs/b"]\n',
        '[tool.hatch.envs.default]\nworkspace.members = [{path = "libs/a"}, "libs/b", 1]\n',
        '[tool.poetry.group.dev.dependencies]\na = {path = "libs/a"}\nb = {path = "./libs/b"}\n',
        '[tool.poetry]\n[tool.poetry.dependencies]\na = {path = "libs/a"}\nb = {path = "libs/b"}\nc = "1"\n',
        '[tool.pdm.dev-dependencies]\ndev = ["-e file:///${PROJECT_ROOT}/libs/a#egg=a", "-e file:///${PROJECT_ROOT}/libs/b", "x"]\nodd = 1\n',
    ],
)
def test_every_kind_of_workspace(tmp_path: Path, head: str) -> None:
    root = make(tmp_path, head.replace("[tool.poetry]\n", ""), a="", b='dependencies = ["A>=1", "x"]')
    assert workspace_members(root) == (Member("a", "libs/a"), Member("b", "libs/b", (), ("a",)))


def test_the_root_is_a_member_when_it_is_a_project(tmp_path: Path) -> None:
    root = make(tmp_path, '[project]\nname = "top"\ndependencies = ["a"]\n[tool.hwb]\nmembers = ["libs/*"]\n', a="")
    assert workspace_members(root)[0] == Member("top", ".", (), ("a",))


def test_poetry_members_have_names_and_needs(tmp_path: Path) -> None:
    root = make(tmp_path, '[tool.hwb]\nmembers = ["libs/*"]\n', a="")
    (root / "libs" / "p").mkdir()
    (root / "libs" / "p" / "pyproject.toml").write_text(
        '[tool.poetry]\nname = "p"\n[tool.poetry.dependencies]\na = "*"\n'
    )
    assert workspace_members(root)[1] == Member("p", "libs/p", (), ("a",))


def test_a_member_may_be_named_by_setup_cfg(tmp_path: Path) -> None:
    root = make(tmp_path, '[tool.hwb]\nmembers = ["libs/*"]\n', a="")
    (root / "libs" / "a" / "pyproject.toml").write_text("")
    with pytest.raises(AnalyzeError, match="needs a name"):
        workspace_members(root)
    (root / "libs" / "a" / "setup.cfg").write_text("[metadata]\nname = From_Cfg\n")
    assert workspace_members(root) == (Member("from-cfg", "libs/a"),)


def test_nothing_outside_and_nothing_odd(tmp_path: Path) -> None:
    make(tmp_path, "", a="")
    inner = tmp_path / "inner"
    inner.mkdir()
    assert workspace_members(make(inner, '[tool.hwb]\nmembers = ["../libs/a", "/x", 1, "."]\n')) == ()
    assert workspace_members(make(inner, "[tool.hwb]\nmembers = 1\n")) == ()
    assert workspace_members(tmp_path / "libs") == ()


def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    root = make(tmp_path, '[tool.hwb]\nmembers = ["libs/*"]\n', a="", b="")
    (root / "libs" / "b" / "pyproject.toml").write_text('[project]\nname = "A"\n')
    with pytest.raises(AnalyzeError, match="two members are named 'a': libs/a and libs/b"):
        workspace_members(root)
