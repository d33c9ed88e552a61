"""What do builds need in tests, with backends that live in the project's own tree and the running interpreter?"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import hwb.isolation.shared
import hwb.isolation.venv
from hwb import context, pythons
from hwb.builder.engine import build_project
from hwb.builder.options import BuildOptions, Built, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PROJECTS = Path(__file__).parents[2] / "projects"


@dataclass
class FakeVenv:
    python: str = sys.executable
    bin: str = os.path.dirname(sys.executable)
    path: str = "/environments/fake"


@dataclass
class Environments:
    """Who asked for which environment, in order, and which ones were looked at afterwards."""

    asked: list[tuple[str, ...]] = field(default_factory=list)
    verified: int = 0
    means: dict[str, str] = field(default_factory=dict)
    """Pins of requirements; one that is not named means itself."""

    def pins_of(self, _interpreter: object, requirements: Sequence[str], _constraints: object = ()) -> list[str]:
        return [self.means.get(text, text) for text in requirements]

    def environment_of_pins(self, _interpreter: object, requirements: Sequence[str], _pins: object) -> FakeVenv:
        self.asked.append(tuple(requirements))
        return FakeVenv(path=f"/environments/fake-{len(requirements)}")

    def verify_unmodified(self, _venv: FakeVenv) -> bool:
        self.verified += 1
        return True


@pytest.fixture(autouse=True)
def environments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Environments:
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    fake = Environments()
    monkeypatch.setattr(hwb.isolation.shared, "pins_of", fake.pins_of)
    monkeypatch.setattr(hwb.isolation.shared, "environment_of_pins", fake.environment_of_pins)
    monkeypatch.setattr(hwb.isolation.shared, "pins_until", lambda *_asked: 4e9)
    for module in (hwb.isolation.shared, hwb.isolation.venv):
        monkeypatch.setattr(module, "verify_unmodified", fake.verify_unmodified)
    return fake


@pytest.fixture
def events() -> Iterator[list[dict[str, Any]]]:
    seen: list[dict[str, Any]] = []
    with context.use(context.Context(emit=lambda kind, **fields: seen.append({"kind": kind, **fields}))):
        yield seen


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose backend needs nothing."""
    return Path(shutil.copytree(PROJECTS / "dynamic-requires", tmp_path / "project"))


@pytest.fixture
def change(project: Path) -> Callable[[str, str], None]:
    """Replace a text in the project's backend."""

    def replace(old: str, new: str) -> None:
        backend = project / "backend" / "tiny_backend.py"
        assert old in backend.read_text()
        backend.write_text(backend.read_text().replace(old, new))

    return replace


@pytest.fixture
def build() -> Callable[..., Built]:
    """Build a directory with the running interpreter; `dist` in it unless another place is named."""

    def run(root: Path, out: Path | None = None, *, source: Source | None = None, **options: Any) -> Built:
        chosen = {"pythons": (pythons.running(),), **options}
        return build_project(source or Source(str(root)), str(out or root / "dist"), BuildOptions(**chosen))

    return run


@pytest.fixture
def git(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run git in the project, which becomes a repository with everything committed."""
    import subprocess

    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "x")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "x@y")
        monkeypatch.setenv(f"GIT_{role}_DATE", "@1600000000 +0000")

    def run(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(project), *words], capture_output=True, text=True, check=True)
        return done.stdout

    run("init", "-q", "-b", "main")
    run("add", "-A")
    run("commit", "-q", "-m", "x")
    return run
