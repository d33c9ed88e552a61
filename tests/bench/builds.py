"""How much processor time does `hwb build` take beside `uv build`, and `hwb check` beside check-wheel-contents?

Twelve real projects (pinned sdists, made into repositories), a workspace, trees and a wheel. Both tools take turns on
copies of the same files (A B A B ...), both offline, from environments with byte code; times are user + system seconds
of the whole process tree, judged by medians. A row that misses its `must` is measured again; missing it twice makes the
exit code 1.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import run
from telling import parse, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
from sdists import PINS, fetch, unpack  # the tests' own helper, which is no package

NAMES = ["attrs", "httpx", "packaging", "idna", "six", "requests", "markupsafe", "pluggy", "rich", "dep_logic"]
NAMES += ["pdm_backend", "nanobind"]
CHECKER = "check-wheel-contents"
EACH = 0.8
"""What no project may take more of, in the row "changed", unless a compiler is `COMPILER` of it."""
COMPILER = 0.8
EPOCH = "1700000000"


@dataclass(frozen=True)
class Row:
    """One line of the table: ratios to the peer that must not be exceeded, and that are aimed at (0: none)."""

    name: str
    title: str
    peer: str
    must: float
    aim: float = 0.0


ROWS = (
    Row("changed", "sdist + wheel, 12 projects, sources changed", "uv build", 0.45, 0.36),
    Row("first", "the same, first run with a warm package cache", "uv build", 1.1, 1.0),
    Row("workspace", "workspace of 6 packages, sources changed", "uv build", 0.09, 0.05),
    Row("unchanged", "the 12 projects, nothing changed", "uv build", 0.06, 0.03),
    Row("tree5k", "digest of a tree, 5 000 files", "git status", 4.5),
    Row("tree50k", "digest of a tree, 50 000 files", "git status", 1.6),
    Row("check", "validation of a wheel of 2 MB", CHECKER, 0.45, 0.25),
)


@dataclass
class Case:
    """What both tools do on their own copies. `before` and `after` run around each command and are not timed."""

    name: str
    commands: dict[str, list[str]]
    places: dict[str, Path]
    before: Callable[[str], None] = lambda tool: None
    after: Callable[[str], None] = lambda tool: None


@dataclass
class Measured:
    """A row with the processor seconds of every case, and how much of hwb's a compiler took where that matters."""

    row: Row
    seconds: dict[str, dict[str, list[float]]]
    load: float
    compiler: dict[str, float] = field(default_factory=dict)

    def value(self, tool: str, case: str = "") -> float:
        """Milliseconds: the median of a case, or the geometric mean of all medians."""
        cases = [case] if case else list(self.seconds)
        return 1000 * statistics.geometric_mean(statistics.median(self.seconds[name][tool]) for name in cases)

    def ratio(self, case: str = "") -> float:
        return self.value("hwb", case) / self.value("peer", case)

    @property
    def slow(self) -> list[str]:
        """Cases of the row "changed" over the bound for each, whatever the reason."""
        return [case for case in self.seconds if self.ratio(case) > EACH] if self.row.name == "changed" else []

    @property
    def ok(self) -> bool:
        return self.ratio() <= self.row.must and all(self.compiler.get(case, 0) >= COMPILER for case in self.slow)

    def cells(self) -> list[str]:
        aim = f"{self.row.aim:g}" if self.row.aim else ""
        peer, ours = (f"{self.value(tool):.1f} ms" for tool in ("peer", "hwb"))
        verdict = "yes" if self.ok else "**no**"
        return [self.row.title, self.row.peer, peer, ours, f"{self.ratio():.3f}", f"≤ {self.row.must:g}", aim, verdict]

    def lines(self) -> Iterator[str]:
        """One for each project."""
        for case in self.seconds:
            peer, ours = self.value("peer", case), self.value("hwb", case)
            told = f", compiler {self.compiler[case]:.0%}" if case in self.compiler else ""
            yield f"  {case:<20} {peer:7.0f} ms {ours:7.0f} ms  {self.ratio(case):.3f}{told}"


# --- what is built -------------------------------------------------------------------------------------------------


