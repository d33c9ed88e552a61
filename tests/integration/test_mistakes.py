"""What users do wrong, and what a recipe can do to its own run: one clear message, the right exit code, no hang."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD = "import hwb, os, sys, threading, time\nfrom pathlib import Path\n"
NONE = "@hwb.recipe(venv_backend='none')\n"
RECIPE = HEAD + NONE + "def r(session):\n"
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")


def recipe(project: Any, *lines: str, decorator: str = NONE, rest: str = "") -> None:
    body = "".join(f"    {line}\n" for line in lines)
    project.write(f"{HEAD}{decorator}def r(session):\n{body}{rest}")


def log(project: Any, session: str = "r") -> str:
    return (project.runs()[-1] / "logs" / f"{session}.log").read_text(errors="replace")  # type: ignore[no-any-return]


def outcome(project: Any, session: str = "r") -> dict[str, Any]:
    return next(s for s in project.report()["sessions"] if s["session"] == session)


def assert_clear(done: Any, code: int, *said: str) -> None:
    """One error, no traceback of hwb's own."""
    assert done.code == code, done.both
    assert "Traceback" not in done.both, done.both
    assert len([line for line in done.err.splitlines() if line.startswith("error: ")]) == 1, done.err
    for text in said:
        assert text in done.err


# --- files and options -------------------------------------------------------------------------------------------------


def test_a_hwbfile_that_is_a_directory(project: Any) -> None:
    (project.root / "hwbfile.py").mkdir()

    assert_clear(project.hwb("run"), 2, f"{project.root / 'hwbfile.py'} is a directory")
    assert_clear(project.hwb("-f", "hwbfile.py", "run"), 2, "there is no file")


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_hwbfile_that_cannot_be_read(project: Any) -> None:
    project.write("import hwb\n").chmod(0)

    assert_clear(project.hwb("run"), 2, "cannot be read: Permission denied", "hwbfile.py")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"import hwb\nname = 'caf\xe9'\n", "hwbfile.py"),
        (b"# /// script\n# dependencies = []\n# ///\nname = 'caf\xe9'\n", "cannot be read"),
        (b"import hwb\n\0\n", "null bytes"),
    ],
)
def test_a_hwbfile_that_is_no_text(project: Any, data: bytes, said: str) -> None:
    (project.root / "hwbfile.py").write_bytes(data)

    assert_clear(project.hwb("sessions"), 2, said)


@pytest.mark.parametrize("block", ["", "# /// script\n# dependencies = []\n# ///\n"])
def test_a_byte_order_mark_does_not_matter(project: Any, block: str) -> None:
    text = "\ufeff" + block + RECIPE + "    session.log('here')\n"
    (project.root / "hwbfile.py").write_bytes(text.encode())
    done = project.hwb("run", "r")

    assert done.code == 0, done.both
    assert "here" in log(project)


def test_an_empty_hwbfile_has_no_default(project: Any) -> None:
    project.write("")

    assert_clear(project.hwb("run"), 2, "no session is a default here")


def test_a_directory_that_is_a_file(project: Any) -> None:
    path = project.write("import hwb\n")

    assert_clear(project.hwb("--directory", str(path), "run"), 2, f"there is no directory {path}")


def test_arguments_for_a_session_that_is_not_there(project: Any) -> None:
    recipe(project, "pass")

    assert_clear(
        project.hwb("run", "r", "--args", "other=x"), 2, "--args other=...: no session of that name", "one of: r"
    )


def test_every_further_pair_of_dashes_is_an_argument(project: Any) -> None:
    recipe(project, "print(session.posargs)")

    assert project.hwb("run", "r", "--", "--", "a", "--", "--json").code == 0
    assert log(project) == "['--', 'a', '--', '--json']\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import hwb\nthis is wrong\n", "recipes.py:2"),
        ("import hwb\ndef (\n", "recipes.py:2"),
        ("import hwb\n@hwb.recipe(pyton=3)\ndef r(session): ...\n", "recipes.py:2"),
    ],
)
def test_an_organisations_file_that_is_broken(project: Any, tmp_path: Path, text: str, said: str) -> None:
    recipe(project, "pass")
    (tmp_path / "recipes.py").write_text(text)

    assert_clear(project.hwb("run", "r", HWB_ORG_FILE=str(tmp_path / "recipes.py")), 2, said)


