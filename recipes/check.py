"""Are the artifacts what they claim to be? Names, METADATA, WHEEL and RECORD are compared."""

from __future__ import annotations

import hwb


@hwb.recipe(venv_backend="none", requires=["build"], tags=["release"])
def check(session: hwb.Session) -> None:
    """Validate the built wheel and sdist."""
    session.check()
