"""How does an image get what a project's `before-all` installs, once, before the containers without a network start?

The commands run as root with a network in a container of the image; what it is then is kept as an image of its own,
named by the image, the commands and what they read. They see the project's sources as /src, and nothing else of this
machine.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from hwb.context import current
from hwb.errors import CommandFailed, HwbError
from hwb.isolation.images import LocalImage, ensure_image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwb.isolation.engine import Engine

__all__ = ["prepared_image"]

_REPOSITORY = "hwb-prepared"


def prepared_image(
    engine: Engine, image: LocalImage, script: str, *, sources: str, content: str, environ: Mapping[str, str]
) -> LocalImage:
    """The image after a script for a shell; `content` changes with what the script reads of `sources`.

    Raises CommandFailed when the script fails, OfflineError when the image was never made and there is no network.
    """
    from hwb.store import fingerprint, open_store

    variables = [f"{name}={value}" for name, value in sorted(environ.items())]
    key = fingerprint(image.id, script, content, *variables)
    tag = f"{_REPOSITORY}:{key[:20]}"
    with open_store().lock(f"image-{key}", on_wait=_say_waiting):
        known = engine.asks("image", "inspect", "--format", "{{.Id}}", tag)
        if known is None and not current().offline:
            _prepare(engine, image, script, tag, sources, environ)
    return ensure_image(engine, tag)


def _prepare(
    engine: Engine, image: LocalImage, script: str, tag: str, sources: str, environ: Mapping[str, str]
) -> None:
    from hwb import proc
    from hwb.isolation.container import owner_labels
    from hwb.isolation.engine import undisturbed

    name = f"hwb-prepare-{os.getpid()}-{secrets.token_hex(4)}"
    args = ["run", f"--name={name}", "--pull=never", "--user=0:0", "--workdir=/src"]
    args += [f"--label={label}={value}" for label, value in owner_labels().items()]
    args += ["--mount", f"type=bind,source={sources},target=/src,readonly", "--entrypoint=/bin/sh"]
    args += [word for variable in environ for word in ("--env", variable)]
    try:
        client = {**current().outer_env, **environ}
        proc.run([engine.path, *args, image.id, "-exc", script], env=client)
        engine.call("commit", "--change", "ENTRYPOINT []", name, tag, what="keeping a prepared image", timeout=None)
    except CommandFailed as error:
        raise CommandFailed(f"before-all: {error.what}", error.return_code, detail=error.detail) from error
    finally:
        with undisturbed():
            try:
                engine.call("rm", "--force", "--volumes", name, what="removing a container", timeout=60.0)
            except HwbError:
                pass  # it never came to be


def _say_waiting(_path: str) -> None:
    current().emit("message", level="info", text="waiting for another hwb that prepares this image")