def test_an_organisations_file_that_is_a_directory(project: Any, tmp_path: Path) -> None:
    recipe(project, "pass")

    assert_clear(project.hwb("run", "r", HWB_ORG_FILE=str(tmp_path)), 2, "HWB_ORG_FILE names")


# --- what a recipe does to its process -----------------------------------------------------------------------------------


def test_a_recipe_that_empties_the_module_path(project: Any) -> None:
    recipe(
        project,
        "sys.path.clear()",
        "session.run(sys.executable, '-c', 'print(7)')",
        "raise ValueError('after')",
        rest=NONE + "def s(session):\n    import tomllib_that_is_not_there\n",
    )
    done = project.hwb("run", "r", "s", "-j1")

    assert done.code == 1, done.both
    assert outcome(project)["reason"] == "the recipe raised ValueError: after"
    assert "No module named 'tomllib_that_is_not_there'" in outcome(project, "s")["reason"]


@posix
def test_a_recipe_that_removes_its_directory(project: Any) -> None:
    recipe(
        project,
        "Path('x').mkdir()",
        "session.chdir('x')",
        "os.rmdir(os.getcwd())",
        "session.run(sys.executable, '-c', 'print(7)')",
    )
    done = project.hwb("run", "r")

    assert done.code == 1, done.both
    assert outcome(project)["reason"].startswith("the working directory")
    assert "does not exist" in outcome(project)["reason"]


@posix
@pytest.mark.parametrize("process", ["", ", process=True"])
@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["os.close(1)"], "success"),
        (["os.close(0)", "os.close(1)", "os.close(2)", "session.error('no')"], "failed"),
        (["sys.__stdout__.close()"], "success"),
        (["sys.stdout = None"], "success"),
    ],
)
def test_a_recipe_that_closes_standard_output(project: Any, lines: list[str], status: str, process: str) -> None:
    decorator = NONE.replace(")", f"{process})")
    recipe(
        project, "session.log('before')", *lines, "session.run(sys.executable, '-c', 'print(7)')", decorator=decorator
    )
    done = project.hwb("run", "r")

    assert done.code == (0 if status == "success" else 1), done.both
    assert "Traceback" not in done.both
    assert outcome(project)["status"] == project.report()["status"] == status
    assert ("7\n" in log(project)) == (status == "success")


def test_a_recipe_that_prints_five_megabytes(project: Any) -> None:
    recipe(project, "print('x' * 5_000_000)", "for n in range(20000): print(n)")
    done = project.hwb("run", "r")

    assert done.code == 0
    assert log(project).endswith("\n19999\n")
    assert len(log(project)) > 5_000_000
    assert "19999\n" in done.out


def test_threads_that_outlive_their_session(project: Any) -> None:
    recipe(
        project,
        "def late():",
        "    while not Path('go').exists(): time.sleep(0.01)",
        "    session.log('late')",
        "    Path('said').touch()",
        "threading.Thread(target=late).start()",
        "forever = threading.Thread(target=lambda: threading.Event().wait())",
        "forever.start()",
        rest=NONE + "def s(session):\n    Path('go').touch()\n    while not Path('said').exists(): time.sleep(0.01)\n",
    )
    done = project.hwb("run", "r", "s", "-j1", timeout=60)

    assert done.code == 0, done.both
    assert "Exception" not in done.both
    assert {s["status"] for s in project.report()["sessions"]} == {"success"}


