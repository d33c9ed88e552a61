"""Which Python interpreter does a request mean?

Of those that are installed only the one that is chosen is run, once, and its answer is remembered in the store. Nothing
is downloaded except inside of `downloading`.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from hwb.errors import InterpreterNotFound, UsageError
from hwb.installs import SOURCES, Candidate, running_candidate, running_executable, running_flags, scan
from hwb.pyprobe import Interpreter, ask
from hwb.pyspec import NAMES, Spec, allowed, kind_of, parse_spec, split_specs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Protocol
else:
    Protocol = object  # making one takes as long as a search

__all__ = [
    "Downloads",
    "Interpreter",
    "Spec",
    "allowed",
    "downloading",
    "downloads",
    "find",
    "parse_spec",
    "ranked",
    "running",
    "split_specs",
    "version_key",
]


class Downloads(Protocol):
    """How an interpreter that is not there comes here (`hwb.pydownload`)."""

    @property
    def always(self) -> bool:
        """Whether only what was downloaded counts (nox's `download_python="always"`)."""

    def provide(self, request: str, missing: InterpreterNotFound, search: Callable[[], Interpreter]) -> Interpreter:
        """Make sure that one is there, and what `search` finds then; errors say why not, `missing` what was seen."""


_downloads: ContextVar[Downloads | None] = ContextVar("hwb_downloads", default=None)


def downloads() -> Downloads | None:
    """What fetches interpreters for this thread or task; None: nothing does, and the network is not used."""
    return _downloads.get()


@contextmanager
def downloading(way: Downloads | None) -> Iterator[None]:
    """Inside the block, `find` fetches what is not there in this way (None: it does not)."""
    token = _downloads.set(way)
    try:
        yield
    finally:
        _downloads.reset(token)


def running() -> Interpreter:
    """The interpreter that runs hwb; of a virtual environment the one that it was made from."""
    path = running_executable()
    if not path:
        raise InterpreterNotFound("the running Python does not know its executable", remedy="name one with --python")
    info = sys.version_info
    stage = {"alpha": "a", "beta": "b", "candidate": "rc"}.get(info.releaselevel, "")
    version = f"{info.major}.{info.minor}.{info.micro}{f'{stage}{info.serial}' if stage else ''}"
    return Interpreter(path, version, sys.implementation.name, "running", running_flags())


def find(
    spec: str | None = None,
    *,
    requires_python: str = "",
    environ: Mapping[str, str] | None = None,
    python_path: str | None = None,
) -> Interpreter:
    """The interpreter that a request means; without one the running one, else the newest that `requires_python` allows.

    `python_path` is a configured executable: it is taken if it is what `spec` asks for, nothing else is looked at.
    Raises InterpreterNotFound (with everything that was seen), UsageError for a spec that makes no sense, ConfigError
    for a `requires_python` that is no PEP 440 specifier, and inside of `downloading` what that raises.
    """
    wanted = _parsed(spec)
    fits = _both(allowed(requires_python), allowed(wanted.range))
    explicit = python_path or wanted.path
    if explicit:
        return _explicit(os.path.abspath(os.path.expanduser(explicit)), wanted, fits, requires_python)
    way = downloads()
    fresh = way is not None and way.always and wanted.named
    if not fresh and _means_running(wanted) and fits(running().version):
        return running()
    try:
        return _search(wanted, fits, requires_python, _downloaded(environ) if fresh else scan(environ))
    except InterpreterNotFound as missing:
        if way is None:
            raise
        request = str(wanted) if wanted.named else requires_python
        return way.provide(request, missing, lambda: _search(wanted, fits, requires_python, _downloaded(environ)))


def _downloaded(environ: Mapping[str, str] | None) -> list[Candidate]:
    return [one for one in scan(environ) if one.source == "hwb"]


def _parsed(spec: str | None) -> Spec:
    try:
        return parse_spec(spec) if spec else Spec()
    except ValueError as error:
        raise UsageError(str(error), remedy="name a version such as 3.12, or the path of an interpreter") from error


def _both(first: Callable[[str], bool], second: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda version: first(version) and second(version)


def _means_running(wanted: Spec) -> bool:
    """Whether the running interpreter is what is asked for: whoever asks for nothing, or for it; a range is no name."""
    own = running_candidate()
    if own is None or not wanted.named:
        return own is not None
    return not wanted.range and _is_kind(wanted, own) and wanted.contains(own.version)


def _is_kind(wanted: Spec, found: Candidate | Interpreter) -> bool:
    """Whether implementation and ABI are what is asked for: 3.13 is never free-threaded, and never PyPy."""
    return (found.implementation, found.flags) == (wanted.implementation, wanted.flags)


def _explicit(path: str, wanted: Spec, fits: Callable[[str], bool], requires_python: str) -> Interpreter:
    answer = ask(path, "path")
    if isinstance(answer, str):
        raise InterpreterNotFound(f"{path} {answer}", remedy="give the path of a Python executable")
    kind = bool(wanted.path) or not wanted.named or _is_kind(wanted, answer)
    if not kind or not wanted.contains(version_key(answer.version)) or not fits(answer.version):
        asked = f"Python {requires_python}" if wanted.path or not wanted.named else str(wanted)
        raise InterpreterNotFound(
            f"{path} is {answer.sentence}, but {asked} is asked for",
            remedy="correct the path (python-path) or the version",
        )
    return answer


def _search(
    wanted: Spec, fits: Callable[[str], bool], requires_python: str, candidates: list[Candidate]
) -> Interpreter:
    refused: dict[str, str] = {}
    prerelease: Interpreter | None = None
    for candidate in ranked([one for one in candidates if _possible(wanted, one)], wanted):
        answer = ask(candidate.path, candidate.source)
        if isinstance(answer, str):
            refused[candidate.path] = answer
        elif not _is_kind(wanted, answer) or not wanted.contains(version_key(answer.version)):
            refused[candidate.path] = f"is {answer.title}"
        elif not fits(answer.version):
            outside = " and ".join(filter(None, (wanted.range, requires_python)))
            refused[candidate.path] = f"is {answer.version}, outside of {outside}"
        elif len(wanted.version) >= 2 or answer.version.replace(".", "").isdigit():
            return answer
        else:
            prerelease = prerelease or answer  # whoever names no minor wants a finished one
    if prerelease is not None:
        return prerelease
    raise _not_found(wanted, requires_python, candidates, refused)


def _possible(wanted: Spec, candidate: Candidate) -> bool:
    """Whether it is worth asking: names tell a version and an implementation, and a letter when they have one."""
    same = candidate.implementation == wanted.implementation and candidate.flags in (wanted.flags, "")
    return same and wanted.allows(candidate.version)


def ranked(candidates: list[Candidate], wanted: Spec) -> list[Candidate]:
    """Those that are named like it, newest minor first; then by source, then by patch. An unknown minor comes last."""

    def key(candidate: Candidate) -> tuple[bool, bool, tuple[int, ...], int, tuple[int, ...]]:
        version = candidate.version
        minor = tuple(-number for number in version[:2]) if len(wanted.version) < 2 else ()
        patch = tuple(-number for number in version[2:]) if candidate.source != "PATH" else ()
        unlike = candidate.flags != wanted.flags
        return unlike, len(version) < 2, minor, SOURCES.index(candidate.source), patch or (1,)

    return sorted(candidates, key=key)


def version_key(version: str) -> tuple[int, ...]:
    """(3, 15, 0) of "3.15.0rc1"."""
    import re

    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _not_found(
    wanted: Spec, requires_python: str, candidates: Iterable[Candidate], refused: Mapping[str, str]
) -> InterpreterNotFound:
    what = wanted.spoken if wanted.named else f"Python that satisfies {requires_python or 'the request'}"
    rows = [(_known(one), one.source, one.path, refused.get(one.path, "")) for one in candidates]
    width = max((len(known) for known, *_ in rows), default=0)
    lines = [
        f"{known:<{max(width, 8)}} {source:<8} {path}{f'  ({why})' if why else ''}" for known, source, path, why in rows
    ]
    return InterpreterNotFound(
        f"there is no {what} on this machine",
        remedy=_remedy(wanted, requires_python),
        detail="seen:\n" + "\n".join(lines or ["nothing"]),
    )


def _known(candidate: Candidate) -> str:
    """What the names tell, as people say it."""
    name = "" if candidate.implementation == "cpython" else NAMES.get(candidate.implementation, "")
    version = ".".join(map(str, candidate.version)) or "?"
    return " ".join(filter(None, (name, version, kind_of(candidate.flags))))


def _remedy(wanted: Spec, requires_python: str) -> str:
    from hwb.pyuv import find_uv

    plain = wanted.named and not wanted.range
    number = str(wanted) if wanted.named else requires_python or "VERSION"
    ways = [f"`uv python install {number if plain else repr(number)}`"]
    ways += [f"`pyenv install {number if plain else 'VERSION'}`", "your system's package for that version"]
    ways += ["--download-python"] if find_uv() is not None else []
    return ", ".join(ways[:-1]) + f", or {ways[-1]}"
