"""Where are the shipped recipes and templates, the user's store, and a project's run files?"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["cache_dir", "config_dir", "recipes_dir", "state_dir", "templates_dir"]

_PACKAGE = os.path.dirname(os.path.abspath(__file__))


def _shipped(name: str) -> str:
    """In a wheel inside the package, in a checkout beside it."""
    inside = os.path.join(_PACKAGE, name)
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(_PACKAGE), name)


def recipes_dir() -> str:
    """The folder of the shipped recipes."""
    return _shipped("recipes")


def templates_dir() -> Path:
    """The folder of the shipped templates."""
    return Path(_shipped("templates"))


def _user_dir(variable: str, unix: str, mac: str, windows: str) -> str:
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        return os.path.join(os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local"), "hwb", windows)
    if os.environ.get(variable):
        return os.path.join(os.environ[variable], "hwb")
    return os.path.join(home, mac if sys.platform == "darwin" else unix, "hwb")


def cache_dir() -> str:
    """The store: HWB_CACHE_DIR, else `hwb` in the user's cache directory (XDG base directory specification)."""
    chosen = os.environ.get("HWB_CACHE_DIR")
    return os.path.abspath(chosen) if chosen else _user_dir("XDG_CACHE_HOME", ".cache", "Library/Caches", "cache")


def state_dir() -> str:
    """Where `.hwb` goes when the project is read-only."""
    return _user_dir("XDG_STATE_HOME", ".local/state", "Library/Application Support", "state")


def config_dir() -> str:
    """Where the organisation's `recipes.py` and `hwb.toml` are looked for."""
    return _user_dir("XDG_CONFIG_HOME", ".config", "Library/Application Support", "config")
