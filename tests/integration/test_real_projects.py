"""Does `hwb run release` work, unconfigured and reproducibly, on projects that were not written for it?

Sdists from the package index become repositories of one commit. Each is released twice, and what comes out is compared
with what `uv build` makes of that commit. The values of docs/explanation/real-projects.md are what
`pytest -o junit_family=xunit1 --junitxml FILE` carries.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from .sdists import Pin, fetch, members, unpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.pypi, pytest.mark.git, pytest.mark.uv, pytest.mark.slow]


COMMITTED = "2026-01-01T00:00:00+00:00"


@dataclass(frozen=True)
class Real:
    """A pinned sdist, and the modules that its wheel must bring."""

    name: str
    version: str
    modules: tuple[str, ...]
    compiled: bool = False
    nightly: bool = False
    python: tuple[int, int] = (3, 10)
    #: members whose bytes may differ between two builds of the same commit
    differs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


REAL = [
    Real("attrs", "26.1.0", ("attr", "attrs")),
    Real("packaging", "26.3", ("packaging",)),
    Real("requests", "2.34.2", ("requests",)),
    Real("rich", "15.0.0", ("rich",)),
    Real("markupsafe", "3.0.4", ("markupsafe",), compiled=True),
    Real("pluggy", "1.7.0", ("pluggy",)),
    Real("dep_logic", "0.7.2", ("dep_logic",)),
    Real(
        "contourpy",
        "1.4.0",
        ("contourpy",),
        compiled=True,
        nightly=True,
        python=(3, 12),
        # The one exception: meson writes the temporary paths of the build (interpreter, build and source directory)
        # into this module.
        differs=("contourpy/util/_build_config.py",),
    ),
]


def parameters() -> list[object]:
    return [pytest.param(real, id=str(real), marks=[pytest.mark.nightly] if real.nightly else []) for real in REAL]


@pytest.mark.parametrize("real", parameters())
def test_a_release_of(
    real: Real, project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[..., None]
) -> None:
    skip_where_it_cannot_be(real)
    # hwb and uv must find the same backends: what only pip is configured to see would reach hwb alone
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PYTHONDONTWRITEBYTECODE", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)
        project.env.pop(name, None)
    project.env["PIP_CONFIG_FILE"] = os.devnull
    if real.compiled:  # one wheel, as the backend makes it: what else a matrix does has tests of its own
        only = f"cp3{sys.version_info.minor}-manylinux_{platform.machine()}"
        project.env |= {"HWB_CONTAINER_ENGINE": "none", "CIBW_BUILD": only, "CIBW_REPAIR_WHEEL_COMMAND": ""}
    make_repository(fetch(Pin(real.name, real.version), tmp_path), project.root)

    sums, seconds = [], []
    for _ in range(2):
        started = time.monotonic()
        done = project.hwb("run", "release")
        seconds.append(time.monotonic() - started)
        assert done.code == 0, done.both
        sums.append(hashes(project.root / "dist"))
    assert sums[0] == sums[1]
    assert len(sums[0]) == 2
    assert git(project.root, "status", "--porcelain") in ("", "?? dist/\n")

    log = (project.runs()[-1] / "logs" / "verify.log").read_text()
    assert set(real.modules) <= set(re.findall(r"^imported (\S+)", log, re.MULTILINE)), log

    compared = {}
    theirs = built_by_uv(project.root, tmp_path)
    assert sorted(path.name for path in theirs) == sorted(sums[0])
    for path in theirs:
        ours, expected = members(project.root / "dist" / path.name), members(path)
        assert sorted(ours) == sorted(expected)
        free = [name for name in ours if may_differ(real, name)]
        assert comparable(ours, free) == comparable(expected, free)
        other = [name for name in free if ours[name] != expected[name]]
        compared[path.name] = f"{len(ours)} members equal, other bytes in {', '.join(other) or 'none'}"

    record_property("version", real.version)
    record_property("backend", backend(project.root))
    record_property("seconds", " ".join(f"{value:.1f}" for value in seconds))
    for name, told in compared.items():
        record_property(name, f"{sums[0][name]} {sums[1][name]} {told}")


def skip_where_it_cannot_be(real: Real) -> None:
    if sys.version_info < real.python:
        pytest.skip(f"{real.name} {real.version} needs Python {'.'.join(map(str, real.python))}")
    if real.compiled and not (shutil.which("cc") or shutil.which("gcc")):
        pytest.skip(f"{real.name} is compiled, and there is no C compiler")


# --- sources -----------------------------------------------------------------------------------------------------


def make_repository(sdist: Path, root: Path) -> None:
    """One commit with everything that the sdist has, the same one in every run."""
    (root / ".git").rmdir()
    shutil.copytree(unpack(sdist, root.parent / "unpacked"), root, dirs_exist_ok=True, symlinks=True)
    git(root, "init", "-q")
    git(root, "add", "-A", "-f")
    git(root, "commit", "-qm", "feat: begin")


def git(root: Path, *args: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.test", "-c", "commit.gpgsign=false"]
    plain = ["-c", "core.autocrlf=false", *identity]
    env = {**os.environ, "GIT_AUTHOR_DATE": COMMITTED, "GIT_COMMITTER_DATE": COMMITTED}
    return subprocess.run(["git", *plain, *args], cwd=root, env=env, check=True, capture_output=True, text=True).stdout


def backend(root: Path) -> str:
    text = (root / "pyproject.toml").read_text() if (root / "pyproject.toml").exists() else ""
    found = re.search(r'^build-backend\s*=\s*["\']([^"\']+)', text, re.MULTILINE)
    return found[1] if found else "setuptools.build_meta:__legacy__"


# --- what came out -----------------------------------------------------------------------------------------------


def hashes(dist: Path) -> dict[str, str]:
    """What SHA256SUMS says, and it says the truth."""
    lines = (dist / ".hwb" / "SHA256SUMS").read_text().splitlines()
    told = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    assert told == {name: hashlib.sha256((dist / name).read_bytes()).hexdigest() for name in told}
    return told


def built_by_uv(root: Path, tmp_path: Path) -> list[Path]:
    """The sdist and the wheel that `uv build` makes of a clone, with the commit's time, on the same Python."""
    clone, out = tmp_path / "clone", tmp_path / "uv-dist"
    git(tmp_path, "clone", "-q", str(root), str(clone))
    command = ["uv", "build", "--python", sys.executable, "--no-create-gitignore", "--out-dir", str(out)]
    env = {**os.environ, "SOURCE_DATE_EPOCH": git(root, "log", "-1", "--format=%ct").strip()}
    done = subprocess.run(command, cwd=clone, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return sorted(path for path in out.iterdir() if path.name.endswith((".whl", ".tar.gz")))


def may_differ(real: Real, name: str) -> bool:
    return name.endswith((".so", ".pyd")) or name in real.differs


def comparable(found: dict[str, bytes], free: list[str]) -> dict[str, bytes]:
    """The bytes that must be equal: without the free members and RECORD's lines about them."""
    return {
        name: without(free, value) if name.endswith("/RECORD") else value
        for name, value in found.items()
        if name not in free
    }


def without(free: list[str], record: bytes) -> bytes:
    lines = record.splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(tuple(f"{name},".encode() for name in free)))
