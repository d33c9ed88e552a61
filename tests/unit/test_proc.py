"""Commands: their output, their end, their time, their whole tree."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hwb import proc, procgroup
from hwb.context import CancelToken, Context, use
from hwb.errors import Cancelled, CommandFailed, CommandTimeout, ProgramNotFound, SessionTimeout
from hwb.redact import Redactor, secret_values
from hwb.runner.log import SessionLog

PYTHON = sys.executable


@pytest.fixture
def context(tmp_path: Path):
    log = SessionLog(str(tmp_path / "log"), Redactor())
    context = Context(log=log, cwd=str(tmp_path), token=CancelToken())
    with use(context):
        yield context
    log.close()
    context.token.close()


def logged(context: Context) -> str:
    return Path(context.log.path).read_text(errors="replace")  # type: ignore[attr-defined]


def test_output_goes_to_the_log(context: Context) -> None:
    done = proc.run([PYTHON, "-c", "import sys; print('out'); print('err', file=sys.stderr)"])

    assert done.return_code == 0
    assert done.output is None
    assert sorted(logged(context).split()) == ["err", "out"]
    assert context.groups == []


def test_captured_output_is_returned_and_not_logged(context: Context) -> None:
    done = proc.run([PYTHON, "-c", "print('näh')"], capture=True, env={**os.environ, "PYTHONUTF8": "1"})

    assert done.text == "näh\n"
    assert logged(context) == ""


def test_directory_environment_and_mark(context: Context, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    context.mark = {"HWB_RUN": "r.1"}
    code = "import os; print(os.getcwd(), os.environ.get('A'), os.environ['HWB_RUN'], 'HOME' in os.environ)"
    done = proc.run([PYTHON, "-c", code], cwd="sub", env={"A": "1"}, capture=True)

    assert done.text.split() == [str(tmp_path / "sub"), "1", "r.1", "False"]


def test_standard_input_is_empty(context: Context) -> None:
    assert proc.run([PYTHON, "-c", "import sys; print(len(sys.stdin.read()))"], capture=True).text == "0\n"


def test_failures_say_how(context: Context) -> None:
    with pytest.raises(CommandFailed, match="ended with exit code 3") as error:
        proc.run([PYTHON, "-c", "print('why'); raise SystemExit(3)"], capture=True)
    assert (error.value.return_code, error.value.detail) == (3, "why")
    with pytest.raises(CommandFailed, match="was ended by SIGKILL"):
        proc.run([PYTHON, "-c", "import os; os.kill(os.getpid(), 9)"])
    assert proc.run([PYTHON, "-c", "raise SystemExit(3)"], check=False).return_code == 3
    assert proc.run([PYTHON, "-c", "raise SystemExit(3)"], success_codes=[3]).return_code == 3
    assert str(proc.failure(proc.Completed(("x",), -200, 0.0))) == "x was ended by signal 200"


def test_what_cannot_start_says_why(context: Context, tmp_path: Path) -> None:
    with pytest.raises(ProgramNotFound, match="cannot be run"):
        proc.run(["no-such-program-at-all"])
    with pytest.raises(CommandFailed, match="does not exist"):
        proc.run([PYTHON, "-c", ""], cwd="missing")
    script = tmp_path / "script"
    script.write_bytes(b"\x7fELFnothing")
    script.chmod(0o755)
    with pytest.raises(CommandFailed, match="could not be started"):
        proc.run([str(script)])


def test_a_time_limit_ends_the_whole_group(context: Context, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(CommandTimeout, match=r"took longer than 0.3 s"):
        proc.run(["sh", "-c", "sleep 60 & echo $! > pid; wait"], timeout=0.3)

    assert time.monotonic() - started < 10
    assert not alive(int((tmp_path / "pid").read_text()))


def test_grace_lets_a_command_clean_up(context: Context, tmp_path: Path) -> None:
    code = "import time, signal, sys\nsignal.signal(signal.SIGINT, lambda *a: (open('cleaned', 'w').close(), sys.exit(0)))\nopen('ready', 'w').close()\ntime.sleep(60)"
    with pytest.raises(CommandTimeout):
        proc.run([PYTHON, "-c", code], timeout=1.5, grace=(5, 5))

    assert (tmp_path / "cleaned").exists()


def test_a_command_that_ignores_everything_is_killed(context: Context, tmp_path: Path) -> None:
    code = "import time, signal\nfor s in (2, 15): signal.signal(s, signal.SIG_IGN)\ntime.sleep(60)"
    with pytest.raises(CommandTimeout):
        proc.run([PYTHON, "-c", code], timeout=0.8, grace=(0.1, 0.1))


def test_silence_ends_a_command_and_output_keeps_it(context: Context) -> None:
    with pytest.raises(CommandTimeout, match=r"printed nothing for 0\.4 s"):
        proc.run([PYTHON, "-c", "import time; print('x', flush=True); time.sleep(60)"], idle_timeout=0.4)
    chatty = "import time\nfor _ in range(6): print('x', flush=True); time.sleep(0.15)"

    assert proc.run([PYTHON, "-c", chatty], idle_timeout=0.6).return_code == 0
    context.idle_timeout = 0.3
    with pytest.raises(CommandTimeout, match="printed nothing"):
        proc.run([PYTHON, "-c", "import time; time.sleep(60)"], capture=True)


def test_the_sessions_time_ends_a_command(context: Context) -> None:
    context.deadline = time.monotonic() + 0.2
    with pytest.raises(SessionTimeout):
        proc.run(["sleep", "60"])


def test_cancelling_ends_a_command_and_starts_no_other(context: Context) -> None:
    threading.Timer(0.2, context.token.cancel, ["SIGTERM"]).start()
    started = time.monotonic()
    with pytest.raises(Cancelled, match="SIGTERM"):
        proc.run(["sleep", "60"])
    with pytest.raises(Cancelled):
        proc.run(["sleep", "60"])

    assert time.monotonic() - started < 10


def test_without_process_descriptors_it_looks_every_few_milliseconds(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def old_kernel(_pid: int) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", old_kernel, raising=False)
    assert proc.run([PYTHON, "-c", "import time; time.sleep(0.2)"]).return_code == 0
    with pytest.raises(CommandTimeout):
        proc.run(["sleep", "60"], timeout=0.2)


def test_secrets_are_masked_on_their_way_to_the_log(context: Context) -> None:
    context.secrets = secret_values({"A_TOKEN": "s3cr3t-value"})
    proc.run([PYTHON, "-c", "import sys; print('my s3cr3t-value'); sys.stderr.write('s3cr3t-value')"])

    assert "s3cr3t-value" not in logged(context)
    assert logged(context).count("***") == 2


def test_output_into_a_file_of_the_caller(context: Context, tmp_path: Path) -> None:
    with open(tmp_path / "own", "w") as own:
        proc.run([PYTHON, "-c", "print('there')"], stdout=own)
        proc.run([PYTHON, "-c", "import sys; print('e', file=sys.stderr)"], stdout=own, stderr=None)

    assert (tmp_path / "own").read_text() == "there\n"
    assert logged(context) == "e\n"


def test_events_tell_of_commands_unless_quiet(context: Context) -> None:
    heard: list[tuple[str, dict[str, object]]] = []
    context.emit = lambda kind, **values: heard.append((kind, values))
    proc.run([PYTHON, "-c", ""])
    proc.run([PYTHON, "-c", ""], quiet=True)

    assert [kind for kind, _ in heard] == ["command-started", "command-finished"]
    assert heard[1][1]["return_code"] == 0


def test_a_background_process_is_remembered_for_the_sessions_end(context: Context) -> None:
    proc.run(["sh", "-c", "sleep 60 &"])

    assert len(context.groups) == 1
    procgroup.stop_group(context.groups[0], (0, 0))
    assert not procgroup.group_alive(context.groups[0])


def test_which(tmp_path: Path) -> None:
    tool = tmp_path / "bin" / "tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\n")
    assert proc.which("tool", str(tool.parent)) is None
    tool.chmod(0o755)

    assert proc.which("tool", str(tool.parent)) == str(tool)
    assert proc.which("bin/tool", cwd=str(tmp_path)) == str(tool)
    assert proc.which("bin/none", cwd=str(tmp_path)) is None


def test_shown_is_what_a_person_would_type() -> None:
    assert proc.shown(["echo", "a b", "c"]) == "echo 'a b' c"


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not procgroup._zombie(pid)


def test_an_unexpected_exception_leaves_nothing_behind(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(proc._Command, "_wait", broken)
    with pytest.raises(RuntimeError):
        proc.run(["sleep", "61"])
    assert context.groups == []


def test_marked_processes_are_found_and_killed(context: Context) -> None:
    run = f"run{os.getpid()}x{time.monotonic_ns():x}"  # nobody else's: the tests may run twice at once
    context.mark = procgroup.extend_mark({}, run, "3")
    proc.run(["sh", "-c", "setsid sleep 62 & sleep 0.2"])

    assert procgroup.marked(run, "3") != []
    assert procgroup.marked(run, "4") == []
    assert procgroup.marked(run[:-1], None) == []
    assert procgroup.kill_marked(run) >= 1
    assert [pid for pid in procgroup.marked(run) if alive(pid)] == []


def test_a_run_inside_a_run_keeps_the_outer_mark() -> None:
    outer = procgroup.extend_mark({}, "outer", "1")

    assert procgroup.extend_mark(outer, "inner", "2") == {"HWB_RUN": "outer.1:inner.2"}


def test_signalling_a_group_that_is_gone() -> None:
    assert not procgroup.signal_group(2**22 - 3, signal.SIGTERM)
    assert not procgroup.group_alive(2**22 - 3)
    procgroup.stop_group(2**22 - 3, (0, 0))


# --- processes that somebody else starts -----------------------------------------------------------------------------


class Starter:
    """As the zygote does it: fork in another process, tell the exit code through a pipe."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.pid = -1

    def __call__(self, log: int) -> proc.Adopted:
        answer, reply = os.pipe()
        program = (
            "import os, subprocess, sys\n"
            "p = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdout=int(sys.argv[3]), start_new_session=True)\n"
            "print(p.pid, flush=True)\n"
            "code = p.wait()\n"
            "os.write(int(sys.argv[2]), b'%d\\n' % code)\n"
        )
        argv = [PYTHON, "-c", program, self.code, str(reply), str(log)]
        self.middle = subprocess.Popen(argv, stdout=subprocess.PIPE, pass_fds=(reply, log))
        os.close(reply)
        assert self.middle.stdout is not None
        self.pid = int(self.middle.stdout.readline())
        self.middle.stdout.close()
        return proc.Adopted(self.pid, answer)

    def end(self) -> None:
        self.middle.wait(20)


