"""Is what was published what was built? Each file's bytes are compared, and a wheel is installed from the index."""

from __future__ import annotations

import hwb


@hwb.recipe(requires=["publish"], tags=["release"])
def verify(session: hwb.Session) -> None:
    """Compare every published file's bytes, install the wheel for this Python from the index alone, import it."""
    session.compare_published()
    fitting = session.artifacts.installable
    if not fitting:
        session.log("no wheel is for the Python of this session: each was tested where it was made")
        return
    session.install_published(fitting[0])
    session.check_environment()
    session.import_modules(fitting[0])
