"""The steps of this repository: what stands here overrides or joins the recipes that hwb ships.

See what there is with `hwb sessions --list`, and a shipped recipe's source with `hwb recipes show NAME`.
"""

import hwb


@hwb.recipe(override=True)
def build(session: hwb.Session):
    """The shipped build, with room for what must happen before and after it."""
    return session.parent()


@hwb.recipe(requires=["build"], venv_backend="none", tags=["check"])
def sizes(session: hwb.Session):
    """Say how large each built file is."""
    for artifact in session.artifacts["build"]:
        session.log(f"{artifact.name}: {artifact.size} bytes")
