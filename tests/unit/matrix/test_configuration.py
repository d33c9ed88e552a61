"""Is every place of the configuration found?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwb.config import Settings, load
from hwb.matrix.configuration import Configuration, read_configuration
from hwb.matrix.layers import look_up
from hwb.target import System

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_without_files_has_an_empty_configuration(tmp_path: Path) -> None:
    configuration = read_configuration(str(tmp_path), Settings(), {"HOME": "x"})
    assert (configuration.cibuildwheel, configuration.environ, configuration.own.python) == ({}, {}, ())
    assert look_up("build", configuration.layers(System.LINUX)).text == "*"
    assert Configuration().layers(System.WINDOWS)


def test_the_organisations_file_may_hold_the_table(tmp_path: Path) -> None:
    org = tmp_path / "org"
    org.mkdir()
    (org / "hwb.toml").write_text("jobs = 2\n[matrix]\npython = ['3.12']\n")
    settings = load(str(tmp_path), environ={}, org_file=str(org / "recipes.py"))
    own = read_configuration(str(tmp_path), settings, {}).own
    assert (own.python, own.python_where) == (("cp312",), f"{org / 'hwb.toml'}:3")
