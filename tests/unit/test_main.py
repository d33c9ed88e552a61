"""The console's entry point: what is answered at once, and what is handed on."""

from __future__ import annotations

import gc
import runpy
import sys
from typing import TYPE_CHECKING

import pytest

from hwb import __version__
from hwb.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    yield
    gc.enable()


def test_the_version_needs_no_command_line_parser(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["hwb", "--version"])
    monkeypatch.setitem(sys.modules, "hwb.cli", None)
    main()

    assert capsys.readouterr().out == f"hwb {__version__}\n"


def test_everything_else_is_handed_on_and_its_code_is_the_processs(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []
    monkeypatch.setattr(sys, "argv", ["hwb", "run", "-x"])
    monkeypatch.setattr("hwb.cli.invoke", lambda arguments: given.append(arguments) or 7)
    with pytest.raises(SystemExit) as left:
        main()

    assert left.value.code == 7
    assert given == [["run", "-x"]]
    assert not gc.isenabled(), "nothing that start-up makes is garbage"


def test_as_a_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["hwb", "--version"])
    monkeypatch.delitem(sys.modules, "hwb.__main__", raising=False)
    runpy.run_module("hwb", run_name="__main__", alter_sys=False)

    assert capsys.readouterr().out == f"hwb {__version__}\n"
