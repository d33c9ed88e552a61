"""Is every identifier read and written as it is, and does --platform mean one thing in each of its spellings?"""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb.errors import UsageError
from hwb.target import System, Target, Wanted, same_arch

LINUX, MACOS, WINDOWS = System.LINUX, System.MACOS, System.WINDOWS


@pytest.mark.parametrize(
    ("identifier", "target", "version", "implementation", "system"),
    [
        ("cp312-manylinux_x86_64", Target("cp312", "manylinux", "x86_64"), "3.12", "cpython", LINUX),
        ("cp39-musllinux_aarch64", Target("cp39", "musllinux", "aarch64"), "3.9", "cpython", LINUX),
        ("cp314t-manylinux_ppc64le", Target("cp314t", "manylinux", "ppc64le"), "3.14", "cpython", LINUX),
        ("pp311-macosx_arm64", Target("pp311", "macosx", "arm64"), "3.11", "pypy", MACOS),
        ("gp312_250-manylinux_x86_64", Target("gp312_250", "manylinux", "x86_64"), "3.12", "graalpy", LINUX),
        ("cp313-macosx_universal2", Target("cp313", "macosx", "universal2"), "3.13", "cpython", MACOS),
        ("cp312-win32", Target("cp312", "win", "x86"), "3.12", "cpython", WINDOWS),
        ("cp312-win_amd64", Target("cp312", "win", "AMD64"), "3.12", "cpython", WINDOWS),
        ("cp312-win_arm64", Target("cp312", "win", "ARM64"), "3.12", "cpython", WINDOWS),
        ("cp313-pyodide_wasm32", Target("cp313", "pyodide", "wasm32"), "3.13", "cpython", System.PYODIDE),
        ("cp313-android_arm64_v8a", Target("cp313", "android", "arm64_v8a"), "3.13", "cpython", System.ANDROID),
        ("cp313-ios_arm64_iphoneos", Target("cp313", "ios", "arm64_iphoneos"), "3.13", "cpython", System.IOS),
    ],
)
def test_identifiers(identifier: str, target: Target, version: str, implementation: str, system: System) -> None:
    assert Target.of(identifier) == target
    assert (str(target), target.version) == (identifier, version)
    assert (target.implementation, target.system) == (implementation, system)
    assert target.free_threaded == ("t-" in identifier)


@pytest.mark.parametrize(
    "text", ["", "cp312", "cp312-linux_x86_64", "py3-none-any", "cp312_manylinux-x86_64", "cp2-win32"]
)
def test_what_is_no_identifier(text: str) -> None:
    with pytest.raises(UsageError, match="is no identifier"):
        Target.of(text)


@pytest.mark.parametrize(
    ("target", "platform"),
    [
        (Target.of("cp312-manylinux_x86_64", "manylinux_2_28"), "manylinux_2_28_x86_64"),
        (Target.of("cp312-manylinux_x86_64"), "manylinux_x86_64"),
        (Target.of("cp312-musllinux_armv7l", "musllinux_1_2"), "musllinux_1_2_armv7l"),
        (Target.of("cp312-win32"), "win32"),
        (Target.of("cp312-win_amd64"), "win_amd64"),
    ],
)
def test_the_platform_carries_the_policy(target: Target, platform: str) -> None:
    assert target.platform == platform


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("manylinux", [Wanted(LINUX, "manylinux")]),
        ("musllinux", [Wanted(LINUX, "musllinux")]),
        ("linux/arm64", [Wanted(LINUX, "", "aarch64")]),
        ("linux/amd64", [Wanted(LINUX, "", "x86_64")]),
        ("linux/arm/v7", [Wanted(LINUX, "", "armv7l")]),
        ("linux/386", [Wanted(LINUX, "", "i686")]),
        ("macosx-11.0-universal2", [Wanted(MACOS, "11.0", "universal2")]),
        ("macosx_11_0_arm64", [Wanted(MACOS, "11.0", "arm64")]),
        ("manylinux_2_28_x86_64", [Wanted(LINUX, "manylinux_2_28", "x86_64")]),
        ("manylinux2014_aarch64", [Wanted(LINUX, "manylinux2014", "aarch64")]),
        ("musllinux_1_2_x86_64", [Wanted(LINUX, "musllinux_1_2", "x86_64")]),
        ("win_amd64", [Wanted(WINDOWS, "", "AMD64")]),
        ("win32", [Wanted(WINDOWS)]),
        ("linux,windows", [Wanted(LINUX), Wanted(WINDOWS)]),
        ("linux, macos ,linux", [Wanted(LINUX), Wanted(MACOS)]),
        ("darwin", [Wanted(MACOS)]),
    ],
)
def test_the_spellings_of_platform(text: str, wanted: list[Wanted]) -> None:
    assert Target.parse(text) == tuple(wanted)


@pytest.mark.parametrize("text", ["", "solaris", "linux/", "beos/amd64", "linux,", "manylinux_2_28", "macosx-11.0"])
def test_anything_else_is_an_error_with_all_forms(text: str) -> None:
    with pytest.raises(UsageError, match="is no platform") as caught:
        Target.parse(text)
    assert "linux/arm64" in caught.value.remedy


@given(st.text(max_size=30))
def test_no_text_does_anything_else(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert Target.parse(text)


def test_synonyms_of_architectures_depend_on_the_system() -> None:
    assert [same_arch(LINUX, arch) for arch in ("arm64", "AMD64", "aarch64", "s390x")] == [
        "aarch64", "x86_64", "aarch64", "s390x",
    ]  # fmt: skip
    assert [same_arch(MACOS, arch) for arch in ("aarch64", "x86_64", "universal2")] == ["arm64", "x86_64", "universal2"]
    assert [same_arch(WINDOWS, arch) for arch in ("x86_64", "arm64", "x86")] == ["AMD64", "ARM64", "x86"]


@pytest.mark.parametrize(
    ("identifier", "request_"),
    [
        ("cp312-manylinux_x86_64", "3.12"),
        ("cp314t-win_amd64", "3.14t"),
        ("pp311-macosx_arm64", "pypy3.11"),
        ("gp312_250-manylinux_x86_64", "graalpy3.12"),
    ],
)
def test_what_an_interpreter_is_searched_by(identifier: str, request_: str) -> None:
    from hwb.pyspec import parse_spec

    target = Target.of(identifier)
    assert target.python_request == request_
    spec = parse_spec(target.python_request)
    assert (spec.implementation, spec.flags) == (target.implementation, "t" if target.free_threaded else "")
