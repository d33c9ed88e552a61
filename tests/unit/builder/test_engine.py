"""Does a build give checked, repeatable files, say its phases, and explain every failure?

Backends here live in the project's own tree and need nothing, so that the running interpreter is environment enough.
"""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import hwb.isolation.venv
from hwb import context, pythons
from hwb.builder.engine import Built, build_project
from hwb.errors import AnalyzeError, BuildError, Cancelled, CommandTimeout, SourceError, ValidationError
from hwb.fs import FileLock
from hwb.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROJECTS = Path(__file__).parents[2] / "projects"
SDIST, WHEEL = "dynamic_requires-1.0.tar.gz", "dynamic_requires-1.0-py3-none-any.whl"


@dataclass
class FakeVenv:
    python: str = sys.executable
    bin: str = os.path.dirname(sys.executable)


@dataclass
class Environments:
    """Who asked for which environment, in order, and which ones were looked at afterwards."""

    asked: list[tuple[str, ...]] = field(default_factory=list)
    verified: int = 0

    def shared_environment(self, _interpreter: object, requirements: Sequence[str]) -> FakeVenv:
        self.asked.append(tuple(requirements))
        return FakeVenv()

    def verify_unmodified(self, _venv: FakeVenv) -> bool:
        self.verified += 1
        return True


@pytest.fixture(autouse=True)
def environments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Environments:
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    fake = Environments()
    monkeypatch.setattr(hwb.isolation.venv, "shared_environment", fake.shared_environment)
    monkeypatch.setattr(hwb.isolation.venv, "verify_unmodified", fake.verify_unmodified)
    return fake


@pytest.fixture
def events() -> Iterator[list[dict[str, Any]]]:
    seen: list[dict[str, Any]] = []
    with context.use(context.Context(emit=lambda kind, **fields: seen.append({"kind": kind, **fields}))):
        yield seen


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PROJECTS / "dynamic-requires", tmp_path / "project"))


def build(root: Path, out: Path | None = None, **options: Any) -> Built:
    return build_project(str(root), str(out or root / "dist"), pythons.running(), **options)


def change(project: Path, old: str, new: str) -> None:
    backend = project / "backend" / "tiny_backend.py"
    assert old in backend.read_text()
    backend.write_text(backend.read_text().replace(old, new))


def test_a_build(project: Path, environments: Environments, events: list[dict[str, Any]]) -> None:
    before = sorted(project.rglob("*"))
    built = build(project)
    dist = project / "dist"
    assert built == Built(str(dist / SDIST), str(dist / WHEEL))
    assert sorted(path.name for path in dist.iterdir()) == [WHEEL, SDIST]
    assert sorted(path for path in project.rglob("*") if dist not in (path, *path.parents)) == before
    assert environments.asked == [(), (), ("packaging",)]
    assert environments.verified == 3
    phases = [(e["name"], e["state"], e["detail"]) for e in events if e["kind"] == "phase"]
    assert [phase for phase in phases if phase[1] == "done"] == [
        ("resolve", "done", ""),
        ("analyze", "done", ""),
        ("isolation", "done", "sdist"),
        ("build", "done", "sdist"),
        ("validate", "done", "sdist"),
        ("analyze", "done", ""),
        ("isolation", "done", "wheel"),
        ("build", "done", "wheel"),
        ("validate", "done", "wheel"),
        ("metadata", "done", ""),
    ]
    assert len(phases) == 20
    assert list(Path(os.environ["HWB_CACHE_DIR"], "build").iterdir()) == []


def test_the_second_build_has_the_same_bytes(project: Path) -> None:
    first = [Path(path or "").read_bytes() for path in (lambda b: (b.sdist, b.wheel))(build(project))]
    os.utime(project / "pyproject.toml", (1, 1))
    (project / "src" / "dynamic_requires" / "__init__.py").chmod(0o600)
    again = build(project)
    assert [Path(path or "").read_bytes() for path in (again.sdist, again.wheel)] == first
    with tarfile.open(again.sdist or "") as archive:
        assert {member.mtime for member in archive} == {1_700_000_000}
        assert SDIST not in " ".join(archive.getnames()), "dist/ of the first build is no source of the second"


def test_only_one_of_them(project: Path, tmp_path: Path) -> None:
    assert build(project, tmp_path / "a", sdist=False) == Built(None, str(tmp_path / "a" / WHEEL))
    assert build(project, tmp_path / "b", wheel=False) == Built(str(tmp_path / "b" / SDIST), None)
    assert os.listdir(tmp_path / "a") == [WHEEL]
    assert os.listdir(tmp_path / "b") == [SDIST]


