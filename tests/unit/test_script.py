"""PEP 723 blocks: what is read, what is refused, and how the environment for a hwbfile is made."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hwb import script
from hwb.errors import HwbfileError

if TYPE_CHECKING:
    from pathlib import Path


def written(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "script.py"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


@pytest.mark.parametrize(
    ("text", "dependencies", "python"),
    [
        ("print()\n", (), ""),
        ("", (), ""),
        ("# /// script\n# dependencies = []\n# ///\n", (), ""),
        ("\ufeff# /// script\n# dependencies = ['a']\n# ///\n", ("a",), ""),
        (
            "x = 1\n\n# /// script\n# requires-python = '>=3'\n# dependencies = [\n#   'a>1',\n#   'b',\n# ]\n#\n# ///\n",
            ("a>1", "b"),
            ">=3",
        ),
        (
            "# /// other\n# dependencies = ['no']\n# ///\n\n# /// script\n# dependencies = ['yes']\n# ///\n",
            ("yes",),
            "",
        ),
        ("# /// script\r\n# dependencies = ['a']\r\n# ///\r\n", ("a",), ""),
    ],
)
def test_blocks(tmp_path: Path, text: str, dependencies: tuple[str, ...], python: str) -> None:
    assert script.read_block(written(tmp_path, text)) == script.Block(dependencies, python)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("\n# /// script\n# dependencies = []\n", 2, "does not end"),
        ("# /// script\n# a = 1\n# ///\n\n# /// script\n# a = 1\n# ///\n", 1, "more than one"),
        ("\n\n# /// script\n# dependencies = [\n# ///\n", 3, "is no TOML"),
        ("# /// script\n# dependencies = 'a'\n# ///\n", 1, "no list of strings"),
        ("# /// script\n# dependencies = [1]\n# ///\n", 1, "no list of strings"),
        ("# /// script\n# dependencies = ['a b']\n# ///\n", 1, "no requirement"),
        ("# /// script\n# dependencies = ['Headless_Wheel.Builder>1']\n# ///\n", 1, "a hwbfile is run by the hwb"),
    ],
)
def test_broken_blocks_name_their_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(HwbfileError, match=said) as caught:
        script.read_block(path)

    assert caught.value.where == f"{path}:{line}"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (written(tmp_path, b"\xff\xfe"), str(tmp_path), str(tmp_path / "missing")):
        with pytest.raises(HwbfileError, match="cannot be read"):
            script.read_block(path)


def test_the_process_is_changed_once() -> None:
    block = script.Block(("a", "b"))

    assert not script.needs_other_python(script.Block(), {})
    assert script.needs_other_python(block, {})
    assert not script.needs_other_python(block, {"HWB_HWBFILE_ENVIRONMENT": "a;b"})
    assert script.needs_other_python(block, {"HWB_HWBFILE_ENVIRONMENT": "a"}), "the block was changed, or it is another"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the environment was asked to be."""
    calls: list[Any] = []
    (tmp_path / "site").mkdir()

    def shared(interpreter: Any, requirements: list[str], **options: Any) -> Any:
        calls.append((interpreter, requirements, options))
        return SimpleNamespace(python="/its/python", site_packages=tmp_path / "site")

    monkeypatch.setattr("hwb.isolation.venv.shared_environment", shared)
    monkeypatch.setenv("HWB_HWBFILE_ENVIRONMENT", "")
    return calls


def test_the_running_hwb_comes_along(tmp_path: Path, made: list[Any]) -> None:
    import click

    block = script.Block(("rich>1",), f">={sys.version_info[0]}.{sys.version_info[1]}")
    command = script.provide(block, "hwbfile.py:1")
    ((_, requirements, options),) = made
    lines = (tmp_path / "site" / "hwb_running.pth").read_text().splitlines()

    assert command == ["/its/python", "-m", "hwb"]
    assert requirements == ["rich>1"]
    assert any(pin.startswith("click==") for pin in options["constraints"])
    assert options["purpose"], "a .pth file is put into it: nobody else may share it"
    assert os.path.isdir(os.path.join(lines[0], "hwb"))
    assert any(os.path.isdir(os.path.join(line, "click")) for line in lines) or "site-packages" not in click.__file__
    assert not script.needs_other_python(block, os.environ)


def test_the_link_is_written_when_it_differs(tmp_path: Path, made: list[Any]) -> None:
    target = tmp_path / "site" / "hwb_running.pth"
    script.provide(script.Block(("a",)), "")
    before = target.stat()
    script.provide(script.Block(("a",)), "")
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    target.write_text("/an/older/hwb\n")
    script.provide(script.Block(("a",)), "")
    assert "/an/older/hwb" not in target.read_text()


@pytest.mark.parametrize(("wanted", "said"), [("<3", "wants Python <3"), ("three", "no version specifier")])
def test_another_python_is_refused(made: list[Any], wanted: str, said: str) -> None:
    with pytest.raises(HwbfileError, match=said) as caught:
        script.provide(script.Block(("a",), wanted), "hwbfile.py:1")

    assert caught.value.where == "hwbfile.py:1"
    assert made == []


def test_a_dependency_of_hwb_that_is_not_installed_is_not_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    def version(name: str) -> str:
        if name == "tomli":
            raise metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(metadata, "version", version)

    assert script._own_pins() == ["click==1", "packaging==1", "virtualenv==1"]
