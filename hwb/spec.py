"""What is a session made of, as plain data that any executor can run it from, and who serves it while it runs?"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwb.artifacts import Ledger
    from hwb.config import Settings
    from hwb.loader import Catalog

__all__ = ["Notifier", "ProcessEnv", "Quit", "Services", "SessionSpec", "Skip", "safe_name"]


class Quit(Exception):
    """`session.error`: the session failed on purpose."""


class Skip(Exception):
    """`session.skip`: the session has nothing to do."""


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """All that is needed to run a session elsewhere, as plain data (JSON round trip by `to_json` and `from_json`).

    `settings` is `Settings.to_json()`.

    Parameters travel by number, artifacts by the ledger's path: functions and values stay in the hwbfile.
    """

    id: str
    recipe: str
    number: int
    run_id: str
    root: str
    run_dir: str
    log: str
    hwbfile: str | None = None
    organisation: str | None = None
    origin: str = ""
    """file:line of the recipe that runs."""
    python: str | bool | None = None
    param_index: int | None = None
    posargs: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    ledger: str | None = None
    invoked_from: str = ""
    attempt: int = 1
    parallel: bool = False
    interactive: bool = False
    install_only: bool = False
    no_install: bool = False
    reuse: bool = False
    verbose: int = 0
    timeout: float | None = None
    target: Mapping[str, Any] | None = None
    """The wheel that the session makes (`hwb.machine.as_record`)."""
    releases: bool = False
    """Whether what is built in this run will be published: then nothing may ship that git does not track."""
    keep: bool = False
    """Whether the container of a session that fails stays."""
    partial: bool = False
    """Whether a registry that others use may get less than all wheels."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SessionSpec:
        """From plain data; unknown fields are refused by the constructor."""
        values = dict(data)
        values["posargs"] = tuple(values.get("posargs", ()))
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(f"not a session specification: unknown {', '.join(sorted(unknown))}")
        return cls(**values)


class Notifier(Protocol):
    """What `session.notify` looks up to; the scheduler implements it."""

    def notify(self, target: str, posargs: Sequence[str] | None, by: str) -> bool:
        """Add a session to the running plan; False if it is in it already, ValueError if there is none."""
        ...


@dataclass(slots=True, eq=False, repr=False)
class Services:
    """What the runner lends to a session: the same objects in a thread, stand-ins with the same methods in a child."""

    catalog: Catalog
    settings: Settings
    ledger: Ledger
    notifier: Notifier
    secrets: tuple[bytes, ...] = ()
    """Byte strings to mask in everything that is written."""
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    """What commands inherit: the environment without upload credentials."""
    shared: dict[str, Any] = field(default_factory=dict)
    """What sessions share while the run lasts (`Context.shared`)."""

    def close(self) -> None:
        """End what is shared."""
        for thing in self.shared.values():
            thing.close()


def safe_name(text: str, limit: int = 60) -> str:
    """A file name for a session's id; different ids never share one (a hash is added when something was changed)."""
    slug = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text).strip("-.")[:limit]
    if slug == text and not text.endswith("."):
        return slug
    from hashlib import sha256

    digest = sha256(text.encode(errors="backslashreplace")).hexdigest()
    return f"{slug}-{digest[:8]}".lstrip("-")


@dataclass(slots=True, eq=False, repr=False)
class ProcessEnv:
    """A session's environment as nox shows it: where it is, and what its commands get to see."""

    location: str
    bin_paths: list[str] | None
    venv_backend: str
    env: dict[str, str | None] = field(default_factory=dict)
    is_sandboxed: bool = True
    allowed_globals: tuple[str, ...] = ()
    reused: bool = False

    @property
    def bin(self) -> str:
        """The first directory with the environment's programs; ValueError without one."""
        if not self.bin_paths:
            raise ValueError("The environment does not have a bin directory.")
        return self.bin_paths[0]
