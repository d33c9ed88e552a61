"""Is a compiler on macOS told which Macs a wheel is for?

What `xcrun` and interpreters print is as Apple describes it and as others show it; no test here ran on macOS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hwb.errors import CommandFailed, MissingError
from hwb.matrix.macos import build_environment, deployment_target, halves, runs_on
from hwb.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

XCODE = "/Applications/Xcode.app/Contents/Developer/Platforms/MacOSX.platform/Developer/SDKs/MacOSX14.5.sdk"
TOOLS = "/Library/Developer/CommandLineTools/SDKs/MacOSX.sdk"
NO_TOOLS = "xcrun: error: invalid active developer path (/Library/Developer/CommandLineTools), missing xcrun at: ..."
PYTHON = "/Library/Frameworks/Python.framework/Versions/3.12/bin/python3"


def target(arch: str, policy: str = "macosx_11_0") -> Target:
    return Target.of(f"cp312-macosx_{arch}", policy)


def mac(own: str = "10.13", sdk: str | None = XCODE) -> Callable[[Sequence[str]], str]:
    """A Mac whose Python needs that system; without an SDK xcrun fails."""

    def ask(argv: Sequence[str]) -> str:
        if argv[0] == PYTHON:
            assert argv[1:3] == ["-I", "-c"]
            return f"{own}\n"
        assert argv == ["xcrun", "--sdk", "macosx", "--show-sdk-path"]
        if sdk is None:
            raise CommandFailed("xcrun ended with exit code 1", 1, detail=NO_TOOLS)
        return f"{sdk}\n"

    return ask


@pytest.mark.parametrize(
    ("arch", "flags"),
    [
        ("arm64", "-arch arm64"),
        ("x86_64", "-arch x86_64"),
        ("universal2", "-arch arm64 -arch x86_64"),
    ],
)
def test_the_compiler_is_told_for_which_processors(arch: str, flags: str) -> None:
    assert build_environment(target(arch), {"ARCHFLAGS": "-arch ppc"}, PYTHON, mac()) == {
        "MACOSX_DEPLOYMENT_TARGET": "11.0",
        "ARCHFLAGS": flags,
        "_PYTHON_HOST_PLATFORM": f"macosx-11.0-{arch}",
        "SDKROOT": XCODE,
    }


def test_a_chosen_sdk_stays() -> None:
    found = build_environment(target("arm64"), {"SDKROOT": "/my/MacOSX12.sdk"}, PYTHON, mac(sdk=None))
    assert found["SDKROOT"] == "/my/MacOSX12.sdk"
    assert build_environment(target("arm64"), {}, PYTHON, mac(sdk=TOOLS))["SDKROOT"] == TOOLS


@pytest.mark.parametrize(
    ("arch", "policy", "own", "lowest"),
    [
        ("x86_64", "macosx_11_0", "10.9", "11.0"),
        ("x86_64", "macosx_10_9", "10.13", "10.13"),  # CPython 3.12 of python.org
        ("x86_64", "macosx_10_9", "", "10.9"),
        ("x86_64", "macosx_10_9", "None", "10.9"),
        ("x86_64", "macosx_10_13", "10.9", "10.13"),  # 10.13 is newer than 10.9
        ("x86_64", "macosx_11_0", "14", "14.0"),  # a Python that was compiled on this machine
        ("arm64", "macosx_10_13", "10.13", "11.0"),
        ("arm64", "macosx_12_3", "11.0", "12.3"),
        ("universal2", "macosx_10_13", "10.9", "10.13"),
        ("arm64", "", "", "11.0"),
    ],
)
def test_the_oldest_system_that_is_possible(arch: str, policy: str, own: str, lowest: str) -> None:
    assert deployment_target(target(arch, policy), own) == lowest
    found = build_environment(target(arch, policy), {}, PYTHON, mac(own))
    assert found["_PYTHON_HOST_PLATFORM"] == f"macosx-{lowest}-{arch}"


def test_without_apples_tools() -> None:
    with pytest.raises(MissingError, match="no macOS SDK") as caught:
        build_environment(target("arm64"), {}, PYTHON, mac(sdk=None))
    assert (caught.value.detail, caught.value.remedy) == (NO_TOOLS, "run: xcode-select --install")
    with pytest.raises(MissingError, match="knows no macOS SDK"):
        build_environment(target("arm64"), {}, PYTHON, mac(sdk=""))


def test_a_universal_wheel_has_two_halves() -> None:
    assert [half.identifier for half in halves(target("universal2"))] == ["cp312-macosx_arm64", "cp312-macosx_x86_64"]
    assert {half.policy for half in halves(target("universal2"))} == {"macosx_11_0"}


@pytest.mark.parametrize(
    ("arch", "machine", "runs"),
    [("arm64", "arm64", True), ("universal2", "x86_64", True), ("x86_64", "arm64", False), ("arm64", "x86_64", False)],
)
def test_what_a_mac_can_test(arch: str, machine: str, runs: bool) -> None:
    assert runs_on(target(arch), machine) is runs
