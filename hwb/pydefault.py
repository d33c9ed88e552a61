"""Which Pythons does a project mean: those that somebody names, else which?

A setting comes first (an option, `HWB_PYTHON`, `[tool.hwb]`), then the `.python-version` file in the project's root,
then the interpreter that runs hwb if the project allows it, then the newest that it allows.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hwb import pythons
from hwb.errors import ConfigError, ContainerError, InterpreterNotFound
from hwb.isolation.configured import find_python
from hwb.pyspec import FILE_NAME, allowed, read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hwb.config import Settings
    from hwb.pyprobe import Interpreter
    from hwb.pyspec import Line

__all__ = ["choose", "named", "requires_python_of"]


def named(root: str, settings: Settings, requests: Sequence[str]) -> list[Interpreter]:
    """The interpreters that requests mean, each of them once. Raises what `pythons.find` does."""
    found = [find_python(settings, request, root=root) for request in requests]
    return list({interpreter.identity: interpreter for interpreter in found}.values())


def choose(
    root: str, settings: Settings, requires_python: Callable[[], str], find: Callable[..., Interpreter] | None = None
) -> Interpreter:
    """The project's default interpreter; `requires_python` is called when it matters.

    `find(request=None, *, requires_python="")` looks elsewhere than on this machine: in an image. Raises what
    `pythons.find` (or `find`) does; ConfigError, with file and line, for a `.python-version` that makes no sense or
    that requires-python forbids.
    """
    find = find or partial(find_python, settings, root=root)
    configured = settings.get("python")
    if configured:
        return find(configured)
    lines = read_file(root)
    if lines:
        return _checked(*_first_installed(lines, find), requires_python())
    return find(requires_python=requires_python())


def requires_python_of(root: str) -> str:
    """What the project's metadata says; empty where there is no project (a hwbfile may stand anywhere)."""
    from hwb.errors import AnalyzeError
    from hwb.project import read_project

    try:
        return read_project(root).requires_python
    except AnalyzeError:
        return ""


def _first_installed(lines: list[Line], find: Callable[..., Interpreter]) -> tuple[Line, Interpreter]:
    """pyenv's rule for several lines: the first that is there; else the first of all is what may be downloaded."""
    with pythons.downloading(None):
        for line in lines:
            try:
                return line, find(str(line.spec))
            except (InterpreterNotFound, ContainerError):
                continue
    first = lines[0]
    try:
        return first, find(str(first.spec))
    except (InterpreterNotFound, ContainerError) as error:
        error.where = first.where
        raise


def _checked(line: Line, found: Interpreter, requires_python: str) -> Interpreter:
    if not allowed(requires_python)(found.version):
        raise ConfigError(
            f"{FILE_NAME} says {line.text}, which is {found.title}, but requires-python is {requires_python}",
            where=line.where,
            remedy=f"change {FILE_NAME} or requires-python, or name a Python with --python",
        )
    return found