adopting = pytest.mark.skipif(sys.platform == "win32", reason="descriptors are handed on")


@adopting
@pytest.mark.parametrize("code", [0, 3])
def test_a_process_that_another_started_is_waited_for(context: Context, code: int) -> None:
    start = Starter(f"print('heard', flush=True); raise SystemExit({code})")
    done = proc.run(["shown", "words"], check=False, spawn=start)
    start.end()
    assert (done.argv, done.return_code, done.output) == (("shown", "words"), code, None)
    assert logged(context) == "heard\n"
    assert context.groups == []


@adopting
def test_its_output_can_be_captured_and_masked(context: Context) -> None:
    start = Starter("print('hunter22')")
    assert proc.run(["x"], capture=True, spawn=start).text == "hunter22\n"
    start.end()
    context.secrets = (b"hunter22",)
    start = Starter("print('a hunter22 b')")
    proc.run(["x"], spawn=start)
    start.end()
    assert logged(context) == "a *** b\n"


@adopting
def test_a_signal_that_ended_it_has_its_number(context: Context) -> None:
    start = Starter("import os; os.kill(os.getpid(), 9)")
    with pytest.raises(CommandFailed, match="was ended by SIGKILL"):
        proc.run(["x"], spawn=start)
    start.end()


@adopting
def test_its_time_limit_ends_the_group(context: Context) -> None:
    start = Starter(
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'input()']); import time; time.sleep(600)"
    )
    with pytest.raises(CommandTimeout):
        proc.run(["x"], timeout=0.5, spawn=start)
    start.end()
    assert not procgroup.group_alive(start.pid)
    assert context.groups == []


