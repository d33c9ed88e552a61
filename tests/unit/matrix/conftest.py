"""A configuration from the text of a pyproject.toml, and machines to plan on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hwb.config import load
from hwb.matrix.configuration import Configuration, read_configuration
from hwb.matrix.strategy import Host
from hwb.target import System

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Configuration]:
    """`read(text, CIBW_SKIP="...")`: what the text of a pyproject.toml and those variables say."""

    def reader(text: str = "", file: str | None = None, **environ: str) -> Configuration:
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
        return read_configuration(str(tmp_path), load(str(tmp_path), environ={}), environ, file)

    return reader


@pytest.fixture
def linux() -> Host:
    """x86_64, with an engine, and with qemu for aarch64."""
    return Host(System.LINUX, "x86_64", "docker", frozenset({"aarch64"}))
