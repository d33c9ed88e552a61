"""The rules of `--resume`: what decides a plan, what a session worked on, and what is taken over."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb.artifacts import Artifact, Kind, Ledger, Verdict
from hwb.declare import ParamSet, Recipe
from hwb.keys import KEYS
from hwb.loader import Catalog, Entry
from hwb.plan import Plan, PlannedSession
from hwb.runner import resuming
from hwb.runner.resuming import (
    Inputs,
    Sources,
    changed,
    decisive,
    differences,
    digest_of,
    is_record,
    part_of,
    session_texts,
    taken_over,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def plan(**needs: Sequence[str]) -> Plan:
    """Sessions in the order of the keywords, with what each needs."""
    sessions = tuple(PlannedSession(name, name, (name,)) for name in needs)
    return Plan(sessions, {name: tuple(found) for name, found in needs.items() if found})


def artifact(session: str, path: str, sha256: str) -> Artifact:
    name = path.rpartition("/")[2]
    return Artifact(path, name, Kind.of_name(name), sha256, 1, session, session)


CHAIN = plan(sdist=(), build=("sdist",), repair=("build",), test=("repair",))


# --- digests ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.text()), st.lists(st.text()))
def test_other_texts_have_another_digest(one: list[str], other: list[str]) -> None:
    assert (digest_of(*one) == digest_of(*other)) == (one == other)


def test_settings_that_say_how_and_not_what_do_not_count() -> None:
    defaults = {name: key.default for name, key in KEYS.items()}
    assert set(KEYS) >= resuming.FREE
    changed = {**defaults, **dict.fromkeys(resuming.FREE, "other"), "python": "3.11", "matrix": {"b": 1, "a": 2}}
    assert decisive(changed, defaults) == {"python": '"3.11"', "matrix": '{"a": 2, "b": 1}'}
    assert decisive(defaults, defaults) == {}
    page = Path(resuming.__file__).parents[2] / "docs" / "how-to" / "resume-a-run.md"
    listed = page.read_text(encoding="utf-8").partition("only say how a run goes:")[2].partition(".\n")[0]
    assert set(re.findall(r"`([a-z-]+)`", listed)) == resuming.FREE


def texts(session: PlannedSession, layer: str = "hwbfile", words: Sequence[str] = (), **needs: Any) -> str:
    entry = Entry((Recipe("a", lambda _session: None, {}, "hwbfile.py", 3, layer),))
    found = session_texts(Plan((session,), needs), Catalog({"a": entry}), lambda _session: words, str.upper)
    return found["a"]


def test_each_thing_that_makes_a_session_changes_its_text() -> None:
    plain = PlannedSession("a", "a", ("a",))
    others = [
        texts(plain),
        texts(plain, layer="shipped"),
        texts(plain, words=["-x"]),
        texts(plain, words=["-", "x"]),
        texts(plain, a=("b",)),
        texts(replace(plain, python="3.12")),
        texts(replace(plain, python=False)),
        texts(replace(plain, params=ParamSet({"n": 1}))),
        texts(replace(plain, params=ParamSet({"n": 2}))),
        texts(replace(plain, target="cp312-manylinux_x86_64")),
    ]
    assert len(set(others)) == len(others)
    assert texts(plain) == texts(plain)
    assert "HWBFILE.PY" in texts(plain)


RECORD: dict[str, Any] = {
    "schema": resuming.SCHEMA,
    "digest": "d",
    "hwb": "1",
    "python": "3.12.1",
    "directory": "here",
    "options": [],
    "files": {"hwbfile.py": "1"},
    "sessions": {"a": "1", "b": "1"},
    "settings": {},
    "targets": {},
}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, []),
        ({"files": {"hwbfile.py": "2"}}, ["recipe files: hwbfile.py (changed)"]),
        ({"sessions": {"b": "2", "c": "1"}}, ["sessions: a (gone), b (changed), c (new)"]),
        ({"settings": {"python": "1"}, "hwb": "2"}, ["settings: python (new)", "hwb: 1 then, 2 now"]),
        ({"targets": {str(n): "1" for n in range(7)}}, ["wheels: 0 (new), 1 (new), 2 (new), 3 (new), 4 (new) and 2 more"]),
        ({"options": ["install_only"]}, ["options: [] then, ['install_only'] now"]),
        ({"directory": "there", "python": "3"}, ["directory: here then, there now", "Python of hwb: 3.12.1 then, 3 now"]),
    ],
)  # fmt: skip
def test_what_differs_is_told_by_name(change: Mapping[str, Any], told: list[str]) -> None:
    assert differences(RECORD, {**RECORD, **change}) == told


@pytest.mark.parametrize(
    "data",
    [None, [], {}, {**RECORD, "schema": "hwb.run-plan/0"}, {**RECORD, "digest": 1}, {**RECORD, "files": []}],
)
def test_what_is_no_record_is_not_taken_for_one(data: Any) -> None:
    assert is_record(RECORD)
    assert not is_record(data)


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        (Sources("1", "c", {"a": "1"}), Sources("2", "d", {"a": "1"}), "the commit"),
        (Sources("1", "c", {"a": "1", "b": "1"}), Sources("2", "c", {"a": "2", "c": ""}), "a, b, c"),
        (Sources("1", "", {}), Sources("2", "", {str(n): "" for n in range(7)}), "0, 1, 2, 3, 4 and 2 more"),
        (Sources("1", "c", None), Sources("2", "c", {"a": "1"}), ""),
        (Sources("1", "c", {}), Sources("2", "c", None), ""),
    ],
)
def test_changes_of_the_sources_are_told_by_name(then: Sources, now: Sources, told: str) -> None:
    assert changed(then, now) == told


@pytest.mark.parametrize("data", [None, [], {}, {"digest": 1, "commit": None, "loose": []}])
def test_what_says_nothing_of_sources(data: Any) -> None:
    assert Sources.of(data) == Sources()
    known = Sources("1", "c", {"a": "1"})
    assert Sources.of(json.loads(json.dumps(known._asdict()))) == known


# --- inputs -----------------------------------------------------------------------------------------------------------


def all_inputs(of: Plan, base: str = "base", made: Mapping[str, Sequence[Artifact]] | None = None) -> dict[str, str]:
    inputs = Inputs(of, base, lambda session: (made or {}).get(session, ()))
    return {name: inputs.of(name) for name in of.ids}


def test_inputs_change_with_plan_and_tree_and_with_what_is_needed() -> None:
    plain = all_inputs(CHAIN)
    assert len(set(plain.values())) == 4
    assert plain == all_inputs(CHAIN)
    assert not set(all_inputs(CHAIN, "other").values()) & set(plain.values())
    built = all_inputs(CHAIN, made={"build": [artifact("build", "/dist/a.whl", "1")]})
    other = all_inputs(CHAIN, made={"build": [artifact("build", "/dist/a.whl", "2")]})
    same = [name for name in CHAIN.ids if built[name] == other[name]]
    assert same == ["sdist", "build"], "also the test has other inputs, which needs the build only through the repair"


def test_the_order_in_which_artifacts_were_recorded_does_not_count() -> None:
    one, two = artifact("sdist", "/a", "1"), artifact("sdist", "/b", "2")
    assert all_inputs(CHAIN, made={"sdist": [one, two]}) == all_inputs(CHAIN, made={"sdist": [two, one]})


def test_all_of_a_group_is_input() -> None:
    grouped = replace(plan(one=(), two=(), last=("*each",)), groups={"*each": ("one", "two")})
    plain, other = all_inputs(grouped), all_inputs(grouped, made={"two": [artifact("two", "/a", "1")]})
    assert plain["last"] != other["last"]
    assert plain["one"] == other["one"]


def test_long_chains_and_large_crosses_are_no_trouble() -> None:
    chain = plan(**{f"s{n}": (f"s{n - 1}",) if n else () for n in range(3000)})
    assert len(set(all_inputs(chain).values())) == 3000
    names = {f"a{n}": () for n in range(1000)}
    cross = plan(**names, **{f"b{n}": ("*a",) for n in range(1000)})
    assert len(set(all_inputs(replace(cross, groups={"*a": tuple(names)})).values())) == 2000


# --- taking over ------------------------------------------------------------------------------------------------------

SDIST, WHEEL = artifact("sdist", "/dist/a.tar.gz", "s"), artifact("build", "/dist/a-linux.whl", "w")
REPAIRED = artifact("repair", "/dist/a-manylinux.whl", "r")


def lines(*done: str, inputs: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """The ledger of a run of CHAIN in which these sessions were done and the others failed after they had made things."""
    ledger = Recording(None)
    ledger.set_missing([])
    ledger.add(SDIST)
    ledger.add(WHEEL)
    ledger.add(REPAIRED)
    ledger.replaces("w", "r")
    ledger.add_verdict(Verdict("r", REPAIRED.name, "tested", True, ""))
    made = {one.session: [one] for one in (SDIST, WHEEL, REPAIRED)}
    for name, digest in all_inputs(CHAIN, made=made).items():
        if name in done:
            ledger.add_done(name, (inputs or {}).get(name, digest), "success", "run")
    return ledger.lines


class Recording(Ledger):
    """Keeps its lines."""

    def __init__(self, path: None) -> None:
        super().__init__(path)
        self.lines: list[dict[str, Any]] = []

    def _append(self, *records: dict[str, Any]) -> None:
        super()._append(*records)
        self.lines += records


ALL = ("sdist", "build", "repair", "test")


@pytest.mark.parametrize(
    ("done", "inputs", "gone", "taken", "lost"),
    [
        pytest.param(ALL, {}, (), set(ALL), set(), id="all is done"),
        pytest.param((), {}, (), set(), set(), id="nothing is done"),
        pytest.param(("sdist", "build"), {}, (), {"sdist", "build"}, set(), id="some is"),
        pytest.param(ALL, dict.fromkeys(ALL, "other"), (), set(), set(), id="the tree changed"),
        pytest.param(ALL, {"build": "other"}, (), {"sdist"}, set(), id="a need had other inputs"),
        pytest.param(("sdist", "repair", "test"), {}, (), {"sdist"}, set(), id="a need is not done"),
        pytest.param(ALL, {}, ("w",), set(ALL), set(), id="what was replaced may be gone"),
        pytest.param(ALL, {}, ("r",), {"sdist", "build"}, {"repair"}, id="the replacement is gone"),
        pytest.param(ALL, {}, ("w", "r"), {"sdist"}, {"build", "repair"}, id="both are gone"),
        pytest.param(("sdist", "build"), {}, ("w",), {"sdist"}, {"build"}, id="whoever replaced it is not done"),
        pytest.param(ALL, {}, ("s",), set(), {"sdist"}, id="the first is gone"),
    ],
)
def test_what_is_taken_over(
    done: Sequence[str], inputs: Mapping[str, str], gone: Sequence[str], taken: set[str], lost: set[str]
) -> None:
    records = lines(*done, inputs=inputs)
    found, missed = taken_over(CHAIN, "base", records, lambda one: one.sha256 not in gone)
    assert found == taken
    assert missed.keys() == lost
    assert all(one.session == name for name, one in missed.items())


@pytest.mark.parametrize(("status", "taken"), [("success", {"sdist"}), ("skipped", {"sdist"}), ("failed", set())])
def test_only_good_ends_are_taken_over(status: str, taken: set[str]) -> None:
    records = [{**one, "status": status} for one in lines("sdist")]
    assert taken_over(CHAIN, "base", records, lambda _one: True)[0] == taken


def test_a_session_that_is_planned_no_more_is_nothing_to_take_over() -> None:
    found, _ = taken_over(plan(sdist=()), "base", lines(*ALL), lambda _one: True)
    assert found == {"sdist"}


def test_a_group_is_taken_over_as_a_whole() -> None:
    grouped = replace(plan(one=(), two=(), last=("*each",), end=("*each",)), groups={"*each": ("one", "two")})
    digests = all_inputs(grouped)

    def taken(*done: str) -> set[str]:
        ledger = Recording(None)
        for name in done:
            ledger.add_done(name, digests[name], "success", "run")
        return taken_over(grouped, "base", ledger.lines, lambda _one: True)[0]

    assert taken("one", "two", "last") == {"one", "two", "last"}
    assert taken("one", "last", "end") == {"one"}


def test_what_belongs_to_sessions() -> None:
    records = lines(*ALL)

    def kinds(sessions: Iterable[str]) -> list[tuple[str, str]]:
        found = part_of([*records, {"from": "a newer hwb"}], set(sessions))
        return [(one["record"], one.get("session", one.get("new", one.get("sha256")))) for one in found]

    assert kinds([]) == []
    assert kinds(["build"]) == [("artifact", "build"), ("done", "build")]
    assert kinds(["repair"]) == [("artifact", "repair"), ("replaces", "r"), ("verdict", "r"), ("done", "repair")]
    assert part_of(records, set(ALL)) == records[1:], "what is missing is looked at in every run"


@given(st.sets(st.sampled_from(ALL)), st.sets(st.sampled_from(["s", "w", "r"])))
def test_whatever_is_taken_over_has_its_needs_and_its_files(done: set[str], gone: set[str]) -> None:
    records = lines(*done)
    found, _ = taken_over(CHAIN, "base", records, lambda one: one.sha256 not in gone)
    assert found <= done
    assert all(set(CHAIN.needs.get(name, ())) <= found for name in found)
    assert not gone & {one.sha256 for one in Ledger.of(part_of(records, found)).leaves()}


def test_records_are_plain_data() -> None:
    records = lines(*ALL)
    assert json.loads(json.dumps(records)) == records
    assert SimpleNamespace(**records[-1]).record == "done"
