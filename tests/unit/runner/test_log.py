"""Logs: complete, masked, followed, and nobody prints into somebody else's."""

from __future__ import annotations

import io
import os
import sys
import threading
from typing import TYPE_CHECKING

from hwb.context import Context, use
from hwb.redact import Redactor
from hwb.runner.log import Follower, RoutedStream, SessionLog, log_blocks, tail

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_lines_are_masked_and_echoed(tmp_path: Path) -> None:
    echoed: list[str] = []
    log = SessionLog(str(tmp_path / "log"), Redactor((b"secret",)), echoed.append)
    log.write("a secret\n")
    os.write(log.fileno(), b"\xff raw\n")
    log.close()
    log.close()

    assert (tmp_path / "log").read_bytes() == b"a ***\n\xff raw\n"
    assert echoed == ["a ***\n"]


def test_tail_takes_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"line %d\n" % n for n in range(50_000)) + b"\xfflast")

    assert tail(str(path), 2) == "line 49999\n\ufffdlast"
    assert tail(str(tmp_path / "missing")) == ""


def test_blocks_never_split_a_character(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("ä" * 1000)

    assert "".join(log_blocks(str(path), 7)) == "ä" * 1000
    assert list(log_blocks(str(tmp_path / "missing"))) == []


def test_a_follower_copies_what_is_new(tmp_path: Path) -> None:
    path, out = tmp_path / "log", io.StringIO()
    path.write_bytes(b"")
    follower = Follower(str(path), out)
    assert not follower.poll()
    with open(path, "ab") as handle:
        handle.write("ö".encode()[:1])
        handle.flush()
        follower.poll()
        handle.write("ö".encode()[1:] + b"!\n")
        handle.flush()
        assert follower.poll()
        handle.write(b"rest")
    follower.close()

    assert out.getvalue() == "ö!\nrest"


def test_prints_go_to_the_session_that_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    restore = RoutedStream.install()
    logs = {name: SessionLog(str(tmp_path / name), Redactor()) for name in ("a", "b")}

    def work(name: str) -> None:
        with use(Context(log=logs[name])):
            print("I am", name)
            sys.stderr.writelines(["err ", f"{name}\n"])

    try:
        threads = [threading.Thread(target=work, args=(name,)) for name in logs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print("nobody's")
        assert sys.stdout.encoding
    finally:
        restore()
    for log in logs.values():
        log.close()

    assert (tmp_path / "a").read_text() == "I am a\nerr a\n"
    assert (tmp_path / "b").read_text() == "I am b\nerr b\n"
    assert capsys.readouterr().out == "nobody's\n"
