"""Which identifiers are chosen, and why not the others?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hwb.errors import ConfigError
from hwb.matrix.known import pythons
from hwb.matrix.layers import Found
from hwb.matrix.selection import Selected, Wish, select, selector_warnings, served_by_abi3
from hwb.matrix.strategy import Host
from hwb.target import System, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwb.matrix.configuration import Configuration

    Read = Callable[..., Configuration]

LINUX, MACOS, WINDOWS = System.LINUX, System.MACOS, System.WINDOWS
X86 = Host(LINUX, "x86_64")


def chosen(configuration: Configuration, system: System = LINUX, requires: str = "", **wish: object) -> list[str]:
    found, _ = select(system, configuration.layers(system), configuration.own, X86, requires, Wish(**wish))  # type: ignore[arg-type]
    return [one.python.identifier for one in found]


def reasons(configuration: Configuration, system: System = LINUX, requires: str = "", **wish: object) -> dict[str, str]:
    _, skipped = select(system, configuration.layers(system), configuration.own, X86, requires, Wish(**wish))  # type: ignore[arg-type]
    return dict(skipped)


def test_everything_is_either_chosen_or_skipped_with_a_reason(read: Read) -> None:
    for system in System:
        found, why = chosen(read(), system), reasons(read(), system)
        assert sorted([*found, *why]) == sorted(python.identifier for python in pythons(system))
        assert all(why.values())


def test_every_reason_says_what_and_where(read: Read) -> None:
    text = "[tool.cibuildwheel]\nbuild = 'cp3* pp*'\nskip = 'cp312-*'\nenable = 'all'\n[tool.hwb.matrix]\n"
    text += "python = ['3.11', '3.12', '3.13', '3.14', 'pp311']\n[[tool.hwb.matrix.exclude]]\npython = '3.13'\n"
    why = reasons(read(text), requires=">=3.11", python=("cp311", "cp312", "cp313", "pp311"))
    assert why["cp310-manylinux_x86_64"] == "python does not name it (pyproject.toml:6)"
    assert why["cp312-manylinux_x86_64"] == "skip names it (pyproject.toml:3)"
    assert why["cp313-manylinux_x86_64"] == "exclude names it (pyproject.toml:7)"
    assert why["cp314-manylinux_x86_64"] == "another Python is asked for"
    assert why["gp312_250-manylinux_x86_64"] == "build does not name it (pyproject.toml:2)"
    assert why["cp311-manylinux_s390x"] == "s390x is not among the architectures (x86_64)"
    assert reasons(read())["pp311-manylinux_x86_64"] == 'it needs enable = ["pypy"]'
    assert reasons(read(), requires=">=3.11")["cp310-manylinux_x86_64"] == "requires-python is >=3.11"
    assert "not made on x86_64" in reasons(read(CIBW_ENABLE="all", CIBW_ARCHS="all"), MACOS)["pp311-macosx_arm64"]
    assert chosen(read(text), requires=">=3.11", python=("cp311", "pp311")) == [
        "cp311-manylinux_x86_64", "pp311-manylinux_x86_64", "cp311-musllinux_x86_64",
    ]  # fmt: skip


def test_a_series_counts_when_its_last_patch_does(read: Read) -> None:
    assert "cp312-manylinux_x86_64" in chosen(read(), requires=">=3.12.4")
    assert "cp312-manylinux_x86_64" not in chosen(read(), requires="<3.12")
    with pytest.raises(ConfigError, match="no version specifier"):
        chosen(read(), requires="three")


def test_an_empty_build_means_all(read: Read) -> None:
    assert chosen(read("[tool.cibuildwheel]\nbuild = ''")) == chosen(read())


def test_an_unknown_group_is_an_error(read: Read) -> None:
    with pytest.raises(ConfigError, match="enable knows no group 'pypi'") as caught:
        chosen(read("[tool.cibuildwheel]\nenable = ['pypi']"))
    assert (caught.value.where, caught.value.remedy) == ("pyproject.toml:2", "did you mean pypy?")
    with pytest.raises(ConfigError) as caught:
        chosen(read("[tool.cibuildwheel]\nenable = ['cpython-freethreading']"))
    assert caught.value.remedy.startswith("remove it")


def test_architectures_by_name_replace_the_configured_ones(read: Read) -> None:
    configuration = read("[tool.cibuildwheel]\narchs = 's390x'")
    assert {one.rpartition("linux_")[2] for one in chosen(configuration, arch=("arm64", "x86_64"))} == {
        "aarch64", "x86_64",
    }  # fmt: skip
    assert chosen(configuration, MACOS, arch=("arm64",), python=("cp312",)) == ["cp312-macosx_arm64"]


def test_platforms_narrow_by_family_architecture_and_policy(read: Read) -> None:
    wanted = (Wanted(LINUX), Wanted(LINUX, "manylinux_2_34", "aarch64"), Wanted(MACOS))
    found, _ = select(LINUX, read().layers(LINUX), read().own, X86, "", Wish(python=("cp312",), platform=wanted))
    assert [(one.python.identifier, one.policy) for one in found] == [
        ("cp312-manylinux_x86_64", ""),
        ("cp312-manylinux_aarch64", "manylinux_2_34"),
        ("cp312-musllinux_x86_64", ""),
    ]
    only_musl = chosen(read(), python=("cp312",), platform=(Wanted(LINUX, "musllinux"),))
    assert only_musl == ["cp312-musllinux_x86_64"]
    old = chosen(read(), python=("cp312",), platform=(Wanted(LINUX, "manylinux2014"),))
    assert old == ["cp312-manylinux_x86_64"]
    target = (Wanted(MACOS, "12.0", "universal2"),)
    found, why = select(MACOS, read().layers(MACOS), read().own, X86, "", Wish(python=("cp312",), platform=target))
    assert [(one.python.identifier, one.policy) for one in found] == [("cp312-macosx_universal2", "12.0")]
    assert dict(why)["cp312-macosx_arm64"] == "its platform is not asked for"


def test_one_identifier_overrides_all_but_the_projects_own_pythons(read: Read) -> None:
    configuration = read("[tool.cibuildwheel]\nskip = '*'")
    assert chosen(configuration, only="pp311-manylinux_s390x") == []
    assert chosen(configuration, only="pp311-manylinux_aarch64") == ["pp311-manylinux_aarch64"]
    assert reasons(configuration, requires=">=3.12", only="pp311-manylinux_aarch64") == {
        "pp311-manylinux_aarch64": "requires-python is >=3.12"
    }


def test_an_exclusion_takes_every_spelling(read: Read) -> None:
    text = "[[tool.hwb.matrix.exclude]]\nplatform = 'Windows'\narch = 'x86_64'\n"
    assert {one.partition("-")[2] for one in chosen(read(text), WINDOWS)} == {"win32"}
    assert chosen(read(text), LINUX) == chosen(read(), LINUX)


SOME = ("cp39", "cp310", "cp311", "cp314", "cp314t", "cp315t", "pp311", "gp312_250")


@pytest.mark.parametrize(
    ("tag", "kept"),
    [
        ("abi3", ["cp39", "cp314t", "cp315t", "pp311", "gp312_250"]),
        ("cp38", ["cp39", "cp314t", "cp315t", "pp311", "gp312_250"]),
        ("cp310", ["cp39", "cp310", "cp314t", "cp315t", "pp311", "gp312_250"]),
        ("cp316", list(SOME)),
    ],
)
def test_the_limited_api_keeps_the_lowest_of_each_platform(tag: str, kept: list[str]) -> None:
    chosen = [Selected(one) for one in pythons(LINUX) if one.python in SOME and one.arch == "x86_64"]
    found, skipped = served_by_abi3(chosen, tag)
    here = [one.python.python for one in found if "manylinux" in one.python.identifier]
    assert here == kept
    assert len(found) + len(skipped) == len(chosen)
    assert all("the abi3 wheel of" in one.reason for one in skipped)


def test_a_selector_that_fits_nothing_warns() -> None:
    assert list(selector_warnings("skip", Found("cp38-* cp312-*", "pyproject.toml:2"), "")) == [
        "pyproject.toml:2: skip: 'cp38-*' fits no identifier"
    ]
    gated = list(selector_warnings("build", Found("pp311-*"), ""))
    assert gated == ["build: 'pp311-*' fits no identifier; it would with enable = ['pypy']"]
    assert list(selector_warnings("build", Found("pp311-* gp*"), "all")) == []
    assert list(selector_warnings("build", Found("pp311-*"), "pypy")) == []
    assert list(selector_warnings("test-skip", Found("*_universal2:arm64"), "")) == []
    assert len(list(selector_warnings("skip", Found("*_universal2:arm64"), ""))) == 1
