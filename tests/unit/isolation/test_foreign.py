"""Is a Python that only a container can run described rightly, and is an environment for it made of files alone?"""

from __future__ import annotations

import csv
import json
import os
import stat
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb.errors import ContainerError, IsolationError
from hwb.isolation import foreign
from hwb.isolation.foreign import (
    ForeignPython,
    as_record,
    choose_python,
    from_record,
    layout_of,
    move_scripts,
    probe,
)
from hwb.pythons import Interpreter

from .engines import FakeEngine

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="containers are Linux's")


def told(**changes: str) -> dict[str, str]:
    """What a Python of an image answers."""
    return {
        "asked": "/opt/python/cp312-cp312/bin/python",
        "path": "/opt/_internal/cpython-3.12.1/bin/python3.12",
        "real": "/opt/_internal/cpython-3.12.1/bin/python3.12",
        "version": "3.12.1",
        "flags": "",
        "implementation": "cpython",
        "platform": "linux-x86_64",
        "packages": "lib/python3.12/site-packages",
        "soabi": "cpython-312-x86_64-linux-gnu",
        "libc": "glibc 2.28",
        "policy": "manylinux_2_28_x86_64",
        **changes,
    }


def answer(**changes: str) -> str:
    return json.dumps(told(**changes)) + "\n"


def python(**changes: str) -> ForeignPython:
    found = from_record({**told(**changes), "image": "sha256:1"})
    assert found is not None
    return found


def test_what_it_says_of_itself() -> None:
    plain = python()
    assert (plain.source, plain.minor, plain.arch, plain.spoken) == ("image", "3.12", "x86_64", "3.12")
    assert not plain.free_threaded
    assert python(version="3.14.0", flags="t").spoken == "3.14t"
    assert python(implementation="pypy", version="3.11.13").spoken == "pypy3.11"


def test_its_identity_is_that_of_the_image() -> None:
    assert python().identity == python().identity
    others = [python(version="3.12.2"), python(soabi="x"), python(path="/x"), python(implementation="pypy")]
    assert len({python().identity, *(other.identity for other in others)}) == 5
    assert "sha256:1" in python().identity


def test_records_come_back() -> None:
    assert from_record(as_record(python(flags="t"))) == python(flags="t")


@pytest.mark.parametrize("packages", ["../../etc", "/etc", "lib/../../x"])
def test_an_image_cannot_choose_paths_outside(packages: str) -> None:
    assert from_record({**told(packages=packages), "image": "i"}) is None
    assert from_record({**told(path="relative"), "image": "i"}) is None


@given(
    st.one_of(
        st.none(), st.integers(), st.lists(st.text()), st.dictionaries(st.sampled_from(["path", "version"]), st.text())
    )
)
def test_any_other_answer_is_none(value: Any) -> None:
    assert from_record(value) is None


def test_all_pythons_of_an_image(tmp_path: Path) -> None:
    fake = FakeEngine(tmp_path)
    lines = [
        answer(asked="/usr/bin/python3", path="/usr/bin/python3"),
        "a warning that is no JSON\n",
        '["no object"]\n',
        answer(asked="/opt/python/cp39-cp39/bin/python"),
        answer(),
        answer(asked="/usr/local/bin/python3", version="3.6.8", packages="lib/python3.6/site-packages"),
    ]
    fake.answer("^run", "".join(lines))
    found = probe(fake.engine, "name", "sha256:1", ["--read-only"])
    assert [(one.spoken, one.asked) for one in found] == [
        ("3.12", "/opt/python/cp312-cp312/bin/python"),
        ("3.6", "/usr/local/bin/python3"),
    ]
    assert {one.image for one in found} == {"sha256:1"}
    assert fake.calls[0][:4] == ["run", "--rm", "--read-only", "--entrypoint=/bin/sh"]


def test_the_question_is_answered_by_this_python() -> None:
    import subprocess

    done = subprocess.run([sys.executable, "-I", "-c", foreign._ASK, "here"], capture_output=True, check=True)
    found = from_record({**json.loads(done.stdout), "image": "i"})
    assert found is not None
    assert found.version.startswith(f"{sys.version_info[0]}.{sys.version_info[1]}.")
    assert found.asked == "here"
    assert found.packages.endswith("/site-packages")
    assert found.path.startswith("/")
    assert os.path.exists(found.path)


