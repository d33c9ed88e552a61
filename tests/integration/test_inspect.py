"""Does static analysis agree with the metadata that real projects' backends wrote into their sdists?

Sdists carry PKG-INFO: what their backend made of the same files. Where the analysis says something, it must be that.
"""

from __future__ import annotations

import email
import re
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from hwb.analysis.requirements import canonical
from hwb.project import analyze_project

from .sdists import Pin, fetch, unpack

PROJECTS = Path(__file__).parents[1] / "projects"
REAL = {
    "attrs==25.1.0": "hatchling",
    "httpx==0.28.1": "hatchling",
    "flask==3.1.0": "flit",
    "packaging==24.2": "flit",
    "tomlkit==0.13.2": "poetry",
    "rich==13.9.4": "poetry",
    "dep-logic==0.4.10": "pdm",
    "iminuit==2.30.1": "scikit-build-core",
    "contourpy==1.3.1": "meson-python",
    "orjson==3.10.18": "maturin",
    "requests==2.32.3": "setuptools",
    "six==1.17.0": "setuptools",
}


def names(requirements: list[str]) -> set[tuple[str, str]]:
    """Names and specifiers of what is needed without extras."""
    parsed = [Requirement(text) for text in requirements if not re.search(r"\bextra *==", text)]
    return {(canonical(requirement.name), str(requirement.specifier)) for requirement in parsed}


@pytest.mark.pypi
@pytest.mark.uv
@pytest.mark.slow
@pytest.mark.parametrize("pin", REAL)
def test_what_is_static_is_what_the_backend_said(pin: str, tmp_path: Path) -> None:
    name, _, version = pin.partition("==")
    root = unpack(fetch(Pin(name, version), tmp_path), tmp_path / "unpacked")
    found = analyze_project(root)
    info = email.message_from_bytes((root / "PKG-INFO").read_bytes())
    assert found.backend is not None
    assert found.backend.name == REAL[pin]
    if "name" not in found.undecided:
        assert canonical(found.name) == canonical(info["Name"])
    if found.version is not None:
        assert Version(found.version) == Version(info["Version"])
    if "requires-python" not in found.undecided:
        assert SpecifierSet(found.requires_python or "") == SpecifierSet(info["Requires-Python"] or "")
    if "dependencies" not in found.undecided:
        assert names(found.dependencies) == names(info.get_all("Requires-Dist") or [])


def test_inspect_runs_from_the_command_line(project: Any) -> None:
    done = project.hwb("inspect", str(PROJECTS / "setup-py-variables"))
    assert done.code == 0, done.both
    assert "setup-py-variables" in done.out
    assert project.hwb("inspect", "--check", str(PROJECTS / "setup-py-variables")).code == 5
    project.write("[project]\nname = 1\n", "pyproject.toml")
    done = project.hwb("inspect")
    assert (done.code, "pyproject.toml:2" in done.err) == (1, True)