def test_settings_reach_the_backend_and_secrets_do_not(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINE_PASSWORD", "hunter22")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    built = build(project, config_settings={"flag": ["a", "b"], "other": "c"})
    with zipfile.ZipFile(built.wheel or "") as archive:
        assert archive.read("dynamic_requires/settings.txt").decode() == "[('flag', ['a', 'b']), ('other', 'c')]"
        names = archive.read("dynamic_requires/environ.txt").decode().split()
    assert "SOURCE_DATE_EPOCH" in names
    assert not {"TWINE_PASSWORD", "PYTHONPATH", "HWB_CACHE_DIR"} & set(names)


def test_not_a_project(tmp_path: Path) -> None:
    with pytest.raises(AnalyzeError, match=r"no pyproject\.toml, setup\.py or setup\.cfg in"):
        build(PROJECTS / "not-a-project", tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def test_mistakes_are_told_of_the_users_file(project: Path) -> None:
    (project / "pyproject.toml").write_text("[build-system]\nrequires = 1\n")
    with pytest.raises(AnalyzeError) as caught:
        build(project)
    assert caught.value.where == f"{project}/pyproject.toml:2"


def test_a_mistake_inside_the_sdist_is_told_as_such(project: Path) -> None:
    change(
        project, 'with open("PKG-INFO"', 'open("pyproject.toml", "w").write("[build-system]")\n    with open("PKG-INFO"'
    )
    with pytest.raises(AnalyzeError) as caught:
        build(project)
    assert caught.value.where == f"{SDIST}/pyproject.toml:1"


def test_an_escaping_link(project: Path) -> None:
    (project / "src" / "secret").symlink_to("/etc/passwd")
    with pytest.raises(SourceError) as caught:
        build(project)
    assert caught.value.where == str(project / "src" / "secret")


def test_a_backend_that_fails(tmp_path: Path, events: list[dict[str, Any]]) -> None:
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


def test_a_backend_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        build(PROJECTS / "backend-missing", tmp_path / "dist")
    assert caught.value.what == "the build backend 'no_such_backend' cannot be imported"
    assert caught.value.detail.endswith("ModuleNotFoundError: No module named 'no_such_backend'")
    assert "build-system.requires" in caught.value.remedy


def test_a_hook_that_is_not_there(project: Path) -> None:
    change(project, "def build_wheel(", "def build_something(")
    with pytest.raises(BuildError, match="tiny_backend: build_wheel ended with exit code 1") as caught:
        build(project)
    assert "has no attribute 'build_wheel'" in caught.value.detail


def test_a_backend_that_cannot_make_an_sdist(project: Path) -> None:
    change(project, "def build_sdist(", "class UnsupportedOperation(Exception): pass\n\ndef build_sdist(")
    change(project, "    warnings.warn(", '    raise UnsupportedOperation("not here")\n    warnings.warn(')
    with pytest.raises(BuildError, match="tiny_backend: build_sdist is not supported here") as caught:
        build(project)
    assert "UnsupportedOperation: not here" in caught.value.detail


def test_a_backend_that_lies_about_its_file(project: Path) -> None:
    change(project, "    return name\n\n\ndef build_wheel", "    return 'other.tar.gz'\n\n\ndef build_wheel")
    with pytest.raises(BuildError, match=r"tiny_backend says it built 'other\.tar\.gz', but there is no such file"):
        build(project)


def test_a_broken_wheel_is_not_handed_over(project: Path) -> None:
    change(project, 'return f"{path},sha256={digest}', 'return f"{path},sha256=x{digest}')
    with pytest.raises(ValidationError) as caught:
        build(project)
    assert "record-hash: its bytes do not have the hash in RECORD (dynamic_requires/__init__.py)" in caught.value.detail
    assert not (project / "dist").exists(), "a build hands over everything or nothing"


def test_warnings_of_the_check_are_said(project: Path, events: list[dict[str, Any]]) -> None:
    change(project, 'name = "dynamic_requires-1.0.tar.gz"', 'name = "dynamic-requires-1.0.tar.gz"')
    build(project)
    texts = [event["text"] for event in events if event["kind"] == "message"]
    assert texts[0].startswith("dynamic-requires-1.0.tar.gz: warning: sdist-name: ")


def test_a_time_limit_is_no_backend_error(project: Path) -> None:
    change(project, "    warnings.warn(", "    import time\n    time.sleep(60)\n    warnings.warn(")
    with context.use(context.Context(idle_timeout=0.3)), pytest.raises(CommandTimeout):
        build(project)


def test_what_a_killed_build_left_does_no_harm(project: Path) -> None:
    from hwb.store import fingerprint

    first = Path(build(project).sdist or "").read_bytes()
    place = open_store().path("build", fingerprint(str(project)))
    for name in ("source/stale.py", "sdist/stale", "unpacked/stale", "wheel/stale", "tmp/stale"):
        (place / name).parent.mkdir(parents=True)
        (place / name).touch()
    (place / "source").chmod(0o500)
    assert Path(build(project).sdist or "").read_bytes() == first
    assert not place.exists()


def test_two_builds_of_one_project_take_turns(project: Path) -> None:
    from hwb.store import fingerprint

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
