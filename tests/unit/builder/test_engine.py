"""Does a build give checked, repeatable files, say its phases, and explain every failure?

Backends here live in the project's own tree and need nothing, so that the running interpreter is environment enough.
"""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hwb import context, pythons
from hwb.builder.engine import _analyze, changes_since
from hwb.builder.options import BuildOptions, Built, Source
from hwb.errors import AnalyzeError, BuildError, Cancelled, CommandTimeout, SourceError, ValidationError
from hwb.fs import FileLock
from hwb.store import fingerprint, open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    Builds = Callable[..., Built]
    Changes = Callable[[str, str], None]

PROJECTS = Path(__file__).parents[2] / "projects"
SDIST, WHEEL = "dynamic_requires-1.0.tar.gz", "dynamic_requires-1.0-py3-none-any.whl"


def content(built: Built) -> list[bytes]:
    return [Path(path).read_bytes() for path in built.files]


def names(built: Built) -> list[str]:
    return [os.path.basename(path) for path in built.files]


def warnings(events: list[dict[str, Any]]) -> list[str]:
    return [event["text"] for event in events if event["kind"] == "message" and event["level"] == "warning"]


def test_a_build(project: Path, environments: Any, events: list[dict[str, Any]], build: Builds) -> None:
    before = sorted(project.rglob("*"))
    built = build(project)
    dist = project / "dist"
    assert (built.sdist, built.wheels) == (str(dist / SDIST), (str(dist / WHEEL),))
    assert (built.cached, built.why, built.epoch, built.commit) == (
        False,
        "built: for the first time",
        1_700_000_000,
        None,
    )
    assert sorted(path.name for path in dist.iterdir()) == [WHEEL, SDIST]
    assert sorted(path for path in project.rglob("*") if dist not in (path, *path.parents)) == before
    assert environments.asked == [(), (), ("packaging",)]
    assert environments.verified == 2, "each environment once"
    phases = [(e["name"], e["state"], e["detail"]) for e in events if e["kind"] == "phase"]
    assert list(dict.fromkeys(phase for phase in phases if phase[1] == "done")) == [
        ("analyze", "done", ""),
        ("resolve", "done", ""),
        ("isolation", "done", "sdist"),
        ("build", "done", "sdist"),
        ("validate", "done", "sdist"),
        ("isolation", "done", "wheel"),
        ("build", "done", "wheel"),
        ("validate", "done", "wheel"),
        ("metadata", "done", ""),
    ]
    assert len(phases) == 2 * sum(phase[1] == "started" for phase in phases)
    assert list(Path(os.environ["HWB_CACHE_DIR"], "build").iterdir()) == []
    assert not context.current().shared, "the zygotes of a build end with it"


def test_the_second_build_has_the_same_bytes(project: Path, build: Builds) -> None:
    first = content(build(project))
    os.utime(project / "pyproject.toml", (1, 1))
    (project / "src" / "dynamic_requires" / "__init__.py").chmod(0o600)
    again = build(project, cache=False)
    assert not again.cached
    assert content(again) == first
    with tarfile.open(again.sdist or "") as archive:
        assert {member.mtime for member in archive} == {1_700_000_000}
        assert SDIST not in " ".join(archive.getnames()), "dist/ of the first build is no source of the second"


def test_nothing_changed_is_a_hit(project: Path, tmp_path: Path, events: list[dict[str, Any]], build: Builds) -> None:
    first = build(project)
    events.clear()
    again = build(project, tmp_path / "other")
    assert (again.cached, again.why) == (True, "nothing changed since it was built; taken from the store")
    assert content(again) == content(first)
    assert os.path.dirname(again.wheels[0]) == str(tmp_path / "other")
    assert {event["name"] for event in events if event["kind"] == "phase"} == {"resolve", "analyze"}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"config_settings": {"a": "b"}}, 'config settings: {} -> {"a": "b"}'),
        ({"release": True}, "for a release: no -> yes"),
        ({"wheel": False}, "kinds: sdist=True wheel=True from-tree=False of=False -> sdist=True wheel=False"),
        ({"from_tree": True}, "from-tree=True"),
        ({"env_pass": ("MY_*",)}, "variable MY_FLAG: unset -> 1"),
    ],
)
def test_another_question_is_no_hit(
    project: Path, monkeypatch: pytest.MonkeyPatch, build: Builds, options: dict[str, Any], why: str
) -> None:
    monkeypatch.setenv("MY_FLAG", "1")
    build(project)
    again = build(project, **options)
    assert not again.cached
    assert why in again.why


def test_what_changed_is_said(project: Path, build: Builds, environments: Any) -> None:
    source = Source(str(project))
    options = BuildOptions((pythons.running(),))

    def changed() -> tuple[str, ...]:
        return changes_since(source, str(project / "dist"), options)

    assert changed() == ("first build",)
    build(project)
    assert changed() == ("nothing changed",)
    (project / "src" / "dynamic_requires" / "__init__.py").write_text("A = 1\n")
    (project / "src" / "new.py").write_text("")
    assert changed() == ("changed: src/dynamic_requires/__init__.py", "new: src/new.py")
    assert build(project).why == "built: changed: src/dynamic_requires/__init__.py, new: src/new.py"
    for number in range(4):
        (project / "src" / f"new{number}.py").write_text("")
    (project / "src" / "new.py").unlink()
    assert build(project).why == "built: removed: src/new.py, new: src/new0.py, new: src/new1.py and 2 more"
    environments.means["packaging"] = "packaging==99"
    assert build(project).why == "built: a build requirement has another version"


