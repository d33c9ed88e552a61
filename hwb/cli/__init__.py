"""Which commands are there? `hwb.cli.group` has them; its names are loaded when first used, because click is slow."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hwb.cli.group import help_without_command, invoke, main, workspace_of

__all__ = ["help_without_command", "invoke", "main", "workspace_of"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'hwb.cli' has no attribute {name!r}")
    from hwb.cli import group

    return getattr(group, name)
