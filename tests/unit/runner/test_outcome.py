"""Outcomes: what they make of the exit code, and their way through JSON."""

from __future__ import annotations

import pytest

from hwb.runner.outcome import Outcome, Status, exit_code

OK, SKIP, ABORT = (Outcome("s", s) for s in (Status.SUCCESS, Status.SKIPPED, Status.ABORTED))


def failed(code: int) -> Outcome:
    return Outcome("f", Status.FAILED, exit_code=code)


@pytest.mark.parametrize(
    ("outcomes", "interrupted", "code"),
    [
        ([OK], 0, 0),
        ([OK, SKIP], 0, 0),
        ([SKIP, SKIP], 0, 4),
        ([OK, failed(5), ABORT], 0, 5),
        ([failed(3), failed(3)], 0, 3),
        ([failed(3), failed(5)], 0, 1),
        ([failed(0)], 0, 1),
        ([OK, ABORT], 0, 1),
        ([OK, failed(3)], 130, 130),
    ],
)
def test_exit_code(outcomes: list[Outcome], interrupted: int, code: int) -> None:
    assert exit_code(outcomes, interrupted) == code


def test_json_round_trip() -> None:
    outcome = Outcome("s", Status.FAILED, 1.5, "why", {"what": "x"}, 5, "log", "env", 2)

    assert Outcome.from_json(outcome.to_json()) == outcome
