"""Does a hook run as it should, and is the right end of its output quoted?"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from hwb import context
from hwb.builder import hooks
from hwb.builder.hooks import HookRunner
from hwb.builder.zygote import Zygotes
from hwb.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

linux = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")


class FileSink:
    """A session log as the runner opens it (or for writing only)."""

    def __init__(self, path: Path, flags: int = os.O_RDWR) -> None:
        self._fd = os.open(path, flags | os.O_CREAT | os.O_APPEND, 0o644)

    def fileno(self) -> int:
        return self._fd

    def write(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def close(self) -> None:
        os.close(self._fd)


@pytest.fixture(params=["readable", "write only", "none"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A session whose log can be read back, one whose log cannot, and work that nobody listens to."""
    path = tmp_path / "session.log"
    path.write_text("from before\n")
    if request.param == "none":
        with context.use(context.Context()):
            yield path
        return
    sink = FileSink(path, os.O_WRONLY if request.param == "write only" else os.O_RDWR)
    with context.use(context.Context(log=sink)):
        yield path
    sink.close()


def runner(tmp_path: Path, **environ: str) -> HookRunner:
    return HookRunner(sys.executable, "", {**os.environ, **environ}, str(tmp_path / "place"))


def run(runner: HookRunner, folder: Path, code: str, **job: Any) -> Any:
    """Run `code` as the body of a hook; its value."""
    source = folder / "source"
    source.mkdir(exist_ok=True)
    body = "\n".join(f"    {line}" for line in code.splitlines())
    (source / "tiny.py").write_text(f"import os, sys\ndef a_hook(config_settings=None):\n{body}\n")
    whole = {
        "hook": "a_hook",
        "backend": "tiny",
        "backend_path": ["."],
        "source_dir": str(source),
        "arguments": [],
        "config_settings": None,
        **job,
    }
    return runner.run(whole, in_tree=True).get("value")


def test_the_end_of_the_output(log: Path, tmp_path: Path) -> None:
    mine = runner(tmp_path, EXTRA="extra")
    run(mine, tmp_path, "print('an earlier hook')")
    assert mine.tail() == "an earlier hook"
    code = "[print('line', n) for n in range(50)]\nprint(os.environ['EXTRA'])\nraise SystemExit(3)"
    with pytest.raises(CommandFailed, match="ended with exit code 3") as caught:
        run(mine, tmp_path, code)
    assert caught.value.return_code == 3
    assert mine.tail().splitlines() == [*(f"line {n}" for n in range(11, 50)), "extra"]
    if isinstance(context.current().log, FileSink):
        assert log.read_text().splitlines()[:2] == ["from before", "an earlier hook"]
        assert log.read_text().endswith("line 49\nextra\n")


def test_a_huge_output_is_not_held(log: Path, tmp_path: Path) -> None:
    mine = runner(tmp_path)
    run(mine, tmp_path, "print('x' * 200_000); print('end')")
    assert len(mine.tail()) <= 64 << 10
    assert mine.tail().endswith("xxx\nend")


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_a_signal_has_its_number(log: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="ended with signal 9"):
        run(runner(tmp_path), tmp_path, "os.kill(os.getpid(), 9)")


def test_an_end_without_an_answer_is_a_failure(log: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="ended without an answer"):
        run(runner(tmp_path), tmp_path, "os._exit(0)")


def test_an_answer_of_an_earlier_hook_does_not_count(log: Path, tmp_path: Path) -> None:
    mine = runner(tmp_path)
    assert run(mine, tmp_path, "return 1") == 1
    with pytest.raises(CommandFailed, match="ended without an answer"):
        run(mine, tmp_path, "os._exit(0)")


def test_a_value_that_is_no_json_is_a_failure(log: Path, tmp_path: Path) -> None:
    mine = runner(tmp_path)
    with pytest.raises(CommandFailed, match="ended with exit code 1"):
        run(mine, tmp_path, "return object()")
    assert mine.tail().endswith("TypeError: Object of type object is not JSON serializable")


