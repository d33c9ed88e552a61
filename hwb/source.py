"""How does whatever a project comes from become a directory on this machine, for as long as it is needed?

What was fetched or unpacked lies in the store and is removed with its `ResolvedSource`, also when resolving fails or
is called off half-way; the user's own directory is used where it is, and never touched. How sources are written is
in `hwb.fetch.forms`, whose names are those of this module too.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hwb.context import current
from hwb.errors import OfflineError, SourceError
from hwb.fetch.forms import SourceSpec, SourceType, check, is_archive, parse_source
from hwb.fetch.places import Place, inside_path, project_directory, take_place
from hwb.fetch.urls import hidden

if TYPE_CHECKING:
    from pathlib import Path

    from hwb.store import Store

__all__ = [
    "ResolvedSource",
    "SourceResolver",
    "SourceSpec",
    "SourceType",
    "parse_source",
    "resolve_source",
]


@dataclass(frozen=True, slots=True)
class ResolvedSource:
    """A source that is a directory now: `local_path` is the project, `spec.type` what the source turned out to be.

    A context manager: leaving it removes what is temporary (`place`; None: `local_path`). `commit_hash` is the full
    commit of a git source.
    """

    spec: SourceSpec
    local_path: Path
    is_temporary: bool
    commit_hash: str | None = None
    place: Place | None = field(default=None, repr=False, compare=False)

    def cleanup(self) -> None:
        """Remove what is temporary, never the user's own; twice is as good as once."""
        from hwb.fs import remove_tree

        if self.place is not None:
            self.place.remove()
        elif self.is_temporary:
            remove_tree(self.local_path)

    def __enter__(self) -> ResolvedSource:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.cleanup()


# --- making it a directory -------------------------------------------------------------------------------------------


class SourceResolver:
    """Resolves sources for callers in an event loop; `cache_dir` (None: `sources` in the store) is made when used."""

    def __init__(self, cache_dir: str | os.PathLike[str] | None = None) -> None:
        self.cache_dir = cache_dir

    def parse_source(self, source: str) -> SourceSpec:
        """See `parse_source`."""
        return parse_source(source)

    async def resolve(self, spec: SourceSpec) -> ResolvedSource:
        """See `resolve_source`; cancelling the task ends what runs and leaves nothing behind."""
        import asyncio
        from functools import partial

        from hwb.context import CancelToken, use

        outer = current()
        token = CancelToken()
        forget = outer.token.on_cancel(token.cancel)

        def work() -> ResolvedSource:
            with use(outer.but(token=token)):
                return resolve_source(spec, cache_dir=self.cache_dir)

        thread = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(thread)
        except asyncio.CancelledError:
            token.cancel("the task was cancelled")
            await asyncio.wait([thread])
            if thread.exception() is None:  # it was done in the same moment
                await asyncio.to_thread(partial(ResolvedSource.cleanup, thread.result()))
            raise
        finally:
            forget()
            token.close()


def resolve_source(
    spec: SourceSpec, *, cache_dir: str | os.PathLike[str] | None = None, offline: bool = False
) -> ResolvedSource:
    """Make a source a directory; use the result as a context manager, or call its `cleanup()`.

    `offline` (also of the run) takes only what is on this machine. Raises SourceError, OfflineError, ValidationError
    (an archive that is unsafe, damaged or another than its sha256 says), ToolNotFound (git, git-lfs), Cancelled.
    """
    check(spec)
    location = spec.location.removeprefix("git+") if spec.is_git else spec.location
    spec = replace(spec, location=location, subdirectory=inside_path(spec.subdirectory) or None)
    if spec.type is SourceType.LOCAL_PATH and os.path.isdir(location) and not (spec.ref or _is_bare(location)):
        return _named(ResolvedSource(spec, project_directory(location, spec.subdirectory), is_temporary=False))
    store = _store(cache_dir)
    place = take_place(store)
    try:
        return _named(_Resolving(spec, store, place, offline or current().offline).done())
    except BaseException:
        place.remove()
        raise


def _store(cache_dir: str | os.PathLike[str] | None) -> Store:
    from pathlib import Path

    from hwb.store import Store, open_store

    return Store(Path(cache_dir).absolute() if cache_dir is not None else open_store().root / "sources")


def _is_bare(folder: str) -> bool:
    """Whether a directory is a repository without files: there is nothing to build but a commit."""
    return all(os.path.exists(os.path.join(folder, name)) for name in ("HEAD", "objects", "refs"))


def _named(resolved: ResolvedSource) -> ResolvedSource:
    """Raise SourceError when the project says that it is another one than `#egg=` names."""
    if resolved.spec.name is None:
        return resolved
    from packaging.utils import canonicalize_name

    from hwb.project import read_project

    name = read_project(resolved.local_path).name
    if name is not None and canonicalize_name(name) != canonicalize_name(resolved.spec.name):
        raise SourceError(f"{resolved.spec} is the project {name!r}, not {resolved.spec.name!r}")
    return resolved


