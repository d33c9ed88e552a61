"""A backend that stands still at the moment WAIT_AT until a file named `go` lies in WAIT_DIR."""

import base64
import hashlib
import io
import os
import subprocess
import sys
import sysconfig
import tarfile
import time
import zipfile

NAME = "waiting"
METADATA = f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n".encode()


def _moment(name):
    if os.environ.get("WAIT_AT") != name:
        return
    folder = os.environ["WAIT_DIR"]
    with open(os.path.join(folder, name + ".part"), "w") as out:
        out.write(str(os.getpid()))
    os.replace(os.path.join(folder, name + ".part"), os.path.join(folder, name))
    while os.path.isdir(folder) and not os.path.exists(os.path.join(folder, "go")):
        time.sleep(0.02)


def _mischief():
    folder = os.environ.get("WAIT_DIR", "")
    if os.environ.get("WAIT_AT") == "daemon":
        null = subprocess.DEVNULL
        code = "import time; time.sleep(600)"
        child = subprocess.Popen([sys.executable, "-c", code], stdout=null, stderr=null, start_new_session=True)
        with open(os.path.join(folder, "daemon"), "w") as out:
            out.write(str(child.pid))
        child.returncode = 0  # nobody waits for it
    if os.environ.get("WAIT_AT") == "spoil":
        path = os.path.join(sysconfig.get_path("purelib"), "spoilt.py")
        with open(path, "w") as out:
            out.write("")
        with open(os.path.join(folder, "spoil"), "w") as out:
            out.write(path)


def get_requires_for_build_sdist(config_settings=None):
    _moment("requires-sdist")
    return []


def get_requires_for_build_wheel(config_settings=None):
    _moment("requires-wheel")
    return []


def build_sdist(sdist_directory, config_settings=None):
    name = NAME + "-1.0"
    with tarfile.open(os.path.join(sdist_directory, name + ".tar.gz"), "w:gz") as archive:
        for path in ("pyproject.toml", NAME + ".py", "backend/waiting_backend.py"):
            archive.add(path, name + "/" + path)
        info = tarfile.TarInfo(name + "/PKG-INFO")
        info.size = len(METADATA)
        archive.addfile(info, io.BytesIO(METADATA))
        _moment("sdist")
    _mischief()
    return name + ".tar.gz"


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name, info = NAME + "-1.0-py3-none-any.whl", NAME + "-1.0.dist-info/"
    with open(NAME + ".py", "rb") as source:
        code = source.read()
    tags = b"Wheel-Version: 1.0\nGenerator: waiting\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {NAME + ".py": code, info + "METADATA": METADATA, info + "WHEEL": tags}
    rows = []
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(data)}\n")
    files[info + "RECORD"] = ("".join(rows) + info + "RECORD,,\n").encode()
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path), data)
            _moment("wheel")
    return name
