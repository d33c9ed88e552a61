"""On a real terminal: who gets it, what a person sees meanwhile, and how it is left."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

if sys.platform == "win32":
    pytest.skip("pseudo-terminals are POSIX", allow_module_level=True)

pexpect = pytest.importorskip("pexpect")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# pexpect forks, and a worker of xdist has a second thread
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

SEES = "import os, sys; print('sees', [os.isatty(n) for n in (0, 1, 2)])"
ASKS = "print('got', input('na' + 'me? '))"
READS = "import sys; print('read', repr(sys.stdin.read()))"
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"

HWBFILE = f"""
import hwb, os, sys, time
from pathlib import Path

def wait_for(name):
    while not Path(name).exists():
        time.sleep(0.01)

@hwb.recipe(venv_backend='none')
def asks(session):
    session.log('said once')
    session.run(sys.executable, '-c', {SEES!r})
    session.run(sys.executable, '-c', {ASKS!r})

@hwb.recipe(venv_backend='none')
def reads(session):
    session.run(sys.executable, '-c', {SEES!r})
    session.run(sys.executable, '-c', {READS!r})

@hwb.recipe(venv_backend='none')
def debugs(session):
    session.run(sys.executable, 'debugged.py')

@hwb.recipe(venv_backend='none')
def hangs(session):
    try:
        session.run(sys.executable, 'tree.py')
    finally:
        Path('finalised').touch()
    Path('must-not-run').touch()

@hwb.recipe(venv_backend='none')
def hidden(session):
    session.run(sys.executable, 'tree.py', silent=True)

@hwb.recipe(venv_backend='none')
def quick(session):
    session.run(sys.executable, '-c', {SEES!r})

@hwb.recipe(venv_backend='none')
def steady(session):
    session.run(sys.executable, '-c', 'print("half" + "way", flush=True)')
    wait_for('gate')

@hwb.recipe(venv_backend='none', allow_parallel=False)
def alone(session):
    session.run(sys.executable, '-c', {SEES!r})
    session.run(sys.executable, '-c', {ASKS!r})

@hwb.recipe
def environment(session):
    session.run('python', '-c', {SEES!r})
"""

TREE = """
import os, subprocess, sys, time
own = subprocess.Popen(['sleep', '600'])
away = subprocess.Popen(['sleep', '600'], start_new_session=True)
with open('pids.part', 'w') as out:
    out.write(f'{os.getpid()} {own.pid} {away.pid}')
