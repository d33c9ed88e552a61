"""How are sizes shown, and what happens to what was printed when whoever read it has gone?"""

from __future__ import annotations

import os
import sys

__all__ = ["flush_output", "size_text"]


def flush_output() -> None:
    """Write out what was printed; whoever read it may be gone (`| head`), and Python must not complain at exit."""
    try:
        if sys.stdout is not None and not sys.stdout.closed:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def size_text(count: float) -> str:
    """Bytes in decimal units, as shops and `ls --si` have them: 999 B, 1.5 kB, 3.0 GB."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
