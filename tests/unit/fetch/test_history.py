"""Is it seen from a project's files that its build asks git?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hwb.fetch.history import History, history_needed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "text", "history"),
    [
        ("pyproject.toml", '[build-system]\nrequires = ["setuptools", "setuptools-scm>=8"]', History.COMMITS),
        ("pyproject.toml", 'requires = ["setuptools_scm[toml]"]', History.COMMITS),
        ("pyproject.toml", 'requires = ["hatchling", "hatch-vcs"]', History.COMMITS),
        ("pyproject.toml", 'requires = ["flit_scm"]', History.COMMITS),
        ("pyproject.toml", '[tool.pdm.version]\nsource = "scm"', History.COMMITS),
        ("pyproject.toml", "[tool.hatch.version]\nsource='vcs'", History.COMMITS),
        ("pyproject.toml", 'requires = ["poetry-core", "poetry-dynamic-versioning"]', History.COMMITS),
        ("pyproject.toml", 'requires = ["uv-dynamic-versioning"]', History.COMMITS),
        ("pyproject.toml", 'requires = ["setuptools", "setuptools-git-versioning"]', History.PATHS),
        ("pyproject.toml", 'requires = ["versioningit"]', History.PATHS),
        ("pyproject.toml", 'build-backend = "mesonpy"', History.PATHS),
        ("setup.cfg", "[versioneer]\nVCS = git", History.COMMITS),
        ("setup.cfg", "[options]\nsetup_requires = pbr", History.COMMITS),
        ("setup.py", "setup(setup_requires=['setuptools_scm'], use_scm_version=True)", History.COMMITS),
        ("setup.py", "version = check_output(['git', 'describe'])", History.COMMITS),
        ("setup.py", "os.popen('git describe --tags')", History.COMMITS),
        ("setup.py", "import git\nsetup()", History.COMMITS),
        ("pyproject.toml", '[project]\nname = "x"\nurl = "https://h/x.git"\n[tool.flit]\nlegit = 1', History.NONE),
        (
            "pyproject.toml",
            '[build-system]\nrequires = ["hatchling"]\n[tool.hatch.version]\npath = "x.py"',
            History.NONE,
        ),
        ("setup.py", "setup(name='digit', url='https://github.com/o/r')", History.NONE),
        ("README", "setuptools_scm", History.NONE),
    ],
)
def test_who_asks_git(tmp_path: Path, name: str, text: str, history: History) -> None:
    (tmp_path / name).write_text(text)
    assert history_needed(tmp_path) is history


def test_a_file_that_is_no_text_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_bytes(b"\xff\xfe\0'git'")
    (tmp_path / "setup.cfg").mkdir()
    assert history_needed(tmp_path) is History.COMMITS
