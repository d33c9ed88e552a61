"""Does a project get the Python that its settings, its .python-version or its requires-python say, in that order?"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from hwb import pyprobe, pythons
from hwb.config import Settings, Value
from hwb.errors import ConfigError, ContainerError, InterpreterNotFound, UsageError
from hwb.pydefault import choose, named, requires_python_of

from .machines import program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="builds a POSIX tree")


@pytest.fixture
def project(machine: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 3.10, 3.12 and 3.13, on which hwb runs on nothing that is found."""
    known = {}
    for version in ("3.10.4", "3.12.1", "3.13.0"):
        path = program(machine / f"home/.pyenv/versions/{version}/bin/python3")
        known[os.path.realpath(path)] = [version, "cpython", "", str(path), "/b", "/b", ""]
    monkeypatch.setattr(pyprobe, "_probe", lambda real: known[real])
    monkeypatch.setenv("HOME", str(machine / "home"))
    monkeypatch.setenv("PATH", str(machine / "nothing"))
    for name in ("PYENV_ROOT", "XDG_DATA_HOME", "UV_PYTHON_INSTALL_DIR", "MISE_DATA_DIR", "ASDF_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    (machine / "project").mkdir()
    return machine / "project"


def chosen(project: Path, configured: str | None = None, requires: str = "") -> str:
    given = {"python": Value(configured, "--python")} if configured else {}
    return choose(str(project), Settings(given), lambda: requires).version


def test_a_setting_decides_and_nothing_is_read(project: Path) -> None:
    (project / ".python-version").write_text("nonsense\n")
    assert chosen(project, "3.12") == "3.12.1"
    with pytest.raises(UsageError):
        chosen(project, "nonsense")


def test_then_the_file_in_the_root_and_none_above_it(project: Path) -> None:
    assert chosen(project) == "3.13.0"
    (project.parent / ".python-version").write_text("3.12\n")
    assert chosen(project) == "3.13.0"
    (project / ".python-version").write_text("3.10\n")
    assert chosen(project) == "3.10.4"
    assert chosen(project, requires=">=3.9") == "3.10.4"


def test_then_what_the_project_allows(project: Path) -> None:
    assert chosen(project, requires="<3.13") == "3.12.1"
    (project / ".python-version").write_text("system\n")
    assert chosen(project, requires="<3.13") == "3.12.1"


def test_of_several_lines_the_first_that_is_installed(project: Path) -> None:
    (project / ".python-version").write_text("3.14\n3.12\n3.10\n")
    assert chosen(project) == "3.12.1"


def test_a_file_that_names_nothing_installed_is_where_the_error_is(project: Path) -> None:
    (project / ".python-version").write_text("# ours\n3.14\npypy3.11\n")
    with pytest.raises(InterpreterNotFound, match=r"no Python 3\.14") as caught:
        chosen(project)
    assert caught.value.where == f"{project / '.python-version'}:2"


def test_a_file_that_requires_python_forbids_is_an_error_with_its_line(project: Path) -> None:
    (project / ".python-version").write_text("# old\n3.10\n")
    with pytest.raises(ConfigError, match=r"says 3\.10, which is 3\.10\.4, but requires-python is >=3\.11") as caught:
        chosen(project, requires=">=3.11")
    assert caught.value.where == f"{project / '.python-version'}:2"


def test_the_first_line_is_what_is_downloaded(project: Path, machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = pyprobe._probe

    class Download:
        always = False

        def provide(
            self, request: str, missing: InterpreterNotFound, search: Callable[[], pythons.Interpreter]
        ) -> pythons.Interpreter:
            asked.append(request)
            path = program(machine / "cache/interpreters/cpython-3.14.0-linux-x86_64-gnu/bin/python3")
            answer = ["3.14.0", "cpython", "", str(path), "/b", "/b", ""]
            monkeypatch.setattr(pyprobe, "_probe", lambda at: answer if at == str(path) else real(at))
            return search()

    (project / ".python-version").write_text("3.12\n3.14\n")
    with pythons.downloading(Download()):
        assert chosen(project) == "3.12.1"
        (project / ".python-version").write_text("3.14\n3.15\n")
        assert chosen(project) == "3.14.0"
        assert asked == ["3.14"]
        (project / ".python-version").write_text("/nowhere/python\n")
        with pytest.raises(InterpreterNotFound, match="No such file") as caught:
            chosen(project)
    assert caught.value.where.endswith(".python-version:1")


def test_requires_python_is_the_projects_or_nothing(project: Path) -> None:
    assert requires_python_of(str(project)) == ""
    (project / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.11"\n')
    assert requires_python_of(str(project)) == ">=3.11"


def test_a_configured_path_is_taken_where_it_is_what_is_asked_for(project: Path, machine: Path) -> None:
    path = str(machine / "home/.pyenv/versions/3.12.1/bin/python3")
    settings = Settings({"isolation.venv.python-path": Value(path, "pyproject.toml:5")})
    assert choose(str(project), settings, str).path == path
    (project / ".python-version").write_text("3.12\n")
    assert choose(str(project), settings, str) == pythons.Interpreter(path, "3.12.1", "cpython", "path")
    (project / ".python-version").write_text("3.10\n")
    assert choose(str(project), settings, str).version == "3.10.4"


def test_in_an_image_the_same_counts(project: Path) -> None:
    def find(wanted: str | None = None, *, requires_python: str = "") -> pythons.Interpreter:
        if wanted and wanted != "3.9":
            raise ContainerError(f"the image has no Python {wanted}")
        return pythons.Interpreter(f"/opt/{wanted or requires_python}", "3.9.2", "cpython", "image")

    assert choose(str(project), Settings(), lambda: ">=3.8", find).path == "/opt/>=3.8"
    (project / ".python-version").write_text("3.12\n3.9\n")
    assert choose(str(project), Settings(), str, find).path == "/opt/3.9"
    with pytest.raises(ConfigError, match=r"says 3\.9, which is 3\.9\.2"):
        choose(str(project), Settings(), lambda: ">=3.10", find)
    (project / ".python-version").write_text("3.12\n")
    with pytest.raises(ContainerError, match="no Python") as caught:
        choose(str(project), Settings(), str, find)
    assert caught.value.where.endswith(".python-version:1")


def test_what_is_named_counts_once(project: Path) -> None:
    found = named(str(project), Settings(), ["3.12", ">=3.10", "3.12.1", "3.13"])
    assert [one.version for one in found] == ["3.12.1", "3.13.0"]


def test_it_is_found_by_the_same_search_as_any_request(project: Path) -> None:
    (project / ".python-version").write_text(">=3.10,<3.13\n")
    assert choose(str(project), Settings(), str) == pythons.find(">=3.10,<3.13")
