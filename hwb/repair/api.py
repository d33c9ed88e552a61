"""How are wheels repaired: each by the tool of its platform, all of Linux's in one process?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hwb.context import current
from hwb.errors import HwbError, RepairError
from hwb.repair.outcome import Repaired, RepairOptions, accept, read_given
from hwb.repair.tools import host_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hwb.repair.outcome import Given
    from hwb.repair.tools import Tool

__all__ = ["repair_each", "repair_wheels"]


def repair_wheels(
    paths: Sequence[str | os.PathLike[str]],
    out_dir: str | os.PathLike[str],
    options: RepairOptions | None = None,
    tool: Callable[[str], Tool] = host_tool,
) -> list[Repaired]:
    """Repair wheels into `out_dir`, and say for each what came of it; `tool` gives the environment of a locked set.

    Raises RepairError when one cannot be repaired (the others are, and are there), UsageError for an option that a
    wheel's platform does not have, ValidationError for a file that is no sound wheel.
    """
    found = repair_each(paths, out_dir, options, tool)
    failed = [one for one in found if isinstance(one, HwbError)]
    if len(failed) > 1 and all(isinstance(one, RepairError) for one in failed):
        what = f"{len(failed)} of {len(found)} wheels cannot be repaired"
        detail = "\n".join(f"{one.what}\n{one.detail}".strip() for one in failed)
        raise RepairError(what, detail=detail, remedy=failed[0].remedy)
    for error in failed:
        raise error
    return [one for one in found if isinstance(one, Repaired)]


def repair_each(
    paths: Sequence[str | os.PathLike[str]],
    out_dir: str | os.PathLike[str],
    options: RepairOptions | None = None,
    tool: Callable[[str], Tool] = host_tool,
) -> list[Repaired | HwbError]:
    """As `repair_wheels`, with the error in the place of a wheel that cannot be repaired."""
    import tempfile

    from hwb.fs import remove_tree

    options, target = options or RepairOptions(), os.path.abspath(out_dir)
    os.makedirs(target, exist_ok=True)
    given = [_given(os.path.abspath(path), options) for path in paths]
    # below the output: a container that sees that directory sees this one, and a rename brings the result out
    place = tempfile.mkdtemp(prefix=".repair-", dir=target)
    try:
        return _Work(place, target, options, tool).all(given)
    finally:
        remove_tree(place)


def _given(path: str, options: RepairOptions) -> Given | HwbError:
    from hwb.repair.others import refuse_options

    try:
        given = read_given(path)
        refuse_options(given, options)
    except HwbError as error:
        return error
    if given.system is None and not options.pure:
        what = f"{given.file} is for any platform: there is nothing to repair"
        return RepairError(what, where=path, remedy="publish it as it is")
    return given


class _Work:
    """One call: a directory for each wheel below `place`."""

    def __init__(self, place: str, target: str, options: RepairOptions, tool: Callable[[str], Tool]) -> None:
        self._place = place
        self._target = target
        self._options = options
        self._tool = tool

    def all(self, given: list[Given | HwbError]) -> list[Repaired | HwbError]:
        """Every wheel's outcome, in the order in which they were given."""
        from hwb.target import System

        found: dict[int, Repaired | HwbError] = {}
        numbered = dict(enumerate(given))
        linux = {n: one for n, one in numbered.items() if not isinstance(one, HwbError) and one.system is System.LINUX}
        codes = self._linux(linux)
        for number, one in numbered.items():
            try:
                found[number] = one if isinstance(one, HwbError) else self._one(number, one, codes.get(number))
            except HwbError as error:
                found[number] = error
        return [found[number] for number in numbered]

    def _folder(self, number: int) -> str:
        folder = os.path.join(self._place, str(number))
        os.makedirs(folder, exist_ok=True)
        return folder

    def _linux(self, given: dict[int, Given]) -> dict[int, int | HwbError]:
        from hwb.repair.linux import run_auditwheel

        if not given:
            return {}
        try:
            folders = {number: self._folder(number) for number in given}
            return run_auditwheel(given, folders, self._place, self._options, self._tool("auditwheel"))
        except HwbError as error:
            return dict.fromkeys(given, error)

    def _one(self, number: int, given: Given, code: int | HwbError | None) -> Repaired:
        from hwb.repair.linux import failure, log_of
        from hwb.repair.others import audit_stable_abi, plain_policy, run_other

        if given.system is None:
            return _passed_on(given, self._target)
        if isinstance(code, HwbError):
            raise code
        printed = log_of(self._place, number)
        current().log.write(printed)
        if code:
            raise failure(given, code, printed, self._options)
        folder = self._folder(number)
        if code is None:
            run_other(given, folder, self._options, self._tool)
        if self._options.audit:
            audit_stable_abi(given, folder, self._tool)
        return accept(given, folder, self._target, plain_policy(given, self._options))


def _passed_on(given: Given, target: str) -> Repaired:
    """A wheel for any platform, in the output directory."""
    from hwb.fs import atomic_path, copy_file

    path = os.path.join(target, given.file)
    if not (os.path.exists(path) and os.path.realpath(path) == os.path.realpath(given.path)):
        with atomic_path(path) as temporary:
            copy_file(given.path, str(temporary))
    return Repaired(path, given.path, given.name.platforms, (), (), (), changed=False)
