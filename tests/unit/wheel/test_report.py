"""Is a plain check told without click, and everything else left to it?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from hwb.errors import UsageError
from hwb.wheel.report import quick, report

if TYPE_CHECKING:
    from pathlib import Path


def test_plain_files_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(b"nothing")
    assert quick([str(path)]) == 5
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [str(path)] * 2
    assert lines[0].startswith(f"{path}: error: archive-damage: ")
    assert lines[1] == f"{path}: refused (1 error)"


@pytest.mark.parametrize("arguments", [[], ["--strict", sys.executable], ["gone.whl"], ["."]])
def test_the_rest_is_left_to_click(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert quick(arguments) is None
    assert capsys.readouterr().out == ""


def test_nothing_is_told_before_every_file_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(b"nothing")
    for other in ("gone.whl", str(tmp_path / "empty")):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(UsageError, match="there is no"):
            report([str(path), other])
    assert capsys.readouterr().out == ""


def test_directories_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a-1.0.tar.gz").write_bytes(b"")
    (tmp_path / "notes").write_text("")
    assert report([str(tmp_path)], as_json=True) == 5
    assert '"verdict": "refused"' in capsys.readouterr().out
