"""Is a wheel tested with the oldest dependencies that it allows, and is it said when it does not work with them?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Done, Project

pytestmark = [pytest.mark.uv, pytest.mark.pypi]

IMAGE = "hwb/manylinux_2_31_x86_64:standin"
PYPROJECT = """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "oldest"
version = "1.0"
requires-python = ">=3.10"
dependencies = ["iniconfig>=2.0"]

[project.optional-dependencies]
all = ["oldest[more]"]
more = ["six>=1.16"]

[tool.hwb.test]
command = "python check.py"
requires = ["pluggy"]
resolutions = ["highest", "lowest-direct"]
"""
CHECK = """import sys
from importlib.metadata import version
import iniconfig, oldest
print("words", *sys.argv[1:])
print("found", version("iniconfig"), version("pluggy"))
"""
NEEDS_NEW = CHECK + "assert version('iniconfig') != '2.0.0', 'too old'\n"


@pytest.fixture
def oldest(project: Project) -> Project:
    """A pure project that prints which versions it is tested with."""
    project.write(PYPROJECT, "pyproject.toml")
    project.write("A = 1\n", "oldest.py")
    project.write(CHECK, "check.py")
    project.write("dist/\n.hwb/\n", ".gitignore")
    return project


def found(text: str) -> list[list[str]]:
    return [line.split()[1:] for line in text.splitlines() if line.startswith("found ")]


def log(project: Project, session: str) -> str:
    (path,) = (project.runs()[-1] / "logs").glob(f"{session}*.log")
    return str(path.read_text())


def failure(project: Project, done: Done) -> str:
    assert done.code == 1, done.both
    return log(project, "test")


def detail(project: Project, session: str) -> str:
    (told,) = (one for one in project.events() if one["event"] == "verdict" and one["verdict"] == "tested")
    assert (told["session"], told["ok"]) == (session, True)
    return str(told["detail"])


def test_newest_and_oldest_one_after_the_other(oldest: Project) -> None:
    done = oldest.hwb("run", "test", "--", "a word")
    assert done.code == 0, done.both
    assert log(oldest, "test").count("\nwords a word\n") == 2
    (newest, pluggy), low = found(log(oldest, "test"))
    assert newest != "2.0.0"
    assert low == ["2.0.0", pluggy], "what only the tests need is new in both"
    assert detail(oldest, "test") == "highest, lowest-direct"
    assert list((oldest.runs()[-1] / "envs").glob("*")) == []


def test_one_that_does_not_work_with_the_oldest_is_named(oldest: Project) -> None:
    oldest.write(NEEDS_NEW, "check.py")
    done = oldest.hwb("run", "test")
    text = failure(oldest, done)
    assert len(found(text)) == 2, "the newest were tested, too"
    assert "AssertionError: too old" in text
    assert "with the lowest-direct versions of its dependencies: python ended with exit code 1" in done.both
    assert not [one for one in oldest.events() if one["event"] == "verdict"]
    assert (oldest.runs()[-1] / "envs" / "test" / "lowest-direct" / "pyvenv.cfg").is_file()


def test_the_environment_that_is_used_again_stays_as_it_is(oldest: Project) -> None:
    for _ in range(2):
        done = oldest.hwb("run", "test", "--reuse-venv", "yes")
        assert done.code == 0, done.both
    assert found(log(oldest, "test"))[1][0] == "2.0.0"
    (kept,) = (path for path in (oldest.root / ".hwb" / "envs").iterdir() if path.is_dir())
    assert not (kept / "lowest-direct").exists()


def test_without_uv_it_is_said_that_only_uv_can(oldest: Project) -> None:
    done = oldest.hwb("run", "test", HWB_DEFAULT_VENV_BACKEND="virtualenv")
    assert done.code == 3
    assert "only uv finds versions by the word lowest-direct, and here virtualenv installs" in done.both
    assert len(found(log(oldest, "test"))) == 1


def test_unset_it_is_as_it_was(oldest: Project) -> None:
    oldest.write(PYPROJECT.partition("resolutions")[0], "pyproject.toml")
    assert oldest.hwb("run", "test").code == 0
    assert "--resolution" not in log(oldest, "test")
    assert detail(oldest, "test") == ""


@pytest.mark.docker
@pytest.mark.slow
def test_in_a_container(oldest: Project) -> None:
    """An extension, so that its tests run in one."""
    setup = PYPROJECT.replace("hatchling.build", "setuptools.build_meta").replace("hatchling", "setuptools>=77")
    setup = setup.replace('"python check.py"', '"python /src/check.py"')
    extension = '[[tool.setuptools.ext-modules]]\nname = "_oldest"\nsources = ["_oldest.c"]\n'
    matrix = (
        f'[tool.hwb.matrix]\nbuild = "cp311-manylinux_x86_64"\ntest-extras = ["all"]\nlinux.manylinux = "{IMAGE}"\n'
    )
    module = '[tool.setuptools]\npy-modules = ["oldest"]\n'
    oldest.write(f"{setup}\n{extension}{module}{matrix}", "pyproject.toml")
    oldest.write(
        "#include <Python.h>\n"
        'static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_oldest", "", -1, NULL};\n'
        "PyMODINIT_FUNC PyInit__oldest(void) { return PyModule_Create(&module); }\n",
        "_oldest.c",
    )
    with_six = CHECK.replace('version("pluggy")', 'version("pluggy"), version("six")')
    oldest.write(with_six, "check.py")
    done = oldest.hwb("matrix")
    assert done.code == 0, done.both
    newest, low = found(log(oldest, "matrix"))
    assert newest[0] != "2.0.0"
    assert low == ["2.0.0", newest[1], "1.16.0"], "also what extras ask for"
    assert detail(oldest, "matrix(cp311-manylinux_x86_64)") == "highest, lowest-direct"
    manifest = json.loads((oldest.root / "dist" / ".hwb" / "manifest.json").read_text())
    (wheel,) = (row for row in manifest["artifacts"] if row["name"].endswith(".whl"))
    assert wheel["verdicts"]["tested"]["detail"] == "highest, lowest-direct"
    oldest.write(with_six.replace("print", "assert version('iniconfig') != '2.0.0', 'too old'\nprint"), "check.py")
    done = oldest.hwb("matrix")
    assert done.code == 1
    assert "with the lowest-direct versions of its dependencies: python ended with exit code 1" in done.both
