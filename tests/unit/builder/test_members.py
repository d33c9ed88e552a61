"""Are the right members of a workspace built, in the right order, and are failures told to whom they concern?"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hwb.builder.api
import hwb.builder.members
import hwb.isolation.shared
from hwb.analysis.members import Member
from hwb.builder.api import BuildRequest, BuildResult
from hwb.builder.members import affected, build_members, needed_to_build, order
from hwb.context import current
from hwb.errors import BuildError, HwbError, NothingToRun, RefusedError, SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


def members(**needs: str) -> dict[str, Member]:
    """`a="b c | d"`: a needs b and c to be built, d to run."""
    found = {}
    for name, text in needs.items():
        build, _, run = text.partition("|")
        found[name] = Member(name, f"packages/{name}", tuple(build.split()), tuple(run.split()))
    return found


def test_what_is_needed_to_build_runs_too() -> None:
    all_ = members(app="plugin", plugin="tool | base", base="| far", far="", tool="", other="")
    assert needed_to_build("app", all_) == {"plugin", "base", "far"}
    assert order(all_, ["app"]) == ["tool", "plugin", "base", "far", "app"]


def test_members_without_needs_keep_their_order() -> None:
    assert order(members(c="", a="", b=""), ["a", "b", "c"]) == ["c", "a", "b"]


def test_a_circle_is_named() -> None:
    with pytest.raises(RefusedError, match=r"built: b -> c -> b$") as caught:
        order(members(a="b", b="c", c="b"), ["a"])
    assert "build-system.requires" in caught.value.remedy


def test_a_circle_at_run_time_is_none() -> None:
    assert set(order(members(a="| b", b="| a"), ["a", "b"])) == {"a", "b"}


@given(st.dictionaries(st.sampled_from("abcdef"), st.frozensets(st.sampled_from("abcdef")), min_size=1))
def test_everything_comes_after_what_it_needs(needs: dict[str, frozenset[str]]) -> None:
    all_ = {n: Member(n, n, tuple(sorted(x for x in to if x in needs and x > n))) for n, to in needs.items()}
    ordered = order(all_, all_)
    assert sorted(ordered) == sorted(all_)
    for place, name in enumerate(ordered):
        assert needed_to_build(name, all_) <= set(ordered[:place])


def test_who_needs_a_changed_member_is_affected() -> None:
    all_ = members(base="", lib="| base", tool="lib", app="| tool", alone="")
    assert affected(all_, {"base"}) == {"base", "lib", "tool", "app"}
    assert affected(all_, {"alone"}) == {"alone"}
    assert affected(all_, set()) == set()


# --- a workspace ------------------------------------------------------------------------------------------------------


def project(folder: Path, name: str, requires: str = "", dependencies: str = "") -> None:
    folder.mkdir(parents=True)
    quoted = [", ".join(f'"{text}"' for text in words.split()) for words in (requires, dependencies)]
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "1"\ndependencies = [{quoted[1]}]\n'
        f'[build-system]\nrequires = [{quoted[0]}]\nbuild-backend = "b"\n'
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "workspace"
    project(root / "packages" / "base", "Base_Lib")
    project(root / "packages" / "tool", "tool", dependencies="base-lib")
    project(root / "packages" / "app", "app", requires="tool")
    project(root / "packages" / "alone", "alone")
    (root / "pyproject.toml").write_text('[tool.hwb]\nmembers = ["packages/*"]\n')
    return root


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[BuildRequest]:
    """What was asked of each build, in order; a member called `alone` or `tool` fails when a file says so."""
    asked: list[BuildRequest] = []

    def build_source(request: BuildRequest) -> BuildResult:
        asked.append(request)
        if (Path(request.source) / "fails").exists():
            raise BuildError("the backend failed", remedy="mend it")
        wants = request.wheel is not None or request.sdist is None
        wheel = Path(str(request.output_dir)) / "x.whl" if wants else None
        return BuildResult(True, wheel_path=wheel, why=os.path.basename(request.source))

    monkeypatch.setattr(hwb.builder.api, "build_source", build_source)
    return asked


def names(asked: list[BuildRequest]) -> list[str]:
    return [os.path.basename(request.source) for request in asked]


def request(root: Path, **fields: Any) -> BuildRequest:
    return BuildRequest(str(root), **fields)


def test_everything_is_built_with_the_wheels_of_what_it_needs(workspace: Path, built: list[BuildRequest]) -> None:
    results = build_members(request(workspace))
    assert names(built) == ["alone", "base", "tool", "app"]
    assert [result.why for result in results] == names(built)
    dist = workspace / "dist"
    assert [one.output_dir for one in built] == [str(dist / name) for name in ("alone", "base-lib", "tool", "app")]
    wheels = {"base-lib": str(dist / "base-lib" / "x.whl"), "tool": str(dist / "tool" / "x.whl")}
    assert [dict(one.local) for one in built] == [{}, {}, {}, wheels]


def test_one_package_comes_with_what_it_needs_to_be_built(workspace: Path, built: list[BuildRequest]) -> None:
    build_members(request(workspace), ["APP"])
    assert names(built) == ["base", "tool", "app"]
    built.clear()
    build_members(request(workspace), ["tool"])
    assert names(built) == ["tool"]


def test_what_another_one_needs_is_built_as_a_wheel_too(workspace: Path, built: list[BuildRequest]) -> None:
    build_members(request(workspace, sdist=True), ["app"])
    assert [(one.sdist, one.wheel) for one in built] == [(True, True), (True, True), (True, None)]


def test_files_go_where_they_are_wanted(workspace: Path, built: list[BuildRequest]) -> None:
    build_members(BuildRequest(".", output_dir="out", directory=str(workspace)), ["alone"])
    assert built[0].output_dir == str(workspace / "out" / "alone")
    assert built[0].source == str(workspace / "packages" / "alone")


def test_an_unknown_package_is_an_error_that_lists_the_members(workspace: Path) -> None:
    with pytest.raises(UsageError, match="no member 'nobody'") as caught:
        build_members(request(workspace), ["nobody"])
    assert "alone" in caught.value.remedy
    assert "base-lib" in caught.value.remedy


def test_what_is_no_workspace_says_how_to_become_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no workspace") as caught:
        build_members(request(tmp_path))
    assert "[tool.hwb] members" in caught.value.remedy
    with pytest.raises(UsageError, match="no directory"):
        build_members(request(tmp_path / "gone"))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ('[project]\nname = "root"\nversion = "1"\n', False),
        ('[project]\nname = "root"\nversion = "1"\n[build-system]\nrequires = []\nbuild-backend = "b"\n', True),
        ('[project]\nname = "root"\n[build-system]\nrequires = []\n[tool.uv]\npackage = false\n', False),
        ('[project]\nname = "root"\n[build-system]\nrequires = []\n[tool.pdm]\ndistribution = false\n', False),
        ('[tool.poetry]\nname = "root"\npackage-mode = false\n', False),
        ('[project]\nname = "root"\nversion = "1"\n[tool.uv]\npackage = true\n', True),
    ],
)
def test_a_root_that_is_no_package_is_left_out(
    workspace: Path, built: list[BuildRequest], more: str, expected: bool
) -> None:
    (workspace / "pyproject.toml").write_text(f'{more}[tool.hwb]\nmembers = ["packages/*"]\n')
    build_members(request(workspace))
    assert (names(built)[0] == "workspace") == expected
    assert len(built) == 4 + expected
    built.clear()
    build_members(request(workspace), ["root"])  # whoever names it means it
    assert names(built) == ["workspace"]


def test_a_root_with_a_setup_py_is_a_package(workspace: Path, built: list[BuildRequest]) -> None:
    (workspace / "pyproject.toml").write_text('[project]\nname = "root"\n[tool.hwb]\nmembers = ["packages/*"]\n')
    (workspace / "setup.py").write_text("")
    build_members(request(workspace))
    assert names(built)[0] == "workspace"


def test_a_failure_stops_only_who_needs_it(
    workspace: Path, built: list[BuildRequest], events: list[dict[str, Any]]
) -> None:
    (workspace / "packages" / "base" / "fails").touch()
    with pytest.raises(BuildError) as caught:
        build_members(request(workspace))
    assert names(built) == ["alone", "base", "tool"]
    assert caught.value.what == "base-lib: the backend failed (not built either: app)"
    assert caught.value.remedy == "mend it"
    assert [event for event in events if event["kind"] == "message"] == []


def test_the_second_failure_is_told_at_once(
    workspace: Path, built: list[BuildRequest], events: list[dict[str, Any]]
) -> None:
    for name in ("alone", "tool"):
        (workspace / "packages" / name / "fails").touch()
    with pytest.raises(BuildError, match=r"alone: the backend failed \(not built either: tool, app\)"):
        build_members(request(workspace))
    assert [event["text"] for event in events if event["kind"] == "message"] == ["tool: the backend failed"]


def test_what_git_says_is_believed_for_a_second_only(
    workspace: Path, built: list[BuildRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody may save a file while members are built."""
    known: list[dict[str, Any]] = []
    clock = iter([0.0, 0.5, 1.2, 1.2, 1.3, 1.4, 9.0])
    monkeypatch.setattr(hwb.builder.members.time, "monotonic", lambda: next(clock))

    def build_source(request: BuildRequest) -> BuildResult:
        states = (current().shared or {})["states"]
        known.append(dict(states))
        states[os.path.basename(request.source)] = "state"
        return BuildResult(True)

    monkeypatch.setattr(hwb.builder.api, "build_source", build_source)
    build_members(request(workspace))
    assert [list(one) for one in known] == [[], [], ["base"], ["base", "tool"]]


