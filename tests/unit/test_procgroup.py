"""Process groups and marks where something is missing: no /proc, processes that end meanwhile, ones that never do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from hwb import procgroup

if sys.platform == "win32":
    pytest.skip("process groups are POSIX", allow_module_level=True)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        ["sleep", "600"], start_new_session=True, env={**os.environ, procgroup.RUN_VARIABLE: "other.1:this-test.7"}
    )
    end = time.monotonic() + 10
    while sys.platform == "linux" and process.pid not in procgroup.marked("this-test"):
        assert time.monotonic() < end, "a program that was just begun has no environment yet"
    yield process
    process.kill()
    process.wait()


def no_proc(monkeypatch: pytest.MonkeyPatch, *, folder: bool = True) -> None:
    """A system without /proc, or (`folder` False) one whose processes end between listing and looking."""
    listed = os.listdir
    if folder:
        monkeypatch.setattr(
            os, "listdir", lambda path=".": _missing() if str(path).startswith("/proc") else listed(path)
        )
    real = open
    monkeypatch.setattr(
        "builtins.open", lambda path, *a, **k: _missing() if str(path).startswith("/proc") else real(path, *a, **k)
    )


def _missing() -> Any:
    raise FileNotFoundError(2, "No such file or directory")


linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc")


@linux
def test_marks_are_whole_names(sleeper: subprocess.Popen[bytes]) -> None:
    assert sleeper.pid in procgroup.marked("this-test")
    assert sleeper.pid in procgroup.marked("this-test", "7")
    assert procgroup.marked("this-test", "77") == procgroup.marked("this-tes") == procgroup.marked("is-test") == []


def test_without_proc_nothing_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    no_proc(monkeypatch)

    assert procgroup.marked("this-test") == []
    assert procgroup.kill_marked("this-test") == 0
    procgroup.end_children()  # nothing to tell them by, nothing happens


def test_a_process_that_ends_while_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "listdir", lambda _path=".": ["1", "self", "2"])
    no_proc(monkeypatch, folder=False)

    assert procgroup.marked("this-test") == []
    assert procgroup._zombie(1)
    procgroup.end_children()


@linux
def test_what_cannot_be_killed_is_tried_so_often_and_no_more(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_pid: int, _number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refused)

    assert procgroup.kill_marked("this-test", rounds=3) == 1
    assert sleeper.poll() is None


@linux
def test_marked_processes_are_killed(sleeper: subprocess.Popen[bytes]) -> None:
    assert procgroup.kill_marked("this-test") == 1
    assert sleeper.wait(10) == -signal.SIGKILL


def test_somebody_elses_group_counts_as_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_group: int, _number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "killpg", refused)

    assert procgroup.group_alive(1)
    assert not procgroup.signal_group(1, signal.SIGTERM)


@linux
def test_a_group_of_zombies_is_over(sleeper: subprocess.Popen[bytes]) -> None:
    assert procgroup.group_alive(sleeper.pid)
    sleeper.kill()
    end = time.monotonic() + 10
    while procgroup.group_alive(sleeper.pid):
        assert time.monotonic() < end
    assert sleeper.returncode is None, "it was not waited for, and yet it does not count"


@linux
def test_members_that_end_while_they_are_counted(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    no_proc(monkeypatch, folder=False)

    assert not procgroup.group_alive(sleeper.pid)


def test_patience_without_end(sleeper: subprocess.Popen[bytes]) -> None:
    procgroup.stop_group(sleeper.pid, (None, None), reap=sleeper.poll, first=signal.SIGTERM)

    assert sleeper.wait(10) == -signal.SIGTERM


@linux
def test_children_that_a_recipe_forked_are_ended() -> None:
    """In a process of its own: it would end the test runner's children, too."""
    code = (
        "import os, subprocess, sys, time\nfrom hwb import procgroup\nchildren = [subprocess.Popen(['sleep', '600']) for _ in range(2)]\n"
        "gone = subprocess.Popen(['true'])\nprocgroup.end_children()\n"
        "for child in children:\n"
        "    try: os.kill(child.pid, 0)\n    except ProcessLookupError: print('ended')\n"
        "    child.returncode = 0\ngone.returncode = 0\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout == "ended\nended\n", done.stderr