PYTHONS = [
    python(),
    python(version="3.9.1", asked="/opt/python/cp39-cp39/bin/python"),
    python(version="3.14.0", flags="t", asked="/opt/python/cp314-cp314t/bin/python"),
    python(version="3.11.1", implementation="pypy", asked="/opt/python/pp311-pypy311_pp73/bin/python"),
]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("", 0), ("3.12", 0), ("cp39", 1), ("3.9.1", 1), ("3.14t", 2), ("cp314t", 2), ("pp311", 3), ("pypy3.11", 3),
     (">=3.9", 0), ("<3.12", 1), ("pypy", 3), ("3", 0), ("3.14+freethreaded", 2),
     ("/opt/python/cp39-cp39/bin/python", 1)],
)  # fmt: skip
def test_which_python_is_meant(wanted: str, found: int) -> None:
    assert choose_python(PYTHONS, wanted, "image") is PYTHONS[found]


def test_an_image_that_lacks_it() -> None:
    with pytest.raises(ContainerError, match=r"image x has no Python 3\.14") as caught:
        choose_python(PYTHONS, "3.14", "x")
    assert caught.value.remedy == "it has 3.9, 3.12, 3.14t, pypy3.11"
    assert choose_python(PYTHONS[2:], "", "x") is PYTHONS[2], "better than nothing"


# ---------------------------------------------------------------------------------------------------------- layout


def test_an_environment_of_files(tmp_path: Path) -> None:
    home = tmp_path / "env"
    layout_of(str(home), python())
    assert str((home / "bin" / "python").readlink()) == "/opt/_internal/cpython-3.12.1/bin/python3.12"
    assert {path.name for path in (home / "bin").iterdir()} == {"python", "python3", "python3.12"}
    assert (home / "lib64" / "python3.12" / "site-packages").is_dir()
    config = dict(line.split(" = ") for line in (home / "pyvenv.cfg").read_text().splitlines())
    assert config == {
        "home": "/opt/_internal/cpython-3.12.1/bin",
        "implementation": "CPython",
        "version_info": "3.12.1",
        "include-system-site-packages": "false",
    }


def test_other_layouts(tmp_path: Path) -> None:
    layout_of(
        str(tmp_path / "pypy"), python(implementation="pypy", version="3.11.1", packages="lib/pypy3.11/site-packages")
    )
    assert (tmp_path / "pypy" / "bin" / "pypy3").is_symlink()
    layout_of(str(tmp_path / "old"), python(implementation="pypy", packages="site-packages"))
    assert not (tmp_path / "old" / "lib64").exists()
    with pytest.raises(IsolationError, match="no Python of an image"):
        layout_of(str(tmp_path / "x"), Interpreter("/usr/bin/python3", "3.12.1", "cpython", "PATH"))


PACKAGES = "lib/python3.12/site-packages"
SCRIPT = b"# -*- coding: utf-8 -*-\nimport sys\n"


def filled(home: Path, **scripts: bytes) -> Path:
    """What `--target` leaves: scripts and data among the packages."""
    site = home / PACKAGES
    (home / "bin").mkdir(parents=True)
    for name, content in scripts.items():
        (site / "bin").mkdir(parents=True, exist_ok=True)
        (site / "bin" / name).write_bytes(content)
    info = site / "demo-1.dist-info"
    info.mkdir(parents=True)
    (site / "demo.py").touch()
    return site


def record(site: Path, *rows: str) -> Path:
    path = site / "demo-1.dist-info" / "RECORD"
    path.write_text("".join(f"{row},sha256=x,1\n" for row in rows))
    return path


def read(path: Path) -> list[list[str]]:
    return list(csv.reader(path.read_text().splitlines()))


