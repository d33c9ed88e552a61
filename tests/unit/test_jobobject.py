"""Windows ends a process tree with a Job Object; elsewhere the module is empty and can be imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hwb import _jobobject


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has it")
def test_elsewhere_there_is_nothing() -> None:
    assert not [name for name in vars(_jobobject) if name in ("assign", "alive", "terminate_tree")]


@pytest.mark.skipif(sys.platform != "win32", reason="Windows only")
def test_a_tree_ends_as_a_whole() -> None:
    if sys.platform == "win32":
        code = "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); print(p.pid, flush=True); time.sleep(600)"
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        _jobobject.assign(int(process._handle))  # type: ignore[attr-defined]  # Windows only, and not in the stubs
        assert process.stdout is not None
        with process.stdout as lines:
            child = int(lines.readline())
        assert _jobobject.alive(process.pid)
        assert _jobobject.alive(child)
        assert _jobobject.terminate_tree(process.pid)
        process.wait(30)
        assert not _jobobject.alive(process.pid)
        assert not _jobobject.terminate_tree(process.pid)
