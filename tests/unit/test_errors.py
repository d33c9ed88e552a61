"""Errors: one tree, each with a code, an exit code and a remedy."""

from __future__ import annotations

import re

import pytest

import hwb.errors as errors

CLASSES = [getattr(errors, name) for name in errors.__all__ if name != "Cancelled"]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_error_has_code_and_exit_code(cls: type[errors.HwbError]) -> None:
    error = cls("something", where="file.py:3", remedy="do this")

    assert isinstance(error, errors.HwbError)
    assert re.fullmatch(r"[A-Z_]+", error.code)
    assert error.exit_code in (1, 2, 3, 4, 5)
    assert str(error) == "file.py:3: something"


def test_codes_are_not_shared_by_siblings() -> None:
    codes = [cls.code for cls in CLASSES]

    assert {code for code in codes if codes.count(code) > 1} <= {"TOOL_NOT_FOUND"}


def test_the_docstring_draws_every_class() -> None:
    missing = [name for name in errors.__all__ if name not in (errors.__doc__ or "")]

    assert missing == []


def test_explain_shows_what_where_detail_and_remedy() -> None:
    error = errors.BuildError("no", where="a.py:1", remedy="mend it", detail="x\ny\n")

    assert error.explain() == "error: no\n  at: a.py:1\n  | x\n  | y\n  try: mend it"


def test_plain_data_leaves_out_what_is_empty() -> None:
    assert errors.UsageError("no").as_dict() == {"error_code": "USAGE", "exit_code": 2, "what": "no"}


def test_a_recipe_cannot_swallow_a_cancellation() -> None:
    assert not issubclass(errors.Cancelled, Exception)
    assert errors.Cancelled("SIGINT").reason == "SIGINT"


def test_a_missing_program_is_a_failed_command_with_its_own_exit_code() -> None:
    error = errors.ProgramNotFound("no such program", 127)

    assert isinstance(error, errors.CommandFailed)
    assert (error.exit_code, error.return_code, error.reason) == (3, 127, "no such program")
