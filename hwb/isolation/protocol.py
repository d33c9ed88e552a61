"""What does every isolation strategy promise, and how do its async methods drive the plain functions of the engine?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from typing_extensions import Self

__all__ = ["BuildEnvironment", "EventLoop", "IsolationStrategy", "in_thread"]

T = TypeVar("T")


@dataclass(slots=True)
class BuildEnvironment:
    """An isolated environment to run commands in; `async with` (or `cleanup`) gives its resources back."""

    python_path: Path
    site_packages: Path
    env_vars: dict[str, str]
    discard: Callable[[], None] | None = field(default=None, repr=False)
    """Gives the resources back, once; None when there is nothing to do."""

    async def cleanup(self) -> None:
        """Give the resources back; does nothing when that was done before."""
        discard, self.discard = self.discard, None
        if discard is not None:
            await in_thread(discard)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.cleanup()


@runtime_checkable
class IsolationStrategy(Protocol):
    """A way to make isolated environments."""

    async def create_environment(self, python_version: str, build_requirements: list[str]) -> BuildEnvironment:
        """An environment with that Python in which the requirements (PEP 508) are installed.

        Raises IsolationError when it cannot be made, DependencyError when the requirements cannot be installed.
        """
        ...

    async def check_available(self) -> bool:
        """Whether this machine can make such environments."""
        ...


async def in_thread(function: Callable[[], T], undo: Callable[[T], None] | None = None) -> T:
    """Run a plain function in a thread; when the task is cancelled, so is the function, down to its child processes.

    The task ends only when the function has ended: nothing goes on behind its back. A result that nobody will take
    any more is given to `undo`.
    """
    import asyncio
    import contextvars

    from hwb.context import CancelToken, current, use

    outer = current()
    token = CancelToken()
    forget = outer.token.on_cancel(token.cancel)

    def work() -> T:
        with use(outer.but(token=token)):
            return function()

    future = asyncio.get_running_loop().run_in_executor(None, contextvars.copy_context().run, work)
    try:
        await asyncio.shield(future)
    except asyncio.CancelledError:
        token.cancel("the task was cancelled")
        while not future.done():
            try:
                await asyncio.wait([future])
            except asyncio.CancelledError:
                continue  # cancelled once more: the answer is on its way
        if future.exception() is None and undo is not None:
            undo(future.result())
        raise
    finally:
        forget()
        if future.done():
            token.close()
    return future.result()


class EventLoop:
    """An event loop in a thread of its own, for plain code that has to call asynchronous strategies.

    A context manager; what a strategy keeps running (a connection, a process) goes on between the calls.
    """

    def __enter__(self) -> Self:
        import asyncio
        import threading

        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hwb-event-loop", daemon=True)
        self._thread.start()
        return self

    def run(self, work: Awaitable[T]) -> T:
        """Its result, or what it raises; Cancelled when the run was called off, once it has ended."""
        import asyncio
        from concurrent.futures import CancelledError, wait

        from hwb.context import current

        token = current().token

        async def supervised() -> T:
            task = asyncio.ensure_future(work)

            def end(_reason: str) -> None:
                self._loop.call_soon_threadsafe(task.cancel)

            forget = token.on_cancel(end)
            try:
                return await task
            finally:
                forget()

        future = asyncio.run_coroutine_threadsafe(supervised(), self._loop)
        try:
            while not wait([future], 0.1).done:
                pass  # on Windows nothing interrupts a wait without an end
            return future.result()
        except CancelledError:
            token.check()
            raise
        except BaseException:
            future.cancel()
            raise

    def __exit__(self, *_exc: object) -> None:
        import asyncio

        async def end() -> None:
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            await self._loop.shutdown_asyncgens()
            await self._loop.shutdown_default_executor()

        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(end())
        self._loop.close()
