"""How is the project built? An sdist from a copy of the tree, then the wheel from that sdist."""

from __future__ import annotations

import hwb


@hwb.recipe(venv_backend="none", tags=["release"])
def build(session: hwb.Session) -> None:
    """Build the sdist, and the wheel from that sdist, into the output directory."""
    for artifact in session.build():
        session.log("%s  sha256 %s", artifact.name, artifact.sha256)