def test_environments_are_verified_when_all_is_built(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, environments: Any
) -> None:
    def build_source(request: BuildRequest) -> BuildResult:
        (current().shared or {})["verify"]["/an/environment"] = object()
        assert environments.verified == 0
        return BuildResult(True)

    monkeypatch.setattr(hwb.builder.api, "build_source", build_source)
    monkeypatch.setattr(hwb.isolation.shared, "verify_unmodified", environments.verify_unmodified)
    build_members(request(workspace))
    assert environments.verified == 1


# --- what changed -----------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    if shutil.which("git") is None:
        pytest.skip("git is not on the PATH")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "x")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "x@y")

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(workspace), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-q", "-m", "x")
    return git


def test_a_committed_change_reaches_who_needs_it(
    workspace: Path, built: list[BuildRequest], repository: Callable[..., str]
) -> None:
    repository("switch", "-q", "-c", "branch")
    (workspace / "packages" / "base" / "a.py").write_text("x")
    repository("add", "-A")
    repository("commit", "-q", "-m", "y")
    build_members(request(workspace), (), "main")
    assert names(built) == ["base", "tool", "app"]


def test_what_happened_on_the_other_branch_is_no_change(
    workspace: Path, built: list[BuildRequest], repository: Callable[..., str]
) -> None:
    repository("branch", "mine")
    (workspace / "packages" / "base" / "a.py").write_text("x")
    repository("add", "-A")
    repository("commit", "-q", "-m", "y")
    repository("switch", "-q", "mine")
    (workspace / "packages" / "alone" / "new.py").write_text("untracked")
    build_members(request(workspace), (), "main")
    assert names(built) == ["alone"]


