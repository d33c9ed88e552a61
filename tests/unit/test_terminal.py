"""Does a command on the terminal see one, and is ours always given back?"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from hwb.context import CancelToken, Context
from hwb.errors import Cancelled, CommandFailed, ProgramNotFound, SessionTimeout
from hwb.terminal import Terminal

if sys.platform == "win32":
    pytest.skip("pseudo-terminals are POSIX", allow_module_level=True)

import fcntl
import struct
import termios


class Log:
    """A log file in memory's place: a pipe would fill."""

    def __init__(self, path):
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)

    def fileno(self):
        return self.fd

    def write(self, text):
        os.write(self.fd, text.encode())

    @property
    def text(self):
        return self.path.read_bytes().decode()


class Person:
    """Plays the user: holds the other side of a terminal, types, and reads what is shown."""

    def __init__(self, tmp_path):
        self.hand, self.tty = os.openpty()
        fcntl.ioctl(self.tty, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 90, 0, 0))
        self.before = termios.tcgetattr(self.tty)
        self.log = Log(tmp_path / "log")
        self.context = Context(log=self.log, token=CancelToken())
        self.calls = []
        self.shown = b""
        self.error = None
        self.code = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.terminal = Terminal(
            lambda: self.calls.append("claim"), lambda: self.calls.append("release"), stdin=self.tty, stdout=self.tty
        )

    def _read(self):
        try:
            while block := os.read(self.hand, 4096):
                self.shown += block
        except OSError:
            pass

    def start(self, *argv, env=None, cwd=None):
        self._worker = threading.Thread(target=self._run, args=(argv, cwd or str(Path.cwd()), env or dict(os.environ)))
        self._worker.start()

    def _run(self, argv, cwd, env):
        try:
            self.code = self.terminal.run(argv, cwd, env, self.context)
        except BaseException as error:
            self.error = error

    def wait(self):
        self._worker.join(20)
        assert not self._worker.is_alive()
        return self.code

    def sees(self, text, seconds=10.0):
        end = time.monotonic() + seconds
        while text.encode() not in self.shown:
            assert time.monotonic() < end, f"{text!r} not in {self.shown!r}"
            time.sleep(0.005)

    def log_has(self, text, seconds=10.0):
        end = time.monotonic() + seconds
        while text not in self.log.text:
            assert time.monotonic() < end, f"{text!r} not in {self.log.text!r}, {self.error!r}"
            time.sleep(0.005)

    def types(self, text):
        os.write(self.hand, text.encode())

    def close(self):
        os.close(self.tty)
        self._reader.join(10)  # before its descriptor's number is used again
        os.close(self.hand)
        os.close(self.log.fd)
        self.context.token.close()


@pytest.fixture
def person(tmp_path):
    person = Person(tmp_path)
    yield person
    assert termios.tcgetattr(person.tty) == person.before, "the terminal was not restored"
    assert person.calls in (["claim", "release"], ["claim", "release"] * 2)
    assert person.context.groups == []
    person.close()


def python(code):
    return (sys.executable, "-c", code)


def test_all_three_streams_are_the_controlling_terminal(person):
    person.start(
        *python(
            "import os; print([os.isatty(n) for n in range(3)], os.ttyname(0) == os.ctermid() or 'tty',"
            " os.get_terminal_size(), os.tcgetpgrp(0) == os.getpid())"
        )
    )
    assert person.wait() == 0
    person.sees("[True, True, True]")
    person.sees("columns=90, lines=30")
    assert "True\n" in person.log.text
    assert "\r" not in person.log.text


def test_exit_code_and_announced_group(person):
    announced = []
    person.context.announce_group = lambda group, alive=True: announced.append((group, alive))
    person.start(*python("raise SystemExit(7)"))
    assert person.wait() == 7
    assert [alive for _, alive in announced] == [True, False]


def test_what_is_typed_reaches_the_command(person):
    person.start(*python("print('got', input('name? '))"))
    person.sees("name? ")
    person.types("ada\r")
    assert person.wait() == 0
    person.sees("got ada")


def test_pdb_works(person):
    person.start(*python("x = 41\nbreakpoint()\nprint('end')"))
    person.sees("(Pdb) ")
    person.types("p x + 1\r")
    person.sees("42")
    person.types("c\r")
    assert person.wait() == 0


def test_ctrl_c_is_the_commands(person):
    code = "import time; \ntry: print('up', flush=True); time.sleep(30)\nexcept KeyboardInterrupt: print('caught')"
    person.start(*python(code))
    person.sees("up")
    person.types("\x03")
    assert person.wait() == 0
    person.sees("caught")


def test_death_by_ctrl_c_is_a_keyboard_interrupt(person):
    # no shell: dash puts an interrupt off that comes just before it forks
    code = "import signal,time; signal.signal(signal.SIGINT, signal.SIG_DFL); print('up', flush=True); time.sleep(30)"
    person.start(*python(code))
    person.sees("up")
    person.types("\x03")
    person.wait()
    assert isinstance(person.error, KeyboardInterrupt)


def test_cancel_ends_the_tree(person):
    person.start("/bin/sh", "-c", "sleep 60 & echo up; sleep 60")
    person.sees("up")
    person.context.token.cancel("SIGTERM")
    person.wait()
    assert isinstance(person.error, Cancelled)
    assert person.error.reason == "SIGTERM"


