"""What runs inside auditwheel's environment: one process for many wheels, a fork for each?

This one file is executed by that environment's Python (3.9 or newer) and uses the standard library and auditwheel only;
hwb itself never imports it. auditwheel takes longer to import than to repair a small wheel::

    python in_tool.py JOB

JOB is a JSON object: `answer` (a path), `jobs` (forks at once) and `wheels`: objects with `wheel`, `folder` (where the
repaired one goes), `log` (a path), `arguments` of `auditwheel repair`, `epoch` (seconds) and `clean`: whether absolute
RPATHs are taken out of the result. The answer is a list of exit codes, or an object that says what is `unavailable`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


def _repair(task: dict[str, Any]) -> int:
    """As the command `auditwheel repair`, with its exit code; the last thing that this process does."""
    main = import_module("auditwheel.main").main
    os.environ["SOURCE_DATE_EPOCH"] = str(task["epoch"])
    sys.argv = ["auditwheel", "repair", "--wheel-dir", task["folder"], *task["arguments"], task["wheel"]]
    try:
        code = main() or 0
    except Exception as error:  # InvalidLibc(Error) is a class that only this environment has
        if not type(error).__name__.startswith("InvalidLibc"):
            raise
        _assume_libc()
        code = main() or 0
    if not code and task["clean"]:
        for name in os.listdir(task["folder"]):
            _clean(os.path.join(task["folder"], name))
    return int(code)


def _assume_libc() -> None:
    """Code that calls nothing of the C library does not tell which one it is for: this machine's, which linked it."""
    libc = import_module("auditwheel.libc").Libc.detect()
    module: Any = import_module("auditwheel.main_repair")
    module.get_wheel_libc = lambda _name: libc


def _clean(path: str) -> None:
    """Take absolute directories out of every RPATH and RUNPATH of a wheel, and write it again with its RECORD."""
    from pathlib import Path

    unpacked = import_module("auditwheel.wheeltools").InWheelCtx
    wheel = Path(path).resolve()
    with unpacked(wheel, wheel) as inside:
        for folder, _, names in os.walk(str(inside.path)):
            for name in names:
                _clean_file(os.path.join(folder, name))


def _clean_file(path: str) -> None:
    with open(path, "rb") as handle:
        if handle.read(4) != b"\x7fELF":
            return
    done = subprocess.run(["patchelf", "--print-rpath", path], stdout=subprocess.PIPE, check=False)
    folders = [folder for folder in done.stdout.decode(errors="surrogateescape").strip().split(":") if folder]
    kept = [folder for folder in folders if not folder.startswith("/")]
    if kept != folders:
        subprocess.run(["patchelf", "--remove-rpath", path], check=True)
        if kept:
            subprocess.run(["patchelf", "--force-rpath", "--set-rpath", ":".join(kept), path], check=True)
        print("removed from the RPATH of {}: {}".format(path, ", ".join(set(folders) - set(kept))))


def _in_fork(task: dict[str, Any]) -> int:
    """Start the repair of one wheel in a process of its own, its output in a log of its own; the process's id."""
    if sys.platform == "win32":
        raise AssertionError("auditwheel is for Linux")
    process = os.fork()
    if process:
        return process
    code = 70
    try:
        log = os.open(task["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        code = _repair(task)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # told in the log; the other wheels are not concerned
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _every(tasks: list[dict[str, Any]], jobs: int) -> list[int]:
    codes = [70] * len(tasks)
    running: dict[int, int] = {}
    for number, task in enumerate(tasks):
        if len(running) >= jobs:
            _wait(running, codes)
        running[_in_fork(task)] = number
    while running:
        _wait(running, codes)
    return codes


def _wait(running: dict[int, int], codes: list[int]) -> None:
    if sys.platform == "win32":
        raise AssertionError("auditwheel is for Linux")
    process, status = os.wait()
    if process in running:
        codes[running.pop(process)] = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)


def main(path: str, config_settings: None = None) -> int:
    """Repair the wheels of a job; the exit code. The other parameter is that of hooks: it may be called as one."""
    with open(path, encoding="utf-8", errors="surrogateescape") as handle:
        job = json.load(handle)
    answer: Any
    try:
        for name in ("main", "repair", "wheel_abi"):  # imported once, for all forks
            import_module(f"auditwheel.{name}")
    except ImportError:
        answer = {"unavailable": traceback.format_exc()}
    else:
        answer = _every(job["wheels"], job["jobs"])
    with open(job["answer"], "w", encoding="utf-8") as handle:
        json.dump(answer, handle)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
