"""What is cibuildwheel told for one wheel, and what do its exit codes mean?"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb.errors import BuildError, CommandFailed, ConfigError, HwbError, NothingToRun, RepairError, ToolNotFound
from hwb.matrix.forms import fields
from hwb.matrix.handing_over import (
    OUTCOMES,
    HandedOver,
    arguments,
    engine_text,
    environment,
    failure,
    is_for,
    told,
    with_arguments,
    with_passed,
    with_settings,
)
from hwb.matrix.layers import OPTIONS, Found
from hwb.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwb.matrix.configuration import Configuration

    Read = Callable[..., Configuration]

LINUX, MUSL, MACOS, WINDOWS = (
    "cp312-manylinux_x86_64", "cp312-musllinux_aarch64", "cp312-macosx_arm64", "cp312-win_amd64"
)  # fmt: skip
SHUT = "docker; disable_host_mount: true"


def handed(read: Read, text: str = "", identifier: str = LINUX, policy: str = "", **environ: str) -> HandedOver:
    target = Target.of(identifier, policy)
    layers = read(f"[tool.hwb.matrix]\n{text}", **environ).layers(target.system)
    return told(layers, target, "an/image:1", "docker")


# --- options ---------------------------------------------------------------------------------------------------------

TRANSLATED: dict[str, tuple[str, str]] = {
    "before-all": ('["a", "b"]', "a && b"),
    "before-build": ('"make {project}"', "make {project}"),
    "before-test": ('"x"', "x"),
    "repair-wheel-command": ('""', ""),
    "test-command": ('"pytest"', "pytest"),
    "test-sources": ('["a b", "c"]', "'a b' c"),
    "test-requires": ('["pytest>=8", "x"]', "'pytest>=8' x"),
    "test-extras": ('["a", "b"]', "a,b"),
    "test-groups": ('["a", "b"]', "a b"),
    "test-skip": ('"*_x86_64"', "*_x86_64"),
    "test-environment": ('{A = "$B"}', 'A="$B"'),
    "test-runtime": ('{args = ["--x"]}', "args:--x"),
    "environment": ('{A = "1", B = "$(nproc)"}', 'A="1" B="$(nproc)"'),
    "environment-pass": ('["A", "B"]', "A B"),
    "config-settings": ('{a = "b c", d = ["1", "2"]}', "a='b c' d=1 d=2"),
    "build-frontend": ('{name = "build", args = ["--no-isolation"]}', "name:build; args:--no-isolation"),
    "build-verbosity": ("2", "2"),
    "dependency-versions": ('"latest"', "latest"),
    "audit-requires": ('["mine"]', "mine"),
    "audit-command": ('"mine {wheel}"', "mine {wheel}"),
    "xbuild-tools": ('["cmake"]', "cmake"),
    "xbuild-files": ('{a = "b"}', "a:b"),
    "pyodide-version": ('"1.2"', "1.2"),
    "container-engine": ('"podman"', "podman; disable_host_mount: true"),
}


@pytest.mark.parametrize("option", TRANSLATED)
def test_each_option_becomes_its_variable(option: str, read: Read) -> None:
    value, text = TRANSLATED[option]
    name = "CIBW_" + option.upper().replace("-", "_")
    assert handed(read, f"{option} = {value}").variables[name] == text
    assert name == "CIBW_CONTAINER_ENGINE" or name not in handed(read).variables


def test_no_option_is_forgotten() -> None:
    of_selection = {"build", "skip", "enable", "archs"}
    images = {name for name in OPTIONS if name.endswith("-image")}
    assert TRANSLATED.keys() | of_selection | images == OPTIONS.keys()


def test_what_nobody_set_is_left_to_cibuildwheel(read: Read) -> None:
    assert handed(read).variables == {
        "CIBW_MANYLINUX_X86_64_IMAGE": "an/image:1",
        "CIBW_CONTAINER_ENGINE": SHUT,
    }
    assert handed(read, identifier=MUSL).variables["CIBW_MUSLLINUX_AARCH64_IMAGE"] == "an/image:1"
    assert handed(read, identifier=WINDOWS).variables == {}
    assert handed(read, identifier=WINDOWS).engine == ""


def test_every_place_has_its_say(read: Read) -> None:
    text = 'before-all = "own"\ninherit.before-all = "append"\n[[tool.hwb.matrix.overrides]]\nselect = "cp312-*"\n'
    found = handed(read, text + 'test-command = "t"\n', CIBW_BEFORE_ALL_LINUX="v", CIBW_TEST_REQUIRES="r")
    assert found.variables["CIBW_BEFORE_ALL"] == "v && own"
    assert found.variables["CIBW_TEST_COMMAND"] == "t"
    assert found.variables["CIBW_TEST_REQUIRES"] == "r"


def test_selection_is_what_only_says(read: Read) -> None:
    found = handed(read, 'build = "cp3*"\nskip = "pp*"\nenable = "all"\n', CIBW_ARCHS="all").variables
    assert not found.keys() & {"CIBW_BUILD", "CIBW_SKIP", "CIBW_ENABLE", "CIBW_ARCHS"}


def test_the_deployment_target_of_macos(read: Read) -> None:
    found = handed(read, identifier=MACOS, policy="macosx_12_3")
    assert found.variables == {"MACOSX_DEPLOYMENT_TARGET": "12.3"}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("network = false", "always have the network"),
        ('build-frontend = "hwb"', "does not know the front end hwb"),
        ('build-frontend = {name = "hwb"}', "does not know the front end hwb"),
        ('before-all = "\\u0000"', "no variable can have"),
        ('container-engine = "nerdctl"', "cannot be 'nerdctl'"),
        ('container-engine = "docker; podman"', "has a second value"),
        ('container-engine = "docker; disable_host_mount: false"', "file system is not mounted"),
        ('container-engine = "docker; dns: x"', "knows no dns"),
    ],
)
def test_what_cannot_be_told_is_an_error_with_its_place(text: str, what: str, read: Read) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        handed(read, text + '\nengine = "cibuildwheel"')
    assert caught.value.where == "pyproject.toml:2"


def test_where_cibuildwheel_stands_in_what_is_hwbs_own_is_left_out(read: Read) -> None:
    assert handed(read, 'build-frontend = "hwb"\nnetwork = false', identifier=WINDOWS).variables == {}
    with pytest.raises(ConfigError, match="always have the network"):
        handed(read, "network = false", identifier="cp313-pyodide_wasm32")


def test_the_network_that_cibuildwheel_has_anyway(read: Read) -> None:
    assert "CIBW_NETWORK" not in handed(read, "network = true").variables


# --- the engine ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "told_as"),
    [
        ("docker", SHUT),
        ("podman", "podman; disable_host_mount: true"),
        ("docker; create_args: --gpus all", "docker; create_args: --gpus all; disable_host_mount: true"),
        ("docker; create-args: '--a=b c'; disable-host-mount: True",
         "docker; create_args: '--a=b c'; disable_host_mount: true"),
    ],
)  # fmt: skip
def test_the_hosts_files_are_never_mounted(asked: str, told_as: str) -> None:
    assert engine_text(asked) == told_as
    assert engine_text(Found(asked, "x")) == told_as


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), max_size=4))
def test_arguments_survive(words: list[str]) -> None:
    first = "; create_args: " + shlex.join(["--x", *words]) if words else ""
    text = with_arguments(engine_text(f"docker{first}"), ["--label=a=b", *words])
    found = fields(text, "name")
    assert found["create_args"] == [*(["--x", *words] if words else []), "--label=a=b", *words]
    assert found["disable_host_mount"] == ["true"]


# --- what it sees ----------------------------------------------------------------------------------------------------


def test_only_what_it_needs_is_passed_on() -> None:
    outer = {
        **dict.fromkeys(("PATH", "HOME", "LC_ALL", "DOCKER_HOST", "https_proxy", "PIP_INDEX_URL", "CI"), "y"),
        **dict.fromkeys(("UV_PUBLISH_TOKEN", "TWINE_PASSWORD", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"), "secret"),
        **dict.fromkeys(("CIBW_BUILD", "CIBW_PLATFORM", "CIBW_CONFIG_FILE", "CC"), "n"),
        **dict.fromkeys(("CIBW_CACHE_PATH", "MINE"), "y"),
    }
    one = HandedOver(LINUX, {"CIBW_BEFORE_ALL": "y"}, ("MINE",), "docker")
    found = environment(one, outer, {"BUILDS": "y"})
    assert found.pop("CIBW_LOG_FOLD_MODE") == "disabled"
    assert found == dict.fromkeys(
        ("PATH", "HOME", "LC_ALL", "DOCKER_HOST", "https_proxy", "PIP_INDEX_URL", "CI", "CIBW_CACHE_PATH", "MINE",
         "BUILDS", "CIBW_BEFORE_ALL"),
        "y",
    )  # fmt: skip


def test_what_is_handed_over_is_plain_data_that_comes_back(read: Read) -> None:
    one = handed(read, 'environment-pass = ["A"]\ntest-command = "t"')
    again = HandedOver.of(json.loads(json.dumps(one.as_dict())))
    assert again.as_dict() == one.as_dict()
    assert (again.passed, again.engine) == (("A",), "docker")


def test_settings_of_a_recipe_take_the_place_of_configured_ones(read: Read) -> None:
    one = handed(read, 'config-settings = {a = "1", b = "2"}')
    assert with_settings(one, {}) is one
    assert with_settings(one, {"b": ["3", "4 5"]}).variables["CIBW_CONFIG_SETTINGS"] == "a=1 b=3 b='4 5'"


def test_more_names_may_be_passed_to_the_build(read: Read) -> None:
    one = handed(read, 'environment-pass = ["A"]')
    assert with_passed(one, ["A"]) is one
    more = with_passed(one, ["A", "B"])
    assert (more.passed, more.variables["CIBW_ENVIRONMENT_PASS"]) == (("A", "B"), "A B")
    desktop = with_passed(handed(read, identifier=WINDOWS), ["B"])
    assert (desktop.passed, desktop.variables) == (("B",), {})


def test_the_command() -> None:
    found = arguments("py", LINUX, "/d/x.tar.gz", "/out")
    assert found == ["py", "-m", "cibuildwheel", "--only", LINUX, "--output-dir", "/out", "/d/x.tar.gz"]


# --- what comes back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identifier", "tags", "fits"),
    [
        (LINUX, "cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64", True),
        (LINUX, "cp312-cp312-linux_x86_64", True),  # an empty repair-wheel-command
        (LINUX, "cp312-cp312-manylinux_2_17_aarch64", False),
        (LINUX, "cp312-cp312-musllinux_1_2_x86_64", False),
        (LINUX, "cp313-cp313-manylinux_2_17_x86_64", False),
        (LINUX, "cp39-abi3-manylinux_2_17_x86_64", True),
        (LINUX, "cp313-abi3-manylinux_2_17_x86_64", False),
        (LINUX, "py3-none-manylinux_2_17_x86_64", True),
        (LINUX, "cp312-cp312t-manylinux_2_17_x86_64", False),
        ("cp314t-manylinux_x86_64", "cp314-cp314t-manylinux_2_28_x86_64", True),
        ("cp314t-manylinux_x86_64", "cp314-cp314-manylinux_2_28_x86_64", False),
        ("pp311-manylinux_x86_64", "pp311-pypy311_pp73-manylinux_2_28_x86_64", True),
        (MACOS, "cp312-cp312-macosx_11_0_arm64", True),
        (MACOS, "cp312-cp312-macosx_11_0_x86_64", False),
        (WINDOWS, "cp312-cp312-win_amd64", True),
        (WINDOWS, "cp312-cp312-win32", False),
        ("cp313-pyodide_wasm32", "cp313-cp313-pyemscripten_2025_0_wasm32", True),
    ],
)
def test_a_wheel_fits_its_target(identifier: str, tags: str, fits: bool) -> None:
    assert is_for(f"x-1.0-{tags}.whl", Target.of(identifier)) is fits


def test_what_is_no_wheels_name_fits_nothing() -> None:
    assert not is_for("x.whl", Target.of(LINUX))


@pytest.mark.parametrize(
    ("code", "kind", "name", "exit_code"),
    [
        (1, CommandFailed, "COMMAND_FAILED", 1),
        (2, ConfigError, "CONFIG_INVALID", 2),
        (3, NothingToRun, "NOTHING_TO_RUN", 4),
        (4, ConfigError, "CONFIG_INVALID", 2),
        (5, BuildError, "BACKEND_FAILED", 1),
        (6, BuildError, "BACKEND_FAILED", 1),
        (7, ToolNotFound, "TOOL_NOT_FOUND", 3),
        (8, RepairError, "REPAIR_FAILED", 1),
        (9, RepairError, "REPAIR_FAILED", 1),
        (10, BuildError, "BACKEND_FAILED", 1),
        (77, CommandFailed, "COMMAND_FAILED", 1),
        (-9, CommandFailed, "COMMAND_FAILED", 1),
    ],
)
def test_exit_codes_have_classes_with_stable_codes(code: int, kind: type[HwbError], name: str, exit_code: int) -> None:
    error = failure(LINUX, code)
    assert (type(error), error.code, error.exit_code) == (kind, name, exit_code)
    assert error.what.startswith(f"{LINUX}: ")
    assert error.remedy


def test_each_exit_code_says_something_of_its_own() -> None:
    said: list[Any] = [outcome.what for outcome in OUTCOMES.values()]
    assert len(set(said)) == len(said) == 10
    assert "signal 9" in failure(LINUX, -9).what
    assert "exit code 77" in failure(LINUX, 77).what
