"""Is it shown what a run made, and what it could not make?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwb.artifacts import Artifact, Ledger, Verdict
from hwb.cli.made import table
from hwb.runner.api import RunResult

if TYPE_CHECKING:
    from pathlib import Path


def test_a_line_for_each_file_of_the_output_directory(tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    dist.mkdir()
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for name, size in (("x-1.tar.gz", 1500), ("x-1-py3-none-any.whl", 20)):
        (dist / name).write_bytes(b"x" * size)
        ledger.add(Artifact.of_file(dist / name, "build", "build"))
    (tmp_path / "x.txt").write_text("elsewhere")
    ledger.add(Artifact.of_file(tmp_path / "x.txt", "build", "build"))
    wheel = next(one for one in ledger.leaves() if one.name.endswith(".whl"))
    for verdict, ok in (("checked", True), ("tested", False), ("checked", True)):
        ledger.add_verdict(Verdict(wheel.sha256, wheel.name, verdict, ok, ""))
    result = RunResult(0, (), ledger.leaves(), str(tmp_path))
    assert list(table(result, str(dist), [("a", "b")])) == [
        "",
        "x-1-py3-none-any.whl       20 B  checked",
        "x-1.tar.gz               1.5 kB",
        "and 1 that cannot be made here: hwb matrix --list",
    ]
    assert list(table(RunResult(0, (), (), str(tmp_path)), str(dist), ())) == []
