"""Does a result's key hold everything that a build can depend on?"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hwb import context, pythons
from hwb.builder.environments import Environments
from hwb.builder.memory import Memory, _inputs
from hwb.builder.options import BuildOptions, Source
from hwb.project import read_project
from hwb.snapshot import read_tree

if TYPE_CHECKING:
    from pathlib import Path


def inputs(project: Path, outer: dict[str, str] | None = None, **options: Any) -> dict[str, str]:
    source = Source(str(project))
    chosen = BuildOptions(**{"pythons": (pythons.running(),), **options})
    with context.use(context.Context(outer_env=outer or {"PATH": "/nowhere"})):
        return _inputs(source, read_tree(source.root), read_project(source.root), chosen)


def changed(one: dict[str, str], two: dict[str, str]) -> set[str]:
    return {name for name in {*one, *two} if one.get(name) != two.get(name)}


def test_the_same_question_twice(project: Path) -> None:
    assert inputs(project) == inputs(project)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"wheel": False}, "kinds"),
        ({"sdist": False}, "kinds"),
        ({"from_tree": True}, "kinds"),
        ({"config_settings": {"a": ["b"]}}, "config settings"),
        ({"frontend": "uv"}, "frontend"),
        ({"release": True}, "for a release"),
        ({"pythons": (SimpleNamespace(identity="another"),)}, "interpreter"),
    ],
)
def test_every_option_counts(project: Path, options: dict[str, Any], name: str) -> None:
    assert changed(inputs(project), inputs(project, **options)) == {name}


def test_variables_that_hooks_see_count_and_others_do_not(project: Path) -> None:
    plain = inputs(project, {"PATH": "/a"})
    assert changed(plain, inputs(project, {"PATH": "/a", "TWINE_PASSWORD": "x", "HOME": "/x"})) == set()
    assert changed(plain, inputs(project, {"PATH": "/b"})) == {"variable PATH"}, "nobody knows what this backend calls"
    assert changed(plain, inputs(project, {"PATH": "/a", "CFLAGS": "-O0"})) == {"variable CFLAGS"}
    outer = {"PATH": "/a", "MY_FLAG": "1"}
    assert changed(plain, inputs(project, outer)) == set()
    assert changed(plain, inputs(project, outer, env_pass=("MY_*",))) == {"variable MY_FLAG"}
    assert changed(plain, inputs(project, {"PATH": "/a", "SOURCE_DATE_EPOCH": "1"})) == {"time of the sources"}


def test_of_compiled_projects_the_compiler_counts(project: Path, tmp_path: Path) -> None:
    toml = project / "pyproject.toml"
    toml.write_text(toml.read_text().replace("requires = []", 'requires = ["setuptools"]'))
    toml.write_text(toml.read_text().replace('"tiny_backend"\nbackend-path = ["backend"]', '"setuptools.build_meta"'))
    (project / "setup.py").write_text(
        "from setuptools import Extension, setup\nsetup(ext_modules=[Extension('a', ['a.c'])])\n"
    )
    (project / "a.c").write_text("")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cc").write_text(name * 2)
        (tmp_path / name / "cc").chmod(0o755)
    one, two = (inputs(project, {"PATH": str(tmp_path / name)}) for name in ("one", "two"))
    assert changed(one, two) == {"compiler", "variable PATH"}
    (tmp_path / "one" / "cc").write_text("another version")
    assert changed(one, inputs(project, {"PATH": str(tmp_path / "one")})) == {"compiler"}


def test_what_git_knows_counts(project: Path, git: Any) -> None:
    before = inputs(project, dict(os.environ))
    git("tag", "v1")
    assert changed(before, inputs(project, dict(os.environ))) == {"sources"}


def test_a_secret_is_no_part_of_what_is_remembered(project: Path, build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from hwb.store import open_store

    monkeypatch.setenv("TWINE_PASSWORD", "hunter22")
    build(project)
    for path in open_store().root.rglob("*"):
        assert not path.is_file() or b"hunter22" not in path.read_bytes(), path


def test_damaged_bytes_are_said_and_built_again(project: Path, build: Any) -> None:
    from pathlib import Path

    built = build(project)
    whole = [Path(path).read_bytes() for path in built.files]
    kept = Path(built.depends.kept[0].path)
    kept.write_bytes(b"x")
    again = build(project)
    assert (again.cached, again.why) == (False, "built: the store's copy of the last result is damaged")
    assert [Path(path).read_bytes() for path in again.files] == whole
    assert build(project).cached


def test_a_reproduction_is_not_kept(project: Path, build: Any, tmp_path: Path) -> None:
    from hwb.store import open_store

    build(project, cache=False, elsewhere=str(tmp_path / "elsewhere"))
    assert not (open_store().root / "results").exists()
    assert not (tmp_path / "elsewhere").exists()


def test_nothing_is_known_without_isolation(project: Path, tmp_path: Path) -> None:
    source, options = Source(str(project)), BuildOptions((pythons.running(),), isolated=False)
    memory = Memory(source, read_tree(source.root), read_project(source.root), options, Environments(options))
    assert memory.handed_out(str(tmp_path / "out")) is None
    assert not (tmp_path / "out").exists()
