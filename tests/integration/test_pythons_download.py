"""Does real uv bring an interpreter, once, from a mirror of the test's own, without any network?"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from hwb import pythons
from hwb.installs import scan

from .conftest import Done, Project

pytestmark = [
    pytest.mark.uv,
    pytest.mark.skipif(sys.platform != "linux", reason="packs this machine's Python as uv's for Linux"),
]

_LEFT_OUT = {"test", "tests", "idlelib", "tkinter", "site-packages", "dist-packages", "__pycache__", "ensurepip"}


def pack(python: pythons.Interpreter, folder: Path) -> Path:
    """An archive laid out as those that uv downloads, and the list of downloads that has it alone."""
    real = os.path.realpath(python.path)
    library = os.path.join(os.path.dirname(os.path.dirname(real)), "lib")
    archive = folder / "python.tar.gz"

    def wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        parts = member.name.split("/")
        return None if _LEFT_OUT & {*parts} or any(part.startswith("config-") for part in parts) else member

    with tarfile.open(archive, "w:gz", compresslevel=1, dereference=True) as packed:
        packed.add(real, f"python/bin/python{python.minor}")
        packed.add(os.path.join(library, f"python{python.minor}"), f"python/lib/python{python.minor}", filter=wanted)
        for name in os.listdir(library):
            if name.startswith("libpython"):
                packed.add(os.path.join(library, name), f"python/lib/{name}")
    major, minor, patch = map(int, python.version.split("."))
    libc = "gnu" if platform.libc_ver()[0] else "musl"
    row = {
        "name": "cpython",
        "arch": {"family": platform.machine(), "variant": None},
        "os": "linux",
        "libc": libc,
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "url": archive.as_uri(),
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "variant": None,
        "build": None,
    }
    listed = folder / "downloads.json"
    listed.write_text(json.dumps({f"cpython-{python.version}-linux-{platform.machine()}-{libc}": row}))
    return listed


@pytest.fixture(scope="module")
def python() -> pythons.Interpreter:
    found = pythons.running()
    if (found.implementation, found.flags) != ("cpython", "") or not found.version.replace(".", "").isdigit():
        pytest.skip("hwb does not run on a released CPython")
    return found


@pytest.fixture(scope="module")
def downloads(python: pythons.Interpreter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(python, tmp_path_factory.mktemp("downloads"))


@pytest.fixture
def project(tmp_path: Path, downloads: Path) -> Project:
    """A project whose hwb has a store and a home of its own, and whose uv has no network to use."""
    (tmp_path / "project").mkdir()
    made = Project(tmp_path / "project")
    made.env = {name: value for name, value in made.env.items() if not name.startswith(("UV_", "PIP_"))}
    made.env |= {"HWB_CACHE_DIR": str(tmp_path / "cache"), "HOME": str(tmp_path / "home"), "UV_OFFLINE": "0"}
    made.env |= {"UV_CACHE_DIR": str(tmp_path / "uv-cache"), "UV_PYTHON_DOWNLOADS_JSON_URL": str(downloads)}
    made.env |= dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    uv = shutil.which("uv")
    assert uv is not None
    made.env["PATH"] = os.pathsep.join([os.path.dirname(uv), made.env["PATH"]])
    return made


def listed(project: Project) -> list[dict[str, Any]]:
    rows = json.loads(project.hwb("python", "list", "--json").out)["pythons"]
    return [row for row in rows if row["source"] == "hwb"]


ALWAYS = """
import hwb, sys

@hwb.recipe(python="{minor}", download_python="always")
@hwb.parametrize("number", [1, 2])
def say(session, number):
    where = session.run("python", "-c", "import sys; print(sys.base_prefix)", silent=True).strip()
    session.log("base %s", where)
    assert "/cache/interpreters/" in where, where
