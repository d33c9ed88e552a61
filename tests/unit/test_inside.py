"""What does a session in a container install, and where does it think it is?"""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hwb import inside
from hwb.errors import UsageError
from hwb.inside import Inside

if TYPE_CHECKING:
    from pathlib import Path


class Room:
    """Counts what it is asked to run."""

    environ = {"PATH": "/usr/bin"}  # noqa: RUF012

    def __init__(self) -> None:
        self.room = SimpleNamespace(engine="engine", image="image")
        self.ran: list[dict[str, Any]] = []

    def run(self, argv: list[str], **options: Any) -> str:
        self.ran.append({"argv": argv, **options})
        return "done"


how: list[dict[str, str]] = []


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    found: list[list[str]] = []
    how.clear()

    def environment(engine: str, image: str, python: str, requirements: list[str], **more: str) -> SimpleNamespace:
        how.append(more)
        assert (engine, image, python) == ("engine", "image", "python")
        found.append(list(requirements))
        return SimpleNamespace(bin=f"/envs/{len(found)}/bin", path=f"/envs/{len(found)}")

    monkeypatch.setattr("hwb.isolation.provision.container_environment", environment)
    return found


def make(root: Path) -> tuple[Inside, Room]:
    room = Room()
    return Inside(room, "python", str(root)), room  # type: ignore[arg-type]


def test_everything_that_was_installed_is_provisioned_together(tmp_path: Path, asked: list[list[str]]) -> None:
    wheel = tmp_path / "a_b-1-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    session, _ = make(tmp_path)
    session.install([f"{wheel}[x,y]", "pytest>=8"])
    session.install(["six"])
    sha256 = hashlib.sha256(b"wheel").hexdigest()
    own = f"a_b[x,y] @ {wheel.as_uri()}#sha256={sha256}"
    assert asked == [[], [own, "pytest>=8"], [own, "pytest>=8", "six"]]


def test_an_empty_one_for_other_versions(
    tmp_path: Path, asked: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[list[str], str]] = []

    def pins(engine: str, image: str, python: str, requirements: list[str], *, resolution: str) -> list[str]:
        told.append((requirements, resolution))
        return ["six==1"]

    monkeypatch.setattr("hwb.isolation.provision.container_pins", pins)
    session, _ = make(tmp_path)
    session.install(["six"])
    other = session.empty("lowest")
    other.install(["pluggy"])
    assert asked == [[], ["six"], [], ["pluggy"]]
    assert how == [{"resolution": ""}, {"resolution": ""}, {"resolution": "lowest"}, {"resolution": "lowest"}]
    assert other.newest(["six>=1"]) == ["six==1"]
    assert told == [(["six>=1"], "highest")]


def test_an_installers_option_is_refused(tmp_path: Path, asked: list[list[str]]) -> None:
    session, _ = make(tmp_path)
    with pytest.raises(UsageError, match="takes requirements and wheels, not -r"):
        session.install(["-r", "x.txt"])


@pytest.mark.parametrize(
    ("below", "seen"),
    [("", "/src"), ("tests/unit", "/src/tests/unit"), ("../elsewhere", "/tmp"), (".hwb/runs/1/tmp", "/tmp")],
)
def test_directories(tmp_path: Path, asked: list[list[str]], below: str, seen: str) -> None:
    root = tmp_path / "project"
    (root / below).resolve().mkdir(parents=True, exist_ok=True)
    session, room = make(root)
    assert session.run(["python"], {"A": "1"}, str(root / below), check=False) == "done"
    (ran,) = room.ran
    assert ran["cwd"] == seen
    assert ran["env"] == {
        "PATH": "/envs/1/bin:/usr/bin", "VIRTUAL_ENV": "/envs/1", "PYTHONDONTWRITEBYTECODE": "1", "A": "1",
    }  # fmt: skip
    assert ran["check"] is False


def test_names() -> None:
    assert inside.requirement("six") == "six"
    assert inside.requirement("six[x] @ file:///a.tar.gz") == "six[x] @ file:///a.tar.gz"
