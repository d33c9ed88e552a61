"""A machine without interpreters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hwb import installs, pythons

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty machine below tmp_path/home, with a system directory, and without the running interpreter."""
    monkeypatch.setattr(installs, "_SYSTEM_DIRS", (str(tmp_path / "usr/bin"),))
    monkeypatch.setattr(installs, "_KEG_DIRS", (str(tmp_path / "brew/opt"),))
    monkeypatch.setattr(installs, "_FRAMEWORKS", str(tmp_path / "Frameworks"))
    monkeypatch.setattr(installs, "_OPT_PYTHON", str(tmp_path / "opt/python"))
    monkeypatch.setattr(installs, "running_candidate", lambda: None)
    monkeypatch.setattr(pythons, "running_candidate", lambda: None)
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path
