"""What is known of this machine, and which targets are made, refused or told elsewhere?"""

from __future__ import annotations

import json
import platform
import sys
from typing import TYPE_CHECKING, Any

import pytest

from hwb import machine
from hwb.config import Settings
from hwb.context import Context, use
from hwb.errors import AnalyzeError, ConfigError, MissingError, NothingToRun, ToolNotFound
from hwb.machine import (
    Wanted,
    as_record,
    compilers_for,
    find_host,
    plan_of,
    records,
    runs_here,
    tell_missing,
    wanted,
)
from hwb.matrix.handing_over import HandedOver
from hwb.matrix.options import TargetOptions
from hwb.matrix.planning import MatrixPlan, PlannedTarget
from hwb.matrix.strategy import Host, Strategy
from hwb.pythons import Interpreter
from hwb.target import System, Target
from hwb.workspace import open_workspace

if TYPE_CHECKING:
    from pathlib import Path

PURE = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n[project]\nname="p"\nversion="1"\n'
NATIVE = """[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "p"
version = "1"
[[tool.setuptools.ext-modules]]
name = "p"
sources = ["p.c"]
"""


def planned(identifier: str, strategy: Strategy = Strategy.CONTAINER, **more: Any) -> PlannedTarget:
    return PlannedTarget(identifier, Target.of(identifier, "manylinux_2_28"), TargetOptions(), strategy, **more)


def test_a_record_is_plain_data_that_comes_back() -> None:
    options = TargetOptions(test_requires=("a", "b"), environment=(("A", "1"),), network=True)
    one = PlannedTarget("cp312-manylinux_x86_64", Target.of("cp312-manylinux_x86_64", "p"), options, Strategy.HOST, "i")
    record = json.loads(json.dumps(as_record(one)))
    assert record["policy"] == "p"
    assert (record["strategy"], record["image"], record["pure"]) == ("host", "i", False)
    assert record["options"] == {"test_requires": ["a", "b"], "environment": [["A", "1"]], "network": True}


def test_what_is_made_here_and_what_is_told() -> None:
    one, other = planned("cp312-manylinux_x86_64"), planned("cp312-win_amd64", Strategy.ELSEWHERE, reason="use w")
    plan = MatrixPlan((one, other), warnings=("careful",))
    assert list(records(plan)) == ["cp312-manylinux_x86_64"]
    assert tell_missing(plan) == ["not made here: cp312-win_amd64: use w", "warning: careful"]


def test_what_is_missing_for_one_reason_is_one_line() -> None:
    plan = MatrixPlan((
        planned("cp312-manylinux_x86_64"),
        planned("cp312-win_amd64", Strategy.ELSEWHERE, reason="use w"),
        planned("cp312-macosx_arm64", Strategy.ELSEWHERE, reason="use m"),
        planned("cp313-win_amd64", Strategy.ELSEWHERE, reason="use w"),
    ))  # fmt: skip
    assert tell_missing(plan) == [
        "not made here: cp312-win_amd64, cp313-win_amd64: use w",
        "not made here: cp312-macosx_arm64: use m",
    ]
    assert Wanted.of(plan).missing == (
        ("cp312-win_amd64", "use w"),
        ("cp312-macosx_arm64", "use m"),
        ("cp313-win_amd64", "use w"),
    )
    assert Wanted.of(plan, whole=False).missing is None


@pytest.mark.parametrize(
    ("names", "text", "made"),
    [
        (("release",), PURE, []),
        (("matrix",), PURE, ["py3-none-any"]),
        (("build",), NATIVE, []),
        (("release",), NATIVE, ["cp312-manylinux_x86_64"]),
        (("release",), "", []),
    ],
)
def test_the_wheels_of_a_run(
    names: tuple[str, ...], text: str, made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "find_host", lambda _settings: Host(System.LINUX, "x86_64", "docker"))
    monkeypatch.setenv("CIBW_BUILD", "cp312-manylinux_x86_64")
    (tmp_path / "hwbfile.py").write_text("")
    if text:
        (tmp_path / "pyproject.toml").write_text(text)
    assert list(wanted(open_workspace(str(tmp_path)), names).made) == made


def test_a_matrix_needs_a_project(tmp_path: Path) -> None:
    (tmp_path / "hwbfile.py").write_text("")
    with pytest.raises(AnalyzeError):
        wanted(open_workspace(str(tmp_path)), ["matrix"])


def test_nothing_that_can_be_made() -> None:
    with pytest.raises(NothingToRun, match="none of the project's wheels"):
        records(MatrixPlan((planned("cp312-win_amd64", Strategy.ELSEWHERE),)))


def test_what_was_asked_for_by_name() -> None:
    with pytest.raises(MissingError, match="cp312-win_amd64 cannot be made here"):
        records(MatrixPlan((planned("cp312-win_amd64", Strategy.ELSEWHERE, requested=True),)))


