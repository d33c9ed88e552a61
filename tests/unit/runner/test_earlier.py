"""An earlier run is found, held, read and continued; every run writes down what a later one needs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import hwb
from hwb.errors import HwbError, OutputError, SourceError, UsageError
from hwb.fs import FileLock
from hwb.plan import Request, make_plan
from hwb.redact import Redactor
from hwb.runner import earlier
from hwb.runner.api import Flags
from hwb.runner.earlier import Continuation, plan_record, read_sources
from hwb.runner.outcome import Outcome, Status
from hwb.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from collections.abc import Callable

HWBFILE = """import hwb, os
MARKS = {marks!r}
def mark(session):
    with open(os.path.join(MARKS, session.name), "a") as file:
        file.write("x")
@hwb.recipe(venv_backend='none')
def first(session):
    mark(session)
    path = os.path.join("dist", "first.txt")
    os.makedirs("dist", exist_ok=True)
    with open(path, "w") as file:
        file.write("made")
    session.emit(path)
@hwb.recipe(venv_backend='none', requires=["first"])
def second(session):
    mark(session)
    if not os.path.exists(os.path.join(MARKS, "ok")):
        session.error("no")
@hwb.recipe(venv_backend='none', requires=["second"])
def third(session):
    mark(session)
    session.skip("nothing to do")
