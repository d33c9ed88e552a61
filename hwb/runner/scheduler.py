"""Which session runs next, what happens when one fails, and when is the run over?

One thread (the caller's) decides; sessions report through a queue. Clock and executor are parameters, so that a
run can be replayed with faults.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from hwb.errors import HwbError
from hwb.plan import Plan, PlannedSession, Request, make_plan
from hwb.runner.outcome import Outcome, Status
from hwb.runner.work import INTERRUPTED, TIMED_OUT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hwb.loader import Catalog
    from hwb.runner.local import Executor, Running
    from hwb.spec import SessionSpec

__all__ = ["Limits", "Scheduler"]

_FIRST_DELAY, _LONGEST_DELAY = 1.0, 30.0
"""Seconds before the first retry; each further one waits twice as long, up to the longest."""
_RECIPE_PATIENCE = 2.0
"""Seconds that a recipe which computes (runs no command) gets beyond its time before the scheduler gives up on it."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Limits:
    """What bounds a run: `capacities` of named resources, seconds for the whole run, what a failure does."""

    capacities: Mapping[str, int] = field(default_factory=dict)
    run_timeout: float | None = None
    stop_on_first_error: bool = False
    retries: int = 0
    """How often sessions whose recipe does not say are tried again."""
    abandon_after: float = 15.0
    """Seconds after which a cancelled session that does not end is given up (its thread cannot be killed)."""


@dataclass(slots=True, eq=False, repr=False)
class _Active:
    """A session that runs."""

    session: PlannedSession
    spec: SessionSpec
    running: Running
    weights: Mapping[str, int]
    alone: bool
    ends: float | None
    cancelled_at: float | None = None


