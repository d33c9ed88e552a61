"""Overrides build, adds recipes, uses the parent, notifies and parametrises: what the documentation promises."""

import hwb


@hwb.recipe
def build(session):
    """Write a line before the shipped recipe builds."""
    session.log("before the build")
    return session.parent()


@hwb.recipe(requires=["build"], tags=["own"], venv_backend="none")
@hwb.parametrize("size", [1, hwb.param(2, id="big", tags=["slow"])])
def measure(session, size):
    """Look at the wheel."""
    assert session.artifacts["build"].wheel.size > size
    session.notify("announce", posargs=[str(size)])


@hwb.recipe(default=False, venv_backend="none")
def announce(session):
    """Say that somebody measured."""
    session.log("measured %s", session.posargs[0])
