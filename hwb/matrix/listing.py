"""How is a plan shown: to a person, to a program, to a workflow of GitHub?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwb.matrix.strategy import names, runner_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwb.matrix.planning import MatrixPlan, PlannedTarget
    from hwb.matrix.selection import Skipped

__all__ = ["as_json", "as_text", "github_include"]


def as_text(plan: MatrixPlan, *, skipped: bool = False) -> str:
    """A table with one line for each target, and with `skipped` what is not built, by reason."""
    rows = [
        (planned.identifier, planned.platform, planned.strategy.value, _remark(planned)) for planned in plan.targets
    ]
    lines = _aligned(rows) or ["no wheel is selected"]
    if skipped and plan.skipped:
        lines += ["", "not selected:", *_by_reason(plan.skipped)]
    return "\n".join([*lines, *(f"warning: {warning}" for warning in plan.warnings)]) + "\n"


def _by_reason(skipped: Sequence[Skipped]) -> list[str]:
    found: dict[str, list[str]] = {}
    for one in skipped:
        found.setdefault(one.reason, []).append(one.identifier)
    return [f"  {reason}: {names(identifiers)}" for reason, identifiers in found.items()]


def _remark(planned: PlannedTarget) -> str:
    return planned.reason or planned.image.partition("@")[0]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def as_json(plan: MatrixPlan) -> dict[str, Any]:
    """Plain data: `targets`, `skipped`, `warnings`."""
    return {
        "targets": [_row(planned) for planned in plan.targets],
        "skipped": [left._asdict() for left in plan.skipped],
        "warnings": list(plan.warnings),
    }


def _row(planned: PlannedTarget) -> dict[str, Any]:
    target = planned.target
    row: dict[str, Any] = {"identifier": planned.identifier, "platform": planned.platform}
    if target is not None:
        row |= {"python": target.python, "system": target.system.value, "arch": target.arch, "policy": target.policy}
    row |= {"strategy": planned.strategy.value, "image": planned.image, "reason": planned.reason}
    return row | {"options": planned.options.as_dict()}


def github_include(plan: MatrixPlan) -> list[dict[str, Any]]:
    """The `include` list of a workflow's matrix: `only`, `os`, and `emulate` where the machine differs.

    Where a wheel can be made on the machine that plans does not matter: each is given the runner that it belongs to.
    """
    return [_included(planned) for planned in plan.targets]


def _included(planned: PlannedTarget) -> dict[str, Any]:
    if planned.target is None:
        return {"only": planned.identifier, "os": "ubuntu-latest", "emulate": ""}
    runner, emulated = runner_for(planned.target.system, planned.target.arch)
    return {"only": planned.identifier, "os": runner, "emulate": planned.target.arch if emulated else ""}
