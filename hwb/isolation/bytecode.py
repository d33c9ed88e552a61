"""How do Pythons in containers start as fast as outside, although nothing that they may write to is kept?

Images are shipped without byte code, and containers are read-only: each process would compile all that it imports.
So what an environment's hooks imported before is imported once in a container of its own, which has no network and
sees no project, with a writable place for byte code (PYTHONPYCACHEPREFIX). That becomes a part of the environment,
read-only for every container afterwards: only the environment's own packages had a hand in it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwb.isolation.engine import Engine
    from hwb.isolation.images import LocalImage
    from hwb.store import Store

__all__ = ["VARIABLE", "bytecode_of"]

VARIABLE = "PYTHONPYCACHEPREFIX"
_FOLDER = "__pycache__"
"""Below the environment: where byte code may come and go without the environment counting as changed."""
_NAMES = "names.json"
_PLACE = "/hwb/bytecode"
_IMPORT = """
import importlib, json, sys
for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
    except BaseException:
        pass
"""


def bytecode_of(engine: Engine, image: LocalImage, python: str, names: Sequence[str]) -> str:
    """What `VARIABLE` is to say for an environment's Python (its path): a directory with byte code of these modules.

    Empty while nobody knows which modules are wanted, and where it cannot be made: then everything is only slower.
    """
    from hwb.context import current
    from hwb.errors import HwbError
    from hwb.store import open_store

    if not names:
        return ""
    store, venv = open_store(), os.path.dirname(os.path.dirname(python))
    kept = os.path.join(venv, _FOLDER)
    try:
        with store.lock(f"bytecode-{os.path.basename(venv)}"):
            if not set(names) <= set(_compiled(kept)):
                _compile(store, engine, image, python, list(dict.fromkeys([*_compiled(kept), *names])), kept)
    except (HwbError, OSError) as error:
        current().emit("message", level="debug", text=f"no byte code for {venv}: {error}")
        return ""
    return kept


def _compiled(kept: str) -> list[str]:
    """The modules that were imported when it was made."""
    import json

    try:
        with open(os.path.join(kept, _NAMES), encoding="utf-8") as handle:
            names = json.load(handle)
    except (OSError, ValueError):
        return []
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _compile(store: Store, engine: Engine, image: LocalImage, python: str, names: list[str], kept: str) -> None:
    import json
    from pathlib import Path

    from hwb.fs import remove_tree
    from hwb.isolation.container import Container
    from hwb.isolation.lockdown import ContainerOptions, Mount

    environments = str(store.env_path("x").parent)
    with store.temporary("bytecode-") as place:
        made = os.path.join(place, "made")
        os.mkdir(made)
        options = ContainerOptions(mounts=(Mount.same(environments), Mount(made, _PLACE, writable=True)))
        with Container(engine, image.id, options) as container:
            env = {**image.environ, VARIABLE: _PLACE}
            container.run([python, "-c", _IMPORT, json.dumps(names)], env=env, capture=True, quiet=True)
        with open(os.path.join(made, _NAMES), "w", encoding="utf-8") as handle:
            json.dump(names, handle)
        remove_tree(kept)
        Path(made).rename(kept)
