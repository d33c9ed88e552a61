"""Does the board fit its terminal, redraw in place, and leave nothing behind?

`Terminal` below is a small terminal emulator: it shows what a person would see.
"""

from __future__ import annotations

import io
import re
import time

import pytest

from hwb import events as ev
from hwb.screen import board, make_sink, text

PLAIN = text.Style(color=False, unicode=True)


class Terminal(io.StringIO):
    def __init__(self, columns=60, rows=10):
        super().__init__()
        self.columns, self.rows = columns, rows
        self.screen, self.row, self.column, self.cursor, self.writes = [""], 0, 0, True, 0

    def isatty(self):
        return True

    encoding = "utf-8"

    def size(self):
        return self.columns, self.rows

    def write(self, data):
        self.writes += 1
        for token in re.findall(r"\x1b\[\??\d*[A-Za-z]|[^\x1b]", data):
            self._take(token)
        return len(data)

    def _take(self, token):
        if token == "\n":
            self.row, self.column = self.row + 1, 0
            if self.row == len(self.screen):
                self.screen.append("")
        elif token == "\r":
            self.column = 0
        elif token.endswith("A"):
            self.row -= int(token[2:-1])
            assert self.row >= 0, "moved above what it has drawn"
        elif token == "\x1b[J":
            self.screen[self.row] = self.screen[self.row][: self.column]
            del self.screen[self.row + 1 :]
        elif token in ("\x1b[?25l", "\x1b[?25h"):
            self.cursor = token.endswith("h")
        elif not token.startswith("\x1b"):
            assert text.width(self.screen[self.row]) < self.columns, "a line was wrapped"
            self.screen[self.row] = self.screen[self.row][: self.column] + token
            self.column += 1

    @property
    def seen(self):
        return [line.rstrip() for line in self.screen]


@pytest.fixture
def terminal():
    return Terminal()


def sink(terminal, **options):
    options = {
        "environ": {"NO_COLOR": "1"},
        "tail": lambda s: f"tail of {s}",
        "last_line": lambda s: f"at work on {s}",
        **options,
    }
    return make_sink(terminal, mode="board", size=terminal.size, **options)


def started(*names):
    return ev.RunStarted(run_id="1", version="0", directory="/", sessions=list(names), jobs=2)


def test_a_run(terminal):
    screen = sink(terminal)
    now = time.time()
    screen.handle(started("build", "test", "lint"))
    screen.handle(ev.SessionStarted(session="build", log="/b", at=now - 2))
    screen.handle(ev.SessionStarted(session="test", log="/t", at=now))
    screen.tick(100.0)
    assert terminal.seen[0].startswith("▶ build      2.0 s  at work on build")
    assert terminal.seen[1].startswith("▶ test       0.0 s  at work on test")
    assert terminal.seen[2].startswith("2 running · 1 queued · 0 done · ")
    assert not terminal.cursor
    screen.handle(ev.SessionFinished(session="build", status="success", seconds=2.0))
    screen.handle(ev.Message(session="test", level="warning", text="careful"))
    screen.tick(100.2)
    assert terminal.seen[:2] == ["✓ build  2.0 s", "  test: warning: careful"]
    assert terminal.seen[2].startswith("▶ test")
    assert len(terminal.seen) == 4
    screen.handle(ev.SessionFinished(session="test", status="failed", seconds=3.0, reason="boom"))
    screen.handle(ev.SessionFinished(session="lint", status="aborted", seconds=0.0, reason="requires test"))
    screen.handle(ev.RunFinished(exit_code=1, seconds=5.0, counts={}, report="/r"))
    screen.close()
    assert terminal.cursor
    seen = "\n".join(terminal.seen)
    assert "running" not in seen
    assert "─── test: boom ───\ntail of test" in seen
    assert "3 sessions: 1 succeeded, 1 failed, 1 aborted in 5.0 s\nreport: /r" in seen


def test_ten_times_a_second_at_most(terminal):
    screen = sink(terminal)
    screen.handle(started("a"))
    screen.handle(ev.SessionStarted(session="a", log="/a"))
    for n in range(1000):
        screen.tick(100 + n / 1000)
    assert terminal.writes <= 11


def test_nothing_is_written_when_nothing_changed(terminal, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 50.0)
    screen = sink(terminal)
    screen.handle(started("a"))
    screen.tick(1.0)
    writes = terminal.writes
    screen.tick(2.0)
    assert terminal.writes == writes


def test_a_claimed_terminal(terminal):
    screen = sink(terminal)
    screen.handle(started("a"))
    screen.handle(ev.SessionStarted(session="a", log="/a"))
    screen.tick(1.0)
    screen.pause()
    assert terminal.seen == [""]
    assert terminal.cursor
    screen.tick(2.0)
    assert terminal.seen == [""]
    screen.resume()
    screen.tick(2.01)
    assert terminal.seen[0].startswith("▶ a")


def test_a_window_that_got_narrower(terminal):
    screen = sink(terminal, last_line=lambda s: "x" * 200)
    screen.handle(started("a"))
    screen.handle(ev.SessionStarted(session="a", log="/a"))
    screen.tick(1.0)
    assert board.erase(["y" * 59, "z" * 20], 30) == "\r\x1b[2A\x1b[J"
    assert max(map(len, terminal.seen)) == 59


def test_a_crash_shows_what_failed(terminal):
    screen = sink(terminal)
    screen.handle(ev.SessionFinished(session="a", status="failed", seconds=1.0, reason="boom"))
    screen.close()
    assert "─── a: boom ───" in terminal.seen


def test_the_last_line_comes_from_the_tail(terminal):
    screen = sink(terminal, last_line=None, tail=lambda s: "first\n\x1b[1mlast\x1b[0m\n\n")
    screen.handle(started("a"))
    screen.handle(ev.SessionStarted(session="a", log="/a"))
    screen.tick(1.0)
    assert terminal.seen[0].endswith("last")


def tally(running):
    found = text.Tally()
    found.take(started(*running, "later"))
    for name in running:
        found.take(ev.SessionStarted(session=name, log="", at=0.0))
    return found


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 5), (20, 4), (9, 3), (3, 2), (1, 1)])
def test_it_always_fits(columns, rows):
    names = [f"session-{n}-日本語のとても長い名前" for n in range(30)]
    lines = board.board_lines(tally(names), 4000.0, 1.0, lambda s: "出力" * 100, PLAIN, columns, rows)
    assert len(lines) <= max(2, rows - 1)
    for line in lines:
        assert text.width(line) <= max(columns - 1, 2)


def test_what_does_not_fit_is_counted():
    lines = board.board_lines(tally([f"s{n}" for n in range(10)]), 1.0, 0.0, str, PLAIN, 80, 6)
    assert [line.split()[1] for line in lines[:3]] == ["s0", "s1", "s2"]
    assert lines[3] == "  and 7 more"


def test_failures_are_counted_in_red():
    found = tally(["a"])
    found.take(ev.SessionFinished(session="a", status="failed", seconds=1.0))
    line = board.board_lines(found, 1.0, 0.0, str, text.Style(color=True), 80, 6)[-1]
    assert "1 failed" in line
    assert line.startswith("\x1b[31m")
    assert board.physical_rows(line, 80) == 1
    assert board.erase([], 80) == ""