class _Resolving:
    """One source on its way into its place."""

    __slots__ = ("_offline", "_place", "_spec", "_store")

    def __init__(self, spec: SourceSpec, store: Store, place: Place, offline: bool) -> None:
        self._spec = spec
        self._store = store
        self._place = place
        self._offline = offline

    def done(self) -> ResolvedSource:
        spec = self._spec
        if spec.type is SourceType.LOCAL_PATH:
            return self._local()
        if spec.probe:
            return self._probed()
        return self._git(spec.location, spec.ref) if spec.is_git else self._archive()

    def _local(self) -> ResolvedSource:
        """A commit of a repository on this machine, or an archive that was called a path."""
        from pathlib import Path

        from hwb.fetch.git import local_commit

        spec = self._spec
        if os.path.isfile(spec.location) and is_archive(spec.location) and spec.ref is None:
            self._spec = replace(spec, type=SourceType.TARBALL)
            return self._archive()
        if not os.path.isdir(spec.location):
            raise SourceError("there is no such directory", where=spec.location)
        top, commit = local_commit(spec.location, spec.ref or "HEAD")
        below = os.path.relpath(os.path.realpath(spec.location), os.path.realpath(top)).replace(os.sep, "/")
        return self._git(Path(top).as_uri(), commit, below)

    def _git(self, url: str, ref: str | None, below: str = "") -> ResolvedSource:
        from hwb.fetch.git import checkout

        spec = self._spec
        if self._offline and not url.startswith("file://"):
            raise OfflineError(f"{spec} is on the network, which must not be used", remedy="build from a local copy")
        inside = inside_path("/".join(part for part in (below, spec.subdirectory) if part))
        top = str(self._place.path / _basename(url))
        commit = checkout(url, top, ref=ref, subdirectory=inside or None)
        return ResolvedSource(spec, project_directory(top, inside), True, commit, self._place)

    def _probed(self) -> ResolvedSource:
        """A URL that only its server can explain: a repository, else an archive."""
        from hwb.fetch.git import find_git, is_repository

        find_git()
        if not self._offline and self._spec.sha256 is None and is_repository(self._spec.location):
            return self._git(self._spec.location, self._spec.ref)
        address = self._spec.location + (f"@{self._spec.ref}" if self._spec.ref else "")
        self._spec = replace(self._spec, type=SourceType.TARBALL, location=address, ref=None, probe=False)
        try:
            return self._archive()
        except SourceError as error:
            what = f"Cannot determine source type for: {hidden(address)}"
            remedy = "git finds no repository there; check the address, or write git+https:// to see what git says"
            raise SourceError(what, detail=str(error), remedy=remedy) from error

    def _archive(self) -> ResolvedSource:
        from hwb.archive import extract_archive

        spec = self._spec
        path = self._file()
        top = extract_archive(path, self._place.path / "source")
        settled = _settled(spec, top)
        return ResolvedSource(settled, project_directory(top, spec.subdirectory), True, None, self._place)

    def _file(self) -> str:
        """The archive on this machine, known to be the right one."""
        spec = self._spec
        if "://" in spec.location:
            from hwb.fetch.download import download

            return str(download(spec.location, self._store, sha256=spec.sha256, offline=self._offline))
        if not os.path.isfile(spec.location):
            raise SourceError("there is no such file", where=spec.location)
        if spec.sha256 is not None:
            _verify(spec.location, spec.sha256)
        return spec.location


def _verify(path: str, sha256: str) -> None:
    from hwb.errors import ValidationError
    from hwb.fs import sha256_file

    found = sha256_file(path)
    if found != sha256:
        remedy = "find out which of the two is right before you use either"
        raise ValidationError(f"the sha256 of this file is {found}, not {sha256}", where=path, remedy=remedy)


def _basename(url: str) -> str:
    """The directory a repository is checked out into: named after it, for messages that show it."""
    name = re.sub(r"[^\w.+-]+", "_", re.split(r"[/\\:]", url.rstrip("/"))[-1].removesuffix(".git"))
    return name.lstrip(".") or "source"


def _settled(spec: SourceSpec, top: str) -> SourceSpec:
    """The spec with what the archive is: an sdist when its name, its one directory and its content say so (PEP 643).

    Raises SourceError when it was said to be an sdist, and is none.
    """
    name = re.split(r"[?#]", spec.location)[0].replace("\\", "/").rpartition("/")[2]
    folder = os.path.basename(top)
    named = re.fullmatch(rf"{re.escape(folder)}(\.tar\.gz|\.tgz|\.zip|\.tar\.bz2|\.tar\.xz)", name, re.IGNORECASE)
    if named and "-" in folder and os.path.isfile(os.path.join(top, "PKG-INFO")):
        return replace(spec, type=SourceType.SDIST)
    if spec.type is SourceType.SDIST:
        what = f"{name} is no sdist: those are NAME-VERSION with a PKG-INFO in a directory of that name"
        raise SourceError(what, remedy="build it as a tarball")
    return replace(spec, type=SourceType.TARBALL)
