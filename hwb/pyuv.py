"""Where is uv?"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["find_uv"]

_found: dict[tuple[str, str], str | None] = {}


def find_uv() -> str | None:
    """uv's absolute path; looked for once per process and PATH. A version manager's stand-in is not uv."""
    key = (os.environ.get("PATH", ""), sys.prefix)
    if key not in _found or not (_found[key] is None or os.path.exists(_found[key] or "")):
        _found[key] = next((os.path.abspath(path) for path in _places() if _is_uv(path)), None)
    return _found[key]


def _places() -> Iterator[str]:
    """Beside hwb, beside the `uv` package, on PATH, where uv's installers put it."""
    name = "uv.exe" if sys.platform == "win32" else "uv"
    scripts = "Scripts" if sys.platform == "win32" else "bin"
    yield os.path.join(sys.prefix, scripts, name)
    for entry in sys.path:
        if entry and os.path.isfile(os.path.join(entry, "uv", "__init__.py")):
            yield os.path.join(entry, scripts, name)  # pip install --target
            yield os.path.join(
                os.path.abspath(os.path.join(entry, "..", "..", "..")), scripts, name
            )  # another prefix on sys.path, the user's
    for directory in os.environ.get("PATH", "").split(os.pathsep):
        if directory:
            yield os.path.join(directory, name)
    for directory in (".local", ".cargo"):
        yield os.path.join(os.path.expanduser("~"), directory, "bin", name)


def _is_uv(path: str) -> bool:
    from hwb.installs import is_shim

    if not os.path.isfile(path) or not os.access(path, os.X_OK) or is_shim(path):
        return False
    return os.path.basename(os.path.realpath(path)).lower().startswith("uv")
