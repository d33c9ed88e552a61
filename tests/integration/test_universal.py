"""Does delocate fuse two wheels as `hwb.repair.universal` expects?"""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from hwb.context import Context, use
from hwb.repair import host_tool
from hwb.repair.universal import fuse_wheels
from hwb.wheel.macho import read_macho

from ..unit.repair.test_universal import BOTH, CODE, TAGS, half  # noqa: TID252 - one maker of wheels

# LLVM's own says in other words that a file is no code; delocate knows Apple's
LIPO = """#!/bin/sh
{lipo} "$@" 2>"$0.said" && exit 0
said="llvm-lipo: error: '\\(.*\\)': The file was not recognized as a valid object file"
sed "s/^$said/fatal error: lipo: can't figure out the architecture type of: \\1/" "$0.said" >&2
exit 1
"""


@pytest.mark.uv
@pytest.mark.pypi
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="delocate does not run on Windows")
def test_delocate_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On other systems than macOS with LLVM's lipo; signing is left out there, which needs a Mac."""
    found = sorted(Path("/usr/bin").glob("llvm-lipo*"))
    if sys.platform != "darwin":
        if not found:
            pytest.skip("there is no llvm-lipo")
        programs = tmp_path / "bin"
        programs.mkdir()
        (programs / "lipo").write_text(LIPO.format(lipo=found[0]))
        shutil.copy("/bin/true", programs / "codesign")
        (programs / "lipo").chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    with use(Context(cwd=str(tmp_path), outer_env=dict(os.environ))):
        wheel = "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: "
        tagged = {arch: {"demo-1.0.dist-info/WHEEL": f"{wheel}{TAGS}{arch}\n"} for arch in ("arm64", "x86_64")}
        halves = [half(tmp_path, arch, files) for arch, files in tagged.items()]
        made = fuse_wheels(halves[0], halves[1], str(tmp_path / "out"), host_tool)
        assert os.path.basename(made) == BOTH
        with zipfile.ZipFile(made) as archive:
            assert {one.arch for one in read_macho(archive.read(CODE))} == {"arm64", "x86_64"}
            assert b"universal2" in archive.read("demo-1.0.dist-info/WHEEL")
        again = fuse_wheels(halves[0], halves[1], str(tmp_path / "again"), host_tool)
        assert Path(again).read_bytes() == Path(made).read_bytes()
