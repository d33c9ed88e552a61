"""Whatever goes wrong at whatever moment: is there no partial file, no lost one, and nothing left behind?"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and mounts")

PROJECTS = Path(__file__).parents[1] / "projects"
SDIST, WHEEL = "waiting-1.0.tar.gz", "waiting-1.0-py3-none-any.whl"
SIGNALS = {"INT": 130, "TERM": 143, "HUP": 129, "KILL": -9}


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as handle:
            return handle.read().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def marked(build: int) -> list[int]:
    """Processes that carry the mark of a build."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/environ", "rb") as handle:
                if f"HWB_RUN=build-{build}.".encode() in handle.read() and alive(int(name)):
                    found.append(int(name))
        except (OSError, ValueError):
            pass
    return found


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


class Scene:
    """A project whose backend waits where it is told to, a store of its own, and a place for files."""

    def __init__(self, project: Any, tmp_path: Path) -> None:
        self.root: Path = project.root
        shutil.rmtree(self.root)
        shutil.copytree(PROJECTS / "waiting", self.root)
        self.project = project
        self.store = tmp_path / "store"
        self.out = tmp_path / "out"
        self.signals = tmp_path / "signals"
        self.signals.mkdir()
        project.env["HWB_CACHE_DIR"] = str(self.store)
        project.env["WAIT_DIR"] = str(self.signals)
        self.words = ["build", "-o", str(self.out)]

    def hwb(self, *words: str, **env: str) -> Any:
        return self.project.hwb(*self.words, *words, **env)

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.project.command(*self.words, *words),
            cwd=self.root,
            env={**self.project.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def until(self, moment: str, *words: str, **env: str) -> subprocess.Popen[str]:
        """A build that stands still at that moment."""
        process = self.start(*words, WAIT_AT=moment, **env)
        wait_for(lambda: (self.signals / moment).exists() or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        return process

    def files(self) -> dict[str, bytes]:
        if not self.out.exists():
            return {}
        return {path.name: path.read_bytes() for path in self.out.iterdir() if path.is_file()}

    def leftovers(self) -> list[str]:
        """Temporary files and build directories in the output directory and in the store."""
        parts = [path for folder in (self.out, self.store) if folder.exists() for path in folder.rglob("*.part")]
        builds = list((self.store / "build").iterdir()) if (self.store / "build").exists() else []
        work = list((self.store / "tmp").iterdir()) if (self.store / "tmp").exists() else []
        return [str(path) for path in (*parts, *builds, *work)]


@pytest.fixture
def scene(project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    text = (PROJECTS / "waiting" / "pyproject.toml").read_text()
    assert "env-pass" in text
    made = Scene(project, tmp_path)
    yield made
    (made.signals / "go").touch()  # whoever still stands still goes on to its end


def end(process: subprocess.Popen[str], how: str) -> tuple[str, str]:
    process.send_signal(getattr(signal, f"SIG{how}"))
    said = process.communicate(timeout=60)
    assert process.returncode == SIGNALS[how], said
    return said


MOMENTS = ["requires-sdist", "sdist", "requires-wheel", "wheel"]


@pytest.mark.parametrize("zygote", ["1", "0"])
@pytest.mark.parametrize("how", SIGNALS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_build_that_is_ended_during_a_hook(scene: Scene, how: str, moment: str, zygote: str) -> None:
    process = scene.until(moment, HWB_BUILD_ZYGOTE=zygote)
    hook = int((scene.signals / moment).read_text())
    assert alive(hook)
    said = end(process, how)
    if how != "KILL":
        assert "called off" in said[1]
        assert scene.leftovers() == []
    wait_for(lambda: not alive(hook) and not marked(process.pid), 5)
    assert scene.files() == {}
    done = scene.hwb()
    assert done.code == 0, done.both
    assert sorted(scene.files()) == [WHEEL, SDIST]
    assert scene.leftovers() == []


def test_temporary_files_of_a_killed_build_are_removed_by_the_next(scene: Scene) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    scene.out.mkdir()
    of_dead = [scene.out / f".{name}.{dead.pid}.abc.part" for name in (SDIST, WHEEL)]
    of_living = scene.out / f".{SDIST}.{os.getpid()}.abc.part"
    foreign = scene.out / "download.part"
    for path in (*of_dead, of_living, foreign):
        path.write_text("half")
    assert scene.hwb().code == 0
    assert [path.name for path in of_dead if path.exists()] == []
    assert of_living.exists(), "somebody writes it this very moment"
    assert foreign.exists(), "it is none of ours"


@pytest.mark.parametrize("how", ["TERM", "KILL"])
@pytest.mark.parametrize("where", ["validate", "keep", "hand-over", "manifest"])
def test_a_build_that_is_ended_between_hooks(scene: Scene, how: str, where: str) -> None:
    """hwb itself stands still in a function that a sitecustomize replaced."""
    first = scene.hwb()
    assert first.code == 0, first.both
    before = scene.files()
    (scene.root / "waiting.py").write_text("CHANGED = 1\n")
    custom = scene.signals / "custom"
    custom.mkdir()
    (custom / "sitecustomize.py").write_text((PROJECTS / "waiting" / "standstill.py.txt").read_text())
    path = os.pathsep.join([str(custom), scene.project.env["PYTHONPATH"]])
    process = scene.start(STANDSTILL=where, PYTHONPATH=path)
    wait_for(lambda: (scene.signals / where).exists() or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    during = scene.files()
    process.send_signal(getattr(signal, f"SIG{how}"))
    if how == "TERM":
        (scene.signals / "go").touch()
    process.communicate(timeout=60)
    wait_for(lambda: not marked(process.pid), 5)
    for files in (during, scene.files()):
        assert set(files) <= {SDIST, WHEEL, f".{SDIST}", f".{WHEEL}"} | {
            name for name in files if name.endswith(".part")
        }
        for name in (SDIST, WHEEL):
            assert name in files, "no earlier file is lost"
            assert files[name] == before[name] or whole(files[name], name)
    done = scene.hwb()
    assert done.code == 0, done.both
    assert sorted(scene.files()) == [WHEEL, SDIST]
    assert scene.files() != before
    assert scene.leftovers() == []


def whole(data: bytes, name: str) -> bool:
    import io
    import tarfile
    import zipfile

    if name.endswith(".whl"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.testzip() is None
    with tarfile.open(fileobj=io.BytesIO(data)) as packed:
        return len(packed.getnames()) > 1


@pytest.mark.slow
def test_kill_at_any_moment(scene: Scene) -> None:
    assert scene.hwb().code == 0
    delay = 0.0
    for number in range(25):
        (scene.root / "waiting.py").write_text(f"NUMBER = {number}\n")
        process = scene.start()
        time.sleep(delay)
        delay = (delay + 0.037) % 0.6
        process.kill()
        process.communicate(timeout=30)
        files = scene.files()
        assert all(whole(files[name], name) for name in (SDIST, WHEEL)), number
        assert {name for name in files if not name.endswith(".part")} == {SDIST, WHEEL}
    wait_for(lambda: not marked(process.pid), 5)
    assert scene.hwb().code == 0
    assert scene.leftovers() == []


def test_a_background_process_of_a_backend_does_not_outlive_the_build(scene: Scene) -> None:
    done = scene.hwb(WAIT_AT="daemon")
    assert done.code == 0, done.both
    pid = int((scene.signals / "daemon").read_text())
    try:
        wait_for(lambda: not alive(pid), 5)
    finally:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


# --- two at once -----------------------------------------------------------------------------------------------------


def test_two_builds_of_one_project(scene: Scene) -> None:
    first = scene.until("sdist")
    second = scene.start("-v")
    lines = iter(second.stderr or ())
    assert "waiting for another build of this project\n" in iter(lines)
    (scene.signals / "go").touch()
    assert first.wait(60) == 0, first.communicate()
    assert second.wait(60) == 0
    for process in (first, second):
        process.communicate()
    assert sorted(scene.files()) == [WHEEL, SDIST]
    assert scene.leftovers() == []


def test_two_projects_into_one_directory(scene: Scene, tmp_path: Path) -> None:
    other = Path(shutil.copytree(scene.root, tmp_path / "other"))
    text = (other / "backend" / "waiting_backend.py").read_text()
    (other / "backend" / "waiting_backend.py").write_text(text.replace('NAME = "waiting"', 'NAME = "other"'))
    (other / "waiting.py").rename(other / "other.py")
    process = subprocess.Popen(scene.project.command(*scene.words), cwd=other, env=scene.project.env)
    mine = [scene.start("--no-cache") for _ in range(2)]
    for one in mine:
        out, err = one.communicate(timeout=100)
        assert one.returncode == 0, out + err
    assert process.wait(60) == 0
    names = ["other-1.0-py3-none-any.whl", "other-1.0.tar.gz", WHEEL, SDIST]
    assert sorted(scene.files()) == names
    data = json.loads((scene.out / ".hwb" / "manifest.json").read_text())
    assert [row["name"] for row in data["artifacts"]] == names
    subprocess.run(["sha256sum", "--check", "--quiet", ".hwb/SHA256SUMS"], cwd=scene.out, check=True)


# --- disks -----------------------------------------------------------------------------------------------------------


@contextmanager
def mounted(place: Path, *words: str) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    place.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", *words, str(place)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine does not let mount: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    place.mkdir(parents=True, exist_ok=True)
    with mounted(place, "--bind", str(place)):
        done = subprocess.run(
            ["mount", "-o", "remount,bind,ro", str(place)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"this machine does not let remount: {done.stderr.strip()}")
        yield


def test_a_read_only_output_directory(scene: Scene) -> None:
    assert scene.hwb().code == 0
    before = scene.files()
    (scene.root / "waiting.py").write_text("CHANGED = 1\n")
    with read_only(scene.out):
        done = scene.hwb()
    assert done.code == 1
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err
    assert str(scene.out) in done.err
    assert scene.files() == before
    assert scene.leftovers() == []


@pytest.mark.parametrize("free", [0, 2])
def test_a_full_output_directory(scene: Scene, free: int) -> None:
    """`free` KiB are enough for nothing, or for the sdist alone."""
    (scene.root / "waiting.py").write_text(f"DATA = {os.urandom(20_000).hex()!r}\n")
    with mounted(scene.out, "-t", "tmpfs", "-o", "size=1m", "tmpfs"):
        with open(scene.out / "filler", "wb") as filler:
            filler.write(bytes((1 << 20) - (free << 10)))
        done = scene.hwb()
        assert done.code == 1, done.both
        assert "No space left on device" in done.err
        assert "Traceback" not in done.err
        assert set(scene.files()) == {"filler"}
        (scene.out / "filler").unlink()
        done = scene.hwb()
        assert done.code == 0, done.both
        assert sorted(scene.files()) == [WHEEL, SDIST]


def test_a_full_store(scene: Scene) -> None:
    (scene.root / "waiting.py").write_text(f"DATA = {os.urandom(20_000).hex()!r}\n")
    assert scene.hwb("--python", sys.executable).code == 0
    shutil.rmtree(scene.out)
    with mounted(scene.store / "build", "-t", "tmpfs", "-o", "size=64k", "tmpfs"):
        done = scene.hwb("--no-cache")
    assert done.code == 1, done.both
    assert "No space left on device" in done.err
    assert "free some disk space" in done.err
    assert "Traceback (most recent call last)\n" not in done.err.replace("  | ", "") or "waiting_backend" in done.err
    assert scene.files() == {}


def test_a_read_only_source(scene: Scene) -> None:
    with read_only(scene.root):
        done = scene.hwb()
    assert done.code == 0, done.both
    assert sorted(scene.files()) == [WHEEL, SDIST]


def test_a_read_only_source_has_no_place_for_dist(scene: Scene) -> None:
    scene.words = ["build"]
    with read_only(scene.root):
        done = scene.hwb()
    assert done.code == 1
    assert "Traceback" not in done.err
    assert "dist" in done.err


def test_a_read_only_store(scene: Scene) -> None:
    with read_only(scene.store):
        done = scene.hwb()
    assert done.code == 0, done.both
    assert f"the store {scene.store} cannot be written" in done.err
    assert sorted(scene.files()) == [WHEEL, SDIST]


# --- a damaged store -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["truncated", "other bytes", "empty"])
def test_a_damaged_file_of_the_store_is_never_handed_out(scene: Scene, how: str) -> None:
    assert scene.hwb().code == 0
    before = scene.files()
    shutil.rmtree(scene.out)
    for path in [path for path in (scene.store / "files").rglob("*") if path.is_file()]:
        data = path.read_bytes()
        path.write_bytes({"truncated": data[:-10], "other bytes": b"x" * len(data), "empty": b""}[how])
    done = scene.hwb()
    assert done.code == 0, done.both
    assert scene.files() == before
    assert "built: the store's copy of the last result is damaged" in done.out
    shutil.rmtree(scene.out)
    assert "taken from the store" in scene.hwb().out
    assert scene.files() == before


@pytest.mark.parametrize("text", ["", "garbage", "[]", "{}", "null", "[1]", '{"a": []}', '"x"', "7"])
def test_damaged_records_do_no_harm(scene: Scene, text: str) -> None:
    assert scene.hwb().code == 0
    before = scene.files()
    shutil.rmtree(scene.out)
    damaged = set()
    for path in scene.store.rglob("*.json"):
        if path.name != "hwb-env.json":
            damaged.add(path.parent.name)
            path.write_text(text)
    assert {"results", "again", "last"} <= damaged
    done = scene.hwb()
    assert done.code == 0, done.both
    assert scene.files() == before


def test_garbage_in_every_file_of_the_store(scene: Scene) -> None:
    assert scene.hwb().code == 0
    before = scene.files()
    shutil.rmtree(scene.out)
    for path in scene.store.rglob("*"):
        if path.is_file() and "envs" not in path.parts and "locks" not in path.parts:
            path.write_bytes(b"\xff\x00garbage")
    done = scene.hwb()
    assert done.code == 0, done.both
    assert scene.files() == before


def test_a_backend_that_writes_into_its_environment(scene: Scene) -> None:
    done = scene.hwb(WAIT_AT="spoil")
    assert done.code == 0, done.both
    spoilt = (scene.signals / "spoil").read_text()
    assert os.path.exists(spoilt), "as it was left"
    done = scene.hwb("--no-cache", WAIT_AT="")
    assert done.code == 0, done.both
    assert not os.path.exists(spoilt), "the environment was made anew"


# --- places and settings of people -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["with space", "m\u00fcn\u00dfter \u65e5\u672c", "quote'\"$(x)", "-dash", "%41"])
def test_names_of_directories(scene: Scene, tmp_path: Path, name: str) -> None:
    moved = scene.root.rename(tmp_path / name)
    out = tmp_path / f"{name} out"
    done = scene.project.hwb("build", "-o", str(out), cwd=moved)
    assert done.code == 0, done.both
    assert sorted(path.name for path in out.iterdir() if path.is_file()) == [WHEEL, SDIST]


def test_a_store_with_a_difficult_name(scene: Scene, tmp_path: Path) -> None:
    done = scene.hwb(HWB_CACHE_DIR=str(tmp_path / "caf\u00e9 store"))
    assert done.code == 0, done.both


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
def test_locales(scene: Scene, locale: str, tmp_path: Path) -> None:
    (scene.root / "waiting.py").write_text("NAME = '\u00e4'\n", encoding="utf-8")
    moved = scene.root.rename(tmp_path / "\u00fcber")
    done = scene.project.hwb(*scene.words, cwd=moved, LC_ALL=locale, LANG=locale, PYTHONUTF8="")
    assert done.code == 0, done.both


def test_without_home(scene: Scene) -> None:
    del scene.project.env["HOME"]
    scene.project.env.pop("XDG_CONFIG_HOME", None)
    done = scene.hwb()
    assert done.code == 0, done.both
    assert sorted(scene.files()) == [WHEEL, SDIST]


def test_offline(scene: Scene) -> None:
    assert scene.hwb("--offline").code == 0
    text = (scene.root / "pyproject.toml").read_text()
    (scene.root / "pyproject.toml").write_text(
        text.replace("requires = []", 'requires = ["no-such-distribution-at-all"]')
    )
    done = scene.hwb("--offline", "--json")
    assert done.code == 1, done.both
    assert json.loads(done.out)["error_code"] in ("OFFLINE", "DEPENDENCY_FAILED")
    assert sorted(scene.files()) == [WHEEL, SDIST], "those of the first build"


def test_an_output_directory_that_is_a_file(scene: Scene) -> None:
    scene.out.write_text("precious")
    done = scene.hwb()
    assert done.code in (1, 2), done.both
    assert "Traceback" not in done.err
    assert scene.out.read_text() == "precious"


def test_a_file_that_changes_while_it_is_built(scene: Scene) -> None:
    """What was built from the old text must not be taken for a build of the new one."""
    process = scene.until("sdist")
    (scene.root / "waiting.py").write_text("LATER = 1\n")
    (scene.signals / "go").touch()
    assert process.wait(60) == 0
    process.communicate()
    first = scene.files()
    done = scene.hwb()
    assert done.code == 0
    assert "taken from the store" not in done.out
    assert scene.files()[WHEEL] != first[WHEEL]
