"""Does the wheel work where nothing else is? It is installed into an empty environment and used there."""

from __future__ import annotations

import shlex

import hwb


@hwb.recipe(requires=["build"], tags=["release"])
def test(session: hwb.Session) -> None:
    """Install the wheel with its dependencies, then run the configured tests, else import all its modules."""
    wheel = session.artifacts.wheel
    config = session.config.get("test")
    session.install(wheel, *config["requires"])
    session.check_environment()
    if config["command"]:
        command = config["command"]
        words = shlex.split(command) if isinstance(command, str) else command
        session.run(*words, *session.posargs, external=True)
    else:
        session.import_modules(wheel)
    session.verdict(wheel, "tested")
