"""Does cancelling a task end its thread, its child processes and what they made?"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from hwb import proc
from hwb.context import CancelToken, Context, current, use
from hwb.errors import Cancelled
from hwb.isolation import BuildEnvironment
from hwb.isolation.protocol import EventLoop, in_thread


def test_a_result_and_an_error_come_through() -> None:
    assert asyncio.run(in_thread(lambda: 42)) == 42
    with pytest.raises(ZeroDivisionError):
        asyncio.run(in_thread(lambda: 1 // 0))


def test_the_thread_works_in_the_callers_context() -> None:
    context = Context(cwd="/somewhere", offline=True)
    with use(context):
        inner = asyncio.run(in_thread(current))
        assert asyncio.run(in_thread(threading.get_ident)) != threading.get_ident()
    assert (inner.cwd, inner.offline, inner.groups is context.groups) == ("/somewhere", True, True)
    assert inner.token is not context.token
    assert context.token._callbacks == [], "the caller's token forgets the thread's"


def test_the_end_of_the_run_ends_the_thread() -> None:
    token = CancelToken()

    async def work() -> None:
        asyncio.get_running_loop().call_later(0.05, token.cancel, "the run is over")
        await in_thread(lambda: proc.run([sys.executable, "-c", "import time; time.sleep(60)"], quiet=True))

    with use(Context(token=token)), pytest.raises(Cancelled, match="the run is over"):
        asyncio.run(work())


@pytest.mark.parametrize("times", [1, 2])
def test_cancelling_the_task_kills_the_child(tmp_path: Path, times: int) -> None:
    said = tmp_path / "pid"
    code = f"import os, time; open({str(said)!r}, 'w').write(str(os.getpid())); time.sleep(60)"

    async def work() -> float:
        task = asyncio.create_task(in_thread(lambda: proc.run([sys.executable, "-c", code], quiet=True)))
        while not (said.exists() and said.read_text()):
            await asyncio.sleep(0.01)
        started = time.monotonic()
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - started

    assert asyncio.run(work()) < 10
    with pytest.raises(OSError):
        os.kill(int(said.read_text()), 0)


def test_a_result_that_nobody_takes_is_undone() -> None:
    undone: list[str] = []
    release = threading.Event()

    def slow() -> str:
        release.wait(10)
        return "made"

    async def work() -> None:
        task = asyncio.create_task(in_thread(slow, undone.append))
        await asyncio.sleep(0.02)
        task.cancel()
        asyncio.get_running_loop().call_later(0.02, release.set)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
    assert undone == ["made"]


def test_an_environment_without_resources() -> None:
    environment = BuildEnvironment(Path("python"), Path("site-packages"), {})
    asyncio.run(environment.cleanup())
    assert "discard" not in repr(environment)


# --- an event loop for plain code ------------------------------------------------------------------------------------


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def test_plain_code_gets_results_and_errors() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    with EventLoop() as loop:
        assert loop.run(double(21)) == 42
        with pytest.raises(ZeroDivisionError):
            loop.run(fail())
        assert loop.run(double(1)) == 2


def test_coroutines_work_in_the_callers_context() -> None:
    async def directory() -> str:
        return current().cwd

    with EventLoop() as loop, use(Context(cwd="/somewhere")):
        assert loop.run(directory()) == "/somewhere"


def test_what_a_coroutine_leaves_running_goes_on_and_ends_with_the_loop() -> None:
    ticks: list[int] = []
    ended = threading.Event()

    async def tick() -> None:
        try:
            while True:
                ticks.append(1)
                await asyncio.sleep(0.001)
        finally:
            ended.set()

    async def start() -> asyncio.Task[None]:
        return asyncio.create_task(tick())

    with EventLoop() as loop:
        kept = loop.run(start())
        seen = len(ticks)
        end = time.monotonic() + 10
        while len(ticks) < seen + 3:
            assert time.monotonic() < end
            time.sleep(0.005)
        assert not ended.is_set()
    assert ended.is_set()
    assert kept.cancelled()


@pytest.mark.parametrize("how", ["while it works", "before"])
def test_who_calls_the_run_off_ends_the_coroutine(how: str) -> None:
    token, tidy = CancelToken(), threading.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            tidy.set()

    if how == "before":
        token.cancel("enough")
    else:
        threading.Timer(0.05, token.cancel, ["enough"]).start()
    with EventLoop() as loop, use(Context(token=token)), pytest.raises(Cancelled, match="enough"):
        loop.run(work())
    assert tidy.is_set() or how == "before"
    assert token._callbacks == []


def test_a_coroutine_that_cancels_itself() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with EventLoop() as loop, pytest.raises(CancelledError):
        loop.run(work())


def test_an_interrupt_ends_the_coroutine_too(monkeypatch: pytest.MonkeyPatch) -> None:
    started, ended = threading.Event(), threading.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    def interrupted(*_args: object) -> None:
        assert started.wait(10)
        raise KeyboardInterrupt

    with EventLoop() as loop:
        monkeypatch.setattr("concurrent.futures.wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            loop.run(work())
        assert ended.wait(10)
