"""Is it decided right where a project is built, and what its wheels are called?"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hwb.builder import where
from hwb.builder.where import chosen, prepared_of, repair_of, strategy_environments, wanted_strategy
from hwb.context import CancelToken, Context, use
from hwb.errors import Cancelled, IsolationError, OfflineError, UsageError
from hwb.isolation import BuildEnvironment
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
        return SimpleNamespace(reference="image:1")

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


def test_the_strategy_that_is_wanted() -> None:
    assert wanted_strategy(None, "venv", isolated=True) == "venv"
    assert wanted_strategy("docker", "venv", isolated=True) == "docker"
    assert wanted_strategy(None, "docker", isolated=False) == "none"
    assert wanted_strategy("none", "docker", isolated=False) == "none"
    with pytest.raises(UsageError, match="no isolation 'vm'") as caught:
        wanted_strategy("vm", "auto", isolated=True)
    assert caught.value.remedy == "one of auto, venv, docker, none"
    with pytest.raises(UsageError, match="--no-isolation and --isolation venv contradict"):
        wanted_strategy("venv", "auto", isolated=False)


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


# --- strategies of others ---------------------------------------------------------------------------------------------


class Strategy:
    """Makes environments of the running Python; `wrong` is what it does wrong."""

    def __init__(self, wrong: str = "") -> None:
        self.wrong = wrong
        self.made: list[tuple[str, list[str]]] = []
        self.gone: list[int] = []

    async def check_available(self) -> bool:
        if self.wrong == "check":
            raise OSError("nobody is there")
        return self.wrong != "not here"

    async def create_environment(self, python_version: str, build_requirements: list[str]) -> BuildEnvironment:
        if self.wrong == python_version:
            raise IsolationError("it says so itself")
        number = len(self.made)
        self.made.append((python_version, build_requirements))
        return BuildEnvironment(Path(sys.executable), Path(), {}, lambda: self.gone.append(number))


def test_an_environment_for_each_python_each_cleaned_up() -> None:
    strategy = Strategy()
    with use(Context()), strategy_environments("mine", strategy, ["3.12", "3.13"], ("wheel",)) as made:
        assert [one.python_path for one in made] == [Path(sys.executable)] * 2
        assert strategy.gone == []
    assert strategy.made == [("3.12", ["wheel"]), ("3.13", ["wheel"])]
    assert sorted(strategy.gone) == [0, 1]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ("not here", "the isolation strategy 'mine' is not available"),
        ("check", "the isolation strategy 'mine' failed: OSError: nobody is there"),
        ("3.13", "it says so itself"),
    ],
)
def test_a_strategy_that_fails_leaves_nothing(wrong: str, error: str) -> None:
    strategy = Strategy(wrong)
    environments = strategy_environments("mine", strategy, ["3.12", "3.13"], ())
    with use(Context()), pytest.raises(IsolationError, match=error), environments:
        pytest.fail("there is no environment")
    assert len(strategy.gone) == len(strategy.made)


def test_it_is_cleaned_up_when_the_run_is_called_off() -> None:
    strategy, token = Strategy(), CancelToken()
    with use(Context(token=token)), pytest.raises(Cancelled), strategy_environments("mine", strategy, ["3.12"], ()):
        token.cancel("enough")
        token.check()
    assert strategy.gone == [0]


def test_of_its_variables_only_those_that_are_new() -> None:
    outer = {"SECRET": "x", "PATH": "/bin"}
    env = {**outer, "PATH": "/env/bin:/bin", "VIRTUAL_ENV": "/env"}
    with use(Context(outer_env=outer)):
        interpreter, prepared = prepared_of(BuildEnvironment(Path(sys.executable), Path(), env))
    assert interpreter.version.startswith(f"{sys.version_info[0]}.{sys.version_info[1]}.")
    assert prepared == (sys.executable, {"PATH": "/env/bin:/bin", "VIRTUAL_ENV": "/env"})


def test_auto_says_why(machine: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, str]] = []

    def emit(_kind: str, *, level: str, text: str) -> None:
        said.append((level, text))

    with use(Context(emit=emit)):
        chosen("auto", COMPILED, DockerConfig())  # type: ignore[arg-type]
        chosen("auto", PURE, DockerConfig())  # type: ignore[arg-type]
        machine["answers"] = False
        chosen("auto", COMPILED, DockerConfig())  # type: ignore[arg-type]
        monkeypatch.setattr(where.sys, "platform", "win32")
        chosen("auto", COMPILED, DockerConfig())  # type: ignore[arg-type]
    here = "built on this machine (no container engine answers): "
    assert said == [
        ("debug", "isolation auto: built in a container, since it has extension modules and the image image:1 is here"),
        ("debug", "isolation auto: built in a virtual environment, since it has no extension modules"),
        ("info", f"{here}--isolation docker makes a wheel for other Linux machines"),
        ("debug", "isolation auto: built in a virtual environment, since containers are for Linux"),
    ]


def test_no_repair() -> None:
    assert repair_of(DockerConfig(repair_wheel=False), "x") is None
