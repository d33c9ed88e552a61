"""Is what was published what was built? The published wheel is installed from the index and imported."""

from __future__ import annotations

import hwb


@hwb.recipe(requires=["publish"], tags=["release"])
def verify(session: hwb.Session) -> None:
    """Install the published wheel from the index alone, compare its bytes, add its dependencies, import it."""
    wheel = session.artifacts.wheel
    session.install_published(wheel)
    session.check_environment()
    session.import_modules(wheel)
