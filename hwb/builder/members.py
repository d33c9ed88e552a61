"""Which members of a workspace are built, in which order, and what becomes of the others when one fails?

A member that another one needs to be built comes first, and its wheel stands for the requirement. Each member's files
go into a directory of its own: two members may have files of the same name, and one is cleaned without the others.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hwb.context import current, use
from hwb.errors import HwbError, NothingToRun, RefusedError, SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hwb.analysis.members import Member
    from hwb.builder.api import BuildRequest, BuildResult
    from hwb.git import Repository

__all__ = ["affected", "build_members", "changed_members", "needed_to_build", "order"]


def build_members(
    request: BuildRequest, packages: Sequence[str] = (), changed_since: str | None = None
) -> list[BuildResult]:
    """Build members of the workspace that `request.source` is, in the current context; all of them by default.

    `packages` names some, `changed_since` leaves those out that are as they were at that commit (and need nothing that
    is not); what they need to be built is built with them. Files go to `dist/NAME` in the workspace, or `NAME` in
    `request.output_dir`. A member's failure stops those that need it; after the others its error is raised, which then
    names what was not built. Raises UsageError, NothingToRun (nothing changed), RefusedError (a circle), HwbError.
    """
    root = os.path.abspath(os.path.join(request.directory or current().cwd, os.path.expanduser(request.source)))
    members = _members(root)
    chosen = _named(packages, members, root)
    out_dir = _output_dir(request, root)
    if changed_since is not None:
        chosen &= affected(members, changed_members(root, members.values(), changed_since, out_dir))
        if not chosen:
            raise NothingToRun(f"no member changed since {changed_since}", remedy="build all: hwb build --all-packages")
    with _sharing(out_dir) as states:
        return _Work(request, root, out_dir, members, states).build(order(members, chosen))


@contextmanager
def _sharing(out_dir: str) -> Iterator[dict[str, Any]]:
    """Members share warm interpreters and what git says of the repository (given); environments are verified once."""
    from hwb.builder.zygote import Zygotes
    from hwb.isolation.shared import verify_unmodified

    context, states, venvs = current(), dict[str, Any](), dict[str, Any]()
    with Zygotes() as own:  # starts nothing by itself
        shared = {"zygotes": own, **(context.shared or {}), "states": states, "verify": venvs, "outputs": [out_dir]}
        try:
            with use(context.but(shared=shared)):
                yield states
        finally:
            for venv in venvs.values():
                verify_unmodified(venv)


def _members(root: str) -> dict[str, Member]:
    from hwb.analysis.members import workspace_members

    if not os.path.isdir(root):
        raise UsageError(f"{root} is no directory", remedy="members are built from the workspace's own directory")
    found = workspace_members(root)
    if not found:
        remedy = 'declare them in its pyproject.toml: [tool.hwb] members = ["packages/*"] (or as uv and hatch do)'
        raise UsageError(f"{root} is no workspace: it has no members", where=root, remedy=remedy)
    return {member.name: member for member in found}


def _named(packages: Sequence[str], members: Mapping[str, Member], root: str) -> set[str]:
    from hwb.analysis.requirements import canonical

    for name in packages:
        if canonical(name) not in members:
            what, remedy = f"the workspace has no member {name!r}", f"its members are {', '.join(members)}"
            raise UsageError(what, where=root, remedy=remedy)
    if packages:
        return {canonical(name) for name in packages}
    return {name for name, member in members.items() if _is_package(os.path.join(root, member.path))}


def _is_package(folder: str) -> bool:
    """Whether there is something to distribute: many a workspace's root only holds it together.

    The settings of uv, PDM and Poetry that say so count; else a build system, or the files of legacy setuptools.
    """
    from hwb.analysis.pyproject import load, subtable

    data = load(os.path.join(folder, "pyproject.toml"))
    tool = subtable(data, "tool")
    for table, key in (("uv", "package"), ("pdm", "distribution"), ("poetry", "package-mode")):
        if isinstance(said := subtable(tool, table).get(key), bool):
            return said
    legacy = any(os.path.isfile(os.path.join(folder, name)) for name in ("setup.py", "setup.cfg"))
    return "build-system" in data or legacy


def _output_dir(request: BuildRequest, root: str) -> str:
    """The directory that the members' own ones are in."""
    if request.output_dir is None:
        return os.path.join(root, "dist")
    return os.path.join(os.path.abspath(request.directory or current().cwd), os.path.expanduser(request.output_dir))


# --- who needs whom ---------------------------------------------------------------------------------------------------


def needed_to_build(name: str, members: Mapping[str, Member]) -> set[str]:
    """The members that are installed when this one is built: its build requirements, and what those need to run."""
    found: set[str] = set()
    todo = list(members[name].build_requires)
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += members[one].requires
    return found


def order(members: Mapping[str, Member], chosen: Iterable[str]) -> list[str]:
    """The chosen members and all that they need to be built, each after those; RefusedError for a circle.

    Members that do not depend on each other come in the order of `members`.
    """
    done: list[str] = []
    for name in (name for name in members if name in set(chosen)):
        _visit(name, members, done, ())
    return done