def test_secrets_are_masked_in_the_quote(tmp_path: Path) -> None:
    with context.use(context.Context(secrets=(b"hunter22",))):
        mine = runner(tmp_path)
        run(mine, tmp_path, "print('password hunter22')")
        assert mine.tail() == "password ***"


@pytest.mark.skipif(sys.platform == "win32", reason="no umask")
def test_the_users_umask_does_not_decide(tmp_path: Path) -> None:
    previous = os.umask(0o077)
    try:
        run(runner(tmp_path), tmp_path, "open('generated', 'w').close()")
    finally:
        os.umask(previous)
    assert (tmp_path / "source" / "generated").stat().st_mode & 0o777 == 0o644


def test_a_mark_reaches_the_hook(tmp_path: Path) -> None:
    with context.use(context.Context(mark={"HWB_RUN": "r.1"})):
        assert run(runner(tmp_path), tmp_path, "return os.environ['HWB_RUN']") == "r.1"


def test_a_system_without_pread_captures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(hooks.os, "pread")
    sink = FileSink(tmp_path / "log")
    with context.use(context.Context(log=sink)):
        mine = runner(tmp_path)
        run(mine, tmp_path, "print('heard')")
        assert mine.tail() == "heard"
    sink.close()
    assert (tmp_path / "log").read_text() == "heard\n", "and writes what it captured into the log"


@linux
class TestZygote:
    @pytest.fixture(autouse=True)
    def zygotes(self) -> Iterator[Zygotes]:
        with ExitStack() as stack:
            zygotes = stack.enter_context(Zygotes())
            mine = context.Context()
            mine.shared = {"zygotes": zygotes}
            stack.enter_context(context.use(mine))
            yield zygotes

    def forked(self, tmp_path: Path, **environ: str) -> HookRunner:
        return HookRunner(sys.executable, "an-environment", {**os.environ, **environ}, str(tmp_path / "place"))

    def test_hooks_are_children_of_one_interpreter(self, tmp_path: Path) -> None:
        mine = self.forked(tmp_path)
        first = run(mine, tmp_path, "return [os.getpid(), os.getppid(), os.getpgid(0)]")
        second = run(mine, tmp_path, "return [os.getpid(), os.getppid(), os.getpgid(0)]")
        assert first[1] == second[1] != os.getpid()
        assert first[0] == first[2] != second[0], "each leads a group of its own"

    def test_what_hooks_import_is_there_in_the_next_one(self, tmp_path: Path) -> None:
        mine = self.forked(tmp_path)
        code = "before = 'wave' in sys.modules\nimport wave\nreturn before"
        assert [run(mine, tmp_path, code), run(mine, tmp_path, code)] == [False, True]
        with Zygotes() as others:
            context.current().shared = {"zygotes": others}
            assert run(self.forked(tmp_path), tmp_path, code) is True, "and in the next run"

    def test_modules_of_the_project_are_never_kept(self, tmp_path: Path) -> None:
        mine = self.forked(tmp_path)
        run(mine, tmp_path, "return 1")
        assert run(mine, tmp_path, "return 2") == 2

    def test_one_that_has_ended_is_replaced(self, tmp_path: Path) -> None:
        mine = self.forked(tmp_path)
        first = run(mine, tmp_path, "return os.getppid()")
        os.kill(first, 9)
        assert run(mine, tmp_path, "return os.getppid()") != first

    def test_a_python_that_cannot_serve_is_started_as_a_program(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def cannot(*_args: object) -> None:
            raise OSError("no socket")

        monkeypatch.setattr(Zygotes, "get", cannot)
        assert run(self.forked(tmp_path), tmp_path, "return os.getppid()") == os.getpid()

    def test_opting_out(self, tmp_path: Path) -> None:
        context.current().outer_env = {**os.environ, "HWB_BUILD_ZYGOTE": "0"}
        assert run(self.forked(tmp_path), tmp_path, "return os.getppid()") == os.getpid()

    def test_an_unshared_environment_is_not_forked(self, tmp_path: Path) -> None:
        assert run(runner(tmp_path), tmp_path, "return os.getppid()") == os.getpid()
