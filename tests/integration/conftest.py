"""A command line and a Python API to drive, in a project of the test's own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import hwb


@dataclass
class Done:
    """A finished `hwb` process."""

    code: int
    out: str
    err: str

    @property
    def both(self) -> str:
        return self.out + self.err


class Project:
    """A directory with a hwbfile in which hwb is run, in this process or in one of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = {**os.environ, "PYTHONPATH": str(Path(hwb.__file__).parent.parent)}

    def write(self, text: str, name: str = "hwbfile.py") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "hwb", *args]

    def hwb(self, *args: str, cwd: Path | None = None, timeout: float = 300, **env: str) -> Done:
        done = subprocess.run(
            self.command(*args),
            cwd=cwd or self.root,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def run(self, *names: str, **options: Any) -> hwb.RunResult:
        """In this process; `self.shown` is what a person would have seen."""
        stream = io.StringIO()
        result = hwb.run(*names, directory=self.root, stream=stream, **options)
        self.shown = stream.getvalue()
        return result

    def log(self, result: hwb.RunResult, session: str) -> str:
        path = next(outcome.log for outcome in result.outcomes if outcome.session == session)
        return Path(path).read_text(errors="replace")

    def runs(self) -> list[Path]:
        return sorted((self.root / ".hwb" / "runs").iterdir())

    def report(self) -> dict[str, Any]:
        return json.loads((self.runs()[-1] / "report.json").read_text())  # type: ignore[no-any-return]

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.runs()[-1] / "events.jsonl").read_text().splitlines()]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "a project"  # with a space: nothing may break on it
    root.mkdir()
    (root / ".git").mkdir()  # the top of a repository: nothing above is looked at
    return Project(root)
