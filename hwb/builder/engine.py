"""How does a directory of sources become a checked sdist and a checked wheel, with the same bytes every time?

snapshot -> sdist -> normalise -> check -> unpack -> wheel -> check -> move into place. All of it happens at a fixed
path per project, under a lock, because compilers write paths into what they make.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwb.builder.backend import Backend, phase
from hwb.context import current
from hwb.errors import AnalyzeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hwb.project import Project
    from hwb.pythons import Interpreter

__all__ = ["Built", "build_project"]


@dataclass(frozen=True, slots=True)
class Built:
    """Absolute paths of what was built; None for what was not asked for."""

    sdist: str | None
    wheel: str | None


def build_project(
    root: str,
    out_dir: str,
    interpreter: Interpreter,
    *,
    sdist: bool = True,
    wheel: bool = True,
    config_settings: Mapping[str, str | list[str]] | None = None,
) -> Built:
    """Build into `out_dir`; the wheel always comes from the sdist, which is kept only if it is asked for.

    Files appear in `out_dir` at the end, each at once. Raises AnalyzeError, SourceError, IsolationError, BuildError,
    ValidationError.
    """
    with _own_place(root) as place:
        packed, epoch = _build_sdist(root, out_dir, place, interpreter, config_settings)
        built = _build_wheel(packed, epoch, place, interpreter, config_settings) if wheel else None
        with phase("metadata"):
            os.makedirs(out_dir, exist_ok=True)
            return Built(_hand_over(packed, out_dir) if sdist else None, _hand_over(built, out_dir) if built else None)


@contextmanager
def _own_place(root: str) -> Iterator[str]:
    """The build directory of a project, empty, for one build at a time; always the same path."""
    from hwb.fs import remove_tree
    from hwb.store import fingerprint, open_store

    store, key = open_store(), fingerprint(os.path.realpath(root))
    with store.lock(f"build-{key}", on_wait=_say_waiting):
        place = os.path.realpath(store.path("build", key))
        remove_tree(place)  # of a killed build
        os.makedirs(place)
        # backends look upwards for a repository's ignore file; what lies around the store is not the project's
        open(os.path.join(place, ".git"), "wb").close()
        try:
            yield place
        finally:
            remove_tree(place)


def _say_waiting(_path: str) -> None:
    current().emit("message", level="info", text="waiting for another build of this project")


def _build_sdist(
    root: str,
    out_dir: str,
    place: str,
    interpreter: Interpreter,
    config_settings: Mapping[str, str | list[str]] | None,
) -> tuple[str, int]:
    """The path of a canonical, checked sdist, and the time of its sources."""
    from contextlib import ExitStack

    from hwb.builder.normalise import normalise_sdist
    from hwb.snapshot import snapshot

    with ExitStack() as stack:
        with phase("resolve"):
            _require_project(root)
            source = stack.enter_context(snapshot(root, os.path.join(place, "source"), exclude=[out_dir]))
        project = _analyze(source.path, os.path.abspath(root))
        backend = Backend(source.path, project.build_system, interpreter, place, source.epoch, config_settings)
        packed = backend.build("sdist", os.path.join(place, "sdist"))
    with phase("validate", "sdist"):
        normalise_sdist(packed, source.epoch)
        _check(packed)
    return packed, source.epoch


def _build_wheel(
    packed: str,
    epoch: int,
    place: str,
    interpreter: Interpreter,
    config_settings: Mapping[str, str | list[str]] | None,
) -> str:
    """The path of a checked wheel made from an sdist."""
    from hwb.archive import extract_sdist

    tree = extract_sdist(packed, os.path.join(place, "unpacked"))
    project = _analyze(tree, os.path.basename(packed))
    backend = Backend(tree, project.build_system, interpreter, place, epoch, config_settings)
    built = backend.build("wheel", os.path.join(place, "wheel"))
    with phase("validate", "wheel"):
        _check(built)
    return built


def _require_project(root: str) -> None:
    """Before anything is copied: hwb may have been started in somebody's home directory."""
    from hwb.project import MARKERS, read_project

    if not any(os.path.isfile(os.path.join(root, marker)) for marker in MARKERS):
        read_project(root)


def _analyze(folder: str, shown: str) -> Project:
    """Read the copy, but speak of what the user knows: `shown` takes the copy's place in messages."""
    from hwb.project import read_project

    with phase("analyze"):
        try:
            return read_project(folder)
        except AnalyzeError as error:
            what, where = (text.replace(folder, shown) for text in (error.what, error.where))
            raise AnalyzeError(what, where=where, remedy=error.remedy, detail=error.detail) from error


def _check(path: str) -> None:
    from hwb.wheel.check import require_valid

    for finding in require_valid(path):
        current().emit("message", level="warning", text=f"{os.path.basename(path)}: {finding}")


def _hand_over(path: str, out_dir: str) -> str:
    from hwb.fs import copy_file

    final = os.path.join(os.path.abspath(out_dir), os.path.basename(path))
    copy_file(path, final)
    return final
