"""Does a container's environment come from this machine's installer where that can speak for it, else from the image?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hwb import pythons
from hwb.errors import DependencyError, OfflineError, ToolNotFound
from hwb.isolation import backends, installing, provision
from hwb.isolation.environment import MARKER
from hwb.isolation.images import LocalImage
from hwb.isolation.in_image import InImage
from hwb.isolation.installing import NetworkDown
from hwb.isolation.pip import PipInstaller
from hwb.isolation.provision import (
    container_environment,
    container_pins,
    environment_of_container_pins,
    pip_selection,
    uv_selection,
)
from hwb.isolation.venv import verify_unmodified
from hwb.proc import Completed
from hwb.store import open_store

from .engines import FakeEngine
from .test_foreign import python
from .test_uv import fake  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from .test_uv import Fake

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="containers are Linux's")

IMAGE = LocalImage("mine:1", "sha256:1", "x86_64")


class Inside:
    """What the image's pip is asked, and what it answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.problem: Exception | None = None
        monkeypatch.setattr(InImage, "resolve", self.resolve)
        monkeypatch.setattr(InImage, "sync", self.sync)

    def resolve(self, interpreter: Any, requirements: Any, constraints: Any, **how: Any) -> list[str]:
        self.calls.append(("resolve", tuple(requirements), tuple(constraints)))
        if self.problem is not None:
            raise self.problem
        return ["inside==1"]

    def sync(self, python: str, requirements: str, **how: Any) -> Completed:
        self.calls.append(("sync", Path(requirements).read_text().split()))
        return Completed(("pip",), 0, 0.0)


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> Inside:
    return Inside(monkeypatch)