def git(root: Path, *words: str) -> None:
    who = {f"GIT_{role}_{what}": "x@y" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    when = {f"GIT_{role}_DATE": f"@{EPOCH} +0000" for role in ("AUTHOR", "COMMITTER")}
    env = run.environ(**who, **when, GIT_CONFIG_GLOBAL=os.devnull)
    alone = ["-c", "gc.auto=0", "-c", "maintenance.auto=false"]  # nothing that goes on while others are measured
    subprocess.run(["git", "-C", str(root), *alone, *words], check=True, env=env, stdout=subprocess.DEVNULL)


def commit(root: Path, tag: str = "") -> None:
    git(root, "init", "-q")
    git(root, "add", "-A", "-f")
    git(root, "commit", "-q", "-m", "x")
    if tag:
        git(root, "tag", tag)


def make_project(name: str, root: Path, downloads: Path) -> None:
    """A repository as its authors have it: without what only an sdist has, tagged with the version."""
    pin = PINS[name]
    top = unpack(fetch(pin, downloads), root.with_name(f"{root.name}.unpacked"))
    (top / "PKG-INFO").unlink(missing_ok=True)
    for folder in list(top.rglob("*.egg-info")):
        shutil.rmtree(folder)
    top.rename(root)
    commit(root, f"v{pin.version}")


def make_workspace(root: Path) -> None:
    for number in range(6):
        module = root / "packages" / f"member-{number}" / "src" / f"member_{number}"
        module.mkdir(parents=True)
        (module / "__init__.py").write_text(f"number = {number}\n")
        (module.parents[1] / "pyproject.toml").write_text(
            '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n\n'
            f'[project]\nname = "member-{number}"\nversion = "1.0"\nrequires-python = ">=3.10"\n'
        )
    (root / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["packages/*"]\n')
    commit(root)


def make_tree(root: Path, count: int) -> None:
    text = random.Random(1)
    for number in range(count):
        folder = root / f"d{number // 1000}" / f"e{number // 50 % 20}"
        if number % 50 == 0:
            folder.mkdir(parents=True)
        (folder / f"f{number}.py").write_bytes(text.randbytes(int(text.lognormvariate(8.3, 1))))
    commit(root)
    time.sleep(1.1)  # entries as young as the index would be read again by every git command
    git(root, "update-index", "--refresh", "-q")


def make_wheel(path: Path) -> None:
    """A valid wheel of 130 modules, 2 MB."""
    text = random.Random(1)
    info = "sample-1.0.dist-info"
    files = {f"sample/m{number}.py": f"x = {text.randbytes(15500).hex()!r}\n" for number in range(130)}
    files["sample/__init__.py"] = "answer = 42\n"
    files[f"{info}/METADATA"] = "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = ""
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).decode().rstrip("=")
        record += f"{name},sha256={digest},{len(content.encode())}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def packaged(root: Path, wheel: Path) -> Path:
    """A module of the tree that is in the wheel, under the same name with the same bytes."""
    with zipfile.ZipFile(wheel) as archive:
        inside = {(name.rpartition("/")[2], archive.read(name)) for name in archive.namelist() if name.endswith(".py")}
    found = (
        path for path in sorted(root.rglob("*.py")) if path.stat().st_size and (path.name, path.read_bytes()) in inside
    )
    return next(found)


# --- what is measured ------------------------------------------------------------------------------------------------


class Bench:
    """Environments and projects below one directory."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.output = base / "output"
        self.stores = {"warm": base / "store", "first": base / "first-store"}
        run.TOOLS[CHECKER] = (CHECKER,)
        self.bins = {"hwb": run.install(base, "hwb")}
        self.downloads = base / "downloads"
        self.downloads.mkdir()

    def cases(self, row: str) -> list[Case]:
        if row == "workspace":
            return [self.workspace()]
        if row.startswith("tree"):
            return [self.tree(row, int(row.strip("trek")) * 1000)]
        if row == "check":
            return [self.check()]
        return [self.project(name, row) for name in NAMES]

    def project(self, name: str, row: str) -> Case:
        case = self.build_case(name, row, lambda root: make_project(name, root, self.downloads))
        case.name = f"{name} {PINS[name].version}"
        return case

    def workspace(self) -> Case:
        return self.build_case("workspace", "changed", make_workspace, "--all-packages")

    def build_case(self, name: str, row: str, make: Callable[[Path], None], *more: str) -> Case:
        """Both tools build `name`, each in a copy of its own, into a directory that is empty."""
        places = {tool: self.base / f"{name}-{tool}" for tool in ("hwb", "peer")}
        for root in places.values():
            if not root.exists():
                make(root)
        outputs = {tool: self.base / f"{name}-{tool}-dist" for tool in places}
        commands = {"hwb": ["hwb", "build"], "peer": ["uv", "build", "--no-create-gitignore"]}
        for tool, words in commands.items():
            words += [*more, "--offline", "--quiet", "--python", sys.executable, "--out-dir", str(outputs[tool])]
        before: dict[str, dict[str, str]] = {tool: {} for tool in places}

        def prepare(tool: str) -> None:
            if row == "changed":
                change(places[tool], outputs[tool])
            elif row == "first" and tool == "hwb":
                shutil.rmtree(self.stores["first"], ignore_errors=True)
            shutil.rmtree(outputs[tool], ignore_errors=True)

        def look(tool: str) -> None:
            sums = {path.name: sha256(path) for path in outputs[tool].rglob("*.whl")}
            count = 6 if more else 1
            if len(sums) != count or len(list(outputs[tool].rglob("*.tar.gz"))) != count:
                sys.exit(f"{name}: {tool} made {sorted(sums)}")
            same = sorted(name for name in sums if sums[name] == before[tool].get(name))
            if same and row == "changed":
                sys.exit(f"{name}: the sources changed, and {tool} made the same {', '.join(same)}")
            before[tool] = sums

        return Case(name, commands, places, prepare, look)

    def tree(self, name: str, count: int) -> Case:
        root = self.base / name
        if not root.exists():
            make_tree(root, count)
        code = "import sys; from hwb.snapshot import read_tree; print(read_tree(sys.argv[1]).digest)"
        commands = {"hwb": ["python", "-c", code, "."], "peer": ["git", "status", "--porcelain"]}

        def look(tool: str) -> None:
            told = self.output.read_text().strip()
            if (len(told) < 40) if tool == "hwb" else told:
                sys.exit(f"{name}: {tool} said {told[:200]!r}")

        return Case(name, commands, {"hwb": root, "peer": root}, after=look)

    def check(self) -> Case:
        wheel = self.base / "sample-1.0-py3-none-any.whl"
        if not wheel.exists():
            make_wheel(wheel)
            self.bins[CHECKER] = run.install(self.base, CHECKER)
        commands = {"hwb": ["hwb", "check", wheel.name], "peer": [str(self.bins[CHECKER] / CHECKER), wheel.name]}
        return Case("check", commands, {"hwb": self.base, "peer": self.base})

    def measure(self, row: Row, runs: int) -> Measured:
        """Every case: warm up, then both in turn."""
        load = os.getloadavg()[0]
        store = self.stores["first" if row.name == "first" else "warm"]
        seconds: dict[str, dict[str, list[float]]] = {}
        for case in self.cases(row.name):
            found = seconds.setdefault(case.name, {"hwb": [], "peer": []})
            for turn in range(runs + 1):
                for tool in ("peer", "hwb"):
                    taken = self.once(case, tool, turn, store)
                    if turn:
                        found[tool].append(taken)
        measured = Measured(row, seconds, load)
        slow = set(measured.slow)
        for case in self.cases(row.name) if slow else []:
            if case.name in slow:
                measured.compiler[case.name] = self.compiler_share(case, runs)
        return measured

    def once(self, case: Case, tool: str, turn: int, store: Path, **more: str) -> float:
        """Processor seconds. The first turn may use the network: it fills uv's cache, which both tools share."""
        case.before(tool)
        words = [word for word in case.commands[tool] if turn or word != "--offline"]
        program = shutil.which(words[0], path=f"{self.bins['hwb']}{os.pathsep}{os.environ['PATH']}") or words[0]
        own = {"PATH": f"{self.bins['hwb']}{os.pathsep}{os.environ['PATH']}", "PIP_CONFIG_FILE": os.devnull}
        env = run.environ(**{**own, "HWB_CACHE_DIR": str(store), **more})
        env.pop("PIP_EXTRA_INDEX_URL", None)
        with self.output.open("wb") as output:
            process = subprocess.Popen(
                [program, *words[1:]],
                cwd=case.places[tool],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            taken, _ = run.finish(process, watch=False)
        if process.returncode:
            sys.exit(f"{case.name}: {' '.join(words)} failed ({process.returncode})\n{self.output.read_text()}")
        case.after(tool)
        return taken

    def compiler_share(self, case: Case, runs: int) -> float:
        """How much of hwb's processor time compilers and linkers take, by programs around them that write it down."""
        folder, log = self.base / "compilers", self.base / "compilers.log"
        folder.mkdir(exist_ok=True)
        wrappers = {}
        for variable, usual in (("CC", "cc"), ("CXX", "c++")):
            wrapper = folder / usual
            wrapper.write_text(_WRAPPER.format(python=sys.executable, real=shutil.which(usual), log=str(log)))
            wrapper.chmod(0o755)
            wrappers[variable] = str(wrapper)
        shares = []
        for turn in range(runs + 1):
            log.write_text("")
            taken = self.once(case, "hwb", turn, self.stores["warm"], **wrappers)
            shares.append(math.fsum(map(float, log.read_text().split())) / taken)
        return statistics.median(shares[1:])


_WRAPPER = """#!{python} -IS
import os, resource, sys
code = os.spawnv(os.P_WAIT, {real!r}, [{real!r}, *sys.argv[1:]])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open({log!r}, "a") as log: print(used.ru_utime + used.ru_stime, file=log)
sys.exit(code)
"""


def change(root: Path, output: Path) -> None:
    """A line more in a packaged module of every wheel of the last run."""
    for wheel in output.rglob("*.whl"):
        with packaged(root, wheel).open("a") as module:
            module.write(f"# {time.monotonic_ns()}\n")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- what is told ----------------------------------------------------------------------------------------------------


def write_json(path: Path, rows: list[Measured]) -> None:
    told = [
        {
            "row": measured.row.name,
            "ok": measured.ok,
            "ratio": measured.ratio(),
            "load": measured.load,
            "compiler": measured.compiler,
            "seconds": measured.seconds,
        }
        for measured in rows
    ]
    path.write_text(json.dumps({"python": sys.version, "rows": told}, indent=1) + "\n")


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    options = parse(arguments, __doc__, [row.name for row in ROWS], runs=5)
    if sys.platform != "linux":
        sys.exit("the measuring of process trees is written for Linux")
    run.adopt()
    with tempfile.TemporaryDirectory(prefix="hwb-bench-") as directory:
        bench = Bench(Path(directory))
        rows = []
        for row in (row for row in ROWS if row.name in options.rows):
            note(f"{row.name} ... (load {os.getloadavg()[0]:.1f})")
            measured = bench.measure(row, options.runs)
            if not measured.ok:
                note(f"{row.name}: {measured.ratio():.3f} missed its bound, measured again")
                measured = bench.measure(row, options.runs)
            rows.append(measured)
            if len(measured.seconds) > 1:
                print(f"{row.name}: {row.peer}, hwb, ratio (load {measured.load:.1f})", *measured.lines(), sep="\n")
        uv = subprocess.run([bench.bins["hwb"] / "uv", "--version"], check=True, capture_output=True, text=True).stdout
    head = ["work", "peer", "peer's", "hwb's", "ratio", "must", "aim", "ok"]
    print(
        table(head, [measured.cells() for measured in rows]), f"{uv.strip()}, Python {sys.version.split()[0]}", sep="\n"
    )
    if options.json is not None:
        write_json(options.json, rows)
    missed = [measured.row.name for measured in rows if not measured.ok]
    if missed:
        note(f"missed twice: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
