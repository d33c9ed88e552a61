"""Is a plan shown whole, to people, programs and workflows?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hwb.matrix.listing import as_json, as_text, github_include
from hwb.matrix.planning import MatrixPlan, ProjectFacts, plan_matrix

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwb.matrix.configuration import Configuration
    from hwb.matrix.strategy import Host

    Read = Callable[..., Configuration]


def plan(read: Read, linux: Host, platform: str = "manylinux,win_amd64") -> MatrixPlan:
    text = "[tool.cibuildwheel]\nbuild = 'cp314-* cp38-*'\nbefore-all = 'x'\n"
    return plan_matrix(ProjectFacts(">=3.14"), read(text), linux, platform=platform)


def test_text(read: Read, linux: Host) -> None:
    lines = as_text(plan(read, linux)).splitlines()
    assert lines[0].split() == [
        "cp314-manylinux_x86_64", "manylinux_2_28_x86_64", "container", lines[0].split()[3],
    ]  # fmt: skip
    assert lines[0].split()[3].startswith("quay.io/pypa/manylinux_2_28_x86_64:")
    assert "@" not in lines[0]
    assert lines[1].startswith("cp314-win_amd64         win_amd64              elsewhere  Windows wheels")
    assert lines[2] == "warning: pyproject.toml:2: build: 'cp38-*' fits no identifier"


def test_text_with_what_is_not_selected(read: Read, linux: Host) -> None:
    text = as_text(plan(read, linux), skipped=True)
    assert "\nnot selected:\n" in text
    assert "  build does not name it (pyproject.toml:2): cp39-manylinux_x86_64, " in text
    assert "more\n" in text


def test_an_empty_plan_says_so() -> None:
    assert as_text(MatrixPlan(), skipped=True) == "no wheel is selected\n"


def test_json_is_plain_data(read: Read, linux: Host) -> None:
    found = as_json(plan(read, linux))
    assert json.loads(json.dumps(found)) == found
    assert found["targets"][0] | {"image": "..."} == {
        "identifier": "cp314-manylinux_x86_64",
        "platform": "manylinux_2_28_x86_64",
        "python": "cp314",
        "system": "linux",
        "arch": "x86_64",
        "policy": "manylinux_2_28",
        "strategy": "container",
        "image": "...",
        "reason": "",
        "options": {"before_all": "x"},
    }
    assert found["skipped"][0].keys() == {"identifier", "reason"}
    assert len(found["warnings"]) == 1


def test_github(read: Read, linux: Host) -> None:
    assert github_include(plan(read, linux, "manylinux_2_28_x86_64,linux/s390x,macosx-11.0-arm64")) == [
        {"only": "cp314-manylinux_x86_64", "os": "ubuntu-latest", "emulate": ""},
        {"only": "cp314-manylinux_s390x", "os": "ubuntu-latest", "emulate": "s390x"},
        {"only": "cp314-musllinux_s390x", "os": "ubuntu-latest", "emulate": "s390x"},
        {"only": "cp314-macosx_arm64", "os": "macos-latest", "emulate": ""},
    ]


def test_a_pure_wheel(read: Read, linux: Host) -> None:
    found = plan_matrix(ProjectFacts(compiles=False), read(), linux)
    assert as_text(found).split() == ["py3-none-any", "any", "host"]
    assert as_json(found)["targets"] == [
        {"identifier": "py3-none-any", "platform": "any", "strategy": "host", "image": "", "reason": "", "options": {}}
    ]
    assert github_include(found) == [{"only": "py3-none-any", "os": "ubuntu-latest", "emulate": ""}]