def test_only_one_of_them(project: Path, tmp_path: Path, build: Builds) -> None:
    assert names(build(project, tmp_path / "a", sdist=False)) == [WHEEL]
    assert names(build(project, tmp_path / "b", wheel=False)) == [SDIST]
    assert os.listdir(tmp_path / "a") == [WHEEL]
    assert os.listdir(tmp_path / "b") == [SDIST]


def test_a_wheel_from_the_tree(project: Path, tmp_path: Path, build: Builds, environments: Any) -> None:
    assert names(build(project, tmp_path / "a", sdist=False, from_tree=True)) == [WHEEL]
    assert environments.asked == [(), ("packaging",)], "no sdist was built on the way"
    assert names(build(project, tmp_path / "b", from_tree=True)) == [SDIST, WHEEL]


def test_an_unpacked_sdist_gives_a_wheel_and_stays_as_it_is(project: Path, tmp_path: Path, build: Builds) -> None:
    with tarfile.open(build(project).sdist or "") as archive:
        archive.extractall(tmp_path / "unpacked", filter="data") if hasattr(
            tarfile, "data_filter"
        ) else archive.extractall(tmp_path / "unpacked")
    root = tmp_path / "unpacked" / "dynamic_requires-1.0"
    before = sorted(root.rglob("*"))
    source = Source(str(root), "the-sdist.tar.gz", vcs=False, is_sdist=True)
    assert names(build(root, tmp_path / "out", source=source, sdist=False)) == [WHEEL]
    assert sorted(root.rglob("*")) == before


def test_a_pure_wheel_of_two_interpreters_is_one_file(
    project: Path, build: Builds, events: list[dict[str, Any]], change: Changes
) -> None:
    running = pythons.running()
    assert names(build(project, pythons=(running, running))) == [SDIST, WHEEL]
    assert warnings(events) == []
    change(
        '"dynamic_requires/__init__.py": code', '"dynamic_requires/__init__.py": code + str(__import__("os").getpid())'
    )
    assert names(build(project, pythons=(running, running))) == [SDIST, WHEEL]
    assert warnings(events) == [f"{WHEEL} has other bytes when Python {running.minor} builds it; the first one is kept"]


def test_settings_reach_the_backend_and_secrets_do_not(
    project: Path, monkeypatch: pytest.MonkeyPatch, build: Builds
) -> None:
    monkeypatch.setenv("TWINE_PASSWORD", "hunter22")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    built = build(project, config_settings={"flag": ["a", "b"], "other": "c"})
    with zipfile.ZipFile(built.wheels[0]) as archive:
        assert archive.read("dynamic_requires/settings.txt").decode() == "[('flag', ['a', 'b']), ('other', 'c')]"
        variables = archive.read("dynamic_requires/environ.txt").decode().split()
    assert "SOURCE_DATE_EPOCH" in variables
    assert not {"TWINE_PASSWORD", "PYTHONPATH", "HWB_CACHE_DIR"} & set(variables)


def test_without_isolation_requirements_are_not_asked_for(
    project: Path, build: Builds, environments: Any, events: list[dict[str, Any]]
) -> None:
    assert names(build(project, isolated=False)) == [SDIST, WHEEL]
    assert environments.asked == []
    assert environments.verified == 0
    assert any(text.startswith("not isolated: the build uses whatever") for text in warnings(events))
    assert build(project, isolated=False).why == "built: without isolation nothing is known about what the build used"


# --- failures --------------------------------------------------------------------------------------------------------


