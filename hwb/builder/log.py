"""What did a build print, for callers who want it as a text?"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["RecordedLog"]


class RecordedLog:
    """A LogSink in a temporary file; a context manager that removes it."""

    def __init__(self) -> None:
        self._file = tempfile.NamedTemporaryFile("ab", prefix="hwb-log-")  # noqa: SIM115 - closed by __exit__

    def fileno(self) -> int:
        """The file's descriptor, in append mode."""
        return self._file.fileno()

    def write(self, text: str) -> None:
        """Append."""
        self._file.write(text.encode(errors="replace"))
        self._file.flush()

    @property
    def text(self) -> str:
        """Everything so far, undecodable bytes replaced."""
        self._file.flush()
        with open(self._file.name, "rb") as handle:
            return handle.read().decode(errors="replace")

    def __enter__(self) -> RecordedLog:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._file.close()
        if os.path.exists(self._file.name):
            os.unlink(self._file.name)
