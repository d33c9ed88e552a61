"""What does a session do for a wheel that cibuildwheel makes, and for those of macOS?"""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hwb import config
from hwb import making as recipes
from hwb.artifacts import Artifact, Ledger
from hwb.context import Context, current, use
from hwb.loader import Catalog
from hwb.matrix.strategy import Host
from hwb.pythons import Interpreter
from hwb.redact import Redactor
from hwb.runner.log import SessionLog
from hwb.session import Session
from hwb.spec import Services, SessionSpec
from hwb.target import System, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hwb.matrix.handing_over import HandedOver

IDENTIFIER = "cp312-manylinux_x86_64"
WHEEL = "x-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"


class Delegated:
    """A session for one target, with a cibuildwheel that remembers what it was told."""

    def __init__(self, root: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
        run = root / ".hwb" / "runs" / "1"
        run.mkdir(parents=True)
        record = {
            "identifier": IDENTIFIER,
            "policy": "manylinux_2_28",
            "pure": False,
            "strategy": "cibuildwheel",
            "image": "i",
            "options": options,
            "handed": {"identifier": IDENTIFIER, "variables": {}, "passed": [], "engine": "docker"},
            **more,
        }
        spec = SessionSpec("matrix", "matrix", 1, "1", str(root), str(run), str(run / "m.log"))
        self.root, self.log, self.ledger = root, SessionLog(spec.log, Redactor()), Ledger(None)
        settings = config.load(str(root), environ={})
        self.context = Context(log=self.log, cwd=str(root), outer_env={"MY_A": "1", "OTHER": "2"})
        services = Services(Catalog({}), settings, self.ledger, None)
        self.session = Session(replace(spec, target=record), services, self.context)
        (root / "x-1.0.tar.gz").write_bytes(b"an sdist")
        self.sdist = Artifact.of_file(str(root / "x-1.0.tar.gz"), "sdist", "sdist", "")
        self.ledger.add(self.sdist)
        self.told: list[tuple[HandedOver, Target, str]] = []
        monkeypatch.setattr("hwb.delegate.delegate_wheel", self._delegate)

    def _delegate(self, handed: HandedOver, target: Target, sdist: str, folder: str) -> str:
        self.told.append((handed, target, sdist))
        Path(folder).mkdir(parents=True)
        path = Path(folder, WHEEL)
        path.write_bytes(b"a wheel")
        return str(path)


@pytest.fixture
def delegated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Delegated]:
    (tmp_path / "pyproject.toml").write_text('[tool.hwb.build]\nenv-pass = ["MY_*"]\n')
    own = Delegated(tmp_path, getattr(request, "param", {}), monkeypatch)
    with use(own.context):
        yield own
    own.log.close()


TESTED, SKIPPED = {"test_command": "pytest"}, {"test_command": "pytest", "test_skip": True}


@pytest.mark.parametrize("delegated", [TESTED], indirect=True)
def test_the_wheel_is_recorded_once_and_counts_as_tested(delegated: Delegated) -> None:
    (wheel,) = delegated.session.build(config_settings={"a": "b"})
    assert Path(wheel.path) == delegated.root / "dist" / WHEEL
    assert wheel.parent == delegated.sdist.sha256
    assert delegated.session.repair() == [wheel]
    assert {artifact.name for artifact in delegated.ledger.leaves()} == {WHEEL, "x-1.0.tar.gz"}
    (verdict,) = delegated.ledger.verdicts()
    assert (verdict.verdict, verdict.ok, verdict.detail) == ("tested", True, "by cibuildwheel")
    rows = json.loads((delegated.root / "dist" / ".hwb" / "manifest.json").read_text())["artifacts"]
    assert [row["name"] for row in rows] == [WHEEL]
    assert rows[0]["verdicts"].keys() == {"tested"}


def test_settings_and_passed_variables_are_told(delegated: Delegated) -> None:
    delegated.session.build(config_settings={"a": "b"})
    ((handed, target, sdist),) = delegated.told
    assert (str(target), target.policy, sdist) == (IDENTIFIER, "manylinux_2_28", delegated.sdist.path)
    assert handed.variables == {"CIBW_CONFIG_SETTINGS": "a=b", "CIBW_ENVIRONMENT_PASS": "MY_A"}
    assert handed.passed == ("MY_A",)


@pytest.mark.parametrize(
    ("delegated", "why"),
    [(TESTED, "cibuildwheel has done that"), (SKIPPED, "test-skip"), ({}, "no test-command tells cibuildwheel how")],
    indirect=["delegated"],
)
def test_it_is_not_tested_again(delegated: Delegated, why: str) -> None:
    delegated.session.build()
    assert delegated.session.tests.skip == why
    assert bool(delegated.ledger.verdicts()) == (why == "cibuildwheel has done that")
    making = delegated.session._making
    assert making is not None
    making.provide()
    assert delegated.session._venv is None


