"""How does somebody read an archive within limits of their own?"""

from __future__ import annotations

from dataclasses import dataclass

from hwb.archive.names import StandardLimits

__all__ = ["Limits"]


@dataclass(frozen=True, eq=False, repr=False)
class Limits(StandardLimits):
    """Limits to read an archive with; what is not given stays as in `StandardLimits`, which explains each."""

    bytes: int = StandardLimits.bytes
    members: int = StandardLimits.members
    ratio: int = StandardLimits.ratio
    ratio_from: int = StandardLimits.ratio_from
    name: int = StandardLimits.name
    metadata: int = StandardLimits.metadata
    header: int = StandardLimits.header
