"""What happens to what was printed when whoever read it has gone?"""

from __future__ import annotations

import os
import sys

__all__ = ["flush_output"]


def flush_output() -> None:
    """Write out what was printed; whoever read it may be gone (`| head`), and Python must not complain at exit."""
    try:
        if sys.stdout is not None and not sys.stdout.closed:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
