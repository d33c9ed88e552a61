"""Where do pinned sdists come from, and what is inside a distribution?

uv says where the configured index has a file; the bytes must be those of the pin. A folder named by HWB_TEST_SDISTS is
looked into first, so that a machine can keep what it has fetched.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pin:
    """One sdist: the name as its file spells it, the version, and the hash of the file (empty: whatever the index has)."""

    name: str
    version: str
    sha256: str = ""

    def __str__(self) -> str:
        return self.name

    @property
    def file(self) -> str:
        return f"{self.name}-{self.version}.tar.gz"


_PINS = (
    Pin("attrs", "26.1.0", "d03ceb89cb322a8fd706d4fb91940737b6642aa36998fe130a9bc96c985eff32"),
    Pin("beautifulsoup4", "4.12.3", "74e3d1928edc070d21748185c46e3fb33490f22f52a3addee9aee0f4f7781051"),
    Pin("cattrs", "24.1.2", "8028cfe1ff5382df59dd36474a86e02d817b06eaf8af84555441bac915d2ef85"),
    Pin("cleo", "2.1.0", "0b2c880b5d13660a7ea651001fb4acb527696c01f15c9ee650f377aa543fd523"),
    Pin("click", "8.5.1", "9bbfada76703fd1d784b83eea012e3e8c6a001a876543ef104fa56aaaeb072b4"),
    Pin("contourpy", "1.4.0", "20156f5a1ac4f8ce02656e39a61e82164a3d359796dc8026f75b062783d500e1"),
    Pin("dep_logic", "0.7.2", "2a3c49526075b0bc6825f0ea8c2d9f464de48b7b85f3f3d2900b4e5950fefedf"),
    Pin("docopt", "0.6.2", "49b3a825280bd66b3aa83585ef59c4a8c82f2c8a522dbe754a8bc8d08c85c491"),
    Pin("flask", "3.1.0", "5f873c5184c897c8d9d1b05df1e3d01b14910ce69607a117bd3277098a5836ac"),
    Pin("flit_core", "3.12.0", "18f63100d6f94385c6ed57a72073443e1a71a4acb4339491615d0f16d6ff01b2"),
    Pin("frozenlist", "1.5.0", "81d5af29e61b9c8348e876d442253723928dce6433e0e76cd925cd83f1b4b817"),
    Pin("gunicorn", "23.0.0", "f014447a0101dc57e294f6c18ca6b40227a4c90e9bdb586042628030cba004ec"),
    Pin("hatchling", "1.27.0", "971c296d9819abb3811112fc52c7a9751c8d381898f36533bb16f9791e941fd6"),
    Pin("httpx", "0.28.1", "75e98c5f16b0f35b567856f597f06ff2270a374470a5c2392242528e3e3e42fc"),
    Pin("idna", "3.20", "a7db850025b95ded1eae8a46181a1a6c56c92c96f0e2b005d9ff8dc0210cab44"),
    Pin("itsdangerous", "2.2.0", "e0050c0b7da1eea53ffaf149c0cfbb5c6e2e2b69c4bef22c81fa6eb73e5f6173"),
    Pin("jinja2", "3.1.6", "0137fb05990d35f1275a587e9aee6d56da821fc83491a0fb838183be43f66d6d"),
    Pin("markupsafe", "3.0.4", "2e9ad7dd851bf45fab9f75cbff4cb493fee9979e8d8c7c9c3ee119022518edd6"),
    Pin("meson_python", "0.22.1", "52c88628b0e5671592dc2306613fb5f6f3615fd24def059b9894f143b7f9a139"),
    Pin("nanobind", "3.1.0", "6661e3dc1434d78781ccf7913442d90361dab395c3424efadb63bbb6ddea7ea3"),
    Pin("packaging", "26.3", "94edc256424af38762eb31306eed28beb9f0efc50a8837492c9d6fd6004aed79"),
    Pin("paramiko", "3.5.0", "ad11e540da4f55cedda52931f1a3f812a8238a7af7f62a60de538cd80bb28124"),
    Pin("pdm_backend", "2.5.0", "7953b994563d3151755e3364b9d0cfe817ed0eaecdf27c8f777f412d26bcd98a"),
    Pin("pluggy", "1.7.0", "d1eaa46ebb595891b860ab086b4d09c8588af65ebd4361b8e8f4bb8920b90ba8"),
    Pin("poetry_core", "2.1.3", "0522a015477ed622c89aad56a477a57813cace0c8e7ff2a2906b7ef4a2e296a4"),
    Pin("psutil", "7.2.2", "0746f5f8d406af344fd547f1c8daa5f5c33dbc293bb8d6a16d80b4bb88f59372"),
    Pin("pybind11", "2.13.6", "ba6af10348c12b24e92fa086b39cfba0eff619b61ac77c406167d813b096d39a"),
    Pin("pyproject_metadata", "0.9.0", "8511c00a4cad96686af6a6b4143433298beb96105a9379afdc9b0328f4f260c9"),
    Pin("pytest", "8.3.4", "965370d062bce11e73868e0335abac31b4d3de0e82f4007408d242b4f8610761"),
    Pin("python-dotenv", "1.0.1", "e324ee90a023d808f1959c46bcbc04446a10ced277783dc6ee09987c37ec10ca"),
    Pin("python_dateutil", "4.0.0", "d7295ff14fdc0f92f662100bfb6c551d160ca090f2939f1ec5b9794265c03f06"),
    Pin("requests", "2.34.2", "f288924cae4e29463698d6d60bc6a4da69c89185ad1e0bcc4104f584e960b9ed"),
    Pin("rich", "15.0.0", "edd07a4824c6b40189fb7ac9bc4c52536e9780fbbfbddf6f1e2502c31b068c36"),
    Pin("simplejson", "3.19.3", "8e086896c36210ab6050f2f9f095a5f1e03c83fa0e7f296d6cba425411364680"),
    Pin("six", "1.17.0", "ff70335d468e7eb6ec65b95b99d3a2836546063f63acc5171de367e834932a81"),
    Pin("structlog", "24.4.0", "b27bfecede327a6d2da5fbc96bd859f114ecc398a6389d664f62085ee7ae6fc4"),
    Pin("tomli_w", "1.2.0", "2dd14fac5a47c27be9cd4c976af5a12d87fb1f0b4512f81d69cce3b35ae25021"),
    Pin("tomlkit", "0.13.3", "430cf247ee57df2b94ee3fbe588e71d362a941ebb545dec29b53961d61add2a1"),
    Pin("tornado", "6.4.2", "92bad5b4746e9879fd7bf1eb21dce4e3fc5128d71601f80005afa39237ad620b"),
    Pin("tqdm", "4.67.1", "f8aef9c52c08c13a65f30ea34f4e5aac3fd1a34959879d7e59e63027286627f2"),
    Pin("wheel", "0.48.0", "94800765601e9171bf5d58d066e640662842bcedcbab982b2c90787a2c987322"),
    Pin("zope_interface", "8.7", "0b47b62e8d0d99b24bcdd32f4f2120425e5019c3bee2ad69a0e1d75737487a96"),
)  # fmt: skip
PINS = {pin.name: pin for pin in _PINS}


def fetch(pin: Pin, folder: Path) -> Path:
    """The sdist in `folder`, with the bytes that the pin names, or of a pin without a hash those that the index names.

    Raises AssertionError for other bytes.
    """
    path, expected = _kept(pin) or folder / pin.file, pin.sha256
    if not path.exists() or not expected:
        url, told = _indexed(pin, folder)
        expected = expected or told
        path = path if pin.sha256 else folder / url.rpartition("/")[2]
        with urllib.request.urlopen(url, timeout=120) as answer:
            partial = path.with_name(f"{path.name}.{os.getpid()}")
            partial.write_bytes(answer.read())
            partial.replace(path)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    assert found == expected, f"{path}: sha256 {found} instead of {expected}"
    return path


def _kept(pin: Pin) -> Path | None:
    kept = os.environ.get("HWB_TEST_SDISTS") if pin.sha256 else None
    path = Path(kept, pin.file) if kept else None
    return path if path is not None and path.is_file() else None


def _indexed(pin: Pin, folder: Path) -> tuple[str, str]:
    """Address and sha256: pip would build the sdist to learn its metadata; uv takes that from a wheel if there is one."""
    words = ("uv", "pip", "compile", "--quiet", "--no-deps", "--format", "pylock.toml", "--python", sys.executable, "-")
    asked = f"{pin.name}=={pin.version}"
    told = subprocess.run(words, input=asked, capture_output=True, text=True, cwd=folder, timeout=300, check=False)
    assert told.returncode == 0, told.stderr
    found = re.search(r'^sdist = \{ url = "([^"]+)".*sha256 = "([0-9a-f]{64})"', told.stdout, re.MULTILINE)
    assert found, told.stdout
    return found[1], found[2]


def unpack(sdist: Path, folder: Path) -> Path:
    """The one directory of an sdist, below `folder`."""
    folder.mkdir(parents=True)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (top,) = folder.iterdir()
    return top


def members(path: Path) -> dict[str, bytes]:
    """Every member that is a file or a link; a link's bytes are where it leads."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist()}
    found = {}
    with tarfile.open(path) as sdist:
        for member in sdist:
            extracted = sdist.extractfile(member) if member.isfile() else None
            if extracted is not None:
                found[member.name] = extracted.read()
            elif not member.isdir():
                found[member.name] = member.linkname.encode()
    return found