def _visit(name: str, members: Mapping[str, Member], done: list[str], path: tuple[str, ...]) -> None:
    if name in path:
        circle = " -> ".join([*path[path.index(name) :], name])
        what = f"members need each other to be built: {circle}"
        raise RefusedError(what, remedy="let one of them build without the other (build-system.requires)")
    if name not in done:
        needed = needed_to_build(name, members)
        for other in (other for other in members if other in needed):
            _visit(other, members, done, (*path, name))
        done.append(name)


def affected(members: Mapping[str, Member], changed: Iterable[str]) -> set[str]:
    """The changed members and every one that needs one of them, to be built or to run, directly or not."""
    found = set(changed)
    while True:
        more = {
            name
            for name, member in members.items()
            if name not in found and not found.isdisjoint((*member.build_requires, *member.requires))
        }
        if not more:
            return found
        found |= more


# --- what changed -----------------------------------------------------------------------------------------------------


def changed_members(root: str, members: Iterable[Member], ref: str, out_dir: str) -> set[str]:
    """Members with a file that is not as it was where this branch left `ref`, whether committed, tracked or neither.

    A file belongs to the member whose directory is nearest. Raises UsageError (no repository, no such commit),
    SourceError (nothing in common).
    """
    from hwb.digest import untracked
    from hwb.git import discover, read_state

    top = os.path.realpath(root)
    repository = discover(top)
    if repository is None:
        raise UsageError(f"--changed-since {ref}: {root} is in no git repository", where=root)
    base = _merge_base(repository, ref)
    words = ("diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--ignore-submodules=none", base, "--")
    (answer,) = repository.must(words)
    state = read_state(repository)
    names = {name for name in os.fsdecode(answer).split("\0") if name} | set(state.changed)
    names |= set(untracked(state, [os.path.realpath(out_dir)]))
    folders = sorted(((_folder(repository, member), member.name) for member in members), reverse=True)
    return {owner for name in names if (owner := _owner(name, folders))}


def _merge_base(repository: Repository, ref: str) -> str:
    if not ref or ref.startswith("-"):
        raise UsageError(f"--changed-since {ref!r}: give a branch, a tag or a commit")
    ((code, _),) = repository.ask(("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"))
    if code != 0:
        remedy = "fetch it first; in CI, check out with its history (fetch-depth: 0)"
        raise UsageError(f"--changed-since {ref}: there is no such commit", where=repository.top, remedy=remedy)
    ((code, answer),) = repository.ask(("merge-base", ref, "HEAD"))
    if code != 0:
        remedy = "in CI, check out with the history (fetch-depth: 0)"
        raise SourceError(f"{ref} and HEAD have no commit in common", where=repository.top, remedy=remedy)
    return answer.decode().strip()


def _folder(repository: Repository, member: Member) -> str:
    """A member's directory relative to the repository, with a slash at its end; empty for the repository itself."""
    return repository.prefix if member.path == "." else f"{repository.prefix}{member.path.rstrip('/')}/"


def _owner(name: str, folders: Sequence[tuple[str, str]]) -> str:
    """Folders are sorted backwards, so that a nested one comes before what it lies in."""
    return next((owner for folder, owner in folders if name.startswith(folder)), "")


# --- the work ---------------------------------------------------------------------------------------------------------


_STILL = 1.0
"""Seconds for which a tree is believed to stand still: somebody may work on it while members are built."""


class _Work:
    """Members one after the other; what failed, and what could not be tried because of it."""

    def __init__(
        self, request: BuildRequest, root: str, out_dir: str, members: Mapping[str, Member], states: dict[str, Any]
    ) -> None:
        self._request = request
        self._root = root
        self._out_dir = out_dir
        self._members = members
        self._states = states
        self._looked = time.monotonic()
        self._wheels: dict[str, str] = {}
        self._failed: dict[str, HwbError] = {}
        self._skipped: list[str] = []

    def build(self, names: Sequence[str]) -> list[BuildResult]:
        wanted_wheels = {other for name in names for other in needed_to_build(name, self._members)}
        results = []
        for name in names:
            current().token.check()
            if needed_to_build(name, self._members) & {*self._failed, *self._skipped}:
                self._skipped.append(name)
                continue
            try:
                results.append(self._one(name, wheel=name in wanted_wheels))
            except HwbError as error:
                if self._failed:  # the first one is raised in the end
                    current().emit("message", level="error", text=f"{name}: {error}")
                self._failed[name] = error
        if self._failed:
            raise self._failure()
        return results

    def _one(self, name: str, *, wheel: bool) -> BuildResult:
        from hwb.builder.api import build_source

        if time.monotonic() - self._looked > _STILL:
            self._states.clear()
            self._looked = time.monotonic()
        request = self._request
        needed = needed_to_build(name, self._members)
        local = {**request.local, **{one: self._wheels[one] for one in sorted(needed) if one in self._wheels}}
        asked = request._replace(
            source=os.path.normpath(os.path.join(self._root, self._members[name].path)),
            output_dir=os.path.join(self._out_dir, name),
            wheel=True if wheel and request.sdist else request.wheel,
            local=local,
        )
        result = build_source(asked)
        if result.wheel_path is not None:
            self._wheels[name] = str(result.wheel_path)
        return result

    def _failure(self) -> HwbError:
        """The first error, which now says whose it is and what else was not built."""
        (name, error), *others = self._failed.items()
        rest = [*(other for other, _ in others), *self._skipped]
        error.what = f"{name}: {error.what}" + (f" (not built either: {', '.join(rest)})" if rest else "")
        return error
