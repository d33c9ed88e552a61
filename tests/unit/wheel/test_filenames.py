"""Do the fast patterns agree with `packaging`, which decides everywhere else?"""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from hwb.wheel.filenames import canonical, parse_sdist_name, parse_wheel_name, same_version
from hwb.wheel.headers import parse_headers
from hwb.wheel.rules_metadata import _are_plain, _is_plain

NUMBERS = st.sampled_from(["0", "1", "01", "10", "2024"])
VERSIONS = st.builds(
    lambda release, pre, post, dev: ".".join(release) + pre + post + dev,
    st.lists(NUMBERS, min_size=1, max_size=4),
    st.sampled_from(["", "a1", "b0", "rc01", "-1", "alpha", "+local.1", "c1", "x"]),
    st.sampled_from(["", ".post0", ".post1", "-2", "post3"]),
    st.sampled_from(["", ".dev0", ".dev1", "dev"]),
)
NAMES = st.text(alphabet="aZ0._-", min_size=1, max_size=6)
TAGS = st.sampled_from(
    ["py3-none-any", "py2.py3-none-any", "cp312-abi3-win32", "cp3-x-a.b", "PY3-none-any", "py3-none"]
)
BUILDS = st.sampled_from(["", "1-", "2b-", "b-", "1_x-"])


@settings(deadline=None)  # the first import of packaging is slow
@example(".-0", "01", "", "py3-none-any")
@given(NAMES, VERSIONS, BUILDS, TAGS)
def test_wheel_names(name: str, version: str, build: str, tags: str) -> None:
    file = f"{name}-{version}-{build}{tags}.whl"
    ours = parse_wheel_name(file)
    try:
        project, parsed, build_tag, parsed_tags = parse_wheel_filename(file)
    except InvalidWheelFilename:
        assert ours is None
        return
    assert ours is not None
    assert (ours.project, Version(ours.version)) == (project, parsed)
    assert ours.build == (file.split("-")[2] if build_tag else "")
    assert ours.tags == {str(tag) for tag in parsed_tags}


@settings(deadline=None)  # the first import of packaging is slow
@given(NAMES, VERSIONS)
def test_sdist_names(name: str, version: str) -> None:
    file = f"{name}-{version}.tar.gz"
    ours = parse_sdist_name(file)
    try:
        project, parsed = parse_sdist_filename(file)
    except InvalidSdistFilename:
        assert ours is None
        return
    assert ours is not None
    assert (ours.project, Version(ours.version)) == (project, parsed)


def test_other_endings_are_no_sdist() -> None:
    assert parse_sdist_name("demo-1.0.zip") is None


@settings(deadline=None)  # the first import of packaging is slow
@given(VERSIONS, VERSIONS)
def test_versions(one: str, two: str) -> None:
    def equal() -> bool:
        try:
            return Version(one) == Version(two)
        except InvalidVersion:
            return False

    assert same_version(one, two) == equal()


@settings(deadline=None)  # the first import of packaging is slow
@given(NAMES)
def test_canonical(name: str) -> None:
    assert canonical(name) == canonicalize_name(name)


PARTS = st.sampled_from(
    ["a", "b-c", "b_", "[x]", "[x,y]", "[", "]", "()", "(>=1)", ">=1", "~=1", "~=1.0", "==1.*", ">=1.*", ",", "!=2", " ", ";", "extra == 'x'", 'python_version<"3"', "and", "or", "(", ")", "os_name in 'nt'", "not in", "@", "x == '1'"]
)  # fmt: skip


@settings(deadline=None)  # the first import of packaging is slow
@given(st.lists(PARTS, min_size=1, max_size=7).map("".join))
def test_a_requirement_that_passes_the_pattern_is_one(text: str) -> None:
    if _is_plain(text):
        try:
            Requirement(text)
        except InvalidRequirement as error:
            raise AssertionError(text) from error


@settings(deadline=None)  # the first import of packaging is slow
@given(
    st.lists(
        st.sampled_from([">=1", "~=1", "~=1.2", "==1.*", "<2.0.dev1", ">=1.*", ",", " ", "1", "!=3.0.*", "!=3rc1"])
    ).map("".join)
)
def test_specifiers_that_pass_the_pattern_are_some(text: str) -> None:
    if _are_plain(text):
        try:
            SpecifierSet(text)
        except InvalidSpecifier as error:
            raise AssertionError(text) from error


def test_headers() -> None:
    found = parse_headers(b"A: 1\r\nb:2\n a\n\ttab\nA: 3\n\nbody: x\nmore\n")
    assert found.fields == [("A", "1"), ("b", "2\n a\n\ttab"), ("A", "3")]
    assert (found["a"], found.get("B"), found.get("c"), found.get("c", "d")) == ("1", "2\n a\n\ttab", None, "d")
    assert (found.get_all("A"), found.get_all("c"), found.get_all("c", [])) == (["1", "3"], None, [])
    assert "a" in found
    assert "c" not in found
    assert found.body == "body: x\nmore\n"
    assert parse_headers(b" lost\n").problems == [" lost"]
    assert not parse_headers(b"A: \xff").utf8
