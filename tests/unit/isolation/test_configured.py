"""Do the settings of isolation become exactly the values of the documented API?"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest

from hwb import keys, pythons
from hwb.config import KEYS, Settings, load
from hwb.errors import InterpreterNotFound, IsolationError, UsageError
from hwb.isolation import configured
from hwb.isolation.configured import (
    DOCKER_FIELDS,
    build_options,
    combined,
    docker_config,
    find_python,
    load_strategy,
    require_strategy,
)
from hwb.isolation.docker import DockerConfig


def settings(root: Path, text: str) -> Settings:
    (root / "pyproject.toml").write_text(text)
    return load(str(root), environ={})


# --- containers -------------------------------------------------------------------------------------------------------


def test_every_field_has_a_key_and_every_key_a_field() -> None:
    fields = {field.name for field in dataclasses.fields(DockerConfig)}
    assert set(DOCKER_FIELDS.values()) == fields - {"container_engine"}
    assert {name.removeprefix("isolation.docker.") for name in KEYS if name.startswith("isolation.docker.")} == set(
        DOCKER_FIELDS
    )


def test_the_defaults_are_the_documented_ones_but_for_the_network() -> None:
    assert docker_config(Settings()) == DockerConfig(network=False)


def test_every_key_arrives(tmp_path: Path) -> None:
    told = settings(
        tmp_path,
        """
        [tool.hwb]
        container-engine = "podman"
        [tool.hwb.isolation.docker]
        platform = "musllinux"
        manylinux = "2_28"
        musllinux = "1_2"
        image = "mine:1"
        dockerfile = "ci/Dockerfile"
        architecture = "aarch64"
        oci-platform = "linux/arm64"
        network = true
        memory = "8g"
        cpus = 4
        gpu = true
        gpu-runtime = "other"
        gpu-devices = ["0", "1"]
        mounts = { "data" = "/data", "/opt/sdk" = "/sdk" }
        env = { CFLAGS = "-O3" }
        repair-wheel = false
        strip-binaries = false
        auditwheel-policy = "manylinux_2_28"
        auditwheel-exclude = ["libcuda.so"]
        """,
    )
    root = tmp_path / "project"
    found = docker_config(told, str(root))
    assert found == DockerConfig(
        platform="musllinux",
        manylinux="2_28",
        musllinux="1_2",
        image="mine:1",
        dockerfile=str(root / "ci" / "Dockerfile"),
        architecture="aarch64",
        oci_platform="linux/arm64",
        network=True,
        memory_limit="8g",
        cpu_limit=4.0,
        gpu=True,
        gpu_runtime="other",
        gpu_devices=("0", "1"),
        extra_mounts={str(root / "data"): "/data", str(Path("/opt/sdk").absolute()): "/sdk"},
        extra_env={"CFLAGS": "-O3"},
        repair_wheel=False,
        strip_binaries=False,
        auditwheel_policy="manylinux_2_28",
        auditwheel_exclude=("libcuda.so",),
        container_engine="podman",
    )
    changed = [f.name for f in dataclasses.fields(found) if getattr(found, f.name) == f.default and f.name != "network"]
    assert changed == [], "every field differs from its default, so every key was read"
    again = Settings.from_json(told.to_json())
    assert docker_config(again, str(root)) == found


@pytest.mark.parametrize(
    ("asked", "changed"),
    [
        ({}, {}),
        ({"gpu": True}, {"gpu": True}),
        (
            {"manylinux": "2_34"},
            {"platform": "manylinux", "manylinux": "2_34", "musllinux": "", "image": None, "auditwheel_policy": ""},
        ),
        (
            {"platform": "manylinux"},
            {"platform": "manylinux", "musllinux": "", "image": None, "auditwheel_policy": ""},
        ),
        ({"musllinux": "1_1"}, {"musllinux": "1_1", "manylinux": "", "image": None, "auditwheel_policy": ""}),
        ({"dockerfile": "/x"}, {"dockerfile": "/x", "image": None}),
        ({"architecture": "i686"}, {"architecture": "i686", "oci_platform": ""}),
    ],
)
def test_what_is_asked_for_replaces_what_it_contradicts(asked: dict[str, Any], changed: dict[str, Any]) -> None:
    base = DockerConfig(
        platform="musllinux", musllinux="1_2", image="mine", oci_platform="linux/arm64", auditwheel_policy="x"
    )
    assert combined(base, asked) == dataclasses.replace(base, **changed)


def test_glibc_and_musl_at_once() -> None:
    with pytest.raises(UsageError, match="--manylinux and --musllinux"):
        combined(DockerConfig(), {"manylinux": "2_28", "musllinux": "1_2"})


# --- virtual environments ---------------------------------------------------------------------------------------------

VENV = """
[tool.hwb.isolation.venv]
use-uv = false
cache-envs = false
python-path = "tools/python"
env = { A = "1", B = "1" }
[tool.hwb.isolation.venv.windows]
python-path = "C:/Python312/python.exe"
env = { B = "2" }
"""


def test_virtual_environments(tmp_path: Path) -> None:
    told = settings(tmp_path, VENV)
    fields = {"backend": "virtualenv|venv", "fresh": True}
    assert build_options(told, platform="linux") == {**fields, "env": {"A": "1", "B": "1"}}
    assert build_options(told, platform="win32") == {**fields, "env": {"A": "1", "B": "2"}}
    python = str(tmp_path / "tools" / "python")
    assert configured._venv_path(told, str(tmp_path), "linux") == python
    assert configured._venv_path(told, str(tmp_path), "win32").endswith("python.exe")


def test_virtual_environments_by_default(tmp_path: Path) -> None:
    assert build_options(Settings(), platform="linux") == {"backend": "", "fresh": False, "env": {}}
    cached = settings(tmp_path, "[tool.hwb.isolation.venv]\ncache-envs = true")
    assert build_options(cached, platform="linux") == build_options(Settings(), platform="linux")


def test_on_windows_one_variable_is_shipped_and_can_be_emptied(tmp_path: Path) -> None:
    assert build_options(Settings(), platform="win32")["env"] == {"XFORMERS_DISABLED": "1"}
    emptied = settings(tmp_path, "[tool.hwb.isolation.venv.windows]\nenv = {}")
    assert build_options(emptied, platform="win32")["env"] == {}
    other = settings(tmp_path, '[tool.hwb.isolation.venv.windows]\npython-path = "p.exe"')
    assert build_options(other, platform="win32")["env"] == {"XFORMERS_DISABLED": "1"}
    assert configured._venv_path(other, "", "win32").endswith("p.exe")


def with_path(root: Path, path: str) -> Settings:
    return settings(root, f"[tool.hwb.isolation.venv]\npython-path = '{path}'")


def test_the_configured_python_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = with_path(tmp_path, sys.executable)
    own = pythons.running()
    assert find_python(told).version == own.version
    assert find_python(told, own.minor).source == "path"
    asked: list[Any] = []
    found = pythons.find

    def find(spec: str | None = None, **how: Any) -> Any:
        asked.append((spec, how.get("python_path")))
        return own if spec == "3.1" and not how.get("python_path") else found(spec, **how)

    monkeypatch.setattr(pythons, "find", find)
    assert find_python(told, "3.1") is own, "the search goes on where it is another one"
    assert asked[-1] == ("3.1", None)
    assert find_python(told, sys.executable).version == own.version
    assert asked[-1] == (sys.executable, None)
    assert find_python(Settings(), own.minor).version == own.version


def test_a_configured_python_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(InterpreterNotFound):
        find_python(with_path(tmp_path, sys.executable), requires_python=">=3.99")
    with pytest.raises(InterpreterNotFound, match="nowhere"):
        find_python(with_path(tmp_path, "nowhere/python"), "3", root=str(tmp_path))


# --- strategies of others ---------------------------------------------------------------------------------------------


class Plain:
    """Takes no settings."""

    async def create_environment(self, python_version: str, build_requirements: list[str]) -> Any: ...

    async def check_available(self) -> bool:
        return True


class Told(Plain):
    """Takes settings."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config