@pytest.mark.parametrize("process", ["", ", process=True"])
@pytest.mark.parametrize(
    ("lines", "code", "reason"),
    [
        (["class Own(BaseException): ...", "raise Own('oh')"], 1, "the recipe raised Own: oh"),
        (["raise GeneratorExit"], 1, "the recipe raised GeneratorExit"),
        (["class Own(Exception):", "    def __str__(self): raise ValueError", "raise Own"], 1, "the recipe raised Own"),
        (["def f(): f()", "f()"], 1, "the recipe raised RecursionError: maximum recursion depth exceeded"),
        (
            ["session.run('echo', 5)"],
            1,
            "the recipe raised TypeError: expected str, bytes or os.PathLike object, not int",
        ),
        (["session.run('echo', 'a\\0b')"], 1, "the recipe raised ValueError: embedded null byte"),
        (["sys.exit('enough')"], 1, "the recipe called sys.exit('enough')"),
    ],
)
def test_whatever_a_recipe_raises(project: Any, lines: list[str], code: int, reason: str, process: str) -> None:
    recipe(project, *lines, decorator=NONE.replace(")", f"{process})"))
    done = project.hwb("run", "r")

    assert done.code == code, done.both
    assert outcome(project)["reason"] == reason
    assert outcome(project)["error"]["where"].startswith(f"{project.root / 'hwbfile.py'}:")
    assert "Traceback" not in done.err


def test_an_interruption_that_a_recipe_raises_ends_the_run(project: Any) -> None:
    recipe(project, "raise KeyboardInterrupt", rest=NONE + "def s(session): ...\n")
    done = project.hwb("run", "r", "s", "-j1")

    assert done.code == 130, done.both
    assert {s["status"] for s in project.report()["sessions"]} == {"aborted"}


@pytest.mark.parametrize(
    "value",
    [
        "[object(), {1: 2}, lambda: 3, b'x', float('nan'), 'no such file', ['x'], session, None]",
        "(n for n in [1])",
        "type('W', (), {'__eq__': lambda a, b: 1 / 0, '__bool__': lambda a: 1 / 0})()",
        "'a' * 100_000",
        "'a\\0b'",
    ],
)
def test_whatever_a_recipe_returns(project: Any, value: str) -> None:
    recipe(project, f"return {value}")
    done = project.hwb("run", "r")

    assert done.code == 0, done.both


def test_text_that_no_encoding_has(project: Any) -> None:
    recipe(project, "session.log('\\ud800')", "print('\\udcff', 'ä')", "session.error('\\ud800 and \\udcff')")
    done = project.hwb("run", "r", "--json")
    events = [json.loads(line) for line in done.out.splitlines()]

    assert done.code == 1, done.both
    assert outcome(project)["reason"] == "\ud800 and \udcff"
    assert [e["reason"] for e in events if e["event"] == "session-finished"] == ["\ud800 and \udcff"]
    assert events == project.events()


def test_a_standard_output_that_is_not_unicode(project: Any) -> None:
    recipe(project, "session.log('ä €')", "print('日本')")
    for arguments in (["run", "r"], ["run", "r", "--json"], ["run", "r", "-q"]):
        done = project.hwb(*arguments, PYTHONIOENCODING="ascii", PYTHONUTF8="0")

        assert done.code == 0, done.both
        assert done.both.isascii()
    assert log(project) == "ä €\n日本\n"


# --- exits and forks -----------------------------------------------------------------------------------------------------


def test_a_session_that_exits_with_its_process(project: Any) -> None:
    recipe(project, "print('before', flush=True)", "os._exit(3)", decorator=NONE.replace(")", ", process=True)"))
    done = project.hwb("run", "r")

    assert done.code == 1, done.both
    assert outcome(project)["reason"] == "the session's process ended with code 3 and no result"
    assert log(project) == "before\n"


@posix
def test_a_recipe_that_exits_hwb_itself(project: Any) -> None:
    """Nothing can be caught then, but the watcher ends what was started and closes the report."""
    recipe(project, "while not Path('up').exists(): time.sleep(0.01)", "os._exit(3)", rest=NONE + HANGING)
    done = project.hwb("run", "r", "other", "-j2")

    assert done.code == 3
    wait_for(lambda: project.report()["status"] == "killed")
    assert {s["status"] for s in project.report()["sessions"]} == {"aborted"}
    assert ended(int((project.root / "up").read_text()))


HANGING = """def other(session):
    session.run(sys.executable, '-c', 'import os, time; open("part", "w").write(str(os.getpid())); os.rename("part", "up"); time.sleep(600)')
"""


