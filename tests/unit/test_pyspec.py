"""Is every spelling of a request read as what it means, and is nothing else a request?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb.errors import ConfigError
from hwb.pyspec import Spec, allowed, kind_of, parse_spec, read_file, split_specs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("3.12", Spec((3, 12))),
        ("3.12.1", Spec((3, 12, 1))),
        ("3", Spec((3,))),
        ("python3.12", Spec((3, 12))),
        ("cpython3.12", Spec((3, 12))),
        ("cpython@3.12", Spec((3, 12))),
        ("cp312", Spec((3, 12))),
        (" Python3.9 ", Spec((3, 9))),
        ("3.14t", Spec((3, 14), flags="t")),
        ("3.14.1t", Spec((3, 14, 1), flags="t")),
        ("3.14+freethreaded", Spec((3, 14), flags="t")),
        ("cp314t", Spec((3, 14), flags="t")),
        ("3.13d", Spec((3, 13), flags="d")),
        ("3.13+debug", Spec((3, 13), flags="d")),
        ("3.13td", Spec((3, 13), flags="td")),
        ("3.13+freethreaded+debug", Spec((3, 13), flags="td")),
        ("pypy", Spec(implementation="pypy")),
        ("PyPy3.11", Spec((3, 11), implementation="pypy")),
        ("pypy-3.11", Spec((3, 11), implementation="pypy")),
        ("pp311", Spec((3, 11), implementation="pypy")),
        ("graalpy", Spec(implementation="graalpy")),
        ("graalpy3.12", Spec((3, 12), implementation="graalpy")),
        ("gp312", Spec((3, 12), implementation="graalpy")),
        (">=3.11,<3.13", Spec(range=">=3.11,<3.13")),
        (" >= 3.11 , < 3.13 ", Spec(range=">= 3.11,< 3.13")),
        ("~=3.10", Spec(range="~=3.10")),
        ("==3.12.*", Spec(range="==3.12.*")),
        ("pypy>=3.10", Spec(range=">=3.10", implementation="pypy")),
        ("3.15.0rc1", Spec(range="==3.15.0rc1")),
        ("3.15.0a1t", Spec(range="==3.15.0a1", flags="t")),
        ("/opt/python/bin/python", Spec(path="/opt/python/bin/python")),
        ("C:\\Python312\\python.exe", Spec(path="C:\\Python312\\python.exe")),
        ("c:/Python312/python.exe", Spec(path="c:/Python312/python.exe")),
        ("\\\\server\\share\\python.exe", Spec(path="\\\\server\\share\\python.exe")),
    ],
)
def test_what_can_be_asked_for(text: str, spec: Spec) -> None:
    assert parse_spec(text) == spec
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no Python version"),
        ("python", "no Python version"),
        ("3.", "no Python version"),
        ("3.12.1.2", "no Python version"),
        ("three", "no Python version"),
        ("t", "no Python version"),
        ("3.13x", "no Python version"),
        ("3.13+gil", "no Python version"),
        ("jython2.7", "no Python version"),
        ("²", "no Python version"),
        (">=three", "no range"),
        (">=3.10;<3.13", "no range"),
        ("bin/python", "relative path"),
        ("..\\python.exe", "relative path"),
    ],
)
def test_what_cannot_be_asked_for(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_spec(text)


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("3.14t", "Python 3.14 free-threaded"),
        ("3.13td", "Python 3.13 free-threaded debug"),
        ("pypy", "PyPy"),
        ("graalpy3.12", "GraalPy 3.12"),
        (">=3.11", "Python >=3.11"),
        ("3.15.0rc1", "Python 3.15.0rc1"),
        ("/bin/python", "/bin/python"),
    ],
)
def test_what_is_asked_for_in_words(text: str, spoken: str) -> None:
    assert parse_spec(text).spoken == spoken


@given(
    st.lists(st.integers(0, 999), min_size=1, max_size=3),
    st.sampled_from(["", "python", "cpython", " ", "pypy", "graalpy"]),
    st.sampled_from(["", "t", "d", "td"]),
)
def test_a_version_comes_back(numbers: list[int], prefix: str, flags: str) -> None:
    spec = parse_spec(prefix + ".".join(map(str, numbers)) + flags)
    assert (spec.version, spec.flags, spec.named) == (tuple(numbers), flags, True)
    assert parse_spec(str(spec)) == spec


@given(st.text() | st.text("<>=!~,.3120 pythnt+", max_size=12))
def test_any_other_text_is_a_value_error_and_nothing_else(text: str) -> None:
    try:
        spec = parse_spec(text)
    except ValueError:
        return
    parts = [bool(spec.version), bool(spec.path), bool(spec.range), text.strip().lower() in ("pypy", "graalpy")]
    assert sum(parts) == 1
    assert parse_spec(str(spec)) == spec


@given(st.lists(st.integers(0, 20), max_size=3), st.lists(st.integers(0, 20), max_size=3))
def test_allows_is_contains_with_an_unknown_rest(wanted: list[int], known: list[int]) -> None:
    spec, version = Spec(tuple(wanted)), tuple(known)
    assert not spec.contains(version) or spec.allows(version)
    if len(known) >= len(wanted):
        assert spec.contains(version) == spec.allows(version)


@given(st.sampled_from([">=", "<", "<=", ">", "==", "!=", "~="]), st.lists(st.integers(0, 4), min_size=2, max_size=3))
def test_the_short_way_is_packagings(sign: str, limit: list[int]) -> None:
    from packaging.specifiers import SpecifierSet

    clause = f"{sign}{'.'.join(map(str, limit))}"
    for version in ("3.0", "3.1", "2.4.4", "4", "1.2.3", "3.0.0rc1"):
        assert allowed(clause)(version) == SpecifierSet(clause).contains(version, prereleases=True), version


@pytest.mark.parametrize(
    ("texts", "specs"),
    [
        (["3.10,3.11", "3.12"], ["3.10", "3.11", "3.12"]),
        (["3.10, >=3.11,<3.13,3.14t"], ["3.10", ">=3.11,<3.13", "3.14t"]),
        (["pypy>=3.9,<3.11,3.12"], ["pypy>=3.9,<3.11", "3.12"]),
        ([">=3.11", "<3.13"], [">=3.11", "<3.13"]),
        (["", " , "], []),
    ],
)
def test_commas_separate_requests_but_not_ranges(texts: list[str], specs: list[str]) -> None:
    assert split_specs(texts) == specs


def test_flags_in_words() -> None:
    assert [kind_of(flags) for flags in ("", "t", "d", "td")] == ["", "free-threaded", "debug", "free-threaded debug"]


# ----------------------------------------------------------------------------------------------- .python-version


@pytest.mark.parametrize(
    ("content", "specs"),
    [
        ("3.12\n", ["3.12"]),
        ("\ufeff3.12.1", ["3.12.1"]),
        ("# ours\n\n  3.13t  # fast\n3.12\r\n", ["3.13t", "3.12"]),
        ("3.12.1 3.11.4\n", ["3.12.1", "3.11.4"]),
        ("pypy3.10-7.3.12", ["pypy3.10"]),
        ("pypy3.11-v7.3.19", ["pypy3.11"]),
        ("cpython-3.12.1-linux-x86_64-gnu", ["3.12.1"]),
        ("cpython-3.13.0+freethreaded-macos-aarch64-none", ["3.13.0t"]),
        ("pypy-3.10.14-linux-x86_64-gnu", ["pypy3.10.14"]),
        ("3.15-dev", ["3.15"]),
        ("3.15t-dev", ["3.15t"]),
        ("3.15.0rc1", ["3.15.0rc1"]),
        (">=3.11,<3.13", [">=3.11,<3.13"]),
        ("system\n", []),
        ("# nothing\n", []),
    ],
)
def test_a_python_version_file(tmp_path: Path, content: str, specs: list[str]) -> None:
    (tmp_path / ".python-version").write_text(content, encoding="utf-8", newline="")
    lines = read_file(str(tmp_path))
    assert [str(line.spec) for line in lines] == specs


def test_no_file_or_none_that_can_be_read_says_nothing(tmp_path: Path) -> None:
    assert read_file(str(tmp_path)) == []
    (tmp_path / ".python-version").mkdir()
    assert read_file(str(tmp_path)) == []


@pytest.mark.parametrize(
    ("content", "line", "why"), [(b"3.12\nmyenv\n", 2, "'myenv' is no Python version"), (b"3.12\xff", 1, "UTF-8")]
)
def test_what_makes_no_sense_is_named_with_its_line(tmp_path: Path, content: bytes, line: int, why: str) -> None:
    file = tmp_path / ".python-version"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=why) as caught:
        read_file(str(tmp_path))
    assert caught.value.where == f"{file}:{line}"


@given(content=st.binary(max_size=60))
def test_any_other_content_is_an_error_with_a_line_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / ".python-version").write_bytes(content)
    try:
        lines = read_file(str(folder))
    except ConfigError as error:
        where = [error.where]
    else:
        where = [line.where for line in lines if line.spec.named or pytest.fail("a line that asks for nothing")]
    assert all(".python-version:" in one for one in where)
