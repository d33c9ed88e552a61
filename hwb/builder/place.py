"""Where does a build happen? At one fixed path per project, because compilers write paths into what they make."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hwb.context import current

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["clear_leftover", "own_place"]


@contextmanager
def own_place(identity: str, elsewhere: str = "", area: str = "", *, keeps: bool = False) -> Iterator[str]:
    """An empty directory for one build at a time: the same path for the same `identity`, or exactly `elsewhere`.

    It lies in `area`, where hooks may write that run elsewhere; by default in the store. `keeps`: after a failure it
    stays as it is.
    """
    from hwb.store import fingerprint, open_store

    if elsewhere:
        with _emptied(elsewhere) as place:
            yield place
        return
    store, key = open_store(), fingerprint(identity)
    path = os.path.join(area, key) if area else str(store.path("build", key))
    with store.lock(f"build-{key}", on_wait=_say_waiting), _emptied(path, keeps=keeps) as place:
        yield place


def clear_leftover(identity: str) -> None:
    """Remove what a killed build left at a project's place; nothing when somebody builds there now."""
    from hwb.fs import remove_tree
    from hwb.store import fingerprint, open_store

    store, key = open_store(), fingerprint(identity)
    path = store.path("build", key)
    lock = store.lock(f"build-{key}")
    if os.path.lexists(path) and lock.acquire(blocking=False):
        try:
            remove_tree(path)
        finally:
            lock.release()


@contextmanager
def _emptied(path: str, *, keeps: bool = False) -> Iterator[str]:
    from hwb.fs import remove_tree

    place = os.path.realpath(path)
    remove_tree(place)  # of a killed build
    os.makedirs(place)
    # backends look upwards for a repository's ignore file; what lies around the store is not the project's
    open(os.path.join(place, ".git"), "wb").close()
    try:
        yield place
    except BaseException:
        if not keeps:
            remove_tree(place)
        raise
    remove_tree(place)


def _say_waiting(_path: str) -> None:
    current().emit("message", level="info", text="waiting for another build of this project")
