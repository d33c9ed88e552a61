"""What did a project's backend ask for beside its static requirements the last time?

Who knows that can offer an environment that has it, so that the backend is asked and builds in one go. Its answer still
decides: only exactly the same one counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Asked"]


class Asked:
    """The record of one project, interpreter and kind; `expected` is empty where nothing steady is known."""

    def __init__(self, identity: str, kind: str, requires: Sequence[str]) -> None:
        from hwb.store import fingerprint, open_store

        self._record = ("asked", f"{fingerprint(identity, kind, *requires)}.json")
        self._store = open_store()
        known = self._store.read_json(*self._record)
        steady = isinstance(known, list) and all(isinstance(text, str) for text in known)
        self._is_new = known is None
        self.expected: tuple[str, ...] = tuple(known) if steady and isinstance(known, list) else ()

    def remember(self, asked: Any) -> None:
        """The next time expect this; not for a backend that once was unsteady."""
        if self._is_new:
            self._store.write_json(*self._record, value=asked)

    def unsteady(self) -> None:
        """Its answer depends on what it finds (scikit-build-core looks for cmake): do not guess any more."""
        self._store.write_json(*self._record, value=False)
