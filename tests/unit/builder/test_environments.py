"""Which environment does a build ask for: by the index, by a lock, by a workspace's own wheels, or none at all?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

import hwb.isolation.shared
from hwb import pythons
from hwb.builder.environments import Environments
from hwb.builder.options import BuildOptions

if TYPE_CHECKING:
    from pathlib import Path


def make(**options: Any) -> Environments:
    return Environments(BuildOptions((pythons.running(),), **options))


def test_what_was_used_is_remembered(environments: Any) -> None:
    environments.means["a"] = "a==1"
    mine, running = make(), pythons.running()
    mine.get(running, ["a"])
    mine.get(running, ["a", "b"])
    mine.get(running, ["a"])
    assert [(e.requires, e.pins) for e in mine.used] == [(("a",), ("a==1",)), (("a", "b"), ("a==1", "b"))]
    assert environments.asked == [("a",), ("a", "b"), ("a",)]


def test_constraints_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def pins_of(_interpreter: object, requires: Any, constraints: Any) -> list[str]:
        asked.append((tuple(requires), tuple(constraints)))
        return []

    monkeypatch.setattr(hwb.isolation.shared, "pins_of", pins_of)
    make(constraints=("a<2",)).pins(pythons.running(), ["a"])
    assert asked == [(("a",), ("a<2",))]


def test_what_requirements_mean_now() -> None:
    mine = make()
    assert mine.now(pythons.running().identity, ["a"]) == ["a"]
    assert mine.now("an interpreter that is gone", ["a"]) == []


def test_until_the_first_of_the_pins_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    until = {("a",): 10.0, ("b",): 5.0}
    monkeypatch.setattr(hwb.isolation.shared, "pins_until", lambda _python, requires, _constraints: until[requires])
    mine = make()
    assert mine.until() == float("inf")
    mine.get(pythons.running(), ["a"])
    assert mine.until() == 10.0
    mine.get(pythons.running(), ["b"])
    assert mine.until() == 5.0


@pytest.mark.parametrize(
    ("requirement", "becomes"),
    [
        ("my-lib", "my-lib @ {uri}"),
        ("My_Lib>=1 ; python_version > '3'", 'My_Lib @ {uri} ; python_version > "3"'),
        ("my.lib[b,a]", "my.lib[a,b] @ {uri}"),
        ("my-lib @ https://example.org/x.whl", "my-lib @ https://example.org/x.whl"),
        ("other", "other"),
    ],
)
def test_wheels_of_a_workspace_stand_for_requirements(
    tmp_path: Path, environments: Any, requirement: str, becomes: str
) -> None:
    wheel = tmp_path / "my_lib-1-py3-none-any.whl"
    wheel.write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    make(local={"my-lib": str(wheel)}).get(pythons.running(), [requirement])
    assert environments.asked[0][0] == becomes.format(uri=f"{wheel.as_uri()}#sha256={digest}")


def test_not_isolated_is_said(environments: Any, events: list[dict[str, Any]]) -> None:
    mine = make(isolated=False)
    found = mine.get(pythons.running(), ["a"])
    assert (found.python, found.backend) == (pythons.running().path, "none")
    assert events[-1]["level"] == "warning"
    assert pythons.running().path in events[-1]["text"]
    assert (environments.asked, mine.used) == ([], ())
    assert sys.executable != ""
