"""Run directories: made, pruned, moved when the project is read-only."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hwb.runner import rundir
from hwb.runner.rundir import open_run_dir, state_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_run_has_a_directory_that_ignores_itself(tmp_path: Path) -> None:
    run = open_run_dir(str(tmp_path), [], 20)

    assert (tmp_path / ".hwb" / ".gitignore").read_text() == "*\n"
    assert os.path.isdir(run.logs)
    assert {os.path.basename(p) for p in (run.report, run.events, run.ledger)} == {
        "report.json",
        "events.jsonl",
        "ledger.jsonl",
    }
    run.close()


def test_old_runs_go_but_never_one_that_runs(tmp_path: Path) -> None:
    first = open_run_dir(str(tmp_path), [], 2)
    others = []
    for _ in range(4):
        run = open_run_dir(str(tmp_path), [], 2)
        run.close()
        others.append(run.id)
    left = set(os.listdir(tmp_path / ".hwb" / "runs"))

    assert first.id in left
    assert others[-1] in left
    assert len(left) == 3
    first.close()


def test_a_kept_environment_goes_when_its_session_runs_again(tmp_path: Path) -> None:
    run = open_run_dir(str(tmp_path), [], 20)
    for name in ("test", "lint"):
        os.makedirs(os.path.join(run.path, "envs", name))
    running = open_run_dir(str(tmp_path), ["test"], 20)
    assert os.path.isdir(os.path.join(run.path, "envs", "test"))
    run.close()
    running.close()
    open_run_dir(str(tmp_path), ["test"], 20).close()
    assert os.listdir(os.path.join(run.path, "envs")) == ["lint"]
    open_run_dir(str(tmp_path), ["lint"], 20).close()

    assert not os.path.isdir(os.path.join(run.path, "envs"))


def test_two_runs_never_share_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = iter(["a", "a", "b"])
    monkeypatch.setattr(rundir, "_new_id", lambda: next(names))
    first, second = (open_run_dir(str(tmp_path), [], 20) for _ in range(2))
    monkeypatch.undo()

    assert first.id != second.id
    first.close()
    second.close()


def test_a_read_only_project_uses_the_users_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(rundir, "writable", lambda _path: False)
    state = state_of(str(tmp_path))

    assert state.startswith(str(tmp_path / "state" / "hwb" / "projects"))
    assert state == state_of(str(tmp_path))
    assert state != state_of(str(tmp_path.parent))
