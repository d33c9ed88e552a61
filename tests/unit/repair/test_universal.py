"""Do two wheels become one that has the code of both, and is it refused where nobody can say what it would be?"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hwb.context import Context, use
from hwb.errors import RepairError
from hwb.repair.universal import builds_both, fuse_wheels

from ..wheel.elves import macho, universal  # noqa: TID252 - one maker of native files for both rooms
from .tools import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CODE = "demo/x.cpython-312-darwin.so"


def bundle(machine: int) -> bytes:
    """An extension module is a bundle (MH_BUNDLE): a dylib would need a name of its own."""
    dylib = macho(machine=machine)
    return dylib[:12] + (8).to_bytes(4, "little") + dylib[16:]


ARM, INTEL = bundle(0x0100000C), bundle(0x01000007)
TAGS = "cp312-cp312-macosx_11_0_"
BOTH = f"demo-1.0-{TAGS}universal2.whl"


def half(folder: Path, arch: str, files: Mapping[str, bytes | str] | None = None, tags: str = "") -> str:
    code = ARM if arch == "arm64" else INTEL
    members = {CODE: code, "demo/__init__.py": "", "demo-1.0.dist-info/WHEEL": arch, **(files or {})}
    return str(make_wheel(folder, members, name="demo", tags=tags or TAGS + arch))


class Delocate:
    """A stand-in that does what `fuse` says, and remembers what it was told."""

    def __init__(self, fuse: Callable[[str, str, str], None], code: int = 0) -> None:
        self.python, self._fuse, self._code = "the tool's python", fuse, code

    def __call__(self, name: str) -> Delocate:
        assert name == "delocate"
        return self

    def run(self, argv: Sequence[str], env: Mapping[str, str]) -> Any:
        self.argv, self.env = argv, env
        self._fuse(argv[4], argv[5], argv[6])
        return SimpleNamespace(return_code=self._code, text="what it printed")


def fused(folder: str, one: str, other: str, code: bytes | None = None, name: str = BOTH) -> None:
    with zipfile.ZipFile(one) as first, zipfile.ZipFile(Path(folder, name), "w") as made:
        for member in first.namelist():
            both = universal(INTEL, ARM) if code is None else code
            made.writestr(member, both if member == CODE else first.read(member))


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path) -> Any:
    with use(Context(cwd=str(tmp_path))):
        yield


def fuse(tmp_path: Path, tool: Delocate, arm: str = "", intel: str = "") -> str:
    one, other = arm or half(tmp_path, "arm64"), intel or half(tmp_path, "x86_64")
    return fuse_wheels(one, other, str(tmp_path / "out"), tool)


def test_one_wheel_of_two(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.whl").write_text("of a session that was killed")
    tool = Delocate(fused)
    assert fuse(tmp_path, tool) == str(tmp_path / "out" / BOTH)
    assert tool.argv[:5] == ["the tool's python", "-m", "delocate.cmd.delocate_merge", "--wheel-dir", tool.argv[4]]
    assert [os.path.basename(path)[-10:] for path in tool.argv[5:]] == ["_arm64.whl", "x86_64.whl"]
    assert tool.env == {"SOURCE_DATE_EPOCH": "1704153600"}


def test_what_one_of_them_has_alone_is_in_both(tmp_path: Path) -> None:
    arm = half(tmp_path, "arm64", {"demo/only.txt": "1"})
    assert fuse(tmp_path, Delocate(fused), arm=arm)


@pytest.mark.parametrize(
    ("arm", "intel", "what"),
    [
        ({"tags": TAGS + "x86_64"}, {}, "is not for arm64"),
        ({}, {"tags": TAGS + "arm64"}, "is not for x86_64"),
        ({"tags": "cp312-cp312-linux_x86_64"}, {}, "is not for arm64 on macOS"),
        ({}, {"tags": "cp313-cp313-macosx_11_0_x86_64"}, "are not the same wheel"),
        ({"files": {"demo/config.py": "a"}}, {"files": {"demo/config.py": "b"}}, "differ in what is no code"),
    ],
)
def test_two_that_do_not_belong_together(arm: Any, intel: Any, what: str, tmp_path: Path) -> None:
    tool = Delocate(lambda *_: pytest.fail("nothing is fused"))
    with pytest.raises(RepairError, match=what) as caught:
        fuse(tmp_path, tool, half(tmp_path / "a", "arm64", **arm), half(tmp_path / "i", "x86_64", **intel))
    assert caught.value.remedy
    assert caught.value.detail in ("", "demo/config.py")


@pytest.mark.parametrize(
    ("work", "what"),
    [
        (lambda *_: None, "made 0 files"),
        (lambda *given: fused(*given, name=f"demo-1.0-{TAGS}arm64.whl"), "is not for every Mac"),
        (lambda *given: fused(*given, code=ARM), "one architecture only"),
    ],
)
def test_what_delocate_makes_is_looked_at(work: Callable[[str, str, str], None], what: str, tmp_path: Path) -> None:
    with pytest.raises(RepairError, match=what) as caught:
        fuse(tmp_path, Delocate(work))
    assert caught.value.detail in ("", f"{CODE}: arm64")


def test_delocate_fails(tmp_path: Path) -> None:
    with pytest.raises(RepairError, match="exit code 3") as caught:
        fuse(tmp_path, Delocate(fused, code=3))
    assert caught.value.detail == "what it printed"


@pytest.mark.parametrize(("backend", "both"), [("mesonpy", False), ("setuptools.build_meta:__x__", True), ("x", True)])
def test_backends_that_refuse_two_architectures(backend: str, both: bool) -> None:
    assert builds_both(backend) is both
