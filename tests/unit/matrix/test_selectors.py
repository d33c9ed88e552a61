"""Do selectors mean what they mean in cibuildwheel and in bash?"""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb.errors import ConfigError
from hwb.matrix.selectors import expand_braces, matches, matching_nothing


@pytest.mark.parametrize(
    ("word", "expanded"),
    [
        ("cp312-*", ["cp312-*"]),
        ("cp3{12,13}-*", ["cp312-*", "cp313-*"]),
        ("{a,b}{c,d}", ["ac", "ad", "bc", "bd"]),
        ("{a,b{c,d}}e", ["ae", "bce", "bde"]),
        ("x{,y}", ["x", "xy"]),
        ("{1..3}", ["1", "2", "3"]),
        ("{3..1}", ["3", "2", "1"]),
        ("{08..11}", ["08", "09", "10", "11"]),
        ("{1..9..4}", ["1", "5", "9"]),
        ("{-1..1}", ["-1", "0", "1"]),
        ("{a..e..2}", ["a", "c", "e"]),
        ("{a}", ["{a}"]),
        ("{}", ["{}"]),
        ("{{a,b}}", ["{a}", "{b}"]),
        ("{a,{b,c}", ["{a,b", "{a,c"]),
        ("a}b", ["a}b"]),
        ("{1..b}", ["{1..b}"]),
        ("{1..2..x}", ["{1..2..x}"]),
        ("{1..2..3..4}", ["{1..2..3..4}"]),
        (r"\{a,b}", ["{a,b}"]),
        (r"a\\{b,c}", ["a\\b", "a\\c"]),
        ("a\\", ["a\\"]),
    ],
)
def test_braces(word: str, expanded: list[str]) -> None:
    assert expand_braces(word) == expanded


@pytest.mark.parametrize("word", ["{1..5000}", "{a,b}" * 11, "x" * 1001, "{0..99999}"])
def test_what_would_never_end_is_an_error(word: str) -> None:
    with pytest.raises(ConfigError, match="1000"):
        expand_braces(word)


@given(st.text(alphabet="ab{},.*1\\", max_size=40))
def test_every_word_ends_in_patterns_or_in_our_error(word: str) -> None:
    with contextlib.suppress(ConfigError):
        assert expand_braces(word)


@given(st.text(alphabet=st.characters(exclude_characters="{}\\"), max_size=40))
def test_words_without_braces_stay(word: str) -> None:
    assert expand_braces(word) == [word]


def test_words_are_separated_by_space_and_any_may_match() -> None:
    assert matches("pp* cp312-*", "cp312-win32")
    assert matches("cp3??t-*", "cp314t-manylinux_x86_64")
    assert not matches("cp312", "cp312-win32")
    assert not matches("CP312-*", "cp312-win32")
    assert not matches("", "cp312-win32")


def test_words_that_match_nothing_are_named() -> None:
    assert matching_nothing("cp3{11,99}-* cp38-* *", ["cp311-win32"]) == ["cp38-*"]
