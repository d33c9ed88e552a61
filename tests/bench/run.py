"""How much processor time does hwb take beside nox and tox for the same work?

Every tool gets a fresh environment with byte code, the tools run in turn (A B C A B C ...), and the medians are judged
against the bounds of `ROWS`. A row that misses its bound is measured again; missing it twice makes the exit code 1.
Times are user + system seconds of the whole process tree, children that outlive the tool included.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from telling import parse, table

CHECKOUT = Path(__file__).parents[2]
TOOLS = {"hwb": (f"{CHECKOUT}[uv]",), "nox": ("nox[uv]",), "tox": ("tox", "tox-uv")}
PEERS = ("nox", "tox")
FLOOR = "python -c pass"


@dataclass(frozen=True)
class Row:
    """One measure: what each tool is told to do in its project, and how much of its peers' value hwb may take."""

    name: str
    title: str
    project: str
    commands: dict[str, str]
    bounds: dict[str, float] = field(default_factory=dict)
    limit: float = 0.0  # MiB: this row is about memory

    @property
    def unit(self) -> str:
        return "MiB" if self.limit else "ms"


_RUN = {"hwb": "hwb run -j2", "nox": "nox -j2"}
_REUSE = {"hwb": "hwb run -r -j2", "nox": "nox -r -j2", "tox": "tox p -p 2"}
ROWS = (
    Row("floor", f"`{FLOOR}`", "empty", {}),
    Row("version", "`hwb --version`", "list", {"hwb": "hwb --version", "nox": "nox --version", "tox": "tox --version"}, {"nox": 0.45}),
    Row("help", "`hwb --help` (peers: `--version`)", "list", {"hwb": "hwb --help", "nox": "nox --version", "tox": "tox --version"}, {"nox": 0.45}),
    Row("list", "`hwb sessions --list` (46 sessions)", "list", {"hwb": "hwb sessions --list", "nox": "nox --list", "tox": "tox list"}, {"nox": 0.6}),
    Row("one", "one trivial session without venv", "one", {"hwb": "hwb run s00", "nox": "nox -s s00"}, {"nox": 0.75}),
    Row("trivial", "20 trivial sessions, `-j2`", "trivial", {**_RUN, "tox": "tox p -p 2"}, {"nox": 0.06, "tox": 0.5}),
    Row("reused", "20 sessions (`python -c pass`) in reused uv environments, `-j2`", "uv", _REUSE, {"nox": 0.13, "tox": 1.05}),
    Row("fresh", "20 sessions in fresh uv environments, `-j2`", "uv", {**_RUN, "tox": "tox p -r -p 2"}, {"nox": 0.22, "tox": 0.9}),
    Row("rss", "largest resident size of the runner, 20 sessions", "uv", {**_RUN, "tox": "tox p -r -p 2"}, limit=45),
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """One run of one command: seconds, and MiB of the process itself when it was watched."""

    cpu: float
    wall: float
    rss: float


@dataclass
class Measured:
    """A row with the samples of everything that ran for it."""

    row: Row
    samples: dict[str, list[Sample]]

    def value(self, tool: str) -> float:
        if self.row.limit and tool != FLOOR:
            return max(sample.rss for sample in self.samples[tool])
        return 1000 * statistics.median(sample.cpu for sample in self.samples[tool])

    def ratio(self, peer: str) -> float:
        return self.value("hwb") / self.value(peer)

    @property
    def ok(self) -> bool:
        row = self.row
        fits = not row.limit or self.value("hwb") <= row.limit
        return fits and all(self.ratio(peer) <= bound for peer, bound in row.bounds.items())

    def cells(self) -> list[str]:
        row = self.row
        peers = [tool for tool in PEERS if tool in row.commands]
        bounds = [f"≤ {bound:g} × {peer}" for peer, bound in row.bounds.items()]
        return [
            row.title,
            f"{self.value(FLOOR):.0f} ms",
            f"{self.value('hwb'):.0f} {row.unit}" if "hwb" in row.commands else "",
            ", ".join(f"{peer} {self.value(peer):.0f}" for peer in peers),
            ", ".join(f"{peer} {self.ratio(peer):.3f}" for peer in peers),
            f"≤ {row.limit:g} MiB" if row.limit else ", ".join(bounds),
            ("yes" if self.ok else "**no**") if row.bounds or row.limit else "",
        ]


# --- what is run -------------------------------------------------------------------------------------------------


def names(project: str) -> list[str]:
    return [f"s{number:02}" for number in range({"list": 46, "one": 1}.get(project, 20))]


def write_project(root: Path, project: str) -> None:
    """The same sessions for every tool."""
    root.mkdir()
    if project == "empty":
        return
    uv = project == "uv"
    body = 'session.run("python", "-c", "pass")' if uv else 'session.run("true", external=True)'
    for module, decorator in (("hwb", "recipe"), ("nox", "session")):
        options = f'venv_backend="{"uv" if uv else "none"}", allow_parallel=True'
        functions = [
            f'@{module}.{decorator}({options})\ndef {name}(session):\n    """What {name} is about."""\n    {body}\n'
            for name in names(project)
        ]
        (root / f"{module}file.py").write_text(f"import {module}\n\n\n" + "\n\n".join(functions))
    command = "python -c pass" if uv else "true"
    lines = ["[tox]", "env_list =", *(f"    {name}" for name in names(project)), "no_package = true", "", "[testenv]"]
    (root / "tox.ini").write_text("\n".join([*lines, "allowlist_externals = true", f"commands = {command}", ""]))


def environ(**more: str) -> dict[str, str]:
    """The user's, without what would change one tool and not the others."""
    unwanted = ("PYTHON", "HWB_", "NOX", "TOX", "VIRTUAL_ENV", "CI", "FORCE_COLOR", "GITHUB_", "PIP_FIND_LINKS")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)} | more


