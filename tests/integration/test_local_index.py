"""Do pip and uv really install from the local index, and take only the bytes that it promises?"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from hwb import pythons
from hwb.builder.engine import build_project
from hwb.builder.options import BuildOptions, Source
from hwb.registry.local import LocalIndex

PROJECT = Path(__file__).parents[1] / "projects" / "pure-hatchling"
pytestmark = pytest.mark.pypi


@pytest.fixture
def index(tmp_path: Path) -> LocalIndex:
    built = build_project(Source(str(PROJECT)), str(tmp_path / "dist"), BuildOptions((pythons.running(),)))
    assert len(built.files) == 2
    index = LocalIndex(tmp_path / "with space" / "index")
    index.publish(built.files)
    return index


@pytest.fixture
def python(tmp_path: Path) -> Path:
    venv.create(tmp_path / "venv", with_pip=True)
    return tmp_path / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def clean() -> dict[str, str]:
    """No setting of pip or uv can add another index."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "PYTHON"))}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def install(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=clean(), capture_output=True, text=True, check=False)


def works(python: Path) -> None:
    code = "import pure_hatchling, importlib.metadata as m; print(m.version('pure-hatchling'))"
    asked = subprocess.run([python, "-c", code], env=clean(), capture_output=True, text=True, check=True)
    assert asked.stdout == "1.0\n"


def test_pip(index: LocalIndex, python: Path) -> None:
    base = [str(python), "-m", "pip", "install", "--no-cache-dir", "--no-deps", "--index-url", index.url]
    done = install([*base, "pure-hatchling==1.0"])
    assert done.returncode == 0, done.stderr
    works(python)
    wheel = Path(index.file("pure_hatchling-1.0-py3-none-any.whl") or "")
    wheel.write_bytes(wheel.read_bytes() + b"x")
    done = install([*base, "--force-reinstall", "pure-hatchling==1.0"])
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr


@pytest.mark.uv
def test_uv(index: LocalIndex, python: Path) -> None:
    base = ["uv", "pip", "install", "--no-config", "--no-cache", "--no-deps", "--python", str(python)]
    done = install([*base, "--default-index", index.url, "pure-hatchling==1.0"])
    assert done.returncode == 0, done.stderr
    works(python)


@pytest.mark.uv
def test_an_sdist_is_installed_too(index: LocalIndex, python: Path) -> None:
    from hwb.index import files

    assert [file.name for file in files(index.url, "pure-hatchling")] == [
        "pure_hatchling-1.0-py3-none-any.whl",
        "pure_hatchling-1.0.tar.gz",
    ]
    source = next(file for file in files(index.url, "pure-hatchling") if file.name.endswith(".gz"))
    done = install([str(python), "-m", "pip", "install", "--no-deps", f"{source.url}#sha256={source.sha256}"])
    assert done.returncode == 0, done.stderr
    works(python)
