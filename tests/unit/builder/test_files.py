"""Are files found that ship and should not, or should and do not: tree, sdist and wheel compared?"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hwb.archive import open_sdist
from hwb.builder import files
from hwb.builder.files import foreign, ignored_remedy, include_patterns, reads_only, tell_ignored
from hwb.errors import RefusedError
from hwb.project import read_project
from hwb.snapshot import read_tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HATCHLING = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n[project]\nname = "x"\nversion = "1"\n'
FLIT = HATCHLING.replace('"hatchling"', '"flit_core >=3.2,<4"').replace("hatchling.build", "flit_core.buildapi")
POETRY = HATCHLING.replace('"hatchling"', '"poetry-core"').replace("hatchling.build", "poetry.core.masonry.api")


def of(folder: Path, text: str) -> Any:
    (folder / "pyproject.toml").write_text(text)
    return read_project(str(folder))


@pytest.mark.parametrize("text", [HATCHLING, FLIT, POETRY, HATCHLING.replace('"hatchling"', '"Hatchling>=1.26"')])
def test_plain_backends_may_read_the_tree(tmp_path: Path, text: str) -> None:
    project = of(tmp_path, text)
    assert reads_only(project, release=False)
    assert not reads_only(project, release=True), "a release never does"


@pytest.mark.parametrize(
    "text",
    [
        HATCHLING.replace('"hatchling"', '"hatchling", "hatch-vcs"'),
        HATCHLING.replace('"hatchling"', '"hatch"'),
        HATCHLING.replace("[project]", 'backend-path = ["."]\n[project]'),
        HATCHLING + "[tool.hatch.build.hooks.custom]\n",
        HATCHLING + "[tool.hatch.build.targets.wheel.hooks.custom]\n",
        HATCHLING + "[tool.hatch.metadata.hooks.custom]\n",
        HATCHLING + '[tool.hatch.version]\nsource = "code"\npath = "x.py"\n',
        HATCHLING + '[tool.hatch.version]\npath = "x.py"\nscheme = "mine"\n',
        POETRY + '[tool.poetry.build]\nscript = "build.py"\n',
        POETRY + '[tool.poetry]\nbuild = "build.py"\n',
        HATCHLING.replace('"hatchling"', '"setuptools"').replace("hatchling.build", "setuptools.build_meta"),
        HATCHLING.replace('"hatchling"', '"pdm-backend"').replace("hatchling.build", "pdm.backend"),
    ],
)
def test_backends_that_write_or_run_code_of_the_project_may_not(tmp_path: Path, text: str) -> None:
    assert not reads_only(of(tmp_path, text), release=False)


def test_a_version_read_by_pattern_runs_nothing(tmp_path: Path) -> None:
    assert reads_only(of(tmp_path, HATCHLING + '[tool.hatch.version]\npath = "x.py"\n'), release=False)


def test_artifacts_of_hatchling_are_sources(tmp_path: Path) -> None:
    tables = '[tool.hatch.build]\nartifacts = ["*.so", "/data", "!no", "a/b"]\n[tool.hatch.build.targets.wheel]\nartifacts = ["*.so", 1]\n'
    assert include_patterns(of(tmp_path, HATCHLING + tables), ["mine/*"]) == (
        ":(glob)mine/*",
        ":(glob)**/*.so",
        ":(glob)**/*.so/**",
        ":(glob)data",
        ":(glob)data/**",
        ":(glob)a/b",
        ":(glob)a/b/**",
    )
    assert include_patterns(of(tmp_path, FLIT + tables), []) == ()


@pytest.mark.parametrize(
    "tables", ["[tool]\nhatch = 1\n", "[tool.hatch]\nbuild = 1\n", "[tool.hatch.build]\ntargets = 1\n", "[tool.hatch.build.targets]\nx = 1\n",
               "[tool.hatch.build]\nartifacts = 1\n", '[tool.hatch.build]\nartifacts = "x"\n']
)  # fmt: skip
def test_tables_of_another_shape_are_the_backends_business(tmp_path: Path, tables: str) -> None:
    project = of(tmp_path, HATCHLING + tables)
    assert include_patterns(project, []) == ()
    assert reads_only(project, release=False)


@pytest.mark.parametrize("table", ["targets = 1", "[tool.hatch.build.targets]\nwheel = 1"])
def test_targets_of_another_shape(tmp_path: Path, table: str) -> None:
    assert not files._plugged(str(of(tmp_path, f"{HATCHLING}[tool.hatch.build]\n{table}\n").root + "/pyproject.toml"))


# --- untracked -------------------------------------------------------------------------------------------------------


def said(events: list[dict[str, Any]]) -> list[str]:
    return [event["text"] for event in events if event["kind"] == "message" and event["level"] == "warning"]


def test_untracked_files_that_ship_are_said(
    project: Path, git: Callable[..., str], build: Any, events: list[dict[str, Any]]
) -> None:
    for number in range(7):
        (project / "src" / f"more{number}.json").write_text("{}")
    (project / "untracked-but-not-shipped").write_text("")
    built = build(project)
    (text,) = said(events)
    assert text.startswith(
        "dynamic_requires-1.0.tar.gz ships files that git does not track: src/more0.json, src/more1.json, "
        "src/more2.json, src/more3.json, src/more4.json and 2 more; git add them"
    )
    assert built.wheels


def test_for_a_release_they_are_an_error(project: Path, git: Callable[..., str], build: Any) -> None:
    (project / "src" / "creds.json").write_text("{}")
    with pytest.raises(RefusedError, match=r"ships files that git does not track: src/creds\.json") as caught:
        build(project, release=True)
    assert caught.value.exit_code == 5
    assert not (project / "dist").exists()
    git("add", "-A")
    assert build(project, release=True).wheels, "what is staged is tracked"


def test_without_git_there_is_nothing_to_compare_with(project: Path, build: Any, events: list[dict[str, Any]]) -> None:
    (project / "src" / "more.json").write_text("{}")
    assert build(project, release=True).wheels
    assert said(events) == []


# --- ignored ---------------------------------------------------------------------------------------------------------


def wheel_of(folder: Path, *names: str) -> str:
    import zipfile

    path = folder / "x-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return str(path)


def test_ignored_files_among_packages_are_said(
    project: Path, git: Callable[..., str], tmp_path: Path, events: list[dict[str, Any]]
) -> None:
    package = project / "src" / "dynamic_requires"
    (project / ".gitignore").write_text("*.txt\n*.pyc\n*.so\n*~\nbuild/\nshipped.dat\n")
    for name in ("generated.txt", "x.pyc", "x.so", "y~", "shipped.dat"):
        (package / name).write_text("")
    (project / "elsewhere.txt").write_text("")
    wheel = wheel_of(tmp_path, "dynamic_requires/__init__.py", "dynamic_requires/shipped.dat", "x-1.dist-info/WHEEL")
    tell_ignored(wheel, read_tree(str(project)))
    (text,) = said(events)
    assert text == (
        "git ignores src/dynamic_requires/generated.txt, so the wheel lacks it; "
        "if it belongs there, name it in [tool.hwb.build] include"
    )


def test_many_ignored_files_are_counted(
    project: Path, git: Callable[..., str], tmp_path: Path, events: list[dict[str, Any]]
) -> None:
    (project / ".gitignore").write_text("*.txt\n")
    for number in range(8):
        (project / "src" / "dynamic_requires" / f"{number}.txt").write_text("")
    tell_ignored(wheel_of(tmp_path, "dynamic_requires/__init__.py"), read_tree(str(project)))
    assert " and 3 more, so the wheel lacks it" in said(events)[0]


def test_ignored_files_of_a_tree_without_git(project: Path, tmp_path: Path, events: list[dict[str, Any]]) -> None:
    tree = read_tree(str(project))
    tell_ignored(wheel_of(tmp_path, "dynamic_requires/__init__.py"), tree)
    assert said(events) == []
    assert ignored_remedy("No such file: src/x", tree) == ""


def test_a_failure_that_names_an_ignored_file(project: Path, git: Callable[..., str]) -> None:
    (project / ".gitignore").write_text("src/gen.txt\ndata/\n")
    (project / "src" / "gen.txt").write_text("")
    (project / "data").mkdir()
    (project / "data" / "x").write_text("")
    tree = read_tree(str(project))
    for output in ("open('/place/src/gen.txt')", "src/gen.txt: not found"):
        assert ignored_remedy(output, tree).startswith("git ignores src/gen.txt, so")
    assert ignored_remedy("cannot open data/x", tree).startswith("git ignores data, so")
    for output in ("src/gen.txt2", "my-src/gen.txt", "metadata/x", ""):
        assert ignored_remedy(output, tree) == ""


def test_git_that_cannot_say_what_it_ignores() -> None:
    tree = SimpleNamespace(state=SimpleNamespace(ask=lambda *_: (128, b"")), prefix="")
    assert files._ignored(tree) == []  # type: ignore[arg-type]


# --- what only a copy can leave out ------------------------------------------------------------------------------------


def test_foreign_files_of_an_sdist(project: Path, tmp_path: Path) -> None:
    import io
    import tarfile

    path = tmp_path / "x-1.tar.gz"
    names = [
        "PKG-INFO",
        "pyproject.toml",
        "src/dynamic_requires/__init__.py",
        "x.egg-info/PKG-INFO",
        "stale/old.py",
        ".env",
        "setup.cfg",
    ]
    with tarfile.open(path, "w:gz") as archive:
        for name in ("", "src"):
            folder = tarfile.TarInfo(f"x-1/{name}".rstrip("/"))
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
        for name in names:
            archive.addfile(tarfile.TarInfo(f"x-1/{name}"), io.BytesIO())
    with open_sdist(path) as reader:
        assert foreign(reader, read_tree(str(project))) == [".env", "stale/old.py"]
