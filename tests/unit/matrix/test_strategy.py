"""Who makes which wheel on which machine?"""

from __future__ import annotations

import pytest

from hwb.matrix.strategy import Choice, Host, Strategy, choose, names, runner_for
from hwb.target import System, Target

LINUX, MACOS, WINDOWS = System.LINUX, System.MACOS, System.WINDOWS


def has(*pythons: str):
    return lambda target: target.python in pythons


ENGINE = Host(LINUX, "x86_64", "docker", frozenset({"aarch64"}))
BARE = Host(LINUX, "x86_64", interpreter=has("cp312"))
APPLE = Host(MACOS, "arm64", interpreter=has("cp312"))
APPLE_ENGINE = Host(MACOS, "arm64", "podman")
DESKTOP = Host(WINDOWS, "AMD64", interpreter=has("cp312"))


@pytest.mark.parametrize(
    ("identifier", "host", "strategy", "axis"),
    [
        ("cp312-manylinux_x86_64", ENGINE, "container", ""),
        ("cp312-manylinux_i686", ENGINE, "container", ""),
        ("cp312-musllinux_aarch64", ENGINE, "container", ""),
        ("pp311-manylinux_x86_64", ENGINE, "container", ""),
        ("cp312-manylinux_s390x", ENGINE, "elsewhere", "arch"),
        ("cp312-manylinux_x86_64", BARE, "host", ""),
        ("cp311-manylinux_x86_64", BARE, "elsewhere", "python"),
        ("cp312-musllinux_x86_64", BARE, "elsewhere", "platform"),
        ("cp312-manylinux_i686", BARE, "elsewhere", "arch"),
        ("cp312-manylinux_aarch64", APPLE, "elsewhere", "platform"),
        ("cp312-manylinux_aarch64", APPLE_ENGINE, "container", ""),
        ("cp312-manylinux_x86_64", APPLE_ENGINE, "elsewhere", "arch"),
        ("cp312-macosx_arm64", ENGINE, "elsewhere", "platform"),
        ("cp312-macosx_universal2", APPLE, "host", ""),
        ("cp313-macosx_x86_64", APPLE, "elsewhere", "python"),
        ("pp311-macosx_x86_64", APPLE, "cibuildwheel", ""),
        ("cp313-macosx_x86_64", Host(MACOS, "arm64", disposable=True), "cibuildwheel", ""),
        ("cp312-win32", DESKTOP, "host", ""),
        ("cp313-win_arm64", DESKTOP, "cibuildwheel", ""),
        ("cp313-win_amd64", Host(WINDOWS, "ARM64"), "elsewhere", "arch"),
        ("cp313-win_amd64", APPLE, "elsewhere", "platform"),
        ("cp313-pyodide_wasm32", BARE, "cibuildwheel", ""),
        ("cp313-pyodide_wasm32", DESKTOP, "elsewhere", "platform"),
        ("cp313-android_x86_64", BARE, "cibuildwheel", "platform"),
        ("cp313-ios_arm64_iphoneos", BARE, "elsewhere", "platform"),
        ("cp313-ios_arm64_iphoneos", APPLE, "cibuildwheel", "platform"),
    ],
)
def test_hwb(identifier: str, host: Host, strategy: str, axis: str) -> None:
    choice = choose(Target.of(identifier), host, "hwb")
    assert (choice.strategy.value, choice.axis) == (strategy, axis)
    assert bool(choice.reason) == (strategy in ("cibuildwheel", "elsewhere"))


@pytest.mark.parametrize(
    ("identifier", "host", "strategy"),
    [
        ("cp312-manylinux_x86_64", ENGINE, "cibuildwheel"),
        ("cp312-manylinux_s390x", ENGINE, "elsewhere"),
        ("cp312-manylinux_x86_64", BARE, "elsewhere"),
        ("cp311-manylinux_x86_64", BARE, "elsewhere"),
        ("cp312-macosx_arm64", APPLE, "cibuildwheel"),
        ("cp311-macosx_arm64", APPLE, "cibuildwheel"),
        ("cp312-macosx_arm64", ENGINE, "elsewhere"),
        ("cp313-pyodide_wasm32", ENGINE, "cibuildwheel"),
    ],
)
def test_cibuildwheel(identifier: str, host: Host, strategy: str) -> None:
    choice = choose(Target.of(identifier), host, "cibuildwheel")
    assert choice.strategy.value == strategy
    assert choice.reason


def test_reasons_say_where_to_go() -> None:
    assert choose(Target.of("cp312-win32"), ENGINE, "hwb") == Choice(
        Strategy.ELSEWHERE, "Windows wheels are made on Windows: use windows-latest", "platform"
    )
    assert choose(Target.of("cp312-manylinux_s390x"), ENGINE, "hwb").reason.endswith("use ubuntu-latest with qemu")
    assert "start docker or podman" in choose(Target.of("cp312-musllinux_x86_64"), BARE, "hwb").reason


def test_a_host_has_no_interpreters_unless_it_says_so() -> None:
    assert choose(Target.of("cp312-manylinux_x86_64"), Host(LINUX, "x86_64"), "hwb").axis == "python"


@pytest.mark.parametrize(
    ("system", "arch", "runner"),
    [
        (LINUX, "x86_64", ("ubuntu-latest", False)),
        (LINUX, "aarch64", ("ubuntu-24.04-arm", False)),
        (LINUX, "riscv64", ("ubuntu-latest", True)),
        (MACOS, "x86_64", ("macos-15-intel", False)),
        (WINDOWS, "ARM64", ("windows-11-arm", False)),
        (System.PYODIDE, "wasm32", ("ubuntu-latest", False)),
        (System.IOS, "arm64_iphoneos", ("macos-latest", False)),
    ],
)
def test_runners(system: System, arch: str, runner: tuple[str, bool]) -> None:
    assert runner_for(system, arch) == runner


def test_long_lists_are_cut() -> None:
    assert names(["a", "b"]) == "a, b"
    assert names("abcdefghij", 3) == "a, b, c and 7 more"