def install(base: Path, tool: str) -> Path:
    """A fresh environment with the tool and its byte code; its directory of programs."""
    home = base / tool
    python = str(home / "bin" / "python")
    uv = shutil.which("uv")
    if uv is not None:
        make = [uv, "venv", "--quiet", "--python", sys.executable, str(home)]
        fill = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
        fill += ["--reinstall-package", "headless-wheel-builder"]  # never the wheel of an older checkout
    else:
        make = [sys.executable, "-m", "venv", str(home)]
        fill = [python, "-m", "pip", "install", "--quiet", "--compile"]
    for command in (make, [*fill, *TOOLS[tool]]):
        subprocess.run(command, check=True, env=environ())
    return home / "bin"


class Bench:
    """The environments and projects in one temporary directory, and the measuring of commands in them."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.programs = {tool: install(base, tool) for tool in TOOLS}
        self.output = base / "output"

    def measure(self, row: Row, runs: int) -> Measured:
        """Warm up, then run everything in turn."""
        measured = Measured(row, {tool: [] for tool in (FLOOR, *row.commands)})
        for turn in range(runs + 1):
            for tool, samples in measured.samples.items():
                sample = self.once(row, tool)
                if turn:
                    samples.append(sample)
                else:
                    self.look(row, tool)
        return measured

    def place(self, row: Row, tool: str) -> Path:
        root = self.base / f"{row.name}-{'floor' if tool == FLOOR else tool}"
        if not root.exists():
            write_project(root, row.project)
        return root

    def once(self, row: Row, tool: str) -> Sample:
        command = (row.commands[tool] if tool != FLOOR else FLOOR).split()
        programs = self.programs["hwb" if tool == FLOOR else tool]
        environment = environ(
            PATH=f"{programs}{os.pathsep}{os.environ['PATH']}", HWB_CACHE_DIR=str(self.base / "store")
        )
        with self.output.open("wb") as output:
            started = time.monotonic()
            process = subprocess.Popen(
                [str(programs / command[0]), *command[1:]],
                cwd=self.place(row, tool),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            cpu, rss = finish(process, watch=bool(row.limit))
            wall = time.monotonic() - started
        if process.returncode:
            sys.exit(f"{row.name}: {' '.join(command)} failed ({process.returncode})\n{self.output.read_text()}")
        return Sample(cpu, wall, rss)

    def look(self, row: Row, tool: str) -> None:
        """Did the tool really know all sessions? What it printed must name each."""
        if tool == FLOOR or "--version" in row.commands[tool] or "--help" in row.commands[tool]:
            return
        told = self.output.read_text(errors="replace")
        if lost := [name for name in names(row.project) if name not in told]:
            sys.exit(f"{row.name}: {tool} said nothing about {', '.join(lost)}\n{told}")


def finish(process: subprocess.Popen[bytes], *, watch: bool) -> tuple[float, float]:
    """Wait for the process and for everything it left behind: processor seconds, and its own largest MiB."""
    rss, done, status, usage = 0.0, 0, 0, None
    while watch and not done:
        rss = max(rss, resident(process.pid))
        time.sleep(0.001)
        done, status, usage = os.wait4(process.pid, os.WNOHANG)
    if usage is None or not done:
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu = usage.ru_utime + usage.ru_stime
    deadline = time.monotonic() + 10
    while True:
        try:
            done, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return cpu, rss
        cpu += usage.ru_utime + usage.ru_stime if done else 0
        if time.monotonic() > deadline:
            sys.exit(f"{process.args!r} left a process behind that does not end")
        if not done:
            time.sleep(0.001)


def resident(pid: int) -> float:
    """The high-water mark of this process alone; 0 when it is no more. (ru_maxrss would be that of its children too.)"""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


def adopt() -> None:
    """Orphans of what is measured become children of this process, so that their time is counted."""
    set_child_subreaper = 36
    if ctypes.CDLL(None, use_errno=True).prctl(set_child_subreaper, 1, 0, 0, 0):
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")


# --- what is told ------------------------------------------------------------------------------------------------


def write_json(path: Path, rows: list[Measured]) -> None:
    told = [
        {
            "row": measured.row.name,
            "unit": measured.row.unit,
            "ok": measured.ok,
            "values": {tool: measured.value(tool) for tool in measured.samples},
            "samples": {tool: [asdict(sample) for sample in samples] for tool, samples in measured.samples.items()},
        }
        for measured in rows
    ]
    path.write_text(json.dumps({"python": sys.version, "rows": told}, indent=1) + "\n")


def main(arguments: list[str]) -> int:
    options = parse(arguments, __doc__, [row.name for row in ROWS], runs=9)
    if sys.platform != "linux":
        sys.exit("the measuring of process trees is written for Linux")
    adopt()
    with tempfile.TemporaryDirectory(prefix="hwb-bench-") as directory:
        bench = Bench(Path(directory))
        rows = []
        for row in (row for row in ROWS if row.name in options.rows):
            print(f"{row.name} ...", file=sys.stderr, flush=True)
            measured = bench.measure(row, options.runs)
            if not measured.ok:
                print(f"{row.name}: missed its bound, measured again", file=sys.stderr, flush=True)
                measured = bench.measure(row, options.runs)
            rows.append(measured)
    head = ["measure", FLOOR, "hwb", "peers", "ratio", "bound", "ok"]
    print(table(head, [measured.cells() for measured in rows]))
    if options.json is not None:
        write_json(options.json, rows)
    missed = [measured.row.name for measured in rows if not measured.ok]
    if missed:
        print(f"missed twice: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
