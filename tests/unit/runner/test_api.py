"""A whole run from Python: its result, its screen's guard, its signals, its files."""

from __future__ import annotations

import io
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

import hwb
from hwb.errors import HwbError, NothingToRun, UsageError
from hwb.events import make
from hwb.runner import api
from hwb.runner.api import Flags
from hwb.runner.display import Display, GuardedScreen

if TYPE_CHECKING:
    from pathlib import Path

HWBFILE = (
    "import hwb\n@hwb.recipe(venv_backend='none')\ndef good(session): print('said')\n"
    "@hwb.recipe(venv_backend='none')\ndef bad(session): session.error('no')\n"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "hwbfile.py").write_text(HWBFILE)
    return tmp_path


def test_the_result_of_a_run(root: Path) -> None:
    good, bad = hwb.run("good", directory=root), hwb.run("good", "bad", directory=root, jobs=1)

    assert (good.ok, good.exit_code) == (True, 0)
    assert (bad.ok, bad.exit_code) == (False, 1)
    assert [(o.session, o.status.value) for o in bad.outcomes] == [("good", "success"), ("bad", "failed")]
    assert os.path.isfile(good.report)
    assert os.path.dirname(good.report) == good.run_dir


def test_what_is_asked_for_wrongly_raises_before_anything_runs(root: Path) -> None:
    with pytest.raises(UsageError):
        hwb.run("nobody", directory=root)
    with pytest.raises(NothingToRun):
        hwb.run(directory=root, tags=["none"])
    assert not (root / ".hwb").exists()


def test_a_stream_sees_it_and_may_be_closed(root: Path) -> None:
    stream = io.StringIO()
    assert hwb.run("good", directory=root, stream=stream).ok
    assert "said\n" in stream.getvalue()
    stream.close()
    assert hwb.run("good", directory=root, stream=stream).ok


def test_runs_in_threads_leave_the_signals_alone(root: Path) -> None:
    before, results = signal.getsignal(signal.SIGINT), []
    thread = threading.Thread(target=lambda: results.append(hwb.run("good", directory=root)))
    thread.start()
    thread.join()

    assert results[0].ok
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(("processors", "jobs", "slots"), [(3, "auto", 3), (None, "auto", 1), (3, "2", 2)])
def test_how_many_run_at_once(
    root: Path, monkeypatch: pytest.MonkeyPatch, processors: int | None, jobs: str, slots: int
) -> None:
    """Where the system does not say which processors may be used, all are counted."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    from hwb.plan import Request, make_plan
    from hwb.workspace import open_workspace

    workspace = open_workspace(str(root), None, {"jobs": jobs})
    for names, expected in ((("good", "bad"), slots), (("good",), 1)):
        plan = make_plan(workspace.catalog, Request(names))
        assert api._Run(workspace, plan, Flags(), Display())._jobs == expected


def test_files_of_a_run_that_cannot_be_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hwb.runner.report.atomic_write", full)
    stream = io.StringIO()
    with pytest.raises(HwbError, match="the files of the run cannot be written: No space left on device"):
        hwb.run("good", directory=root, stream=stream)
    assert "1 succeeded" in stream.getvalue(), "the screen is served all the same"


class Screen:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *_args: self.calls.append(name)


def test_nothing_brings_the_board_back_while_a_command_has_the_terminal() -> None:
    screen, stream = Screen(), io.StringIO()
    guarded = GuardedScreen(screen, lambda session: session == "seen")  # type: ignore[arg-type]
    guarded.pause()
    guarded.beside(stream, "from a thread")
    assert "resume" not in screen.calls
    guarded.resume()
    guarded.close()

    assert screen.calls == ["pause", "pause", "resume", "close"]
    assert stream.getvalue() == "from a thread"


def test_messages_that_are_on_the_screen_already_are_not_shown_again() -> None:
    screen = Screen()
    guarded = GuardedScreen(screen, lambda session: session == "seen")  # type: ignore[arg-type]
    guarded.handle(make("message", "seen", level="info", text="x"))
    assert screen.calls == []
    guarded.handle(make("message", "other", level="info", text="x"))
    guarded.handle(make("message", None, level="warning", text="x"))
    guarded.handle(make("interrupted", None, reason="x"))
    guarded.tick(0.0)
    assert screen.calls == ["handle"] * 3 + ["tick"]
