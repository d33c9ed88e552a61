"""Does `hwb matrix` make every wheel of a project where it belongs, and lose nothing when one of them fails?"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Project

IMAGE = "hwb/manylinux_2_31_x86_64:standin"
TAGS = "manylinux1_x86_64.manylinux_2_31_x86_64.manylinux_2_5_x86_64"
MODULE = """#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *args) { return PyLong_FromLong(ANSWER); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "native", "", -1, methods};
PyMODINIT_FUNC PyInit_native(void) { return PyModule_Create(&module); }
"""
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "CONTAINER_HOST": "unix:///nowhere/podman.sock"}
PYPROJECT = """[build-system]
requires = ["setuptools>=70"]
build-backend = "setuptools.build_meta"

[project]
name = "native"
version = "1.0"
requires-python = ">=3.10"
dependencies = ["iniconfig"]

[dependency-groups]
checks = ["pluggy"]

[[tool.setuptools.ext-modules]]
name = "native"
sources = ["native.c"]
define-macros = [["ANSWER", "42"]]

[tool.hwb.matrix]
"""


@pytest.fixture
def native(project: Project) -> Project:
    """A project with one extension module; each test adds to its table of the matrix."""
    (project.root / "native.c").write_text(MODULE)
    (project.root / "pyproject.toml").write_text(PYPROJECT)
    tests = project.root / "tests"
    tests.mkdir()
    (tests / "run.py").write_text("import native, pluggy; assert native.answer() == 42; print('the answer is right')\n")
    return project


def configured(project: Project, text: str) -> None:
    with (project.root / "pyproject.toml").open("a") as file:
        file.write(text)


def here() -> str:
    return f"cp3{sys.version_info.minor}"


def files(project: Project) -> list[str]:
    return sorted(path.name for path in (project.root / "dist").iterdir() if path.is_file())


def log(project: Project, session: str) -> str:
    (found,) = (project.runs()[-1] / "logs").glob(f"{session.replace('(', '-').rstrip(')')}*.log")
    return str(found.read_text())


def listed(project: Project, *words: str, **env: str) -> Any:
    done = project.hwb("matrix", "--list", "--json", *words, **env)
    assert done.code == 0, done.both
    return json.loads(done.out)["targets"]


# --- without containers ----------------------------------------------------------------------------------------------


def test_a_pure_project_needs_one_wheel(project: Project) -> None:
    (project.root / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "pure"\nversion = "1"\nrequires-python = ">=3.10"\n'
    )
    (project.root / "pure.py").write_text("A = 1\n")
    assert [one["identifier"] for one in listed(project)] == ["py3-none-any"]
    done = project.hwb("matrix")
    assert done.code == 0, done.both
    assert files(project) == ["pure-1-py3-none-any.whl", "pure-1.tar.gz"]
    assert "imported pure" in log(project, "matrix(py3-none-any)")


@pytest.mark.skipif(sys.platform != "linux", reason="auditwheel repairs Linux wheels")
def test_without_an_engine_what_has_an_interpreter_is_made_here(native: Project) -> None:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    configured(
        native, f'build = "{here()}-manylinux_*"\n[tool.hwb.matrix.linux]\narchitectures = ["x86_64", "s390x"]\n'
    )
    found = {one["identifier"]: one["strategy"] for one in listed(native, **NO_ENGINE)}
    assert found == {f"{here()}-manylinux_x86_64": "host", f"{here()}-manylinux_s390x": "elsewhere"}
    done = native.hwb("matrix", **NO_ENGINE)
    assert done.code == 0, done.both
    assert f"not made here: {here()}-manylinux_s390x" in done.err
    wheel, sdist = files(native)
    assert sdist == "native-1.0.tar.gz"
    assert wheel.startswith(f"native-1.0-{here()}-{here()}-manylinux")
    assert "imported native" in log(native, f"matrix({here()}-manylinux_x86_64)")


@pytest.mark.skipif(shutil.which("ccache") is None, reason="ccache is not installed")
def test_what_was_compiled_before_is_remembered(native: Project, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for number in range(3):
        (native.root / "setup.cfg").write_text(f"# {number}\n")
        done = native.hwb("build", HWB_CACHE_DIR=str(cache))
        assert done.code == 0, done.both
    (own,) = (cache / "ccache").iterdir()
    told = subprocess.run(
        ["ccache", "--print-stats"],
        env={**os.environ, "CCACHE_DIR": str(own)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    hits = sum(int(line.split()[1]) for line in told.splitlines() if line.endswith(("_hit\t1", "_hit\t2")))
    assert hits >= 1, told


@pytest.mark.skipif(sys.platform != "linux", reason="auditwheel repairs Linux wheels")
def test_a_release_makes_every_wheel_that_can_be_made(native: Project) -> None:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    own = f"{here()}-manylinux_x86_64"
    configured(native, f'build = "{own} {here()}-win_amd64"\n')
    done = native.hwb("run", "release", **NO_ENGINE)
    assert done.code == 0, done.both
    assert f"not made here: {here()}-win_amd64: Windows wheels are made on Windows" in done.err
    assert "Linux wheels are made without a container (no container engine" in done.err
    assert "pypi-platform" not in done.both, "that is mended by the repair"
    *_, made, source, rest = done.out.splitlines()
    assert made.split()[0].endswith(".whl")
    assert made.endswith("checked, tested, published, verified")
    assert source.startswith("native-1.0.tar.gz ")
    assert rest == "and 1 that cannot be made here: hwb matrix --list"
    planned = [line.split()[1] for line in done.out.splitlines() if line.startswith("✓ ") and "matrix(" not in line]
    assert planned[-4:] == ["sdist", "publish", "verify", "release"]
    wheel, sdist = files(native)
    assert wheel.startswith(f"native-1.0-{here()}-{here()}-manylinux")
    published = native.root / ".hwb" / "index" / "simple" / "native"
    assert sorted(path.name for path in published.glob("native*")) == [wheel, sdist]
    assert "imported native" in log(native, "verify")
    manifest = json.loads((native.root / "dist" / ".hwb" / "manifest.json").read_text())
    assert [one["identifier"] for one in manifest["missing"]] == [f"{here()}-win_amd64"]
    everything = {"checked", "tested", "published", "verified"}
    assert [set(row["verdicts"]) for row in manifest["artifacts"]] == [everything, everything - {"tested"}]

    (native.root / "native.c").write_text(MODULE.replace('"native", ""', '"native", "again"'))
    done = native.hwb("run", "publish", **NO_ENGINE)
    assert (done.code, "raise the version" in done.both) == (5, True), "the same name with other bytes"


def test_a_release_says_what_it_cannot_make_before_it_begins(native: Project) -> None:
    configured(native, 'build = "cp314t-musllinux_x86_64"\n')
    done = native.hwb("run", "release", **NO_ENGINE)
    assert done.code == (3 if sys.platform == "linux" else 4), done.both
    assert not (native.root / "dist").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the commands are for a Linux wheel")
def test_the_steps_around_a_build_on_this_machine(native: Project, tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    mark = tmp_path / "mark"
    configured(
        native,
        f'build = "{here()}-manylinux_x86_64"\n'
        f'before-all = "echo all >> {mark}"\nbefore-build = "echo build $KIND >> {mark}; test -f {{project}}/native.c"\n'
        'environment = {KIND = "of $(echo words)", CFLAGS = "-O2"}\n'
        f'repair-wheel-command = "echo repair >> {mark}; cp {{wheel}} {{dest_dir}}"\n'
        'test-groups = ["checks"]\ntest-sources = ["tests"]\nbefore-test = "python -c \'import native\'"\n'
        'test-environment = {WORD = "$(echo inner)"}\n'
        'test-command = "python tests/run.py && python {package}/tests/run.py && echo $WORD && ls {wheel}"\n',
    )
    done = native.hwb("matrix", **NO_ENGINE)
    assert done.code == 0, done.both
    assert mark.read_text() == "all\nbuild of words\nrepair\n"
    assert "the answer is right\nthe answer is right\ninner\n" in log(native, f"matrix({here()}-manylinux_x86_64)")
    assert files(native)[0] == f"native-1.0-{here()}-{here()}-linux_x86_64.whl"
    configured(native, "[[tool.hwb.matrix.overrides]]\nselect = '*'\nrepair-wheel-command = 'true'\n")
    done = native.hwb("matrix", **NO_ENGINE)
    assert (done.code, "left 0 wheels in its {dest_dir}" in done.both) == (1, True)


def test_a_wheel_that_was_asked_for_and_cannot_be_made(native: Project) -> None:
    done = native.hwb("matrix", "--only", "cp312-macosx_arm64")
    assert done.code == (0 if sys.platform == "darwin" else 3)
    assert "cp312-macosx_arm64 cannot be made here" in done.err or sys.platform == "darwin"
    done = native.hwb("matrix", "--only", "cp27-manylinux_x86_64")
    assert done.code == 2
    done = native.hwb("matrix", "--platform", "solaris")
    assert (done.code, "is no platform" in done.err) == (2, True)


def test_a_front_end_with_arguments_is_refused(native: Project) -> None:
    configured(native, 'build-frontend = "build; args: --no-isolation"\n')
    done = native.hwb("matrix", "--only", f"{here()}-manylinux_x86_64")
    assert done.code == 2
    assert 'engine = "cibuildwheel"' in done.err


# --- in the container ------------------------------------------------------------------------------------------------

LINUX = f'build = "cp311-manylinux_x86_64 cp313-manylinux_x86_64"\n[tool.hwb.matrix.linux]\nmanylinux = "{IMAGE}"\n'


def of_process(pid: int) -> list[str]:
    """The containers of one hwb: their names begin with its number."""
    asked = ["docker", "ps", "--all", "--format", "{{.Names}}", "--filter", f"name=hwb-{pid}-"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()


def shown(project: Project) -> str:
    runs = project.runs() if (project.root / ".hwb" / "runs").exists() else []
    return "".join(path.read_text() for path in (runs[-1] / "logs").glob("matrix*.log")) if runs else ""


def wait_for(condition: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.docker
@pytest.mark.uv
@pytest.mark.pypi
@pytest.mark.slow
class TestInContainers:
    def test_each_python_gets_its_wheel(self, native: Project) -> None:
        configured(native, LINUX)
        done = native.hwb("matrix")
        assert done.code == 0, done.both
        assert files(native) == [
            f"native-1.0-cp311-cp311-{TAGS}.whl",
            f"native-1.0-cp313-cp313-{TAGS}.whl",
            "native-1.0.tar.gz",
        ]
        text = log(native, "matrix(cp313-manylinux_x86_64)")
        assert "imported native" in text
        manifest = json.loads((native.root / "dist" / ".hwb" / "manifest.json").read_text())
        verdicts = {row["name"]: row.get("verdicts") for row in manifest["artifacts"]}
        assert set(verdicts) == set(files(native))
        for name in files(native)[:2]:
            with zipfile.ZipFile(native.root / "dist" / name) as wheel:
                (code,) = (wheel.read(member) for member in wheel.namelist() if member.endswith(".so"))
                assert str(native.root).encode() not in code
        again = native.hwb("matrix")
        assert again.code == 0
        assert "nothing changed" in log(native, "matrix(cp313-manylinux_x86_64)")

    def test_a_failure_leaves_the_others(self, native: Project) -> None:
        configured(native, LINUX + '[[tool.hwb.matrix.overrides]]\nselect = "cp311-*"\nbefore-build = "exit 7"\n')
        done = native.hwb("matrix")
        assert done.code == 1
        assert "before-build of cp311-manylinux_x86_64: sh ended with exit code 7" in done.both
        assert "network = true" in done.both
        assert files(native) == [f"native-1.0-cp313-cp313-{TAGS}.whl", "native-1.0.tar.gz"]

    def test_the_steps_around_the_build(self, native: Project) -> None:
        configured(native, LINUX.replace("cp311-manylinux_x86_64 ", ""))
        configured(
            native,
            f'before-all = "echo prepared by $(id -u) > /opt/prepared; ls {{project}}/pyproject.toml; : {time.time_ns()}"\n'
            'before-build = "cat /opt/prepared; id -u; touch {project}/here"\n'
            'environment = {KIND = "the $(uname -s) kind", CFLAGS = "-O3"}\n'
            'test-groups = ["checks"]\ntest-requires = ["iniconfig"]\n'
            'test-sources = ["tests"]\ntest-environment = {WORD = "from $KIND"}\n'
            'test-command = "test -f tests/run.py && python {project}/tests/run.py && echo $WORD && ls {wheel}"\n',
        )
        done = native.hwb("matrix")
        assert done.code == 1, "the wheel lies on this machine, not in the container"
        text = log(native, "matrix(cp313-manylinux_x86_64)")
        made = subprocess.run(
            ["docker", "images", "--quiet", "hwb-prepared"], capture_output=True, text=True, check=True
        )
        subprocess.run(
            ["docker", "rmi", made.stdout.split()[0]], capture_output=True, check=True
        )  # the newest is first
        assert "prepared by 0\n" in text
        assert "the answer is right\nfrom the Linux kind\n" in text

    @pytest.mark.parametrize("how", ["INT", "KILL"])
    def test_nothing_is_left(self, native: Project, how: str) -> None:
        configured(native, LINUX + 'test-command = "sleep 60"\n')
        process = subprocess.Popen(
            native.command("matrix"), cwd=native.root, env=native.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for(lambda: "$ sh -c 'sleep 60'" in shown(native), 120)
        assert of_process(process.pid)
        process.send_signal(getattr(signal, f"SIG{how}"))
        process.wait(60)
        wait_for(lambda: not of_process(process.pid), 30)


@pytest.mark.docker
@pytest.mark.uv
@pytest.mark.pypi
@pytest.mark.slow
def test_a_single_build_in_a_container(native: Project, tmp_path: Path) -> None:
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "Dockerfile").write_text(f"FROM {IMAGE}\n")
    words = ["build", "--isolation", "docker", "--dockerfile", str(folder / "Dockerfile"), "--python", "3.11"]
    done = native.hwb(*words)
    assert done.code == 0, done.both
    assert files(native) == [f"native-1.0-cp311-cp311-{TAGS}.whl", "native-1.0.tar.gz"]
    again = native.hwb(*words)
    assert "nothing changed" in again.out
    done = native.hwb(*words[:5], "--python", "3.12")
    assert (done.code, "has no Python 3.12" in done.err) == (3, True) or done.code == 1, done.both
    assert "it has 3.9, 3.11, 3.13" in done.err
    done = native.hwb("build", "--manylinux", "2_28")
    assert (done.code, "add --isolation docker" in done.err) == (2, True)
