"""Does each rule about native code tell what is wrong with it, and keep still about what is not? (P14)"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hwb.wheel import Severity, check_file
from hwb.wheel.natives import natives
from hwb.wheel.rules_compiled import is_private
from hwb.wheel.rules_platform import floor_of, glibc_of

from .elves import elf, macho, pe, universal
from .test_rules import wheel_of

if TYPE_CHECKING:
    from pathlib import Path

EXTENSION = "demo/x.cpython-312-x86_64-linux-gnu.so"
HOME = "/home/me/lib"


def findings(folder: Path, files: dict[str, bytes], platform: str) -> list[tuple[str, str, str]]:
    python = "cp312-cp312" if "demo/x" in "".join(files) else "py3-none"
    found = check_file(wheel_of(folder, dict(files), f"{python}-{platform}"))
    return [(one.rule, one.message, one.member) for one in found if one.rule != "pypi-platform"]


def of_elf(folder: Path, data: bytes, platform: str = "manylinux_2_28_x86_64") -> list[tuple[str, str]]:
    return [(rule, message) for rule, message, _ in findings(folder, {EXTENSION: data}, platform)]


def glibc(version: str, library: str = "libc.so.6") -> bytes:
    return elf(symbols=(("dlsym", library, f"GLIBC_{version}"), ("puts", library, "GLIBC_2.2.5"), ("x", "", "")))


@pytest.mark.parametrize(
    ("platform", "version", "claims"),
    [
        ("manylinux_2_34_x86_64", "2.34", ""),
        ("manylinux_2_28_x86_64", "2.34", "manylinux_2_28_x86_64"),
        ("manylinux_2_34_x86_64.manylinux_2_28_x86_64", "2.34", "manylinux_2_28_x86_64"),
        ("manylinux_2_5_x86_64.manylinux1_x86_64", "2.5", ""),
        ("manylinux1_x86_64", "2.6", "manylinux1_x86_64"),
        ("manylinux2010_x86_64", "2.12", ""),
        ("manylinux2010_x86_64", "2.13", "manylinux2010_x86_64"),
        ("manylinux2014_x86_64", "2.17", ""),
        ("manylinux2014_x86_64", "2.18", "manylinux2014_x86_64"),
        ("manylinux2014_x86_64", "PRIVATE", ""),
        ("linux_x86_64", "2.40", ""),
        ("manylinux_2_28_x86_64", "ABI_DT_RELR", "manylinux_2_28_x86_64"),
        ("manylinux_2_36_x86_64", "ABI_DT_RELR", ""),
    ],
)
def test_the_tag_is_not_lower_than_the_symbols(tmp_path: Path, platform: str, version: str, claims: str) -> None:
    found = of_elf(tmp_path, glibc(version), platform)
    assert [rule for rule, _ in found] == (["platform-symbols"] if claims else [])
    if claims:
        assert f"dlsym@GLIBC_{version}" in found[0][1]
        assert found[0][1].endswith(f"but the wheel claims {claims}")
        assert "puts" not in found[0][1]


def test_a_weak_version_and_code_of_another_machine_claim_nothing(tmp_path: Path) -> None:
    weak = elf(symbols=(("x", "libc.so.6", "GLIBC_2.40"),), weak=("GLIBC_2.40",))
    assert of_elf(tmp_path, weak) == []
    foreign = elf(machine=183, symbols=(("x", "libc.so.6", "GLIBC_2.40"),))
    files = {EXTENSION: elf(), "demo/helper": foreign}
    assert [rule for rule, _, _ in findings(tmp_path, files, "manylinux_2_28_x86_64")] == ["foreign-binary"]


def test_names_that_cannot_be_read_hide_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwb.wheel.elf._MOST_SYMBOLS", 1)
    assert of_elf(tmp_path, glibc("2.34")) == [
        ("platform-symbols", "needs glibc 2.34, but the wheel claims manylinux_2_28_x86_64")
    ]


def test_only_some_of_many_symbols_are_shown(tmp_path: Path) -> None:
    many = elf(symbols=tuple((f"call{n}", "libc.so.6", "GLIBC_2.34") for n in range(9)))
    message = of_elf(tmp_path, many)[0][1]
    assert message.count("@GLIBC_2.34") == 5
    assert ", ...)" in message


@pytest.mark.parametrize(
    ("platform", "data", "needs"),
    [
        ("musllinux_1_2_x86_64", elf(needed=("libc.musl-x86_64.so.1",)), ""),
        ("musllinux_1_2_x86_64", glibc("2.17"), "glibc (GLIBC_2.17)"),
        ("manylinux_2_28_x86_64", elf(needed=("libc.musl-x86_64.so.1",)), "musl"),
        ("manylinux_2_28_x86_64.musllinux_1_2_x86_64", elf(), ""),
        ("manylinux_2_28_x86_64.musllinux_1_2_x86_64", glibc("2.17"), "glibc (GLIBC_2.17)"),
    ],
)
def test_the_c_library_is_the_tags(tmp_path: Path, platform: str, data: bytes, needs: str) -> None:
    found = [message for rule, message in of_elf(tmp_path, data, platform) if rule == "platform-symbols"]
    assert [message.partition(",")[0] for message in found] == ([f"needs {needs}"] if needs else [])


@pytest.mark.parametrize(
    ("path", "private"),
    [
        (HOME, True),
        ("/" + "root/.pyenv/versions/3.11.7/lib", True),
        ("/Users/me/lib", True),
        ("/tmp/build/lib", True),
        ("/tmp", True),
        ("//tmp/./x", True),
        ("/opt/../tmp/x", True),
        ("/var/tmp/x", True),
        ("/private/var/folders/x", True),
        ("/dev/shm/x", True),
        ("/tmpfiles/lib", False),
        ("/opt/_internal/cpython-3.11.13/lib", False),
        ("/usr/local/cuda/lib64", False),
        ("/usr/lib", False),
        ("/homebrew/lib", False),
    ],
)
def test_absolute_paths(tmp_path: Path, path: str, private: bool) -> None:
    assert is_private(path) is private
    for data in (elf(rpath=f"$ORIGIN:{path}"), elf(runpath=path)):
        assert of_elf(tmp_path, data)[0][0] == ("private-path" if private else "absolute-path")
        assert path in of_elf(tmp_path, data)[0][1]
        assert [rule for rule, _ in of_elf(tmp_path, data, "linux_x86_64")] == ["absolute-path"]


def test_paths_inside_the_wheel_are_fine(tmp_path: Path) -> None:
    assert of_elf(tmp_path, elf(rpath="$ORIGIN/../demo.libs", runpath="${ORIGIN}:.")) == []


def test_what_is_wrong_before_a_repair_is_only_said(tmp_path: Path) -> None:
    path = wheel_of(tmp_path, {EXTENSION: elf(rpath=HOME)}, "cp312-cp312-linux_x86_64")
    assert {one.rule: one.severity for one in check_file(path)} == {
        "pypi-platform": Severity.WARNING,
        "absolute-path": Severity.WARNING,
    }


def test_code_without_optimisation(tmp_path: Path) -> None:
    slow, fast = (elf(sections={".debug_str": b"GNU C17 12 -g" + more + b"\0"}) for more in (b"", b" -O2"))
    assert [rule for rule, _ in of_elf(tmp_path, slow)] == ["unoptimised"]
    assert of_elf(tmp_path, fast) == []
    assert of_elf(tmp_path, elf()) == []
    both = findings(tmp_path, {EXTENSION: slow, "demo/liby.so": slow, "demo/libz.so": fast}, "manylinux_2_28_x86_64")
    assert [(rule, member) for rule, _, member in both] == [("unoptimised", "demo/liby.so")]
    assert "-O (and 1 more)" in both[0][1]


def test_debug_information_is_said_when_it_is_most_of_much(tmp_path: Path) -> None:
    def rules(debug: int, code: int) -> list[str]:
        data = elf(sections={".debug_info": b"\1" * debug, ".text": b"\1" * code})
        return [message for rule, message in of_elf(tmp_path, data) if rule == "debug-information"]

    assert rules(250_000, 0) == []
    assert rules(300_000, 350_000) == []
    assert rules(400_000, 90_000)[0].endswith("unpacked it could be 5.4 times smaller")


@pytest.mark.parametrize(
    ("needed", "others", "lost"),
    [
        (("libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "libz.so.1"), {}, ""),
        (("liblz4.so.1", "libc.so.6"), {}, "needs liblz4.so.1"),
        (("liblz4-12ab.so.1",), {"demo.libs/liblz4-12ab.so.1": elf()}, ""),
        (("libreal.so.1",), {"demo/libother.so": elf(soname="libreal.so.1")}, ""),
        (("libcuda.so.1", "libcudart.so.12"), {}, "needs libcuda.so.1, libcudart.so.12"),
    ],
)
def test_libraries_are_here_or_promised(
    tmp_path: Path, needed: tuple[str, ...], others: dict[str, bytes], lost: str
) -> None:
    files = {EXTENSION: elf(needed=needed), **others}
    found = findings(tmp_path, files, "manylinux_2_28_x86_64")
    assert found == ([("missing-library", lost, EXTENSION)] if lost else [])
    assert findings(tmp_path, files, "linux_x86_64") == []


@pytest.mark.parametrize(
    ("data", "platform", "said"),
    [
        (macho(least=(11, 0)), "macosx_11_0_arm64", ""),
        (macho(least=(13, 0)), "macosx_11_0_arm64", "needs macOS 13.0 (arm64), but the wheel claims 11.0"),
        (macho(least=(13, 0), old=True), "macosx_11_0_arm64", "needs macOS 13.0 (arm64), but the wheel claims 11.0"),
        (macho(least=(13, 0)), "macosx_11_0_arm64.macosx_13_0_arm64", "needs macOS 13.0 (arm64), but the wheel claims 11.0"),
        (universal(macho(machine=0x01000007, least=(10, 9)), macho(least=(11, 0))), "macosx_10_9_universal2", ""),
        (macho(least=None), "macosx_11_0_arm64", ""),
    ],
)  # fmt: skip
def test_macos_is_not_newer_than_the_tag(tmp_path: Path, data: bytes, platform: str, said: str) -> None:
    found = findings(tmp_path, {"demo/x.so": data}, platform)
    assert found == ([("macos-floor", said, "demo/x.so")] if said else [])


def test_libraries_of_a_mac_are_the_systems_or_beside(tmp_path: Path) -> None:
    own = ("/usr/lib/libSystem.B.dylib", "@rpath/libx.dylib", "/System/Library/Frameworks/CoreFoundation.framework/CF")
    assert findings(tmp_path, {"demo/x.so": macho(libraries=own)}, "macosx_11_0_arm64") == []
    brew = macho(libraries=(*own, "/opt/homebrew/lib/libz.dylib"))
    assert findings(tmp_path, {"demo/x.so": brew}, "macosx_11_0_arm64") == [
        ("missing-library", "needs /opt/homebrew/lib/libz.dylib", "demo/x.so")
    ]


@pytest.mark.parametrize(
    ("dll", "tags", "fits"),
    [
        ("python312.dll", "cp312-cp312", True),
        ("Python311.dll", "cp312-cp312", False),
        ("python3.dll", "cp39-abi3", True),
        ("python39.dll", "cp39-abi3", False),
        ("python312.dll", "cp312-none", True),
        ("python313t.dll", "cp313-cp313t", True),
        ("python313.dll", "cp313-cp313t", False),
        ("python313t.dll", "cp313-cp313", False),
        ("python3t.dll", "cp315-abi3.abi3t", True),
        ("python310.dll", "pp310-pypy310_pp73", True),
        ("python312.dll", "py3-none", True),
        ("kernel32.dll", "cp312-cp312", True),
    ],
)
def test_the_python_library_is_the_tags(tmp_path: Path, dll: str, tags: str, fits: bool) -> None:
    path = wheel_of(tmp_path, {"demo/x.pyd": pe(dll)}, f"{tags}-win_amd64")
    assert [one.rule for one in check_file(path)] == ([] if fits else ["python-library"])
    helper = wheel_of(tmp_path, {"demo/x.pyd": pe(), "demo/helper.dll": pe(dll)}, f"{tags}-win_amd64")
    assert check_file(helper) == []


@pytest.mark.parametrize(
    ("dll", "others", "lost"),
    [
        ("MSVCP140.dll", [], True),
        ("msvcp140-0123.dll", ["demo.libs/msvcp140-0123.dll"], False),
        ("libgcc_s_seh-1.dll", [], True),
        ("libgomp-1.dll", ["demo/LIBGOMP-1.dll"], False),
        ("vcruntime140.dll", [], False),
        ("api-ms-win-crt-runtime-l1-1-0.dll", [], False),
    ],
)
def test_compilers_libraries_are_here(tmp_path: Path, dll: str, others: list[str], lost: bool) -> None:
    files = {"demo/x.pyd": pe("kernel32.dll", dll), **dict.fromkeys(others, pe())}
    found = findings(tmp_path, files, "win_amd64")
    assert found == ([("missing-library", f"needs {dll.lower()}", "demo/x.pyd")] if lost else [])


def test_what_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = bytearray(elf())
    bad[54] = 1  # the size of program headers
    found = of_elf(tmp_path, bytes(bad))
    assert found == [("native-format", "cannot be read as an ELF file: its program headers are too small")]
    monkeypatch.setattr("hwb.wheel.natives._LARGEST", 10)
    assert of_elf(tmp_path, elf())[0][1].endswith("more than are looked into")


def test_a_broken_mac_file_is_said(tmp_path: Path) -> None:
    assert [rule for rule, _, _ in findings(tmp_path, {"demo/x.so": macho()[:34]}, "macosx_11_0_arm64")] == [
        "native-format"
    ]


@pytest.mark.parametrize(
    ("file", "tags", "fits"),
    [
        ("x.abi3t.so", "cp315-abi3t", True),
        ("x.abi3t.so", "cp315-abi3.abi3t", True),
        ("x.abi3.so", "cp315-abi3.abi3t", True),
        ("x.abi3.so", "cp315-abi3t", True),
        ("x.abi3t.so", "cp312-abi3", False),
        ("x.abi3t.so", "cp314-cp314t", False),
        ("x.abi3t.so", "cp315-cp315t", True),
        ("x.abi3.so", "cp313-cp313t", False),
        ("x.abi3.so", "cp313-cp313", True),
        ("x.abi3.so", "py3-none", True),
        ("x.so", "cp39-abi3", True),
        ("x.cpython-315t-x86_64-linux-gnu.so", "cp315-abi3t", False),
        ("x.cpython-39-x86_64-linux-gnu.so", "cp39-abi3", False),
    ],
)
def test_stable_abis(tmp_path: Path, file: str, tags: str, fits: bool) -> None:
    path = wheel_of(tmp_path, {f"demo/{file}": elf()}, f"{tags}-manylinux_2_28_x86_64")
    assert [one.rule for one in check_file(path)] == ([] if fits else ["abi-suffix"])


@pytest.mark.parametrize(
    ("suffix", "platform", "fits"),
    [
        ("x86_64-linux-musl", "musllinux_1_2_x86_64", True),
        ("x86_64-linux-musl", "linux_x86_64", True),
        ("x86_64-linux-musl", "manylinux_2_28_x86_64.musllinux_1_2_x86_64", True),
        ("x86_64-linux-musl", "manylinux_2_28_x86_64", False),
        ("x86_64-linux-gnu", "musllinux_1_2_x86_64", True),
    ],
)
def test_suffixes_of_musl(tmp_path: Path, suffix: str, platform: str, fits: bool) -> None:
    found = findings(tmp_path, {f"demo/x.cpython-312-{suffix}.so": elf()}, platform)
    assert [rule for rule, _, _ in found] == ([] if fits else ["abi-suffix"])


def test_floors_and_versions() -> None:
    assert floor_of("manylinux_2_28_x86_64") == ("manylinux", (2, 28))
    assert floor_of("musllinux_1_2_aarch64") == ("musllinux", (1, 2))
    assert floor_of("macosx_10_9_universal2") == ("macosx", (10, 9))
    assert floor_of("manylinux2014_ppc64le") == ("manylinux", (2, 17))
    assert [floor_of(tag) for tag in ("linux_x86_64", "win_amd64", "any")] == [None] * 3
    assert [glibc_of(text) for text in ("GLIBC_2.2.5", "GLIBC_2.34", "GLIBC_PRIVATE", "GLIBCXX_3.4.9")] == [
        (2, 2), (2, 34), None, None,
    ]  # fmt: skip


def test_files_are_read_once(tmp_path: Path) -> None:
    from hwb.archive.zips import open_wheel
    from hwb.wheel.model import WheelSubject

    path = wheel_of(tmp_path, {EXTENSION: elf()}, "cp312-cp312-manylinux_2_28_x86_64")
    with open_wheel(path) as reader:
        subject = WheelSubject(reader, path.name)
        assert natives(subject) is natives(subject)
        assert list(natives(subject).elves) == [EXTENSION]
