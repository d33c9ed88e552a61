"""What happens to every target of a project on this machine?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from hwb.errors import ConfigError, MissingError, UsageError
from hwb.matrix.planning import PURE, MatrixPlan, ProjectFacts, plan_matrix, require_makeable
from hwb.matrix.strategy import Host, Strategy
from hwb.target import System, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwb.matrix.configuration import Configuration

    Read = Callable[..., Configuration]

NEW = ProjectFacts(">=3.14")


def identifiers(plan: MatrixPlan) -> list[str]:
    return [planned.identifier for planned in plan.targets]


def test_unconfigured_all_three_systems_are_planned(read: Read, linux: Host) -> None:
    plan = plan_matrix(NEW, read(), linux)
    assert {planned.target.system for planned in plan.targets if planned.target} == {
        System.LINUX, System.MACOS, System.WINDOWS,
    }  # fmt: skip
    first, last = plan.targets[0], plan.targets[-1]
    assert first.target == Target.of("cp314-manylinux_x86_64", "manylinux_2_28")
    assert (first.strategy, first.reason, first.platform) == (Strategy.CONTAINER, "", "manylinux_2_28_x86_64")
    assert first.image.startswith("quay.io/pypa/manylinux_2_28_x86_64:")
    assert (last.identifier, last.strategy, last.image) == ("cp315t-win_amd64", Strategy.ELSEWHERE, "")
    assert "windows-latest" in last.reason
    assert plan.here == tuple(planned for planned in plan.targets if "linux" in planned.identifier)
    assert plan.warnings == ()
    require_makeable(plan)


def test_a_pure_project_has_one_wheel_and_no_target(read: Read, linux: Host) -> None:
    configuration = read("[tool.cibuildwheel]\ntest-command = 'x'")
    for only in ("", PURE):
        plan = plan_matrix(ProjectFacts(compiles=False), configuration, linux, only=only)
        (planned,) = plan.targets
        assert (planned.identifier, planned.target, planned.platform) == (PURE, None, "any")
        assert planned.options.test_command == "x"
    with pytest.raises(UsageError, match="compiles nothing"):
        plan_matrix(ProjectFacts(compiles=False), configuration, linux, only="cp312-win32")


@pytest.mark.parametrize(
    ("only", "what"),
    [(PURE, "this one compiles"), ("cp38-win32", "no Python for cp38-win32"), ("cp312", "is no identifier")],
)
def test_one_identifier_must_exist(only: str, what: str, read: Read, linux: Host) -> None:
    with pytest.raises(UsageError, match=what):
        plan_matrix(NEW, read(), linux, only=only)


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ({"only": "cp314-win32", "python": "3.14"}, "one identifier leaves nothing to narrow"),
        ({"only": "cp314-win32", "platform": "windows"}, "one identifier leaves nothing to narrow"),
        ({"python": "3.12,3.99"}, "--python: there is no cp399"),
        ({"platform": "linux/sparc"}, "--platform: there is no sparc for linux"),
        ({"platform": "beos"}, "is no platform"),
    ],
)
def test_words_that_name_nothing_are_errors(asked: dict[str, str], what: str, read: Read, linux: Host) -> None:
    with pytest.raises(UsageError, match=what):
        plan_matrix(NEW, read(), linux, **asked)


def test_graalpy_may_be_named_without_its_own_version(read: Read, linux: Host) -> None:
    plan = plan_matrix(ProjectFacts(), read(CIBW_ENABLE="all"), linux, python="gp312", platform="linux")
    assert identifiers(plan) == ["gp312_250-manylinux_x86_64"]


def test_one_identifier_needs_no_other_word(read: Read, linux: Host) -> None:
    plan = plan_matrix(ProjectFacts(limited_api="cp39"), read(CIBW_SKIP="*"), linux, only="gp313_253-manylinux_aarch64")
    assert identifiers(plan) == ["gp313_253-manylinux_aarch64"]
    assert plan.targets[0].strategy is Strategy.CONTAINER


def test_limited_api(read: Read, linux: Host) -> None:
    plan = plan_matrix(ProjectFacts(">=3.11", limited_api="cp39"), read(), linux, platform="manylinux,windows")
    assert identifiers(plan) == [
        "cp311-manylinux_x86_64", "cp314t-manylinux_x86_64", "cp315t-manylinux_x86_64",
        "cp311-win32", "cp311-win_amd64", "cp314t-win32", "cp314t-win_amd64", "cp315t-win32", "cp315t-win_amd64",
    ]  # fmt: skip
    assert ("cp312-win32", "the abi3 wheel of cp311 serves it") in plan.skipped


def test_requires_python_of_the_variable_counts(read: Read, linux: Host) -> None:
    configuration = read(CIBW_PROJECT_REQUIRES_PYTHON="==3.12.*")
    plan = plan_matrix(NEW, configuration, linux, platform="manylinux")
    assert identifiers(plan) == ["cp312-manylinux_x86_64"]


def test_policies_and_images(read: Read, linux: Host) -> None:
    plan = plan_matrix(NEW, read("[tool.hwb.matrix]\nmanylinux = '2_35'"), linux, python="3.14", platform="manylinux")
    assert plan.targets[0].platform == "manylinux_2_35_x86_64"
    assert "/manylinux_2_34_x86_64:" in plan.targets[0].image
    plan = plan_matrix(NEW, read(), linux, python="3.14", platform="manylinux2014_aarch64,musllinux_1_1_x86_64")
    assert [planned.platform for planned in plan.targets] == ["manylinux2014_aarch64", "musllinux_1_1_x86_64"]
    assert plan.warnings == ("musllinux_1_1 gets no updates any more: musllinux_1_2 is its successor",)
    own = plan_matrix(NEW, read(CIBW_MANYLINUX_X86_64_IMAGE="me/x:1"), linux, python="3.14", platform="manylinux")
    assert (own.targets[0].image, own.targets[0].platform) == ("me/x:1", "manylinux_x86_64")


def test_an_image_that_does_not_exist_is_found_while_planning(read: Read, linux: Host) -> None:
    with pytest.raises(ConfigError, match="no image for manylinux_2_28 on armv7l") as caught:
        plan_matrix(NEW, read("[tool.hwb.matrix]\nmanylinux = '2_28'"), linux, arch="armv7l")
    assert caught.value.where == "pyproject.toml:2"
    with pytest.raises(ConfigError) as caught:
        plan_matrix(NEW, read(), linux, platform="manylinux_2_34_riscv64")
    assert caught.value.where == "--platform"


def test_on_the_host_the_symbols_decide_unless_a_policy_was_asked_for(read: Read) -> None:
    host = Host(System.LINUX, "x86_64", interpreter=lambda target: target.python == "cp314")
    (planned,) = plan_matrix(NEW, read(), host, python="3.14", platform="manylinux").targets
    assert (planned.strategy, planned.platform, planned.image) == (Strategy.HOST, "manylinux_x86_64", "")
    for configuration, platform in (
        (read("[tool.hwb.matrix]\nmanylinux = '2_34'"), "manylinux"),
        (read(), "manylinux_2_34_x86_64"),
    ):
        (planned,) = plan_matrix(NEW, configuration, host, python="3.14", platform=platform).targets
        assert planned.platform == "manylinux_2_34_x86_64"


@pytest.mark.parametrize(
    ("text", "platform", "tag"),
    [
        ("", "macos", "macosx_11_0_x86_64"),
        ("[tool.hwb.matrix.macos]\ndeployment-target = '12.3'", "macos", "macosx_12_3_x86_64"),
        ("[tool.cibuildwheel.macos]\nenvironment = 'MACOSX_DEPLOYMENT_TARGET=10.15'", "macos", "macosx_10_15_x86_64"),
        ("[tool.cibuildwheel]\nenvironment = 'MACOSX_DEPLOYMENT_TARGET=$X'", "macos", "macosx_11_0_x86_64"),
        ("[tool.hwb.matrix.macos]\ndeployment-target = '12.3'", "macosx-13.0-universal2", "macosx_13_0_universal2"),
    ],
)
def test_deployment_targets(text: str, platform: str, tag: str, read: Read, linux: Host) -> None:
    (planned,) = plan_matrix(NEW, read(text), linux, python="3.14", platform=platform).targets
    assert planned.platform == tag


def test_what_hwb_does_not_honour_counts_where_hwb_builds(read: Read, linux: Host) -> None:
    text = "[tool.cibuildwheel]\naudit-command = 'mine'\n"
    with pytest.raises(ConfigError, match="audit-command is not honoured") as caught:
        plan_matrix(NEW, read(text), linux)
    assert caught.value.where == "pyproject.toml:2"
    assert plan_matrix(NEW, read(text), linux, platform="windows").targets
    delegated = plan_matrix(NEW, read(text + "[tool.hwb.matrix]\nengine = 'cibuildwheel'"), linux, platform="linux")
    assert {planned.strategy for planned in delegated.targets} == {Strategy.CIBUILDWHEEL}
    assert delegated.targets[0].reason == 'engine = "cibuildwheel"'
    assert delegated.targets[0].image
    assert delegated.here == delegated.targets


def test_each_target_may_have_an_engine_of_its_own(read: Read, linux: Host) -> None:
    text = "[tool.hwb.matrix.linux]\nengine = 'cibuildwheel'\n[[tool.hwb.matrix.overrides]]\nselect = '*-musllinux_*'\nengine = 'hwb'"
    plan = plan_matrix(NEW, read(text), linux, platform="linux", python="3.14", arch="x86_64")
    first, second = plan.targets
    assert (first.strategy, second.strategy) == (Strategy.CIBUILDWHEEL, Strategy.CONTAINER)
    assert second.handed is None
    assert first.handed is not None
    assert first.handed.variables["CIBW_MANYLINUX_X86_64_IMAGE"] == first.image


@pytest.mark.parametrize(
    ("asked", "lacking"),
    [
        ({"platform": "windows", "python": "3.14"}, "cp314-win32, cp314-win_amd64"),
        ({"arch": "s390x", "python": "3.14"}, "cp314-manylinux_s390x, cp314-musllinux_s390x"),
        ({"platform": "linux/s390x", "python": "3.14"}, "cp314-manylinux_s390x, cp314-musllinux_s390x"),
        ({"only": "cp314-win32"}, "cp314-win32"),
        ({"only": "cp314-android_x86_64"}, "cp314-android_x86_64"),
    ],
)
def test_what_is_asked_for_and_cannot_be_made_is_an_error(
    asked: dict[str, str], lacking: str, read: Read, linux: Host
) -> None:
    plan = plan_matrix(NEW, read(), linux, **asked)
    with pytest.raises(MissingError, match=rf"^{lacking} cannot be made here$") as caught:
        require_makeable(plan)
    assert caught.value.exit_code == 3
    assert "hwb matrix --list" in caught.value.remedy
    assert re.search("use |run cibuildwheel --only ", caught.value.detail)


def test_the_error_names_what_can_be_made(read: Read, linux: Host) -> None:
    plan = plan_matrix(NEW, read(), linux, python="3.14", platform="windows,manylinux")
    with pytest.raises(MissingError) as caught:
        require_makeable(plan)
    assert caught.value.remedy == "this machine can make cp314-manylinux_x86_64"


def test_a_python_by_name_that_is_missing_is_one_too(read: Read) -> None:
    plan = plan_matrix(NEW, read(), Host(System.LINUX, "x86_64"), python="3.14")
    with pytest.raises(MissingError, match=r"^cp314-manylinux_x86_64 cannot"):
        require_makeable(plan)
    require_makeable(plan_matrix(NEW, read(), Host(System.LINUX, "x86_64")))


@pytest.mark.parametrize(
    ("build", "lacking"),
    [
        ("cp314-manylinux_x86_64", "cp314-manylinux_x86_64"),
        ("cp314-musllinux_x86_64 cp314-win_amd64", "cp314-musllinux_x86_64"),
        ("cp314-win_amd64 cp314-manylinux_aarch64", ""),
        ("cp314-*", ""),
    ],
)
def test_a_wheel_that_the_configuration_spells_out_is_asked_for(build: str, lacking: str, read: Read) -> None:
    """Where this system could make it; a pattern is a wish for what there is."""
    plan = plan_matrix(NEW, read(f"[tool.hwb.matrix]\nbuild = '{build}'"), Host(System.LINUX, "x86_64"))
    if not lacking:
        require_makeable(plan)
        return
    with pytest.raises(MissingError, match=rf"^{lacking} cannot be made here$"):
        require_makeable(plan)


def test_that_no_engine_answers_is_told_where_it_matters(read: Read) -> None:
    host = Host(System.LINUX, "x86_64", interpreter=lambda _: True, engineless="docker is not installed")
    said = "Linux wheels are made without a container (docker is not installed): "
    said += "their tag is the oldest system that their code proves"
    assert plan_matrix(NEW, read(), host).warnings == (said,)
    assert plan_matrix(NEW, read(), host, platform="windows").warnings == ()


def test_warnings_are_told_once(read: Read, linux: Host) -> None:
    plan = plan_matrix(NEW, read("[tool.cibuildwheel]\nskip = 'cp36-*'\ntest-skip = 'cp37-*'"), linux)
    assert plan.warnings == (
        "pyproject.toml:2: skip: 'cp36-*' fits no identifier",
        "pyproject.toml:3: test-skip: 'cp37-*' fits no identifier",
    )


def test_words_of_the_table_that_fit_nothing_warn(read: Read, linux: Host) -> None:
    text = "[tool.hwb.matrix]\npython = ['3.14', '3.99']\n[[tool.hwb.matrix.exclude]]\narch = 'amr64'\n"
    assert plan_matrix(NEW, read(text), linux).warnings == (
        "pyproject.toml:2: python: there is no cp399",
        "pyproject.toml:3: exclude fits no identifier",
    )

    text = "[tool.hwb.matrix]\npython = '3.14'\n[[tool.hwb.matrix.exclude]]\nplatform = 'windows'\narch = 'arm64'\n"
    assert plan_matrix(NEW, read(text), linux).warnings == ()


def test_other_systems_are_planned_when_asked_for(read: Read, linux: Host) -> None:
    plan = plan_matrix(ProjectFacts(), read(), linux, platform="pyodide,android,ios")
    assert {planned.identifier.partition("-")[2].partition("_")[0] for planned in plan.targets} == {
        "pyodide",
        "android",
    }
    assert {planned.identifier.partition("-")[2] for planned in plan.here} == {"pyodide_wasm32"}
    assert {planned.strategy for planned in plan.targets} == {Strategy.CIBUILDWHEEL}
