"""Where does hwb keep what it can make again (environments, wheels, pins, answers), so that runs share it safely?

Everything lies below `places.cache_dir()`. Names come from `fingerprint`, so two writers of one name write the same
thing; what takes long is made under a lock. Records are small JSON files that may vanish at any time.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwb.places import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hwb.fs import FileLock

__all__ = ["Store", "fingerprint", "open_store"]

_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# hwb's store: it can be removed at any time.\n"
"""The line that tells backup programs to leave the directory out (Cache Directory Tagging Specification)."""
_opened: dict[str, Store] = {}
_opening = threading.RLock()  # whoever hears the warning may open the store too


def fingerprint(*parts: str) -> str:
    """A name for these texts in this order: 32 hex characters of their sha256, each text delimited."""
    import hashlib

    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode(errors="surrogateescape")
        digest.update(b"%d:" % len(raw) + raw)
    return digest.hexdigest()[:32]


class Store:
    """One store directory; every method works while other processes use it too."""

    __slots__ = ("root",)

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, *parts: str) -> Path:
        """A path in the store whose parent directories exist afterwards."""
        path = self.root.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def lock(self, name: str, on_wait: Callable[[str], None] | None = None) -> FileLock:
        """The lock of that name, not yet taken; waiting for it ends when the run is called off."""
        from hwb.context import current
        from hwb.fs import FileLock

        return FileLock(self.path("locks", f"{name}.lock"), on_wait=on_wait, check=current().token.check)

    def read_json(self, *parts: str) -> Any:
        """A record's value; None when it is missing, unreadable or no JSON."""
        import json

        try:
            return json.loads(self.root.joinpath(*parts).read_bytes())
        except (OSError, ValueError):
            return None

    def write_json(self, *parts: str, value: Any) -> None:
        """Keep a record; a disk that is full or read-only only means that it will be worked out again."""
        import json

        from hwb.fs import atomic_write

        try:
            atomic_write(self.path(*parts), json.dumps(value, sort_keys=True), durable=False)
        except OSError:
            pass

    def env_path(self, fingerprint: str) -> Path:
        """Where the shared environment of that fingerprint lives (it cannot be moved: scripts name their Python)."""
        return self.path("envs", fingerprint)

    def wheels_path(self, key: str) -> Path:
        """A directory of wheels, made if missing."""
        path = self.root / "wheels" / key
        path.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def temporary(self, prefix: str) -> Iterator[Path]:
        """A fresh directory on the store's file system (so that files can be renamed out of it), removed afterwards."""
        import tempfile

        from hwb.fs import remove_tree

        path = Path(tempfile.mkdtemp(prefix=prefix, dir=self.path("tmp", "_").parent))
        try:
            yield path
        finally:
            remove_tree(path)


def open_store() -> Store:
    """The user's store; when that cannot be written, one of this process alone, with a warning once."""
    root = cache_dir()
    with _opening:
        store = _opened.get(root)
        if store is None or not store.root.is_dir():
            store = _opened[root] = Store(Path(root)) if _prepare(root) else _private(root)
        return store


def _prepare(root: str) -> bool:
    from hwb.fs import writable

    try:
        os.makedirs(root, mode=0o700, exist_ok=True)
        tag = os.path.join(root, "CACHEDIR.TAG")
        if not os.path.exists(tag):
            Path(tag).write_text(_TAG, encoding="utf-8")
    except OSError:
        return False
    return writable(root)


def _private(root: str) -> Store:
    """A store that lives as long as this process."""
    import atexit
    import tempfile

    from hwb.context import current

    own = tempfile.mkdtemp(prefix="hwb-store-")
    atexit.register(_remove_private, own, os.getpid())
    text = f"the store {root} cannot be written; nothing is kept after this run (set HWB_CACHE_DIR to change that)"
    current().emit("message", level="warning", text=text)
    return Store(Path(own))


def _remove_private(path: str, owner: int) -> None:
    """A forked child that ends must leave its parent's store alone."""
    if os.getpid() == owner:
        from hwb.fs import remove_tree

        remove_tree(path)
