"""The context: whoever works has a token, a log and a directory of its own."""

from __future__ import annotations

import os
import select
import threading

import pytest

from hwb.context import CancelToken, Context, NullSink, current, use
from hwb.errors import Cancelled


def test_the_first_reason_stays() -> None:
    token = CancelToken()
    token.check()
    token.cancel("first")
    token.cancel("second")

    assert token.cancelled
    assert token.reason == "first"
    with pytest.raises(Cancelled, match="first"):
        token.check()


def test_callbacks_run_once_and_can_be_forgotten() -> None:
    token, heard = CancelToken(), []
    forget = token.on_cancel(lambda reason: heard.append(("forgotten", reason)))
    token.on_cancel(lambda reason: heard.append(("kept", reason)))
    forget()
    forget()
    token.cancel("x")
    token.on_cancel(lambda reason: heard.append(("late", reason)))()

    assert heard == [("kept", "x"), ("late", "x")]


def test_a_child_is_cancelled_with_its_parent_only() -> None:
    parent = CancelToken()
    child, other = CancelToken(parent), CancelToken(parent)
    child.cancel("own")

    assert not parent.cancelled
    parent.cancel("all")
    assert (child.reason, other.reason) == ("own", "all")


@pytest.mark.parametrize("cancel_first", [False, True])
def test_the_descriptor_becomes_readable(cancel_first: bool) -> None:
    token = CancelToken()
    if cancel_first:
        token.cancel()
    poll = select.poll()
    poll.register(token.fileno(), select.POLLIN | select.POLLHUP)
    if not cancel_first:
        assert poll.poll(0) == []
        token.cancel()

    assert poll.poll(1000)
    token.close()
    token.close()
    assert token.cancelled


def test_close_before_cancel_gives_both_ends_back() -> None:
    token = CancelToken()
    descriptor = token.fileno()
    token.close()

    with pytest.raises(OSError):
        os.fstat(descriptor)


def test_each_thread_sees_its_own_context(tmp_path: object) -> None:
    seen = {}

    def work(name: str) -> None:
        with use(Context(cwd=name)):
            seen[name] = current().cwd

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == {"a": "a", "b": "b"}
    assert current().cwd == os.getcwd()


def test_outside_of_a_run_nothing_is_logged_or_emitted() -> None:
    context = current()
    context.emit("message", level="info", text="nobody hears")
    context.log.write("nobody reads")
    sink = NullSink()

    assert os.write(sink.fileno(), b"x") == 1
    assert sink.fileno() == sink.fileno()
    context.announce_group(1, False)


def test_a_switch_may_be_thrown_by_who_is_about_to_listen() -> None:
    """A signal handler runs in the middle of a method of the same token: here, where a descriptor is asked for."""
    token, heard = CancelToken(), []

    class Interrupted(list):  # type: ignore[type-arg]
        def append(self, callback: object) -> None:
            super().append(callback)
            token.cancel("signal")  # the lock is held by this very thread

    token._callbacks = Interrupted()
    token.on_cancel(heard.append)
    assert token.reason == "signal"
    assert heard == ["signal"]


def test_what_is_forgotten_gives_its_descriptors_back() -> None:
    """A library calls hwb thousands of times in one process."""

    def lowest() -> int:
        number = os.dup(0)
        os.close(number)
        return number

    before = lowest()
    for _ in range(5):
        token, sink = CancelToken(), NullSink()
        assert token.fileno() != sink.fileno()
    del token, sink
    assert lowest() == before