"""
ALL = ("first", "second", "third")


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


@pytest.fixture
def root(tmp_path: Path, marks: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / ".git").mkdir()
    (folder / "hwbfile.py").write_text(HWBFILE.format(marks=str(marks)))
    return folder


def ran(marks: Path) -> dict[str, int]:
    """How often each session worked."""
    return {path.name: len(path.read_text()) for path in sorted(marks.iterdir()) if path.name != "ok"}


def runs(root: Path) -> list[Path]:
    return sorted((root / ".hwb" / "runs").iterdir())


def events(result: hwb.RunResult) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(result.run_dir, "events.jsonl").read_text().splitlines()]


def told(result: hwb.RunResult) -> list[str]:
    return [event["text"] for event in events(result) if event["event"] == "message" and event["session"] is None]


def test_what_failed_and_what_comes_after_runs_again(root: Path, marks: Path) -> None:
    failed = hwb.run(*ALL, directory=root)
    (marks / "ok").touch()
    done = hwb.run(*ALL, directory=root, resume=True, jobs=1, retries=1)

    assert (failed.exit_code, done.exit_code) == (1, 0)
    assert ran(marks) == {"first": 1, "second": 2, "third": 1}
    run = os.path.basename(failed.run_dir)
    assert [(o.session, o.status, o.reason) for o in done.outcomes] == [
        ("first", Status.SUCCESS, f"done by run {run}"),
        ("second", Status.SUCCESS, ""),
        ("third", Status.SKIPPED, "nothing to do"),
    ]
    assert done.outcomes[0].log == failed.outcomes[0].log
    assert told(done) == [f"continues the run {run}: 1 of 3 sessions are done"]
    assert json.loads(Path(done.report).read_text())["resumes"] == run
    assert [artifact.name for artifact in done.artifacts] == ["first.txt"]


def test_a_run_that_continued_another_can_be_continued(root: Path, marks: Path) -> None:
    failed = hwb.run(*ALL, directory=root)
    (marks / "ok").touch()
    middle = hwb.run(*ALL, directory=root, resume=True)
    last = hwb.run(*ALL, directory=root, resume=True)

    one, two = (os.path.basename(result.run_dir) for result in (failed, middle))
    assert ran(marks) == {"first": 1, "second": 2, "third": 1}
    assert [o.reason for o in last.outcomes] == [f"done by run {name}" for name in (one, two, two)]
    assert [o.status for o in last.outcomes] == [Status.SUCCESS, Status.SUCCESS, Status.SKIPPED]
    assert last.exit_code == 0
    assert told(last) == [f"continues the run {two}: 3 of 3 sessions are done"]


def test_without_the_word_everything_runs(root: Path, marks: Path) -> None:
    for _ in range(2):
        hwb.run(*ALL, directory=root)
    assert ran(marks) == {"first": 2, "second": 2}


@pytest.mark.parametrize("change", [os.unlink, lambda path: Path(path).write_text("other")])
def test_who_made_a_file_that_is_not_there_any_more_runs_again(
    root: Path, marks: Path, change: Callable[[str], object]
) -> None:
    hwb.run(*ALL, directory=root)
    path = os.path.join(root, "dist", "first.txt")
    change(path)
    (marks / "ok").touch()
    done = hwb.run(*ALL, directory=root, resume=True)

    assert done.ok
    assert ran(marks) == {"first": 2, "second": 2, "third": 1}
    assert told(done)[1:] == [f"first runs again: {path} is gone or was changed"]


def test_after_a_change_of_the_sources_everything_runs_again(root: Path, marks: Path) -> None:
    failed = hwb.run(*ALL, directory=root)
    (root / "source.txt").write_text("new")
    done = hwb.run(*ALL, directory=root, resume=True)

    run = os.path.basename(failed.run_dir)
    assert ran(marks) == {"first": 2, "second": 2}
    assert told(done) == [f"the sources are not those of the run {run} any more (source.txt): every session runs again"]


def test_no_run_at_all(root: Path) -> None:
    with pytest.raises(UsageError, match="there is no run to resume in this project"):
        hwb.run(*ALL, directory=root, resume=True)
    assert not (root / ".hwb").exists()


def test_another_plan_is_told_by_what_differs(root: Path) -> None:
    first = hwb.run(*ALL, directory=root)
    with pytest.raises(UsageError, match=os.path.basename(first.run_dir)) as caught:
        hwb.run("first", "second", directory=root, resume=True, python="3.99", posargs=["x"])
    assert caught.value.detail.splitlines() == [
        "sessions: first (changed), second (changed), third (gone)",
        "settings: python (new)",
    ]
    (root / "hwbfile.py").write_text((root / "hwbfile.py").read_text() + "# other\n")
    with pytest.raises(UsageError) as caught:
        hwb.run(*ALL, directory=root, resume=True)
    assert caught.value.detail == "recipe files: hwbfile.py (changed)"
    assert len(runs(root)) == 1


def test_runs_of_other_plans_in_between_do_not_matter(root: Path, marks: Path) -> None:
    failed = hwb.run(*ALL, directory=root)
    hwb.run("first", directory=root)
    (marks / "ok").touch()
    done = hwb.run(*ALL, directory=root, resume=True)
    assert done.outcomes[0].reason == f"done by run {os.path.basename(failed.run_dir)}"


def test_a_run_of_one_session_leaves_nothing_and_runs_again(root: Path, marks: Path) -> None:
    first = hwb.run("first", directory=root)
    again = hwb.run("first", directory=root, resume=True)

    assert ran(marks) == {"first": 2}
    assert told(again) == [f"continues the run {os.path.basename(first.run_dir)}: 0 of 1 sessions are done"]


def test_a_run_that_is_in_use_is_not_continued(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier, "_PATIENCE", 0.1)
    failed = hwb.run(*ALL, directory=root)
    lock = FileLock(os.path.join(failed.run_dir, "lock"))
    assert lock.acquire(blocking=False)
    with pytest.raises(UsageError, match="still in use"):
        hwb.run(*ALL, directory=root, resume=True)
    lock.release()
    assert hwb.run(*ALL, directory=root, resume=True).outcomes[0].reason
    assert lock.acquire(blocking=False), "it was let go"
    lock.release()


def test_who_waits_for_a_run_continues_what_came_after_it(
    root: Path, marks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at once: while the second waits, the first one makes a run that the second has to continue."""
    failed = hwb.run(*ALL, directory=root)
    (marks / "ok").touch()
    lock, results = FileLock(os.path.join(failed.run_dir, "lock")), []
    assert lock.acquire(blocking=False)

    def meanwhile(_seconds: float) -> None:
        if not results:
            lock.release()
            results.append(hwb.run(*ALL, directory=root, resume=True))

    monkeypatch.setattr(earlier, "time", SimpleNamespace(monotonic=time.monotonic, sleep=meanwhile))
    last = hwb.run(*ALL, directory=root, resume=True)
    assert json.loads(Path(last.report).read_text())["resumes"] == os.path.basename(results[0].run_dir)
    assert ran(marks) == {"first": 1, "second": 2, "third": 1}


def test_the_run_that_is_continued_stays_meanwhile(root: Path, marks: Path) -> None:
    """Old runs go when a run begins; the one that is continued is held, however few are kept."""
    failed = hwb.run(*ALL, directory=root)
    (marks / "ok").touch()
    done = hwb.run(*ALL, directory=root, resume=True, **{"keep-runs": 1})
    assert done.ok
    assert [path.name for path in runs(root)] == [os.path.basename(r.run_dir) for r in (failed, done)]