def test_deadline_ends_it(person):
    person.context.deadline = time.monotonic() + 0.3
    person.start("/bin/sh", "-c", "trap '' INT; sleep 60")
    person.wait()
    assert isinstance(person.error, SessionTimeout)


def test_secrets_are_masked_in_the_log_only(person):
    person.context.secrets = (b"hunter2hunter2",)
    code = "import sys,time\nfor p in ('a hunter2', 'hunter2 b\\n'):\n print(p, end='', flush=True); time.sleep(.1)"
    person.start(*python(code))
    assert person.wait() == 0
    person.sees("hunter2hunter2")
    assert person.log.text == "a *** b\n"


def test_everything_written_is_drained(person):
    person.start(*python("print('x' * 300_000); print('end')"))
    assert person.wait() == 0
    person.sees("end")
    assert len(person.log.text) == 300_005


def test_window_changes_reach_the_command(person):
    code = (
        "import signal,os\nsignal.signal(signal.SIGWINCH, lambda *_: None)\nprint('up', flush=True)\n"
        "signal.sigwait([signal.SIGWINCH])\nprint(os.get_terminal_size())"
    )
    person.start(*python(code))
    person.sees("up")
    fcntl.ioctl(person.tty, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 44, 0, 0))
    assert person.wait() == 0
    person.sees("columns=44, lines=20")


def test_typing_ahead_of_a_command_that_does_not_read_blocks_nothing(person):
    person.start(*python("import time; print('up', flush=True); time.sleep(1)"))
    person.sees("up")
    for _ in range(40):
        person.types("y" * 100 + "\r")
    assert person.wait() == 0


def test_what_a_command_does_not_take_yet_is_kept_for_it(person):
    code = (
        "import os,time,tty; tty.setraw(0); print('up', flush=True); time.sleep(.5)\nread = 0\n"
        "while read < 100_000: read += len(os.read(0, 65536))\nprint('took', read)"
    )
    person.start(*python(code))
    person.sees("up")
    for _ in range(100):
        person.types("y" * 1000)
    assert person.wait() == 0
    person.sees("took 100000")


def test_keys_for_a_command_that_has_gone_are_dropped(person):
    person.start("/bin/sh", "-c", "exec 3>&1 >/dev/null 2>&1 </dev/null; exec 3>&-; sleep .3")
    person.types("x" * 10)
    assert person.wait() == 0


def test_output_into_a_file(person, tmp_path):
    with (tmp_path / "out").open("w+b") as handle:
        person.terminal._stdout = handle.fileno()
        person.start(*python("print('hello')"))
        assert person.wait() == 0
    assert (tmp_path / "out").read_bytes() == b"hello\r\n"


def test_a_user_who_hangs_up(person, tmp_path):
    hand, tty = os.openpty()
    person.terminal._stdin = tty
    person.before = termios.tcgetattr(person.tty)
    with (tmp_path / "out").open("wb") as handle:
        person.terminal._stdout = handle.fileno()
        person.start("/bin/sh", "-c", "echo up; cat; echo ended")
        person.log_has("up")
        os.close(hand)
        person.wait()
    os.close(tty)
    assert person.error is None
    assert "ended" in person.log.text


def test_a_user_who_has_hung_up_before(person, tmp_path):
    hand, tty = os.openpty()
    os.close(hand)
    person.terminal._stdin = tty
    person.start("/bin/sh", "-c", "cat; echo ended")
    assert person.wait() == 0
    os.close(tty)
    assert "ended" in person.log.text


def test_end_of_input_is_passed_on(person, tmp_path):
    source = tmp_path / "typed"
    source.write_text("one\ntwo\n")
    with source.open() as handle:
        person.terminal._stdin = handle.fileno()
        person.start(*python("import sys; print(len(sys.stdin.read()), 'characters')"))
        assert person.wait() == 0
    person.sees("8 characters")


def test_a_missing_program(person):
    person.start("/no/such/program")
    person.wait()
    assert isinstance(person.error, ProgramNotFound)


def test_a_missing_directory(person):
    person.start(sys.executable, cwd="/no/such/directory")
    person.wait()
    assert isinstance(person.error, CommandFailed)
    assert "directory" in str(person.error)


def test_a_file_that_is_no_program(person, tmp_path):
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o755)
    person.start(str(broken))
    person.wait()
    assert isinstance(person.error, CommandFailed)


def test_a_command_that_closes_its_side_is_waited_for(person):
    person.start(*python("import os,time\nfor n in range(3): os.close(n)\ntime.sleep(.2)\nos._exit(3)"))
    person.types("x")
    assert person.wait() == 3


def test_an_unexpected_error_leaves_nothing_behind(person, monkeypatch):
    def broken(fd, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hwb.terminal.write_all", broken)
    person.start("/bin/sh", "-c", "echo up; sleep 60")
    person.wait()
    assert isinstance(person.error, OSError)


def test_two_commands_one_after_the_other(person):
    for word in ("first", "second"):
        person.start(*python(f"print({word!r})"))
        assert person.wait() == 0
    assert person.log.text == "first\nsecond\n"
