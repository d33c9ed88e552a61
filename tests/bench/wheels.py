"""How much does `hwb matrix` take beside cibuildwheel for three wheels of a C extension, containers included?

Pinned sdists (a small one, one with vendored C sources, a large one with Cython), three Pythons, the same image without
byte code, the front end `build[uv]` of the peer. Runs take turns (peer, first, changed, unchanged, peer, ...). Nothing is
tested by either. Times are user + system seconds of the process tree, of all containers and of the engine: let nothing else
use containers meanwhile. Needs a container engine and the image of `.ci/standin.sh`.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import run
from telling import parse, table

if TYPE_CHECKING:
    from collections.abc import Sequence

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
from sdists import Pin, fetch, unpack  # the tests' own helper, which is no package

STANDIN = "hwb/manylinux_2_31_x86_64:standin"
IMAGE = "hwb/manylinux_2_31_x86_64:bench"
PYTHONS = ("3.9", "3.11", "3.13")
PEER = "cibuildwheel==4.3.3"
KINDS = ("first", "changed", "unchanged")
DOCKERFILE = f"""FROM {STANDIN}
COPY ca.crt /etc/ssl/certs/ca-certificates.crt
COPY uv /usr/local/bin/uv
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
"""


@dataclass(frozen=True)
class Row:
    """A project, a packaged module of it, and what hwb may take of the peer's processor seconds."""

    name: str
    pin: Pin
    module: str
    must: dict[str, float]


ROWS = (
    Row(
        "markupsafe",
        Pin("markupsafe", "3.0.4"),
        "src/markupsafe/__init__.py",
        {"first": 0.65, "changed": 0.3, "unchanged": 0.1},
    ),
    Row("lz4", Pin("lz4", "4.4.5"), "lz4/__init__.py", {"first": 0.7, "changed": 0.35, "unchanged": 0.1}),
    Row("pyyaml", Pin("pyyaml", "6.0.3"), "lib/yaml/__init__.py", {"first": 0.9, "changed": 0.7, "unchanged": 0.1}),
)


@dataclass(frozen=True)
class Sample:
    """Seconds of one run: of all processors, by the clock, and of the first in containers, engine and own processes."""

    cpu: float
    wall: float
    parts: tuple[float, ...] = ()


CONTAINERS = {
    "/sys/fs/cgroup/cpuacct/docker/cpuacct.usage": lambda text: int(text) / 1e9,
    "/sys/fs/cgroup/docker/cpu.stat": lambda text: int(text.split()[1]) / 1e6,
}
"""Where the kernel counts what all containers of docker have used, those that are gone included (cgroup 1 and 2)."""


def in_containers() -> float:
    """Processor seconds of everything that ran in a container."""
    for path, seconds in CONTAINERS.items():
        if Path(path).exists():
            return seconds(Path(path).read_text())
    raise SystemExit(f"the processor time of containers cannot be told: none of {', '.join(CONTAINERS)} exists")


