"""Do the wheels of real C, C++ and Cython projects work on an older Linux that has no compiler?

`hwb matrix` builds three sdists of the index for three Pythons; their own tests then run in another container, in which
there is neither a compiler nor the library that one of them needs.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from hwb.repair.tools import host_tool

from .conftest import Project
from .sdists import Pin, fetch, unpack

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.docker, pytest.mark.uv, pytest.mark.pypi, pytest.mark.slow]

IMAGE = "hwb/manylinux_2_31_x86_64:standin"
PYTHONS = ("3.9", "3.11", "3.13")
OLD = "manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_31_x86_64"
MATRIX = f"""
[tool.hwb.matrix]
build = "{" ".join(f"cp{python.replace('.', '')}-manylinux_x86_64" for python in PYTHONS)}"
environment = {{CFLAGS = "-O1", CXXFLAGS = "-O1"}}
[tool.hwb.matrix.linux]
manylinux = "{IMAGE}"
"""


@dataclass(frozen=True)
class Real:
    """An sdist of the index; `platforms` is the tag that its code proves, `needs` what its tests import."""

    pin: Pin
    platforms: str
    tests: str
    needs: tuple[str, ...] = ()
    bundled: str = ""


REAL = (
    Real(
        Pin("cytoolz", "1.2.0", "fdd8ded8a93e1be009577fccddaacf78aa21cbe7dc6ec53c229def0198a1ffa5"),
        OLD,
        "--pyargs cytoolz.tests.test_itertoolz cytoolz.tests.test_functoolz cytoolz.tests.test_dicttoolz",
    ),
    Real(
        Pin("kiwisolver", "1.4.7", "9893ff81bd7107f7b685d3017cc6583daadb4fc26e4a888350df530e41980a60"),
        "manylinux_2_24_x86_64.manylinux_2_31_x86_64",
        "/project/py/tests",
    ),
    Real(
        Pin("lz4", "4.4.5", "5f0b9e53c1e82e88c10d7c180069363980136b9d7a8306c4dca4f760d60c39f0"),
        OLD,
        "/project/tests/block/test_block_1.py /project/tests/frame/test_frame_1.py",
        ("psutil",),
        "lz4.libs/liblz4-",
    ),
)


@pytest.mark.parametrize("real", REAL, ids=lambda real: real.pin.name)
def test_wheels_of_a_real_project_work_elsewhere(real: Real, tmp_path: Path) -> None:
    project = Project(unpack(fetch(real.pin, tmp_path), tmp_path / "a project"))
    with (project.root / "pyproject.toml").open("a") as file:
        file.write(MATRIX)
    done = project.hwb("matrix", timeout=900)
    assert done.code == 0, done.both
    stem, dist = f"{real.pin.name}-{real.pin.version}", project.root / "dist"
    tags = [f"cp{python.replace('.', '')}" for python in PYTHONS]
    wheels = [f"{stem}-{tag}-{tag}-{real.platforms}.whl" for tag in tags]
    assert sorted(path.name for path in dist.iterdir() if path.is_file()) == sorted([*wheels, f"{stem}.tar.gz"])
    assert (real.bundled in done.both) is True
    oldest = next(tag for tag in real.platforms.split(".") if tag.startswith("manylinux_"))
    for python, wheel in zip(PYTHONS, wheels):
        assert f'"{oldest}"' in show(dist / wheel)
        site = tmp_path / f"site-{python}"
        install(python, site, dist / wheel, *real.needs)
        elsewhere(python, site, project.root, real.tests)


def show(wheel: Path) -> str:
    """What auditwheel says the wheel is consistent with."""
    tool = host_tool("auditwheel")
    text = str(tool.run([tool.python, "-m", "auditwheel", "show", str(wheel)], {}).text)
    assert "is consistent with" in re.sub(r"\s+", " ", text)
    return text


def install(python: str, site: Path, *what: Path | str) -> None:
    """Files of wheels alone, chosen for an interpreter that is not on this machine."""
    subprocess.run(
        ["uv", "pip", "install", "--quiet", "--target", str(site), "--only-binary", ":all:", "--python-version", python,
         "--python-platform", "x86_64-manylinux_2_31", "pytest", *map(str, what)],
        check=True,
    )  # fmt: skip


def elsewhere(python: str, site: Path, sources: Path, tests: str) -> None:
    """The project's own tests against the installed wheel, where nothing can be compiled and nothing fetched."""
    tag = f"cp{python.replace('.', '')}"
    script = (
        "for tool in cc gcc g++ ld; do ! command -v $tool || exit 90; done; ldd --version | head -1; "
        f"/opt/python/{tag}-{tag}/bin/python -m pytest -q -p no:cacheprovider --import-mode=importlib -c /dev/null "
        f"--rootdir /tmp {tests}"
    )
    done = subprocess.run(
        ["docker", "run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", "--tmpfs", "/tmp",
         "--mount", f"type=bind,source={site},target=/site,readonly", "--env", "PYTHONPATH=/site",
         "--mount", f"type=bind,source={sources},target=/project,readonly", "--workdir", "/tmp",
         "--env", "PYTHONDONTWRITEBYTECODE=1", f"{IMAGE}-bare", "sh", "-c", script],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2.31" in done.stdout
    assert re.search(r"[1-9]\d* passed", done.stdout), done.stdout
