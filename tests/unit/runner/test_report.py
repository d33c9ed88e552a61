"""The report and the event lines: readable at any moment, masked, not written ten thousand times."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from hwb.redact import Redactor
from hwb.runner import report
from hwb.runner.report import Bus, EventLines, Report

if TYPE_CHECKING:
    from pathlib import Path


def started(bus: Bus, *sessions: str) -> None:
    bus.emit("run-started", run_id="r", version="1", directory="/p", sessions=list(sessions), jobs=2, command=["run"])


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())  # type: ignore[no-any-return]


def test_the_report_names_the_run_that_is_continued(tmp_path: Path) -> None:
    for resumes, expected in (("earlier", "earlier"), ("", None)):
        path = tmp_path / f"report{resumes}.json"
        started(Bus([Report(str(path), resumes)], Redactor()), "a")
        assert read(path).get("resumes") == expected


def test_the_report_follows_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_WRITE_EVERY", 0.0)
    path = tmp_path / "report.json"
    bus = Bus([Report(str(path))], Redactor())
    started(bus, "a", "b")
    assert read(path)["status"] == "running"
    assert read(path)["sessions"] == [{"session": "a", "status": "queued"}, {"session": "b", "status": "queued"}]
    bus.emit("session-started", "a", log="a.log")
    assert read(path)["sessions"][0]["status"] == "running"
    bus.emit("session-retried", "a", attempt=2, delay=1.0, reason="flaky")
    bus.emit("session-added", "c", by="a")
    bus.emit("message", "a", level="info", text="not in the report")
    bus.emit("session-finished", "a", status="failed", seconds=1.23456, reason="why", error={"what": "x"}, log="a.log")
    bus.emit("run-finished", exit_code=1, seconds=2.0, counts={"failed": 1})
    bus.close()
    data = read(path)

    assert (data["schema"], data["status"], data["exit_code"], data["counts"]) == (
        "hwb.report/1",
        "failed",
        1,
        {"failed": 1},
    )
    first = data["sessions"][0]
    assert (first["status"], first["seconds"], first["reason"], first["error"]) == (
        "failed",
        1.235,
        "why",
        {"what": "x"},
    )
    assert first["retries"] == [{"reason": "flaky", "delay": 1.0}]
    assert data["sessions"][2] == {"session": "c", "status": "queued", "notified_by": "a"}


@pytest.mark.parametrize(("code", "interrupted", "status"), [(0, False, "success"), (130, True, "interrupted")])
def test_how_a_report_ends(tmp_path: Path, code: int, interrupted: bool, status: str) -> None:
    bus = Bus([Report(str(tmp_path / "r"))], Redactor())
    started(bus)
    if interrupted:
        bus.emit("interrupted", reason="SIGINT")
    bus.emit("run-finished", exit_code=code, seconds=0.1, counts={})

    assert read(tmp_path / "r")["status"] == status


def test_many_ends_write_few_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[str] = []
    monkeypatch.setattr(report, "atomic_write", lambda path, data, durable: writes.append(data))
    bus = Bus([Report("r")], Redactor())
    started(bus)
    for number in range(1000):
        bus.emit("session-finished", f"s{number}", status="success", seconds=0.0)
    bus.emit("run-finished", exit_code=0, seconds=0.1, counts={})

    assert len(writes) < 20


def test_a_full_disk_does_not_end_the_run_and_is_told_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_kw: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report, "atomic_write", full)
    monkeypatch.setattr(report, "_WRITE_EVERY", 0.0)
    written = Report("r")
    bus = Bus([written], Redactor())
    bus.emit("session-finished", "a", status="success", seconds=0.0)
    assert written.failure is None
    bus.emit("run-finished", exit_code=0, seconds=0.1, counts={})

    assert "No space" in str(written.failure)


def test_secrets_are_masked_before_any_sink(tmp_path: Path) -> None:
    out = io.StringIO()
    bus = Bus([EventLines(out, owned=False)], Redactor((b"secret",)))
    bus.emit("command-started", "a", argv=["curl", "-u", "me:secret"], cwd="/secret")
    bus.emit("session-finished", "a", status="failed", seconds=0.5, error={"detail": "secret"})
    bus.close()
    first, second = map(json.loads, out.getvalue().splitlines())

    assert first["argv"] == ["curl", "-u", "me:***"]
    assert first["cwd"] == "/***"
    assert second["error"] == {"detail": "***"}
    assert second["schema"] == "hwb.event/1"


def test_an_owned_stream_is_closed() -> None:
    out = io.StringIO()
    EventLines(out, owned=True).close()

    assert out.closed
