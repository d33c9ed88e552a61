"""Which project is this, with which hwbfile, settings and recipes?"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwb.config import Settings
    from hwb.loader import Catalog

__all__ = ["Workspace", "locate", "open_workspace"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Workspace:
    """A project as hwb sees it; `root` is where sessions work, `invoked_from` where the user stood."""

    root: str
    hwbfile: str | None
    organisation: str | None
    settings: Settings
    catalog: Catalog
    invoked_from: str


def locate(directory: str | None, file: str | None) -> tuple[str, str | None]:
    """The root and the hwbfile. Raises UsageError for a directory or file that does not exist."""
    from hwb.loader import HWBFILE, find_hwbfile

    start = os.path.abspath(directory or os.getcwd())
    if not os.path.isdir(start):
        raise UsageError(f"there is no directory {start}", remedy="--directory takes a project's directory")
    if file is not None:
        path = os.path.join(start, file)
        if not os.path.isfile(path):
            raise UsageError(f"there is no file {path}", remedy="-f takes the path of a hwbfile")
        return (start if directory else os.path.dirname(path)), path
    hwbfile = find_hwbfile(start)
    if hwbfile is not None:
        return os.path.dirname(hwbfile), hwbfile
    from hwb.project import find_root

    root = find_root(start) or start
    for folder in (start, root):
        if os.path.isdir(os.path.join(folder, HWBFILE)):
            raise UsageError(f"{os.path.join(folder, HWBFILE)} is a directory", remedy="a hwbfile is a Python file")
    return root, None


def _check_backend(settings: Settings) -> None:
    """A backend that a setting names is checked like one that a recipe names; the default one needs no look."""
    source = settings.source("default-venv-backend")
    if source == "default":
        return
    from hwb.errors import ConfigError
    from hwb.isolation.backends import parse_backend

    try:
        parse_backend(settings.get("default-venv-backend"))
    except ValueError as error:
        raise ConfigError(f"default-venv-backend: {error}", where=source, remedy="write uv|virtualenv") from error


def open_workspace(
    directory: str | None = None, file: str | None = None, options: Mapping[str, Any] | None = None
) -> Workspace:
    """Find and load everything. Raises UsageError, ConfigError, HwbfileError."""
    from hwb import config
    from hwb.loader import load_catalog

    root, hwbfile = locate(directory, file)
    organisation = config.org_file(os.environ)
    if organisation is not None and not os.path.isfile(organisation):
        raise UsageError(
            f"HWB_ORG_FILE names {organisation}, which does not exist", remedy="mend or unset HWB_ORG_FILE"
        )
    settings = config.load(root, options=options or {}, org_file=organisation)
    _check_backend(settings)
    catalog = load_catalog(hwbfile, organisation)
    return Workspace(root, hwbfile, organisation, settings, catalog, os.getcwd())
