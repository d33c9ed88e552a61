"""Do sessions, builds and locks take the Python that is asked for, or that .python-version and requires-python say?"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hwb import pythons
from hwb.isolation import backends
from hwb.isolation.venv import make_venv
from hwb.pysurvey import survey

from .conftest import Project

PROJECTS = Path(__file__).parents[1] / "projects"
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
SAY = """
import hwb

@hwb.recipe{keywords}
def say(session):
    session.run("python", "-c", "import sys; print('runs on', sys.version.split()[0])")
"""


@pytest.fixture
def other() -> pythons.Interpreter:
    """A CPython of another minor than the running one that environments can be made of."""
    found, _ = survey()
    usual = [one for one in found if one.implementation == "cpython" and not one.flags and one.minor != HERE]
    fit = [
        one for one in usual if pythons.version_key(one.version) >= (3, 8) and one.version.replace(".", "").isdigit()
    ]
    if not fit:
        pytest.skip("this machine has one Python")
    return pythons.find(fit[0].minor)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.root.mkdir()
    return made


def test_the_file_decides_for_sessions_that_name_no_python(project: Project, other: pythons.Interpreter) -> None:
    project.write(SAY.format(keywords=""))
    project.write(f"# ours\n3.99\n{other.minor}\n", ".python-version")
    done = project.hwb("run", "say")
    assert done.code == 0, done.both
    assert f"runs on {other.version}" in done.out
    named = project.hwb("run", "--python", HERE, "say")
    assert f"runs on {HERE}." in named.out
    variable = project.hwb("run", "say", HWB_PYTHON=f"=={HERE}.*")
    assert f"runs on {HERE}." in variable.out


def test_what_the_file_cannot_mean_is_an_error_with_its_line(project: Project) -> None:
    project.write(SAY.format(keywords=""))
    project.write("myenv\n", ".python-version")
    done = project.hwb("run", "say")
    assert done.code == 2, done.both
    assert f"{project.root / '.python-version'}:1" in done.both
    project.write("3.99\n", ".python-version")
    done = project.hwb("run", "say")
    assert done.code == 3, done.both
    assert "there is no Python 3.99" in done.both
    assert f"{project.root / '.python-version'}:1" in done.both


def test_a_file_against_requires_python_is_an_error_with_its_line(project: Project) -> None:
    project.write('[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.98"\n', "pyproject.toml")
    project.write(SAY.format(keywords=""))
    project.write(f"{HERE}\n", ".python-version")
    for words in (["run", "say"], ["build", "--isolation", "venv"], ["lock", "--build"]):
        done = project.hwb(*words)
        assert done.code == 2, done.both
        assert f".python-version says {HERE}" in done.both
        assert "requires-python is >=3.98" in done.both
        assert f"{project.root / '.python-version'}:1" in done.both


def test_a_range_is_one_request_and_means_the_newest(project: Project) -> None:
    project.write(SAY.format(keywords='(python=[">=3.8,<4", "3"])'))
    listed = project.hwb("sessions", "--list")
    assert "say->=3.8,<4" in listed.out, listed.both
    done = project.hwb("run", "-p", ">=3.8,<4", "say")
    assert done.code == 0, done.both
    assert f"runs on {pythons.find('>=3.8,<4').version}" in done.out
    assert "say-3 " not in done.out


@pytest.mark.pypi
@pytest.mark.git
def test_builds_take_it(project: Project, other: pythons.Interpreter) -> None:
    shutil.copytree(PROJECTS / "pure-hatchling", project.root, dirs_exist_ok=True)
    project.write(f"{other.minor}\n", ".python-version")
    first = project.hwb("build", "--isolation", "venv", "-v")
    assert first.code == 0, first.both
    project.write(f"{HERE}\n", ".python-version")
    project.write(".python-version\n", ".gitignore")
    subprocess.run(["git", "init", "-q", project.root], check=True)
    assert project.hwb("build", "--isolation", "venv").code == 0
    assert "nothing changed" in project.hwb("build", "--isolation", "venv").both
    project.write(f"{other.minor}\n", ".python-version")
    assert "nothing changed" not in project.hwb("build", "--isolation", "venv").both, "a file that git ignores counts"
    project.write(f"{HERE}\n", ".python-version")
    again = project.hwb("build", "--isolation", "venv", "--why")
    assert f"interpreter: Python {other.version} -> Python {HERE}" in again.both
    ranged = project.hwb("build", "--isolation", "venv", "--python", f">={HERE},<4,{HERE}")
    assert ranged.code == 0, ranged.both


@pytest.mark.pypi
@pytest.mark.git
@pytest.mark.parametrize(("flags", "kind"), [("t", "free-threaded"), ("d", "debug")])
def test_another_kind_of_build(tmp_path: Path, flags: str, kind: str) -> None:
    """Environments by both installers, and a compiled wheel with its ABI's tag."""
    found = [one for one in survey()[0] if one.flags == flags and one.implementation == "cpython"]
    if not found:
        pytest.skip(f"this machine has no {kind} Python")
    python = pythons.find(f"{found[0].minor}{flags}")
    assert python.flags == flags
    for backend in ["virtualenv", *(["uv"] if backends.find_uv() is not None else [])]:
        venv = make_venv(str(tmp_path / backend), python, backend=backend)
        assert venv.site_packages.is_dir()
    shutil.copytree(PROJECTS / "c-extension", tmp_path / "project")
    who = {f"GIT_{role}_{what}": "x@y" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run(["git", "-C", tmp_path / "project", *words], check=True, env={**os.environ, **who})
    built = Project(tmp_path / "project").hwb("build", "--isolation", "venv", "--python", f"{python.minor}{flags}")
    assert built.code == 0, built.both
    [wheel] = (tmp_path / "project" / "dist").glob("*.whl")
    assert f"cp{python.minor.replace('.', '')}{flags}-" in wheel.name
