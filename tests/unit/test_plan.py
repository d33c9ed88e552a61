"""Plans: names, selections, order, circles; and ten thousand sessions in less than a second."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb.declare import ParamSet, Recipe
from hwb.errors import HwbfileError, NothingToRun, UsageError
from hwb.loader import Catalog, Entry
from hwb.plan import Plan, Request, expand, keyword_matcher, make_plan, reaches


def work(session: Any) -> None:
    """Does nothing."""


def recipe(name: str, params: tuple[ParamSet, ...] | None = None, layer: str = "hwbfile", **options: Any) -> Recipe:
    return Recipe(name, work, options, "hwbfile.py", len(name), layer, params)


def catalog(*recipes: Recipe) -> Catalog:
    return Catalog({r.name: Entry((r,)) for r in recipes})


def planned(*recipes: Recipe, **request: Any) -> list[str]:
    return make_plan(catalog(*recipes), Request(**request)).ids


def sets(*values: Any) -> tuple[ParamSet, ...]:
    return tuple(ParamSet({"a": value}) for value in values)


# --- names (nox's) ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "ids", "signatures"),
    [
        (recipe("t"), ["t"], [("t",)]),
        (recipe("t", python="3.12"), ["t"], [("t", "t-3.12")]),
        (recipe("t", python=False), ["t"], [("t",)]),
        (recipe("t", python=("3.12", "3.13")), ["t-3.12", "t-3.13"], [("t-3.12",), ("t-3.13",)]),
        (recipe("t", python=("3.12",)), ["t-3.12"], [("t-3.12",)]),
        (recipe("t", sets(1)), ["t(a=1)"], [("t(a=1)",)]),
        (recipe("t", sets(1), python=("3.12",)), ["t-3.12(a=1)"], [("t-3.12(a=1)", "t-3.12")]),
        (recipe("t", python=("3.12", "3.13"), venv_backend="none"), ["t"], [("t",)]),
        (recipe("t", (ParamSet({"python": "3.11"}),)), ["t(python='3.11')"], None),
    ],
)
def test_session_names(one: Recipe, ids: list[str], signatures: list[tuple[str, ...]] | None) -> None:
    sessions = expand(catalog(one))

    assert [s.id for s in sessions] == ids
    if signatures is not None:
        assert [s.signatures for s in sessions] == signatures


def test_a_parameter_called_python_chooses_the_interpreter() -> None:
    (session,) = expand(catalog(recipe("t", (ParamSet({"python": "3.11"}),))))

    assert session.python == "3.11"


@pytest.mark.parametrize(
    ("python", "ids"),
    [(None, ["t"]), (("3.12",), ["t-3.12", "t-3.9"]), (False, ["t"]), ("3.12", ["t-3.12", "t-3.9"])],
)
def test_a_forced_python_is_added(python: Any, ids: list[str]) -> None:
    sessions = expand(catalog(recipe("t", python=python)), Request(force_python="3.9"))

    assert [s.id for s in sessions] == ids
    assert sessions[-1].python == (False if python is False else "3.9")


# --- selection ---------------------------------------------------------------------------------------------------------

MANY = (
    recipe("lint", tags=("fast",)),
    recipe("test", (ParamSet({"db": "a"}, None, ("slow",)), ParamSet({"db": "b"}, "bee")), python=("3.12", "3.13")),
    recipe("docs", default=False),
    recipe("build", layer="shipped"),
)


@pytest.mark.parametrize(
    ("request_", "ids"),
    [
        ({}, ["lint", "test-3.12(db='a')", "test-3.12(bee)", "test-3.13(db='a')", "test-3.13(bee)"]),
        ({"defaults": ("docs",)}, ["docs"]),
        ({"names": ("docs", "lint", "docs")}, ["docs", "lint"]),
        ({"names": ("test-3.13",)}, ["test-3.13(db='a')", "test-3.13(bee)"]),
        ({"names": ('test-3.13( db="a" )',)}, ["test-3.13(db='a')"]),
        ({"tags": ("slow", "fast")}, ["lint", "test-3.12(db='a')", "test-3.13(db='a')"]),
        ({"pythons": ("3.13",)}, ["test-3.13(db='a')", "test-3.13(bee)"]),
        ({"keywords": "test and not bee or docs"}, ["test-3.12(db='a')", "test-3.13(db='a')", "docs"]),
        ({"names": ("test",), "keywords": "3.12 and bee"}, ["test-3.12(bee)"]),
    ],
)
def test_what_is_chosen(request_: dict[str, Any], ids: list[str]) -> None:
    assert planned(*MANY, **request_) == ids


def test_an_unknown_name_is_an_error_with_the_nearest_ones() -> None:
    with pytest.raises(UsageError, match="no such session: lnit") as caught:
        planned(*MANY, names=("lnit",))

    assert "lint" in caught.value.remedy


def test_a_selection_of_nothing_and_no_default_at_all() -> None:
    with pytest.raises(NothingToRun):
        planned(*MANY, tags=("none",))
    with pytest.raises(UsageError, match="no session is a default") as caught:
        planned(MANY[3])

    assert caught.value.exit_code == 2


@pytest.mark.parametrize("bad", ["", "and", "a or", "(a", "a)", "not", "a b", "()"])
def test_keyword_expressions_that_mean_nothing(bad: str) -> None:
    with pytest.raises(UsageError, match="cannot be understood"):
        keyword_matcher(bad)


@given(
    st.recursive(
        st.sampled_from(["aa", "bb", "cc"]),
        lambda inner: st.one_of(
            inner.map(lambda x: f"not ({x})"),
            st.tuples(inner, inner).map(lambda p: f"({p[0]}) and ({p[1]})"),
            st.tuples(inner, inner).map(lambda p: f"({p[0]}) or ({p[1]})"),
        ),
        max_leaves=8,
    ),
    st.sets(st.sampled_from(["aa", "bb", "cc"])),
)
def test_keyword_expressions_mean_what_python_says(expression: str, names: set[str]) -> None:
    expected = eval(expression, {}, {word: word in names for word in ("aa", "bb", "cc")})

    assert keyword_matcher(expression)(names) is bool(expected)


# --- the graph -----------------------------------------------------------------------------------------------------------


def test_requires_pulls_in_and_orders_after_only_orders() -> None:
    recipes = (
        recipe("a", requires=("b", "c")),
        recipe("b", after=("c", "z")),
        recipe("c"),
        recipe("z"),
    )

    assert planned(*recipes, names=("a",)) == ["c", "b", "a"]
    assert planned(*recipes, names=("b", "z")) == ["z", "b"]


def test_a_name_of_several_sessions_means_all_of_them() -> None:
    plan = make_plan(
        catalog(recipe("t", python=("3.12", "3.13")), recipe("all", requires=("t",))), Request(names=("all",))
    )

    assert plan.ids == ["t-3.12", "t-3.13", "all"]
    assert plan.direct_needs("all") == ["t-3.12", "t-3.13"]


def test_the_python_placeholder() -> None:
    recipes = (recipe("b", python=("3.12", "3.13")), recipe("t", python=("3.12", "3.13"), requires=("b-{python}",)))
    plan = make_plan(catalog(*recipes), Request(names=("t-3.13",)))

    assert plan.ids == ["b-3.13", "t-3.13"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"requires": ("bild",)}, "requires 'bild', which does not exist"),
        ({"after": ("bild",)}, "after 'bild', which does not exist"),
        ({"requires": ("b-{python}",)}, "its own python is None"),
        ({"requires": ("b-{wat}",), "python": "3.12"}, "wat"),
        ({"requires": ("t",)}, r"circle: t \(hwbfile.py:1\) -> t"),
    ],
)
def test_requirements_that_cannot_be(options: dict[str, Any], said: str) -> None:
    with pytest.raises(HwbfileError, match=said) as caught:
        planned(recipe("build"), recipe("t", **options), names=("t",))

    assert caught.value.where == "hwbfile.py:1"


def test_a_wrong_requirement_of_a_session_that_is_not_run_does_not_matter() -> None:
    assert planned(recipe("ok"), recipe("t", requires=("bild",)), names=("ok",)) == ["ok"]


def test_a_circle_is_shown_as_a_path() -> None:
    recipes = (recipe("a", requires=("bb",)), recipe("bb", after=("ccc",)), recipe("ccc", requires=("a",)))
    with pytest.raises(HwbfileError) as caught:
        planned(*recipes, names=("a", "ccc"))

    assert "a (hwbfile.py:1)" in str(caught.value)
    assert "bb (hwbfile.py:2)" in str(caught.value)
    assert "ccc (hwbfile.py:3)" in str(caught.value)


def test_a_circle_through_a_group() -> None:
    recipes = (recipe("t", python=("3.12", "3.13"), requires=("all",)), recipe("all", requires=("t",)))
    with pytest.raises(HwbfileError, match="circle"):
        planned(*recipes, names=("all",))


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=30))
def test_needs_come_before_needers(pairs: list[tuple[int, int]]) -> None:
    needs: dict[int, list[str]] = {}
    for low, high in pairs:
        if low < high:
            needs.setdefault(high, []).append(f"s{low}")
    recipes = [recipe(f"s{n}", requires=tuple(needs.get(n, ()))) for n in range(12)]
    order = planned(*recipes)

    assert sorted(order) == sorted(f"s{n}" for n in range(12))
    for high, lows in needs.items():
        assert all(order.index(low) < order.index(f"s{high}") for low in lows)


def test_ten_thousand_sessions_as_a_chain_and_as_a_cross() -> None:
    chain = [recipe("s0"), *(recipe(f"s{n}", requires=(f"s{n - 1}",)) for n in range(1, 10_000))]
    cross = [recipe("b", sets(*range(5_000))), recipe("t", sets(*range(5_000)), requires=("b",))]
    started = time.process_time()
    plans = [make_plan(catalog(*recipes), Request()) for recipes in (chain, cross)]
    both = time.process_time() - started
    small = time.process_time()
    make_plan(catalog(*chain[:1000]), Request())
    small = time.process_time() - small

    assert plans[0].ids == [f"s{n}" for n in range(10_000)]
    assert len(plans[1].sessions) == 10_000
    # no absolute time: twenty times the sessions may not take more than some sixty times the time
    assert both < 60 * max(small, 0.005)


def test_an_empty_plan_needs_nothing() -> None:
    assert Plan(()).direct_needs("x") == []


# --- targets ---------------------------------------------------------------------------------------------------------


def test_a_recipe_with_targets_has_a_session_for_each() -> None:
    known = catalog(
        recipe("first"),
        recipe("each", targets=True, requires=("first",), tags=("t",)),
        recipe("last", requires=("each",)),
        recipe("other", python=("3.11", "3.12")),
    )
    targets = ("cp312-a_x", "cp313-a_x")
    plan = make_plan(known, Request(("last",), targets=targets))
    assert plan.ids == ["first", "each(cp312-a_x)", "each(cp313-a_x)", "last"]
    assert [session.target for session in plan.sessions] == ["", "cp312-a_x", "cp313-a_x", ""]
    assert plan.direct_needs("last") == ["each(cp312-a_x)", "each(cp313-a_x)"]
    assert make_plan(known, Request(("each(cp313-a_x)",), targets=targets)).ids == ["first", "each(cp313-a_x)"]
    assert make_plan(known, Request(("last",))).ids == ["first", "each", "last"], "while nobody knows the targets"


@pytest.mark.parametrize(
    ("name", "found"),
    [("last", True), ("each(cp313-a_x)", True), ("first", False), ("other-3.12", False), ("nothing", False)],
)
def test_whether_targets_have_to_be_known(name: str, found: bool) -> None:
    known = catalog(
        recipe("first"), recipe("each", targets=True), recipe("last", requires=("each",)),
        recipe("other", python=("3.11", "3.12"), requires=("first",)),
    )  # fmt: skip
    assert reaches(known, [name], "targets") is found


def test_all_targets_means_every_wheel_where_there_are_targets() -> None:
    known = catalog(
        recipe("sdist"), recipe("build"), recipe("test", requires=("build",)),
        recipe("matrix", targets=True, requires=("sdist",)),
        recipe("publish", requires=("build", "test", "sdist"), all_targets=True),
        recipe("own", requires=("build",)),
    )  # fmt: skip
    targets = ("cp312-a_x", "cp313-a_x")
    plan = make_plan(known, Request(("publish",), targets=targets))
    assert plan.ids == ["sdist", "matrix(cp312-a_x)", "matrix(cp313-a_x)", "publish"]
    assert plan.direct_needs("publish") == ["matrix(cp312-a_x)", "matrix(cp313-a_x)", "sdist"]
    assert make_plan(known, Request(("publish",))).ids == ["build", "test", "sdist", "publish"], "one wheel is all"
    assert make_plan(known, Request(("own",), targets=targets)).ids == ["build", "own"], "it did not ask for all"


@pytest.mark.parametrize(("requires", "found"), [(("build",), True), (("sdist",), False), ((), False)])
def test_all_targets_counts_where_a_step_is_required(requires: tuple[str, ...], found: bool) -> None:
    known = catalog(recipe("build"), recipe("sdist"), recipe("publish", requires=requires, all_targets=True))
    assert reaches(known, ["publish"], "all_targets") is found