def test_scripts_start_with_the_environments_python(tmp_path: Path) -> None:
    old = b"#!/host/venv/bin/python3.12\n"
    shell = b"#!/bin/sh\n'''exec' '/a path/python' \"$0\" \"$@\"\n' '''\n"
    site = filled(tmp_path, plain=old + SCRIPT, long=shell + SCRIPT, other=b"#!/bin/sh\necho\n", elf=b"\x7fELF")
    listed = record(site, "demo.py", "bin/plain")
    move_scripts(str(tmp_path), PACKAGES)
    wanted = f"#!{tmp_path}/bin/python\n".encode()
    if len(wanted) > 127:
        wanted = f"#!/bin/sh\n'''exec' {tmp_path}/bin/python \"$0\" \"$@\"\n' '''\n".encode()
    assert (tmp_path / "bin" / "plain").read_bytes() == wanted + SCRIPT
    assert (tmp_path / "bin" / "long").read_bytes() == wanted + SCRIPT
    assert stat.S_IMODE((tmp_path / "bin" / "plain").stat().st_mode) & 0o111
    assert (tmp_path / "bin" / "other").read_bytes() == b"#!/bin/sh\necho\n"
    assert (tmp_path / "bin" / "elf").read_bytes() == b"\x7fELF"
    assert not (site / "bin").exists()
    rows = read(listed)
    assert rows == [["demo.py", "sha256=x", "1"], ["../../../bin/plain", "", ""]]


@pytest.mark.parametrize("name", ["with space", "long" * 40])
def test_paths_that_a_first_line_cannot_hold(tmp_path: Path, name: str) -> None:
    import subprocess

    home = tmp_path / name
    filled(home, tool=b"#!/x/python\nimport sys; print(sys.argv[1:])\n")
    move_scripts(str(home), PACKAGES)
    (home / "bin" / "python").symlink_to(sys.executable)
    done = subprocess.run([str(home / "bin" / "tool"), "a b"], capture_output=True, text=True, check=True)
    assert done.stdout == "['a b']\n"


def test_the_installers_cache_is_not_changed(tmp_path: Path) -> None:
    """uv links to files of its cache: writing into one would change it for everybody."""
    site = filled(tmp_path, tool=b"#!/x/python\n" + SCRIPT)
    cached = tmp_path / "cached"
    os.link(site / "bin" / "tool", cached)
    move_scripts(str(tmp_path), PACKAGES)
    assert cached.read_bytes() == b"#!/x/python\n" + SCRIPT
    assert cached.stat().st_nlink == 1


def test_no_script_replaces_python(tmp_path: Path) -> None:
    filled(tmp_path, python=b"#!/x/python\nmine")
    (tmp_path / "bin" / "python").write_text("the real one")
    move_scripts(str(tmp_path), PACKAGES)
    assert (tmp_path / "bin" / "python").read_text() == "the real one"


def test_data_goes_where_an_environment_has_it(tmp_path: Path) -> None:
    site = filled(tmp_path)
    for name in ("share/man/man1/x.1", "include/demo.h", "etc/package/__init__.py", "etc/x.conf"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).touch()
    (site / "man").mkdir()
    (site / "man" / "__init__.py").touch()
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / "kept").touch()
    listed = record(site, "share/man/man1/x.1", "include/demo.h", "man/__init__.py", "share.py")
    move_scripts(str(tmp_path), PACKAGES)
    assert (tmp_path / "share" / "man" / "man1" / "x.1").exists()
    assert (tmp_path / "share" / "kept").exists()
    assert (tmp_path / "include" / "demo.h").exists()
    assert (site / "man" / "__init__.py").exists(), "a package of that name"
    names = [row[0] for row in read(listed)]
    assert names == ["../../../share/man/man1/x.1", "../../../include/demo.h", "man/__init__.py", "share.py"]
    assert read(listed)[0][1:] == ["sha256=x", "1"]


def test_nothing_to_move(tmp_path: Path) -> None:
    site = filled(tmp_path)
    listed = record(site, "demo.py")
    before = listed.stat().st_mtime_ns
    move_scripts(str(tmp_path), PACKAGES)
    (site / "bin").mkdir()
    (site / "no-record.dist-info").mkdir()
    move_scripts(str(tmp_path), PACKAGES)
    assert listed.stat().st_mtime_ns == before
