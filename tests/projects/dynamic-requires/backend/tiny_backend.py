"""A backend that needs nothing, and packs as carelessly as PEP 517 allows: owners, times and order are what they are."""

import base64
import hashlib
import os
import tarfile
import warnings
import zipfile

METADATA = "Metadata-Version: 2.1\nName: dynamic-requires\nVersion: 1.0\nRequires-Python: >=3.9\n"


def get_requires_for_build_sdist(config_settings=None):
    return []


def get_requires_for_build_wheel(config_settings=None):
    return ["packaging"]


def build_sdist(sdist_directory, config_settings=None):
    warnings.warn("this backend is careless", UserWarning, stacklevel=1)
    name = "dynamic_requires-1.0.tar.gz"
    with open("PKG-INFO", "w") as out:
        out.write(METADATA)
    with tarfile.open(os.path.join(sdist_directory, name), "w:gz") as archive:
        for path in ("src", "pyproject.toml", "backend/tiny_backend.py", "PKG-INFO"):
            archive.add(path, "dynamic_requires-1.0/" + path)
    return name


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "dynamic_requires-1.0-py3-none-any.whl"
    info = "dynamic_requires-1.0.dist-info/"
    with open("src/dynamic_requires/__init__.py") as source:
        code = source.read()
    files = {
        "dynamic_requires/__init__.py": code,
        "dynamic_requires/settings.txt": repr(sorted((config_settings or {}).items())),
        "dynamic_requires/environ.txt": "\n".join(sorted(os.environ)),
        info + "METADATA": METADATA,
        info + "WHEEL": "Wheel-Version: 1.0\nGenerator: tiny\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(map(_row, files, files.values())) + info + "RECORD,,\n"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as archive:
        for path, text in {**files, info + "RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return name


def _row(path, text):
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(text.encode())}\n"
