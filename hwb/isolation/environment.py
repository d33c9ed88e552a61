"""What is a virtual environment, and how do others hear of it?"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwb.context import current

if TYPE_CHECKING:
    from hwb.isolation.backends import Provisioner
    from hwb.pythons import Interpreter

__all__ = ["MARKER", "Venv", "announce", "venv_at"]

MARKER = "hwb-env.json"
"""The file inside an environment that says what it was made from; written last."""


@dataclass(frozen=True, slots=True)
class Venv:
    """A virtual environment that is there: absolute paths of its directory, Python and scripts directory."""

    path: str
    python: str
    bin: str
    backend: str
    interpreter: Interpreter
    reused: bool

    @property
    def site_packages(self) -> Path:
        """Where packages are installed (sysconfig's purelib of a virtual environment)."""
        if sys.platform == "win32":
            return Path(self.path, "Lib", "site-packages")
        usual = Path(self.path, "lib", f"python{self.interpreter.minor}", "site-packages")
        if usual.is_dir():
            return usual
        return next(Path(self.path, "lib").glob("*/site-packages"), usual)  # PyPy, free-threaded


def venv_at(path: str, installer: Provisioner, interpreter: Interpreter, *, reused: bool) -> Venv:
    """The description of an environment at that path, whether or not it is there yet."""
    scripts = os.path.join(path, "Scripts" if sys.platform == "win32" else "bin")
    python = os.path.join(scripts, "python.exe" if sys.platform == "win32" else "python")
    return Venv(path, python, scripts, installer.name, interpreter, reused)


def announce(venv: Venv, started: float) -> None:
    """Tell listeners; `started` is a `time.monotonic()`."""
    current().emit(
        "environment",
        path=venv.path,
        backend=venv.backend,
        python=venv.interpreter.version,
        reused=venv.reused,
        seconds=time.monotonic() - started,
    )
