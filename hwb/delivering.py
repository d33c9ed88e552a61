"""How does a finished wheel come into the output directory, and what is recorded of it?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hwb.errors import RepairError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwb.artifacts import Artifact
    from hwb.repair import RepairOptions
    from hwb.session import Session

__all__ = ["deliver", "place", "repair_here", "repaired_once"]


def repair_here(session: Session) -> list[Artifact]:
    """Repair every platform wheel of a run on this machine, to the oldest system that its code proves (C-11).

    One that cannot be repaired stays as it is, with a warning: it works here, and no registry but `local` takes it.
    """
    from hwb.repair import RepairOptions, repair_wheels

    made = []
    folder = os.path.join(session._spec.run_dir, "wheels", "repaired")
    for wheel in session.artifacts.wheels:
        if wheel.name.endswith("-any.whl"):
            continue
        try:
            (done,) = repair_wheels([wheel.path], folder, RepairOptions())
        except RepairError as error:
            session.warn("%s stays for this machine only: %s", wheel.name, error.what)
            continue
        made.append(deliver(session, wheel, done.path, os.path.dirname(wheel.path)))
    return made


def repaired_once(session: Session, wheel: Artifact, room: str, options: RepairOptions, work: Callable[[], str]) -> str:
    """The path of a repaired wheel: of an earlier repair of the same bytes in the same room, else of `work`.

    `room` is the identity of a place where nothing changes: on this machine other libraries may be there tomorrow.
    """
    from hwb.builder import results
    from hwb.locks import requirement_lines

    tools = "\n".join((*requirement_lines("auditwheel"), *requirement_lines("abi3audit")))
    inputs = {"repaired": wheel.sha256, "name": wheel.name, "room": room, "options": repr(options), "tools": tools}
    folder = os.path.join(session._spec.run_dir, "wheels", "kept", wheel.sha256[:16])
    os.makedirs(folder, exist_ok=True)
    known = results.find(inputs, lambda _identity, _requires: ())
    found = results.hand_out(known, folder) if known else None
    if found:
        session.log("%s was repaired before; taken from the store", wheel.name)
        return found[0]
    made = work()
    results.keep(inputs, [made], ())
    return made


def deliver(session: Session, wheel: Artifact, made: str, folder: str) -> Artifact:
    """Put a repaired wheel into the output directory; a wheel there that it replaces goes."""
    from hwb.artifacts import write_manifest

    artifact = place(session, made, folder, parent=wheel.sha256)
    session._services.ledger.replaces(wheel.sha256, artifact.sha256)
    if os.path.dirname(wheel.path) == folder and artifact.path != wheel.path:
        os.unlink(wheel.path)
    write_manifest(folder, session._services.ledger, {})
    return artifact


def place(session: Session, made: str, folder: str, *, parent: str) -> Artifact:
    """Put a file into the output directory, and record it there."""
    from hwb.fs import atomic_path, copy_file

    final = os.path.join(folder, os.path.basename(made))
    os.makedirs(folder, exist_ok=True)
    with atomic_path(final) as temporary:
        copy_file(made, str(temporary))
    return session.emit(final, parent=parent)
