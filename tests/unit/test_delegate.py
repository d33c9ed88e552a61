"""Does a wheel that cibuildwheel makes arrive, and does nothing of it stay?"""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hwb.context import Context, current, use
from hwb.delegate import delegate_wheel
from hwb.errors import BuildError, ContainerError, HwbError, NothingToRun, OfflineError, ToolNotFound
from hwb.matrix.forms import fields
from hwb.matrix.handing_over import HandedOver
from hwb.target import Target

from .isolation.engines import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="scripts stand for programs")

LINUX, WINDOWS = "cp312-manylinux_x86_64", "cp312-win_amd64"
WHEEL = "x-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"
SCRIPT = """#!{python} -ISE
import json, os, sys
folder = sys.argv[sys.argv.index("--output-dir") + 1]
with open({told!r}, "w") as handle:
    json.dump([sys.argv[1:], dict(os.environ), os.getcwd()], handle)
for name in {wheels!r}:
    open(os.path.join(folder, name), "w").close()
print("it worked")
sys.exit({code})
"""


class Place:
    """A fake cibuildwheel and a fake engine, and what they were told."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.engine = FakeEngine(folder / "engine")
        self.engine.answer("^ps", "")
        self.out = folder / "run" / "built"
        self.sdist = folder / "x-1.0.tar.gz"
        with tarfile.open(self.sdist, "w:gz") as archive:
            member = tarfile.TarInfo("x-1.0/PKG-INFO")
            member.mtime, text = 1_700_000_000, b"Metadata-Version: 2.1\nName: x\nVersion: 1.0\n"
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
        self.behaves()
        monkeypatch.setattr("hwb.isolation.venv.shared_environment", self._environment)
        monkeypatch.setattr("hwb.pythons.find", lambda *, requires_python: f"a Python {requires_python}")
        monkeypatch.setattr("hwb.isolation.engine.find_engine", lambda name: self.engine.engine)

    def _environment(self, interpreter: str, requirements: Sequence[str]) -> Any:
        assert interpreter == "a Python >=3.11"
        assert any(line.startswith("cibuildwheel==") and "--hash=sha256:" in line for line in requirements)
        return SimpleNamespace(python=str(self.folder / "tool" / "python"), bin=str(self.folder / "tool"))

    def behaves(self, wheels: Sequence[str] = (WHEEL,), code: int = 0) -> None:
        path = self.folder / "tool" / "python"
        path.parent.mkdir(exist_ok=True)
        told = str(self.folder / "told.json")
        path.write_text(SCRIPT.format(python=sys.executable, told=told, wheels=list(wheels), code=code))
        path.chmod(0o755)

    def delegate(self, identifier: str = LINUX, **more: Any) -> str:
        variables = {"CIBW_CONTAINER_ENGINE": "docker; create_args: --gpus all; disable_host_mount: true"}
        handed = HandedOver(identifier, variables, ("MINE",), "docker" if "linux" in identifier else "")
        return delegate_wheel(replace(handed, **more), Target.of(identifier), str(self.sdist), str(self.out))

    @property
    def told(self) -> tuple[list[str], dict[str, str], str]:
        argv, environ, cwd = json.loads((self.folder / "told.json").read_text())
        return argv, environ, cwd


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "store"))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.delenv("CIBW_DEBUG_KEEP_CONTAINER", raising=False)
    monkeypatch.setenv("MINE", "mine")
    monkeypatch.setenv("MY_TOKEN", "secret")
    monkeypatch.setenv("CFLAGS", "-O2")
    made = Place(tmp_path, monkeypatch)
    with use(Context(cwd=str(tmp_path), mark={"HWB_RUN": "1.a"})):
        yield made


def test_the_wheel_is_in_the_folder(place: Place) -> None:
    place.out.mkdir(parents=True)
    (place.out / "old.whl").write_text("of a session that was killed")
    assert place.delegate() == str(place.out / WHEEL)
    assert os.listdir(place.out) == [WHEEL]
    argv, environ, cwd = place.told
    assert argv == ["-m", "cibuildwheel", "--only", LINUX, "--output-dir", str(place.out), str(place.sdist)]
    assert environ["PATH"].startswith(str(place.folder / "tool"))
    assert environ["SOURCE_DATE_EPOCH"] == "1700000000"
    assert environ["MINE"] == "mine"
    assert "MY_TOKEN" not in environ
    assert "CFLAGS" not in environ  # of this machine's compiler, not of the image's
    assert environ["TMPDIR"] == cwd
    assert not os.path.exists(cwd)


def test_builds_on_this_machine_see_what_hwbs_own_see(place: Place) -> None:
    place.behaves(["x-1.0-cp312-cp312-win_amd64.whl"])
    place.delegate(WINDOWS)
    assert place.told[1]["CFLAGS"] == "-O2"
    assert place.engine.calls == []


def test_the_time_of_the_run_goes_first(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "42")
    with use(current().but(outer_env=dict(os.environ))):
        place.delegate()
    assert place.told[1]["SOURCE_DATE_EPOCH"] == "42"


def test_the_container_is_known_by_labels_and_goes_with_its_run(place: Place) -> None:
    place.engine.answer("^ps .*hwb.delegated", "abc\n")
    place.delegate()
    parts = fields(place.told[1]["CIBW_CONTAINER_ENGINE"], "name")
    assert (parts["name"], parts["disable_host_mount"]) == (["docker"], ["true"])
    words = parts["create_args"]
    assert words[:2] == ["--gpus", "all"]
    assert {"--rm", "--env=HWB_RUN=1.a"} <= set(words)
    (label,) = (word.partition("=")[2] for word in words if word.startswith("--label=hwb.delegated="))
    assert any(word.startswith(f"--label=hwb.owner={os.getpid()}-") for word in words)
    assert ["ps", "--all", "--quiet", "--filter", f"label={label}"] in place.engine.of("ps")
    assert place.engine.of("rm") == [["rm", "--force", "--volumes", "abc"]]


def test_a_container_that_somebody_wants_to_see_stays(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIBW_DEBUG_KEEP_CONTAINER", "true")
    with use(current().but(outer_env=dict(os.environ))):
        place.delegate()
    assert "label" not in place.told[1]["CIBW_CONTAINER_ENGINE"]
    assert place.engine.of("rm") == []


def test_a_container_that_cannot_be_removed_is_told(place: Place) -> None:
    place.engine.answer("^ps .*hwb.delegated", code=1, err="no answer")
    told: list[str] = []
    with use(current().but(emit=lambda kind, **values: told.append(values.get("text", "")))):
        place.delegate()
    assert any("a container may be left" in text for text in told)


@pytest.mark.parametrize(("code", "kind"), [(3, NothingToRun), (7, ToolNotFound), (10, BuildError)])
def test_exit_codes(code: int, kind: type[HwbError], place: Place) -> None:
    place.behaves(code=code)
    with pytest.raises(kind, match=LINUX):
        place.delegate()


@pytest.mark.parametrize(
    ("wheels", "what"),
    [
        ([], "left 0 wheels"),
        ([WHEEL, "y-1.0-py3-none-any.whl"], "left 2 wheels"),
        (["x-1.0-cp313-cp313-manylinux_2_28_x86_64.whl"], f"is no wheel for {LINUX}"),
    ],
)
def test_what_it_leaves_is_looked_at(wheels: list[str], what: str, place: Place) -> None:
    place.behaves(wheels)
    with pytest.raises(BuildError, match=what):
        place.delegate()


def test_without_a_network_it_is_not_started(place: Place) -> None:
    with use(current().but(offline=True)), pytest.raises(OfflineError, match="must not be used"):
        place.delegate()
    assert not (place.folder / "told.json").exists()


def test_an_engine_that_does_not_answer(place: Place) -> None:
    place.engine.answer("^ps", code=1, err="it is broken")
    with pytest.raises(ContainerError):
        place.delegate()
