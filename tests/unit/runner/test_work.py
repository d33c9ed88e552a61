"""From a specification to an outcome: what becomes of everything a recipe can raise, and who cleans up."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hwb import config
from hwb.artifacts import Ledger
from hwb.context import CancelToken
from hwb.declare import ParamSet, Recipe
from hwb.errors import Cancelled, CommandFailed, HwbError, SessionTimeout
from hwb.loader import Catalog, Entry
from hwb.redact import Redactor
from hwb.runner import work
from hwb.runner.log import SessionLog
from hwb.runner.outcome import Outcome, Status
from hwb.spec import Quit, Services, SessionSpec, Skip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def run(
    root: Path, function: Callable[..., Any], *, token: CancelToken | None = None, params: Any = None, **spec: Any
) -> Outcome:
    options = {"venv_backend": "none", **spec.pop("options", {})}
    chain = (Recipe("r", function, options, __file__, 1, params=params),)
    services = Services(Catalog({"r": Entry(chain)}), config.load(str(root), environ={}), Ledger(None), None)  # type: ignore[arg-type]
    own = SessionSpec("r", "r", 1, "run", str(root), str(root / "a" / "b"), str(root / "r.log"), **spec)
    log = SessionLog(own.log, Redactor())
    try:
        context = work.make_context(
            own, services, log, token or CancelToken(), lambda *_a, **_v: None, lambda *_a, **_v: None
        )
        return work.run_session(own, services, context)
    finally:
        log.close()


def raising(error: BaseException) -> Callable[..., Any]:
    def recipe(session: Any) -> None:
        raise error

    return recipe


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "status", "reason", "code"),
    [
        (Skip("not %s", "now"), Status.SKIPPED, "not now", 0),
        (Quit("a", 1), Status.FAILED, "a 1", 1),
        (Quit(), Status.FAILED, "session.error was called", 1),
        (KeyboardInterrupt(), Status.ABORTED, "SIGINT", 0),
        (Cancelled("why"), Status.ABORTED, "why", 0),
        (SessionTimeout("x"), Status.FAILED, "session r took longer than it may", 1),
        (CommandFailed("git ended", 1), Status.FAILED, "git ended", 1),
        (SystemExit(3), Status.FAILED, "the recipe called sys.exit(3)", 1),
        (ValueError("x"), Status.FAILED, "the recipe raised ValueError: x", 1),
        (ValueError(), Status.FAILED, "the recipe raised ValueError", 1),
        (Unspeakable(), Status.FAILED, "the recipe raised Unspeakable", 1),
        (asyncio.CancelledError(), Status.FAILED, "the recipe raised CancelledError", 1),
        (GeneratorExit("x"), Status.FAILED, "the recipe raised GeneratorExit: x", 1),
    ],
)
def test_what_a_recipe_raises(tmp_path: Path, error: BaseException, status: Status, reason: str, code: int) -> None:
    outcome = run(tmp_path, raising(error))

    assert (outcome.status, outcome.reason, outcome.exit_code) == (status, reason, code)
    if status is Status.FAILED and not isinstance(error, SessionTimeout):
        assert outcome.error is not None
        assert outcome.error["where"].startswith(f"{__file__}:")


def test_the_time_that_is_over_is_named(tmp_path: Path) -> None:
    assert run(tmp_path, raising(SessionTimeout("x")), timeout=1.5).reason == "session r took longer than 1.5 s"


@pytest.mark.parametrize(
    ("reason", "status"), [(work.TIMED_OUT, Status.FAILED), ("SIGTERM", Status.ABORTED), ("-x", Status.ABORTED)]
)
@pytest.mark.parametrize("swallows", [True, False])
def test_a_session_that_was_called_off(tmp_path: Path, reason: str, status: Status, swallows: bool) -> None:
    """Also when its recipe goes on as if nothing had happened, or fails because of it."""
    token = CancelToken()

    def recipe(session: Any) -> None:
        token.cancel(reason)
        if not swallows:
            raise Cancelled(reason)

    assert run(tmp_path, recipe, token=token).status is status


def test_a_failure_because_of_the_cancellation_is_none_of_its_own(tmp_path: Path) -> None:
    token = CancelToken()

    def recipe(session: Any) -> None:
        token.cancel("SIGTERM")
        raise HwbError("the connection was lost")

    outcome = run(tmp_path, recipe, token=token)
    assert (outcome.status, outcome.reason) == (Status.ABORTED, "SIGTERM")


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    services = Services(Catalog({}), config.load(str(tmp_path), environ={}), Ledger(None), None)  # type: ignore[arg-type]
    spec = SessionSpec("r", "r", 1, "run", str(tmp_path), str(tmp_path / "a" / "b"), str(tmp_path / "r.log"))
    log = SessionLog(spec.log, Redactor())
    context = work.make_context(spec, services, log, CancelToken(), lambda *_a, **_v: None, lambda *_a, **_v: None)
    outcome = work.run_session(spec, services, context)
    log.close()

    assert (outcome.status, outcome.exit_code) == (Status.FAILED, 2)
    assert outcome.error is not None
    assert "where" not in outcome.error


def test_parameters_reach_the_recipe_and_python_only_where_it_is_wanted(tmp_path: Path) -> None:
    seen: list[Any] = []
    params = (ParamSet({"n": 1}), ParamSet({"n": 2, "python": "3.12"}))
    run(tmp_path, lambda session, n: seen.append(n), params=params, param_index=1)
    run(tmp_path, lambda session, n, *, python: seen.append((n, python)), params=params, param_index=1)
    run(tmp_path, lambda session: seen.append("none"), params=params)

    assert seen == [2, (2, "3.12"), "none"]


def test_what_is_returned_is_recorded_where_it_is_a_file(tmp_path: Path) -> None:
    made: list[str] = []
    (tmp_path / "x").write_text("x")
    session: Any = SimpleNamespace(emit=made.append)
    for value in (str(tmp_path / "x"), [tmp_path / "x", str(tmp_path / "no"), 7, None], (b"x", tmp_path), None, "a\0b"):
        work._emit_result(session, value)

    assert made == [str(tmp_path / "x"), tmp_path / "x"]


def test_messages_are_in_the_log_and_events(tmp_path: Path) -> None:
    def recipe(session: Any) -> None:
        session.log("plain")
        session.warn("careful")

    run(tmp_path, recipe)

    assert (tmp_path / "r.log").read_text() == "plain\nwarning: careful\n"


@pytest.mark.skipif(sys.platform == "win32", reason="process groups")
def test_background_processes_end_with_the_session(tmp_path: Path) -> None:
    def recipe(session: Any) -> None:
        session.run("sh", "-c", "sleep 600 & echo $! > pid", external=True)

    assert run(tmp_path, recipe).status is Status.SUCCESS
    pid, end = int((tmp_path / "pid").read_text()), time.monotonic() + 20
    while alive(pid):
        assert time.monotonic() < end
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as handle:
            return handle.read().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("error", [None, ValueError("in the child")])
def test_a_forked_child_that_comes_back_does_not_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    left: list[int] = []

    class Left(BaseException):
        pass

    def leave(code: int) -> None:
        left.append(code)
        raise Left

    def recipe(session: Any) -> None:
        monkeypatch.setattr(os, "getpid", lambda: -1)
        if error is not None:
            raise error

    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises(Left):
        run(tmp_path, recipe)

    assert left == [0 if error is None else 1]


# --- environments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "python", "backend"),
    [
        ({"venv_backend": "none"}, None, None),
        ({"isolation": "none"}, None, None),
        ({}, False, None),
        ({"venv_backend": "venv"}, "3.12", "venv"),
        ({}, None, "uv|virtualenv"),
    ],
)
def test_which_backend_makes_the_environment(tmp_path: Path, options: Any, python: Any, backend: str | None) -> None:
    settings = config.load(str(tmp_path), environ={})
    entry = Entry((Recipe("r", run, options, "f", 1),))
    spec = SessionSpec("r", "r", 1, "1", "", "", "", python=python)

    assert work._backend(entry, spec, settings) == backend


def test_an_environment_in_use_is_not_shared_and_a_free_one_is_kept(tmp_path: Path) -> None:
    said: list[Any] = []
    location = str(tmp_path / "runs" / "1" / "envs" / "r")
    session: Any = SimpleNamespace(_virtualenv=SimpleNamespace(location=location), log=lambda *args: said.append(args))
    spec = SessionSpec("r", "r", 1, "1", "", str(tmp_path / "runs" / "1"), "", reuse=True)
    with work._Environment(session, spec) as first, work._Environment(session, spec) as second:
        kept, reused = first._place()
        assert (kept, reused) == (str(tmp_path / "envs" / "r"), True)
        assert second._place() == (location, False)
        assert len(said) == 1
        first._path = kept
        assert first.close(keep=False) == kept
        assert second._place() == (kept, True)


# --- directories ---------------------------------------------------------------------------------------------------------


def test_private_directories_where_the_system_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for in vain everywhere but on Linux; by ctypes before Python 3.12; refused by some containers."""
    asked: list[int] = []
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not work.private_directory()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys, "version_info", (3, 12))
    monkeypatch.setattr(os, "CLONE_FS", 0x200, raising=False)
    monkeypatch.setattr(os, "unshare", asked.append, raising=False)
    assert work.private_directory()

    def refused(_flags: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "unshare", refused, raising=False)
    assert not work.private_directory()
    monkeypatch.setattr(sys, "version_info", (3, 11))
    for code in (0, -1):
        library = SimpleNamespace(unshare=lambda flags, code=code: asked.append(flags) or code)
        monkeypatch.setattr("ctypes.CDLL", lambda *_a, library=library, **_o: library)
        assert work.private_directory() == (code == 0)
    monkeypatch.setattr("ctypes.CDLL", lambda *_a, **_o: SimpleNamespace())
    assert not work.private_directory()
    assert asked == [0x200] * 3
