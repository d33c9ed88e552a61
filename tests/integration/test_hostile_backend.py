"""Can a build backend reach what is none of its business, and what stays when its build fails?"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Project

pytestmark = [
    pytest.mark.docker,
    pytest.mark.uv,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="containers of this machine"),
]

IMAGE = "hwb/manylinux_2_31_x86_64:standin"
BACKEND = """
import base64, hashlib, io, json, os, pathlib, socket, tarfile, zipfile

NAME, TAG = "hostile", "py3-none-any"
INFO = f"{NAME}-1.0.dist-info"


def attempt(work):
    try:
        return f"reached: {work()}"
    except OSError as error:
        return f"refused: {type(error).__name__} {error}"


def engine():
    client = socket.socket(socket.AF_UNIX)
    client.connect("/var/run/docker.sock")
    return "the engine"


def write(path):
    with open(path, "w") as file:
        file.write("changed")
    return path


def attempts():
    port = int(pathlib.Path("port.txt").read_text())
    return {
        "name": attempt(lambda: socket.getaddrinfo("files.example.org", 443)),
        "listener": attempt(lambda: socket.create_connection(("127.0.0.1", port), 3).recv(10)),
        "engine": attempt(engine),
        "sources": attempt(lambda: write("/src/port.txt")),
        "new": attempt(lambda: write("/src/new.txt")),
    }


def build_sdist(directory, config_settings=None):
    with tarfile.open(os.path.join(directory, f"{NAME}-1.0.tar.gz"), "w:gz") as archive:
        for name in ("backend.py", "pyproject.toml", "port.txt", "native.c"):
            archive.add(name, f"{NAME}-1.0/{name}")
        data = b"Metadata-Version: 2.1\\nName: hostile\\nVersion: 1.0\\n"
        info = tarfile.TarInfo(f"{NAME}-1.0/PKG-INFO")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return f"{NAME}-1.0.tar.gz"


def build_wheel(directory, config_settings=None, metadata_directory=None):
    if os.path.exists("/src/fail.txt"):
        raise RuntimeError("this backend fails on purpose")
    name, record = f"{NAME}-1.0-{TAG}.whl", f"{INFO}/RECORD"
    members = {
        "hostile.json": json.dumps(attempts()),
        "hostile.py": "",
        f"{INFO}/METADATA": "Metadata-Version: 2.1\\nName: hostile\\nVersion: 1.0\\n",
        f"{INFO}/WHEEL": f"Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: {TAG}\\n",
    }
    with zipfile.ZipFile(os.path.join(directory, name), "w") as archive:
        rows = []
        for member, text in members.items():
            archive.writestr(member, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            rows.append(f"{member},sha256={digest},{len(text)}")
        archive.writestr(record, "\\n".join([*rows, f"{record},,", ""]))
    return name
"""
PYPROJECT = f"""
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "hostile"
version = "1.0"
[tool.hwb.matrix]
build = "cp311-manylinux_x86_64"
[tool.hwb.matrix.linux]
manylinux = "{IMAGE}"
"""


@pytest.fixture
def listener() -> Iterator[int]:
    """A port of this machine where somebody answers."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        server.settimeout(0.2)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    with server.accept()[0] as client:
                        client.sendall(b"here")
                except OSError:
                    continue

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        over.set()
        thread.join()


@pytest.fixture
def hostile(project: Project, listener: int, tmp_path: Path) -> Project:
    project.env["HWB_CACHE_DIR"] = str(tmp_path / "cache")  # nobody else works there at the same time
    (project.root / "backend.py").write_text(BACKEND)
    (project.root / "pyproject.toml").write_text(PYPROJECT)
    (project.root / "port.txt").write_text(str(listener))
    (project.root / "native.c").write_text("#include <Python.h>\n")
    return project


def engine_has(kind: str) -> set[str]:
    asked = {"containers": ["ps", "--all", "--quiet"], "volumes": ["volume", "ls", "--quiet"]}[kind]
    return set(subprocess.run(["docker", *asked], capture_output=True, text=True, check=True).stdout.split())


def names(pattern: str) -> list[str]:
    asked = ["docker", "ps", "--all", "--format", "{{.Names}}", "--filter", f"name={pattern}"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()


def test_a_hostile_backend_reaches_nothing(hostile: Project, listener: int) -> None:
    with socket.create_connection(("127.0.0.1", listener), 3) as client:
        assert client.recv(10) == b"here", "from outside it answers"
    before = {path: path.read_bytes() for path in hostile.root.iterdir() if path.is_file()}
    volumes = engine_has("volumes")
    done = hostile.hwb("matrix")
    assert done.code == 0, done.both
    wheel = hostile.root / "dist" / "hostile-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        found = json.loads(archive.read("hostile.json"))
    assert {key: value.split(":")[0] for key, value in found.items()} == dict.fromkeys(found, "refused"), found
    assert set(found) == {"name", "listener", "engine", "sources", "new"}
    assert {path: path.read_bytes() for path in hostile.root.iterdir() if path.is_file()} == before
    made = [wheel, *hostile.root.glob("dist/.hwb/*")]
    assert {path.stat().st_uid for path in made} == {os.getuid()}
    assert engine_has("volumes") == volumes


def test_a_container_in_which_something_failed_can_be_kept(hostile: Project) -> None:
    (hostile.root / "fail.txt").write_text("")
    done = hostile.hwb("matrix", "--keep")
    assert done.code == 1, done.both
    assert "this backend fails on purpose" in done.both
    (enter,) = set(re.findall(r"docker exec -it -w (\S+) (hwb-kept-\S+) sh", done.both))
    folder, name = enter
    try:
        assert f"docker rm -f {name}" in done.both
        # as it says, without the terminal
        entered = subprocess.run(
            ["docker", "exec", "-w", folder, name, "sh", "-c", "find . -name backend.py; id -u"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert entered.returncode == 0, entered.stdout + entered.stderr
        shown = entered.stdout.split()
        assert any(line.endswith("/backend.py") for line in shown[:-1]), "the tree that was built is there"
        assert shown[-1] == str(os.getuid() or 65534)
        again = hostile.hwb("matrix")
        assert again.code == 1
        assert names(name) == [name], "another run leaves it alone"
        assert "hwb-kept" not in again.both
    finally:
        subprocess.run(["docker", "rm", "-f", name], check=True, capture_output=True)
    kept = Path(hostile.env["HWB_CACHE_DIR"]) / "kept" / Path(folder).name
    assert kept.is_dir()
    assert hostile.hwb("cache", "clear", "--yes", "builds").code == 0
    assert not kept.exists()


@pytest.mark.parametrize("fails", [True, False])
def test_nothing_stays_otherwise(hostile: Project, fails: bool, tmp_path: Path) -> None:
    if fails:
        (hostile.root / "fail.txt").write_text("")
    temporary, cache = tmp_path / "tmp", tmp_path / "cache"
    temporary.mkdir()
    volumes = engine_has("volumes")
    process = subprocess.Popen(
        hostile.command("matrix"), cwd=hostile.root, env={**hostile.env, "TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.wait(300) == int(fails)
    assert names(f"hwb-{process.pid}-") == []
    assert engine_has("volumes") == volumes
    assert list(temporary.iterdir()) == []
    for name in ("rooms", "kept", "ccache", "tmp"):
        assert not (cache / name).exists() or list((cache / name).iterdir()) == [], name
