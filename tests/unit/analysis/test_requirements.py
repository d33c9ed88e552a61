"""Is what the quick expressions accept accepted by the standard's own parser too?"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from hwb.analysis import requirements as module
from hwb.analysis.requirements import canonical, name_of, requirement_problem, specifier_problem, version_problem


@given(st.from_regex(module._REQUIREMENT, fullmatch=True))
def test_a_plain_requirement_is_a_requirement(text: str) -> None:
    Requirement(text)


@given(st.from_regex(module._MARKERS, fullmatch=True))
def test_a_plain_marker_is_a_marker(text: str) -> None:
    Requirement(f"x;{text}")


@given(st.from_regex(module._SPECIFIER, fullmatch=True))
def test_a_plain_specifier_is_a_specifier(text: str) -> None:
    SpecifierSet(text)


@given(st.from_regex(module._RELEASE + module._SUFFIX, fullmatch=True))
def test_a_plain_version_is_a_version(text: str) -> None:
    Version(text)


@given(st.text(max_size=30))
def test_no_text_is_accepted_that_packaging_refuses(text: str) -> None:
    problem = requirement_problem(text)
    try:
        Requirement(text)
    except ValueError:
        assert problem
    else:
        assert problem is None


@pytest.mark.parametrize("text", ["hatchling", "a[b,c]>=1,<2", "x ; python_version < '3.11'", "a~=1.0", "a==1.*"])
def test_usual_requirements_never_need_packaging(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    assert requirement_problem(text) is None


def test_unusual_ones_are_asked_about() -> None:
    assert requirement_problem("a @ https://example.invalid/a.zip") is None
    assert requirement_problem("not valid!")
    assert specifier_problem("===odd") is None
    assert specifier_problem("3.9 or so")
    assert version_problem("1.0-alpha") is None
    assert version_problem("one")


def test_names() -> None:
    assert canonical("Foo.Bar__baz") == "foo-bar-baz"
    assert name_of("  Foo_Bar[x]>=1") == "foo-bar"
    assert name_of("!") == ""
    assert re.fullmatch(module._NAME, "a-b")
