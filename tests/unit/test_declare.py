"""Declarations: every keyword checked where it stands, mistakes named with file and line."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import hwb
from hwb.declare import MARK, PARAMS, REGISTERED, check_parameters
from hwb.errors import HwbfileError


def declare(**keywords: Any) -> Any:
    @hwb.recipe(**keywords)
    def sample(session: Any) -> None:
        """First line.

        More.
        """

    return getattr(sample, MARK)


@pytest.fixture(autouse=True)
def _forget() -> Any:
    yield
    globals().pop(REGISTERED, None)


def test_a_plain_declaration_returns_the_function_and_is_listed_in_its_module() -> None:
    @hwb.recipe
    def plain(session: Any) -> int:
        return 7

    recipe = getattr(plain, MARK)

    assert plain(None) == 7
    assert globals()[REGISTERED][-1] is recipe
    assert (recipe.name, dict(recipe.options), recipe.layer, recipe.doc) == ("plain", {}, "", "")
    assert recipe.where.startswith(__file__)


def test_options_keep_only_what_was_written() -> None:
    recipe = declare(
        py=["3.12", "3.12", "3.13"], tags=["a"], requires=("b",), timeout=5, resources=["db"], name="other"
    )

    assert recipe.name == "other"
    assert recipe.doc == "First line."
    assert dict(recipe.options) == {
        "python": ("3.12", "3.13"),
        "tags": ("a",),
        "requires": ("b",),
        "timeout": 5.0,
        "resources": {"db": 1},
    }


def test_none_means_not_written_except_where_it_says_something() -> None:
    assert dict(declare(python=None, timeout=None, tags=None, reuse_venv=None).options) == {
        "python": None,
        "timeout": None,
    }


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"pyhton": "3.12"}, "did you mean python=?"),
        ({"python": "3.x"}, "3.x"),
        ({"python": 3.12}, "3.12"),
        ({"python": [3.12]}, "without quotes"),
        ({"python": "3.12", "py": "3.12"}, "same keyword"),
        ({"venv_backend": "conda"}, "conda"),
        ({"venv_backend": "wat"}, "wat"),
        ({"timeout": 0}, "seconds above 0"),
        ({"timeout": True}, "seconds above 0"),
        ({"retries": -1}, "0 or more"),
        ({"retries": 1.5}, "0 or more"),
        ({"tags": "check"}, "a list of strings"),
        ({"tags": [1]}, "a list of strings"),
        ({"isolation": "docker"}, "auto or venv or none"),
        ({"resources": "db"}, "mutex"),
        ({"resources": {"db": 0}}, "above 0"),
        ({"reuse_venv": "yes"}, "True or False"),
        ({"download_python": "sometimes"}, "always"),
        ({"name": "a b"}, "without spaces"),
        ({"requires": 5}, "not possible"),
    ],
)
def test_mistakes_in_keywords(keywords: dict[str, Any], said: str) -> None:
    with pytest.raises(HwbfileError) as caught:
        declare(**keywords)

    assert said in caught.value.explain()
    assert caught.value.where.startswith(f"{__file__}:")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("word", ["auto", "never", "always"])
def test_download_python_has_the_words_of_nox(word: str) -> None:
    assert declare(download_python=word, venv_backend="uv|virtualenv").options["download_python"] == word


def test_a_recipe_takes_a_session() -> None:
    with pytest.raises(HwbfileError, match="takes no session"):

        @hwb.recipe
        def nothing() -> None: ...

    @hwb.recipe
    def anything(*args: Any) -> None: ...

    assert getattr(anything, MARK).name == "anything"


def test_only_functions_are_recipes() -> None:
    with pytest.raises(HwbfileError, match="no function"):
        hwb.recipe(SimpleNamespace(__name__="x"))  # type: ignore[call-overload]


# --- parametrize -----------------------------------------------------------------------------------------------------


def sets(function: Any) -> list[tuple[dict[str, Any], str, tuple[str, ...]]]:
    return [(dict(s.values), s.text, s.tags) for s in getattr(function, PARAMS)]


def test_one_name_takes_values_several_take_tuples() -> None:
    @hwb.parametrize("a", [1, "x"])
    def one(session: Any, a: Any) -> None: ...

    @hwb.parametrize("a, b", [(1, 2), hwb.param(3, 4, id="last", tags=["slow"])])
    def two(session: Any, a: Any, b: Any) -> None: ...

    assert sets(one) == [({"a": 1}, "a=1", ()), ({"a": "x"}, "a='x'", ())]
    assert sets(two) == [({"a": 1, "b": 2}, "a=1, b=2", ()), ({"a": 3, "b": 4}, "last", ("slow",))]


def test_ids_tags_generators_and_single_values() -> None:
    @hwb.parametrize(["a"], iter([1, 2, 3]), ids=["one", None], tags=[["t"]])
    def many(session: Any, a: Any) -> None: ...

    @hwb.parametrize("a", "single")
    def single(session: Any, a: Any) -> None: ...

    @hwb.parametrize("a, b", hwb.param(1, 2))
    def pair(session: Any, a: Any, b: Any) -> None: ...

    assert [text for _, text, _ in sets(many)] == ["one", "a=2", "a=3"]
    assert [tags for _, _, tags in sets(many)] == [("t",), (), ()]
    assert sets(single) == [({"a": "single"}, "a='single'", ())]
    assert sets(pair) == [({"a": 1, "b": 2}, "a=1, b=2", ())]


def test_stacked_decorators_multiply_in_noxs_order() -> None:
    @hwb.parametrize("b", [3, 4])
    @hwb.parametrize("a", [1, 2])
    def both(session: Any, a: Any, b: Any) -> None: ...

    assert [text for _, text, _ in sets(both)] == ["a=1, b=3", "a=2, b=3", "a=1, b=4", "a=2, b=4"]


@pytest.mark.parametrize(
    ("names", "values", "said"),
    [("", [1], "names no arguments"), ("a b", [1], "names no arguments"), ("a, b", [(1,)], "2 argument")],
)
def test_mistakes_in_parametrize(names: str, values: list[Any], said: str) -> None:
    with pytest.raises(HwbfileError, match=said) as caught:
        hwb.parametrize(names, values)

    assert caught.value.where.startswith(f"{__file__}:")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def f(session, a): ...", "nothing gives a"),
        ("def f(session, a=1): ...", None),
        ("def f(session, *, a): ...", "nothing gives a"),
        ("def f(session, *, a=1): ...", None),
        ("def f(session, **kw): ...", None),
    ],
)
def test_arguments_that_nobody_gives(source: str, said: str | None) -> None:
    namespace: dict[str, Any] = {"hwb": hwb}
    exec(f"@hwb.recipe\n{source}", namespace)
    recipe = namespace[REGISTERED][0]
    if said is None:
        check_parameters(recipe)
    else:
        with pytest.raises(HwbfileError, match=said):
            check_parameters(recipe)
