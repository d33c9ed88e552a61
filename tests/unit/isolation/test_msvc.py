"""Is Microsoft's compiler found, and are its variables read as they are?

What vswhere and vcvarsall.bat print is as Microsoft describes it and as others show it; no test here ran on Windows.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb.context import Context, use
from hwb.errors import CommandFailed, MissingError, ToolNotFound
from hwb.isolation.msvc import Shell, build_environment, find_visual_studio, on_windows, parse_set, words
from hwb.target import Target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VS = "C:\\Program Files\\Microsoft Visual Studio\\2022\\Community"
ODD = "D:\\Prógramme für C++\\VS 2022"
VSWHERE = "C:\\Program Files (x86)\\Microsoft Visual Studio\\Installer\\vswhere.exe"
OUTER = {"ProgramFiles(x86)": "C:\\Program Files (x86)", "Path": "C:\\Windows", "USERNAME": "Jörg"}
TABLE = (
    "=C:=C:\\Users\\Jörg\r\n"
    "INCLUDE={vs}\\VC\\Tools\\MSVC\\14.40.33807\\include;C:\\Program Files (x86)\\Windows Kits\\10\\include\\ucrt\r\n"
    "LIB={vs}\\VC\\Tools\\MSVC\\14.40.33807\\lib\\x64\r\n"
    "Path={vs}\\VC\\Tools\\MSVC\\14.40.33807\\bin\\HostX64\\x64;C:\\Windows\r\n"
    "USERNAME=Jörg\r\n"
    "HWB_WORD=x64\r\n"
    "VCToolsVersion=14.40.33807\r\n"
    "VSCMD_ARG_TGT_ARCH=x64\r\n"
    "__VSCMD_PREINIT_PATH=C:\\Windows;A=B\r\n"
)


class Machine:
    """A Windows machine: Visual Studio at `places` (the newest first), and what it was asked."""

    def __init__(self, *places: str, table: str = TABLE, printed: str = "", installer: bool = True) -> None:
        self.places, self.table, self.printed, self.installer = places, table, printed, installer
        self.asked: list[list[str]] = []
        self.called: list[tuple[str, str]] = []
        self.shell = Shell(self._output, self._is_file, self._after)

    def _output(self, argv: Sequence[str]) -> str:
        self.asked.append(list(argv))
        return f"{self.places[0]}\r\n" if self.places else ""

    def _is_file(self, path: str) -> bool:
        if path.endswith("vswhere.exe"):
            return self.installer and path == VSWHERE
        return path in [f"{place}\\VC\\Auxiliary\\Build\\vcvarsall.bat" for place in self.places]

    def _after(self, script: str, word: str) -> tuple[str, str]:
        self.called.append((script, word))
        return self.printed, self.table.replace("{vs}", self.places[0])


def target(arch: str) -> Target:
    return Target.of(f"cp312-{arch}")


@pytest.mark.parametrize("place", [VS, ODD])
def test_the_newest_is_found_and_asked(place: str) -> None:
    machine = Machine(place)
    found = build_environment(target("win_amd64"), "AMD64", OUTER, machine.shell)
    assert machine.asked == [
        [VSWHERE, "-latest", "-products", "*", "-requires", "Microsoft.VisualStudio.Component.VC.Tools.x86.x64",
         "-property", "installationPath", "-utf8", "-nologo"]
    ]  # fmt: skip
    assert machine.called == [(f"{place}\\VC\\Auxiliary\\Build\\vcvarsall.bat", "x64")]
    assert found.keys() == {
        "INCLUDE", "LIB", "PATH", "VCTOOLSVERSION", "VSCMD_ARG_TGT_ARCH", "__VSCMD_PREINIT_PATH"
    }  # fmt: skip
    assert found["PATH"].startswith(f"{place}\\VC\\Tools")
    assert found["__VSCMD_PREINIT_PATH"] == "C:\\Windows;A=B"


@pytest.mark.parametrize(
    ("machine", "arch", "word"),
    [
        ("AMD64", "AMD64", "x64"),
        ("AMD64", "x86", "x64_x86"),
        ("AMD64", "ARM64", "x64_arm64"),
        ("x86", "x86", "x86"),
        ("ARM64", "ARM64", "arm64"),
        ("ARM64", "AMD64", "arm64_x64"),
    ],
)
def test_the_word_for_an_architecture(machine: str, arch: str, word: str) -> None:
    assert words(machine, arch) == word


def test_distutils_is_told_only_across_architectures() -> None:
    sdk = {"DISTUTILS_USE_SDK": "1", "MSSDK": "1"}
    crossing = build_environment(target("win_arm64"), "AMD64", OUTER, Machine(VS).shell)
    assert {name: crossing[name] for name in sdk} == sdk
    for arch in ("win_amd64", "win32"):
        assert not build_environment(target(arch), "AMD64", OUTER, Machine(VS).shell).keys() & sdk
    assert not build_environment(target("win_arm64"), "ARM64", OUTER, Machine(VS).shell).keys() & sdk


def test_a_developers_prompt_goes_first() -> None:
    machine = Machine(ODD, installer=False)
    assert find_visual_studio({"VSINSTALLDIR": f"{ODD}\\"}, machine.shell) == ODD
    assert machine.asked == []
    assert find_visual_studio({"VSINSTALLDIR": "C:\\gone", "PROGRAMFILES(X86)": OUTER["ProgramFiles(x86)"]},
                              Machine(VS).shell) == VS  # fmt: skip


def test_a_prompt_for_this_architecture_is_taken_as_it_is() -> None:
    prompt = {**OUTER, "VSCMD_ARG_TGT_ARCH": "x64", "VCToolsInstallDir": f"{VS}\\VC"}
    machine = Machine()
    assert build_environment(target("win_amd64"), "AMD64", prompt, machine.shell) == {}
    with pytest.raises(ToolNotFound):
        build_environment(target("win32"), "AMD64", prompt, machine.shell)
    crossing = {**prompt, "VSCMD_ARG_TGT_ARCH": "arm64"}
    found = build_environment(target("win_arm64"), "AMD64", crossing, machine.shell)
    assert found == {"DISTUTILS_USE_SDK": "1", "MSSDK": "1"}


def test_another_compiler_that_was_chosen() -> None:
    assert build_environment(target("win_amd64"), "AMD64", {"cc": "clang"}, Machine().shell) == {}


@pytest.mark.parametrize(
    ("machine", "environ", "detail"),
    [
        (Machine(installer=False), OUTER, f"there is no {VSWHERE}"),
        (Machine(installer=False), {}, f"there is no {VSWHERE}"),
        (Machine(installer=False), {"ProgramFiles": "E:\\P"}, "there is no E:\\P\\Microsoft"),
        (Machine(), OUTER, "vswhere knows none"),
    ],
)
def test_visual_studio_is_not_there(machine: Machine, environ: dict[str, str], detail: str) -> None:
    with pytest.raises(ToolNotFound, match=r"^Visual Studio not found$") as caught:
        build_environment(target("win_amd64"), "AMD64", environ, machine.shell)
    assert caught.value.exit_code == 3
    assert caught.value.detail.startswith(detail)
    assert "Desktop development with C++" in caught.value.remedy


def test_what_vswhere_names_has_gone() -> None:
    machine = Machine(VS)
    shell = machine.shell._replace(is_file=lambda path: path == VSWHERE)
    with pytest.raises(ToolNotFound) as caught:
        build_environment(target("win_amd64"), "AMD64", OUTER, shell)
    assert caught.value.detail == f"{VS} has no vcvarsall.bat"


def test_vswhere_fails() -> None:
    def fails(argv: Sequence[str]) -> str:
        raise CommandFailed("vswhere.exe ended with exit code 87", 87, detail="Error 0x57: unknown parameter")

    with pytest.raises(ToolNotFound, match="Visual Studio not found") as caught:
        build_environment(target("win_amd64"), "AMD64", OUTER, Machine(VS).shell._replace(output=fails))
    assert caught.value.detail == "Error 0x57: unknown parameter"


@pytest.mark.parametrize("table", ["", "Path=C:\\Windows\r\nUSERNAME=Jörg\r\n"])
def test_it_lacks_the_tools_for_an_architecture(table: str) -> None:
    """vcvarsall.bat says so on the screen, and ends well in some versions."""
    machine = Machine(VS, table=table, printed="[ERROR:vcvarsall.bat] Invalid argument found : x64_arm64\r\n")
    with pytest.raises(MissingError, match=r"cannot compile for arm64") as caught:
        build_environment(target("win_arm64"), "AMD64", OUTER, machine.shell)
    assert caught.value.detail == "[ERROR:vcvarsall.bat] Invalid argument found : x64_arm64"


@given(st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="=\ufeff"), min_size=1),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")),
))  # fmt: skip
def test_every_value_is_read_as_it_is(table: dict[str, str]) -> None:
    text = "\ufeff" + "".join(f"{name}={value}\r\n" for name, value in {"=C:": "C:\\", **table}.items())
    own = {"HWB_SCRIPT", "HWB_WORD", "HWB_TABLE"}
    assert parse_set(text) == {name: value for name, value in table.items() if name not in own}


CMD = """#!{python} -ISE
import os, sys
assert sys.argv[1:4] == ["/u", "/d", "/c"], sys.argv
text = open(sys.argv[4], "rb").read()
assert b"\\r\\n" in text and text.isascii()
print("said by", os.environ["HWB_SCRIPT"], os.environ["HWB_WORD"])
if os.environ["HWB_WORD"] == "bad":
    sys.exit(1)
with open(os.environ["HWB_TABLE"], "wb") as table:
    table.write("INCLUDE=Jörg\\r\\n".encode("utf-16-le"))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a script stands for cmd.exe")
def test_a_batch_file_is_called_and_what_it_set_is_read(tmp_path: Path) -> None:
    (tmp_path / "cmd.exe").write_text(CMD.format(python=sys.executable))
    (tmp_path / "cmd.exe").chmod(0o755)
    environ = {"PATH": str(tmp_path)}
    with use(Context(cwd=str(tmp_path), outer_env=environ)):
        shell = on_windows()
        assert shell.after(ODD, "x64") == (f"said by {ODD} x64\n", "INCLUDE=Jörg\r\n")
        assert shell.after(ODD, "bad") == (f"said by {ODD} bad\n", "")
        assert shell.output([sys.executable, "-c", "print('ä')"]).strip() == "ä"
        assert shell.is_file(str(tmp_path / "cmd.exe"))
        with pytest.raises(CommandFailed):
            shell.output([sys.executable, "-c", "raise SystemExit(3)"])
    assert os.listdir(tmp_path) == ["cmd.exe"]
