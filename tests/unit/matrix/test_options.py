"""What holds for one target?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hwb.errors import ConfigError
from hwb.matrix.options import TargetOptions, image_option, target_options
from hwb.target import System, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwb.matrix.configuration import Configuration

    Read = Callable[..., Configuration]

FULL = """
[tool.cibuildwheel]
before-all = ["make", "make install"]
before-build = "b"
before-test = "t"
test-command = "pytest {project}"
test-sources = ["tests", "a b"]
test-requires = ["pytest >= 8", "numpy"]
test-extras = ["test", "dev"]
test-groups = "a b"
test-environment = { CI = "1" }
test-skip = "*-musllinux_* *-macosx_universal2:arm64"
environment = 'A=1 B="$A"'
environment-pass = ["C"]
config-settings = { a = "x y", b = ["1", "2"] }
build-frontend = { name = "build", args = ["--no-isolation"] }
build-verbosity = 5
container-engine = "podman"
musllinux-x86_64-image = "me/musl:1"
[tool.cibuildwheel.linux]
repair-wheel-command = ""
[tool.cibuildwheel.macos]
repair-wheel-command = "delocate-wheel --require-archs {delocate_archs} -w {dest_dir} -v {wheel}"
[tool.hwb.matrix]
network = true
"""


def options(configuration: Configuration, identifier: str) -> TargetOptions:
    target = Target.of(identifier)
    return target_options(configuration.layers(target.system), target.system, identifier, target.family, target.arch)


def test_nothing_configured_is_all_defaults(read: Read) -> None:
    for identifier in ("cp312-manylinux_x86_64", "cp312-macosx_arm64", "cp312-win32", "cp313-ios_arm64_iphoneos"):
        assert options(read(), identifier) == TargetOptions()
    assert TargetOptions().as_dict() == {}
    assert target_options(read().layers(System.LINUX), System.LINUX) == TargetOptions()


def test_every_option(read: Read) -> None:
    assert options(read(FULL), "cp312-musllinux_x86_64") == TargetOptions(
        before_all="make && make install",
        before_build="b",
        before_test="t",
        test_command="pytest {project}",
        test_sources=("tests", "a b"),
        test_requires=("pytest >= 8", "numpy"),
        test_extras=("test", "dev"),
        test_groups=("a", "b"),
        test_environment=(("CI", '"1"'),),
        test_skip=True,
        environment=(("A", "1"), ("B", '"$A"')),
        environment_pass=("C",),
        config_settings=(("a", "x y"), ("b", "1"), ("b", "2")),
        build_frontend="build",
        build_frontend_args=("--no-isolation",),
        build_verbosity=3,
        container_engine="podman",
        repair_command="",
        image="me/musl:1",
        image_where="pyproject.toml:19",
        network=True,
    )


def test_systems_and_identifiers_differ(read: Read) -> None:
    configuration = read(FULL)
    assert options(configuration, "cp312-manylinux_x86_64").image == ""
    assert not options(configuration, "cp312-manylinux_x86_64").test_skip
    macos = options(configuration, "cp312-macosx_universal2")
    assert (macos.test_skip, macos.test_skip_archs) == (False, ("arm64",))
    assert macos.repair_command is None
    assert image_option("manylinux", "aarch64") == "manylinux-aarch64-image"


def test_what_is_not_the_default_is_plain_data(read: Read) -> None:
    found = options(read(FULL), "cp312-manylinux_x86_64").as_dict()
    assert json.loads(json.dumps(found)) == found
    assert found["environment"] == [["A", "1"], ["B", '"$A"']]
    assert found["repair_command"] == ""
    assert "image_where" not in found
    assert "audit" not in found


def test_no_audit(read: Read) -> None:
    assert not options(read("[tool.cibuildwheel]\naudit-command = ''"), "cp312-win32").audit


@pytest.mark.parametrize(
    ("text", "name"), [("docker", "docker"), ("name: podman", "podman"), ("{ name = 'docker' }", "docker")]
)
def test_engines(text: str, name: str, read: Read) -> None:
    value = text if text.startswith("{") else f"'{text}'"
    assert options(read(f"[tool.cibuildwheel]\ncontainer-engine = {value}"), "cp312-win32").container_engine == name


@pytest.mark.parametrize("frontend", ["hwb", "build", "build[uv]", "uv", "pip"])
def test_frontends(frontend: str, read: Read) -> None:
    assert options(read(CIBW_BUILD_FRONTEND=frontend), "cp312-win32").build_frontend == frontend


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("build-frontend = 'make'", "build-frontend cannot be 'make'"),
        ("build-frontend = 'build; flags: x'", "build-frontend cannot be"),
        ("build-frontend = 'build; uv'", "build-frontend has a second value"),
        ("build-verbosity = 'much'", "build-verbosity must be a number"),
        ("config-settings = 'a'", "config-settings: has 'a'"),
        ('test-requires = "\'x"', "test-requires: No closing"),
        ("environment = 'A'", "environment: 'A' is no NAME=value"),
        ("test-environment = 'A'", "environment: 'A' is no NAME=value"),
    ],
)
def test_wrong_values_have_a_line(line: str, what: str, read: Read) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        options(read(f"[tool.cibuildwheel]\n{line}"), "cp312-win32")
    assert caught.value.where == "pyproject.toml:2"


def test_network_is_a_bool(read: Read) -> None:
    with pytest.raises(ConfigError, match="network must be true or false"):
        options(read("[tool.hwb.matrix]\nnetwork = 'yes'"), "cp312-win32")
