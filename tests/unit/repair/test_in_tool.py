"""Does the driver do with auditwheel what its job says? Called here, without a process of its own, with a stand-in."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from hwb.repair import in_tool
from hwb.repair.linux import log_of

from ..wheel.elves import elf  # noqa: TID252 - one maker of native files for both rooms
from .tools import HOME, FakeTool, make_wheel

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="auditwheel's driver forks")


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this process were in auditwheel's environment."""
    FakeTool(tmp_path / "tool")
    monkeypatch.syspath_prepend(str(tmp_path / "tool"))
    monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path / "tool" / "bin"), os.environ["PATH"])))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    monkeypatch.setattr(sys, "argv", ["driver.py"])
    for name in [name for name in sys.modules if name.partition(".")[0] == "auditwheel"]:
        monkeypatch.delitem(sys.modules, name)


def task(tmp_path: Path, name: str, data: bytes = b"", *, clean: bool = False) -> dict[str, Any]:
    files = {"demo/x.so": data or elf(), "demo/a.py": ""}
    (tmp_path / "out").mkdir(exist_ok=True)
    return {
        "wheel": str(make_wheel(tmp_path / "in", files, name=name)),
        "folder": str(tmp_path / "out"),
        "log": str(tmp_path / f"{name}.log"),
        "arguments": ["--plat", "manylinux_2_31_x86_64"],
        "epoch": 77,
        "clean": clean,
    }


def test_arguments_and_time_are_those_of_the_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = task(tmp_path, "good")
    assert in_tool._repair(job) == 0
    assert os.listdir(tmp_path / "out") == ["good-1.0-cp312-cp312-manylinux_2_31_x86_64.whl"]
    argv = ["repair", "--wheel-dir", job["folder"], *job["arguments"], job["wheel"]]
    assert capsys.readouterr().out.strip() == f"argv {argv} 77"


def test_the_c_library_of_this_machine_is_meant_when_nothing_tells(tmp_path: Path) -> None:
    assert in_tool._repair(task(tmp_path, "nolibc")) == 0
    assert len(os.listdir(tmp_path / "out")) == 1
    with pytest.raises(ValueError, match="could not be located"):
        in_tool._repair(task(tmp_path, "lost"))


@pytest.mark.parametrize("rpath", [HOME, f"$ORIGIN:{HOME}"])
def test_absolute_paths_are_taken_out(tmp_path: Path, rpath: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert in_tool._repair(task(tmp_path, "good", elf(rpath=rpath), clean=True)) == 0
    (path,) = (tmp_path / "out").iterdir()
    with zipfile.ZipFile(path) as archive:
        assert HOME.encode() not in archive.read("demo/x.so")
    assert f"demo/x.so: {HOME}" in capfd.readouterr().out


def test_relative_paths_stay(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = elf(rpath="$ORIGIN")
    assert in_tool._repair(task(tmp_path, "good", data, clean=True)) == 0
    (path,) = (tmp_path / "out").iterdir()
    with zipfile.ZipFile(path) as archive:
        assert archive.read("demo/x.so") == data
    assert "removed" not in capfd.readouterr().out


class _Ended(BaseException):
    pass


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [("good", 0, ""), ("nothing", 0, ""), ("toonew", 2, "too-recent"), ("odd", 1, ""), ("lost", 70, "Traceback")],
)
def test_a_fork_ends_with_the_code_of_its_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str, code: int, said: str
) -> None:
    def end(status: int) -> None:
        raise _Ended(status)

    monkeypatch.setattr(os, "fork", lambda: 0)
    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    with pytest.raises(_Ended) as caught:
        in_tool._in_fork(task(tmp_path, name))
    assert caught.value.args == (code,)
    printed = capfd.readouterr()
    assert said in printed.out + printed.err


def job_file(tmp_path: Path, tasks: list[dict[str, Any]], jobs: int = 2) -> tuple[str, Path]:
    answer = tmp_path / "answer.json"
    job = tmp_path / "job.json"
    job.write_text(json.dumps({"answer": str(answer), "jobs": jobs, "wheels": tasks}), encoding="utf-8")
    return str(job), answer


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("jobs", [1, 2, 9])
def test_the_answer_is_the_codes_in_order(tmp_path: Path, jobs: int) -> None:
    names = ["good", "killed", "toonew", "nothing"]
    job, answer = job_file(tmp_path, [task(tmp_path, name) for name in names], jobs)
    assert in_tool.main(job) == 0
    assert json.loads(answer.read_bytes()) == [0, -9, 2, 0]
    assert all((tmp_path / f"{name}.log").is_file() for name in names)


def test_processes_of_others_are_none_of_its_business(monkeypatch: pytest.MonkeyPatch) -> None:
    codes, running = [70], {5: 0}
    for ended in ((1, 0), (5, 3 << 8)):  # as the first process of a container it is asked about orphans, too
        monkeypatch.setattr(os, "wait", lambda ended=ended: ended)
        in_tool._wait(running, codes)
    assert (codes, running) == ([3], {})


def test_an_environment_without_auditwheel_says_so(tmp_path: Path) -> None:
    (tmp_path / "tool" / "auditwheel" / "main.py").unlink()
    job, answer = job_file(tmp_path, [])
    assert in_tool.main(job) == 0
    assert "auditwheel.main" in json.loads(answer.read_bytes())["unavailable"]


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert log_of(str(tmp_path), 5) == ""
