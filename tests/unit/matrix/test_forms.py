"""Does every value become the text that a variable would have, and do texts merge?"""

from __future__ import annotations

from typing import Any

import pytest

from hwb.matrix.forms import (
    COMMANDS,
    ENVIRONMENT,
    EXTRAS,
    FIELDS,
    PLAIN,
    QUOTED,
    SETTINGS,
    WORDS,
    Form,
    fields,
    pairs,
)


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (PLAIN, "x", "x"),
        (PLAIN, 3, "3"),
        (PLAIN, True, "True"),
        (WORDS, ["a", "b"], "a b"),
        (WORDS, [], ""),
        (QUOTED, ["pytest >= 8", "b", 1], "'pytest >= 8' b 1"),
        (EXTRAS, ["a", "b"], "a,b"),
        (COMMANDS, ["make", "make install"], "make && make install"),
        (ENVIRONMENT, {"A": "1", "B": "$A"}, 'A="1" B="$A"'),
        (SETTINGS, {"a": "x y", "b": ["1", "2"]}, "a='x y' b=1 b=2"),
        (SETTINGS, {"a": True}, "a=True"),
        (FIELDS, {"name": "docker", "create-args": ["a", "b c"]}, "name:docker; create-args:a; create-args:'b c'"),
    ],
)
def test_text(form: Form, value: Any, text: str) -> None:
    assert form.text(value) == text


@pytest.mark.parametrize(
    ("form", "value"),
    [(PLAIN, ["a"]), (PLAIN, {"a": "b"}), (WORDS, {"a": "b"}), (ENVIRONMENT, ["A=1"]), (WORDS, 1.5), (WORDS, [["a"]])],
)
def test_other_values_are_refused(form: Form, value: Any) -> None:
    with pytest.raises(ValueError, match=r"must be|may hold"):
        form.text(value)


@pytest.mark.parametrize(
    ("form", "before", "after", "merged"),
    [
        (WORDS, "a", "b", "a b"),
        (COMMANDS, "", "b", "b"),
        (COMMANDS, "a", "", "a"),
        (ENVIRONMENT, 'A="1"', 'A="2"', 'A="1" A="2"'),
        (SETTINGS, "a=1 b=2 b=3", "b=4 c='x y'", "a=1 b=4 c='x y'"),
    ],
)
def test_merged(form: Form, before: str, after: str, merged: str) -> None:
    assert form.merged(before, after) == merged


@pytest.mark.parametrize("form", [PLAIN, FIELDS])
def test_some_cannot_be_merged(form: Form) -> None:
    with pytest.raises(ValueError, match="cannot be appended"):
        form.merged("a", "b")


def test_pairs() -> None:
    assert pairs("a=1 'b=x y' c=d=e") == [("a", "1"), ("b", "x y"), ("c", "d=e")]
    with pytest.raises(ValueError, match="no key=value"):
        pairs("a")


def test_fields() -> None:
    assert fields("docker; create_args: --gpus all", "name") == {"name": ["docker"], "create_args": ["--gpus", "all"]}
    assert fields("name:docker; args:a; args:'b c';", "name") == {"name": ["docker"], "args": ["a", "b c"]}
    assert fields("skip environment; build: prepend") == {"skip": [], "environment": [], "build": ["prepend"]}
    assert fields("") == {}
    with pytest.raises(ValueError, match="second value"):
        fields("docker; podman", "name")
