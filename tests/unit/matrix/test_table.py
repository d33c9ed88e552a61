"""Is [tool.hwb.matrix] read as documented, from every file that may hold it?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from hwb.errors import ConfigError
from hwb.matrix.layers import look_up
from hwb.matrix.table import Exclusion, python_tags, read_file
from hwb.target import System

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hwb.matrix.configuration import Configuration

    Read = Callable[..., Configuration]

LINUX, MACOS, WINDOWS = System.LINUX, System.MACOS, System.WINDOWS
DOCUMENTED = """
[tool.hwb.matrix]
python = ["3.10", "3.11", "3.12", "3.13"]

[tool.hwb.matrix.linux]
architectures = ["x86_64", "arm64"]
manylinux = "2_28"

[tool.hwb.matrix.macos]
architectures = ["x86_64", "arm64"]
universal2 = true
deployment-target = "12.3"

[tool.hwb.matrix.windows]
architectures = ["x86_64"]

[[tool.hwb.matrix.exclude]]
python = "3.10"
platform = "windows"
arch = "arm64"
"""


def test_the_documented_table(read: Read) -> None:
    configuration = read(DOCUMENTED)
    own = configuration.own
    assert (own.python, own.python_where) == (("cp310", "cp311", "cp312", "cp313"), "pyproject.toml:3")
    assert (own.universal2, own.deployment_target) == (True, "12.3")
    assert own.exclude == (Exclusion("cp310", WINDOWS, "arm64", "pyproject.toml:17"),)
    assert look_up("archs", configuration.layers(LINUX)) == ("x86_64 aarch64", "pyproject.toml:6")
    assert look_up("archs", configuration.layers(MACOS)).text == "x86_64 arm64 universal2"
    assert look_up("archs", configuration.layers(WINDOWS)).text == "AMD64"
    assert look_up("manylinux-aarch64-image", configuration.layers(LINUX)) == ("manylinux_2_28", "pyproject.toml:7")


def test_it_stands_above_cibuildwheel_and_its_variables(read: Read) -> None:
    text = "[tool.cibuildwheel]\nskip = 'a'\nbefore-all = 'a'\n[tool.hwb.matrix]\nskip = ['b', 'c']\nbefore-all = 'd'\n"
    text += "inherit.before-all = 'append'\n[tool.hwb.matrix.linux]\nbefore-all = 'e'\ninherit.before-all = 'append'\n"
    text += "[[tool.hwb.matrix.overrides]]\nselect = 'cp312-*'\nbefore-all = 'f'\nmusllinux = '1_2'\n"
    layers = read(text, CIBW_SKIP="v", CIBW_BEFORE_ALL="v").layers(LINUX)
    assert look_up("skip", layers) == ("b c", "pyproject.toml:5")
    assert look_up("before-all", layers, "cp311-win32").text == "v && d && e"
    assert look_up("before-all", layers, "cp312-win32") == ("f", "pyproject.toml:13")
    assert look_up("musllinux-s390x-image", layers, "cp312-win32") == ("musllinux_1_2", "pyproject.toml:14")


def test_universal2_alone_is_added_to_the_automatic_ones(read: Read) -> None:
    layers = read("[tool.hwb.matrix.macos]\nuniversal2 = true").layers(MACOS)
    assert look_up("archs", layers).text == "auto universal2"
    assert look_up("archs", read("[tool.hwb.matrix.macos]\nuniversal2 = true").layers(LINUX)).text == "auto"


@pytest.mark.parametrize(
    ("value", "policy"),
    [
        ("2_28", "manylinux_2_28"),
        ("2014", "manylinux2014"),
        ("manylinux2014", "manylinux2014"),
        ("manylinux_2_34", "manylinux_2_34"),
        ("me/manylinux:1", "me/manylinux:1"),
    ],
)
def test_policies(value: str, policy: str, read: Read) -> None:
    layers = read(f"[tool.hwb.matrix]\nmanylinux = '{value}'").layers(LINUX)
    assert look_up("manylinux-x86_64-image", layers).text == policy


def test_an_image_of_one_architecture_goes_first(read: Read) -> None:
    layers = read("[tool.hwb.matrix]\nmanylinux = '2_28'\nmanylinux-aarch64-image = 'me/arm:1'").layers(LINUX)
    assert look_up("manylinux-aarch64-image", layers) == ("me/arm:1", "pyproject.toml:3")
    assert look_up("manylinux-x86_64-image", layers) == ("manylinux_2_28", "pyproject.toml:2")


@pytest.mark.parametrize(
    ("text", "tags"),
    [("3.12", ["cp312"]), ("3.12,3.14t", ["cp312", "cp314t"]), ("pp311", ["pp311"]), ("gp312_250", ["gp312_250"]),
     ("CP313", ["cp313"])],
)  # fmt: skip
def test_python_tags(text: str, tags: list[str]) -> None:
    assert python_tags(text) == tuple(tags)


@pytest.mark.parametrize(
    ("table", "what", "line"),
    [
        ("pythn = []", "unknown option 'pythn'", 2),
        ("archs = 'all'", "unknown option 'archs'", 2),
        ("engine = 'make'", "engine must be one of", 2),
        ("[tool.hwb.matrix.linux]\nengine = 'make'", "engine must be one of", 3),
        ("[[tool.hwb.matrix.overrides]]\nselect = '*'\nengine = 1", "engine must be one of", 4),
        ("python = 3", "python must be a list", 2),
        ("python = ['3']", "'3' is no Python", 2),
        ("linux = 1", "linux must be a table", 2),
        ("skip = { a = 1 }", "skip must be", 2),
        ("manylinux = '2.28'", "manylinux must be a version", 2),
        ("manylinux = 'musllinux_1_2'", "manylinux must be a version", 2),
        ("manylinux = true", "manylinux must be a version", 2),
        ("musllinux = '1'\nskip='x'\nmanylinux = 'x'", "manylinux must be a version", 4),
        ("inherit.skipp = 'append'", "unknown option 'skipp'", 2),
        ("[tool.hwb.matrix.macos]\nmanylinux = '2_28'", "unknown option 'manylinux' for macos", 3),
        ("[tool.hwb.matrix.linux]\nuniversal2 = true", "unknown option 'universal2' for linux", 3),
        ("[tool.hwb.matrix.linux]\narchitectures = 1", "architectures must be a list", 3),
        ("[tool.hwb.matrix.macos]\nuniversal2 = 'yes'", "universal2 must be true", 3),
        ("[tool.hwb.matrix.macos]\ndeployment-target = 11", "deployment-target must be a text", 3),
        ("[tool.hwb.matrix.macos]\ndeployment-target = '11'", "deployment-target must be a text", 3),
        ("exclude = 1", "exclude must be an array", 2),
        ("exclude = [1]", "an exclude needs texts", 2),
        ("[[tool.hwb.matrix.exclude]]", "an exclude needs texts", 2),
        ("[[tool.hwb.matrix.exclude]]\npython = 3", "an exclude needs texts", 2),
        ("[[tool.hwb.matrix.exclude]]\narch = 'x'\npyton = '3.12'", "unknown option 'pyton'", 4),
        ("[[tool.hwb.matrix.exclude]]\nplatform = 'beos'", "'beos' is no platform", 3),
        ("[[tool.hwb.matrix.exclude]]\npython = '3.12,3.13'", "names one Python", 2),
        ("[[tool.hwb.matrix.overrides]]\nselect = '*'\nskip = 'x'", "unknown option 'skip'", 4),
    ],
)
def test_mistakes_have_a_line(table: str, what: str, line: int, read: Read) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        read(f"[tool.hwb.matrix]\n{table}\n").layers(LINUX)
    assert caught.value.where == f"pyproject.toml:{line}"


@pytest.mark.parametrize("text", ["python = ['3.12']\n", "[tool.hwb.matrix]\npython = ['3.12']\n"])
def test_a_file_of_its_own_takes_the_tables_place(text: str, tmp_path: Path, read: Read) -> None:
    path = tmp_path / "matrix.toml"
    path.write_text(text)
    own = read(DOCUMENTED, file=str(path)).own
    assert (own.python, own.universal2) == (("cp312",), False)
    assert own.python_where == f"{path}:{text.count(chr(10))}"


@pytest.mark.parametrize("text", ["tool = 1", "[tool]\nhwb = 1", "[tool.hwb]\nmatrix = 1"])
def test_a_file_without_a_table(text: str, tmp_path: Path) -> None:
    (tmp_path / "matrix.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"tool\.hwb\.matrix must be a table"):
        read_file(str(tmp_path / "matrix.toml"))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file"):
        read_file(str(tmp_path / "matrix.toml"))


def test_yaml_without_its_reader_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    (tmp_path / "matrix.yaml").write_text("python: ['3.12']")
    with pytest.raises(ConfigError, match="without PyYAML") as caught:
        read_file(str(tmp_path / "matrix.yaml"))
    assert "PyYAML" in caught.value.remedy


class _Yaml:
    """As much of PyYAML as is used, for machines without it."""

    class YAMLError(Exception):
        problem = "found a tab"

        class problem_mark:
            line = 4

    @classmethod
    def safe_load(cls, data: bytes) -> object:
        if data == b"\t":
            raise cls.YAMLError
        return {"python": ["3.13"], "macos": {"universal2": True}} if data == b"good" else ["a list"]


def test_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Read) -> None:
    monkeypatch.setitem(sys.modules, "yaml", _Yaml)
    path = tmp_path / "matrix.yml"
    path.write_bytes(b"good")
    own = read(file=str(path)).own
    assert (own.python, own.universal2, own.python_where) == (("cp313",), True, str(path))
    path.write_bytes(b"\t")
    with pytest.raises(ConfigError, match="malformed YAML: found a tab") as caught:
        read_file(str(path))
    assert caught.value.where == f"{path}:5"
    path.write_bytes(b"- 1")
    with pytest.raises(ConfigError, match="must be a table"):
        read_file(str(path))


def test_real_yaml(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    path = tmp_path / "matrix.yaml"
    path.write_text("python: ['3.12']\nexclude:\n- {arch: arm64}\n")
    table, places = read_file(str(path))
    assert table == {"python": ["3.12"], "exclude": [{"arch": "arm64"}]}
    assert places.of("python") == str(path)
    path.write_text("python: [\n")
    with pytest.raises(ConfigError, match="malformed YAML"):
        read_file(str(path))