def in_engine() -> float:
    """Processor seconds of dockerd and containerd."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if name in ("dockerd", "containerd"):
            total += sum(map(int, rest.split()[11:13]))
    return total / os.sysconf("SC_CLK_TCK")


def in_children() -> float:
    """Processor seconds of the processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(argv: Sequence[str], cwd: Path, env: dict[str, str]) -> Sample:
    parts = (in_containers, in_engine, in_children)
    before, wall = [part() for part in parts], time.monotonic()
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    took = time.monotonic() - wall
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)} ended with {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    spent = [part() - start for part, start in zip(parts, before)]
    return Sample(sum(spent), took, tuple(round(seconds, 2) for seconds in spent))


class Bench:
    """One project that both tools build, each in its own copy."""

    def __init__(self, row: Row, top: Path, tools: Path, downloads: Path) -> None:
        self.row, self.tools = row, tools
        self.place = top / row.name
        self.place.mkdir()
        source = unpack(fetch(row.pin, downloads), self.place / "unpacked")
        self.trees = {name: self.place / name for name in ("peer", "hwb")}
        for tree in self.trees.values():
            shutil.copytree(source, tree)
        wanted = " ".join(f"cp{python.replace('.', '')}-manylinux_x86_64" for python in PYTHONS)
        self.common = {
            "CIBW_BUILD": wanted,
            "CIBW_MANYLINUX_X86_64_IMAGE": IMAGE,
            "CIBW_TEST_SKIP": "*",
            "CIBW_BUILD_FRONTEND": "build[uv]",
            "UV_CACHE_DIR": str(top / "uv-cache"),
        }
        self.caches = {name: self.place / f"hwb-{name}" for name in ("cold", "warm")}
        self.count = 0

    def peer(self) -> Sample:
        engine = "docker; create_args: --network=host; disable_host_mount: true"
        env = run.environ(**self.common, CIBW_CONTAINER_ENGINE=engine)
        out = self.place / "peer-out"
        shutil.rmtree(out, ignore_errors=True)
        argv = [str(self.tools / "peer/bin/cibuildwheel"), "--platform", "linux", "--output-dir", str(out), "."]
        sample = measured(argv, self.trees["peer"], env)
        self._check(out)
        return sample

    def ours(self, kind: str) -> Sample:
        cache = self.caches["cold" if kind == "first" else "warm"]
        if kind == "first":
            shutil.rmtree(cache, ignore_errors=True)
        if kind == "changed":
            self.count += 1
            with (self.trees["hwb"] / self.row.module).open("a") as file:
                file.write(f"\n# change {self.count}\n")
        out = self.trees["hwb"] / "dist"
        shutil.rmtree(out, ignore_errors=True)
        env = run.environ(**self.common, HWB_CACHE_DIR=str(cache), HWB_COLOR="never")
        argv = [str(self.tools / "hwb/bin/hwb"), "matrix", "--platform", "linux"]
        sample = measured(argv, self.trees["hwb"], env)
        self._check(out)
        return sample

    def _check(self, out: Path) -> None:
        made = sorted(path.name for path in out.glob("*.whl"))
        if len(made) != len(PYTHONS) or not all("manylinux" in name for name in made):
            raise SystemExit(f"{out}: {made}")


def make_image(top: Path) -> None:
    """The stand-in with what the peer needs: uv, a front end in each Python, certificates; no byte code."""
    folder = top / "image"
    folder.mkdir()
    uv = shutil.which("uv")
    assert uv is not None, "uv is not on the PATH"
    shutil.copy2(Path(uv).resolve(), folder / "uv")
    shutil.copy2("/etc/ssl/certs/ca-certificates.crt", folder / "ca.crt")
    text = DOCKERFILE
    for python in PYTHONS:
        name = f"build-{python}"
        words = ["uv", "pip", "install", "--quiet", "--only-binary=:all:", f"--python-version={python}"]
        words += ["--python-platform=x86_64-manylinux_2_31", f"--target={folder / name}", "build"]
        subprocess.run(words, check=True)
        text += f"COPY {name} /opt/_internal/cpython-{python}/lib/python{python}/dist-packages\n"
    text += "RUN find / -xdev -name '*.pyc' -delete\n"
    (folder / "Dockerfile").write_text(text)
    subprocess.run(["docker", "build", "--quiet", "--tag", IMAGE, str(folder)], check=True, stdout=subprocess.DEVNULL)


def make_tools(top: Path) -> Path:
    tools = top / "tools"
    for name, requirement in {"hwb": str(run.CHECKOUT), "peer": PEER}.items():
        subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(tools / name)], check=True)
        words = ["uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", str(tools / name / "bin/python")]
        subprocess.run([*words, requirement], check=True)
    return tools


def main(arguments: list[str]) -> int:
    options = parse(arguments, __doc__ or "", [row.name for row in ROWS], runs=5)
    missed, every = 0, {}
    with tempfile.TemporaryDirectory(prefix="hwb-bench-") as folder:
        top = Path(folder)
        make_image(top)
        tools, downloads = make_tools(top), top / "downloads"
        downloads.mkdir()
        lines = []
        for row in (row for row in ROWS if row.name in options.rows):
            bench = Bench(row, top, tools, downloads)
            bench.ours("first")  # fills the package cache
            for _ in range(2):  # the second time byte code is kept, which the first time was needed
                bench.ours("changed")
            samples: dict[str, list[Sample]] = {kind: [] for kind in ("peer", *KINDS)}
            for _ in range(options.runs):
                samples["peer"].append(bench.peer())
                for kind in KINDS:
                    samples[kind].append(bench.ours(kind))
            cells, row_missed = told(row, samples)
            lines += cells
            missed += row_missed
            every[row.name] = {kind: [[s.cpu, s.wall, *s.parts] for s in found] for kind, found in samples.items()}
    print(table(["work", "peer CPU", "hwb CPU", "ratio", "must", "wall", "peer wall", "met"], lines))
    if options.json:
        options.json.write_text(json.dumps(every, indent=1))
    return 1 if missed else 0


def told(row: Row, samples: dict[str, list[Sample]]) -> tuple[list[list[str]], int]:
    """Lines of the table, and how many miss their bound."""
    peer = statistics.median(sample.cpu for sample in samples["peer"])
    peer_wall = statistics.median(sample.wall for sample in samples["peer"])
    lines, missed = [], 0
    for kind in KINDS:
        cpu = statistics.median(sample.cpu for sample in samples[kind])
        wall = statistics.median(sample.wall for sample in samples[kind])
        met = cpu / peer <= row.must[kind]
        missed += not met
        cells = [f"{row.name}, {kind}", f"{peer:.2f} s", f"{cpu:.2f} s", f"{cpu / peer:.3f}", f"≤ {row.must[kind]:g}"]
        lines.append([*cells, f"{wall:.2f} s", f"{peer_wall:.2f} s", "yes" if met else "**no**"])
    return lines, missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