"""


def test_two_sessions_download_once_and_later_it_is_simply_there(
    project: Project, python: pythons.Interpreter, tmp_path: Path
) -> None:
    assert listed(project) == []
    project.write(ALWAYS.format(minor=python.minor))
    done = project.hwb("run", "-j", "2", "say")
    assert done.code == 0, done.both
    said = [event.get("text") for event in project.events()]
    assert said.count(f"downloading Python {python.minor} (uv python install)") == 1
    [row] = listed(project)
    assert row["version"] == python.version
    assert row["path"].startswith(str(tmp_path / "cache" / "interpreters"))
    assert not (tmp_path / "home" / ".local" / "bin").exists(), "uv links nothing into the user's directories"

    again = project.hwb("run", "--offline", "say", UV_PYTHON_DOWNLOADS_JSON_URL=str(tmp_path / "missing.json"))
    assert again.code == 0, again.both
    assert not any("downloading" in str(event.get("text")) for event in project.events())


def test_the_sums_are_uvs_business_and_it_refuses_other_bytes(
    project: Project, python: pythons.Interpreter, downloads: Path, tmp_path: Path
) -> None:
    told = json.loads(downloads.read_text())
    for row in told.values():
        row["sha256"] = "0" * 64
    (tmp_path / "wrong.json").write_text(json.dumps(told))
    project.write(ALWAYS.format(minor=python.minor))
    done = project.hwb("run", "say", UV_PYTHON_DOWNLOADS_JSON_URL=str(tmp_path / "wrong.json"))
    assert done.code == 3, done.both
    assert "cannot be downloaded" in done.both
    assert listed(project) == []


def test_nothing_is_downloaded_unless_somebody_says_so(project: Project, tmp_path: Path) -> None:
    """A version that nobody has; uv, if it were asked, would write into its directory."""
    project.write(
        '[project]\nname = "p"\nversion = "1"\n[build-system]\nrequires = []\nbuild-backend = "b"\n', "pyproject.toml"
    )
    project.write("import hwb\n\n@hwb.recipe(python='3.99')\ndef say(session):\n    pass\n")
    for words in (["run", "say"], ["build", "--python", "3.99"], ["lock", "--build", "--python", "3.99"]):
        done = project.hwb(*words)
        assert done.code == 3, done.both
        assert "there is no Python 3.99 on this machine" in done.both
        assert "--download-python" in done.both
    assert not (tmp_path / "cache" / "interpreters").exists()


def _refused(project: Project, *words: str, **env: str) -> Done:
    done = project.hwb(*words, **env)
    assert done.code != 0
    return done


def test_every_command_has_the_flag(project: Project) -> None:
    """What uv does not have is an error that says so; offline it is not asked."""
    project.write(
        '[project]\nname = "p"\nversion = "1"\n[build-system]\nrequires = []\nbuild-backend = "b"\n', "pyproject.toml"
    )
    project.write("import hwb\n\n@hwb.recipe(python='3.99')\ndef say(session):\n    pass\n")
    for words in (["run", "say"], ["build", "--python", "3.99"], ["lock", "--build", "--python", "3.99"]):
        done = _refused(project, *words, "--download-python")
        assert done.code == 3, done.both
        assert "and it cannot be downloaded" in done.both
        assert "No download found" in done.both
        done = _refused(project, *words, "--download-python", "--offline")
        assert "the network must not be used" in done.both
        done = _refused(project, *words, HWB_DOWNLOAD_PYTHON="1")
        assert "and it cannot be downloaded" in done.both


def test_a_project_that_names_another_python_gets_it(
    project: Project, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With the settings, from .python-version, for hwb lock; of a Python that is not where hwb looks any more."""
    system = {one.version[:2] for one in scan({"HOME": "/nowhere"})}
    own = (*sys.version_info[:2],)
    others = [one for one in scan() if one.version[:2] not in {*system, own} and not one.flags]
    found = [one for one in others if one.implementation == "cpython" and one.version[:2] >= (3, 8)]
    if not found:
        pytest.skip("this machine has no Python that can be hidden")
    other = pythons.find(".".join(map(str, found[0].version[:2])))
    listed_ = pack(other, tmp_path_factory.mktemp("other"))
    hidden = {"UV_PYTHON_DOWNLOADS_JSON_URL": str(listed_)}
    alone = tmp_path / "alone"  # where uv is, other Pythons may be, too
    alone.mkdir()
    (alone / "uv").symlink_to(Path(project.env["PATH"].split(os.pathsep)[0], "uv").resolve())
    hidden["PATH"] = os.pathsep.join([str(alone), "/usr/bin", "/bin"])
    for name in ("PYENV_ROOT", "XDG_DATA_HOME", "MISE_DATA_DIR", "ASDF_DATA_DIR"):
        hidden[name] = str(tmp_path / "none")
    project.write("[tool.hwb]\ndownload-python = true\n", "pyproject.toml")
    project.write(f"{other.minor}\n", ".python-version")
    project.write(
        "import hwb\n\n@hwb.recipe\ndef say(session):\n    session.run('python', '-c', 'import sys; print(sys.version)')\n"
    )
    done = project.hwb("run", "-v", "say", **hidden)
    assert done.code == 0, done.both
    assert f"downloading Python {other.minor}" in done.both
    assert other.version in done.both
    assert [row["version"] for row in listed(project)] == [other.version]
