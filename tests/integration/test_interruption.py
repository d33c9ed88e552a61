"""Signals and kill -9 at every stage: no process survives, finalisers run, the report can be read."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals; Windows has a Job Object")

SIGNALS = {"INT": 130, "TERM": 143, "HUP": 129, "KILL": -9}

TREE = """
import os, sys, time
def mark(name): open(os.path.join(sys.argv[1], f'{name}-{os.getpid()}'), 'w').close()
if os.fork() == 0:                      # a child in the group
    mark('child'); time.sleep(600)
if os.fork() == 0:                      # its own session
    os.setsid(); mark('setsid'); time.sleep(600)
if os.fork() == 0:                      # double-forked daemon
    os.setsid()
    if os.fork() == 0:
        mark('daemon'); time.sleep(600)
    os._exit(0)
mark('leader'); time.sleep(600)
"""
"""A process tree that leaves one file per process, named after its pid."""


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as handle:
            return handle.read().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def wait_for(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


class Tree:
    """The pids that a tree wrote down."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def pids(self) -> list[int]:
        return [int(path.name.rpartition("-")[2]) for path in self.folder.iterdir()]

    def complete(self) -> bool:
        return len(self.pids()) >= 4

    def survivors(self) -> list[int]:
        return [pid for pid in self.pids() if alive(pid)]