def test_arguments_of_a_front_end_are_not_honoured() -> None:
    options = TargetOptions(build_frontend="build", build_frontend_args=("--no-isolation",))
    one = PlannedTarget("cp312-manylinux_x86_64", None, options, Strategy.HOST)
    with pytest.raises(ConfigError, match="build-frontend args --no-isolation are not honoured"):
        records(MatrixPlan((one,)))


def test_what_cibuildwheel_makes_is_made_here() -> None:
    told = HandedOver("cp312-manylinux_x86_64", {"CIBW_TEST_COMMAND": "t"}, ("A",), "docker")
    options = TargetOptions(build_frontend="build", build_frontend_args=("--no-isolation",))
    target = Target.of("cp312-manylinux_x86_64")
    one = PlannedTarget("cp312-manylinux_x86_64", target, options, Strategy.CIBUILDWHEEL, handed=told)
    other = planned("cp312-android_x86_64", Strategy.CIBUILDWHEEL, reason="run it")
    plan = MatrixPlan((one, other))
    (record,) = records(plan).values()
    assert HandedOver.of(json.loads(json.dumps(record))["handed"]).as_dict() == told.as_dict()
    assert tell_missing(plan) == ["not made here: cp312-android_x86_64: run it"]


def test_a_pure_project_asks_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwb.isolation.engine.find_engine", lambda wanted: pytest.fail("asked"))
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n[project]\nname="p"\nversion="1"\n'
    )
    plan = plan_of(str(tmp_path), Settings(), {})
    assert [one.identifier for one in plan.targets] == ["py3-none-any"]


@pytest.mark.parametrize(
    ("environ", "disposable"), [({}, False), ({"CI": "false"}, False), ({"CI": "true"}, True), ({"TRAVIS": "x"}, True)]
)
def test_a_machine_of_ci(environ: dict[str, str], disposable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_plain_host", lambda: Host(System.MACOS, "arm64"))
    with use(Context(outer_env=environ)):
        assert find_host(Settings()).disposable is disposable


@pytest.mark.skipif(sys.platform != "linux", reason="engines are asked on Linux")
def test_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(wanted: str) -> object:
        raise ToolNotFound("no engine")

    monkeypatch.setattr("hwb.isolation.engine.find_engine", none)
    host = find_host(Settings())
    assert (host.engine, host.arch) == (None, platform.machine())
    minor = f"cp3{sys.version_info.minor}"
    assert host.interpreter(Target.of(f"{minor}-manylinux_x86_64"))
    for identifier in ("cp399-manylinux_x86_64", f"{minor}t-manylinux_x86_64", "pp311-manylinux_x86_64"):
        assert not host.interpreter(Target.of(identifier)), identifier


@pytest.mark.skipif(sys.platform == "win32", reason="a script stands for an interpreter")
def test_on_windows_each_python_is_for_one_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "python"
    path.write_text("#!/bin/sh\necho win-amd64\n")
    path.chmod(0o755)
    monkeypatch.setattr("hwb.pythons.find", lambda version: Interpreter(str(path), f"{version}.1", "cpython", "test"))
    has = machine._has_interpreter
    assert [arch for arch in ("win32", "win_amd64", "win_arm64") if has(Target.of(f"cp312-{arch}"))] == ["win_amd64"]


def test_what_compilers_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_plain_host", lambda: Host(System.WINDOWS, "AMD64"))
    assert compilers_for(Target.of("cp312-manylinux_x86_64"), "python", {}) == {}
    assert compilers_for(Target.of("cp312-win_amd64"), "python", {"CC": "clang"}) == {}
    found = compilers_for(Target.of("cp312-macosx_arm64", "macosx_11_0"), sys.executable, {"SDKROOT": "/sdk"})
    assert (found["ARCHFLAGS"], found["SDKROOT"]) == ("-arch arm64", "/sdk")


def test_which_wheels_can_be_imported_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_plain_host", lambda: Host(System.MACOS, "arm64"))
    identifiers = ("macosx_arm64", "macosx_universal2", "macosx_x86_64", "win_amd64")
    assert [runs_here(Target.of(f"cp312-{one}")) for one in identifiers] == [True, True, False, True]


def test_what_the_kernel_emulates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_BINFMT", str(tmp_path))
    (tmp_path / "register").write_text("")
    (tmp_path / "qemu-aarch64").write_text("enabled\ninterpreter /usr/bin/qemu\nflags: OCF\n")
    (tmp_path / "qemu-arm").write_text("enabled\nflags: F\n")
    (tmp_path / "qemu-s390x").write_text("enabled\nflags: OC\n")  # not inside containers
    (tmp_path / "qemu-ppc64le").write_text("disabled\nflags: F\n")
    assert machine._emulated() == {"aarch64", "armv7l"}
    monkeypatch.setattr(machine, "_BINFMT", str(tmp_path / "gone"))
    assert machine._emulated() == frozenset()
