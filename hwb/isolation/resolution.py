"""What is an installer told, so that a wheel is tested with the oldest of what it says it works with?

To uv, what a wheel's file asks for is indirect: `lowest-direct` takes the newest of it. So it is named beside the
wheel. What only the tests need would then be old too, often older than the Python: that is pinned to what is new.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hwb.errors import HwbError, ToolNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.requirements import Requirement
    from packaging.utils import NormalizedName

__all__ = ["is_lowest", "named", "own_requirements", "pinned", "require_uv", "requirements_in"]

_LOWEST = ("lowest", "lowest-direct")
_EXTRA = re.compile(r'extra (==|!=) "([^"]*)"|"([^"]*)" (==|!=) extra')
_ALWAYS, _NEVER = 'python_version >= "3"', 'python_version < "3"'


def is_lowest(resolution: str) -> bool:
    """Whether other versions are meant than those that every installer takes by itself."""
    return resolution in _LOWEST


def require_uv(resolution: str, installer: str) -> None:
    """Raise ToolNotFound when an installer is to find old versions that takes the newest; only uv's do."""
    if is_lowest(resolution) and not installer.startswith("uv"):
        what = f"only uv finds versions by the word {resolution}, and here {installer} installs"
        remedy = "install uv and let it make environments, or name highest alone in [tool.hwb.test] resolutions"
        raise ToolNotFound(what, remedy=remedy)


@contextmanager
def named(resolution: str) -> Iterator[None]:
    """Errors of the block say with which versions they happened; an empty `resolution` says nothing."""
    try:
        yield
    except HwbError as error:
        if resolution:
            error.what = f"with the {resolution} versions of its dependencies: {error.what}"
            error.args = (error.what,)
        raise


def requirements_in(words: Sequence[str]) -> list[str]:
    """The requirements (PEP 508) among an installer's arguments: no paths, no options and what belongs to those."""
    return [text for text, requirement in _parsed(words) if requirement is not None]


def _parsed(words: Sequence[str]) -> Iterator[tuple[str, Requirement | None]]:
    for before, text in zip(("", *words), words):
        belongs = before.startswith("-") and "=" not in before  # `-r` and its file, whose name could be a project's
        yield text, None if belongs else _requirement(text)


def _requirement(text: str) -> Requirement | None:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def own_requirements(wheel: str, extras: Iterable[str]) -> list[str]:
    """What a wheel's metadata ask for when these extras are wanted, as requirements that need no extra (PEP 508).

    Their other markers stay: they are for the Python that gets them. Raises ValidationError for a broken wheel.
    """
    from packaging.utils import canonicalize_name

    from hwb.wheel import read_metadata

    metadata = read_metadata(wheel)
    own = canonicalize_name(str(metadata["Name"]))
    asked = [one for text in metadata.get_all("Requires-Dist") or () if (one := _requirement(str(text))) is not None]
    chosen = _with_implied(extras, [one for one in asked if canonicalize_name(one.name) == own])
    others = (_without_extra(one, chosen) for one in asked if canonicalize_name(one.name) != own)
    return [text for text in others if text]


def _with_implied(extras: Iterable[str], own: Sequence[Requirement]) -> frozenset[str]:
    """These extras and those that they are made of: `all` asks for the wheel's own `name[one,two]`."""
    from packaging.utils import canonicalize_name

    chosen, before = frozenset(map(canonicalize_name, extras)), None
    while chosen != before:
        before = chosen
        for one in own:
            if one.marker is None or any(one.marker.evaluate({"extra": name}) for name in before):
                chosen |= {canonicalize_name(name) for name in one.extras}
    return frozenset(chosen)


def _without_extra(requirement: Requirement, chosen: frozenset[str]) -> str:
    """What it is when these extras are chosen and no others; empty when it is not asked for then."""
    from packaging.utils import canonicalize_name

    def known(found: re.Match[str]) -> str:
        wanted = canonicalize_name(found[2] or found[3]) in chosen
        return _ALWAYS if wanted == ((found[1] or found[4]) == "==") else _NEVER

    marker, requirement.marker = requirement.marker, None
    condition = _EXTRA.sub(known, str(marker)) if marker is not None else _ALWAYS
    if condition == _NEVER:
        return ""
    return str(requirement) if condition == _ALWAYS else f"{requirement} ; {condition}"


def pinned(words: Sequence[str], pins: Iterable[str]) -> list[str]:
    """An installer's arguments, the requirements with exactly the versions of `pins`; the rest stays as it is."""
    from packaging.utils import canonicalize_name

    versions = {canonicalize_name(name): version for name, _, version in (pin.partition("==") for pin in pins)}
    return [_at(text, requirement, versions) for text, requirement in _parsed(words)]


def _at(text: str, requirement: Requirement | None, versions: Mapping[NormalizedName, str]) -> str:
    from packaging.utils import canonicalize_name

    version = None if requirement is None or requirement.url else versions.get(canonicalize_name(requirement.name))
    if requirement is None or not version:
        return text
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}=={version}"