def test_not_a_project(tmp_path: Path, build: Builds) -> None:
    with pytest.raises(AnalyzeError, match=r"no pyproject\.toml, setup\.py or setup\.cfg in"):
        build(PROJECTS / "not-a-project", tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def test_mistakes_are_told_of_the_users_file(project: Path, build: Builds) -> None:
    (project / "pyproject.toml").write_text("[build-system]\nrequires = 1\n")
    with pytest.raises(AnalyzeError) as caught:
        build(project)
    assert caught.value.where == f"{project}/pyproject.toml:2"


def test_a_mistake_inside_the_sdist_is_told_as_such(project: Path, build: Builds, change: Changes) -> None:
    change('with open("PKG-INFO"', 'open("pyproject.toml", "w").write("[build-system]")\n    with open("PKG-INFO"')
    with pytest.raises(ValidationError, match=f"{SDIST} is not valid") as caught:
        build(project)
    assert "(dynamic_requires-1.0/pyproject.toml)" in caught.value.detail


def test_a_copy_is_spoken_of_by_the_name_of_what_it_is_a_copy_of(project: Path) -> None:
    (project / "pyproject.toml").write_text("[build-system]\nrequires = 1\n")
    with pytest.raises(AnalyzeError) as caught:
        _analyze(str(project), SDIST)
    assert caught.value.where == f"{SDIST}/pyproject.toml:2"
    assert str(project) not in caught.value.explain()


def test_an_escaping_link(project: Path, build: Builds) -> None:
    (project / "src" / "secret").symlink_to("/etc/passwd")
    with pytest.raises(SourceError) as caught:
        build(project)
    assert caught.value.where == str(project / "src" / "secret")


def test_a_backend_that_fails(tmp_path: Path, events: list[dict[str, Any]], build: Builds) -> None:
    with pytest.raises(BuildError) as caught:
        build(PROJECTS / "backend-fails", tmp_path / "dist")
    assert caught.value.what == "failing_backend: build_sdist ended with exit code 1"
    assert caught.value.detail.splitlines() == [
        "building the sdist",
        "error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory",
    ]
    assert "apt install gcc python3-dev" in caught.value.remedy
    assert events[-1] == {**events[-1], "kind": "phase", "name": "build", "state": "failed", "detail": "sdist"}
    assert not (tmp_path / "dist").exists()


def test_a_backend_that_is_not_there(tmp_path: Path, build: Builds) -> None:
    with pytest.raises(BuildError) as caught:
        build(PROJECTS / "backend-missing", tmp_path / "dist")
    assert caught.value.what == "the build backend 'no_such_backend' cannot be imported"
    assert caught.value.detail.endswith("ModuleNotFoundError: No module named 'no_such_backend'")
    assert "build-system.requires" in caught.value.remedy


def test_a_broken_wheel_is_not_handed_over(project: Path, build: Builds, change: Changes) -> None:
    change('return f"{path},sha256={digest}', 'return f"{path},sha256=x{digest}')
    with pytest.raises(ValidationError) as caught:
        build(project)
    assert "record-hash: its bytes do not have the hash in RECORD (dynamic_requires/__init__.py)" in caught.value.detail
    assert not (project / "dist").exists(), "a build hands over everything or nothing"
    assert caught.value.where in ("", WHEEL), "the file is gone with the build's directory: no path leads to it"


def test_warnings_of_the_check_are_said(
    project: Path, events: list[dict[str, Any]], build: Builds, change: Changes
) -> None:
    change('name = "dynamic_requires-1.0.tar.gz"', 'name = "dynamic-requires-1.0.tar.gz"')
    build(project)
    assert warnings(events)[0].startswith("dynamic-requires-1.0.tar.gz: sdist-name-legacy: ")


def test_a_time_limit_is_no_backend_error(project: Path, build: Builds, change: Changes) -> None:
    change("    warnings.warn(", "    import time\n    time.sleep(60)\n    warnings.warn(")
    with context.use(context.Context(idle_timeout=0.3)), pytest.raises(CommandTimeout):
        build(project)


def test_a_file_that_git_ignores_is_the_reason(
    project: Path, build: Builds, change: Changes, git: Callable[..., str]
) -> None:
    (project / ".gitignore").write_text("src/generated.txt\ndist/\n")
    (project / "src" / "generated.txt").write_text("x")
    change("    warnings.warn(", '    open("src/generated.txt")\n    warnings.warn(')
    with pytest.raises(BuildError) as caught:
        build(project)
    assert caught.value.remedy.startswith("git ignores src/generated.txt, so ")
    assert names(build(project, include=("src/*.txt",))) == [SDIST, WHEEL]


# --- places ----------------------------------------------------------------------------------------------------------


def test_what_a_killed_build_left_does_no_harm(project: Path, build: Builds) -> None:
    first = content(build(project))
    place = open_store().path("build", fingerprint(str(project)))
    for name in ("source/stale.py", "sdist/stale", "unpacked/stale", "wheel-0/stale", "tmp/stale"):
        (place / name).parent.mkdir(parents=True)
        (place / name).touch()
    (place / "source").chmod(0o500)
    assert content(build(project, cache=False)) == first
    assert not place.exists()


def test_two_builds_of_one_project_take_turns(project: Path, build: Builds) -> None:
    said: list[str] = []

    def tell(kind: str, **fields: Any) -> None:
        if kind == "message":
            said.append(fields["text"])
            mine.token.cancel("enough")

    mine = context.Context(emit=tell)
    lock = open_store().lock(f"build-{fingerprint(str(project))}")
    assert isinstance(lock, FileLock)
    with lock, context.use(mine), pytest.raises(Cancelled):
        build(project)
    assert said == ["waiting for another build of this project"]


def test_who_waited_takes_what_the_other_built(
    project: Path, tmp_path: Path, build: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import contextmanager

    import hwb.builder.place

    own_place = hwb.builder.place.own_place

    @contextmanager
    def after_another(key: str, *where: str, **how: bool) -> Any:
        monkeypatch.setattr(hwb.builder.place, "own_place", own_place)
        build(project, tmp_path / "first")
        with own_place(key, *where, **how) as place:
            yield place

    monkeypatch.setattr(hwb.builder.place, "own_place", after_another)
    assert build(project, tmp_path / "second").cached
    assert sorted(os.listdir(tmp_path / "second")) == [WHEEL, SDIST]
