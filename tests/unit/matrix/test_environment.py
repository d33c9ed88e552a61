"""Is the environment what bash would make of it?"""

from __future__ import annotations

import contextlib
import shlex
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb.errors import ConfigError
from hwb.matrix.environment import assignments, evaluate

if TYPE_CHECKING:
    from collections.abc import Mapping


def answered(command: str, environ: Mapping[str, str]) -> str:
    return f"<{command}|{environ.get('A', '')}>\n\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("X=1", "1"),
        ("X=", ""),
        ("X='a b'\"c d\"e", "a bc de"),
        ("X='$HOME'", "$HOME"),
        ("X=$HOME/x", "/home/x"),
        ("X=${HOME}x", "/homex"),
        ('X="-I $HOME"', "-I /home"),
        ("X=$NONE", ""),
        ("X=$", "$"),
        ("X=$1", "$1"),
        ('X="a\\"b\\$c\\d"', 'a"b$c\\d'),
        ("X=a\\ b", "a b"),
        ("X=$(pkg --cflags 'a)b' | head)", "<pkg --cflags 'a)b' | head|>"),
        ('X="$(one "$(two)")!"', '<one "$(two)"|>!'),
        ("X=$(a (b) c)", "<a (b) c|>"),
        ("X=`cmd`", "<cmd|>"),
        ('X="`cmd`"', "<cmd|>"),
        ('X="a`b"', "a`b"),
        ('X="a\\\nb"', "ab"),
    ],
)
def test_words(text: str, value: str) -> None:
    assert evaluate(assignments(text), {"HOME": "/home"}, answered)["X"] == value


def test_each_assignment_sees_those_before_it() -> None:
    pairs = assignments('A=1\n  B="$A$A"   PATH=$PATH:$B C=$(x)')
    assert evaluate(pairs, {"PATH": "bin"}, answered) == {"A": "1", "B": "11", "PATH": "bin:11", "C": "<x|1>"}


@pytest.mark.parametrize(
    "text",
    ["X", "1=2", "X =1", "A=1; B=2", "A=1 && B=2", "A='x", 'A="x', "A=$(x", "A=`x", 'A="$(x"', "A=(1 2)", "A=1 B", "A=\"$(x '"],
)  # fmt: skip
def test_what_is_no_assignment_is_an_error_with_its_place(text: str) -> None:
    with pytest.raises(ConfigError, match="environment") as caught:
        assignments(text, "pyproject.toml:7")
    assert caught.value.where == "pyproject.toml:7"


@given(st.text(max_size=30))
def test_quoted_values_come_back(value: str) -> None:
    pairs = assignments(f"X={shlex.quote(value)}")
    assert evaluate(pairs, {}, answered) == {"X": value}


@given(st.text(alphabet="AB=$\"'`\\(){} x", max_size=25))
def test_no_text_gives_anything_but_a_value_or_our_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        evaluate(assignments(text), {}, answered)
