"""Does a locked build install exactly the locked files, with uv and with pip, and nothing when a byte is different?"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hwb import pythons
from hwb.builder.lock import locked_pins
from hwb.context import Context, use
from hwb.errors import DependencyError
from hwb.isolation.backends import PipInstaller, UvInstaller, choose
from hwb.store import open_store
from hwb.toml import parse_toml

if TYPE_CHECKING:
    from tests.integration.conftest import Project

BACKEND = """
import base64, hashlib, os, tarfile, zipfile

META = "Metadata-Version: 2.1\\nName: app\\nVersion: 1.0\\n"

def get_requires_for_build_wheel(config_settings=None):
    return ["helper"]

def build_sdist(folder, config_settings=None):
    with open("PKG-INFO", "w") as out:
        out.write(META)
    with tarfile.open(os.path.join(folder, "app-1.0.tar.gz"), "w:gz") as archive:
        for name in ("app.py", "pyproject.toml", "PKG-INFO"):
            archive.add(name, "app-1.0/" + name)
    return "app-1.0.tar.gz"

def build_wheel(folder, config_settings=None, metadata_directory=None):
    import helper
    files = {
        "app.py": open("app.py").read() + "# " + helper.VERSION + "\\n",
        "app-1.0.dist-info/METADATA": META,
        "app-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    rows = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows += "%s,sha256=%s,%d\\n" % (name, digest, len(text))
    with zipfile.ZipFile(os.path.join(folder, "app-1.0-py3-none-any.whl"), "w") as archive:
        for name, text in {**files, "app-1.0.dist-info/RECORD": rows + "app-1.0.dist-info/RECORD,,\\n"}.items():
            archive.writestr(name, text)
    return "app-1.0-py3-none-any.whl"
"""


def wheel(folder: Path, name: str, version: str, code: str, needs: str = "") -> Path:
    """A wheel of one module."""
    info = f"{name}-{version}.dist-info"
    needed = f"Requires-Dist: {needs}\n" if needs else ""
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needed}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows += f"{path},sha256={digest},{len(text.encode())}\n"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": f"{rows}{info}/RECORD,,\n"}.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return target


@pytest.fixture
def links(tmp_path: Path) -> Path:
    folder = tmp_path / "links"
    wheel(folder, "backing", "1.0", BACKEND)
    wheel(folder, "helper", "1.0", 'VERSION = "helper 1.0"\n', "base")
    wheel(folder, "base", "1.0", "")
    return folder


@pytest.fixture
def app(project: Project, links: Path, tmp_path: Path) -> Project:
    shutil.rmtree(project.root / ".git")
    project.write("", "app.py")
    project.write(
        '[build-system]\nrequires = ["backing"]\nbuild-backend = "backing"\n[project]\nname = "app"\nversion = "1.0"\n',
        "pyproject.toml",
    )
    for name in list(project.env):
        if name.startswith(("PIP_", "UV_")):
            del project.env[name]
    more = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(links), "PIP_CONFIG_FILE": os.devnull}
    more |= {"HWB_CACHE_DIR": str(tmp_path / "store"), "UV_CACHE_DIR": str(tmp_path / "uv"), "UV_NO_CONFIG": "1"}
    project.env.update(more, SOURCE_DATE_EPOCH="1700000000")
    return project


def lock_of(app: Project) -> Path:
    return app.root / "pylock.build.toml"


def versions(app: Project) -> list[str]:
    return [f"{row['name']} {row['version']}" for row in parse_toml(lock_of(app).read_text())["packages"]]


def built_with(app: Project) -> str:
    with zipfile.ZipFile(next((app.root / "dist").glob("*.whl"))) as archive:
        return archive.read("app.py").decode().strip()


@pytest.mark.uv
def test_locked_builds_stay_as_they_are_until_the_lock_is_upgraded(app: Project, links: Path) -> None:
    assert app.hwb("build", "--locked").code == 2
    assert app.hwb("lock", "--build", "--check").code == 5
    done = app.hwb("lock", "--build")
    assert (done.code, done.err) == (0, "")
    assert versions(app) == ["backing 1.0", "base 1.0", "helper 1.0"]
    first = lock_of(app).read_bytes()
    wheel(links, "helper", "2.0", 'VERSION = "helper 2.0"\n')
    assert app.hwb("build", "--locked").code == 0
    assert built_with(app) == "# helper 1.0"
    assert app.hwb("lock", "--build").code == 0
    assert lock_of(app).read_bytes() == first
    done = app.hwb("lock", "--build", "--upgrade", "--check")
    assert done.code == 5
    assert "+ helper 2.0" in done.err
    assert app.hwb("lock", "--build", "--upgrade").code == 0
    assert versions(app) == ["backing 1.0", "helper 2.0"]
    assert app.hwb("build", "--locked").code == 0
    assert built_with(app) == "# helper 2.0"


@pytest.mark.uv
def test_the_standards_own_reader_takes_the_lock(app: Project) -> None:
    pylock = pytest.importorskip("packaging.pylock")
    assert app.hwb("lock", "--build").code == 0
    lock = pylock.Pylock.from_dict(parse_toml(lock_of(app).read_text()))
    lock.validate()
    assert sorted(package.name for package, _ in lock.select()) == ["backing", "base", "helper"]
    assert all(one.size and one.hashes["sha256"] for package in lock.packages for one in package.wheels)


@pytest.mark.uv
def test_another_byte_is_refused(app: Project, links: Path) -> None:
    assert app.hwb("lock", "--build").code == 0
    wheel(links, "helper", "1.0", 'VERSION = "evil"\n')
    assert app.hwb("build", "--locked", "--no-cache").code == 0
    assert built_with(app) == "# helper 1.0"  # uv still has the right bytes
    shutil.rmtree(app.root / "dist")
    elsewhere = {"UV_CACHE_DIR": str(links.parent / "uv-2"), "HWB_CACHE_DIR": str(links.parent / "store-2")}
    done = app.hwb("build", "--locked", **elsewhere)
    assert done.code == 5
    assert "a sha256 differs" in done.err
    assert "pylock.build.toml" in done.err
    assert not list(app.root.glob("dist/*.whl"))


@pytest.mark.uv
def test_a_requirement_that_came_after_the_lock_is_refused(app: Project) -> None:
    assert app.hwb("lock", "--build").code == 0
    pyproject = app.root / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('"backing"]', '"backing", "base>=2"]'))
    done = app.hwb("build", "--locked")
    assert done.code == 5
    assert "base" in done.err
    assert "hwb lock --build" in done.err


@pytest.mark.uv
def test_a_locked_build_works_offline_once_its_files_are_there(app: Project) -> None:
    assert app.hwb("lock", "--build").code == 0
    assert app.hwb("build", "--locked", "--no-cache").code == 0
    assert app.hwb("build", "--locked", "--no-cache", "--offline").code == 0


@pytest.mark.uv
@pytest.mark.parametrize("right", [True, False])
def test_build_constraints_with_hashes_are_obeyed(app: Project, links: Path, tmp_path: Path, right: bool) -> None:
    sha256 = hashlib.sha256((links / "helper-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    constraints = tmp_path / "constraints.txt"
    constraints.write_text(f"helper==1.0 \\\n    --hash=sha256:{sha256 if right else 'a' * 64}\n")
    done = app.hwb("build", "-b", str(constraints))
    assert done.code == (0 if right else 1)
    if not right:
        assert "ash" in done.err  # Hash mismatch, HASHES DO NOT MATCH
        assert not list(app.root.glob("dist/*.whl"))


def without_uv(app: Project) -> dict[str, str]:
    """A PATH (and a home) where no uv is found."""
    hidden = "import hwb.isolation.backends as b; b.find_uv = lambda: None"
    (app.root.parent / "site").mkdir()
    (app.root.parent / "site" / "sitecustomize.py").write_text(hidden + "\n")
    return {"PYTHONPATH": f"{app.root.parent / 'site'}{os.pathsep}{app.env['PYTHONPATH']}"}


@pytest.mark.slow
def test_without_uv_pip_locks_and_verifies(app: Project, links: Path) -> None:
    env = without_uv(app)
    done = app.hwb("lock", "--build", **env)
    assert done.code == 0, done.both
    assert versions(app) == ["backing 1.0", "base 1.0", "helper 1.0"]
    assert parse_toml(lock_of(app).read_text())["environments"]
    done = app.hwb("build", "--locked", **env)
    assert done.code == 0, done.both
    assert built_with(app) == "# helper 1.0"
    assert app.hwb("lock", "--build", "--check", **env).code == 0
    wheel(links, "helper", "1.0", 'VERSION = "evil"\n')
    shutil.rmtree(app.root.parent / "store")
    done = app.hwb("build", "--locked", **env)
    assert (done.code, "a sha256 differs" in done.err) == (5, True), done.both


@pytest.mark.uv
def test_locks_of_uv_itself_are_obeyed(app: Project) -> None:
    import subprocess

    uv = choose("uv")
    assert isinstance(uv, UvInstaller)
    words = [uv.uv, "pip", "compile", "-q", "--universal", "--format", "pylock.toml", "-o", "pylock.build.toml", "-"]
    words += ["--no-index", "--find-links", app.env["PIP_FIND_LINKS"], "--python", sys.executable]
    subprocess.run(words, cwd=app.root, env=app.env, input=b"backing\nhelper\n", check=True)
    done = app.hwb("build", "--locked")
    assert done.code == 0, done.both
    assert built_with(app) == "# helper 1.0"


@pytest.mark.uv
@pytest.mark.parametrize("tampered", [False, True])
@pytest.mark.parametrize("backend", ["uv", "virtualenv"])
def test_installers_verify_every_line(
    app: Project, links: Path, tmp_path: Path, backend: str, tampered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HWB_CACHE_DIR", "UV_CACHE_DIR"):
        monkeypatch.setenv(name, app.env[name])
    assert app.hwb("lock", "--build").code == 0
    running = pythons.running()
    pins = locked_pins(str(lock_of(app)), running, ["backing", "helper"])
    assert len(pins) == 3
    assert all(re.fullmatch(r"\w+==1\.0 --hash=sha256:[0-9a-f]{64}", pin) for pin in pins)
    if tampered:
        pins[1] = pins[1][:-4] + "0000"
    listed = tmp_path / "pins.txt"
    listed.write_text("\n".join(pins) + "\n")
    installer = choose(backend)
    assert isinstance(installer, UvInstaller if backend == "uv" else PipInstaller)
    with use(Context(outer_env=app.env)):
        home = str(tmp_path / "env")
        installer.create(home, running, ())
        python = os.path.join(home, "Scripts" if os.name == "nt" else "bin", "python")
        if tampered:
            with pytest.raises(DependencyError, match="failed") as caught:
                installer.sync(python, str(listed), env=app.env, offline=False)
            assert "hash" in caught.value.detail.lower()
        else:
            installer.sync(python, str(listed), env=app.env, offline=False)
    assert open_store().root == Path(app.env["HWB_CACHE_DIR"])


@pytest.mark.uv
@pytest.mark.pypi
def test_a_lock_for_several_pythons_and_platforms(project: Project, tmp_path: Path) -> None:
    project.write(
        '[build-system]\nrequires = ["setuptools>=77", "tomli; python_version < \'3.11\'"]\n'
        'build-backend = "setuptools.build_meta"\n[project]\nname = "app"\nversion = "1.0"\n',
        "pyproject.toml",
    )
    shutil.rmtree(project.root / ".git")
    assert project.hwb("lock", "--build", HWB_CACHE_DIR=str(tmp_path / "store")).code == 0
    lock = str(project.root / "pylock.build.toml")
    running = pythons.running()
    names = [pin.partition("=")[0] for pin in locked_pins(lock, running, ["setuptools>=77"])]
    assert names == (["setuptools", "tomli"] if running.minor == "3.10" else ["setuptools"])
