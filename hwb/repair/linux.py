"""How does auditwheel repair many wheels in one process, and what does it mean when it cannot?"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from hwb.errors import CommandFailed, RepairError
from hwb.repair.outcome import opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hwb.errors import HwbError
    from hwb.repair.outcome import Given, RepairOptions
    from hwb.repair.tools import Tool
    from hwb.wheel.model import WheelSubject

__all__ = ["failure", "log_of", "run_auditwheel"]

_DRIVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "in_tool.py")
_TAIL_LINES = 20
_LOST = re.compile(r'required library "([^"]+)" could not be located')
_TOO_NEW = re.compile(r"too-recent versioned symbols")
_POLICY = re.compile(r"(?:many|musl)linux\w*")


def run_auditwheel(
    given: Mapping[int, Given], folders: Mapping[int, str], place: str, options: RepairOptions, tool: Tool
) -> dict[int, int | HwbError]:
    """The exit code for each wheel. Raises RepairError when auditwheel does not run at all.

    Everything that has to be where the tool runs is in `place`: the driver, its job, its answer and the logs.
    """
    import json
    import shutil

    job, answer, driver = (os.path.join(place, name) for name in ("job.json", "answer.json", "driver.py"))
    tasks = [_task(one, folders[number], log_of_path(place, number), options) for number, one in given.items()]
    whole = {"answer": answer, "jobs": options.jobs or os.cpu_count() or 1, "wheels": tasks}
    shutil.copyfile(_DRIVER, driver)
    with open(job, "w", encoding="utf-8", errors="surrogateescape") as handle:
        handle.write(json.dumps(whole))
    told = ""
    try:
        tool.call(driver, job)
    except CommandFailed as error:
        told = error.detail or error.what
    try:
        with open(answer, encoding="utf-8") as handle:
            codes = json.load(handle)
    except (OSError, ValueError):
        codes = {"unavailable": told}
    if not isinstance(codes, list) or len(codes) != len(tasks):
        detail = str(codes.get("unavailable", "")) if isinstance(codes, dict) else ""
        raise RepairError("auditwheel does not run", detail=detail, remedy="hwb cache clean makes its environment anew")
    return dict(zip(given, (int(code) for code in codes)))


def _task(given: Given, folder: str, log: str, options: RepairOptions) -> dict[str, object]:
    epoch = given.epoch if options.epoch is None else options.epoch
    arguments = ["--plat", _policy_of(given, options.policy)] if options.policy else []
    arguments += [word for pattern in options.exclude for word in ("--exclude", pattern)]
    arguments += ["--strip"] if options.strip else []
    arguments += ["--only-plat"] if options.only_plat else []
    return {
        "wheel": given.path,
        "folder": folder,
        "log": log,
        "arguments": arguments,
        "epoch": epoch,
        "clean": bool(given.absolute),
    }


def arch_of(platform: str) -> str:
    """The architecture that a platform tag of Linux ends with."""
    return re.sub(r"^(?:linux|(?:many|musl)linux(?:1|2010|2014|_\d+_\d+))_", "", platform)


def _policy_of(given: Given, policy: str) -> str:
    """auditwheel's name of a policy, which ends with the architecture."""
    arch = arch_of(given.name.platforms[0])
    return policy if policy.endswith(f"_{arch}") else f"{policy}_{arch}"


def log_of_path(place: str, number: int) -> str:
    """Where the output for a wheel goes."""
    return os.path.join(place, f"{number}.log")


def log_of(place: str, number: int) -> str:
    """What auditwheel printed for a wheel."""
    try:
        with open(log_of_path(place, number), encoding="utf-8", errors="replace") as handle:
            return handle.read()
    except OSError:
        return ""


def failure(given: Given, code: int, log: str, options: RepairOptions) -> RepairError:
    """What auditwheel's refusal means, with the symbols or the library that it is about, and what to do."""
    wanted = f"for {options.policy}" if options.policy else "for any manylinux or musllinux"
    what = f"{given.file} cannot be repaired {wanted}"
    if lost := sorted(set(_LOST.findall(log))):
        remedy = "install what has it, set LD_LIBRARY_PATH to where it is, or exclude it (then users must bring it)"
        return RepairError(
            f"{what}: {', '.join(lost)} is not found", where=given.path, detail=_tail(log), remedy=remedy
        )
    if _TOO_NEW.search(log):
        remedy = "build it on an older system (in a container of that policy), or ask for a newer policy"
        what = f"{what}: its code needs symbols that are too new"
        return RepairError(what, where=given.path, detail=_too_new(given, options) or _tail(log), remedy=remedy)
    how = f"auditwheel ended with exit code {code}" if code > 0 else f"auditwheel was ended by signal {-code}"
    return RepairError(f"{what}: {how}", where=given.path, detail=_tail(log), remedy="see what auditwheel says")


def _tail(log: str) -> str:
    return "\n".join(log.strip().splitlines()[-_TAIL_LINES:])


def _too_new(given: Given, options: RepairOptions) -> str:
    """The symbols, by our own reading of the wheel: those of a newer C library, else the newest of each other one."""
    from hwb.wheel.rules_platform import claimed_against_real

    with opened(given.path) as subject:
        claimed = [_policy_of(given, options.policy)] if options.policy else []
        found = claimed_against_real(subject, claimed) if claimed else []
        if found:
            return "\n".join(f"{one.member}: {one.needs}: {', '.join(one.symbols)}" for one in found)
        return "\n".join(_newest(subject))


def _newest(subject: WheelSubject) -> Iterator[str]:
    """For each library of each member, the newest version that is wanted and the symbols that want it."""
    from hwb.wheel.elf import undefined_symbols
    from hwb.wheel.natives import content, natives

    for name, elf in natives(subject).elves.items():
        symbols = undefined_symbols(content(subject, name), name)
        kinds = {wanted.version.partition("_")[0] for wanted in elf.versions}
        for kind in sorted(kinds):
            newest = max((one.version for one in elf.versions if one.version.startswith(f"{kind}_")), key=_numbers)
            wanting = sorted(symbol for symbol, version in symbols if version == newest)
            yield f"{name}: {newest}: {', '.join(wanting)}"


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
