"""A session in a process of its own: what parent and child say to each other, and how it ends."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import hwb
from hwb.artifacts import Artifact, Ledger, Verdict
from hwb.context import CancelToken, Context
from hwb.runner import child
from hwb.runner.outcome import Outcome, Status
from hwb.runner.work import TIMED_OUT
from hwb.spec import SessionSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEAD = "import hwb, os, sys\n@hwb.recipe(venv_backend='none', process=True)\ndef r(session):\n"


def artifact(tmp_path: Path) -> Artifact:
    (tmp_path / "x.txt").write_text("x")
    return Artifact.of_file(str(tmp_path / "x.txt"), "r", "r", "")


# --- both sides together -------------------------------------------------------------------------------------------------


def run(root: Path, *lines: str, rest: str = "") -> tuple[hwb.RunResult, str]:
    (root / ".git").mkdir()
    (root / "hwbfile.py").write_text(HEAD + "".join(f"    {line}\n" for line in lines) + rest)
    result = hwb.run("r", directory=root)
    with open(result.outcomes[0].log) as handle:
        return result, handle.read()


def test_what_a_child_does_counts_in_the_run(tmp_path: Path) -> None:
    result, log = run(
        tmp_path,
        "session.log('from %s', 'the child')",
        "open('made.txt', 'w').write('x')",
        "made = session.emit('made.txt')",
        "session.verdict(made, 'looked at')",
        "session.notify('other', ['a'])",
        "session.notify('other')",
        "try: session.notify('nobody')",
        "except ValueError as error: print(error)",
        "os.write(1, b'to descriptor 1\\n')",
        "session.run(sys.executable, '-c', 'print(7)')",
        rest="@hwb.recipe(venv_backend='none', default=False)\ndef other(session):\n    assert session.posargs == ['a']\n",
    )

    assert [o.status for o in result.outcomes] == [Status.SUCCESS] * 2, log
    assert [a.name for a in result.artifacts] == ["made.txt"]
    assert log.count("from the child") == 1
    assert "Session nobody not found." in log
    assert "to descriptor 1\n" in log
    assert log.endswith("7\n")
    ledger = Ledger.read(os.path.join(result.run_dir, "ledger.jsonl"))
    assert len(ledger.artifacts()) == 1


def test_a_hwbfile_that_breaks_in_the_child_only(tmp_path: Path) -> None:
    result, _ = run(tmp_path, "pass", rest=f"if os.getpid() != {os.getpid()}: raise RuntimeError('in the child')\n")

    assert (result.outcomes[0].status, result.exit_code) == (Status.FAILED, 2)
    assert "RuntimeError: in the child" in result.outcomes[0].reason


# --- the parent's side ---------------------------------------------------------------------------------------------------


class Log:
    def __init__(self) -> None:
        self.text = ""

    def fileno(self) -> int:
        return 2

    def write(self, text: str) -> None:
        self.text += text


def test_answers(tmp_path: Path) -> None:
    said, events, groups, reply = Log(), [], [], io.BytesIO()
    context = Context(
        log=said,
        emit=lambda kind, **values: events.append((kind, values)),
        announce_group=lambda *group: groups.append(group),
    )
    made = artifact(tmp_path)

    def notify(target: str, posargs: Any, by: str) -> bool:
        if target == "nobody":
            raise ValueError("not found")
        return True

    ledger = Ledger(None)
    services: Any = SimpleNamespace(ledger=ledger, notifier=SimpleNamespace(notify=notify))
    other = Artifact.from_json({**made.to_json(), "sha256": "0" * 64, "name": "y.txt"})
    messages: list[dict[str, Any]] = [
        {"do": "event", "kind": "message", "values": {"level": "info", "text": "x"}},
        {"do": "group", "group": 7, "alive": False},
        {"do": "artifact", "artifact": made.to_json()},
        {"do": "artifact", "artifact": other.to_json()},
        {"do": "verdict", "verdict": Verdict(made.sha256, made.name, "seen", True, "").to_json()},
        {"do": "replaces", "old": made.sha256, "new": other.sha256},
        {"do": "notify", "target": "a", "posargs": None, "by": "r"},
        {"do": "notify", "target": "nobody", "posargs": None, "by": "r"},
        {"do": "something newer"},
    ]
    for message in messages:
        child._answer(message.pop("do"), message, reply, services, context)

    assert events == [("message", {"level": "info", "text": "x"})]
    assert groups == [(7, False)]
    assert [a.name for a in ledger.leaves()] == ["y.txt"]
    assert [json.loads(line) for line in reply.getvalue().splitlines()] == [{"added": True}, {"error": "not found"}]


def test_a_line_that_is_no_message_lands_in_the_log() -> None:
    said, outcome = Log(), Outcome("r", Status.SUCCESS)
    lines = b"no json\xff\n" + json.dumps({"do": "outcome", "outcome": outcome.to_json()}).encode() + b"\n"
    process: Any = SimpleNamespace(stdin=io.BytesIO(), stdout=io.BytesIO(lines))
    spec = SessionSpec("r", "r", 1, "1", "", "", "")

    assert child._serve(process, spec, None, Context(log=said)) == outcome  # type: ignore[arg-type]
    assert said.text == "no json\ufffd\n"


def test_a_reader_that_has_gone_is_noticed_elsewhere() -> None:
    class Gone(io.BytesIO):
        def flush(self) -> None:
            raise BrokenPipeError

    child._say(Gone(), {"a": 1})


def later(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, Callable[[], None]]]:
    """What is put off, to be done when the test wants it."""
    timers: list[tuple[float, Callable[[], None]]] = []

    class Timer:
        def __init__(self, seconds: float, function: Callable[[], None]) -> None:
            timers.append((seconds, function))

        def start(self) -> None: ...

    monkeypatch.setattr(child.threading, "Timer", Timer)
    return timers


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(("reason", "number"), [("SIGTERM", signal.SIGINT), (TIMED_OUT, signal.SIGALRM)])
def test_cancelling_asks_first_and_kills_after_its_grace(
    monkeypatch: pytest.MonkeyPatch, reason: str, number: int
) -> None:
    code = (
        "import os, signal, time\n"
        f"signal.signal({int(number)}, lambda *_: os.write(1, b'asked\\n'))\nos.write(1, b'up\\n')\n"
        "while True: time.sleep(0.05)  # short: a signal just before a long sleep is seen after it\n"
    )
    timers = later(monkeypatch)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        child._stop(process, reason)
        assert process.stdout.readline() == b"asked\n"
        ((seconds, force),) = timers
        assert seconds == child._GRACE
        force()
        assert process.wait(20) == -signal.SIGKILL


def test_one_that_ends_in_time_is_not_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    timers = later(monkeypatch)
    process: Any = SimpleNamespace(
        send_signal=lambda _number: None, poll=lambda: 0, kill=lambda: pytest.fail("it was over")
    )
    child._stop(process, "SIGTERM")
    timers[0][1]()


# --- the child's side ----------------------------------------------------------------------------------------------------


def test_the_childs_ledger_tells_the_parent(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    made = artifact(tmp_path)
    Ledger(path).add(made)
    out = io.BytesIO()
    parent = child._Parent(out, io.BytesIO())
    spec = SessionSpec("r", "r", 1, "1", "", "", "", ledger=str(path))
    ledger = child._ledger(spec, parent)
    assert [a.name for a in ledger.artifacts()] == ["x.txt"], "what others made before"
    assert out.getvalue() == b""
    other = Artifact.from_json({**made.to_json(), "sha256": "0" * 64, "name": "y.txt"})
    ledger.add(other)
    ledger.add_verdict(Verdict(other.sha256, other.name, "seen", True, ""))
    ledger.replaces(made.sha256, other.sha256)

    assert [json.loads(line)["do"] for line in out.getvalue().splitlines()] == ["artifact", "verdict", "replaces"]
    assert [a.name for a in ledger.leaves()] == ["y.txt"]
    assert list(child._ledger(SessionSpec("r", "r", 1, "1", "", "", ""), parent).artifacts()) == []


def test_the_childs_questions() -> None:
    out = io.BytesIO()
    parent = child._Parent(out, io.BytesIO(b'{"added": false}\n{"error": "not found"}\n'))

    assert parent.notify("a", ["x"], "r") is False
    with pytest.raises(ValueError, match="not found"):
        parent.notify("b", None, "r")
    parent.group(7)
    parent.emit("message", "r", level="info")
    assert [json.loads(line)["do"] for line in out.getvalue().splitlines()] == ["notify", "notify", "group", "event"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_signals_cancel_the_childs_session(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: dict[int, Any] = {}
    monkeypatch.setattr(child.signal, "signal", lambda number, handler: handlers.update({number: handler}))
    for number, reason in ((signal.SIGTERM, "SIGTERM"), (signal.SIGHUP, "SIGHUP"), (signal.SIGALRM, TIMED_OUT)):
        token = CancelToken()
        child._cancel_on_signals(token)
        handlers[number](number, None)
        assert token.reason == reason