def interrupt(project: Any, tree: Tree, how: str, *args: str, **env: str) -> subprocess.Popen[bytes]:
    """Start hwb, wait until the tree stands, signal, and wait for the end."""
    process = subprocess.Popen(
        project.command("run", *args),
        cwd=project.root,
        env={**project.env, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        wait_for(lambda: tree.complete() or process.poll() is not None)
        assert process.poll() is None, process.stdout.read().decode()  # type: ignore[union-attr]
        process.send_signal(getattr(signal, f"SIG{how}"))
        process.wait(60)
    finally:
        if process.poll() is None:
            process.kill()
        process.stdout.close()  # type: ignore[union-attr]
    return process


def check(project: Any, tree: Tree, process: subprocess.Popen[bytes], how: str) -> dict[str, Any]:
    assert process.returncode == SIGNALS[how]
    wait_for(lambda: not tree.survivors(), 10)
    if how == "KILL":
        wait_for(lambda: json.loads((project.runs()[-1] / "report.json").read_text())["status"] == "killed", 10)
    report = project.report()
    assert report["status"] == ("killed" if how == "KILL" else "interrupted")
    assert report["sessions"][-1]["status"] == "aborted"
    for line in (project.runs()[-1] / "events.jsonl").read_text().splitlines():
        json.loads(line)
    return report  # type: ignore[no-any-return]


HWBFILE = """
import hwb, sys, time
from pathlib import Path

TREE = {tree!r}

@hwb.recipe(venv_backend='none')
def command(session):
    try:
        session.run(sys.executable, TREE, {folder!r})
    finally:
        session.run(sys.executable, '-c', "open('finalised', 'w').close()")

@hwb.recipe(venv_backend='none', process=True)
def child(session):
    try:
        session.run(sys.executable, TREE, {folder!r})
    finally:
        session.run(sys.executable, '-c', "open('finalised', 'w').close()")

@hwb.recipe(venv_backend='none', requires=['command'])
def after(session):
    Path('must-not-run').touch()
"""


@pytest.fixture
def tree(project: Any, tmp_path: Path) -> Tree:
    script = project.write(TREE, "tree.py")
    tree = Tree(tmp_path / "pids")
    project.write(HWBFILE.format(tree=str(script), folder=str(tree.folder)))
    return tree


@pytest.mark.parametrize("how", SIGNALS)
def test_in_a_users_command(project: Any, tree: Tree, how: str) -> None:
    process = interrupt(project, tree, how, "after")
    check(project, tree, process, how)

    assert (project.root / "finalised").exists() == (how != "KILL")
    assert not (project.root / "must-not-run").exists()


@pytest.mark.parametrize("how", SIGNALS)
def test_in_a_session_with_a_process_of_its_own(project: Any, tree: Tree, how: str) -> None:
    process = interrupt(project, tree, how, "child")
    check(project, tree, process, how)

    assert (project.root / "finalised").exists() == (how != "KILL")


def test_a_run_inside_a_run(project: Any, tree: Tree) -> None:
    """Killing the outer hwb ends the inner one's children, which carry the inner mark."""
    inner = project.root / "outer.py"
    inner.write_text(
        "import hwb, sys\n@hwb.recipe(venv_backend='none')\ndef outer(session):\n"
        "    session.run(sys.executable, '-m', 'hwb', 'run', 'command')\n"
    )
    process = subprocess.Popen(
        project.command("-f", "outer.py", "run", "outer"), cwd=project.root, env=project.env, stdout=subprocess.DEVNULL
    )
    wait_for(tree.complete)
    process.kill()
    process.wait()

    wait_for(lambda: not tree.survivors(), 10)


def test_a_killed_run_leaves_no_environment(project: Any, tree: Tree) -> None:
    project.write(
        "import hwb, sys\n@hwb.recipe\ndef r(session):\n"
        f"    session.run(sys.executable, {str(project.root / 'tree.py')!r}, {str(tree.folder)!r}, external=True)\n"
    )
    process = interrupt(project, tree, "KILL", "r")
    check(project, tree, process, "KILL")

    wait_for(lambda: not (project.runs()[-1] / "envs").exists(), 10)


def test_background_processes_end_with_their_session(project: Any, tree: Tree) -> None:
    project.write(
        "import hwb, sys, time\nfrom pathlib import Path\n@hwb.recipe(venv_backend='none')\ndef r(session):\n"
        f"    session.run('sh', '-c', '{sys.executable} \"$0\" \"$1\" & sleep 1', {str(project.root / 'tree.py')!r}, {str(tree.folder)!r})\n"
        f"    while len(list(Path({str(tree.folder)!r}).iterdir())) < 4: time.sleep(0.02)\n"
    )
    done = project.hwb("run", "r")

    assert done.code == 0, done.both
    assert tree.survivors() == []


# --- inside what hwb itself does ---------------------------------------------------------------------------------------

BACKEND = """
import os, runpy, sys
def get_requires_for_build_sdist(config_settings=None):
    return []
def build_sdist(sdist_directory, config_settings=None):
    os.execv(sys.executable, [sys.executable, {tree!r}, {folder!r}])
"""


@pytest.mark.parametrize("how", SIGNALS)
def test_in_a_build_hook(project: Any, tree: Tree, how: str) -> None:
    (project.root / ".git").rmdir()
    project.write(
        "[build-system]\nrequires = []\nbuild-backend = 'slow'\nbackend-path = ['backend']\n[project]\nname = 'x'\nversion = '1'\n",
        "pyproject.toml",
    )
    project.write(BACKEND.format(tree=str(project.root / "tree.py"), folder=str(tree.folder)), "backend/slow.py")
    process = interrupt(project, tree, how, "build")
    check(project, tree, process, how)
    dist = project.root / "dist"

    assert not dist.exists() or list(dist.iterdir()) == []


@pytest.mark.parametrize("how", SIGNALS)
@pytest.mark.parametrize("stage", ["compile", "venv", "install"])
def test_while_resolving_making_an_environment_and_installing(project: Any, tree: Tree, how: str, stage: str) -> None:
    """A stand-in for uv that hangs in the stage with a whole tree, and otherwise does what the real one does."""
    fake = project.root / "bin" / "uv"
    project.write(
        f"import hwb\nfrom hwb.isolation import backends\nbackends.find_uv = lambda: {str(fake)!r}\n"
        "from hwb.isolation.venv import shared_environment\nfrom hwb.pythons import running\n"
        "@hwb.recipe(venv_backend='uv')\ndef r(session):\n"
        + (
            "    shared_environment(running(), ['anything'])\n"
            if stage == "compile"
            else "    session.install('anything')\n"
        )
    )
    fake.parent.mkdir()
    fake.write_text(
        f"#!{sys.executable}\nimport os, sys\n"
        f"if {stage!r} in sys.argv: os.execv(sys.executable, [sys.executable, {str(project.root / 'tree.py')!r}, {str(tree.folder)!r}])\n"
        "if 'venv' in sys.argv:\n    import venv; venv.create(sys.argv[-1], symlinks=True)\n"
        "else:\n    print('uv 0.13.8')\n"
    )
    fake.chmod(0o755)
    process = interrupt(project, tree, how, "r")
    check(project, tree, process, how)


@pytest.mark.parametrize("how", SIGNALS)
@pytest.mark.parametrize("where", ["ledger", "index"])
def test_while_writing_the_ledger_and_renaming_into_the_index(project: Any, tree: Tree, how: str, where: str) -> None:
    """The write hangs between its two halves; afterwards what is there can be read and the next run converges."""
    project.write(
        f"""
import hwb, os, sys, zipfile
from pathlib import Path
import hwb.artifacts

real_replace = os.replace

def hang(session):
    session.run(sys.executable, {str(project.root / "tree.py")!r}, {str(tree.folder)!r})

@hwb.recipe(venv_backend='none')
def r(session):
    with zipfile.ZipFile('x-1-py3-none-any.whl', 'w') as wheel:
        member = zipfile.ZipInfo('x-1.dist-info/METADATA')
        wheel.writestr(member, 'Metadata-Version: 2.1\\nName: x\\nVersion: 1\\n')
    if {where!r} == 'ledger':
        original = hwb.artifacts._append_durably
        def slow(path, line):
            with open(path, 'ab') as handle:
                handle.write(line[: len(line) // 2])
            hang(session)
        if Path('hang').exists():
            hwb.artifacts._append_durably = slow
        session.emit('x-1-py3-none-any.whl')
    else:
        wheel = session.emit('x-1-py3-none-any.whl')
        def slow(source, target):
            if Path('hang').exists() and str(target).endswith('.whl'):
                hang(session)
            return real_replace(source, target)
        os.replace = slow
        session.publish(wheel)
"""
    )
    (project.root / "hang").touch()
    process = interrupt(project, tree, how, "r")
    check(project, tree, process, how)
    (project.root / "hang").unlink()
    from hwb.artifacts import Ledger

    ledger = Ledger.read(project.runs()[-1] / "ledger.jsonl")
    assert len(ledger.artifacts()) == (0 if where == "ledger" else 1)
    published = list(project.root.glob(".hwb/index/simple/x/*.whl"))
    assert published == []
    done = project.hwb("run", "r")
    assert done.code == 0, done.both
    if where == "index":
        assert [p.name for p in project.root.glob(".hwb/index/simple/x/*.whl")] == ["x-1-py3-none-any.whl"]
