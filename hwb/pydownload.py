"""How does an interpreter that is not there come here, once and only when somebody wants that?

By `uv python install`, into a directory of the store. `hwb.pythons` finds it there ever after.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from hwb import pythons
from hwb.context import current
from hwb.errors import CommandTimeout, HwbError, InterpreterNotFound, OfflineError, ToolNotFound
from hwb.installs import downloads_dir
from hwb.pyuv import find_uv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hwb.config import Settings
    from hwb.pyprobe import Interpreter

__all__ = ["SECONDS", "UvDownloads", "permitted", "possible", "way"]

SECONDS = 300.0
"""How long a download may take."""
WORDS = ("auto", "never", "always")
"""What a recipe's `download_python` can be (nox's words)."""
_KEY = "download-python"
_failed: dict[tuple[str, str], HwbError] = {}
"""What could not be downloaded, by directory and request: the next session of the run must not wait for it again."""


class UvDownloads(NamedTuple):
    """Downloads by uv; `always`: also where the machine has such an interpreter already."""

    always: bool = False

    def provide(self, request: str, missing: InterpreterNotFound, search: Callable[[], Interpreter]) -> Interpreter:
        """Download it unless somebody else has by now; one that failed is not tried again by this process.

        Raises OfflineError, ToolNotFound without uv, InterpreterNotFound when uv has no such Python, cannot reach it or
        takes too long.
        """
        if current().offline:
            what = f"{missing.what}, and it cannot be downloaded: the network must not be used"
            raise OfflineError(what, where=missing.where, detail=missing.detail)
        uv = find_uv()
        if uv is None:
            what = f"{missing.what}, and there is no uv, which would download it"
            raise ToolNotFound(what, where=missing.where, detail=missing.detail, remedy="install uv beside hwb")
        return _once(uv, request, missing, search)


def _once(uv: str, request: str, missing: InterpreterNotFound, search: Callable[[], Interpreter]) -> Interpreter:
    """One at a time on this machine: whoever waited finds it there."""
    from hwb.store import fingerprint, open_store

    directory = downloads_dir()
    os.makedirs(directory, exist_ok=True)

    def on_wait(_path: str) -> None:
        _tell(f"waiting: somebody else is downloading Python {request}")

    with open_store().lock(f"interpreter-{fingerprint(request)}", on_wait):
        known = _failed.get((directory, request))
        if known is not None:
            raise known
        try:
            return search()
        except InterpreterNotFound:
            _fetch(uv, request, directory, missing)
        return search()


def _fetch(uv: str, request: str, directory: str, missing: InterpreterNotFound) -> None:
    _tell(f"downloading Python {request} (uv python install)")
    try:
        _install(uv, request, directory, missing)
    except HwbError as error:
        _failed[directory, request] = error
        raise


def _install(uv: str, request: str, directory: str, missing: InterpreterNotFound) -> None:
    from hwb.isolation.uv import UvInstaller

    try:
        done = UvInstaller(uv).fetch_python(request, directory, env=current().outer_env, seconds=SECONDS)
    except CommandTimeout as error:
        what = f"{missing.what}, and its download took more than {SECONDS:g} s"
        raise InterpreterNotFound(what, remedy=missing.remedy) from error
    if done.return_code:
        what = f"{missing.what}, and it cannot be downloaded"
        remedy = "check the version and the network; a mirror is named by UV_PYTHON_INSTALL_MIRROR"
        raise InterpreterNotFound(what, detail=done.text, remedy=remedy)


def _tell(text: str) -> None:
    current().emit("message", level="info", text=text)


# ------------------------------------------------------------------------------------------------ who wants that


def way(given: bool | None, word: str | None = None) -> UvDownloads | None:
    """What the user's choice (None: there is none) and a recipe's word mean.

    As in nox the user's choice counts before the recipe's; unlike nox, nothing is downloaded where neither says so.
    """
    if given is not None:
        return UvDownloads() if given else None
    return UvDownloads(always=word == "always") if word in ("auto", "always") else None


def possible(settings: Settings) -> bool:
    """Whether an interpreter that is not there could be downloaded: the settings say so, there is uv and a network."""
    return bool(settings.get(_KEY)) and not current().offline and find_uv() is not None


@contextmanager
def permitted(settings: Settings, word: str | None = None) -> Iterator[None]:
    """Inside the block, interpreters are downloaded as the settings and a recipe's word say.

    What an outer block permits (an option of the command line) stays permitted.
    """
    given = settings.get(_KEY) if settings.source(_KEY) != "default" else None
    with pythons.downloading(pythons.downloads() or way(given, word)):
        yield