def test_uncommitted_and_deleted_files_count_and_outputs_do_not(
    workspace: Path, built: list[BuildRequest], repository: Callable[..., str]
) -> None:
    (workspace / "dist" / "app").mkdir(parents=True)
    (workspace / "dist" / "app" / "app-1.whl").write_text("x")
    (workspace / "README").write_text("nobody's")
    with pytest.raises(NothingToRun, match="no member changed since HEAD"):
        build_members(request(workspace), (), "HEAD")
    (workspace / "packages" / "alone" / "pyproject.toml").unlink()
    (workspace / "packages" / "alone" / "setup.py").write_text("")
    project(workspace / "packages" / "alone" / "nested", "alone")
    repository("add", "packages/alone/setup.py")
    (workspace / "pyproject.toml").write_text('[tool.hwb]\nmembers = ["packages/*", "packages/alone/nested"]\n')
    build_members(request(workspace), (), "HEAD")
    assert names(built) == ["nested"]


def test_a_named_package_is_built_only_if_it_changed(
    workspace: Path, built: list[BuildRequest], repository: Callable[..., str]
) -> None:
    (workspace / "packages" / "base" / "a.py").write_text("x")
    build_members(request(workspace), ["tool", "alone"], "HEAD")
    assert names(built) == ["tool"]


def test_a_workspace_below_the_repository(
    workspace: Path, built: list[BuildRequest], repository: Callable[..., str]
) -> None:
    inner = workspace / "inner"
    project(inner, "root")
    project(inner / "packages" / "one", "one")
    with open(inner / "pyproject.toml", "a") as file:
        file.write('[tool.hwb]\nmembers = ["packages/*"]\n')
    repository("add", "-A")
    repository("commit", "-q", "-m", "y")
    (inner / "top.py").write_text("of the root")
    build_members(request(inner), (), "HEAD")
    assert names(built) == ["inner"]


@pytest.mark.parametrize("ref", ["", "--all", "no-such-branch"])
def test_a_commit_that_is_none(workspace: Path, repository: Callable[..., str], ref: str) -> None:
    with pytest.raises(UsageError, match="--changed-since"):
        build_members(request(workspace), (), ref)


def test_nothing_in_common(workspace: Path, repository: Callable[..., str]) -> None:
    repository("switch", "-q", "--orphan", "other")
    repository("commit", "-q", "--allow-empty", "-m", "z")
    repository("checkout", "-q", "main")
    with pytest.raises(SourceError, match="no commit in common"):
        build_members(request(workspace), (), "other")


def test_no_repository(workspace: Path) -> None:
    with pytest.raises(HwbError, match="in no git repository"):
        build_members(request(workspace), (), "main")