@pytest.mark.parametrize("text", ["", "{", '{"schema": "other"}', "[]"])
def test_a_plan_that_cannot_be_read_is_none(root: Path, text: str) -> None:
    failed = hwb.run(*ALL, directory=root)
    Path(failed.run_dir, "plan.json").write_text(text)
    with pytest.raises(UsageError, match="there is no run to resume in this project"):
        hwb.run(*ALL, directory=root, resume=True)


def test_a_ledger_that_was_torn_or_never_begun_is_continued_and_another_is_an_error(root: Path) -> None:
    failed = hwb.run(*ALL, directory=root)
    ledger = Path(failed.run_dir, "ledger.jsonl")
    with ledger.open("ab") as file:
        file.write(b'{"record": "done", "sess')
    first = hwb.run(*ALL, directory=root, resume=True)
    assert first.outcomes[0].reason
    newest = Path(first.run_dir, "ledger.jsonl")
    newest.unlink()
    second = hwb.run(*ALL, directory=root, resume=True)
    assert second.outcomes[0].reason == ""
    Path(second.run_dir, "ledger.jsonl").write_text("no record\n")
    with pytest.raises(HwbError, match="this line of the ledger cannot be read"):
        hwb.run(*ALL, directory=root, resume=True)


def test_who_was_killed_before_it_had_taken_over_does_not_hide_the_run_before(root: Path) -> None:
    failed = hwb.run(*ALL, directory=root)
    (root / ".hwb" / "runs" / "99991231-000000-000-0000").mkdir()
    done = hwb.run(*ALL, directory=root, resume=True)
    assert done.outcomes[0].reason == f"done by run {os.path.basename(failed.run_dir)}"


# --- what cannot be written or seen -----------------------------------------------------------------------------------


def test_more_than_can_be_looked_at_before_every_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = hwb.run(*ALL, directory=root)
    monkeypatch.setattr(earlier, "_MOST_FILES", 0)
    with pytest.raises(SourceError, match="too much here that git does not know"):
        hwb.run(*ALL, directory=root, resume=True)
    plain = hwb.run(*ALL, directory=root)
    assert [text for text in told(plain) if "this run cannot be resumed" in text and "there is too much" in text]
    assert '"done"' in Path(failed.run_dir, "ledger.jsonl").read_text()
    assert '"done"' not in Path(plain.run_dir, "ledger.jsonl").read_text()


def digest(root: Path) -> str:
    return read_sources(str(root), str(root / "dist")).digest


def test_what_is_too_large_counts_by_its_bytes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(root)
    monkeypatch.setattr(earlier, "_MOST_BYTES", (root / "hwbfile.py").stat().st_size)
    assert digest(root) == before
    (root / "dist").mkdir()
    (root / "dist" / "large").write_text("x" * 100)
    assert digest(root) == before, "outputs are no sources"
    (root / "more").write_text("x")
    with pytest.raises(SourceError):
        digest(root)


