"""Do wheels with native code run elsewhere? They get an honest platform tag, and libraries that they need inside."""

from __future__ import annotations

import hwb


@hwb.recipe(venv_backend="none", requires=["build"])
def repair(session: hwb.Session) -> None:
    """Repair built wheels (auditwheel, delocate, delvewheel); pure ones stay as they are."""
    for artifact in session.repair():
        session.log("%s  sha256 %s", artifact.name, artifact.sha256)
