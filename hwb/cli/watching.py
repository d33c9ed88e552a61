"""What does a person see while one long piece of work goes on, and how is it called off?"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwb.context import CancelToken

__all__ = ["Watching", "called_off"]

_PATIENCE = 2.0
"""Seconds after which a phase is worth a word on a terminal; elsewhere it is `_PATIENCE_ELSEWHERE`."""
_PATIENCE_ELSEWHERE = 30.0
_SIGNALS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129, "SIGBREAK": 143}


class Watching:
    """A log that whoever works writes to, and a thread that shows it (`verbose`) and says what takes long.

    `fileno` and `write` make it a LogSink; `tell` takes events as `Context.emit` gives them.
    """

    def __init__(self, log: IO[bytes], stream: TextIO, *, verbose: int, quiet: bool) -> None:
        self._log = log
        self._stream = stream
        self._verbose = verbose
        self._quiet = quiet
        self._phase = ""
        self._since = time.monotonic()
        self._said = 0.0
        self._shown = 0
        self._line = False
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._terminal = stream.isatty()

    def fileno(self) -> int:
        """The log's descriptor, in append mode."""
        return self._log.fileno()

    def write(self, text: str) -> None:
        """Append to the log."""
        self._log.write(text.encode(errors="replace"))
        self._log.flush()

    def start(self) -> None:
        """Begin to watch."""
        if not self._quiet:
            self._thread = threading.Thread(target=self._watch, name="hwb-watching", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Show what is left, and end."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self._look()
        self._clear()

    def tell(self, kind: str, **values: Any) -> None:
        """An event: phases are headers in the log, messages go to the screen (at -v those for the curious too)."""
        if kind == "phase":
            self._of_phase(values)
        elif kind == "message" and self._wants(values["level"]):
            label = "" if values["level"] == "info" else f"{values['level']}: "
            self._say(f"{label}{values['text']}")
        elif kind == "environment" and self._verbose:
            made = "reused" if values["reused"] else f"made in {values['seconds']:.1f} s"
            self._say(f"environment: Python {values['python']}, {values['backend']}, {made} ({values['path']})")
        elif kind == "command-started" and self._verbose > 1:
            self._say(f"$ {' '.join(values['argv'])}")

    def _wants(self, level: str) -> bool:
        if level == "debug":
            return bool(self._verbose) and not self._quiet
        return level != "info" or not self._quiet

    def _of_phase(self, values: dict[str, Any]) -> None:
        name = " ".join(filter(None, (values["name"], values["detail"])))
        if values["state"] == "started":
            self._phase, self._since, self._said = name, time.monotonic(), 0.0
            return
        took = f"{name}: {values['state']} in {values['seconds']:.2f} s"
        if self._verbose:
            self._look()
            self._say(took)

    def _say(self, text: str) -> None:
        with self._lock:
            self._clear()
            self._stream.write(f"{text}\n")
            self._stream.flush()

    def _watch(self) -> None:
        while not self._ended.wait(0.1 if self._verbose else 0.5):
            self._look()
            self._mention()

    def _look(self) -> None:
        """Show what is new in the log."""
        if not self._verbose or self._quiet:
            return
        with self._lock:
            size = os.fstat(self._log.fileno()).st_size
            if size > self._shown:
                with open(self._log.name, "rb") as handle:
                    handle.seek(self._shown)
                    new = handle.read(size - self._shown)
                self._shown = size
                self._clear()
                lines = [line for line in new.decode(errors="replace").splitlines(True) if not line.startswith("== ")]
                self._stream.write("".join(lines))
                self._stream.flush()

    def _mention(self) -> None:
        """A phase that takes long is named with its time: on one line of a terminal, rarely elsewhere."""
        seconds = time.monotonic() - self._since
        if not self._phase or (self._verbose and self._terminal):
            return
        if self._terminal and seconds > _PATIENCE:
            with self._lock:
                self._stream.write(f"\r\x1b[K{self._phase}: {seconds:.0f} s")
                self._stream.flush()
                self._line = True
        elif not self._terminal and seconds - self._said > _PATIENCE_ELSEWHERE:
            self._said = seconds
            self._say(f"{self._phase}: {seconds:.0f} s so far")

    def _clear(self) -> None:
        if self._line:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._line = False


@contextmanager
def called_off(token: CancelToken) -> Iterator[list[int]]:
    """INT, TERM and HUP throw the switch inside the block; gives the list of exit codes that they mean."""
    codes: list[int] = []

    def handle(number: int, _frame: Any) -> None:
        name = signal.Signals(number).name
        codes.append(_SIGNALS[name])
        token.cancel(name)

    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    if sys.platform != "win32":
        # whoever starts hwb with HUP ignored wants it to go on when the terminal is closed
        numbers = [n for n in numbers if n != signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield codes
    finally:
        for number, old in before.items():
            signal.signal(number, old)
