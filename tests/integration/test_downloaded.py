"""Is nothing refused that the index serves? Pure, C, Rust, stable ABI, four systems, wheels and sdists."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hwb.wheel import check_file, import_names

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.pypi, pytest.mark.slow]

WHEELS = {
    "manylinux2014_x86_64": ("attrs", "cryptography", "markupsafe", "numpy", "psutil", "requests", "setuptools"),
    "musllinux_1_2_x86_64": ("markupsafe",),
    "macosx_11_0_arm64": ("markupsafe", "psutil"),
    "win_amd64": ("cryptography", "psutil"),
}
SDISTS = ("idna", "packaging", "pluggy")
"""By backends that are pure Python: pip asks each for its metadata."""


def download(folder: Path, *arguments: str) -> list[Path]:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    if subprocess.run([*command[:3], "--version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this environment has no pip")
    subprocess.run([*command, "--dest", str(folder), *arguments], check=True)
    return sorted(folder.iterdir())


def errors(path: Path) -> list[str]:
    return [str(finding) for finding in check_file(path) if finding.severity.value == "error"]


@pytest.mark.parametrize("platform", WHEELS)
def test_p16_no_real_wheel_is_refused(tmp_path: Path, platform: str) -> None:
    limits = ["--only-binary", ":all:", "--platform", platform, "--python-version", "3.12"]
    paths = download(tmp_path, *limits, *WHEELS[platform])
    assert len(paths) == len(WHEELS[platform])
    assert {path.name: errors(path) for path in paths} == {path.name: [] for path in paths}
    assert all(import_names(path) for path in paths)


def test_p16_no_real_sdist_is_refused(tmp_path: Path) -> None:
    paths = download(tmp_path, "--no-binary", ",".join(SDISTS), *SDISTS)
    assert len(paths) == len(SDISTS)
    assert {path.name: errors(path) for path in paths} == {path.name: [] for path in paths}
