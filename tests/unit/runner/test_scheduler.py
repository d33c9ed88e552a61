"""The scheduler: order, failures, resources, retries, notify and interruption, with a fake executor and clock."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hwb.declare import ParamSet, Recipe
from hwb.loader import Catalog, Entry
from hwb.plan import PlannedSession, Request, make_plan
from hwb.runner.outcome import Outcome, Status
from hwb.runner.scheduler import Limits, Scheduler
from hwb.runner.work import TIMED_OUT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def work(session: Any) -> None: ...


def recipe(name: str, params: Any = None, **options: Any) -> Recipe:
    return Recipe(name, work, options, "hwbfile.py", 1, "hwbfile", params)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Running:
    def __init__(self) -> None:
        self.cancelled: list[str] = []

    def cancel(self, reason: str) -> None:
        self.cancelled.append(reason)


class Executor:
    """Keeps what was submitted until the test (or `behave`, at once) says how it ended."""

    def __init__(self, slots: int, behave: Callable[[Any], Outcome | None] | None = None) -> None:
        self._slots = slots
        self.behave = behave or (lambda spec: Outcome(spec.id, Status.SUCCESS, attempt=spec.attempt))
        self.started: list[str] = []
        self.running: dict[str, tuple[Running, Callable[[Outcome], None]]] = {}
        self.most = 0

    def slots(self) -> int:
        return self._slots

    def labels(self) -> frozenset[str]:
        return frozenset()

    def submit(self, spec: Any, on_done: Callable[[Outcome], None]) -> Running:
        self.started.append(spec.id)
        running = Running()
        self.running[spec.id] = running, on_done
        self.most = max(self.most, len(self.running))
        outcome = self.behave(spec)
        if outcome is not None:
            self.end(outcome)
        return running

    def end(self, outcome: Outcome) -> None:
        _, on_done = self.running.pop(outcome.session)
        on_done(outcome)


class Rig:
    """A scheduler with everything fake around it; `tick` is where a test acts while it waits."""

    def __init__(
        self,
        *recipes: Recipe,
        slots: int = 2,
        names: Sequence[str] = (),
        limits: Limits | None = None,
        settled: dict[str, Outcome] | None = None,
    ) -> None:
        self.catalog = Catalog({r.name: Entry((r,)) for r in recipes})
        self.executor = Executor(slots)
        self.events: list[tuple[str, str | None, dict[str, Any]]] = []
        self.clock = Clock()
        self.on_tick: Callable[[], None] = lambda: None
        self.finished: list[str] = []
        plan = make_plan(self.catalog, Request(names=tuple(names)))
        self.scheduler = Scheduler(
            plan,
            self.catalog,
            self.executor,
            self.spec,
            self.emit,
            limits or Limits(),
            tick=self.tick,
            clock=self.clock,
            settled=settled,
            finished=lambda outcome: self.finished.append(f"{outcome.session} {outcome.status.value}"),
        )
        self.specs: list[Any] = []

    def tick(self) -> float:
        self.on_tick()
        return 0.0

    def spec(self, session: PlannedSession, posargs: Sequence[str] | None, attempt: int, alone: bool) -> Any:
        timeout = self.catalog.entries[session.recipe].option("timeout")
        spec = SimpleNamespace(id=session.id, log="log", posargs=posargs, attempt=attempt, alone=alone, timeout=timeout)
        self.specs.append(spec)
        return spec

    def emit(self, kind: str, session: str | None = None, **values: Any) -> None:
        self.events.append((kind, session, values))

    def run(self) -> dict[str, str]:
        return {outcome.session: outcome.status.value for outcome in self.scheduler.run()}

    def kinds(self, session: str) -> list[str]:
        return [kind for kind, name, _ in self.events if name == session]

    def reason(self, session: str) -> str:
        return next(v["reason"] for kind, name, v in self.events if kind == "session-finished" and name == session)


def failing(*names: str) -> Callable[[Any], Outcome]:
    def behave(spec: Any) -> Outcome:
        status = Status.FAILED if spec.id in names else Status.SUCCESS
        return Outcome(spec.id, status, exit_code=int(spec.id in names), attempt=spec.attempt)

    return behave


def test_everything_runs_in_order() -> None:
    rig = Rig(recipe("a", requires=("b",)), recipe("b"), recipe("c", after=("a",)), slots=1)

    assert rig.run() == {"b": "success", "a": "success", "c": "success"}
    assert rig.executor.started == ["b", "a", "c"]
    assert rig.kinds("a") == ["session-started", "session-finished"]
    assert rig.scheduler.queued == 0


def test_dependents_of_a_failure_are_aborted_and_the_rest_runs() -> None:
    rig = Rig(
        recipe("a"),
        recipe("b", requires=("a",)),
        recipe("c", requires=("b",)),
        recipe("d"),
        recipe("e", after=("a",)),
    )
    rig.executor.behave = failing("a")

    assert rig.run() == {"a": "failed", "b": "aborted", "c": "aborted", "d": "success", "e": "success"}
    assert rig.reason("b") == "needs a, which failed"
    assert rig.reason("c") == "needs b, which was aborted"


def test_a_session_is_aborted_once_however_many_of_its_needs_failed() -> None:
    rig = Rig(recipe("a"), recipe("b", requires=("a",)), recipe("c", requires=("a", "b")))
    rig.executor.behave = failing("a")
    rig.run()

    assert rig.kinds("c") == ["session-finished"]


def test_a_skipped_need_is_good_enough() -> None:
    rig = Rig(recipe("a"), recipe("b", requires=("a",)))
    rig.executor.behave = lambda spec: Outcome(spec.id, Status.SKIPPED if spec.id == "a" else Status.SUCCESS)

    assert rig.run() == {"a": "skipped", "b": "success"}


@pytest.mark.parametrize("broken", [None, "t(a=1)"])
def test_a_group_is_needed_as_a_whole(broken: str | None) -> None:
    params = tuple(ParamSet({"a": value}) for value in (0, 1, 2))
    rig = Rig(recipe("t", params), recipe("all", requires=("t",)), recipe("two", requires=("t",)), names=("all", "two"))
    rig.executor.behave = failing(*([broken] if broken else []))
    result = rig.run()

    assert result["all"] == result["two"] == ("aborted" if broken else "success")
    assert rig.executor.started[:3] == ["t(a=0)", "t(a=1)", "t(a=2)"]
    if broken:
        assert rig.reason("all") == "needs t(a=1), which failed"


def hold(rig: Rig) -> list[str]:
    """Sessions run until the test ends them: at every tick the oldest one ends."""
    seen: list[str] = []
    rig.executor.behave = lambda spec: None

    def tick() -> None:
        if rig.executor.running:
            seen.append("+".join(sorted(rig.executor.running)))
            name = next(iter(rig.executor.running))
            rig.executor.end(Outcome(name, Status.SUCCESS))

    rig.on_tick = tick
    return seen


def test_slots_are_filled_and_not_exceeded() -> None:
    rig = Rig(*(recipe(f"s{n}") for n in range(5)), slots=2)
    seen = hold(rig)
    rig.run()

    assert rig.executor.most == 2
    assert seen[0] == "s0+s1"


def test_a_mutex_excludes_and_others_overtake() -> None:
    rig = Rig(recipe("a", resources={"db": 1}), recipe("b", resources={"db": 1}), recipe("c"), slots=3)
    seen = hold(rig)
    rig.run()

    assert seen == ["a+c", "b+c", "b"] or seen == ["a+c", "b+c", "c"] or seen[0] == "a+c"
    assert not any("a" in s and "b" in s for s in seen)


def test_weights_are_counted_and_one_above_the_capacity_means_all() -> None:
    recipes = [recipe("a", resources={"mem": 3}), recipe("b", resources={"mem": 2}), recipe("c", resources={"mem": 9})]
    rig = Rig(*recipes, slots=3, limits=Limits({"mem": 5}))
    seen = hold(rig)

    assert set(rig.run().values()) == {"success"}
    assert seen[0] == "a+b"
    assert seen[-1] == "c"


def test_cpu_weights_count_against_the_slots() -> None:
    rig = Rig(recipe("a", resources={"cpu": 2}), recipe("b", resources={"cpu": 1}), slots=2)
    seen = hold(rig)
    rig.run()

    assert seen == ["a", "b"]


def test_allow_parallel_false_runs_alone() -> None:
    rig = Rig(recipe("a"), recipe("alone", allow_parallel=False), recipe("b"), slots=3)
    seen = hold(rig)
    rig.run()

    assert "alone" in seen
    assert not any("alone" in s and "+" in s for s in seen)
    assert [spec.alone for spec in rig.specs if spec.id == "alone"] == [True]


def test_stop_on_first_error_lets_running_ones_finish() -> None:
    rig = Rig(*(recipe(name) for name in "abcd"), slots=2, limits=Limits(stop_on_first_error=True))
    rig.executor.behave = lambda spec: Outcome("a", Status.FAILED) if spec.id == "a" else None
    rig.on_tick = lambda: "b" in rig.executor.running and rig.executor.end(Outcome("b", Status.SUCCESS))

    assert rig.run() == {"a": "failed", "b": "success", "c": "aborted", "d": "aborted"}
    assert "stops on the first error" in rig.reason("c")


def test_retries_with_back_off() -> None:
    rig = Rig(recipe("flaky", retries=3), recipe("other"), limits=Limits(retries=0))
    rig.executor.behave = lambda spec: Outcome(
        spec.id, Status.FAILED if spec.id == "flaky" and spec.attempt < 3 else Status.SUCCESS, attempt=spec.attempt
    )
    times = []

    def advance() -> None:
        times.append(rig.clock.now)
        rig.clock.now += 0.5

    rig.on_tick = advance

    assert rig.run() == {"flaky": "success", "other": "success"}
    assert rig.executor.started.count("flaky") == 3
    delays = [values["delay"] for kind, _, values in rig.events if kind == "session-retried"]
    assert delays == [1.0, 2.0]
    assert rig.clock.now >= 3.0


def test_retries_end_and_wrong_usage_is_never_retried() -> None:
    rig = Rig(recipe("a"), recipe("b"), limits=Limits(retries=1))

    def behave(spec: Any) -> Outcome:
        error = {"exit_code": 2} if spec.id == "b" else None
        return Outcome(spec.id, Status.FAILED, error=error, attempt=spec.attempt)

    rig.executor.behave = behave
    rig.on_tick = lambda: setattr(rig.clock, "now", rig.clock.now + 1)

    assert rig.run() == {"a": "failed", "b": "failed"}
    assert sorted(rig.executor.started) == ["a", "a", "b"]


def test_an_interruption_cancels_what_runs_and_aborts_the_rest() -> None:
    rig = Rig(*(recipe(name) for name in "abc"), slots=1)
    rig.executor.behave = lambda spec: None
    state = {"sent": False}

    def tick() -> None:
        if not state["sent"]:
            state["sent"] = True
            rig.scheduler.interrupt("SIGTERM")
        elif rig.executor.running and rig.executor.running["a"][0].cancelled:
            rig.executor.end(Outcome("a", Status.ABORTED, reason="SIGTERM"))

    rig.on_tick = tick

    assert rig.run() == {"a": "aborted", "b": "aborted", "c": "aborted"}
    assert rig.scheduler.interrupted == "SIGTERM"
    assert rig.reason("c") == "SIGTERM"
    assert ("interrupted", None, {"reason": "SIGTERM"}) in rig.events


def test_a_second_interruption_gives_up_waiting() -> None:
    rig = Rig(recipe("a"), slots=1)
    rig.executor.behave = lambda spec: None
    rig.on_tick = lambda: rig.scheduler.interrupt("SIGINT")

    assert rig.run() == {"a": "aborted"}
    running, on_done = rig.executor.running["a"]
    on_done(Outcome("a", Status.SUCCESS))
    assert running.cancelled == ["SIGINT"]


def test_a_cancelled_session_that_never_ends_is_given_up() -> None:
    rig = Rig(recipe("a"), slots=1, limits=Limits(abandon_after=5))
    rig.executor.behave = lambda spec: None
    rig.scheduler.interrupt("SIGTERM")
    rig.on_tick = lambda: setattr(rig.clock, "now", rig.clock.now + 1)

    assert rig.run() == {"a": "aborted"}
    assert rig.clock.now >= 5


def test_the_runs_time_calls_it_off() -> None:
    rig = Rig(recipe("a"), recipe("b"), slots=1, limits=Limits(run_timeout=3))
    rig.executor.behave = lambda spec: None

    def tick() -> None:
        rig.clock.now += 1
        if rig.executor.running and rig.executor.running["a"][0].cancelled:
            rig.executor.end(Outcome("a", Status.ABORTED))

    rig.on_tick = tick

    assert rig.run() == {"a": "aborted", "b": "aborted"}
    assert rig.scheduler.interrupted == "the run took longer than 3 s"


def test_a_recipe_that_computes_beyond_its_time_is_cancelled_then_given_up() -> None:
    rig = Rig(recipe("a", timeout=2.0), limits=Limits(abandon_after=4))
    rig.executor.behave = lambda spec: None
    rig.on_tick = lambda: setattr(rig.clock, "now", rig.clock.now + 1)

    assert rig.run() == {"a": "failed"}
    assert rig.executor.running["a"][0].cancelled == [TIMED_OUT]
    assert rig.reason("a") == TIMED_OUT


# --- notify ------------------------------------------------------------------------------------------------------------


def notifying(rig: Rig, by: str, *calls: tuple[str, list[str] | None]) -> list[Any]:
    """A session that notifies from a thread of its own, as real ones do."""
    answers: list[Any] = []

    def behave(spec: Any) -> Outcome:
        if spec.id == by:
            for target, posargs in calls:

                def ask(target: str = target, posargs: list[str] | None = posargs) -> None:
                    try:
                        answers.append(rig.scheduler.notify(target, posargs, by))
                    except ValueError as error:
                        answers.append(str(error))

                thread = threading.Thread(target=ask)
                thread.start()
                thread.join()
        status = Status.FAILED if spec.id == "bad" else Status.SUCCESS
        return Outcome(spec.id, status)

    rig.executor.behave = behave
    return answers


def test_notify_adds_a_session_after_the_notifier_with_its_needs() -> None:
    rig = Rig(
        recipe("a"), recipe("b", default=False, requires=("n",)), recipe("n", default=False), slots=2, names=("a",)
    )
    answers = notifying(rig, "a", ("b", ["x"]), ("b", None), ("a", None), ("zz", None))

    assert rig.run() == {"a": "success", "n": "success", "b": "success"}
    assert answers[:3] == [True, False, False]
    assert answers[3].startswith("Session zz not found.")
    assert rig.executor.started == ["a", "n", "b"]
    assert {spec.id: spec.posargs for spec in rig.specs} == {"a": None, "n": None, "b": ["x"]}
    assert ("session-added", "b", {"by": "a"}) in rig.events


def test_a_notified_session_whose_need_failed_before_is_aborted() -> None:
    rig = Rig(recipe("bad"), recipe("a", after=("bad",)), recipe("b", requires=("bad",)), slots=1, names=("bad", "a"))
    notifying(rig, "a", ("b", None))

    assert rig.run() == {"bad": "failed", "a": "success", "b": "aborted"}
    assert rig.reason("b") == "needs bad, which failed"


def test_a_notified_group_of_sessions() -> None:
    params = tuple(ParamSet({"a": value}) for value in (0, 1))
    rig = Rig(recipe("a"), recipe("t", params), recipe("all", requires=("t",)), names=("a",), slots=3)
    notifying(rig, "a", ("all", None))

    assert rig.run() == {"a": "success", "t(a=0)": "success", "t(a=1)": "success", "all": "success"}


# --- ends of an earlier run --------------------------------------------------------------------------------------------


def ended(*names: str, status: Status = Status.SUCCESS) -> dict[str, Outcome]:
    return {name: Outcome(name, status, reason="done by run 1") for name in names}


def test_what_an_earlier_run_did_is_told_first_and_not_run() -> None:
    recipes = (recipe("a"), recipe("b", requires=("a",)), recipe("c", requires=("b",)), recipe("d", after=("a",)))
    rig = Rig(*recipes, settled=ended("a", "b"))

    assert rig.run() == dict.fromkeys("abcd", "success")
    assert rig.executor.started == ["c", "d"]
    assert [name for _, name, _ in rig.events[:2]] == ["a", "b"]
    assert (rig.kinds("a"), rig.reason("a")) == (["session-finished"], "done by run 1")
    assert rig.finished == ["c success", "d success"], "the earlier ends are recorded already"


def test_a_group_that_an_earlier_run_did_in_part() -> None:
    params = tuple(ParamSet({"a": value}) for value in (0, 1, 2))
    recipes = (recipe("t", params), recipe("all", requires=("t",)))
    rig = Rig(*recipes, names=("all",), settled=ended("t(a=0)", "t(a=2)", status=Status.SKIPPED))

    rig.executor.behave = failing("t(a=1)")
    assert rig.run() == {"t(a=0)": "skipped", "t(a=1)": "failed", "t(a=2)": "skipped", "all": "aborted"}
    whole = Rig(*recipes, names=("all",), settled=ended("t(a=0)", "t(a=1)", "t(a=2)"))
    whole.run()
    assert whole.executor.started == ["all"]


def test_a_run_with_nothing_left_to_do() -> None:
    rig = Rig(recipe("a"), recipe("b", requires=("a",)), settled=ended("a", "b"))
    assert rig.run() == {"a": "success", "b": "success"}
    assert (rig.executor.started, rig.scheduler.queued) == ([], 0)


def test_who_notifies_and_who_is_notified_are_never_told_as_finished() -> None:
    """Taken over, the one would not notify, and the other would not be run although it failed."""
    rig = Rig(recipe("a"), recipe("b", default=False), recipe("c"), slots=1)
    notifying(rig, "a", ("b", None), ("c", None))
    rig.run()

    assert rig.executor.started == ["a", "c", "b"]
    assert rig.finished == ["c success"]


def test_failures_are_told_too() -> None:
    rig = Rig(recipe("a"), recipe("b", requires=("a",)))
    rig.executor.behave = failing("a")
    rig.run()
    assert rig.finished == ["a failed"]