@pytest.mark.parametrize("delegated", [TESTED], indirect=True)
def test_its_versions_are_its_own(delegated: Delegated) -> None:
    making = delegated.session._making
    assert making is not None
    told = making.tests(recipes.Tests(resolutions=("highest", "lowest")))
    assert told.skip == "cibuildwheel has done that (resolutions are for tests by hwb: not with highest, lowest)"


# --- macOS -----------------------------------------------------------------------------------------------------------

Built = list[tuple[str, dict[str, str], tuple[str, ...]]]


def mac(root: Path, backend: str, monkeypatch: pytest.MonkeyPatch, identifier: str) -> tuple[Delegated, Built]:
    """A session for a wheel of macOS on an Apple machine, and what was built with which variables."""
    text = f'[build-system]\nrequires = []\nbuild-backend = "{backend}"\n[project]\nname = "x"\nversion = "1.0"\n'
    (root / "pyproject.toml").write_text(text)
    options = {"environment": [["KIND", "of-$ARCHFLAGS"]]}
    record = {"identifier": identifier, "policy": "macosx_11_0", "strategy": "host"}
    stage = Delegated(root, options, monkeypatch, **record)
    built: Built = []

    def compilers_for(target: Target, python: str, outer: Mapping[str, str]) -> dict[str, str]:
        assert (python, outer["OTHER"]) == ("/python", "2")
        return {"ARCHFLAGS": target.arch, "MACOSX_DEPLOYMENT_TARGET": "12.0"}

    def build_project(source: str, folder: str, options: Any) -> Any:
        built.append((source, dict(current().outer_env), options.env_pass))
        path = Path(folder) / "x-1.0.whl"
        path.parent.mkdir(parents=True)
        path.write_text(source)
        return SimpleNamespace(wheels=(str(path),), why="built: for a test")

    monkeypatch.setattr("hwb.machine._plain_host", lambda: Host(System.MACOS, "arm64"))
    monkeypatch.setattr("hwb.machine.compilers_for", compilers_for)
    monkeypatch.setattr("hwb.builder.engine.build_project", build_project)
    monkeypatch.setattr("hwb.making.Making._unpacked", lambda self, sdist, name: nullcontext(name))
    monkeypatch.setattr(
        "hwb.pythons.find", lambda version, **_: Interpreter("/python", f"{version}.1", "cpython", "test")
    )
    return stage, built


def test_hooks_see_what_the_compiler_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, built = mac(tmp_path, "setuptools.build_meta", monkeypatch, "cp312-macosx_universal2")
    with use(stage.context):
        stage.session.build()
        making = stage.session._making
        assert making is not None
        assert making._repair_options().policy == "12.0"
    ((name, environ, passed),) = built
    assert name == "cp312-macosx_universal2"
    assert (environ["ARCHFLAGS"], environ["KIND"], environ["OTHER"]) == ("universal2", "of-universal2", "2")
    assert set(passed) == {"ARCHFLAGS", "MACOSX_DEPLOYMENT_TARGET", "KIND"}


def test_halves_are_built_and_fused_for_a_backend_that_builds_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fuse_wheels(arm64: str, x86_64: str, folder: str, tool: object) -> str:
        path = Path(folder, "x-1.0-cp312-cp312-macosx_11_0_universal2.whl")
        path.parent.mkdir(parents=True)
        path.write_text(Path(arm64).read_text() + " and " + Path(x86_64).read_text())
        return str(path)

    monkeypatch.setattr("hwb.repair.universal.fuse_wheels", fuse_wheels)
    stage, built = mac(tmp_path, "mesonpy", monkeypatch, "cp312-macosx_universal2")
    with use(stage.context):
        (wheel,) = stage.session.build()
    assert Path(wheel.path).read_text() == "cp312-macosx_arm64 and cp312-macosx_x86_64"
    assert [environ["ARCHFLAGS"] for _, environ, _ in built] == ["arm64", "x86_64"]


@pytest.mark.parametrize(
    ("identifier", "why"), [("cp312-macosx_x86_64", "it is for x86_64"), ("cp312-macosx_arm64", "")]
)
def test_a_wheel_for_another_processor_is_not_tested(
    identifier: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, _ = mac(tmp_path, "mesonpy", monkeypatch, identifier)
    with use(stage.context):
        stage.session.build()
        assert stage.session.tests.skip == why
