"""Is it decided right where a project is built, and what its wheels are called?"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from hwb.builder import where
from hwb.builder.where import chosen, repair_of
from hwb.errors import OfflineError, UsageError
from hwb.isolation.docker import DockerConfig, DockerIsolation

COMPILED, PURE = (SimpleNamespace(has_extension_modules=value) for value in (True, False))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """An engine that answers and has the image, unless a test says otherwise."""
    state: dict[str, Any] = {"answers": True, "image": True, "asked": 0}

    def image(self: DockerIsolation, engine: object) -> object:
        state["asked"] += 1
        if not state["image"]:
            raise OfflineError("the image is not on this machine")
        return object()

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(DockerIsolation, "available", lambda self: state["answers"])
    monkeypatch.setattr(DockerIsolation, "image", image)
    monkeypatch.setattr("hwb.isolation.engine.find_engine", lambda wanted: object())
    return state


@pytest.mark.parametrize("strategy", ["venv", "none"])
def test_what_is_named_is_taken(machine: dict[str, Any], strategy: str) -> None:
    assert not chosen(strategy, COMPILED, DockerConfig())  # type: ignore[arg-type]
    assert chosen("docker", PURE, DockerConfig())  # type: ignore[arg-type]
    assert machine["asked"] == 0


def test_an_unknown_strategy() -> None:
    with pytest.raises(UsageError, match="no isolation 'vm'"):
        chosen("vm", PURE, DockerConfig())  # type: ignore[arg-type]


def test_auto_wants_extension_modules_linux_an_engine_and_an_image(
    machine: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def auto(project: Any = COMPILED) -> bool:
        return chosen("auto", project, DockerConfig())

    assert auto()
    assert not auto(PURE)
    machine["image"] = False
    assert not auto(), "nothing is fetched for a build that did not ask for it"
    machine.update(image=True, answers=False)
    assert not auto()
    machine["answers"] = True
    monkeypatch.setattr(where.sys, "platform", "darwin")
    assert not auto()


@pytest.mark.parametrize(
    ("config", "policy"),
    [
        (DockerConfig(), "manylinux_2_28_x86_64"),
        (DockerConfig(manylinux="2_35"), "manylinux_2_35"),
        (DockerConfig(manylinux="2014"), "manylinux2014"),
        (DockerConfig(manylinux="manylinux_2_34"), "manylinux_2_34"),
        (DockerConfig(musllinux="1_2"), "musllinux_1_2"),
        (DockerConfig(musllinux="musllinux_1_2"), "musllinux_1_2"),
        (DockerConfig(image="mine", manylinux="2_34"), "manylinux_2_28_x86_64"),
        (DockerConfig(auditwheel_policy="manylinux_2_31", manylinux="2_34"), "manylinux_2_31"),
    ],
)
def test_the_policy_of_repaired_wheels(config: DockerConfig, policy: str) -> None:
    found = repair_of(config, "manylinux_2_28_x86_64")
    assert found is not None
    assert (found.policy, found.strip, found.pure) == (policy, True, True)


def test_no_repair() -> None:
    assert repair_of(DockerConfig(repair_wheel=False), "x") is None
