"""Is the right installer chosen, and never a stand-in of a version manager?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hwb import pyuv
from hwb.errors import IsolationError, ToolNotFound
from hwb.isolation import backends
from hwb.isolation.backends import choose, find_uv, parse_backend
from hwb.isolation.pip import PipInstaller
from hwb.isolation.uv import UvInstaller

SCRIPTS, UV = ("Scripts", "uv.exe") if sys.platform == "win32" else ("bin", "uv")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("uv", ("uv",)),
        ("virtualenv", ("virtualenv",)),
        ("venv", ("venv",)),
        ("none", ("none",)),
        ("uv|virtualenv", ("uv", "virtualenv")),
        ("uv | venv|uv", ("uv", "venv")),
    ],
)
def test_noxs_spellings(text: str, names: tuple[str, ...]) -> None:
    assert parse_backend(text) == names


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("conda", "no conda backend: use 'uv' or 'virtualenv'"),
        ("uv|micromamba", "no micromamba backend"),
        ("pip", "'pip' is no environment backend: one of uv, virtualenv, venv, none"),
        ("", "'' is no environment backend"),
        ("uv|none", "no alternative"),
    ],
)
def test_backends_that_hwb_does_not_have(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_backend(text)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which no uv is found unless the test puts one there."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    return tmp_path


def program(path: Path, content: bytes = b"\x7fELF") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return str(path)


def test_uv_is_found_where_it_can_be_nearest_first(machine: Path) -> None:
    assert find_uv() is None
    places = [
        machine / "home/.cargo/bin" / UV,
        machine / "home/.local/bin" / UV,
        machine / "path" / UV,
        machine / "prefix" / SCRIPTS / UV,
    ]
    for place in places:
        uv = program(place)
        pyuv._found.clear()
        assert find_uv() == uv


@pytest.mark.parametrize("beside", ["lib/python3/site-packages/bin", "bin"])
def test_uv_is_found_beside_its_package(machine: Path, monkeypatch: pytest.MonkeyPatch, beside: str) -> None:
    packages = machine / "user/lib/python3/site-packages"
    program(packages / "uv/__init__.py")
    monkeypatch.setattr(sys, "path", ["", str(machine / "other"), str(packages)])
    uv = program(machine / "user" / beside.replace("bin", SCRIPTS) / UV)
    assert find_uv() == uv


def test_the_answer_is_kept_while_the_path_and_the_file_stay(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = program(machine / "path" / UV)
    assert find_uv() == uv
    program(machine / "prefix" / SCRIPTS / UV)
    assert find_uv() == uv, "looked for once"
    Path(uv).unlink()
    assert find_uv() == str(machine / "prefix" / SCRIPTS / UV)
    monkeypatch.setenv("PATH", "")
    assert find_uv() == str(machine / "prefix" / SCRIPTS / UV)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX scripts and modes")
def test_stand_ins_are_not_uv(machine: Path) -> None:
    program(machine / "prefix/bin/uv", b"#!/bin/sh\nexec pyenv exec uv\n")
    mise = program(machine / "path/mise")
    (machine / "path/uv").symlink_to(mise)
    Path(program(machine / "home/.local/bin/uv")).chmod(0o644)
    other = program(machine / "home/other")
    (machine / "home/.cargo/bin").mkdir(parents=True)
    (machine / "home/.cargo/bin/uv").symlink_to(other)
    assert find_uv() is None


def test_a_relative_path_entry_gives_an_absolute_path(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = program(machine / "here" / UV)
    monkeypatch.chdir(machine)
    monkeypatch.setenv("PATH", "here")
    found = find_uv()
    assert found is not None
    assert Path(found).samefile(uv)
    assert Path(found).is_absolute()


def test_uv_first_then_virtualenv(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwb.isolation.pip.virtualenv_installed", lambda: True)
    assert choose() == PipInstaller("virtualenv")
    pyuv._found.clear()
    uv = program(machine / "path" / UV)
    assert choose() == UvInstaller(uv)
    assert choose("virtualenv|uv").name == "virtualenv"
    assert choose("venv") == backends.PipInstaller("venv")
    assert backends.UvInstaller is UvInstaller


def test_nothing_is_there(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwb.isolation.pip.virtualenv_installed", lambda: False)
    with pytest.raises(ToolNotFound, match="none of uv, virtualenv is installed") as caught:
        choose()
    assert "venv" in caught.value.remedy
    assert choose("uv|venv").name == "venv"


def test_none_is_no_installer() -> None:
    with pytest.raises(IsolationError, match="makes no environment"):
        choose("none")


def test_unknown_names() -> None:
    with pytest.raises(AttributeError):
        backends.CondaInstaller  # noqa: B018


@pytest.mark.parametrize("module", ["hwb.isolation", "hwb.isolation.backends"])
def test_importing_is_cheap(module: str) -> None:
    code = f"import sys, {module} as m; m.__dir__ and m.__all__; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, env={
        "PYTHONPATH": str(Path(backends.__file__).parents[2]), "SYSTEMROOT": os.environ.get("SYSTEMROOT", "")
    })  # fmt: skip
    heavy = {"subprocess", "asyncio", "json", "hashlib", "shutil", "virtualenv", "packaging", "configparser", "re"}
    assert (heavy - {"re"}).isdisjoint(done.stdout.split())


def test_the_package_offers_the_documented_names() -> None:
    from hwb import isolation

    assert dir(isolation) == isolation.__all__
    assert {getattr(isolation, name).__name__ for name in isolation.__all__} == set(isolation.__all__)
    with pytest.raises(AttributeError, match="DockerMachine"):
        isolation.DockerMachine  # noqa: B018
