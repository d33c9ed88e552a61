"""How does a wheel that was just built get its final tag, with the tools of the place that it was built in?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hwb.context import current

if TYPE_CHECKING:
    from hwb.builder.room import Room
    from hwb.repair import RepairOptions

__all__ = ["repaired"]


def repaired(path: str, options: RepairOptions, room: Room | None) -> str:
    """The path of the repaired wheel; one for any platform is passed on. Raises RepairError."""
    from hwb.repair import repair_wheels
    from hwb.repair.tools import host_tool

    out = os.path.join(os.path.dirname(path), "repaired")
    (done,) = repair_wheels([path], out, options, host_tool if room is None else room.tool)
    for library in done.bundled:
        current().log.write(f"bundled {library.name} ({library.size} bytes, sha256 {library.sha256})\n")
    return done.path
