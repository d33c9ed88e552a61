"""Which of several places has the last word?"""

from __future__ import annotations

import pytest

from hwb.errors import ConfigError
from hwb.matrix.layers import Layer, check_layer, defaults, look_up, near
from hwb.target import System


def layer(where: str, values: dict[str, object], rules: dict[str, str] | None = None, select: str = "") -> Layer:
    return Layer(values, rules or {}, select, lambda name: f"{where}:{name}")


def test_nobody_gives_the_default_without_a_place() -> None:
    assert look_up("build", []) == ("*", "")
    assert look_up("manylinux-x86_64-image", []) == ("", "")
    assert not look_up("skip", [])
    assert look_up("repair-wheel-command", [defaults(System.MACOS)]).text.startswith("delocate-wheel")
    assert look_up("repair-wheel-command", [defaults(System.IOS)]) == ("", "")


def test_the_highest_wins_and_says_where() -> None:
    layers = [layer("a", {"skip": "x"}), layer("b", {"skip": ["y", "z"]}), layer("c", {"build": "q"})]
    assert look_up("skip", layers) == ("y z", "b:skip")


def test_an_empty_value_counts_except_where_it_means_unset() -> None:
    layers = [layer("a", {"skip": "x", "archs": "all"}), layer("b", {"skip": "", "archs": ""})]
    assert look_up("skip", layers) == ("", "b:skip")
    assert look_up("archs", layers) == ("all", "a:archs")


@pytest.mark.parametrize(("rule", "text"), [("append", "a && b"), ("prepend", "b && a"), ("none", "b")])
def test_inherit(rule: str, text: str) -> None:
    layers = [layer("a", {"before-all": "a"}), layer("b", {"before-all": ["b"]}, {"before-all": rule})]
    assert look_up("before-all", layers) == (text, "b:before-all")


def test_overrides_count_for_what_they_select() -> None:
    layers = [layer("a", {"test-command": "a"}), layer("b", {"test-command": "b"}, select="cp312-* pp*")]
    assert look_up("test-command", layers, "cp312-win32").text == "b"
    assert look_up("test-command", layers, "cp311-win32").text == "a"
    assert look_up("test-command", layers).text == "a"


def test_what_cannot_be_merged_is_an_error_with_its_place() -> None:
    layers = [layer("a", {"build-verbosity": 1}), layer("b", {"build-verbosity": 2}, {"build-verbosity": "append"})]
    with pytest.raises(ConfigError, match="build-verbosity cannot be appended") as caught:
        look_up("build-verbosity", layers)
    assert caught.value.where == "b:build-verbosity"


def test_unknown_names_and_wrong_forms_are_errors() -> None:
    for key, wrong in (("skipp", layer("a", {"skipp": "x"})), ("inherit", layer("a", {}, {"skipp": "append"}))):
        with pytest.raises(ConfigError, match="unknown option 'skipp'") as caught:
            check_layer(wrong, ["skip", "build"], "[table]")
        assert (caught.value.where, caught.value.remedy) == (f"a:{key}", "did you mean skip?")
    with pytest.raises(ConfigError, match="skip must be a text or a list"):
        check_layer(layer("a", {"skip": {"a": "b"}}), ["skip"], "[table]")


def test_near_lists_all_where_nothing_is_close() -> None:
    assert near("zzz", ["skip", "build"]) == "known: skip, build"
    assert near("before_all", ["before-all"]) == "did you mean before-all?"
