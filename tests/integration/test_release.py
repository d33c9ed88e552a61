"""A whole release: of the demo, twice, in processes, copied into a hwbfile, eight at once, read-only, and offline."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from hwb import places
from hwb.artifacts import Ledger

pytestmark = [pytest.mark.pypi, pytest.mark.git]

PROJECTS = Path(__file__).parent.parent / "projects"
RECIPES = ["build", "check", "test", "publish", "verify", "release"]


def git(root: Path, *args: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.test", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *args], cwd=root, check=True, capture_output=True)


def repository(project: Any, name: str) -> None:
    (project.root / ".git").rmdir()
    shutil.copytree(PROJECTS / name, project.root, dirs_exist_ok=True)
    git(project.root, "init", "-q")
    git(project.root, "add", "-A")
    git(project.root, "commit", "-qm", "feat: begin")


def hashes(project: Any) -> dict[str, str]:
    lines = (project.root / "dist" / ".hwb" / "SHA256SUMS").read_text().splitlines()
    return {line.split("  ")[1]: line.split("  ")[0] for line in lines}


def sequence(project: Any) -> list[tuple[str, str, str]]:
    """What happened, without what differs from run to run: times, paths, and the order of parallel sessions."""
    told = [(str(e["session"]), e["event"], json.dumps(detail(e))) for e in project.events()]
    return sorted(told, key=lambda row: row[0])  # stable: within a session the order is what happened


def detail(event: dict[str, Any]) -> Any:
    if event["event"] in ("artifact", "verdict"):
        return [event["name"], event["sha256"], event.get("verdict")]
    if event["event"] == "session-finished":
        return event["status"]
    if event["event"] in ("command-finished", "phase"):
        return [event.get("return_code"), event.get("name"), event.get("state")]
    return None


def test_a_release_of_the_demo(project: Any) -> None:
    done = project.hwb("demo", "demo")
    assert done.code == 0, done.both
    demo = project.root / "demo"
    first = project.hwb("run", "release", cwd=demo)
    assert first.code == 0, first.both
    index = demo / ".hwb" / "index" / "simple" / "hwb-demo"
    names = sorted(p.name for p in index.iterdir())
    assert names == ["hwb_demo-0.1.0-py3-none-any.whl", "hwb_demo-0.1.0.tar.gz", "index.html", "index.json"]
    stamps = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in index.iterdir() if p.suffix != ".html"}
    second = project.hwb("run", "release", cwd=demo)

    assert second.code == 0, second.both
    assert "already there" in second.out
    assert {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in index.glob("hwb_demo*")} == {
        name: value for name, value in stamps.items() if name.startswith("hwb_demo")
    }
    tracked = subprocess.run(["git", "status", "--porcelain"], cwd=demo, capture_output=True, text=True, check=True)
    assert tracked.stdout == ""
    verdicts = Ledger.read(max((demo / ".hwb" / "runs").iterdir()) / "ledger.jsonl").verdicts()
    wheel = {v.verdict for v in verdicts if v.name.endswith(".whl")}
    assert wheel == {"checked", "tested", "published", "verified"}


def test_the_c_twin_names_the_packages_when_there_is_no_compiler(project: Any, tmp_path: Path) -> None:
    assert project.hwb("demo", "twin", "--c-extension").code == 0
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("git", "env", "sh"):
        found = shutil.which(name)
        assert found is not None
        (tools / name).symlink_to(found)
    only = {"HWB_CONTAINER_ENGINE": "none", "CIBW_BUILD": f"cp3{sys.version_info.minor}-*linux_*"}
    done = project.hwb("run", "release", cwd=project.root / "twin", PATH=str(tools), **only)

    assert done.code == 1, done.both
    assert "gcc" in done.out
    assert "python3-dev" in done.out
    if shutil.which("gcc"):
        with_compiler = project.hwb("run", "release", cwd=project.root / "twin", **only)
        assert with_compiler.code == 0, with_compiler.both
        assert f"not made here: cp3{sys.version_info.minor}-musllinux_x86_64" in with_compiler.err


def test_what_hwb_left_in_the_tree_is_no_source(project: Any) -> None:
    """hatchling reads only the ignore file at the root, and takes .hwb for a part of the project."""
    repository(project, "pure-hatchling")
    (project.root / ".gitignore").write_text("dist/\n")
    kept = project.root / ".hwb" / "runs" / "1" / "envs" / "test" / "bin"
    kept.mkdir(parents=True)
    (kept / "python").symlink_to(sys.executable)
    (project.root / ".hwb" / ".gitignore").write_text("*\n")
    done = project.hwb("build", "--no-cache")
    assert done.code == 0, done.both
    (sdist,) = (project.root / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert [name for name in archive.getnames() if ".hwb" in name] == []


def test_other_bytes_under_a_published_name_are_a_conflict(project: Any) -> None:
    repository(project, "pure-hatchling")
    assert project.hwb("run", "release").code == 0
    index = project.root / ".hwb" / "index"
    before = {p: p.read_bytes() for p in index.rglob("*") if p.is_file()}
    module = next((project.root / "src").rglob("__init__.py")) if (project.root / "src").exists() else None
    module = module or next(project.root.rglob("__init__.py"))
    module.write_text(module.read_text() + "\nCHANGED = True\n")
    done = project.hwb("run", "publish")

    assert done.code == 5, done.both
    shown = re.findall(r"\b[0-9a-f]{64}\b", done.out)
    assert len(set(shown)) >= 2
    assert "raise the version" in done.out
    assert {p: p.read_bytes() for p in index.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("name", ["pure-hatchling", "pure-setuptools"])
def test_recipes_have_no_privileges_and_processes_change_nothing(project: Any, name: str) -> None:
    """Each shipped recipe, pasted into a hwbfile, and then in a process of its own, does the very same."""
    repository(project, name)
    git_ignored = project.root / ".git" / "info" / "exclude"
    git_ignored.write_text("hwbfile.py\n")
    for _ in range(2):  # the second time the files are in the index already, as they will be below
        assert project.hwb("run", "release", "-j1").code == 0
    shipped, expected = hashes(project), sequence(project)
    ledger = sorted(map(str, Ledger.read(project.runs()[-1] / "ledger.jsonl").verdicts()))

    sources = [Path(places.recipes_dir(), f"{recipe}.py").read_text() for recipe in RECIPES]
    pasted = "\n\n".join(text.replace("from __future__ import annotations\n", "") for text in sources)
    project.write("from __future__ import annotations\n" + pasted)
    done = project.hwb("run", "release", "-j1")
    assert done.code == 0, done.both
    assert hashes(project) == shipped
    assert sequence(project) == expected

    processes = "".join(
        f"@hwb.recipe(process=True)\ndef {recipe}(session):\n    return session.parent()\n" for recipe in RECIPES
    )
    project.write("import hwb\n" + processes)
    done = project.hwb("run", "release", "-j1")
    assert done.code == 0, done.both
    assert hashes(project) == shipped
    assert sequence(project) == expected
    assert sorted(map(str, Ledger.read(project.runs()[-1] / "ledger.jsonl").verdicts())) == ledger


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pure-hatchling", "pure-setuptools"])
def test_eight_runs_at_once_in_one_tree(project: Any, name: str) -> None:
    repository(project, name)
    running = [
        subprocess.Popen(
            project.command("run", "release"),
            cwd=project.root,
            env=project.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(8)
    ]
    outputs = [process.communicate(timeout=300)[0] for process in running]

    assert [process.returncode for process in running] == [0] * 8, "\n".join(outputs)
    assert len(list((project.root / "dist").glob("*.whl"))) == 1
    assert not list(project.root.rglob("*.part"))


def test_the_projects_own_tests_when_they_are_named(project: Any) -> None:
    repository(project, "pure-hatchling")
    pyproject = project.root / "pyproject.toml"
    command = "python -c 'import sys; print(sys.path[0:0], 40 + 2)'"
    pyproject.write_text(
        pyproject.read_text() + f'\n[tool.hwb.test]\ncommand = "{command}"\nrequires = ["iniconfig"]\n'
    )
    done = project.hwb("run", "test")
    log = (project.runs()[-1] / "logs" / "test.log").read_text()

    assert done.code == 0, done.both
    assert "42" in log
    assert "iniconfig" in log


def test_what_was_run_once_runs_without_a_network(project: Any) -> None:
    repository(project, "pure-setuptools")
    assert project.hwb("run", "release").code == 0
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    for arguments in (["run", "release"], ["run", "release", "--offline"]):
        done = project.hwb(*arguments, **nowhere)
        assert done.code == 0, done.both


def test_offline_says_what_is_missing(project: Any, tmp_path: Path) -> None:
    repository(project, "pure-hatchling")
    done = project.hwb(
        "run", "build", "--offline", HWB_CACHE_DIR=str(tmp_path / "empty"), UV_CACHE_DIR=str(tmp_path / "uv")
    )

    assert done.code == 1, done.both
    assert "hatchling" in done.out
    assert "--offline" in done.out
    assert project.report()["sessions"][0]["error"]["error_code"] == "OFFLINE"


def test_without_uv_virtualenv_and_pip_do_it(project: Any) -> None:
    """uv is hidden from hwb's eyes; also a second time without a network."""
    repository(project, "pure-hatchling")
    hide = project.write("import hwb\nfrom hwb.isolation import backends\nbackends.find_uv = lambda: None\n")
    (project.root / ".git" / "info" / "exclude").write_text("hwbfile.py\n")
    assert hide.exists()
    first = project.hwb("run", "release", "-v")
    assert first.code == 0, first.both
    backends = {e["backend"] for e in project.events() if e["event"] == "environment"}
    assert backends == {"virtualenv"}
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    second = project.hwb("run", "release", **nowhere)
    assert second.code == 0, second.both


@pytest.mark.skipif(not hasattr(os, "unshare"), reason="needs os.unshare to mount something read-only (3.12)")
def test_a_read_only_project(project: Any, tmp_path: Path) -> None:
    """dist/ is writable, all else is not: run files move to the user's state directory."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount, and with the mount program")
    repository(project, "pure-hatchling")
    (project.root / "dist").mkdir()
    code = (
        "import os, subprocess, sys\nos.unshare(os.CLONE_NEWNS)\n"
        "run = lambda *a: subprocess.run(a, check=True)\nrun('mount', '--make-rprivate', '/')\n"
        f"root = {str(project.root)!r}\nrun('mount', '--bind', root, root)\n"
        "run('mount', '--bind', root + '/dist', root + '/dist')\nrun('mount', '-o', 'remount,ro,bind', root)\n"
        "os.chdir(root)\nsys.exit(subprocess.call([sys.executable, '-m', 'hwb', 'run', 'release']))"
    )
    env = {**project.env, "XDG_STATE_HOME": str(tmp_path / "state")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert not (project.root / ".hwb").exists()
    assert list((tmp_path / "state").rglob("report.json"))
    assert len(list((project.root / "dist").glob("*.whl"))) == 1
