"""Which commands are there? `hwb.cli.group` has them; its names are loaded when first used, because click is slow."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hwb.cli.group import help_without_command, invoke, main, workspace_of

__all__ = ["flush_output", "help_without_command", "invoke", "main", "workspace_of"]


def flush_output() -> None:
    """Write out what was printed; whoever read it may be gone (`| head`), and Python must not complain at exit."""
    try:
        if sys.stdout is not None and not sys.stdout.closed:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'hwb.cli' has no attribute {name!r}")
    from hwb.cli import group

    return getattr(group, name)
