"""Does everything work on PyPy: environments by uv and by virtualenv, sessions, builds of plain and compiled projects?"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hwb import pythons
from hwb.isolation import backends
from hwb.isolation.venv import make_venv

from .conftest import Project

pytestmark = [pytest.mark.pypy]

PROJECTS = Path(__file__).parents[1] / "projects"


@pytest.fixture(scope="module")
def pypy() -> pythons.Interpreter:
    return pythons.find("pypy")


def test_it_is_found_by_its_version_and_never_by_a_number(pypy: pythons.Interpreter) -> None:
    assert pypy.implementation == "pypy"
    assert pythons.find(f"pypy{pypy.minor}") == pypy
    assert pythons.find(f"pypy{pypy.version}") == pypy
    assert pythons.find(f"pp{pypy.minor.replace('.', '')}") == pypy
    assert pythons.find("3").implementation == sys.implementation.name


@pytest.mark.parametrize("backend", ["uv", "virtualenv"])
def test_an_environment_of_it(tmp_path: Path, pypy: pythons.Interpreter, backend: str) -> None:
    if backend == "uv" and backends.find_uv() is None:
        pytest.skip("uv is not there")
    venv = make_venv(str(tmp_path / "env"), pypy, backend=backend)
    code = "import sys; print(sys.implementation.name, sys.prefix)"
    done = subprocess.run([venv.python, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["pypy", os.path.realpath(venv.path)]
    assert venv.site_packages.is_dir()


@pytest.mark.pypi
@pytest.mark.parametrize("backend", ["uv|virtualenv", "virtualenv"])
def test_a_session_on_it(tmp_path: Path, pypy: pythons.Interpreter, backend: str) -> None:
    project = Project(tmp_path)
    project.write(
        f"""
import hwb

@hwb.recipe(python=["pypy{pypy.minor}"], venv_backend="{backend}")
def say(session):
    session.install("iniconfig")
    said = session.run("python", "-c", "import sys, iniconfig; print(sys.implementation.name)", silent=True)
    assert said == "pypy\\n"
"""
    )
    done = project.hwb("run", "say")
    assert done.code == 0, done.both
    assert f"say-pypy{pypy.minor}" in done.out


@pytest.mark.pypi
@pytest.mark.git
@pytest.mark.parametrize(("trait", "tag"), [("pure-hatchling", "py3-none-any"), ("c-extension", "pp{}-pypy{}_")])
def test_a_build_with_it(tmp_path: Path, pypy: pythons.Interpreter, trait: str, tag: str) -> None:
    root = tmp_path / trait
    shutil.copytree(PROJECTS / trait, root)
    env = {f"GIT_{role}_{what}": "x@y" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run(["git", "-C", root, *words], check=True, env={**os.environ, **env})
    done = Project(root).hwb("build", "--isolation", "venv", "--python", f"pypy{pypy.minor}")
    assert done.code == 0, done.both
    [wheel] = (root / "dist").glob("*.whl")
    digits = pypy.minor.replace(".", "")
    assert tag.format(digits, digits) in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        compiled = [name for name in archive.namelist() if name.endswith(".so")]
    assert bool(compiled) == (trait == "c-extension")
    check = "import sys; sys.path.insert(0, sys.argv[1]); import c_extension; print(c_extension.__name__)"
    if compiled:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tmp_path / "unpacked")
        done_ = subprocess.run([pypy.path, "-c", check, str(tmp_path / "unpacked")], capture_output=True, text=True)
        assert done_.stdout == "c_extension\n", done_.stderr


@pytest.mark.pypi
@pytest.mark.git
def test_each_session_gets_the_wheel_for_its_own_python(tmp_path: Path, pypy: pythons.Interpreter) -> None:
    root = tmp_path / "project"
    shutil.copytree(PROJECTS / "c-extension", root)
    env = {f"GIT_{role}_{what}": "x@y" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run(["git", "-C", root, *words], check=True, env={**os.environ, **env})
    own = pythons.running().request
    project = Project(root)
    project.write(
        f"""
import hwb

BOTH = ["{own}", "pypy{pypy.minor}"]

@hwb.recipe
def both(session):
    session.build(python=BOTH)

@hwb.recipe(python=BOTH, requires=["both"])
def use(session):
    session.install(session.artifacts.wheel)
    session.run("python", "-c", "import c_extension")
"""
    )
    done = project.hwb("run", "use")
    assert done.code == 0, done.both
    assert len(list((root / "dist").glob("*.whl"))) == 2