@pytest.mark.git
def test_in_git_what_is_tracked_is_not_read(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import subprocess

    (root / ".git").rmdir()
    who = ["-c", "user.name=n", "-c", "user.email=e@x", "-c", "init.defaultBranch=main"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run(["git", *who, *words], cwd=root, check=True)
    monkeypatch.setattr(earlier, "_MOST_FILES", 1)
    before = digest(root)
    (root / "one").write_text("x")
    assert digest(root) != before
    (root / "one").unlink()
    assert digest(root) == before
    for name in ("one", "two"):
        (root / name).write_text("x")
    with pytest.raises(SourceError):
        digest(root)


def test_what_a_later_run_may_need_fails_no_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> str:
        raise ValueError("git says something new")

    monkeypatch.setattr(earlier, "read_sources", broken)
    result = hwb.run(*ALL, directory=root)
    assert result.outcomes[0].status is Status.SUCCESS
    assert told(result) == ["this run cannot be resumed: git says something new"]


def test_a_run_that_cannot_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = hwb.run(*ALL, directory=root)

    def refused(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("hwb.artifacts.Ledger.records", refused)
    with pytest.raises(HwbError, match=r"the run to resume cannot be read: Permission denied: .*ledger\.jsonl"):
        hwb.run(*ALL, directory=root, resume=True)
    monkeypatch.undo()
    assert hwb.run(*ALL, directory=root, resume=True).outcomes[0].reason.endswith(os.path.basename(failed.run_dir))


def test_too_many_names_are_not_written_down(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(read_sources(str(root), str(root / "dist")).loose or ()) == ["hwbfile.py"]
    monkeypatch.setattr(earlier, "_MOST_NAMES", 0)
    assert read_sources(str(root), str(root / "dist")).loose is None


def test_a_file_that_goes_away_meanwhile_has_no_size(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier, "_unknown_to_git", lambda _tree, _output: ["gone"])
    assert read_sources(str(root), str(root / "dist")).loose == {"gone": ""}


def full(*_args: object, **_options: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_plan_that_cannot_be_written_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier, "atomic_write", full)
    result = hwb.run("first", directory=root)
    assert result.ok
    path = os.path.join(result.run_dir, "plan.json")
    assert told(result) == [f"this run cannot be resumed: No space left on device: {path}"]


def test_what_is_done_and_cannot_be_recorded_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwb.artifacts.Ledger.add_done", full)
    result = hwb.run(*ALL, directory=root)
    assert told(result) == ["first will run again when the run is resumed: No space left on device"]


def test_a_ledger_that_cannot_be_taken_over_ends_the_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hwb.run(*ALL, directory=root)
    monkeypatch.setattr("hwb.artifacts.Ledger.take_over", full)
    with pytest.raises(OutputError, match="the ledger of the run cannot be written: No space left on device"):
        hwb.run(*ALL, directory=root, resume=True)
    monkeypatch.undo()
    assert not (runs(root)[-1] / "plan.json").exists(), "half a ledger is nothing to continue"
    assert hwb.run(*ALL, directory=root, resume=True).outcomes[0].reason


# --- the record -------------------------------------------------------------------------------------------------------


def record(workspace: Workspace, *names: str, secrets: tuple[bytes, ...] = (), **flags: Any) -> dict[str, Any]:
    given = Flags(**flags)
    plan = make_plan(workspace.catalog, Request(names or ALL))
    return plan_record(workspace, plan, given, lambda _session: given.posargs, Redactor(secrets))


def opened(root: Path, **settings: Any) -> Workspace:
    return open_workspace(str(root), None, settings)


def test_what_decides_the_digest(root: Path) -> None:
    plain = record(opened(root))["digest"]
    others = [
        record(opened(root), "first")["digest"],
        record(opened(root), posargs=("x",))["digest"],
        record(opened(root), install_only=True)["digest"],
        record(opened(root), no_install=True)["digest"],
        record(opened(root), targets={"cp312-win_amd64": {"pure": False}})["digest"],
        record(opened(root, python="3.11"))["digest"],
    ]
    same = [
        record(opened(root, jobs=3, timeout=5, retries=2))["digest"],
        record(opened(root), keep=True, resume=True, partial=True, non_interactive=True, command=("run",))["digest"],
    ]
    assert len({plain, *others}) == 7
    assert same == [plain, plain]
    (root / "hwbfile.py").write_text(HWBFILE.format(marks="elsewhere"))
    assert record(opened(root))["digest"] not in {plain, *others}


def test_files_are_named_as_seen_from_the_project(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "shared.py"
    shared.write_text("import hwb\n@hwb.recipe(venv_backend='none')\ndef fourth(session): pass\n")
    monkeypatch.setenv("HWB_ORG_FILE", str(shared))
    files = record(opened(root))["files"]
    assert {"hwbfile.py", str(shared), "hwb:build.py"} <= set(files)
    assert all(files.values())


def test_a_recipe_without_a_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = opened(root)
    (root / "hwbfile.py").unlink()
    assert record(workspace)["files"]["hwbfile.py"] == ""


def test_secrets_are_masked_before_anything_is_derived_from_them(root: Path) -> None:
    one = record(opened(root), posargs=("--password", "correct horse"), secrets=(b"correct horse",))
    other = record(opened(root), posargs=("--password", "***"))
    assert one["sessions"] == other["sessions"]


def test_without_a_beginning_nothing_is_recorded(root: Path) -> None:
    workspace = opened(root)
    plan = make_plan(workspace.catalog, Request(ALL))
    part = Continuation(workspace, plan, Flags(), lambda _session: (), Redactor())
    part.finished(Outcome("first", Status.SUCCESS), lambda *_args, **_values: pytest.fail("told"))
    part.close()
    assert part.outcomes == {}
