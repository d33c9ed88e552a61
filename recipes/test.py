"""Does the wheel work where nothing else is? It is installed into an empty environment and used there."""

from __future__ import annotations

import shlex

import hwb


@hwb.recipe(requires=["build"], tags=["release"])
def test(session: hwb.Session) -> None:
    """Install the wheel with its dependencies, then run the configured tests, else import all its modules."""
    wheel, tests = session.artifacts.wheel, session.tests
    if tests.skip:
        session.log("%s is not tested here: %s", wheel.name, tests.skip)
        return
    for resolution in tests.resolutions:
        with session.installed(wheel, *tests.requires, extras=tests.extras, resolution=resolution):
            session.env.update(tests.env)
            if tests.before:
                session.run("sh", "-c", tests.before, external=True)
            if tests.script:
                with session.chdir(session.create_tmp()):
                    session.run("sh", "-c", tests.script, "sh", *session.posargs, external=True)
            elif tests.command:
                words = shlex.split(tests.command) if isinstance(tests.command, str) else tests.command
                session.run(*words, *session.posargs, external=True)
            else:
                session.import_modules(wheel)
    session.verdict(wheel, "tested", ", ".join(tests.resolutions))
