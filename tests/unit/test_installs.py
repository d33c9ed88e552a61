"""Is every interpreter of a machine seen, by its best name, and is nothing run?"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hwb import installs
from hwb.installs import scan

from .machines import environ, program

if TYPE_CHECKING:
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="builds a POSIX tree")


def seen(machine: Path, **variables: str) -> list[tuple[str, tuple[int, ...], str]]:
    found = scan(environ(machine, **variables))
    return [(os.path.relpath(candidate.path, machine), candidate.version, candidate.source) for candidate in found]


@posix
def test_every_source_in_order(machine: Path) -> None:
    program(machine / "opt/python/cp310-cp310/bin/python3.10")
    program(machine / "opt/python/3.9/bin/python3")
    program(machine / "Frameworks/3.11/bin/python3.11")
    program(machine / "brew/opt/python@3.12/bin/python3.12")
    program(machine / "usr/bin/python3.8")
    program(machine / "path/python3.13")
    program(machine / "home/.asdf/installs/python/3.7.1/bin/python3.7")
    program(machine / "home/.local/share/mise/installs/python/3.14.0/bin/python3.14")
    program(machine / "home/.pyenv/versions/3.12.1/bin/python3.12")
    program(machine / "home/.pyenv/versions/3.12.10/bin/python3.12")
    program(machine / "home/.local/share/uv/python/cpython-3.12.3-linux-x86_64-gnu/bin/python3.12")
    assert seen(machine, PATH=f"{os.pathsep}{machine / 'path'}") == [
        ("home/.local/share/uv/python/cpython-3.12.3-linux-x86_64-gnu/bin/python3.12", (3, 12, 3), "uv"),
        ("home/.pyenv/versions/3.12.10/bin/python3.12", (3, 12, 10), "pyenv"),
        ("home/.pyenv/versions/3.12.1/bin/python3.12", (3, 12, 1), "pyenv"),
        ("home/.local/share/mise/installs/python/3.14.0/bin/python3.14", (3, 14, 0), "mise"),
        ("home/.asdf/installs/python/3.7.1/bin/python3.7", (3, 7, 1), "asdf"),
        ("path/python3.13", (3, 13), "PATH"),
        ("usr/bin/python3.8", (3, 8), "system"),
        ("brew/opt/python@3.12/bin/python3.12", (3, 12), "system"),
        ("Frameworks/3.11/bin/python3.11", (3, 11), "system"),
        ("opt/python/cp310-cp310/bin/python3.10", (3, 10), "opt"),
        ("opt/python/3.9/bin/python3", (3, 9), "opt"),
    ]


@posix
@pytest.mark.parametrize(
    ("variable", "below", "source"),
    [
        ("UV_PYTHON_INSTALL_DIR", "cpython-3.12.1-linux", "uv"),
        ("XDG_DATA_HOME", "uv/python/cpython-3.12.1-linux", "uv"),
        ("PYENV_ROOT", "versions/3.12.1", "pyenv"),
        ("MISE_DATA_DIR", "installs/python/3.12.1", "mise"),
        ("ASDF_DATA_DIR", "installs/python/3.12.1", "asdf"),
    ],
)
def test_the_managers_own_variables(machine: Path, variable: str, below: str, source: str) -> None:
    program(machine / "elsewhere" / below / "bin/python3.12")
    found = seen(machine, **{variable: str(machine / "elsewhere")})
    assert found == [(f"elsewhere/{below}/bin/python3.12", (3, 12, 1), source)]


@posix
@pytest.mark.parametrize(
    ("name", "program_name", "kind"),
    [
        ("3.13.0t", "python3.13t", ((3, 13, 0), "cpython", "t")),
        ("3.14t-dev", "python3", ((3, 14), "cpython", "t")),
        ("3.12.1-debug", "python3.12d", ((3, 12, 1), "cpython", "d")),
        ("3.13.0t-debug", "python3.13td", ((3, 13, 0), "cpython", "td")),
        ("cpython-3.13.0+freethreaded-linux-x86_64-gnu", "python3.13t", ((3, 13, 0), "cpython", "t")),
        ("cpython-3.13.0+freethreaded+debug-linux-x86_64-gnu", "python3.13td", ((3, 13, 0), "cpython", "td")),
        ("cp313-cp313t", "python3.13t", ((3, 13), "cpython", "t")),
        ("pypy3.10-7.3.12", "pypy3.10", ((3, 10), "pypy", "")),
        ("pypy-3.10.14-linux-x86_64-gnu", "pypy3", ((3, 10, 14), "pypy", "")),
        ("pp310-pypy310_pp73", "pypy", ((3, 10), "pypy", "")),
        ("graalpy-24.1.1", "graalpy", ((), "graalpy", "")),
        ("graalpy-community-24.1.1", "graalpy", ((), "graalpy", "")),
        ("graalpy-3.11.0-linux-x86_64-gnu", "graalpy", ((3, 11, 0), "graalpy", "")),
        ("graalpy311-graalpy242_311_native", "python", ((3, 11), "graalpy", "")),
    ],
)
def test_names_tell_the_kind(
    machine: Path, name: str, program_name: str, kind: tuple[tuple[int, ...], str, str]
) -> None:
    path = program(machine / "home/.pyenv/versions" / name / "bin" / program_name)
    [candidate] = scan(environ(machine))
    assert candidate.path == str(path)
    assert (candidate.version, candidate.implementation, candidate.flags) == kind


@posix
def test_what_hwb_downloaded_is_the_last_choice(machine: Path) -> None:
    program(machine / "cache/interpreters/cpython-3.12.9-linux-x86_64-gnu/bin/python3.12")
    program(machine / "usr/bin/python3.12")
    assert [candidate.source for candidate in scan(environ(machine))] == ["system", "hwb"]


@posix
@pytest.mark.parametrize("name", ["myenv", "3", "3.13.0+unheard", "pypy2.7-7.3.1", "miniconda3-latest", "3.x", "4.0"])
def test_other_installs_are_left_out(machine: Path, name: str) -> None:
    program(machine / "home/.pyenv/versions" / name / "bin/python3")
    assert seen(machine) == []


@posix
@pytest.mark.parametrize(("name", "version"), [("3.15-dev", (3, 15)), ("3.14.0rc2", (3, 14)), ("3.14.0a1", (3, 14))])
def test_a_prerelease_counts_as_less_than_the_release(machine: Path, name: str, version: tuple[int, ...]) -> None:
    program(machine / f"home/.pyenv/versions/{name}/bin/python3")
    assert [candidate[1] for candidate in seen(machine)] == [version]
    assert version < (*version, 0)


@posix
def test_an_install_without_an_executable_is_left_out(machine: Path) -> None:
    (machine / "home/.pyenv/versions/3.12.1/bin").mkdir(parents=True)
    assert seen(machine) == []


@posix
def test_shims_are_left_out(machine: Path) -> None:
    program(machine / "home/.pyenv/shims/python3.12", b"#!/usr/bin/env bash\nexec pyenv exec python3.12\n")
    program(machine / "elsewhere/shims/python3.11")
    program(machine / "bin/python3.10", b"#!/bin/sh\nexec asdf exec python3.10\n")
    mise = program(machine / "bin/mise")
    (machine / "bin/python3.9").symlink_to(mise)
    program(machine / "bin/python3.8", b"")
    directories = [machine / "home/.pyenv/shims", machine / "elsewhere/shims", machine / "bin"]
    assert seen(machine, PATH=os.pathsep.join(map(str, directories))) == []


@posix
def test_names_on_the_path(machine: Path) -> None:
    for name in ("python3.12", "python3.13t", "python3-config", "python3.12-config", "pythonw", "python2.7"):
        program(machine / "bin" / name)
    program(machine / "bin/other-python3")
    program(machine / "bin/pypy3.10")
    (machine / "bin/python3").symlink_to("pypy3.10")
    (machine / "bin/python3.11").symlink_to("gone")
    program(machine / "more/python")
    path = f"{machine / 'bin'}{os.pathsep}{machine / 'more'}{os.pathsep}{machine / 'missing'}"
    assert seen(machine, PATH=path) == [
        ("bin/python3.13t", (3, 13), "PATH"),
        ("bin/python3.12", (3, 12), "PATH"),
        ("bin/pypy3.10", (3, 10), "PATH"),
        ("bin/python2.7", (2, 7), "PATH"),
        ("more/python", (), "PATH"),
    ]
    kinds = [(one.implementation, one.flags) for one in scan(environ(machine, PATH=path))]
    assert kinds == [("cpython", "t"), ("cpython", ""), ("pypy", ""), ("cpython", ""), ("cpython", "")]


@posix
def test_one_program_under_many_names_is_seen_once_by_its_best(machine: Path) -> None:
    program(machine / "bin/python3.12")
    (machine / "bin/python3").symlink_to("python3.12")
    (machine / "bin/python").symlink_to("python3")
    (machine / "usr").mkdir()
    (machine / "usr/bin").symlink_to(machine / "bin")
    assert seen(machine, PATH=str(machine / "bin")) == [("bin/python3.12", (3, 12), "PATH")]


def test_apples_stand_in_needs_the_developer_tools(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    tools = False
    monkeypatch.setattr(os.path, "isdir", lambda path: tools)
    assert not installs._plausible("/usr/bin/python3")
    tools = True
    assert installs._plausible("/usr/bin/python3")


def test_the_windows_places_are_looked_at(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    found = dict(installs._version_dirs({"APPDATA": "roaming"}, "home"))
    assert found["uv"] == os.path.join("roaming", "uv", "data", "python")
    program(machine / "cpython-3.12.1-windows/python.exe")
    [candidate] = installs._installs(str(machine), "uv")
    assert candidate.path.endswith("python.exe")
    assert installs._holds_shims(os.path.join("Microsoft", "WindowsApps"))


def test_nothing_is_executed(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **options: pytest.fail("something was started"))
    scan(environ(machine, PATH=os.environ["PATH"]))