class Broken(Plain):
    """Cannot be made."""

    def __init__(self) -> None:
        raise ZeroDivisionError("no luck")


class Refusing(Plain):
    """Says itself what is wrong."""

    def __init__(self) -> None:
        raise UsageError("not today")


OBJECT = Plain()


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with entry points for these classes."""
    info = tmp_path / "site" / "strategies-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strategies\nVersion: 1\n")
    names = {
        "plain": "Plain", "told": "Told", "broken": "Broken", "refusing": "Refusing", "object": "OBJECT",
        "nothing": "pytest", "venv": "Plain",
    }  # fmt: skip
    points = "".join(f"{name} = strategies_of_tests:{value}\n" for name, value in names.items())
    (info / "entry_points.txt").write_text(
        f"[{keys.STRATEGY_GROUP}]\n{points}gone = strategies_that_are_gone:Plain\nlost = strategies_of_tests:Lost\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setitem(sys.modules, "strategies_of_tests", sys.modules[__name__])


@pytest.mark.usefixtures("offered")
def test_names_of_installed_strategies(tmp_path: Path) -> None:
    names = ["broken", "gone", "lost", "nothing", "object", "plain", "refusing", "told"]
    assert keys.installed_strategies() == names, "hwb's own cannot be replaced"
    assert require_strategy("plain") == "plain"
    with pytest.raises(UsageError, match="no isolation 'vm'") as caught:
        require_strategy("vm")
    assert caught.value.remedy == f"one of auto, venv, docker, none, {', '.join(names)}"


@pytest.mark.usefixtures("offered")
def test_a_strategy_and_its_settings(tmp_path: Path) -> None:
    told = settings(
        tmp_path, '[tool.hwb.isolation]\nstrategy = "told"\n[tool.hwb.isolation.told]\nhost = "x"\nports = [1, 2]\n'
    )
    assert told.isolation == "told"
    made = load_strategy("told", told)
    assert isinstance(made, Told)
    assert made.config == {"host": "x", "ports": [1, 2]}
    assert load_strategy("told", Settings()).config == {}  # type: ignore[attr-defined]
    assert type(load_strategy("plain", told)) is Plain
    assert load_strategy("object", told) is OBJECT
    assert load_strategy("told", Settings.from_json(told.to_json())).config == made.config  # type: ignore[attr-defined]


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("broken", "'broken' cannot be loaded: ZeroDivisionError: no luck"),
        ("gone", "'gone' cannot be loaded: ModuleNotFoundError"),
        ("lost", "'lost' cannot be loaded: AttributeError"),
        ("nothing", "'nothing' has no create_environment and no check_available"),
    ],
)
def test_a_strategy_that_does_not_work(name: str, what: str) -> None:
    with pytest.raises(IsolationError) as caught:
        load_strategy(name, Settings())
    assert what in caught.value.what
    assert caught.value.where.startswith("strategies_")
    assert caught.value.remedy == "report it to the distribution strategies"


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize("name", ["plain", "object"])
def test_settings_for_a_strategy_that_takes_none(tmp_path: Path, name: str) -> None:
    told = settings(tmp_path, f"[tool.hwb.isolation.{name}]\nhost = 'x'")
    with pytest.raises(UsageError, match=f"'{name}' takes no settings") as caught:
        load_strategy(name, told)
    assert caught.value.remedy == f"delete [tool.hwb.isolation.{name}]"


@pytest.mark.usefixtures("offered")
def test_what_a_strategy_says_itself() -> None:
    with pytest.raises(UsageError, match="not today"):
        load_strategy("refusing", Settings())
