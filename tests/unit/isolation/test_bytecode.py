"""Is byte code for containers made once, for what is wanted, and does a failure only cost time?"""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hwb.errors import ContainerError
from hwb.isolation import bytecode
from hwb.isolation.bytecode import bytecode_of
from hwb.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = SimpleNamespace(id="sha256:1", environ={"PATH": "/bin"})


class Containers:
    """Stand-ins that write what an interpreter would."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.fails = False

    @contextmanager
    def __call__(self, engine: Any, image: str, options: Any) -> Iterator[Containers]:
        assert options.network == "none"
        (self.writable,) = [Path(mount.source) for mount in options.mounts if mount.writable]
        yield self

    def run(self, argv: list[str], *, env: dict[str, str], **_options: Any) -> None:
        if self.fails:
            raise ContainerError("the engine has gone")
        assert env == {"PATH": "/bin", "PYTHONPYCACHEPREFIX": "/hwb/bytecode"}
        self.asked.append(json.loads(argv[-1]))
        (self.writable / "x.pyc").write_text("code")


@pytest.fixture
def containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Containers:
    found = Containers()
    monkeypatch.setattr("hwb.isolation.container.Container", found)
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "cache"))
    return found


@pytest.fixture
def python() -> str:
    venv = open_store().env_path("key")
    (venv / "bin").mkdir(parents=True)
    return str(venv / "bin" / "python")


def test_it_is_made_once_and_again_when_more_is_wanted(containers: Containers, python: str) -> None:
    kept = bytecode_of(None, IMAGE, python, ["a", "b"])  # type: ignore[arg-type]
    assert Path(kept) == Path(python).parents[1] / "__pycache__"
    assert (Path(kept) / "x.pyc").read_text() == "code"
    assert bytecode_of(None, IMAGE, python, ["b"]) == kept  # type: ignore[arg-type]
    assert bytecode_of(None, IMAGE, python, ["b", "c"]) == kept  # type: ignore[arg-type]
    assert containers.asked == [["a", "b"], ["a", "b", "c"]]
    assert list(open_store().root.glob("tmp/bytecode-*")) == []


def test_nothing_is_made_before_anybody_knows_what(containers: Containers, python: str) -> None:
    assert bytecode_of(None, IMAGE, python, []) == ""  # type: ignore[arg-type]
    assert containers.asked == []


def test_without_it_everything_is_only_slower(containers: Containers, python: str) -> None:
    containers.fails = True
    assert bytecode_of(None, IMAGE, python, ["a"]) == ""  # type: ignore[arg-type]
    assert not (Path(python).parents[1] / "__pycache__").exists()


@pytest.mark.parametrize("text", ["", "{}", "[1]", "nonsense"])
def test_a_damaged_record_is_made_anew(containers: Containers, python: str, text: str) -> None:
    kept = Path(bytecode_of(None, IMAGE, python, ["a"]))  # type: ignore[arg-type]
    (kept / "names.json").write_text(text)
    assert bytecode._compiled(str(kept)) == []
    bytecode_of(None, IMAGE, python, ["a"])  # type: ignore[arg-type]
    assert containers.asked == [["a"], ["a"]]