@adopting
def test_cancelling_ends_it(context: Context) -> None:
    start = Starter("import time; time.sleep(600)")
    threading.Timer(0.3, context.token.cancel).start()
    with pytest.raises(Cancelled):
        proc.run(["x"], spawn=start)
    start.end()
    assert not procgroup.group_alive(start.pid)


@adopting
def test_a_starter_that_cannot_start(context: Context) -> None:
    def cannot(_log: int) -> proc.Adopted:
        raise OSError(11, "Resource temporarily unavailable")

    with pytest.raises(CommandFailed, match="x could not be started: Resource temporarily unavailable"):
        proc.run(["x"], spawn=cannot)


@adopting
@pytest.mark.parametrize(("told", "code"), [(b"0\n", 0), (b"-9\n", -9), (b"7", 7), (b"", -9)])
def test_what_the_pipe_tells(told: bytes, code: int) -> None:
    answer, reply = os.pipe()
    adopted = proc.Adopted(1, answer)
    assert (adopted.poll(), adopted.fileno()) == (None, answer)
    with pytest.raises(subprocess.TimeoutExpired):
        adopted.wait(0.01)
    os.write(reply, told)
    os.close(reply)
    assert adopted.wait() == code, "a pipe that ends without a code counts as a KILL"
    assert (adopted.poll(), adopted.returncode, adopted.fileno()) == (code, code, -1)


@adopting
def test_a_code_may_come_in_pieces() -> None:
    answer, reply = os.pipe()
    adopted = proc.Adopted(1, answer)
    os.write(reply, b"1")
    assert adopted.poll() is None
    os.write(reply, b"2\n")
    assert adopted.poll() == 12
    os.close(reply)


@adopting
def test_without_poll_it_is_waited_for_in_steps(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proc.sys, "platform", "darwin")
    start = Starter("import time; time.sleep(0.2); raise SystemExit(5)")
    assert proc.run(["x"], check=False, spawn=start).return_code == 5
    start.end()