os.rename('pids.part', 'pids')
print('the tree ' + 'stands', flush=True)
time.sleep(600)
"""


class Screen:
    """A small terminal emulator: what stands on the screen, and whether the cursor is seen."""

    def __init__(self, transcript: str) -> None:
        self.lines, self.row, self.column, self.cursor = [""], 0, 0, True
        for token in re.findall(r"\x1b\[\??[\d;]*[A-Za-z]|[^\x1b]", transcript):
            self._take(token)

    def _take(self, token: str) -> None:
        if token == "\n":
            self.row += 1
            self.lines += [""] * (self.row + 1 - len(self.lines))
        elif token == "\r":
            self.column = 0
        elif token == "\x1b[J":
            self.lines[self.row :] = [self.lines[self.row][: self.column]]
        elif token in (SHOW, HIDE):
            self.cursor = token == SHOW
        elif token.startswith("\x1b"):
            if token.endswith("A"):
                self.row -= int(token[2:-1])
                assert self.row >= 0, "moved above the first line"
        else:
            line = self.lines[self.row]
            self.lines[self.row] = line[: self.column] + token + line[self.column + 1 :]
            self.column += 1

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class Person:
    """Sits at a terminal of 90 columns, types, and reads."""

    def __init__(self, project: Any, command: list[str], **env: str) -> None:
        self.child = pexpect.spawn(
            command[0],
            command[1:],
            cwd=str(project.root),
            env={**project.env, "TERM": "xterm", **env},
            dimensions=(30, 90),
            encoding="utf-8",
            codec_errors="replace",
            timeout=60,
        )
        self.transcript = ""

    def sees(self, pattern: str) -> None:
        try:
            self.child.expect(pattern)
        except (pexpect.EOF, pexpect.TIMEOUT) as error:
            raise AssertionError(f"{pattern!r} not in {self.transcript + self.child.before!r}") from error
        self.transcript += self.child.before + self.child.after

    def types(self, text: str) -> None:
        self.child.sendline(text)

    def ends(self) -> int:
        """The exit code, negative for a signal; everything that was shown is in `transcript`."""
        self.child.expect(pexpect.EOF)
        self.transcript += self.child.before
        self.child.close()
        return int(self.child.exitstatus if self.child.exitstatus is not None else -self.child.signalstatus)

    @property
    def screen(self) -> Screen:
        return Screen(self.transcript)


@pytest.fixture
def sit(project: Any) -> Iterator[Callable[..., Person]]:
    """`sit("run", ...)` starts hwb on a terminal of its own."""
    project.write(HWBFILE)
    project.write(TREE, "tree.py")
    persons: list[Person] = []

    def start(*args: str, command: list[str] | None = None, **env: str) -> Person:
        persons.append(Person(project, command or project.command(*args), **env))
        return persons[-1]

    yield start
    for person in persons:
        person.child.close(force=True)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as handle:
            return handle.read().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def survivors(project: Any, seconds: float = 20) -> list[int]:
    """Who of the tree still lives after a while."""
    end = time.monotonic() + seconds
    while (
        left := [p for p in map(int, (project.root / "pids").read_text().split()) if alive(p)]
    ) and time.monotonic() < end:
        time.sleep(0.02)
    return left


def log(project: Any, session: str) -> str:
    return (project.runs()[-1] / "logs" / f"{session}.log").read_text()  # type: ignore[no-any-return]


# --- one session -------------------------------------------------------------------------------------------------------


def test_a_single_session_has_the_terminal_and_its_log_is_complete(project: Any, sit: Any) -> None:
    person = sit("run", "asks")
    person.sees("name\\? ")
    person.types("Ada")

    assert person.ends() == 0, person.transcript
    assert "sees [True, True, True]" in person.transcript
    assert "sees [True, True, True]\n" in log(project, "asks")
    assert "name? Ada\ngot Ada\n" in log(project, "asks")
    assert "\r" not in log(project, "asks")
    assert person.screen.cursor


def test_nothing_is_shown_twice(sit: Any) -> None:
    for arguments in (["asks"], ["asks", "-v"], ["alone", "quick", "-v", "-j1"], ["alone", "quick", "-v", "-j2"]):
        person = sit("run", *arguments)
        person.sees("name\\? ")
        person.types("Ada")

        assert person.ends() == 0, person.transcript
        assert person.screen.text.count("got Ada") == 1, person.screen.text
        assert person.screen.text.count("said once") == ("asks" in arguments), person.screen.text


def test_a_debugger_works(project: Any, sit: Any) -> None:
    project.write("x = 41\nbreakpoint()\nprint('end of it')\n", "debugged.py")
    person = sit("run", "debugs")
    person.sees("\\(Pdb\\) ")
    person.types("p x + 1")
    person.sees("42")
    person.sees("\\(Pdb\\) ")
    person.types("c")

    assert person.ends() == 0, person.transcript
    assert "(Pdb) p x + 1\n42\n" in log(project, "debugs")
    assert "end of it" in log(project, "debugs")


def test_ctrl_c_ends_command_and_run(project: Any, sit: Any) -> None:
    person = sit("run", "hangs")
    person.sees("the tree stands")
    person.child.sendintr()

    assert person.ends() == 130, person.transcript
    assert survivors(project) == []
    assert (project.root / "finalised").exists()
    assert not (project.root / "must-not-run").exists()
    assert "the tree stands" in log(project, "hangs")
    assert "Traceback" not in person.transcript.partition("KeyboardInterrupt")[2]
    report = project.report()
    assert (report["status"], report["exit_code"]) == ("interrupted", 130)
    assert [s["status"] for s in report["sessions"]] == ["aborted"]
    assert person.screen.cursor


def test_ctrl_c_while_a_command_without_the_terminal_runs(project: Any, sit: Any) -> None:
    person = sit("run", "hidden")
    end = time.monotonic() + 60
    while not (project.root / "pids").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    person.child.sendintr()

    assert person.ends() == 130, person.transcript
    assert survivors(project) == []
    assert person.screen.cursor
    assert " running" not in person.screen.text


def test_the_board_is_there_while_the_environment_is_made(project: Any, sit: Any) -> None:
    project.write(
        "import hwb.isolation.venv as module\nmake_venv = module.make_venv\n"
        "def slow(*args, **options):\n    wait_for('gate')\n    return make_venv(*args, **options)\nmodule.make_venv = slow\n"
        + HWBFILE
    )
    person = sit("run", "environment")
    person.sees(r"environment +0\.[1-9] s")
    person.sees("1 running")
    (project.root / "gate").touch()

    assert person.ends() == 0, person.transcript
    assert "sees [True, True, True]" in person.screen.text
    assert " running" not in person.screen.text
    assert person.screen.cursor


# --- several -----------------------------------------------------------------------------------------------------------


def test_several_sessions_have_a_live_board(project: Any, sit: Any) -> None:
    person = sit("run", "quick", "steady", "-j2")
    person.sees(r"✓\x1b\[0m quick")
    person.sees(r"steady +\d\.\d s +\S*halfway")
    person.sees(r"1 running · 0 queued · 1 done · \d")
    standing = person.screen
    (project.root / "gate").touch()

    assert not standing.cursor
    assert [line.split()[:2] for line in standing.lines[-3:-1]] == [["✓", "quick"], ["▶", "steady"]]
    assert person.ends() == 0, person.transcript
    assert person.screen.cursor
    assert " running" not in person.screen.text
    assert "2 sessions: 2 succeeded" in person.screen.text
    assert log(project, "quick").endswith("sees [False, False, False]\n")


def test_ctrl_c_takes_the_board_away(project: Any, sit: Any) -> None:
    person = sit("run", "hangs", "steady", "quick", "-j2")
    person.sees("hangs .*the tree stands")
    (project.root / "gate").touch()
    person.child.sendintr()

    assert person.ends() == 130, person.transcript
    assert survivors(project) == []
    assert person.screen.cursor
    assert " running" not in person.screen.text
    assert "(interrupted: SIGINT)" in person.screen.text


def test_ctrl_c_twice(project: Any, sit: Any) -> None:
    """The second one does not wait for a recipe that never ends."""
    project.write("\n@hwb.recipe(venv_backend='none')\ndef stuck(session):\n    wait_for('never')\n", "more.py")
    project.write(HWBFILE + (project.root / "more.py").read_text())
    person = sit("run", "stuck", "hangs", "-j2")
    person.sees("the tree stands")
    person.child.sendintr()
    person.sees("interrupted: SIGINT")
    person.child.sendintr()

    assert person.ends() == 130, person.transcript
    assert survivors(project) == []
    assert person.screen.cursor
    assert "Traceback (most recent call last)" not in person.screen.text
    assert [s["status"] for s in project.report()["sessions"]] == ["aborted"] * 2


def test_a_session_that_is_alone_has_the_terminal(project: Any, sit: Any) -> None:
    person = sit("run", "quick", "alone", "reads", "-j2")
    person.sees("name\\? ")
    before = person.screen
    person.types("Eve")

    assert person.ends() == 0, person.transcript
    assert before.cursor
    assert " running" not in before.text
    assert "got Eve" in log(project, "alone")
    assert "sees [True, True, True]" in log(project, "alone")
    for other in ("quick", "reads"):
        assert "sees [False, False, False]" in log(project, other)
    assert "read ''" in log(project, "reads")


def test_ctrl_c_for_one_that_is_alone_calls_the_others_off(project: Any, sit: Any) -> None:
    project.write(HWBFILE.replace("'none')\ndef hangs", "'none', allow_parallel=False)\ndef hangs"))
    person = sit("run", "hangs", "quick", "-j1")
    person.sees("the tree stands")
    person.child.sendintr()

    assert person.ends() == 130, person.transcript
    assert survivors(project) == []
    assert {s["session"]: s["status"] for s in project.report()["sessions"]} == {"hangs": "aborted", "quick": "aborted"}


# --- who gets no terminal ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "env", "around"),
    [
        (["--non-interactive"], {}, "{}"),
        ([], {"CI": "1"}, "{}"),
        (["--json"], {}, "{}"),
        ([], {}, "echo typed | {}"),
        ([], {}, "{} | cat"),
    ],
)
def test_no_terminal_and_no_input(
    project: Any, sit: Any, arguments: list[str], env: dict[str, str], around: str
) -> None:
    line = around.format(shlex.join(project.command("run", "reads", *arguments)))
    person = sit(command=["/bin/sh", "-c", line], **env)

    assert person.ends() == 0, person.transcript
    assert "sees [False, False, False]" in log(project, "reads")
    assert "read ''" in log(project, "reads")
    assert person.screen.cursor


def test_json_lines_on_a_terminal_are_not_disturbed_by_a_board(project: Any, sit: Any) -> None:
    person = sit("run", "quick", "reads", "--json", "-j2", TERM="xterm")

    assert person.ends() == 0, person.transcript
    assert HIDE not in person.transcript
    events = [json.loads(line) for line in person.transcript.splitlines() if line.startswith("{")]
    assert events == project.events()


# --- what the terminal can show ------------------------------------------------------------------------------------------


def test_no_color_leaves_the_board(project: Any, sit: Any) -> None:
    person = sit("run", "quick", "steady", "-j2", NO_COLOR="1")
    person.sees("✓ quick")
    person.sees("1 running")
    (project.root / "gate").touch()

    assert person.ends() == 0
    assert not re.search(r"\x1b\[[\d;]*m", person.transcript)


def test_a_dumb_terminal_gets_lines_and_still_belongs_to_the_command(sit: Any) -> None:
    person = sit("run", "asks", TERM="dumb")
    person.sees("name\\? ")
    person.types("Ada")

    assert person.ends() == 0, person.transcript
    assert "\x1b" not in person.transcript
    assert "sees [True, True, True]" in person.transcript
    assert "got Ada" in person.transcript


def test_a_narrow_terminal_is_never_overrun(project: Any, sit: Any) -> None:
    person = sit(
        command=["/bin/sh", "-c", f"stty cols 40; exec {shlex.join(project.command('run', 'quick', 'steady', '-j2'))}"]
    )
    person.sees("1 running")
    standing = person.screen
    (project.root / "gate").touch()

    assert person.ends() == 0
    assert all(len(line) < 40 for line in standing.lines if line.startswith("▶"))


def test_a_run_survives_the_end_of_its_terminal_under_nohup(project: Any, sit: Any, tmp_path: Path) -> None:
    started = tmp_path / "hwb-pid"
    inner = shlex.join(project.command("run", "steady"))
    line = f"trap '' HUP; {inner} >out 2>&1 </dev/null & echo $! >{shlex.quote(str(started))}; wait"
    person = sit(command=["/bin/sh", "-c", line])
    end = time.monotonic() + 60
    while not (list(project.root.glob(".hwb/runs/*/logs/steady.log")) and "halfway" in log(project, "steady")):
        assert time.monotonic() < end
        time.sleep(0.02)
    person.child.close(force=True)
    os.kill(int(started.read_text()), 0)
    (project.root / "gate").touch()
    while project.report()["status"] == "running":
        assert time.monotonic() < end
        time.sleep(0.02)

    assert project.report()["status"] == "success"