@pytest.fixture(autouse=True)
def uv(fake: Fake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fake:  # noqa: F811
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(backends, "choose", lambda backend=None: fake.uv)
    return fake


@pytest.fixture
def engine(tmp_path: Path) -> Any:
    return FakeEngine(tmp_path / "engine").engine


# ------------------------------------------------------------------------------------------------------- selection


def test_uv_is_told_python_and_platform() -> None:
    assert uv_selection(python()) == [
        *("--python", pythons.running().path),
        *("--python-version", "3.12.1", "--python-platform", "x86_64-manylinux_2_28"),
        *("--only-binary", ":all:"),
    ]


@pytest.mark.parametrize(
    ("libc", "policy", "name"),
    [
        ("glibc 2.17", "manylinux2014_x86_64", "manylinux_2_17"),
        ("glibc 2.36", "manylinux_2_31_x86_64", "manylinux_2_31"),
        ("glibc 2.30", "", "manylinux_2_28"),
        ("glibc 2.41", "", "manylinux_2_40"),
        ("", "musllinux_1_2_x86_64", "unknown-linux-musl"),
    ],
)
def test_wheels_must_run_on_both_the_pythons_and_the_images_c_library(libc: str, policy: str, name: str) -> None:
    chosen = uv_selection(python(libc=libc, policy=policy))
    assert chosen[chosen.index("--python-platform") + 1] == f"x86_64-{name}"


@pytest.mark.parametrize(
    "changes",
    [
        {"flags": "t"},
        {"implementation": "pypy"},
        {"platform": "linux-s390x"},
        {"libc": "", "policy": ""},
        {"libc": "", "policy": "musllinux_1_1_x86_64"},
        {"libc": "glibc 2.12", "policy": ""},
    ],
)
def test_what_uv_cannot_speak_for(changes: dict[str, str]) -> None:
    assert uv_selection(python(**changes)) == []


def test_a_pre_release_is_named_by_its_minor() -> None:
    assert "3.15" in uv_selection(python(version="3.15.0rc1"))


def test_pip_is_told_every_platform_that_fits() -> None:
    chosen = pip_selection(python(flags="t", version="3.14.0"))
    assert chosen[:6] == ["--only-binary", ":all:", "--implementation", "cp", "--python-version", "3.14"]
    assert [chosen[i + 1] for i, word in enumerate(chosen) if word == "--abi"] == ["cp314t", "abi3", "none"]
    platforms = [chosen[i + 1] for i, word in enumerate(chosen) if word == "--platform"]
    assert platforms[0] == "manylinux_2_28_x86_64"
    assert platforms[-3:] == ["manylinux_2_5_x86_64", "manylinux1_x86_64", "linux_x86_64"]
    assert "manylinux2014_x86_64" in platforms
    musl = pip_selection(python(libc="", policy="musllinux_1_2_x86_64"))
    assert [word for word in musl if "linux" in word] == [
        *("musllinux_1_2_x86_64", "musllinux_1_1_x86_64", "musllinux_1_0_x86_64", "linux_x86_64"),
    ]


# ---------------------------------------------------------------------------------------------- on this machine


def test_it_is_made_here_and_once(uv: Fake, inside: Inside, engine: Any) -> None:
    first = container_environment(engine, IMAGE, python(), ["six"], constraints=["six<2"])
    second = container_environment(engine, IMAGE, python(), ["six"], constraints=["six<2"])
    assert first.path == second.path
    assert (first.reused, second.reused) == (False, True)
    compiled, installed = uv.arguments
    assert compiled[:2] == ["pip", "compile"]
    assert installed[:2] == ["pip", "install"]
    for argv in (compiled, installed):
        assert argv[argv.index("--python-platform") + 1] == "x86_64-manylinux_2_28"
    assert installed[installed.index("--target") + 1] == str(first.site_packages)
    assert inside.calls == []
    assert first.python == f"{first.path}/bin/python"
    assert Path(first.path, MARKER).is_file()
    assert verify_unmodified(first)
    (first.site_packages / "added.py").touch()
    assert not verify_unmodified(first)
    assert not container_environment(engine, IMAGE, python(), ["six"], constraints=["six<2"]).reused


def test_another_image_has_another(engine: Any, inside: Inside) -> None:
    from dataclasses import replace

    first = container_environment(engine, IMAGE, python(), ["six"])
    assert container_environment(engine, IMAGE, replace(python(), image="sha256:2"), ["six"]).path != first.path


def test_requirements_are_no_options(engine: Any) -> None:
    with pytest.raises(DependencyError, match="no requirement"):
        container_pins(engine, IMAGE, python(), ["--index-url=x"])


def test_what_has_no_wheel_is_installed_in_the_image(
    uv: Fake, inside: Inside, engine: Any, listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ONLINE", "1 No solution found: no usable wheels")
    venv = container_environment(engine, IMAGE, python(), ["six"], constraints=["six<2"])
    assert inside.calls == [("resolve", ("six",), ("six<2",)), ("sync", ["inside==1"])]
    [message] = listener.of("message")
    assert "a container installs it" in message["text"]
    assert [argv[1] for argv in uv.arguments] == ["compile"], "what it could not resolve it is not asked to install"
    assert Path(venv.python).is_symlink()
    asked = len(uv.calls)
    for record in open_store().root.glob("pins/*.json"):
        if "pins" in str(open_store().read_json("pins", record.name)):
            record.unlink()
    container_pins(engine, IMAGE, python(), ["six"], constraints=["six<2"])
    assert len(inside.calls) == 3
    assert len(uv.calls) == asked, "who could not do it is not asked again today"
    inside.problem = DependencyError("no such thing at all")
    with pytest.raises(DependencyError, match="at all"):
        container_pins(engine, IMAGE, python(), ["other"])


def test_a_dead_network_is_no_reason_for_a_container(
    inside: Inside, engine: Any, monkeypatch: pytest.MonkeyPatch, listener: Any
) -> None:
    monkeypatch.setattr(installing, "_silence", installing._Silence())
    monkeypatch.setenv("FAKE_ONLINE", "2 dns error")
    monkeypatch.setenv("FAKE_OFFLINE", "2 six was not found in the cache")
    with pytest.raises(NetworkDown):
        container_pins(engine, IMAGE, python(), ["six"])
    listener.context.offline = True
    with pytest.raises(OfflineError):
        container_pins(engine, IMAGE, python(), ["six"])
    assert inside.calls == []


def test_old_versions_are_found_by_uv_alone(uv: Fake, inside: Inside, engine: Any) -> None:
    plain = container_environment(engine, IMAGE, python(), ["six"])
    oldest = container_environment(engine, IMAGE, python(), ["six"], resolution="lowest-direct")
    asked = [argv for argv in uv.arguments if argv[1] == "compile"]
    assert ["--resolution" in argv for argv in asked] == [False, True], "pins of one are not those of the other"
    assert asked[1][asked[1].index("--resolution") + 1] == "lowest-direct"
    assert oldest.path == plain.path, "the same pins are the same environment"
    container_pins(engine, IMAGE, python(), ["six"], resolution="highest")
    assert uv.arguments[-1][uv.arguments[-1].index("--resolution") + 1] == "highest"
    assert inside.calls == []


def test_the_images_pip_is_not_asked_for_old_versions(
    uv: Fake, inside: Inside, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ONLINE", "1 No solution found: no usable wheels")
    with pytest.raises(DependencyError):
        container_pins(engine, IMAGE, python(), ["six"], resolution="lowest")
    pypy = python(implementation="pypy", version="3.11.1", packages="lib/pypy3.11/site-packages")
    with pytest.raises(ToolNotFound, match="here pip of the image installs"):
        container_pins(engine, IMAGE, pypy, ["six"], resolution="lowest")
    assert inside.calls == []
    assert container_pins(engine, IMAGE, pypy, ["six"], resolution="highest") == ["inside==1"]


def test_pypy_is_the_images_own_business(uv: Fake, inside: Inside, engine: Any) -> None:
    pypy = python(implementation="pypy", version="3.11.1", packages="lib/pypy3.11/site-packages")
    venv = environment_of_container_pins(engine, IMAGE, pypy, ["six"], ["six==1"])
    assert inside.calls == [("sync", ["six==1"])]
    assert uv.calls == []
    assert venv.site_packages == Path(venv.path, "lib/pypy3.11/site-packages")


# ------------------------------------------------------------------------------------------------------------- pip


class FakePip:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[Any, ...]] = []
        monkeypatch.setattr(
            PipInstaller, "create", lambda own, path, interpreter, params: Path(path, "bin").mkdir(parents=True)
        )
        monkeypatch.setattr(PipInstaller, "resolve_for", self.resolve)
        monkeypatch.setattr(PipInstaller, "sync_to", self.sync)

    def resolve(
        self, python: str, selection: Any, requirements: Any, constraints: Any, wheels: Path, **how: Any
    ) -> list[str]:
        self.calls.append(("resolve", python, selection, requirements, wheels))
        return ["six==1.0"]

    def sync(self, python: str, target: str, selection: Any, requirements: str, wheels: Path, **how: Any) -> Completed:
        self.calls.append(("sync", python, selection, Path(requirements).read_text().split(), wheels))
        Path(target, "bin").mkdir()
        Path(target, "bin", "tool").write_text("#!/x/python\n")
        return Completed(("pip",), 0, 0.0)


def test_pip_speaks_for_pythons_like_its_own(monkeypatch: pytest.MonkeyPatch, engine: Any, inside: Inside) -> None:
    pip = FakePip(monkeypatch)
    monkeypatch.setattr(backends, "choose", lambda backend=None: PipInstaller())
    monkeypatch.setattr(provision, "_speaks_for", lambda python: True)
    venv = container_environment(engine, IMAGE, python(), ["six"])
    resolved, synced = pip.calls
    assert resolved[2] == synced[2] == pip_selection(python())
    assert resolved[1] == synced[1], "an environment with nothing but pip"
    assert resolved[4] == synced[4]
    assert venv.python in Path(venv.bin, "tool").read_text()
    assert inside.calls == []


def test_pip_resolves_and_installs_for_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command lines of pip itself."""
    calls: list[list[str]] = []
    codes: list[int] = []

    def execute(argv: list[str], **how: Any) -> installing.Outcome:
        calls.append(argv[4:])
        if "--dest" in argv:
            out = Path(argv[argv.index("--dest") + 1])
            out.mkdir()
            (out / "six-1.17.0-py2.py3-none-any.whl").touch()
        return installing.Outcome(Completed(tuple(argv), codes.pop(0) if codes else 0, 0.0), "")

    monkeypatch.setattr("hwb.isolation.pip.execute", execute)
    wheels, pip = tmp_path / "wheels", PipInstaller()
    wheels.mkdir()
    chosen = ["--only-binary", ":all:"]
    assert pip.resolve_for("/p", chosen, ["six"], [], wheels, env={}, offline=False) == ["six==1.17.0"]
    assert [path.name for path in wheels.iterdir()] == ["six-1.17.0-py2.py3-none-any.whl"]
    assert calls[0][0] == "download"
    assert calls[0][3:] == [*chosen, "--find-links", str(wheels), "-r", "in.txt", "-c", "constraints.txt"]
    pip.resolve_for("/p", chosen, ["six"], [], wheels, env={}, offline=True)
    assert "--no-index" in calls[1]
    codes[:] = [0, 1, 0, 1]
    pip.sync_to("/p", "/target", chosen, "/x/pins.txt", wheels, env={}, offline=False)
    assert calls[2][:4] == ["install", "--no-index", "--target", "/target"]
    assert {"--no-compile", "--no-deps"} <= set(calls[2])
    pip.sync_to("/p", "/target", chosen, "/x/pins.txt", wheels, env={}, offline=False)
    assert "--no-index" not in calls[4]
    with pytest.raises(DependencyError):
        pip.sync_to("/p", "/target", chosen, "/x/pins.txt", wheels, env={}, offline=True)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it never does")
def test_markers_decide_whether_pip_speaks_for_a_python(
    monkeypatch: pytest.MonkeyPatch, engine: Any, inside: Inside
) -> None:
    import platform

    minor, machine = pythons.running().minor, platform.machine()
    like = {"version": f"{minor}.0", "platform": f"linux-{machine}", "implementation": sys.implementation.name}
    assert provision._speaks_for(python(**like))
    assert not provision._speaks_for(python(**{**like, "version": "3.7.0"}))
    assert not provision._speaks_for(python(**{**like, "platform": "linux-riscv64x"}))
    assert not provision._speaks_for(python(**{**like, "implementation": "other"}))
    monkeypatch.setattr(backends, "choose", lambda backend=None: PipInstaller())
    assert container_pins(engine, IMAGE, python(version="3.7.0"), ["six"]) == ["inside==1"]
