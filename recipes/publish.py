"""How do others get the artifacts? The configured registry takes them, each name exactly once."""

from __future__ import annotations

import hwb


@hwb.recipe(
    venv_backend="none",
    requires=["build", "check", "test"],
    all_targets=True,
    tags=["release"],
    resources=["publish"],
)
def publish(session: hwb.Session) -> None:
    """Publish wheel and sdist; the same bytes twice are fine, other bytes under a known name are a conflict."""
    session.publish()
    session.log("index: %s", session.index_url)
