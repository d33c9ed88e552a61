"""Is every piece of advice given where it is due, only there, and documented?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hwb.analysis.guidance import ADVICE
from hwb.analysis.metadata import analyze_project

ROOT = Path(__file__).parents[3]
BACKEND = '[build-system]\nrequires = ["flit_core"]\nbuild-backend = "flit_core.buildapi"\n'
SOUND = '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.9"\n'

CASES = {
    "name-missing": BACKEND + '[project]\nversion = "1"\nrequires-python = ">=3"\n',
    "version-missing": BACKEND + '[project]\nname = "x"\nrequires-python = ">=3"\n',
    "requires-missing": '[build-system]\nbuild-backend = "b"\n' + SOUND,
    "backend-not-required": BACKEND.replace("flit_core.b", "hatchling.b") + SOUND,
    "readme-missing": BACKEND + SOUND + 'readme = "R"\n',
    "license-file-missing": BACKEND + SOUND + 'license-files = ["L*"]\n',
    "no-build-system": SOUND + "[tool.setuptools]\n",
    "no-build-backend": '[build-system]\nrequires = ["setuptools"]\n' + SOUND,
    "license-table": BACKEND + SOUND + 'license = {text = "x"}\n',
    "license-classifier": BACKEND + SOUND + 'classifiers = ["License :: OSI Approved"]\n',
    "no-requires-python": BACKEND + '[project]\nname = "x"\nversion = "1"\n',
    "stale-classifier": BACKEND + SOUND + 'classifiers = ["Programming Language :: Python :: 3.8", "A :: 3.9"]\n',
    "unknown-field": BACKEND + SOUND + "odd = 1\n",
    "unknown-extra": BACKEND + SOUND + 'optional-dependencies = {a = ["x[b]", "x[a]", "y[c]"]}\n',
}
FILES = {
    "setup-py-unreadable": ("setup.py", "print 'x'\n"),
    "dependency-links": ("setup.py", "setup(dependency_links=['x'])\n"),
    "use-2to3": ("setup.py", "setup(use_2to3=True)\n"),
    "setup-py-only": ("setup.py", "setup()\n"),
    "no-pyproject": ("setup.cfg", "[metadata]\n"),
    "setup-requires": ("setup.cfg", "[options]\nsetup_requires = x\n"),
    "tests-require": ("setup.cfg", "[options]\ntests_require = x\n"),
}


@pytest.mark.parametrize("key", CASES)
def test_advice_of_pyproject(tmp_path: Path, key: str) -> None:
    (tmp_path / "pyproject.toml").write_text(CASES[key])
    found = [advice for advice in analyze_project(tmp_path).advice if advice.id not in (key, "hatchling")]
    assert found == []
    (advice,) = [advice for advice in analyze_project(tmp_path).advice if advice.id == key]
    assert (advice.severity, advice.remedy) == ADVICE[key]
    assert advice.where.startswith(str(tmp_path / "pyproject.toml"))


@pytest.mark.parametrize("key", FILES)
def test_pri04_advice_of_older_files(tmp_path: Path, key: str) -> None:
    name, text = FILES[key]
    (tmp_path / name).write_text(text)
    (advice,) = [advice for advice in analyze_project(tmp_path).advice if advice.id == key]
    assert (advice.severity, advice.remedy) == ADVICE[key]
    assert advice.where.startswith(str(tmp_path / name))


def test_settings_that_project_overrides_are_told(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        SOUND + '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    )
    (tmp_path / "setup.cfg").write_text("[metadata]\nname = x\nversion = 2\n")
    (advice,) = analyze_project(tmp_path).advice
    assert (advice.id, advice.where) == ("ignored-setting", f"{tmp_path / 'setup.cfg'}:3")


def test_pri17_hatchling_only_for_new_pure_projects(tmp_path: Path) -> None:
    def told() -> bool:
        return any(advice.id == "hatchling" for advice in analyze_project(tmp_path).advice)

    (tmp_path / "pyproject.toml").write_text(SOUND)
    assert told()
    (tmp_path / "x.c").touch()
    assert not told()
    (tmp_path / "x.c").unlink()
    (tmp_path / "setup.py").write_text("setup()\n")
    assert not told()


def test_a_sound_project_has_no_advice(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(BACKEND + SOUND + 'license = "MIT"\n')
    assert analyze_project(tmp_path).advice == []


def test_every_advice_is_tested_and_documented() -> None:
    assert {*CASES, *FILES, "ignored-setting", "hatchling"} == ADVICE.keys()
    page = (ROOT / "docs" / "reference" / "analysis.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| (error|warning|info) \| (.*) \|$", page, re.MULTILINE)
    assert {key: (severity, remedy) for key, severity, remedy in rows} == ADVICE
