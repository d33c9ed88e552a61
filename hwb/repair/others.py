"""How are wheels of macOS and Windows repaired, and wheels of the stable ABI audited?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from hwb.context import current
from hwb.errors import RepairError, UsageError
from hwb.target import System

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwb.repair.outcome import Given, RepairOptions
    from hwb.repair.tools import Tool

__all__ = ["audit_stable_abi", "plain_policy", "refuse_options", "run_other"]

_LACKS = {
    System.LINUX: (),
    System.MACOS: ("strip", "only_plat"),
    System.WINDOWS: ("policy", "only_plat", "strip"),
}
"""Options that the tool of a system does not have."""
_TOOLS = {System.LINUX: "auditwheel", System.MACOS: "delocate", System.WINDOWS: "delvewheel"}


def refuse_options(given: Given, options: RepairOptions) -> None:
    """Raise UsageError for an option that would be ignored for this wheel."""
    if given.system is None:
        return
    lacking = [name for name in _LACKS[given.system] if getattr(options, name)]
    if options.policy and (options.policy[:1].isdigit() == (given.system is System.LINUX)):
        lacking.append("policy")
    if lacking:
        what = f"{_TOOLS[given.system]}, which repairs {given.file}, has no {' and no '.join(dict.fromkeys(lacking))}"
        raise UsageError(what, remedy=f"leave it out for wheels of {given.system.value}")


def plain_policy(given: Given, options: RepairOptions) -> str:
    """What the wheel's platform tags must begin with: the wanted policy of Linux, without the architecture."""
    if given.system is not System.LINUX:
        return ""
    from hwb.repair.linux import arch_of

    return options.policy.removesuffix(f"_{arch_of(given.name.platforms[0])}")


def run_other(given: Given, folder: str, options: RepairOptions, tool: Callable[[str], Tool]) -> None:
    """Run delocate or delvewheel; what it makes is in `folder`. Raises RepairError when it cannot."""
    assert given.system is not None
    name = _TOOLS[given.system]
    used = tool(name)
    argv = _delocate(given, options) if given.system is System.MACOS else _delvewheel(options)
    epoch = given.epoch if options.epoch is None else options.epoch
    variables = {"SOURCE_DATE_EPOCH": str(epoch)}
    if options.policy:  # delocate compares it with what the libraries say
        variables["MACOSX_DEPLOYMENT_TARGET"] = options.policy
    done = used.run([used.python, *argv, "--wheel-dir", folder, given.path], variables)
    current().log.write(done.text)
    if done.return_code:
        what = f"{given.file} cannot be repaired: {name} ended with exit code {done.return_code}"
        detail = "\n".join(done.text.strip().splitlines()[-20:])
        raise RepairError(what, where=given.path, detail=detail, remedy=f"see what {name} says")


def _delocate(given: Given, options: RepairOptions) -> list[str]:
    arches = given.name.platforms[0].split("_", 3)[3]
    excluded = [word for pattern in options.exclude for word in ("--exclude", pattern)]
    return ["-m", "delocate.cmd.delocate_wheel", "--require-archs", arches, *excluded]


def _delvewheel(options: RepairOptions) -> list[str]:
    excluded = ["--exclude", os.pathsep.join(options.exclude)] if options.exclude else []
    return ["-m", "delvewheel", "repair", *excluded]


def audit_stable_abi(given: Given, folder: str, tool: Callable[[str], Tool]) -> None:
    """Let abi3audit look at a wheel for the stable ABI. Raises RepairError with the symbols that are not part of it."""
    if not any(abi.startswith("abi3") for abi in given.name.abis):
        return
    used = tool("abi3audit")
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        report = f"{folder}.audit.json"
        done = used.run([used.python, "-m", "abi3audit", "--strict", "--report", "--output", report, path], {})
        if done.return_code:
            what = f"{given.file} uses more than the stable ABI that it claims"
            remedy = "use the limited API only (Py_LIMITED_API), or build a wheel for each Python"
            raise RepairError(what, where=given.path, detail=_findings(report, done.text), remedy=remedy)


def _findings(report: str, printed: str) -> str:
    """The symbols in abi3audit's report, one line for each extension module; without one what it printed."""
    import json

    try:
        with open(report, encoding="utf-8") as handle:
            wheels = [one for spec in json.load(handle)["specs"].values() for one in spec["wheel"]]
        return "\n".join(filter(None, (_finding(one["name"], one["result"]) for one in wheels)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "\n".join(printed.strip().splitlines()[-20:])


def _finding(name: str, result: dict[str, Any]) -> str:
    foreign = sorted(result["non_abi3_symbols"])
    later = sorted(f"{symbol} (since {version})" for symbol, version in result["future_abi3_objects"].items())
    parts = [f"not in the stable ABI: {', '.join(foreign)}"] if foreign else []
    parts += [f"not in that of Python {result['baseline']}: {', '.join(later)}"] if later else []
    return f"{name}: {'; '.join(parts)}" if parts else ""