def wait_for(condition: Any, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def ended(pid: int, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
            with open(f"/proc/{pid}/stat", "rb") as handle:
                if handle.read().rpartition(b")")[2].split()[0] == b"Z":
                    return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


@posix
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("decorator", ["@hwb.recipe\n", "@hwb.recipe(process=True)\n"])
@pytest.mark.parametrize(
    ("child", "code"), [("return 5", 0), ("sys.exit(3)", 1), ("raise ValueError", 1), ("os._exit(7)", 7)]
)
def test_a_child_that_a_recipe_forked_does_not_end_the_session(
    project: Any, decorator: str, child: str, code: int
) -> None:
    recipe(
        project,
        "pid = os.fork()",
        f"if pid == 0: {child}",
        "_, status = os.waitpid(pid, 0)",
        "session.log('child %d', os.waitstatus_to_exitcode(status))",
        "session.run('python', '-c', 'print(7)')",
        decorator=decorator,
    )
    done = project.hwb("run", "r")

    assert done.code == 0, done.both
    assert f"child {code}\n" in log(project)
    assert log(project).endswith("7\n")
    assert len([e for e in project.events() if e["event"] == "session-finished"]) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells who was forked")
@pytest.mark.parametrize("decorator", [NONE, NONE.replace(")", ", process=True)")])
def test_a_forked_child_does_not_outlive_the_run(project: Any, decorator: str) -> None:
    recipe(
        project,
        "pid = os.fork()",
        "if pid == 0: time.sleep(600)",
        "Path('pid').write_text(str(pid))",
        decorator=decorator,
    )
    done = project.hwb("run", "r", timeout=60)

    assert done.code == 0, done.both
    assert ended(int((project.root / "pid").read_text()))


# --- logs and disks ------------------------------------------------------------------------------------------------------


def test_a_failed_commands_binary_output(project: Any) -> None:
    recipe(
        project,
        "session.run(sys.executable, '-c', 'import os; os.write(1, bytes(range(256)) * 9); raise SystemExit(1)')",
    )
    done = subprocess.run(
        project.command("run", "r", "x", "-q"), cwd=project.root, env=project.env, capture_output=True, check=False
    )
    assert done.returncode == 2
    done = subprocess.run(
        project.command("run", "r", "-q"), cwd=project.root, env=project.env, capture_output=True, check=False
    )

    assert done.returncode == 1
    assert "\x1b" not in done.stdout.decode()  # the end of the log is shown, but does nothing to a terminal
    assert bytes(range(256)) * 9 in (project.runs()[-1] / "logs" / "r.log").read_bytes()
    assert project.report()["status"] == "failed"


@pytest.fixture
def small_disk(project: Any) -> Iterator[Path]:
    """`.hwb` on a disk of 256 KiB."""
    state = project.root / ".hwb"
    state.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("a small disk cannot be mounted: there is no mount")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(state)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"a small disk cannot be mounted: {made.stderr.decode().strip()}")
    yield state
    subprocess.run(["umount", "-l", str(state)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs")
@pytest.mark.parametrize(
    "line",
    [
        "session.run(sys.executable, '-c', 'import os\\nwhile True: os.write(1, b\"x\" * 4096)')",
        "while True: print('x' * 4096)",
        "while True: session.log('x' * 4096)",
    ],
)
def test_a_full_disk_is_said_and_the_report_can_be_read(project: Any, small_disk: Path, line: str) -> None:
    recipe(project, line, rest="@hwb.recipe(venv_backend='none', requires=['r'])\ndef s(session): ...\n")
    done = project.hwb("run", "s", "-q")

    assert_clear_tail = [row for row in done.err.splitlines() if row.startswith("error: ")]
    assert done.code == 1, done.both[-3000:]
    assert len(assert_clear_tail) == 1
    assert "the files of the run cannot be written: No space left on device" in assert_clear_tail[0]
    assert 'File "' not in done.err
    assert "cannot be written: No space left on device" in outcome(project)["reason"]
    assert project.report()["status"] == "failed"
    assert outcome(project, "s")["status"] == "aborted"


@posix
@pytest.mark.parametrize("what", [".hwb", "logs"])
def test_files_of_the_run_that_disappear(project: Any, what: str) -> None:
    folder = (
        "session.root + '/.hwb'"
        if what == ".hwb"
        else "os.path.join(session.cache_dir, '..', 'runs', os.listdir(session.root + '/.hwb/runs')[0], 'logs')"
    )
    recipe(
        project,
        "import shutil",
        f"shutil.rmtree({folder})",
        "session.log('x')",
        "session.run(sys.executable, '-c', 'print(1)')",
        rest=NONE + "def s(session): ...\n",
    )
    done = project.hwb("run", "r", "s", "-j1")

    assert done.code == 1, done.both
    assert "Traceback" not in done.both, done.both
    assert "s.log cannot be written: No such file or directory" in done.out
    if what == ".hwb":
        assert "error: the files of the run cannot be written: No such file or directory" in done.err
    else:
        assert outcome(project)["status"] == "success"
        assert outcome(project, "s")["status"] == "failed"


ODD = [
    "a/b", "..", ".", "", " ", "a\nb", "é😀", "\x1b[31m", "CON", "nul", "a" * 300, "\"quote'", "$HOME", "*", "%s", "-x", ":", "|", "\ud800",
    "a\0b", "~", "\\", "a.", "a. ", "A", "a",
]  # fmt: skip


def test_session_names_with_every_odd_character(project: Any) -> None:
    project.write(
        HEAD
        + NONE
        + f"@hwb.parametrize('n', {ODD!r})\ndef r(session, n):\n    session.log('here is %r', n)\n    session.create_tmp()\n"
        + NONE
        + f"@hwb.parametrize('n', [hwb.param(n, id=text) for n, text in enumerate({[o for o in ODD if o.strip()]!r})])\ndef s(session, n):\n    session.log('there')\n"
    )
    done = project.hwb("run", "r", "-j2")

    assert done.code == 0, done.both
    logs = list((project.runs()[-1] / "logs").iterdir())
    assert len(logs) == len({path.name.lower() for path in logs}) == len(ODD)
    assert all(path.read_text().count("here is") == 1 for path in logs)
    assert {s["status"] for s in project.report()["sessions"]} == {"success"}
    assert "\x1b" not in done.out
    again = project.hwb("run", "s", "-j2")
    assert again.code in (0, 2), again.both
    assert "Traceback" not in again.both


@pytest.mark.parametrize("name", ["../../evil", "", " ", "a/b", "a(b)", "a,b", "a\nb"])
def test_recipe_names_that_are_refused(project: Any, name: str) -> None:
    project.write(HEAD + f"@hwb.recipe(name={name!r})\ndef r(session): ...\n")

    assert_clear(project.hwb("run"), 2, "is not possible")


def test_two_thousand_sessions_really_run(project: Any) -> None:
    project.write(HEAD + NONE + "@hwb.parametrize('n', range(2000))\ndef r(session, n): session.log('%d', n)\n")
    done = project.hwb("run", "r", "-j4", "-q", timeout=240)

    assert done.code == 0, done.both
    assert "2000 succeeded" in done.out
    assert {s["status"] for s in project.report()["sessions"]} == {"success"}
    assert len(list((project.runs()[-1] / "logs").iterdir())) == 2000


@posix
def test_interrupting_twice_does_not_wait_for_a_recipe_that_never_ends(project: Any) -> None:
    recipe(project, "Path('begun').touch()", "threading.Event().wait()", rest=NONE + HANGING)
    process = subprocess.Popen(
        project.command("run", "r", "other", "-j2"),
        cwd=project.root,
        env=project.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for(lambda: (project.root / "begun").exists() and (project.root / "up").exists())
        process.send_signal(signal.SIGINT)
        wait_for(lambda: "interrupted" in project.report())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=12)  # less than the patience with a single one
    finally:
        process.kill()
    assert process.returncode == 130, out + err
    assert "Traceback" not in out + err
    assert ended(int((project.root / "up").read_text()))
    assert project.report()["status"] == "interrupted"
    assert {s["status"] for s in project.report()["sessions"]} == {"aborted"}
