"""Is a wheel repaired once where nothing changes, and anew when anything about it does?"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hwb.artifacts import Artifact
from hwb.delivering import repaired_once
from hwb.repair import RepairOptions

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "cache"))
    told: list[str] = []
    return SimpleNamespace(
        _spec=SimpleNamespace(run_dir=str(tmp_path / "run")),
        log=lambda text, *words: told.append(text % words),
        told=told,
    )


def test_the_same_bytes_are_repaired_once(session: Any, tmp_path: Path) -> None:
    built, fixed = tmp_path / "x-1-cp312-cp312-linux_x86_64.whl", tmp_path / "x-1-cp312-cp312-manylinux_2_28_x86_64.whl"
    built.write_bytes(b"built")
    fixed.write_bytes(b"repaired")
    wheel, done = Artifact.of_file(built, "matrix", "m"), []

    def repair(room: str = "image|{}", one: Artifact = wheel, **options: Any) -> bytes:
        work = lambda: done.append(room) or str(fixed)  # noqa: E731
        path = repaired_once(session, one, room, RepairOptions(**options), work)
        assert path.endswith("-manylinux_2_28_x86_64.whl")
        with open(path, "rb") as handle:
            return handle.read()

    assert [repair(), repair()] == [b"repaired", b"repaired"]
    assert len(done) == 1
    assert session.told == [f"{wheel.name} was repaired before; taken from the store"]
    repair("another image")
    repair(policy="manylinux_2_28")
    repair(one=replace(wheel, sha256="0" * 64))
    assert len(done) == 4
    for kept in (tmp_path / "cache" / "files").rglob("*"):
        if kept.is_file():
            kept.write_bytes(b"damaged")
    assert repair() == b"repaired"
    assert len(done) == 5
