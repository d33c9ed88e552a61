"""The executor of this machine: an outcome comes whatever happens, and directories stay where they were."""

from __future__ import annotations

import os
import queue
from typing import TYPE_CHECKING, Any

import pytest

from hwb import config
from hwb.artifacts import Ledger
from hwb.declare import Recipe
from hwb.loader import Catalog, Entry
from hwb.runner import local
from hwb.runner.local import LocalExecutor
from hwb.runner.outcome import Outcome, Status
from hwb.spec import Services, SessionSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Place:
    """An executor for one recipe, and where its outcomes arrive."""

    def __init__(self, root: Path, function: Callable[..., Any], **options: Any) -> None:
        self.root = root
        chain = (Recipe("r", function, {"venv_backend": "none", **options}, __file__, 1),)
        services = Services(Catalog({"r": Entry(chain)}), config.load(str(root), environ={}), Ledger(None), None)  # type: ignore[arg-type]
        self.done: queue.Queue[Outcome] = queue.Queue()
        self.events: list[str] = []
        self.executor = LocalExecutor(
            services, lambda kind, session, **values: self.events.append(kind), lambda group, alive=True: None, slots=2
        )

    def run(self, **values: Any) -> Outcome:
        spec = SessionSpec(
            "r", values.pop("recipe", "r"), 1, "run", str(self.root), str(self.root), str(self.root / "r.log"), **values
        )
        self.executor.submit(spec, self.done.put)
        return self.done.get(timeout=60)


def test_what_it_offers(tmp_path: Path) -> None:
    executor = Place(tmp_path, lambda session: None).executor

    assert executor.slots() == 2
    (label,) = executor.labels()
    assert "-" in label
    assert label == label.lower()


def test_a_session_in_a_thread(tmp_path: Path) -> None:
    place = Place(tmp_path, lambda session: session.log("here"))
    outcome = place.run(attempt=2)

    assert (outcome.status, outcome.attempt) == (Status.SUCCESS, 2)
    assert (tmp_path / "r.log").read_text() == "here\n"
    assert place.events == ["message"]


def test_a_fault_of_ours_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object, **_options: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(local, "run_session", broken)
    outcome = Place(tmp_path, lambda session: None).run(attempt=3)

    assert (outcome.status, outcome.exit_code, outcome.attempt) == (Status.FAILED, 1, 3)
    assert outcome.reason == "internal error: ZeroDivisionError: ours"
    assert outcome.error is not None
    assert "Traceback" in outcome.error["detail"]


def test_even_one_that_cannot_be_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Worse(BaseException):
        def __str__(self) -> str:
            raise RuntimeError

    def broken(*_args: object, **_options: object) -> None:
        raise Worse

    monkeypatch.setattr(local, "run_session", broken)
    monkeypatch.setattr("threading.excepthook", lambda _arguments: None)
    outcome = Place(tmp_path, lambda session: None).run()

    assert (outcome.status, outcome.reason) == (Status.FAILED, "internal error")


def test_a_log_that_cannot_be_opened_and_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    place = Place(tmp_path, lambda session: None)
    (tmp_path / "r.log").mkdir()
    outcome = place.run()
    assert "r.log cannot be written: Is a directory" in outcome.reason or os.name == "nt"
    assert outcome.exit_code == 1
    (tmp_path / "r.log").rmdir()
    outcome = place.run(recipe="other")
    assert (outcome.status, outcome.exit_code) == (Status.FAILED, 2)
    assert "there is no recipe 'other'" in outcome.reason


@pytest.mark.parametrize("parallel", [False, True])
def test_without_a_private_directory_the_processs_own_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parallel: bool
) -> None:
    seen: list[str] = []
    before = os.getcwd()
    monkeypatch.setattr(local, "private_directory", lambda: False)
    outcome = Place(tmp_path, lambda session: seen.append(os.getcwd())).run(parallel=parallel)

    assert outcome.status is Status.SUCCESS
    assert [os.path.realpath(path) for path in seen] == [os.path.realpath(before if parallel else tmp_path)]
    assert os.getcwd() == before


def test_a_private_directory_leaves_the_processs_own(tmp_path: Path) -> None:
    before = os.getcwd()
    place = Place(tmp_path, lambda session: os.chdir(os.sep))

    assert place.run().status is Status.SUCCESS
    assert os.getcwd() == before
