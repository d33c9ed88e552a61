"""How does cibuildwheel make one wheel of a run, in an environment of its own, and with nothing of it left behind?"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from hwb.context import current
from hwb.errors import BuildError, HwbError, OfflineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwb.isolation.engine import Engine
    from hwb.matrix.handing_over import HandedOver
    from hwb.target import Target

__all__ = ["delegate_wheel"]

_LABEL = "hwb.delegated"
NEEDS_PYTHON = ">=3.11"
"""What cibuildwheel runs on; hwb itself may run on an older one."""


def delegate_wheel(handed: HandedOver, target: Target, sdist: str, folder: str) -> str:
    """Have cibuildwheel build, repair, audit and test one wheel of a sdist; the wheel's path, in `folder`.

    `folder` is emptied first. Raises what `hwb.matrix.handing_over.OUTCOMES` says for its exit codes, BuildError for a
    wheel that is for something else, OfflineError (it fetches images and interpreters itself), ToolNotFound without an
    engine, DependencyError, InterpreterNotFound without a Python that it runs on.
    """
    from hwb.fs import remove_tree

    if current().offline:
        what = f"{handed.identifier}: cibuildwheel fetches what builds need, and the network must not be used"
        raise OfflineError(what, remedy='run without --offline, or let hwb build: engine = "hwb"')
    remove_tree(folder)
    os.makedirs(folder)
    with _engine(handed) as told:
        _run(told, target, sdist, folder)
    return _made(target, folder)


def _run(handed: HandedOver, target: Target, sdist: str, folder: str) -> None:
    from hwb import proc, pythons
    from hwb.builder.hook_env import passed
    from hwb.isolation.venv import shared_environment
    from hwb.locks import requirement_lines
    from hwb.matrix.handing_over import arguments, environment, failure
    from hwb.store import open_store
    from hwb.target import System

    tool = shared_environment(pythons.find(requires_python=NEEDS_PYTHON), requirement_lines("cibuildwheel"))
    outer = current().outer_env
    builds = {} if target.system is System.LINUX else passed(outer)
    with open_store().temporary("delegated-") as place:
        own = {**environment(handed, outer, builds), **_places(str(place)), "SOURCE_DATE_EPOCH": str(_epoch(sdist))}
        own["PATH"] = os.pathsep.join(filter(None, (tool.bin, outer.get("PATH", os.defpath))))
        argv = arguments(tool.python, handed.identifier, os.path.abspath(sdist), os.path.abspath(folder))
        done = proc.run(argv, cwd=str(place), env=own, check=False)
    if done.return_code:
        raise failure(handed.identifier, done.return_code)


def _places(place: str) -> dict[str, str]:
    """Temporary files lie where they are removed even if cibuildwheel is killed."""
    return dict.fromkeys(("TMPDIR", "TEMP", "TMP"), place)


def _epoch(sdist: str) -> int:
    """SOURCE_DATE_EPOCH: that of the run, else the time of the sdist's newest member (reproducible-builds.org)."""
    from hwb.archive.tars import open_sdist
    from hwb.snapshot import checked_epoch

    given = current().outer_env.get("SOURCE_DATE_EPOCH")
    if given:
        return checked_epoch(given)
    with open_sdist(sdist) as reader:
        return int(max((member.mtime for member in reader.members), default=0))


@contextmanager
def _engine(handed: HandedOver) -> Iterator[HandedOver]:
    """The same with what its container is known by: none is left, not at the end, and not after a kill."""
    if not handed.engine or _is_kept():
        yield handed
        return
    import secrets

    from hwb.isolation.container import owner_labels, reap
    from hwb.isolation.engine import find_engine
    from hwb.matrix.handing_over import variable, with_arguments

    engine, own = find_engine(handed.engine), secrets.token_hex(8)
    reap(engine)
    name = variable("container-engine")
    words = [f"--label={label}={value}" for label, value in {**owner_labels(), _LABEL: own}.items()]
    # the mark of the run in its first process, as in hwb's own containers: who ends a killed run's processes ends it
    words += ["--rm", *(f"--env={mark}={value}" for mark, value in current().mark.items())]
    try:
        yield replace(handed, variables={**handed.variables, name: with_arguments(handed.variables[name], words)})
    finally:
        _remove(engine, own)


def _is_kept() -> bool:
    """Whether somebody wants to look into the container (`CIBW_DEBUG_KEEP_CONTAINER`)."""
    return current().outer_env.get("CIBW_DEBUG_KEEP_CONTAINER", "").lower() in ("1", "true", "yes", "on", "y", "t")


def _remove(engine: Engine, own: str) -> None:
    """What cibuildwheel could not remove, because it was ended from outside."""
    from hwb.isolation.engine import undisturbed

    with undisturbed():
        try:
            wanted = ["ps", "--all", "--quiet", "--filter", f"label={_LABEL}={own}"]
            left = engine.call(*wanted, what="looking for left containers", timeout=30.0).split()
            if left:
                engine.call("rm", "--force", "--volumes", *left, what="removing left containers", timeout=60.0)
        except HwbError as error:
            current().emit("message", level="warning", text=f"a container may be left: {error.what}")


def _made(target: Target, folder: str) -> str:
    from hwb.matrix.handing_over import is_for

    found = sorted(name for name in os.listdir(folder) if name.endswith(".whl"))
    if len(found) != 1:
        what = f"{target}: cibuildwheel ended well and left {len(found)} wheels"
        raise BuildError(what, detail="\n".join(found), remedy="see what it printed")
    if not is_for(found[0], target):
        remedy = "see which Python and which flags the build used (before-build, environment, repair-wheel-command)"
        raise BuildError(f"{found[0]} is no wheel for {target}", remedy=remedy)
    return os.path.join(folder, found[0])
