"""Which steps make every wheel that a project needs? For each target the same four recipes, each as you have it."""

from __future__ import annotations

import hwb


@hwb.recipe(targets=True, venv_backend="none", requires=["sdist"])
def matrix(session: hwb.Session) -> None:
    """Build, repair, check and test the wheel of one target (hwb matrix --list shows them)."""
    for step in ("build", "repair", "check", "test"):
        session.recipe(step)
