"""The watcher ends what a killed hwb left behind, and nothing when all is well."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from hwb.runner import watcher
from hwb.runner.watcher import Watcher

if sys.platform == "win32":
    pytest.skip("the Job Object does this on Windows", allow_module_level=True)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture
def sleeper() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started = []

    def start(**env: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(["sleep", "600"], start_new_session=True, env={**os.environ, **env}))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.json"
    sessions = [{"session": name, "status": name} for name in ("running", "queued", "success")]
    path.write_text(json.dumps({"status": "running", "sessions": sessions}))
    return path


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def statuses(report: Path) -> list[str]:
    data = json.loads(report.read_text())
    return [data["status"], *(session["status"] for session in data["sessions"])]


# --- what it does, in this process -----------------------------------------------------------------------------------------


def watch(monkeypatch: pytest.MonkeyPatch, report: Path, said: bytes, run_id: str = "no-such-run") -> list[Any]:
    """Run `watch` with everything that hwb said before its end of the pipe closed; the signals that it ignores."""
    ignored: list[Any] = []
    monkeypatch.setattr(watcher.signal, "signal", lambda number, how: ignored.append((number, how)))
    read_fd, write_fd = os.pipe()
    os.write(write_fd, said)
    os.close(write_fd)
    watcher.watch(read_fd, run_id, str(report))
    os.close(read_fd)
    return ignored


def test_when_all_is_well_nothing_is_touched(monkeypatch: pytest.MonkeyPatch, report: Path, sleeper: Any) -> None:
    process = sleeper()
    ignored = watch(monkeypatch, report, f"+{process.pid}\ndone\n".encode())

    assert process.poll() is None
    assert statuses(report)[0] == "running"
    assert {number for number, _ in ignored} == {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def test_a_death_without_a_word_ends_what_is_known_and_what_is_marked(
    monkeypatch: pytest.MonkeyPatch, report: Path, sleeper: Any, tmp_path: Path
) -> None:
    known, over, marked = sleeper(), sleeper(), sleeper(HWB_RUN="watched.1")
    folder = tmp_path / "temporary"
    (folder / "deep").mkdir(parents=True)
    said = f"+{known.pid}\n+{over.pid}\n-{over.pid}\n-77\n+999999999\n?\nt{folder}\ndon"
    watch(monkeypatch, report, said.encode(), "watched")

    assert known.wait(10) == -signal.SIGKILL
    if sys.platform == "linux":
        assert marked.wait(10) == -signal.SIGKILL
    assert over.poll() is None
    assert not folder.exists()
    assert statuses(report) == ["killed", "aborted", "aborted", "success"]


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_a_report_that_cannot_be_read_is_left(monkeypatch: pytest.MonkeyPatch, report: Path, text: str | None) -> None:
    report.unlink()
    if text is not None:
        report.write_text(text)
    watch(monkeypatch, report, b"")

    assert (report.read_text() if report.exists() else None) == text


def test_the_forked_child_never_returns(monkeypatch: pytest.MonkeyPatch, report: Path) -> None:
    """What only a child may do to its process is recorded instead."""

    class Left(BaseException):
        pass

    calls: list[Any] = []

    def leave(code: int) -> None:
        calls.append(("left", code))
        raise Left

    monkeypatch.setattr(os, "setsid", lambda: calls.append("setsid"))
    monkeypatch.setattr(os, "dup2", lambda source, target: calls.append(target))
    monkeypatch.setattr(watcher, "_close_all_but", lambda count: calls.append(("but", count)))
    monkeypatch.setattr(os, "_exit", leave)
    monkeypatch.setattr(watcher, "watch", lambda fd, run, path: calls.append((fd, run, path)))
    with pytest.raises(Left):
        watcher._become_watcher(9, "run", "report")
    assert calls == ["setsid", 0, 1, 2, 3, ("but", 4), (3, "run", "report"), ("left", 0)]
    monkeypatch.setattr(watcher, "watch", lambda *_: 1 / 0)
    with pytest.raises(Left):
        watcher._become_watcher(9, "run", "report")
    assert calls[-1] == ("left", 1)


# --- as a process ----------------------------------------------------------------------------------------------------------


def end_abruptly(own: Watcher) -> None:
    """As if hwb were killed: its end of the pipe closes without a word."""
    os.close(own._write_fd)
    own._write_fd = -1


@pytest.mark.parametrize("threaded", [False, True])
def test_a_process_of_its_own(
    monkeypatch: pytest.MonkeyPatch, report: Path, sleeper: Any, tmp_path: Path, threaded: bool
) -> None:
    """Forked while there is one thread, else a fresh interpreter on the file."""
    monkeypatch.setattr(threading, "active_count", lambda: 2 if threaded else 1)
    process, folder = sleeper(), tmp_path / "temporary"
    folder.mkdir()
    own = Watcher("watched", str(report))
    own.group(process.pid)
    own.temporary(str(folder))
    end_abruptly(own)
    own.close()

    assert process.wait(10) == -signal.SIGKILL
    assert statuses(report)[0] == "killed"
    assert not folder.exists()


def test_without_a_directory_of_descriptors_the_usual_numbers_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> list[str]:
        raise FileNotFoundError(2, "No such file or directory", path)

    closed: list[int] = []
    monkeypatch.setattr(os, "listdir", refuse)
    monkeypatch.setattr(os, "close", closed.append)
    watcher._close_all_but(4)
    monkeypatch.undo()
    assert closed[0] == 4
    assert 200 < len(closed) <= 1 << 16


def test_many_open_files_do_not_keep_the_pipe_open(monkeypatch: pytest.MonkeyPatch, report: Path, sleeper: Any) -> None:
    """A program that has hundreds of files open: hwb's end of the pipe is beyond all that are usually closed."""
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    process = sleeper()
    held = [os.dup(0) for _ in range(400)]
    try:
        own = Watcher("watched", str(report))
        assert own._write_fd > 400
        own.group(process.pid)
        end_abruptly(own)
        assert process.wait(10) == -signal.SIGKILL
        own.close()
    finally:
        for number in held:
            os.close(number)


@pytest.mark.parametrize("threaded", [False, True])
def test_a_run_that_ends_well(monkeypatch: pytest.MonkeyPatch, report: Path, sleeper: Any, threaded: bool) -> None:
    monkeypatch.setattr(threading, "active_count", lambda: 2 if threaded else 1)
    process = sleeper()
    own = Watcher("watched", str(report))
    own.group(process.pid)
    own.group(process.pid, False)
    own.close()
    own.close()

    assert process.poll() is None
    assert statuses(report)[0] == "running"


def test_a_watcher_that_somebody_killed_does_not_matter(report: Path) -> None:
    own = Watcher("watched", str(report))
    os.kill(own._pid, signal.SIGKILL)
    os.waitpid(own._pid, 0)
    own.group(1)  # the pipe has no reader any more
    own.group(2)
    own.close()

    assert own._write_fd == own._pid == -1
