"""Which file does a program's name mean?"""

from __future__ import annotations

import os
import sys

__all__ = ["which"]


def which(program: str, path: str | None = None, cwd: str | None = None) -> str | None:
    """The program's absolute path; relative names with a slash are looked up in `cwd`."""
    if os.path.dirname(program):
        program = os.path.join(cwd or _cwd(), program)
    found = _which(program, os.environ.get("PATH", os.defpath) if path is None else path)
    return os.path.abspath(found) if found else None


if sys.platform == "win32":

    def _which(program: str, path: str) -> str | None:
        import shutil

        return shutil.which(program, path=path)

else:

    def _which(program: str, path: str) -> str | None:
        """As `shutil.which`, whose import (compression and all) costs as much as starting the program."""
        folders = [""] if "/" in program else path.split(os.pathsep)
        for folder in folders:
            candidate = os.path.join(folder, program)
            if os.access(candidate, os.X_OK) and os.path.isfile(candidate):
                return candidate
        return None


def _cwd() -> str:
    from hwb.context import current

    return current().cwd
