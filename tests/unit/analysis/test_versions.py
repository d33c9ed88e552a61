"""Is the version read where its backend reads it, and never made up?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hwb.analysis.metadata import analyze_project
from hwb.analysis.tooltables import from_flit, from_poetry, poetry_specifier

if TYPE_CHECKING:
    from pathlib import Path

HATCH = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
SETUPTOOLS = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
PDM = '[build-system]\nrequires = ["pdm-backend"]\nbuild-backend = "pdm.backend"\n'
FLIT = '[build-system]\nrequires = ["flit_core"]\nbuild-backend = "flit_core.buildapi"\n'
MATURIN = '[build-system]\nrequires = ["maturin"]\nbuild-backend = "maturin"\n'
MESON = '[build-system]\nrequires = ["meson-python"]\nbuild-backend = "mesonpy"\n'
PROJECT = '[project]\nname = "x"\ndynamic = ["version"]\n'


@pytest.mark.parametrize(
    ("pyproject", "files", "expected"),
    [
        (HATCH + PROJECT + '[tool.hatch.version]\npath = "v.py"\n', {"v.py": "#\n__version__ = 'v1.2'\n"}, ("file", "v.py:2", "1.2")),
        (HATCH + PROJECT + '[tool.hatch.version]\npath = "v.py"\n', {"v.py": ""}, ("file", "v.py", None)),
        (HATCH + PROJECT + '[tool.hatch.version]\npath = "none.py"\n', {}, ("file", "none.py", None)),
        (HATCH + PROJECT + '[tool.hatch.version]\npath = "v.py"\npattern = "(.*)"\n', {"v.py": "1"}, ("file", "v.py", None)),
        (HATCH + PROJECT + '[tool.hatch.version]\nsource = "vcs"\n', {}, ("vcs", "hatch-vcs", None)),
        (HATCH + PROJECT + '[tool.hatch.version]\nsource = "code"\n', {}, ("backend", "hatchling.build", None)),
        (HATCH + PROJECT + '[tool.hatch.version]\nsource = "uv-dynamic-versioning"\n', {}, ("vcs", "uv-dynamic-versioning", None)),
        (SETUPTOOLS + PROJECT + '[tool.setuptools.dynamic]\nversion = {attr = "x.v"}\n', {"x.py": "v = '3'\n"}, ("attr", "x.py:1", "3")),
        (SETUPTOOLS + PROJECT + '[tool.setuptools.dynamic]\nversion = {attr = "x.v"}\n', {}, ("attr", "x.v", None)),
        (SETUPTOOLS + PROJECT + '[tool.setuptools.dynamic]\nversion = {file = ["V"]}\n', {"V": "4\n"}, ("file", "V", "4")),
        (SETUPTOOLS + PROJECT + '[tool.setuptools.dynamic]\nversion = {file = "V"}\n', {"V": "@V@"}, ("file", "V", None)),
        (SETUPTOOLS + PROJECT + '[tool.setuptools.dynamic]\nversion = {file = "N"}\n', {}, ("file", "N", None)),
        (SETUPTOOLS + PROJECT + "[tool.setuptools_scm]\n", {}, ("vcs", "setuptools-scm", None)),
        (SETUPTOOLS.replace('"setuptools"', '"setuptools", "setuptools_scm"') + PROJECT, {}, ("vcs", "setuptools-scm", None)),
        (SETUPTOOLS + PROJECT, {}, ("backend", "setuptools.build_meta", None)),
        (PDM + PROJECT + '[tool.pdm.version]\npath = "v.py"\n', {"v.py": "__version__ = '5'\n"}, ("file", "v.py:1", "5")),
        (PDM + PROJECT + '[tool.pdm.version]\nsource = "scm"\n', {}, ("vcs", "pdm-backend", None)),
        (PDM + PROJECT + '[tool.pdm.version]\nsource = "call"\n', {}, ("backend", "pdm.backend", None)),
        (FLIT + PROJECT, {"x.py": "__version__ = '6'\n"}, ("attr", "x.py:1", "6")),
        (FLIT + PROJECT, {}, ("backend", "flit_core.buildapi", None)),
        (MATURIN + PROJECT, {"Cargo.toml": '[package]\nversion = "1.0.0-alpha.2"\n'}, ("file", "Cargo.toml:2", "1.0.0a2")),
        (MATURIN + PROJECT, {"Cargo.toml": "[package]\nversion.workspace = true\n"}, ("file", "Cargo.toml", None)),
        (MATURIN + PROJECT, {"Cargo.toml": "[package\n"}, ("backend", "maturin", None)),
        (MATURIN + PROJECT, {}, ("backend", "maturin", None)),
        (MESON + PROJECT, {"meson.build": "project('x', 'c', # (a\n  version: '7.1')\n"}, ("file", "meson.build:2", "7.1")),
        (MESON + PROJECT, {"meson.build": "project('x', version: run_command('v').stdout())\nd('y', version: '1')\n"}, ("backend", "mesonpy", None)),
        (MESON + PROJECT, {}, ("backend", "mesonpy", None)),
        ("", {"setup.cfg": "[metadata]\nversion = file: V\n", "V": "8"}, ("file", "V", "8")),
        ("", {"setup.cfg": "[metadata]\nversion = file: A, B\n"}, ("file", "setup.cfg:2", None)),
        ("", {"setup.cfg": "[metadata]\nversion = attr: x.y\n"}, ("attr", "setup.cfg:2", None)),
        ("", {"setup.py": "from setuptools import setup\nsetup(use_scm_version=True)\n"}, ("vcs", "setuptools-scm", None)),
        ("", {"setup.py": "from setuptools import setup\nsetup(pbr=True)\n"}, ("vcs", "pbr", None)),
        ("", {"setup.py": "from setuptools import setup\nsetup(setup_requires=['setuptools_scm'])\n"}, ("vcs", "setuptools-scm", None)),
        ("", {"setup.py": "from setuptools import setup\nsetup(version=f())\n"}, ("backend", "setuptools.build_meta", None)),
    ],
)  # fmt: skip
def test_sources(tmp_path: Path, pyproject: str, files: dict[str, str], expected: tuple[str, str, str | None]) -> None:
    (tmp_path / "pyproject.toml").write_text(pyproject)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    found = analyze_project(tmp_path)
    assert (found.version_source, found.version_place, found.version) == expected
    assert ("version" in found.undecided) == (found.version is None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("^1.2.3", ">=1.2.3,<2.0.0"), ("^0.2.3", ">=0.2.3,<0.3.0"), ("^0.0.3", ">=0.0.3,<0.0.4"), ("^0", ">=0,<1.0"), ("^3.9", ">=3.9,<4.0"),
        ("~1.2.3", ">=1.2.3,<1.3.0"), ("~1", ">=1,<2.0"), ("*", ""), ("1.2", "==1.2"), ("1.*", "==1.*"), (">=1,<2", ">=1,<2"),
        (">=1 <2", ">=1,<2"), ("!=1.*", "!=1.*"), ("^1 || ^2", None), ("latest", None), (1, None),
    ],
)  # fmt: skip
def test_poetry_constraints(text: object, expected: str | None) -> None:
    assert poetry_specifier(text) == expected


@pytest.mark.parametrize("value", [{"path": "../x"}, [{"version": "1"}], {"version": "^1 || ^2"}, {"git": "x"}])
def test_poetry_dependencies_that_pep_508_cannot_say_leave_all_to_the_backend(value: object) -> None:
    table = {"dependencies": {"python": "^3.8 || ^4", "a": "1", "b": value}, "extras": {"x": ["b"], "odd": 1}}
    found = from_poetry({"tool": {"poetry": table}})
    assert found.keys() & {"install_requires", "extras_require", "python_requires"} == set()


def test_poetry_markers() -> None:
    table = {"dependencies": {"a": {"version": "1", "markers": "os_name == 'nt'"}}}
    assert from_poetry({"tool": {"poetry": table}})["install_requires"] == ["a==1 ; os_name == 'nt'"]


def test_poetry_dependencies_for_some_pythons() -> None:
    table = {"dependencies": {"a": {"version": "1", "python": "<3.11"}}}
    assert from_poetry({"tool": {"poetry": table}})["install_requires"] == ['a==1 ; python_version < "3.11"']
    table = {"dependencies": {"a": {"version": "1", "python": "^3.11"}}}
    assert "install_requires" not in from_poetry({"tool": {"poetry": table}})


def test_flit_without_its_table() -> None:
    assert from_flit({}) == {"install_requires": [], "extras_require": {}, "scripts": {}, "classifiers": []}
