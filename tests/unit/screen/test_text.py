"""Are words, widths and signs right for what the stream can show?"""

from __future__ import annotations

import io

import pytest

from hwb import events as ev
from hwb.screen import text

PLAIN = text.Style(color=False, unicode=True)


class Stream(io.StringIO):
    def __init__(self, *, tty=False, encoding="utf-8"):
        super().__init__()
        self._tty, self._encoding = tty, encoding

    def isatty(self):
        return self._tty

    @property
    def encoding(self):
        return self._encoding


@pytest.mark.parametrize(
    ("color", "tty", "environ", "expected"),
    [
        (None, True, {}, True),
        (None, False, {}, False),
        (None, True, {"NO_COLOR": "1"}, False),
        (None, True, {"NO_COLOR": ""}, True),
        (None, False, {"FORCE_COLOR": "1"}, True),
        (None, False, {"FORCE_COLOR": "0"}, False),
        (None, True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (None, True, {"TERM": "dumb"}, False),
        (None, True, {"TERM": "dumb", "FORCE_COLOR": "1"}, True),
        (True, False, {"NO_COLOR": "1"}, True),
        (False, True, {"FORCE_COLOR": "1"}, False),
    ],
)
def test_who_decides_about_colours(color, tty, environ, expected):
    assert text.make_style(Stream(tty=tty), color, environ).color is expected


@pytest.mark.parametrize(
    ("encoding", "rich"), [("utf-8", True), ("UTF8", True), ("ascii", False), ("cp1252", False), (None, False)]
)
def test_signs_need_unicode(encoding, rich):
    style = text.make_style(Stream(encoding=encoding), None, {})
    assert style.unicode is rich
    assert style.mark("success") == ("✓" if rich else "+")
    assert style.dot == (" · " if rich else ", ")


def test_a_closed_stream_is_no_terminal():
    stream = io.StringIO()
    stream.close()
    assert not text.is_terminal(stream)
    assert not text.is_terminal(object())


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m\n", "red"),
        ("10 %\r50 %\r100 %\r\n", "100 %"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\tb", "a   b"),
        ("bell\x07 and\x00 nul", "bell and nul"),
        ("\x1b[2J\x1b[Hgone", "gone"),
        ("\x1bPdcs\x1b\\x", "x"),
        ("\x1b(Bx", "x"),
        ("日本", "日本"),
    ],
)
def test_clean(raw, shown):
    assert text.clean(raw) == shown


@pytest.mark.parametrize(("raw", "columns"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("👍", 2), ("", 0)])
def test_width(raw, columns):
    assert text.width(raw) == columns


@pytest.mark.parametrize(
    ("raw", "columns", "shown"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("abc", 0, ""),
        ("abc", 1, "…"),
    ],
)
def test_clip(raw, columns, shown):
    assert text.clip(raw, columns, PLAIN) == shown
    assert text.width(text.clip(raw, columns, PLAIN)) <= columns


def test_clip_in_ascii():
    assert text.clip("abcd", 3, text.Style(unicode=False)) == "ab~"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (61, "1:01 min"), (3599, "59:59 min"), (3723, "1:02:03 h")],
)
def test_duration(seconds, shown):
    assert text.duration(seconds) == shown


def test_message_lines():
    def line(level, words, session="build"):
        return text.message_line(ev.Message(level=level, text=words, session=session), PLAIN)

    assert line("info", "hello") == "  build: hello"
    assert line("warning", "careful") == "  build: warning: careful"
    assert line("info", "one\ntwo\x1b[2J") == "  build: one\n         two"
    assert line("info", "", session=None) == "  "
    assert "\x1b[33m" in text.message_line(ev.Message(level="warning", text="x"), text.Style(color=True))


def test_command_and_event_lines():
    command = ev.CommandStarted(argv=["python", "-c", "a b"], cwd="/x", session="build")
    assert text.command_line(command, PLAIN) == "  build $ python -c 'a b'"
    line = text.event_line(ev.Phase(name="resolve", state="done", seconds=0.5), PLAIN)
    assert line == "  run [phase] name='resolve' state='done' seconds=0.5"


