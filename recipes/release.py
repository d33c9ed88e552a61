"""What is a release? Everything that its requirements did; this only says what came out."""

from __future__ import annotations

import hwb


@hwb.recipe(
    venv_backend="none",
    requires=["build", "check", "test", "publish", "verify"],
    all_targets=True,
    tags=["release"],
)
def release(session: hwb.Session) -> None:
    """Build, check, test, publish, verify (no tag is made and no version decided)."""
    for artifact in session.artifacts:
        session.log("released %s  sha256 %s", artifact.name, artifact.sha256)
    session.log("install it with --index-url %s", session.index_url)
