"""Is nothing refused that the index serves? Pure, C, Rust, stable ABI, four systems, wheels and sdists.

Files of projects that nearly everybody installs, pinned: what is found in them is found in the next run too.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hwb.wheel import check_file, import_names

from .sdists import PINS, fetch

pytestmark = [pytest.mark.pypi, pytest.mark.slow]

LINUX = [f"manylinux{version}_x86_64" for version in ("_2_34", "_2_28", "_2_27", "_2_24", "_2_17", "2014", "2010", "1")]
WHEELS = {
    "linux": (
        "3.11",
        LINUX,
        """
        aiohttp==3.14.3 anyio==4.15.1 attrs==26.1.0 bcrypt==5.0.0 boto3==1.43.107 botocore==1.43.107 certifi==2026.7.22
        cffi==2.1.1 charset-normalizer==3.5.2 click==8.5.0 coverage==7.16.2 cryptography==50.0.2 fastapi==0.142.2
        filelock==4.0.8 frozenlist==1.8.0 fsspec==2026.9.0 google-auth==2.59.1 greenlet==3.5.6 grpcio==1.84.0 h11==0.16.0
        httpx==0.28.1 idna==3.20 importlib-metadata==9.0.1 jinja2==3.1.6 jmespath==1.1.0 lxml==6.1.3 multidict==7.0.0
        numpy==2.4.6 orjson==3.12.0 packaging==26.3 pandas==3.0.6 pillow==12.3.0 platformdirs==4.12.2 protobuf==7.36.2
        pydantic-core==2.49.0 pydantic==2.13.5 pygments==2.21.0 pytest==9.1.1 python-dateutil==2.9.0.post0 pyyaml==6.0.3
        requests==2.34.2 rich==15.0.0 rpds-py==2026.6.3 setuptools==84.0.0 six==1.17.0 sqlalchemy==2.1.1 tqdm==4.70.1
        typing-extensions==4.16.0 urllib3==2.8.0 virtualenv==21.14.1 websockets==17.1 wheel==0.48.0 wrapt==2.5.0
        yarl==1.25.1 zstandard==0.25.0
        """,
    ),
    "musl": ("3.12", ["musllinux_1_2_x86_64"], "markupsafe==3.0.4"),
    "macos": ("3.12", ["macosx_11_0_arm64"], "cryptography==50.0.2 markupsafe==3.0.4 psutil==7.2.2"),
    "windows": ("3.12", ["win_amd64"], "cryptography==50.0.2 psutil==7.2.2"),
}
"""By system: Python, platforms, pins."""
SDISTS = """
    attrs beautifulsoup4 click flask httpx idna itsdangerous jinja2 markupsafe packaging pluggy psutil pytest
    python_dateutil requests rich six tomlkit tqdm wheel
"""


def pip_download(folder: Path, *arguments: str) -> list[Path]:
    """By the pip that virtualenv carries: environments made by uv have none."""
    from virtualenv.seed.wheels.embed import get_embed_wheel

    wheel = get_embed_wheel("pip", f"{sys.version_info.major}.{sys.version_info.minor}")
    command = [sys.executable, str(Path(wheel.path, "pip")), "download", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "--no-deps", "--dest", str(folder), *arguments], check=True)
    return sorted(folder.iterdir())


def errors(path: Path) -> list[str]:
    return [str(finding) for finding in check_file(path) if finding.severity.value == "error"]


def test_enough_is_looked_at() -> None:
    assert sum(len(pins.split()) for _, _, pins in WHEELS.values()) >= 50
    assert len(SDISTS.split()) >= 20


@pytest.mark.parametrize("system", WHEELS)
def test_p16_no_real_wheel_is_refused(tmp_path: Path, system: str) -> None:
    python, platforms, pins = WHEELS[system]
    limits = ["--only-binary", ":all:", "--python-version", python]
    limits += [word for platform in platforms for word in ("--platform", platform)]
    paths = pip_download(tmp_path, *limits, *pins.split())
    assert len(paths) == len(pins.split())
    assert {path.name: errors(path) for path in paths} == {path.name: [] for path in paths}
    assert [path.name for path in paths if not import_names(path)] == []


@pytest.mark.uv
def test_p16_no_real_sdist_is_refused(tmp_path: Path) -> None:
    paths = [fetch(PINS[name], tmp_path) for name in SDISTS.split()]
    assert {path.name: errors(path) for path in paths} == {path.name: [] for path in paths}