class Scheduler:
    """Runs a plan to its end: `run` returns the outcomes; `interrupt` may be called by a signal handler."""

    def __init__(
        self,
        plan: Plan,
        catalog: Catalog,
        executor: Executor,
        make_spec: Callable[[PlannedSession, Sequence[str] | None, int, bool], SessionSpec],
        emit: Callable[..., None],
        limits: Limits,
        *,
        tick: Callable[[], float | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        settled: Mapping[str, Outcome] | None = None,
        finished: Callable[[Outcome], None] = lambda _outcome: None,
    ) -> None:
        """`settled` are ends from an earlier run: those sessions do not run. `finished` is told each end of this one
        that says all about its session: not of one that had another session notified, nor of that other one."""
        self._plan = plan
        self._catalog = catalog
        self._executor = executor
        self._make_spec = make_spec
        self._emit = emit
        self._limits = limits
        self._tick = tick
        self._clock = clock
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._sessions = {session.id: session for session in plan.sessions}
        self._rank = {session.id: number for number, session in enumerate(plan.sessions)}
        self._missing: dict[str, int] = {}
        self._needed_by: dict[str, list[str]] = {}
        self._hard: dict[str, set[str]] = {}
        self._ready: list[tuple[int, str]] = []
        self._later: list[tuple[float, str, int]] = []
        self._active: dict[str, _Active] = {}
        self._outcomes: dict[str, Outcome] = dict(settled or {})
        self._settled = tuple(self._outcomes.values())
        self._tell_finished = finished
        self._notifying: set[str] = set()
        self._posargs: dict[str, list[str]] = {}
        self._attempts: dict[str, int] = {}
        self._stopping = ""
        self._interrupted = ""
        self._announced = False
        self._link(plan)

    # --- the graph ------------------------------------------------------------------------------------------

    def _link(self, plan: Plan) -> None:
        """Count what each session waits for; a group is a node that is done when all its members are."""
        for key, members in plan.groups.items():
            if key not in self._missing:
                self._wait_for(key, members, ())
        for session in plan.sessions:
            if self._over(session.id):
                continue
            self._wait_for(session.id, plan.needs.get(session.id, ()), plan.follows.get(session.id, ()))

    def _wait_for(self, name: str, needs: Sequence[str], follows: Sequence[str]) -> None:
        self._hard[name] = set(needs)
        waits = [dep for dep in dict.fromkeys((*needs, *follows)) if not self._over(dep)]
        self._missing[name] = len(waits)
        for dep in waits:
            self._needed_by.setdefault(dep, []).append(name)
        if not waits:
            self._enqueue(name)

    def _over(self, name: str) -> bool:
        return name in self._outcomes

    def _enqueue(self, name: str) -> None:
        if name in self._sessions:
            heappush(self._ready, (self._rank[name], name))
        else:  # a group: all its members are over
            self._settle(name, Outcome(name, Status.SUCCESS))

    # --- the run --------------------------------------------------------------------------------------------

    @property
    def queued(self) -> int:
        """How many sessions have not begun."""
        return len(self._sessions) - len(self._active) - sum(name in self._sessions for name in self._outcomes)

    @property
    def interrupted(self) -> str:
        """The reason of an interruption; empty without one."""
        return self._interrupted

    def interrupt(self, reason: str) -> None:
        """Call the run off: running sessions are cancelled, the others never start. Safe in a signal handler."""
        self._inbox.put(("interrupt", reason))

    def run(self) -> list[Outcome]:
        """Until every session is over."""
        end = None if self._limits.run_timeout is None else self._clock() + self._limits.run_timeout
        for outcome in self._settled:
            self._emit_end(outcome)
        while True:
            self._start_what_can()
            if not self._active and not self._later and not self._pending():
                break
            self._wait(end)
            if end is not None and self._clock() >= end and not self._interrupted:
                self._call_off(f"the run took longer than {self._limits.run_timeout:g} s")
            self._enforce_time()
        ordered = sorted(self._sessions, key=self._rank.__getitem__)
        return [self._outcomes[name] for name in ordered]

    def _pending(self) -> bool:
        return bool(self._ready) or not self._inbox.empty()

    def _wait(self, run_end: float | None) -> None:
        """One message, or until something is due."""
        due = [run_end, *(self._due(active) for active in self._active.values())]
        if self._later:
            due.append(min(when for when, _, _ in self._later))
        times = [moment - self._clock() for moment in due if moment is not None]
        tick = self._tick()
        if tick is not None:
            times.append(tick)
        try:
            message = self._inbox.get(timeout=max(0.0, min(times)) if times else None)
        except queue.Empty:
            return
        while True:
            self._take(message)
            try:
                message = self._inbox.get_nowait()
            except queue.Empty:
                return

    def _due(self, active: _Active) -> float | None:
        if active.cancelled_at is not None:
            return active.cancelled_at + self._limits.abandon_after
        return None if active.ends is None else active.ends + _RECIPE_PATIENCE

    def _take(self, message: Any) -> None:
        kind = message[0]
        if kind == "done":
            self._finished(message[1])
        elif kind == "interrupt" and not self._interrupted:
            self._call_off(message[1])
        elif kind == "interrupt":
            self._give_up(message[1])
        elif kind == "notified":
            self._announce(*message[1:])

    def _start_what_can(self) -> None:
        self._release_retries()
        postponed = []
        while self._ready and not self._stopping:
            rank, name = heappop(self._ready)
            if not self._fits(name):
                postponed.append((rank, name))
                if len(self._active) >= self._executor.slots() or self._alone_running():
                    break
                continue
            self._start(name)
        for item in postponed:
            heappush(self._ready, item)
        if self._stopping:
            self._abort_the_rest(self._stopping)

    def _release_retries(self) -> None:
        now = self._clock()
        for item in [item for item in self._later if item[0] <= now or self._stopping]:
            self._later.remove(item)
            heappush(self._ready, (self._rank[item[1]], item[1]))

    def _alone_running(self) -> bool:
        return any(active.alone for active in self._active.values())

    def _fits(self, name: str) -> bool:
        """A free slot, free resources, and nobody who wants to be alone (or to be left alone)."""
        if len(self._active) >= self._executor.slots() or self._alone_running():
            return False
        entry = self._catalog.entries[self._sessions[name].recipe]
        if self._active and not entry.option("allow_parallel", True):
            return False
        weights = self._weights(entry)
        used = {key: sum(a.weights.get(key, 0) for a in self._active.values()) for key in weights}
        return all(used[key] + weight <= self._capacity(key) for key, weight in weights.items())

    def _weights(self, entry: Any) -> dict[str, int]:
        """A weight above the capacity means: all of it."""
        wanted = entry.option("resources") or {}
        return {key: min(weight, self._capacity(key)) for key, weight in wanted.items()}

    def _capacity(self, key: str) -> int:
        return self._limits.capacities.get(key, self._executor.slots() if key == "cpu" else 1)

    def _start(self, name: str) -> None:
        session = self._sessions[name]
        entry = self._catalog.entries[session.recipe]
        alone = not entry.option("allow_parallel", True)
        attempt = self._attempts.get(name, 0) + 1
        self._attempts[name] = attempt
        spec = self._make_spec(session, self._posargs.get(name), attempt, alone)
        self._emit("session-started", name, log=spec.log, attempt=attempt)
        ends = None if spec.timeout is None else self._clock() + spec.timeout
        running = self._executor.submit(spec, lambda outcome: self._inbox.put(("done", outcome)))
        self._active[name] = _Active(session, spec, running, self._weights(entry), alone, ends)

    # --- ends -----------------------------------------------------------------------------------------------

    def _finished(self, outcome: Outcome) -> None:
        if outcome.session not in self._active:
            return  # it was given up before
        active = self._active.pop(outcome.session)
        if outcome.status is Status.FAILED and not self._stopping and self._retry(active, outcome):
            return
        if outcome.status is Status.ABORTED and outcome.reason == INTERRUPTED and not self._interrupted:
            self._call_off(INTERRUPTED)
        self._conclude(outcome)
        if outcome.status is Status.FAILED and self._limits.stop_on_first_error and not self._stopping:
            self._stopping = f"{outcome.session} failed, and the run stops on the first error"

    def _retry(self, active: _Active, outcome: Outcome) -> bool:
        entry = self._catalog.entries[active.session.recipe]
        retries = entry.option("retries")
        retries = self._limits.retries if retries is None else retries
        if outcome.attempt > retries or (outcome.error or {}).get("exit_code") == 2:
            return False
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (outcome.attempt - 1))
        self._emit("session-retried", outcome.session, attempt=outcome.attempt + 1, delay=delay, reason=outcome.reason)
        self._later.append((self._clock() + delay, outcome.session, outcome.attempt))
        return True

    def _conclude(self, outcome: Outcome) -> None:
        if outcome.session not in self._notifying:
            self._tell_finished(outcome)
        self._emit_end(outcome)
        self._settle(outcome.session, outcome)

    def _emit_end(self, outcome: Outcome) -> None:
        self._emit(
            "session-finished",
            outcome.session,
            status=outcome.status.value,
            seconds=outcome.seconds,
            reason=outcome.reason,
            error=outcome.error,
            log=outcome.log,
            environment=outcome.environment,
        )

    def _settle(self, name: str, outcome: Outcome) -> None:
        """Record an end and free (or abort) those that waited for it; iterative, for chains of any length."""
        work: deque[tuple[str, Outcome]] = deque([(name, outcome)])
        self._record(name, outcome)
        while work:
            name, outcome = work.popleft()
            good = outcome.status in (Status.SUCCESS, Status.SKIPPED)
            for user in self._needed_by.get(name, ()):
                if user in self._outcomes:
                    continue
                if not good and name in self._hard[user]:
                    work.append((user, self._record(user, self._aborted(user, name))))
                    continue
                self._missing[user] -= 1
                if self._missing[user]:
                    continue
                if user in self._sessions:
                    heappush(self._ready, (self._rank[user], user))
                else:
                    work.append((user, self._record(user, Outcome(user, Status.SUCCESS))))

    def _record(self, name: str, outcome: Outcome) -> Outcome:
        with self._lock:
            self._outcomes[name] = outcome
        return outcome

    def _aborted(self, user: str, need: str) -> Outcome:
        if user not in self._sessions:
            return Outcome(user, Status.ABORTED, reason=need)
        cause = need if need in self._sessions else self._outcomes[need].reason
        outcome = Outcome(user, Status.ABORTED, reason=f"needs {cause}, which {self._verb(cause)}")
        self._emit("session-finished", user, status=outcome.status.value, seconds=0.0, reason=outcome.reason)
        return outcome

    def _verb(self, name: str) -> str:
        outcome = self._outcomes.get(name)
        return "failed" if outcome is None or outcome.status is Status.FAILED else "was aborted"

    def _abort_the_rest(self, reason: str) -> None:
        """Nothing more starts: whatever has not begun is aborted."""
        self._ready.clear()
        self._later.clear()
        for name in self._sessions:
            if name not in self._outcomes and name not in self._active:
                self._conclude(Outcome(name, Status.ABORTED, reason=reason))
        self._ready.clear()

    def _call_off(self, reason: str) -> None:
        self._interrupted = self._stopping = reason
        self._emit("interrupted", reason=reason)
        for active in self._active.values():
            self._cancel(active, reason)

    def _cancel(self, active: _Active, reason: str) -> None:
        if active.cancelled_at is None:
            active.cancelled_at = self._clock()
            active.running.cancel(reason)

    def _give_up(self, reason: str) -> None:
        """A second signal: whoever has not ended by now is left to the watcher."""
        for name in list(self._active):
            self._abandon(name, reason)

    def _abandon(self, name: str, reason: str) -> None:
        active = self._active.pop(name)
        status = Status.FAILED if reason == TIMED_OUT else Status.ABORTED
        error = (
            HwbError(f"session {name} did not end when it was told to", remedy="see its log")
            if status is Status.FAILED
            else None
        )
        outcome = Outcome(
            name,
            status,
            0.0,
            reason,
            error.as_dict() if error else None,
            1 if error else 0,
            active.spec.log,
        )
        self._conclude(outcome)

    def _enforce_time(self) -> None:
        """Commands watch their own time; this is for recipes that compute, and for those that do not end."""
        now = self._clock()
        for name, active in list(self._active.items()):
            if active.cancelled_at is not None:
                if now >= active.cancelled_at + self._limits.abandon_after:
                    self._abandon(name, self._interrupted or TIMED_OUT)
            elif active.ends is not None and now >= active.ends + _RECIPE_PATIENCE:
                self._cancel(active, TIMED_OUT)

    # --- notify ---------------------------------------------------------------------------------------------

    def notify(self, target: str, posargs: Sequence[str] | None, by: str) -> bool:
        """Add `target` (and what it requires) after `by`; called from a session's thread. ValueError if unknown."""
        with self._lock:
            wanted = make_plan_for(self._catalog, target)
            added = [session for session in wanted.sessions if session.id not in self._sessions]
            if not added:
                return False
            self._notifying.update((by, *(session.id for session in added)))
            for session in added:
                self._sessions[session.id] = session
                self._rank[session.id] = len(self._rank)
                if session.answers_to(target) and posargs is not None:
                    self._posargs[session.id] = list(posargs)
        self._inbox.put(("notified", wanted, [session.id for session in added], by))
        return True

    def _announce(self, wanted: Plan, added: list[str], by: str) -> None:
        """In the scheduler's thread: link the new sessions; they wait for the one that notified."""
        for key, members in wanted.groups.items():
            if key not in self._missing:
                self._wait_for(key, members, ())
        for name in added:
            self._emit("session-added", name, by=by)
            follows = (*wanted.follows.get(name, ()), *(() if self._over(by) else (by,)))
            failed = [n for n in wanted.direct_needs(name) if n in self._outcomes and not self._good(n)]
            if failed:
                self._missing[name] = 0
                self._hard[name] = set()
                self._conclude(
                    Outcome(name, Status.ABORTED, reason=f"needs {failed[0]}, which {self._verb(failed[0])}")
                )
            else:
                self._wait_for(name, wanted.needs.get(name, ()), follows)

    def _good(self, name: str) -> bool:
        return self._outcomes[name].status in (Status.SUCCESS, Status.SKIPPED)


def make_plan_for(catalog: Catalog, target: str) -> Plan:
    """The plan of one notified session; ValueError (as in nox) when there is none of that name."""
    from hwb.errors import NothingToRun, UsageError

    try:
        return make_plan(catalog, Request(names=(target,)))
    except (UsageError, NothingToRun) as error:
        raise ValueError(f"Session {target} not found. {error.remedy}".strip()) from error