def test_failure_block_shows_the_end_and_what_to_do():
    record = text.Record("test", "failed", note="boom", log="/l", environment="/e", where="f:1", remedy="again")
    tail = "\n".join(f"\x1b[31mline {n}\x1b[0m" for n in range(100))
    lines = text.failure_block(record, tail, PLAIN)
    assert lines[:3] == ["", "─── test: boom ───", "line 60"]
    assert lines[-5:] == ["line 99", "log: /l", "environment kept: /e", "at: f:1", "try: again"]
    assert text.failure_block(text.Record("x", "failed"), "", text.Style(unicode=False)) == ["", "--- x: failed ---"]


def run(statuses, seconds=2.0, report="/r.json"):
    tally = text.Tally()
    tally.take(ev.RunStarted(run_id="1", version="0", directory="/", sessions=list(statuses), jobs=1))
    for name, status in statuses.items():
        if status != "queued":
            tally.take(ev.SessionStarted(session=name, log=f"/{name}.log", at=1.0))
            tally.take(
                ev.SessionFinished(
                    session=name, status=status, seconds=1.0, reason="because" if status != "success" else ""
                )
            )
    tally.take(ev.RunFinished(exit_code=0, seconds=seconds, counts={}, report=report))
    return tally


def test_summary():
    assert text.summary(run({"build": "success", "longer": "failed", "c": "skipped", "d": "aborted"}), PLAIN) == [
        "",
        "✓ build   1.0 s",
        "✗ longer  1.0 s  because",
        "- c       1.0 s  because",
        "⊘ d       1.0 s  because",
        "4 sessions: 1 succeeded, 1 failed, 1 aborted, 1 skipped in 2.0 s",
        "report: /r.json",
    ]


def test_the_summary_of_one_session_has_no_table():
    assert text.summary(run({"a": "success"}), PLAIN) == ["1 session: 1 succeeded in 2.0 s", "report: /r.json"]
    assert text.summary(run({"a": "success"}), PLAIN, short=True) == ["1 session: 1 succeeded in 2.0 s"]


def test_the_summary_of_many_has_what_failed():
    lines = text.summary(run({f"s{n}": "success" for n in range(100)} | {"bad": "failed"}), PLAIN)
    assert lines == ["", "✗ bad  1.0 s  because", "101 sessions: 100 succeeded, 1 failed in 2.0 s", "report: /r.json"]


def test_counts_of_nothing_and_of_an_interrupted_run():
    tally = text.Tally()
    tally.take(ev.Interrupted(reason="SIGTERM"))
    assert text.counts_line(tally, PLAIN) == "0 sessions: nothing ran (interrupted: SIGTERM)"
    assert "\x1b[31m" in text.counts_line(tally, text.Style(color=True))


def test_the_tally_follows_sessions():
    tally = text.Tally()
    assert tally.take(ev.Message(level="info", text="x", session="a")) is None
    assert tally.take(ev.SessionAdded(session="late", by="a")).status == "queued"
    tally.take(ev.SessionStarted(session="late", log="/l", at=5.0))
    assert [record.name for record in tally.having("started")] == ["late"]
    assert (
        tally.take(ev.SessionRetried(session="late", attempt=1, delay=1.0, reason="net")).note
        == "attempt 1 failed: net"
    )
    error = {"what": "two\nlines", "where": "x:1", "remedy": "r"}
    record = tally.take(ev.SessionFinished(session="late", status="failed", seconds=1, error=error, environment="/e"))
    assert (record.note, record.where, record.remedy, record.log, record.environment) == (
        "two lines",
        "x:1",
        "r",
        "/l",
        "/e",
    )


def test_started_line_says_which_attempt():
    assert text.started_line(ev.SessionStarted(session="a", log=""), PLAIN) == "▶ a"
    assert text.started_line(ev.SessionStarted(session="a", log="", attempt=2), PLAIN) == "▶ a  attempt 2"


def test_a_writer_survives_characters_and_readers():
    raw = io.BytesIO()
    writer = text.Writer(io.TextIOWrapper(raw, encoding="ascii"))
    writer.lines(["a✓b", "c"])
    assert raw.getvalue().split() == [b"a?b", b"c"]
    surrogates = Stream()
    text.Writer(surrogates).write("a\udcffb")
    assert surrogates.getvalue() == "a?b"
    stream = io.StringIO()
    writer = text.Writer(stream)
    stream.close()
    writer.write("x")
    writer.write("y")


def test_terminal_size_of_what_is_none():
    assert text.terminal_size(io.StringIO()) == (80, 24)
