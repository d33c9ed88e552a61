"""A container engine that is a script: it answers from a table and remembers how it was called."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from hwb.isolation.engine import Engine

SCRIPT = """#!{python} -ISE
import json, os, re, sys, time
line = " ".join(sys.argv[1:])
with open({calls!r}, "a") as handle:
    handle.write(json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n")
with open({answers!r}) as handle:
    answers = json.load(handle)
for pattern, code, out, err, seconds in answers:
    if re.search(pattern, line):
        time.sleep(seconds)
        sys.stdout.write(out)
        sys.stderr.write(err)
        sys.exit(code)
"""
DOCKER_INFO = {"ServerVersion": "28.1", "SecurityOptions": ["name=seccomp"], "Architecture": "x86_64", "NCPU": 2}
PODMAN_INFO = {
    "host": {
        "arch": "arm64",
        "cpus": 4,
        "cgroupControllers": ["pids"],
        "security": {"rootless": True, "selinuxEnabled": True},
    },
    "version": {"Version": "5.4.0"},
}


class FakeEngine:
    """What calls of a command named `name` find; later answers go before earlier ones."""

    def __init__(self, folder: Path, name: str = "docker", info: Any = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._calls, self._answers = folder / f"{name}.calls", folder / f"{name}.answers"
        self.path = str(folder / name)
        self._table: list[tuple[str, int, str, str, float]] = []
        script = SCRIPT.format(python=sys.executable, calls=str(self._calls), answers=str(self._answers))
        Path(self.path).write_text(script)
        Path(self.path).chmod(0o755)
        self.answer("^info", json.dumps(info or (PODMAN_INFO if name == "podman" else DOCKER_INFO)))
        self.engine = Engine(name, self.path, "28.1", arch="x86_64")

    def answer(self, pattern: str, out: str = "", *, code: int = 0, err: str = "", seconds: float = 0.0) -> None:
        self._table.insert(0, (pattern, code, out, err, seconds))
        self._answers.write_text(json.dumps(self._table))

    @property
    def whole_calls(self) -> list[tuple[list[str], dict[str, str]]]:
        lines = self._calls.read_text().splitlines() if os.path.exists(self._calls) else []
        return [tuple(json.loads(line)) for line in lines]  # type: ignore[misc]

    @property
    def calls(self) -> list[list[str]]:
        return [argv for argv, _ in self.whole_calls]

    def of(self, command: str) -> list[list[str]]:
        return [argv for argv in self.calls if argv[0] == command]


def inspected(**changes: Any) -> str:
    """What `image inspect` prints of an image."""
    env = ["PATH=/usr/local/bin:/usr/bin:/bin", "AUDITWHEEL_PLAT=manylinux_2_28_x86_64"]
    told = {"Id": "sha256:" + "1" * 64, "Os": "linux", "Architecture": "amd64", "Config": {"Env": env}, **changes}
    return json.dumps(told)
