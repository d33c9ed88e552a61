"""What may a registry be given that others install from, and what only the `local` one takes?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hwb.errors import RefusedError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from hwb.registry.local import Receipt

__all__ = ["Publisher", "admit"]


class Publisher(Protocol):
    """Where artifacts are published; `private` is one that nobody else installs from, which takes everything."""

    private: bool

    @property
    def url(self) -> str:
        """The simple index (PEP 503) that pip and uv take as `--index-url`."""
        ...

    def publish(self, files: Sequence[str | os.PathLike[str]]) -> list[Receipt]:
        """Hand over all files or none; a receipt for each, in this order. Raises ConflictError, ValidationError."""
        ...

    def file(self, name: str) -> str | None:
        """The path of a copy of what is served under that name; None when nothing is."""
        ...


def admit(publisher: Publisher, names: Sequence[str], missing: Sequence[tuple[str, str]], *, partial: bool) -> None:
    """Refuse what would be published halfway: RefusedError before anything is handed over.

    `names` are files, `missing` the identifiers of wheels that were not made, with reasons. Everywhere but in a private
    registry a set must be whole unless `partial`, and no wheel may say `linux_*`: that tag promises nothing about the
    system (PEP 513), so installers elsewhere would take a wheel that does not run there.
    """
    if publisher.private:
        return
    here = [name for name in names if _for_this_machine(name)]
    if here:
        remedy = "build it in a container, or see what the repair said: it names the library or symbol in the way"
        raise RefusedError(
            f"{', '.join(here)} runs on this machine only; the local index takes it, no other", remedy=remedy
        )
    if missing and not partial:
        detail = "\n".join(f"{identifier}: {reason}" for identifier, reason in missing)
        remedy = "make them where the list says, or publish what there is with --partial"
        raise RefusedError(
            f"wheels of this release that were not made here: {len(missing)}", remedy=remedy, detail=detail
        )


def _for_this_machine(name: str) -> bool:
    from hwb.wheel.filenames import parse_wheel_name

    wheel = parse_wheel_name(name)
    return wheel is not None and any(platform.startswith("linux_") for platform in wheel.platforms)
