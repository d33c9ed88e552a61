"""In which environment is a wheel tested, and what is in it, for each choice of versions?"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hwb.artifacts import Artifact
from hwb.context import use
from hwb.errors import DependencyError, HwbError, ToolNotFound
from hwb.isolation import backends
from hwb.isolation.venv import make_venv
from hwb.proc import Completed
from hwb.pythons import running

from .test_session import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Installer:
    """Makes empty directories, and remembers what it is to install where."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.installed: list[tuple[str, list[str]]] = []
        self.checked: list[str] = []
        self.problem: DependencyError | None = None

    def create(self, path: str, interpreter: Any, params: Sequence[str]) -> None:
        Path(path, "bin").mkdir(parents=True)

    def install(self, python: str, args: Sequence[str], **how: Any) -> Completed:
        self.installed.append((os.path.dirname(os.path.dirname(python)), list(args)))
        if self.problem is not None and "lowest" in args:
            raise self.problem
        return Completed(("install",), 0, 0.0)

    def check(self, python: str, **how: Any) -> None:
        self.checked.append(os.path.dirname(os.path.dirname(python)))

    def resolve(self, interpreter: Any, requirements: Sequence[str], constraints: Any, **how: Any) -> list[str]:
        return [f"{text.partition('>')[0]}==9" for text in requirements if "@" not in text]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    with use(made.context):
        yield made


@pytest.fixture
def uv(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Installer:
    return provided(stage, "uv", monkeypatch)


def provided(stage: Stage, name: str, monkeypatch: pytest.MonkeyPatch) -> Installer:
    installer = Installer(name)
    monkeypatch.setattr(backends, "choose", lambda backend=None: installer)
    stage.session._provide(make_venv(stage.session._virtualenv.location, running()))
    return installer


@pytest.fixture
def wheel(tmp_path: Path) -> Artifact:
    path = tmp_path / "thing-1.0-py3-none-any.whl"
    text = (
        'Metadata-Version: 2.4\nName: thing\nVersion: 1.0\nRequires-Dist: six>=1\nRequires-Dist: x>=2; extra == "x"\n'
    )
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("thing-1.0.dist-info/METADATA", text)
    return Artifact.of_file(str(path), "build", "build", "")


def test_without_a_word_it_is_as_it_always_was(stage: Stage, uv: Installer, wheel: Artifact) -> None:
    own = str(stage.session.env_dir)
    with stage.session.installed(wheel, "pytest", extras=["x", "y"]):
        assert str(stage.session.env_dir) == own
    assert uv.installed == [(own, [f"{wheel.path}[x,y]", "pytest"])]
    assert uv.checked == [own]


def test_highest_is_told_to_uv(stage: Stage, uv: Installer, wheel: Artifact) -> None:
    own = str(stage.session.env_dir)
    with stage.session.installed(wheel, "pytest", resolution="highest"):
        pass
    assert uv.installed == [(own, ["--resolution", "highest", wheel.path, "pytest"])]


def test_pip_always_takes_the_highest(stage: Stage, monkeypatch: pytest.MonkeyPatch, wheel: Artifact) -> None:
    pip = provided(stage, "virtualenv", monkeypatch)
    with stage.session.installed(wheel, resolution="highest"):
        pass
    assert [args for _, args in pip.installed] == [[wheel.path]]


def test_pip_finds_no_lowest(stage: Stage, monkeypatch: pytest.MonkeyPatch, wheel: Artifact) -> None:
    pip = provided(stage, "virtualenv", monkeypatch)
    before = stage.session.virtualenv
    with pytest.raises(ToolNotFound, match="only uv finds"), stage.session.installed(wheel, resolution="lowest"):
        pytest.fail("it was not installed")
    assert pip.installed == []
    assert stage.session.virtualenv is before


def test_lowest_is_somewhere_else(stage: Stage, uv: Installer, wheel: Artifact) -> None:
    session = stage.session
    session.env["MINE"] = "1"
    before, own = session.virtualenv, str(session.env_dir)
    with session.installed(wheel, "pytest>=7", "-r", "more.txt", resolution="lowest-direct"):
        other = str(session.env_dir)
        assert other == os.path.join(own, "lowest-direct")
        assert (session.env["VIRTUAL_ENV"], session.env["MINE"]) == (other, "1")
        assert session.bin == os.path.join(other, "bin")
        assert session.create_tmp().startswith(other)
    options = ["--resolution", "lowest-direct"]
    assert uv.installed == [(other, [*options, wheel.path, "six>=1", "pytest==9", "-r", "more.txt"])]
    assert uv.checked == [other]
    assert session.virtualenv is before
    assert not os.path.exists(other)
    assert os.path.exists(own)


def test_lowest_with_an_extra_and_nothing_for_tests(stage: Stage, uv: Installer, wheel: Artifact) -> None:
    with stage.session.installed(wheel, extras=["x"], resolution="lowest"):
        pass
    assert [args for _, args in uv.installed] == [["--resolution", "lowest", f"{wheel.path}[x]", "six>=1", "x>=2"]]


def test_what_fails_is_named_and_kept(stage: Stage, uv: Installer, wheel: Artifact) -> None:
    before = stage.session.virtualenv
    with pytest.raises(HwbError, match="with the lowest versions of its dependencies: it fails"):  # noqa: SIM117
        with stage.session.installed(wheel, resolution="lowest"):
            raise HwbError("it fails")
    assert stage.session.virtualenv is before
    assert os.path.isdir(os.path.join(stage.session.env_dir, "lowest"))
    uv.problem = DependencyError("no such versions")
    with (
        pytest.raises(DependencyError, match="lowest versions of its dependencies: no such versions"),
        stage.session.installed(wheel, resolution="lowest"),
    ):
        pytest.fail("it was not installed")


def test_a_session_without_an_environment(stage: Stage, wheel: Artifact) -> None:
    with (
        pytest.raises(ValueError, match="without a virtualenv"),
        stage.session.installed(wheel, "pytest", resolution="lowest"),
    ):
        pytest.fail("it was not installed")


class Inside:
    """A container's environment: what `hwb.inside` does is tested there."""

    def __init__(self, told: list[Any], resolution: str = "") -> None:
        self.told, self.resolution = told, resolution
        path = f"/envs/{resolution or 'own'}"
        interpreter = running()
        self.venv = backends_venv(path, interpreter)

    def empty(self, resolution: str) -> Inside:
        return Inside(self.told, resolution)

    def newest(self, arguments: list[str]) -> list[str]:
        self.told.append(("newest", arguments))
        return ["pytest==9"]

    def install(self, arguments: list[str]) -> None:
        self.told.append((self.resolution, arguments))


def backends_venv(path: str, interpreter: Any) -> Any:
    from hwb.isolation.environment import Venv

    return Venv(path, f"{path}/bin/python", f"{path}/bin", "uv for images", interpreter, False)


def test_in_a_container(stage: Stage, wheel: Artifact) -> None:
    told: list[Any] = []
    session = stage.session
    session._enter(Inside(told))  # type: ignore[arg-type]
    for resolution in ("", "highest", "lowest-direct"):
        with session.installed(wheel, "pytest>=7", resolution=resolution):
            assert session.env["VIRTUAL_ENV"] == f"/envs/{resolution or 'own'}"
        assert session.env["VIRTUAL_ENV"] == "/envs/own"
    assert told == [
        ("", [wheel.path, "pytest>=7"]),
        ("highest", [wheel.path, "pytest>=7"]),
        ("newest", [wheel.path, "pytest>=7"]),
        ("lowest-direct", [wheel.path, "six>=1", "pytest==9"]),
    ]
