"""What are all wheels of a project built from? One sdist, made from a copy of the tree."""

from __future__ import annotations

import hwb


@hwb.recipe(venv_backend="none")
def sdist(session: hwb.Session) -> None:
    """Build and validate only the sdist, in the output directory."""
    for artifact in session.build(wheel=False):
        session.check(artifact)
        session.log("%s  sha256 %s", artifact.name, artifact.sha256)
