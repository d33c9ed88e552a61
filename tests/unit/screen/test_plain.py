"""What do the lines of a plain run say at each verbosity?"""

from __future__ import annotations

import io

import pytest

from hwb import events as ev
from hwb.screen import make_sink


def story():
    yield ev.RunStarted(run_id="1", version="0", directory="/", sessions=["build", "test"], jobs=1)
    yield ev.SessionStarted(session="build", log="/build.log")
    yield ev.CommandStarted(session="build", argv=["python", "-m", "build"], cwd="/")
    yield ev.Message(session="build", level="debug", text="detail")
    yield ev.Message(session="build", level="info", text="hello")
    yield ev.SessionFinished(session="build", status="success", seconds=1.0)
    yield ev.SessionStarted(session="test", log="/test.log")
    yield ev.SessionRetried(session="test", attempt=1, delay=0.5, reason="network")
    yield ev.Message(session="test", level="error", text="bad")
    yield ev.SessionFinished(
        session="test", status="failed", seconds=2.0, reason="boom", log="/test.log", environment="/env"
    )
    yield ev.RunFinished(exit_code=1, seconds=3.0, counts={}, report="/report.json")


def show(events=None, **options):
    stream = io.StringIO()
    options = {"mode": "plain", "environ": {}, "color": False, "tail": lambda session: f"end of {session}\n", **options}
    sink = make_sink(stream, **options)
    sink.pause()
    for event in story() if events is None else events:
        sink.handle(event)
    sink.tick(1.0)
    sink.resume()
    sink.close()
    return stream.getvalue()


END = """
--- test: boom ---
end of test
log: /test.log
environment kept: /env

"""


def test_normal():
    assert show() == (
        "> build\n  build: hello\n+ build  1.0 s\n> test\n"
        "  test: attempt 1 failed (network); again in 0.5 s\n  test: error: bad\nx test  2.0 s  boom\n"
        + END
        + "+ build  1.0 s\nx test   2.0 s  boom\n2 sessions: 1 succeeded, 1 failed in 3.0 s\nreport: /report.json\n"
    )


def test_quiet_has_failures_and_the_last_line():
    assert (
        show(quiet=True)
        == "  test: error: bad\nx test  2.0 s  boom\n" + END + "2 sessions: 1 succeeded, 1 failed in 3.0 s\n"
    )


def test_verbose_has_commands():
    shown = show(verbose=1)
    assert "  build $ python -m build\n" in shown
    assert "  build: detail\n" in shown
    assert "[run-started]" not in shown


def test_very_verbose_has_every_event():
    assert "  run [run-started] run_id='1'" in show(verbose=2)


def test_output_that_was_streamed_is_not_repeated():
    shown = show(stream_output=True)
    assert "end of test" not in shown
    assert "log: /test.log" in shown


def test_an_interruption():
    events = [ev.Interrupted(reason="SIGINT"), ev.RunFinished(exit_code=130, seconds=1.0, counts={})]
    assert show(events) == "interrupted: SIGINT\n0 sessions: nothing ran in 1.0 s (interrupted: SIGINT)\n"


def test_a_run_that_crashed_still_lists_its_failures():
    assert "1 session: 1 failed\n" in show([ev.SessionFinished(session="a", status="failed", seconds=1.0)])
    assert show([]) == ""


@pytest.mark.parametrize(
    ("mode", "environ", "tty", "options", "expected"),
    [
        ("auto", {}, True, {}, "Board"),
        ("auto", {}, False, {}, "Plain"),
        ("auto", {"TERM": "dumb"}, True, {}, "Plain"),
        ("auto", {"CI": "true"}, True, {}, "Plain"),
        ("auto", {"GITHUB_ACTIONS": "true"}, True, {}, "Ci"),
        ("auto", {}, True, {"verbose": 1}, "Plain"),
        ("auto", {}, True, {"quiet": True}, "Plain"),
        ("auto", {}, True, {"stream_output": True}, "Plain"),
        ("plain", {"GITHUB_ACTIONS": "true"}, True, {}, "Plain"),
        ("board", {}, False, {}, "Board"),
        ("ci", {"CI": "true"}, False, {}, "Plain"),
        ("ci", {"GITLAB_CI": "true"}, False, {}, "Ci"),
    ],
)
def test_which_screen(mode, environ, tty, options, expected):
    stream = io.StringIO()
    stream.isatty = lambda: tty
    sink = make_sink(stream, mode=mode, environ=environ, tail=str, **options)
    assert type(sink).__name__ == expected
    sink.close()


def test_the_environment_of_this_process_is_the_default(monkeypatch):
    monkeypatch.setenv("TF_BUILD", "True")
    assert type(make_sink(io.StringIO(), tail=str)).__name__ == "Ci"
