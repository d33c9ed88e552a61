"""Is a warm interpreter shared by those that may share it, does it learn, and does it end?"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from hwb import context
from hwb.builder import zygote
from hwb.builder.hooks import HookRunner
from hwb.builder.zygote import Zygotes, available
from hwb.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

linux = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")


def test_linux_only_and_by_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    assert available({}) == (sys.platform == "linux")
    assert not available({"HWB_BUILD_ZYGOTE": "0"})
    monkeypatch.setattr(zygote.sys, "platform", "linux")
    assert available({"HWB_BUILD_ZYGOTE": "1"})
    monkeypatch.setenv("HWB_BUILD_ZYGOTE", "0")
    assert not available()
    monkeypatch.setattr(zygote.sys, "platform", "darwin")
    assert not available({})


@pytest.fixture
def zygotes() -> Iterator[Zygotes]:
    with Zygotes() as found:
        yield found


ENV = {"PATH": os.defpath}


def pid(found: object) -> int:
    return found._process.pid  # type: ignore[attr-defined, no-any-return]


def alive(number: int) -> bool:
    try:
        with open(f"/proc/{number}/stat", "rb") as handle:
            return handle.read().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


@linux
class TestSharing:
    def test_variables_of_one_job_make_no_other(self, zygotes: Zygotes) -> None:
        one = zygotes.get(sys.executable, "env", {**ENV, "HOME": "/a", "TMPDIR": "/a", "SOURCE_DATE_EPOCH": "1"})
        assert (
            zygotes.get(sys.executable, "env", {**ENV, "HOME": "/b", "TMPDIR": "/b", "SOURCE_DATE_EPOCH": "2"}) is one
        )

    def test_variables_that_imports_may_read_make_another(self, zygotes: Zygotes) -> None:
        one = zygotes.get(sys.executable, "env", ENV)
        assert zygotes.get(sys.executable, "env", {**ENV, "CFLAGS": "-O1"}) is not one

    def test_all_end_with_the_run(self) -> None:
        with Zygotes() as zygotes:
            pids = [pid(zygotes.get(sys.executable, "env", {**ENV, "CC": text})) for text in "ab"]
            assert all(map(alive, pids))
        assert not any(map(alive, pids))
        with zygotes:
            assert pid(zygotes.get(sys.executable, "env", ENV)) not in pids, "one that was closed starts anew"

    def test_one_that_was_killed_is_replaced(self, zygotes: Zygotes) -> None:
        first = zygotes.get(sys.executable, "env", ENV)
        first._process.kill()
        first._process.wait()
        assert not first.alive()
        assert zygotes.get(sys.executable, "env", ENV).alive()

    def test_a_python_that_cannot_be_started(self, zygotes: Zygotes) -> None:
        with pytest.raises(OSError, match="no-such-python"):
            zygotes.get("/no-such-python", "env", ENV)

    def test_threads_get_the_same(self, zygotes: Zygotes) -> None:
        found: list[object] = []
        threads = [
            threading.Thread(target=lambda: found.append(zygotes.get(sys.executable, "env", ENV))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 4
        assert len(set(map(id, found))) == 1

    def test_it_carries_the_mark_of_the_run_but_of_no_session(self, zygotes: Zygotes) -> None:
        with context.use(context.Context(mark={"HWB_RUN": "run.7"})):
            number = pid(zygotes.get(sys.executable, "env", ENV))
        deadline = time.monotonic() + 10
        while b"HWB_RUN=run.zygote" not in open_bytes(f"/proc/{number}/environ"):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def open_bytes(path: str) -> bytes:
    with open(path, "rb") as handle:
        return handle.read()


@linux
class TestLearning:
    def test_what_was_learnt_is_kept_for_later_runs(self, zygotes: Zygotes) -> None:
        found = zygotes.get(sys.executable, "env", ENV)
        found.learn(["json", "wave"])
        assert open_store().read_json("preload", "env.json") == ["json", "wave"]
        found.learn(["wave"])
        found.learn(["colorsys", "json"])
        assert open_store().read_json("preload", "env.json") == ["json", "wave", "colorsys"]

    @pytest.mark.parametrize("text", ["no json", "{}", "[1, null, {}]", '["no.such.module", "sys.nothing"]', ""])
    def test_a_damaged_record_does_no_harm(self, zygotes: Zygotes, text: str, tmp_path: Path) -> None:
        open_store().path("preload", "env.json").write_text(text)
        found = zygotes.get(sys.executable, "env", ENV)
        assert alive(pid(found))
        with open(tmp_path / "log", "ab") as log:
            job = tmp_path / "job.json"
            job.write_text("no job")
            process = found.fork(str(job), log.fileno())
            assert process.wait(20) == 1
        assert found.alive()

    def test_a_fork_of_one_that_has_ended_is_an_error(self, zygotes: Zygotes, tmp_path: Path) -> None:
        found = zygotes.get(sys.executable, "env", ENV)
        found._process.kill()
        found._process.wait()
        with open(tmp_path / "log", "ab") as log, pytest.raises(OSError):
            found.fork(str(tmp_path / "job.json"), log.fileno())


@linux
def test_more_than_a_thousand_files_are_open(tmp_path: Path) -> None:
    """select() takes no descriptor from 1024 on; a release engineer's shell allows many more."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip("this machine allows no 1024 open files")
    (tmp_path / "be.py").write_text("def get_requires_for_build_wheel(config_settings=None):\n    return ['x']\n")
    job = {"hook": "get_requires_for_build_wheel", "backend": "be", "backend_path": ["."], "arguments": []}
    with ExitStack() as stack:
        if soft != resource.RLIM_INFINITY and soft < 2048:
            stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
            resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))
        for _ in range(1100):
            stack.callback(os.close, os.dup(0))
        zygotes = stack.enter_context(Zygotes())
        stack.enter_context(context.use(context.Context(shared={"zygotes": zygotes})))
        runner = HookRunner(sys.executable, "an-environment", dict(os.environ), str(tmp_path / "place"))
        for _ in range(2):
            answer = runner.run({**job, "config_settings": None, "source_dir": str(tmp_path)}, in_tree=True)
            assert answer["value"] == ["x"]
