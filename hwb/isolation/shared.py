"""How is one environment made once, shared by every process that needs the same, and noticed when somebody changes it?

requirements -> pins (remembered for a day) -> fingerprint -> environment in the store. An environment is made at its
final path (its scripts name their Python) under a lock; the marker, written last, makes it valid.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from hwb.context import current
from hwb.errors import OfflineError
from hwb.isolation.environment import MARKER, Venv, announce, venv_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hwb.isolation.backends import Provisioner
    from hwb.pythons import Interpreter
    from hwb.store import Store

__all__ = ["PINS_SECONDS", "environment_of_pins", "pins_of", "pins_until", "shared_environment", "verify_unmodified"]

PINS_SECONDS = 24 * 3600.0
"""How long pins are used without asking the index for newer versions."""
_FORMAT = "shared/1"
_INDEX_PREFIXES = ("PIP_", "UV_")


def shared_environment(
    interpreter: Interpreter,
    requirements: Sequence[str],
    *,
    constraints: Sequence[str] = (),
    backend: str | None = None,
    purpose: str = "",
) -> Venv:
    """See `hwb.isolation.venv.shared_environment`."""
    pins = pins_of(interpreter, requirements, constraints, backend=backend)
    return environment_of_pins(interpreter, requirements, pins, backend=backend, purpose=purpose)


def pins_of(
    interpreter: Interpreter,
    requirements: Sequence[str],
    constraints: Sequence[str] = (),
    *,
    backend: str | None = None,
    installer: Provisioner | None = None,
) -> list[str]:
    """What requirements mean today, as pins; remembered for a day. Raises DependencyError, OfflineError.

    `installer` is asked instead of the one that `backend` chooses.
    """
    from hwb.isolation.backends import choose
    from hwb.store import open_store

    asked = installer or choose(backend)
    local = _local_states(requirements)
    return _pins(open_store(), asked, interpreter, list(requirements), list(constraints), local)


def pins_until(
    interpreter: Interpreter,
    requirements: Sequence[str],
    constraints: Sequence[str] = (),
    *,
    backend: str | None = None,
) -> float:
    """The Unix time at which what these requirements mean has to be asked for again; 0 when it is not known."""
    from hwb.isolation.backends import choose
    from hwb.store import open_store

    if _locked(requirements):
        return float("inf")
    local, installer = _local_states(requirements), choose(backend)
    name = _pins_name(installer, interpreter, requirements, constraints, local, current().outer_env)
    age, known = _remembered(open_store().read_json("pins", name))
    return 0.0 if known is None or local else time.time() - age + PINS_SECONDS


def _locked(requirements: Sequence[str]) -> bool:
    """Whether there is nothing to resolve: no requirement at all, or every one with its hash."""
    return all("--hash=" in requirement for requirement in requirements)


def _local_states(requirements: Sequence[str]) -> list[str]:
    return [_local_state(requirement) for requirement in requirements if "@" in requirement]


def environment_of_pins(
    interpreter: Interpreter,
    requirements: Sequence[str],
    pins: Sequence[str],
    *,
    backend: str | None = None,
    purpose: str = "",
    installer: Provisioner | None = None,
) -> Venv:
    """The environment that has exactly these pins, which is what `requirements` mean.

    `installer` makes it instead of the one that `backend` chooses.
    """
    from hwb.isolation.backends import choose
    from hwb.store import fingerprint, open_store

    started = time.monotonic()
    installer, store = installer or choose(backend), open_store()
    local = _local_states(requirements)
    name = fingerprint(_FORMAT, purpose, interpreter.identity, installer.name, *sorted(pins), *local)
    path = str(store.env_path(name))
    venv = _finished(path, installer, interpreter)
    if venv is None:
        with store.lock(f"env-{name}", on_wait=_say_waiting):
            venv = _finished(path, installer, interpreter) or _make(store, path, installer, interpreter, pins)
    announce(venv, started)
    return venv


def _say_waiting(path: str) -> None:
    current().emit("message", level="info", text=f"waiting for another process that makes the environment ({path})")


def _finished(path: str, installer: Provisioner, interpreter: Interpreter) -> Venv | None:
    """The environment if its marker is there (it names nothing that could have changed: the path is a fingerprint)."""
    venv = venv_at(path, installer, interpreter, reused=True)
    marker = os.path.join(path, MARKER)
    if not (os.path.isfile(marker) and _has_python(venv)):
        return None
    try:
        os.utime(marker)  # pruning is by age of use
    except OSError:
        pass  # a store that is read-only is not pruned either
    return venv


def _has_python(venv: Venv) -> bool:
    """The Python of an environment for a container is a link that leads nowhere on this machine."""
    foreign = venv.interpreter.source == "image"
    return os.path.lexists(venv.python) if foreign else os.path.exists(venv.python)


def _make(store: Store, path: str, installer: Provisioner, interpreter: Interpreter, pins: Sequence[str]) -> Venv:
    import json

    from hwb.fs import atomic_write, remove_tree

    context = current()
    venv = venv_at(path, installer, interpreter, reused=False)
    remove_tree(path)
    try:
        installer.create(path, interpreter, ())
        if pins:
            with store.temporary("sync-") as directory:
                listed = directory / "pins.txt"
                listed.write_text("\n".join(pins) + "\n", encoding="utf-8")
                installer.sync(venv.python, str(listed), env=context.outer_env, offline=context.offline)
        record = {"interpreter": interpreter.identity, "backend": installer.name, "pins": list(pins)}
        record["manifest"] = _manifest(path)
        atomic_write(os.path.join(path, MARKER), json.dumps(record), durable=False)
    except BaseException:
        remove_tree(path)
        raise
    return venv


# --------------------------------------------------------------------------------------------------------- pins


def _pins(
    store: Store,
    installer: Provisioner,
    interpreter: Interpreter,
    requirements: list[str],
    constraints: list[str],
    local: list[str],
) -> list[str]:
    """What the requirements mean today; beyond a day the remembered answer serves only without a network."""
    from hwb.isolation.installing import NetworkDown

    if _locked(requirements):
        return requirements  # locked already
    context = current()
    record = ("pins", _pins_name(installer, interpreter, requirements, constraints, local, context.outer_env))
    age, known = _remembered(store.read_json(*record))
    if known is not None and (0 <= age < PINS_SECONDS or context.offline):
        return known
    try:
        pins = installer.resolve(interpreter, requirements, constraints, env=context.outer_env, offline=context.offline)
    except (NetworkDown, OfflineError):
        if known is None:
            raise
        text = (
            f"the index does not answer: using the versions of {', '.join(requirements)} chosen {age / 3600:.0f} h ago"
        )
        context.emit("message", level="warning", text=text)
        return known
    store.write_json(*record, value={"at": time.time(), "requirements": requirements, "pins": pins})
    return pins


def _pins_name(
    installer: Provisioner,
    interpreter: Interpreter,
    requirements: Sequence[str],
    constraints: Sequence[str],
    local: Sequence[str],
    env: Mapping[str, str],
) -> str:
    """Other settings of index, installer or interpreter can mean other versions; only a digest of them is kept."""
    from hwb.isolation.pipconf import read_pip_settings
    from hwb.store import fingerprint

    settings = [f"{name}={value}" for name, value in sorted(env.items()) if name.startswith(_INDEX_PREFIXES)]
    asked = ("\n".join(sorted(requirements)), "\n".join(sorted(constraints)), "\n".join(local))
    told = ("\n".join(settings), repr(read_pip_settings(env)))
    return fingerprint(_FORMAT, installer.name, interpreter.identity, *asked, *told) + ".json"


def _remembered(record: object) -> tuple[float, list[str] | None]:
    """Age in seconds and the pins of a record; a record of another shape counts as none."""
    if not isinstance(record, dict):
        return 0.0, None
    at, pins = record.get("at"), record.get("pins")
    if not isinstance(at, (int, float)) or not isinstance(pins, list):
        return 0.0, None
    return time.time() - at, [str(pin) for pin in pins]


def _local_state(requirement: str) -> str:
    """What a `name @ file:///...` requirement stands for now: the file's hash, or the state of a directory's files."""
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    url = urlsplit(requirement.partition("@")[2].partition(";")[0].strip())
    path = url2pathname(url.path)
    if url.scheme != "file" or not os.path.exists(path):
        return ""
    if os.path.isfile(path):
        from hwb.fs import sha256_file

        return sha256_file(path)
    return _manifest(path)


# ----------------------------------------------------------------------------------------------------- manifest


def verify_unmodified(venv: Venv) -> bool:
    """See `hwb.isolation.venv.verify_unmodified`."""
    import json

    marker = os.path.join(venv.path, MARKER)
    try:
        with open(marker, "rb") as handle:
            known = json.loads(handle.read())
    except (OSError, ValueError):
        return False
    if known.get("manifest") == _manifest(venv.path):
        return True
    # without its marker nobody takes it any more; whoever needs it next removes it and makes it anew
    try:
        os.unlink(marker)
    except OSError:
        pass
    return False


def _manifest(path: str) -> str:
    """A digest of name, size and mtime of every file; byte code is left out, since using packages writes it."""
    from hwb.store import fingerprint

    return fingerprint(*sorted(_files(path, "")))


def _files(path: str, prefix: str) -> Iterator[str]:
    with os.scandir(path) as entries:
        for entry in entries:
            name = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                if entry.name != "__pycache__":
                    yield from _files(entry.path, f"{name}/")
            elif not entry.name.endswith(".pyc") and name != MARKER:
                status = entry.stat(follow_symlinks=False)
                yield f"{name}|{status.st_size}|{status.st_mtime_ns}"
