"""Are the workflows of CI what GitHub takes, and do they use machines that exist?"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hwb.matrix.strategy import _RUNNERS

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"
# GitHub's own actions are taken by their version: a hash of them cannot be looked up everywhere
RULES = 'rules:\n  unpinned-uses:\n    config:\n      policies:\n        "actions/*": ref-pin\n        "*": hash-pin\n'


Lint = Callable[[Path], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def zizmor(tmp_path_factory: pytest.TempPathFactory) -> Lint:
    """The linter in an environment of its own; `zizmor(path)` looks at a workflow or a folder of them."""
    folder = tmp_path_factory.mktemp("zizmor")
    subprocess.run(["uv", "venv", "--quiet", "--no-python-downloads", str(folder / "env")], check=True)
    subprocess.run(["uv", "pip", "install", "--quiet", "--python", str(folder / "env"), "zizmor"], check=True)
    (folder / "zizmor.yml").write_text(RULES)
    program = folder / "env" / ("Scripts/zizmor.exe" if sys.platform == "win32" else "bin/zizmor")

    def lint(path: Path) -> subprocess.CompletedProcess[str]:
        words = ["--offline", "--no-progress", "--strict-collection", "--config", str(folder / "zizmor.yml"), str(path)]
        return subprocess.run([program, *words], capture_output=True, text=True, timeout=300, check=False)

    return lint


@pytest.mark.uv
@pytest.mark.pypi
def test_nothing_is_wrong_or_unsafe(zizmor: Lint) -> None:
    done = zizmor(WORKFLOWS)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.uv
@pytest.mark.pypi
@pytest.mark.parametrize(
    ("found", "instead"),
    [
        ("runs-on:", "run-on:"),
        ("toml --list", "toml --list ${{ github.head_ref }}"),
        ("checkout@v4", "checkout"),
        ("steps:", "step:"),
    ],
)
def test_what_is_wrong_would_be_seen(found: str, instead: str, zizmor: Lint, tmp_path: Path) -> None:
    text = (WORKFLOWS / "matrix.yml").read_text(encoding="utf-8")
    assert found in text
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "matrix.yml").write_text(text.replace(found, instead), encoding="utf-8")
    assert zizmor(folder / "matrix.yml").returncode != 0


def test_every_machine_of_the_matrix_is_one_that_plans_name() -> None:
    text = (WORKFLOWS / "matrix.yml").read_text(encoding="utf-8")
    (named,) = re.findall(r"^ +os: \[(.*)\]$", text, re.MULTILINE)
    assert set(named.split(", ")) <= set(_RUNNERS.values())
    assert "secrets." not in text
