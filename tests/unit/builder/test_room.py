"""Do hooks of another place behave as those of this machine: output, variables, results, and their end?"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import zipfile
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from hwb import context, pythons
from hwb.builder.hooks import HookRunner
from hwb.builder.zygote import Zygotes
from hwb.context import CancelToken, Context
from hwb.errors import Cancelled, SessionTimeout

from .rooms import HostRoom

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hwb.builder.options import Built

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")

SLOW = """import os, sys, time
def get_requires_for_build_wheel(config_settings=None):
    print("it begins", flush=True)
    pid = os.fork() if {fork} else os.getpid()
    open({mark!r}, "a").write(f"{{os.getpid()}} ")
    time.sleep(60)
"""


class Log:
    """Text that is written, and the file that takes output."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = path.open("a+b")  # as the runner has it: what a hook printed is read back

    def fileno(self) -> int:
        return self._handle.fileno()

    def write(self, text: str) -> None:
        os.write(self._handle.fileno(), text.encode())

    def close(self) -> None:
        self._handle.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    found = Log(tmp_path / "session.log")
    yield found
    found.close()


@pytest.fixture
def zygotes() -> Iterator[Zygotes]:
    with Zygotes() as found:
        yield found


def job(folder: Path, code: str) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    (folder / "be.py").write_text(code)
    hook = {"hook": "get_requires_for_build_wheel", "backend": "be", "backend_path": ["."], "arguments": []}
    return {**hook, "source_dir": str(folder), "config_settings": None}


def runner(tmp_path: Path, room: HostRoom) -> HookRunner:
    return HookRunner(sys.executable, "env", {"PATH": os.defpath}, str(tmp_path / "place"), room=room)


def gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 20
    while any(os.path.exists(f"/proc/{pid}/fd/0") for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_output_arrives_while_it_is_written(tmp_path: Path, log: Log, zygotes: Zygotes) -> None:
    code = "import time\ndef get_requires_for_build_wheel(config_settings=None):\n"
    code += (
        f"    print('first', flush=True)\n    while 'first' not in open({str(log.path)!r}).read(): time.sleep(0.01)\n"
    )
    code += "    print('second')\n    return []\n"
    with context.use(Context(log=log, shared={"zygotes": zygotes})):
        assert runner(tmp_path, HostRoom()).run(job(tmp_path / "p", code), in_tree=True)["value"] == []
    assert log.path.read_text() == "first\nsecond\n"


def test_output_is_masked(tmp_path: Path, log: Log, zygotes: Zygotes) -> None:
    code = "def get_requires_for_build_wheel(config_settings=None):\n    print('a hidden word')\n    return []\n"
    with context.use(Context(log=log, shared={"zygotes": zygotes}, secrets=(b"hidden",))):
        runner(tmp_path, HostRoom()).run(job(tmp_path / "p", code), in_tree=True)
    assert "hidden" not in log.path.read_text()
    assert "a *** word" in log.path.read_text()


@pytest.mark.parametrize("how", ["cancelled", "deadline"])
@pytest.mark.parametrize("fork", [0, 1])
def test_a_job_that_is_ended_leaves_nothing_and_the_next_one_works(
    tmp_path: Path, log: Log, zygotes: Zygotes, how: str, fork: int
) -> None:
    mark, token, room = tmp_path / "pids", CancelToken(), HostRoom()
    mine = Context(log=log, shared={"zygotes": zygotes}, token=token)

    def end() -> None:
        while not mark.exists() or len(mark.read_text().split()) < 1 + fork:
            time.sleep(0.01)
        if how == "cancelled":
            token.cancel("enough")
        else:
            mine.deadline = time.monotonic()

    ender = threading.Thread(target=end)
    ender.start()
    code = SLOW.format(mark=str(mark), fork=fork)
    with context.use(mine), pytest.raises(Cancelled if how == "cancelled" else SessionTimeout):
        runner(tmp_path, room).run(job(tmp_path / "p", code), in_tree=True)
    ender.join()
    assert gone([int(pid) for pid in mark.read_text().split()])
    assert "it begins" in log.path.read_text()
    with context.use(Context(log=log, shared={"zygotes": zygotes})):
        again = job(tmp_path / "p", "def get_requires_for_build_wheel(config_settings=None):\n    return ['x']\n")
        assert runner(tmp_path, room).run(again, in_tree=True)["value"] == ["x"]
    assert [command[-1] for command in room.commands] == ["talks", "talks"], "a zygote before and one after"


def test_one_zygote_serves_all_hooks_of_an_environment_and_learns(tmp_path: Path, log: Log, zygotes: Zygotes) -> None:
    room = HostRoom()
    code = "import sys\nbefore = 'colorsys' in sys.modules\n"
    code += "def get_requires_for_build_wheel(config_settings=None):\n    import colorsys\n    return [str(before)]\n"
    found = []
    for run in (zygotes, zygotes, Zygotes()):
        with run if run is not zygotes else nullcontext(), context.use(Context(log=log, shared={"zygotes": run})):
            found += runner(tmp_path, room).run(job(tmp_path / "p", code), in_tree=True)["value"]
    assert found == ["False", "False", "True"], "what it learned is for the next run"
    assert len(room.commands) == 2


def test_without_zygotes_each_hook_is_a_program_of_the_room(
    tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HWB_BUILD_ZYGOTE", "0")
    room = HostRoom()
    code = "import os\ndef get_requires_for_build_wheel(config_settings=None):\n    return [os.getcwd()]\n"
    with context.use(Context(log=log)):
        assert runner(tmp_path, room).run(job(tmp_path / "p", code), in_tree=True)["value"] == [str(tmp_path / "p")]
    assert [command[1:] for command in room.commands] == [
        [room.in_process, str(tmp_path / "place" / "job" / "job.json")]
    ]
    assert room.given == [str(tmp_path / "place")]


def test_a_whole_build(project: Path, tmp_path: Path, build: Callable[..., Built], log: Log) -> None:
    room = HostRoom({"PATH": os.environ["PATH"], "OF_THE_ROOM": "1"})
    here = build(project, tmp_path / "here")
    there = build(project, tmp_path / "there", room=room)
    assert not there.cached, "what was built elsewhere is another result"
    with open(here.files[0], "rb") as first, open(there.files[0], "rb") as second:
        assert first.read() == second.read()
    with zipfile.ZipFile(there.files[1]) as wheel:
        assert "OF_THE_ROOM" in wheel.read("dynamic_requires/environ.txt").decode().split()
    assert build(project, tmp_path / "again", room=HostRoom(room.environ)).cached
    other = HostRoom({**room.environ, "OF_THE_ROOM": "2"})
    assert not build(project, tmp_path / "other", room=other).cached


def test_hooks_see_the_rooms_variables_and_of_ours_only_those_that_are_named(
    project: Path, tmp_path: Path, build: Callable[..., Built], change: Callable[[str, str], None]
) -> None:
    seen = tmp_path / "seen.json"
    dump = f"import os, json\nopen({str(seen)!r}, 'w').write(json.dumps(dict(os.environ)))\n"
    change("def build_wheel", f"{dump}def build_wheel")
    room = HostRoom({"PATH": os.environ["PATH"], "OF_THE_ROOM": "1"})
    outer = {**os.environ, "CFLAGS": "-O9", "MY_OPTION": "on", "TOKEN": "x"}
    with context.use(Context(outer_env=outer)):
        build(project, tmp_path / "out", room=room, env_pass=("MY_*",))
    found = json.loads(seen.read_text())
    assert (found["OF_THE_ROOM"], found["MY_OPTION"]) == ("1", "on")
    assert "TOKEN" not in found
    assert "-O9" not in found.get("CFLAGS", "")
    assert found["HOME"].endswith("home")
    assert pythons.running().path


@pytest.mark.parametrize("room", [None, HostRoom()], ids=["here", "in a room"])
def test_a_room_never_gets_the_tree_itself(
    room: HostRoom | None,
    project: Path,
    tmp_path: Path,
    build: Callable[..., Built],
    change: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = tmp_path / "seen"
    change("def build_sdist", f"import os\nopen({str(seen)!r}, 'w').write(os.getcwd())\ndef build_sdist")
    monkeypatch.setattr("hwb.builder.files.reads_only", lambda project, release: True)
    build(project, tmp_path / "out", room=room, wheel=False)
    assert (seen.read_text() == os.path.realpath(project)) is (room is None)
