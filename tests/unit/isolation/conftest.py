"""An installer that makes environments of two files, so that what is built on top is tested without processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hwb import pythons
from hwb.context import Context, use
from hwb.isolation import backends
from hwb.proc import Completed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hwb.pythons import Interpreter

SCRIPTS, EXECUTABLE, PACKAGES = (
    ("Scripts", "python.exe", "Lib/site-packages")
    if sys.platform == "win32"
    else ("bin", "python", f"lib/python{pythons.running().minor}/site-packages")
)


class FakeInstaller:
    """Counts what it is asked for; `problems` maps a method to what it raises."""

    name = "fake"

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.problems: dict[str, BaseException] = {}
        self.during_create: Callable[[str], None] = lambda path: None
        self.pins = ["six==1.17.0"]

    def count(self, method: str) -> int:
        return sum(call[0] == method for call in self.calls)

    def _called(self, method: str, *what: Any) -> None:
        self.calls.append((method, *what))
        if method in self.problems:
            raise self.problems[method]

    def create(self, path: str, interpreter: Interpreter, params: Sequence[str]) -> None:
        packages = Path(path, *PACKAGES.split("/"))
        packages.mkdir(parents=True)
        Path(path, SCRIPTS).mkdir()
        Path(path, SCRIPTS, EXECUTABLE).write_text("python")
        (packages / "made.py").write_text("1")
        self.during_create(path)
        self._called("create", path, interpreter, tuple(params))

    def install(
        self, python: str, args: Sequence[str], *, env: Mapping[str, str], offline: bool, silent: bool = False
    ) -> Completed:
        self._called("install", python, tuple(args), env, offline, silent)
        return Completed(("fake",), 0, 0.0)

    def sync(self, python: str, requirements: str, *, env: Mapping[str, str], offline: bool) -> Completed:
        self._called("sync", python, Path(requirements).read_text().split("\n"), offline)
        return Completed(("fake",), 0, 0.0)

    def resolve(
        self, interpreter: Interpreter, requirements: Sequence[str], constraints: Sequence[str], *,
        env: Mapping[str, str], offline: bool,
    ) -> list[str]:  # fmt: skip
        self._called("resolve", tuple(requirements), tuple(constraints), offline)
        return list(self.pins)

    def check(self, python: str, *, env: Mapping[str, str]) -> None:
        self._called("check", python, env)


@pytest.fixture
def installer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeInstaller:
    fake = FakeInstaller()
    monkeypatch.setattr(backends, "choose", lambda backend=None: fake)
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return fake


@pytest.fixture
def here(tmp_path: Path) -> Interpreter:
    """An interpreter that can be upgraded in place."""
    path = tmp_path / "base-python"
    path.write_text("python")
    return pythons.Interpreter(str(path), f"{pythons.running().minor}.1", "cpython", "PATH")


class Listener:
    """The context of a quiet session, and what happened in it."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.context = Context(emit=lambda kind, **fields: self.events.append({"kind": kind, **fields}))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] == kind]


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    with use(listener.context):
        yield listener
