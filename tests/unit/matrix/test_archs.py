"""Do the words for architectures mean the same as in cibuildwheel, on every machine?"""

from __future__ import annotations

import pytest

from hwb.errors import ConfigError
from hwb.matrix.archs import native, resolve
from hwb.target import System

LINUX, MACOS, WINDOWS = System.LINUX, System.MACOS, System.WINDOWS
ANDROID, IOS, PYODIDE = System.ANDROID, System.IOS, System.PYODIDE


@pytest.mark.parametrize(
    ("system", "host", "arch", "found"),
    [
        (LINUX, LINUX, "x86_64", "x86_64"),
        (LINUX, MACOS, "arm64", "aarch64"),
        (LINUX, WINDOWS, "AMD64", "x86_64"),
        (MACOS, LINUX, "aarch64", "arm64"),
        (MACOS, LINUX, "i686", None),
        (WINDOWS, LINUX, "x86_64", "AMD64"),
        (WINDOWS, LINUX, "i686", "x86"),
        (ANDROID, LINUX, "aarch64", "arm64_v8a"),
        (ANDROID, LINUX, "s390x", None),
        (IOS, LINUX, "x86_64", None),
        (IOS, MACOS, "arm64", "arm64_iphonesimulator"),
        (PYODIDE, LINUX, "x86_64", "wasm32"),
    ],
)
def test_native(system: System, host: System, arch: str, found: str | None) -> None:
    assert native(system, host, arch) == found


@pytest.mark.parametrize(
    ("text", "system", "host", "arch", "found"),
    [
        ("auto", LINUX, LINUX, "x86_64", ["x86_64"]),
        ("auto", WINDOWS, LINUX, "x86_64", ["x86", "AMD64"]),
        ("native", WINDOWS, WINDOWS, "AMD64", ["AMD64"]),
        ("auto64 auto32", LINUX, LINUX, "x86_64", ["x86_64", "i686"]),
        ("auto32", WINDOWS, WINDOWS, "AMD64", ["x86"]),
        ("auto32", MACOS, MACOS, "x86_64", []),
        ("auto32", LINUX, LINUX, "aarch64", []),
        ("auto32", LINUX, LINUX, "i686", ["i686"]),
        ("auto64", LINUX, LINUX, "i686", []),
        ("auto", IOS, MACOS, "arm64", ["arm64_iphoneos", "arm64_iphonesimulator"]),
        ("auto", IOS, LINUX, "x86_64", []),
        ("auto32", PYODIDE, LINUX, "x86_64", ["wasm32"]),
        ("all", MACOS, LINUX, "x86_64", ["x86_64", "arm64", "universal2"]),
        ("AARCH64,ppc64le", LINUX, LINUX, "x86_64", ["aarch64", "ppc64le"]),
        ("arm64 x86_64", LINUX, LINUX, "x86_64", ["x86_64"]),
    ],
)
def test_resolve(text: str, system: System, host: System, arch: str, found: list[str]) -> None:
    assert sorted(resolve(text, system, host, arch)) == sorted(found)


def test_an_unknown_word_is_an_error_that_lists_the_others() -> None:
    with pytest.raises(ConfigError, match="no architecture 'sparc'") as caught:
        resolve("x86_64 sparc", LINUX, LINUX, "x86_64", "CIBW_ARCHS")
    assert caught.value.where == "CIBW_ARCHS"
    assert "riscv64" in caught.value.remedy
