"""Is [tool.cibuildwheel] read as cibuildwheel reads it, and is nothing of it silently dropped?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hwb.errors import ConfigError
from hwb.matrix.cibuildwheel import inherit_rules, refuse_what_is_not_honoured, warnings
from hwb.matrix.layers import look_up
from hwb.target import System

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwb.matrix.configuration import Configuration

    Read = Callable[..., Configuration]

LINUX, MACOS = System.LINUX, System.MACOS
LAYERED = """
[tool.cibuildwheel]
environment = { A = "1" }
inherit.environment = "append"
before-all = "one"
[tool.cibuildwheel.linux]
before-all = "two"
inherit = { environment = "append", before-all = "prepend" }
environment = { B = "2" }
[[tool.cibuildwheel.overrides]]
select = ["cp312-*", "cp313-*"]
inherit = "environment; before-all: append"
environment.C = "3"
before-all = ["three", "four"]
"""


def test_every_place_has_its_rank(read: Read) -> None:
    configuration = read(LAYERED, CIBW_BEFORE_BUILD="x", CIBW_BEFORE_BUILD_LINUX="y")
    layers = configuration.layers(LINUX)
    assert look_up("environment", layers, "cp312-win32") == ('A="1" B="2" C="3"', "pyproject.toml:13")
    assert look_up("before-all", layers, "cp313-win32").text == "two && one && three && four"
    assert look_up("before-all", layers, "cp311-win32") == ("two && one", "pyproject.toml:7")
    assert look_up("before-build", layers) == ("y", "CIBW_BEFORE_BUILD_LINUX")
    assert look_up("before-build", configuration.layers(MACOS)) == ("x", "CIBW_BEFORE_BUILD")
    assert look_up("environment", configuration.layers(MACOS)).text == 'A="1"'


def test_variables_may_inherit(read: Read) -> None:
    environ = {
        "CIBW_INHERIT": "environment; skip-linux: prepend",
        "CIBW_ENVIRONMENT": "B=2",
        "CIBW_ENABLE": "pypy",
        "CIBW_SKIP": "x",
        "CIBW_SKIP_LINUX": "no such variable",
    }
    layers = read("[tool.cibuildwheel]\nenvironment = 'A=1'\nenable = ['graalpy']\nskip = 'y'", **environ).layers(LINUX)
    assert look_up("environment", layers).text == "A=1 B=2"
    assert look_up("enable", layers).text == "graalpy pypy"
    assert look_up("skip", layers).text == "x"


@pytest.mark.parametrize(
    ("table", "what", "where"),
    [
        ("skipp = 'x'", "unknown option 'skipp'", ":2"),
        ("skip = 'x'\ninherit.skipp = 'append'", "unknown option 'skipp'", ":3"),
        ("skip = { a = 1 }", "skip must be a text", ":2"),
        ("linux = 1", "linux must be a table", ":2"),
        ("[tool.cibuildwheel.linux]\nskipp = 1", "unknown option 'skipp'", ":3"),
        ("[tool.cibuildwheel.linux]\ndependency-versions = 'latest'", "cannot be set for linux", ":3"),
        ("overrides = 1", "must be an array of tables", ":2"),
        ("overrides = [1]", "must be an array of tables", ":2"),
        ("[[tool.cibuildwheel.overrides]]\nskip = 'x'", "needs select", ":2"),
        ("[[tool.cibuildwheel.overrides]]\nselect = [1]", "needs select", ":3"),
        ("[[tool.cibuildwheel.overrides]]\nselect = '*'\nbefor-all = 'x'", "unknown option 'befor-all'", ":4"),
        ("inherit = 1", "inherit must say", ":2"),
        ("inherit = { skip = 'add' }", "inherit must say", ":2"),
        ("inherit = 'skip: append prepend'", "inherit must say", ":2"),
        ('inherit = "skip: \'"', "inherit No closing", ":2"),
    ],
)
def test_mistakes_have_a_line(table: str, what: str, where: str, read: Read) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        read(f"[tool.cibuildwheel]\n{table}\n").layers(LINUX)
    assert caught.value.where == "pyproject.toml" + where


def test_images_are_for_linux_only(read: Read) -> None:
    configuration = read("[tool.cibuildwheel.macos]\nmanylinux-x86_64-image = 'x'")
    with pytest.raises(ConfigError, match="manylinux-x86_64-image cannot be set for macos"):
        configuration.layers(MACOS)


def test_the_table_must_be_one(read: Read) -> None:
    with pytest.raises(ConfigError, match="must be a table"):
        read("[tool]\ncibuildwheel = 1")


def test_an_unknown_option_in_the_inherit_variable(read: Read) -> None:
    with pytest.raises(ConfigError, match="unknown option 'enviroment'") as caught:
        read(CIBW_INHERIT="enviroment").layers(LINUX)
    assert caught.value.where == "CIBW_INHERIT"
    assert inherit_rules(None, "") == {}


@pytest.mark.parametrize(
    "line",
    [
        "audit-requires = ['other']",
        "audit-command = 'other {wheel}'",
        "dependency-versions = 'latest'",
        "container-engine = 'docker; create_args: --gpus all'",
        "container-engine = { name = 'podman', disable-host-mount = false }",
        "container-engine = 'nerdctl'",
        "container-engine = 'docker; podman'",
    ],
)
def test_what_hwb_does_not_honour_is_an_error_with_the_way_out(line: str, read: Read) -> None:
    layers = read(f"[tool.cibuildwheel]\n{line}").layers(LINUX)
    with pytest.raises(ConfigError, match="is not honoured") as caught:
        refuse_what_is_not_honoured(layers, "cp312-manylinux_x86_64")
    assert caught.value.where == "pyproject.toml:2"
    assert 'engine = "cibuildwheel"' in caught.value.remedy
    assert line.split(" ")[0] in caught.value.what


def test_it_counts_only_where_it_holds(read: Read) -> None:
    text = "[[tool.cibuildwheel.overrides]]\nselect = 'cp313-*'\naudit-command = 'x'"
    refuse_what_is_not_honoured(read(text).layers(LINUX), "cp312-manylinux_x86_64")
    with pytest.raises(ConfigError, match="audit-command"):
        refuse_what_is_not_honoured(read(text).layers(LINUX), "cp313-manylinux_x86_64")
    with pytest.raises(ConfigError) as caught:
        refuse_what_is_not_honoured(read(CIBW_AUDIT_COMMAND="x").layers(LINUX), "cp312-manylinux_x86_64")
    assert caught.value.where == "CIBW_AUDIT_COMMAND"


@pytest.mark.parametrize(
    "line",
    [
        "audit-requires = ['abi3audit']",
        "audit-command = ''",
        "dependency-versions = 'pinned'",
        "container-engine = 'podman'",
        "container-engine = { name = 'docker', disable-host-mount = true }",
    ],
)
def test_what_hwb_does_anyway_may_be_written(line: str, read: Read) -> None:
    refuse_what_is_not_honoured(read(f"[tool.cibuildwheel]\n{line}").layers(LINUX), "cp312-manylinux_x86_64")


def test_what_cibuildwheel_ignores_is_told(read: Read) -> None:
    text = "[tool.cibuildwheel]\nmanylinux-pypy_x86_64-image = 'manylinux2014'\n"
    text += "[[tool.cibuildwheel.overrides]]\nselect = '*'\nskip = 'pp*'\n"
    assert list(warnings(read(text).layers(LINUX))) == [
        "pyproject.toml:2: manylinux-pypy_x86_64-image has no effect: PyPy is built in the image of its architecture",
        "pyproject.toml:5: skip has no effect in an override",
    ]
