"""Which sessions of an earlier run need not run again? What decides a run's work, as digests, and the rules on them.

Two runs have the same plan when their records have the same digest; a session is done when it has the same inputs: the
plan, the tree, and what the sessions that it needs had and made. Nothing here reads a file or a clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hwb.loader import _sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from hwb.artifacts import Artifact
    from hwb.loader import Catalog
    from hwb.plan import Plan, PlannedSession

__all__ = [
    "FREE",
    "SCHEMA",
    "Inputs",
    "Sources",
    "changed",
    "decisive",
    "differences",
    "digest_of",
    "is_record",
    "part_of",
    "session_texts",
    "taken_over",
]

SCHEMA = "hwb.run-plan/1"
FREE = frozenset(
    (
        "sessions",
        "jobs",
        "keep-runs",
        "stop-on-first-error",
        "retries",
        "timeout",
        "run-timeout",
        "idle-timeout",
        "resources",
        "offline",
        "download-python",
        "secrets",
    )
)
"""Settings that decide how a run goes (how much at once, how long, how often, with what at hand), not what is done."""
_TABLES = {"files": "recipe files", "sessions": "sessions", "settings": "settings", "targets": "wheels"}
_WORDS = {"options": "options", "directory": "directory", "hwb": "hwb", "python": "Python of hwb"}
_SHOWN = 5
"""So many names of each kind are told."""


class Sources(NamedTuple):
    """The sources at one moment: their digest, and what tells a person later what changed.

    `loose` are the files that git does not know as they are (without git: all), with size and time; None when they are
    too many.
    """

    digest: str = ""
    commit: str = ""
    loose: Mapping[str, str] | None = None

    @classmethod
    def of(cls, data: Any) -> Sources:
        """From plain data; anything else that a file says is none."""
        told = data if isinstance(data, dict) else {}
        loose = told.get("loose")
        texts = [text if isinstance(text := told.get(name), str) else "" for name in ("digest", "commit")]
        return cls(texts[0], texts[1], loose if isinstance(loose, dict) else None)


def changed(then: Sources, now: Sources) -> str:
    """What changed, as far as it is known, for a person."""
    found = ["the commit"] if then.commit != now.commit else []
    if then.loose is not None and now.loose is not None:
        before, after = then.loose, now.loose
        found += sorted(name for name in {**before, **after} if before.get(name) != after.get(name))
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


def digest_of(*parts: str) -> str:
    """sha256 (hex) of texts in this order, each of them delimited."""
    digest = _sha256()()
    for part in parts:
        raw = part.encode(errors="surrogatepass")  # names may hold half a surrogate pair
        digest.update(b"%d:" % len(raw) + raw)
    return str(digest.hexdigest())


# --- the plan ---------------------------------------------------------------------------------------------------------


def session_texts(
    plan: Plan,
    catalog: Catalog,
    arguments: Callable[[PlannedSession], Sequence[str]],
    named: Callable[[str], str],
) -> dict[str, str]:
    """What makes each session what it is: recipe and origins (files by `named`), Python, parameters, arguments, target,
    needs."""
    from json import dumps

    def text(session: PlannedSession) -> str:
        chain = [(recipe.layer, named(recipe.file)) for recipe in catalog.entries[session.recipe].chain]
        params = session.params.text if session.params is not None else None
        given, needs = list(arguments(session)), plan.needs.get(session.id, ())
        return dumps([session.recipe, chain, session.python, params, given, session.target, needs], default=repr)

    return {session.id: text(session) for session in plan.sessions}


def decisive(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, str]:
    """The settings that count, as texts: those that are not `FREE` and not what they are by default."""
    from json import dumps

    return {
        name: dumps(value, sort_keys=True, default=repr)
        for name, value in settings.items()
        if name not in FREE and value != defaults[name]
    }


def is_record(data: Any) -> bool:
    """Whether this can be the record of a run's plan; anything else that a file says is none."""
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        return False
    return isinstance(data.get("digest"), str) and all(isinstance(data.get(name), dict) for name in _TABLES)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """A line for each kind of thing in which two plans differ, with its names."""
    lines = []
    for key, word in _TABLES.items():
        before, now = old[key], new[key]
        names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            lines.append(f"{word}: {', '.join(_marked(name, before, now) for name in names[:_SHOWN])}{more}")
    for key, word in _WORDS.items():
        if old.get(key) != new.get(key):
            lines.append(f"{word}: {old.get(key)} then, {new.get(key)} now")
    return lines


def _marked(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    if name not in before:
        return f"{name} (new)"
    return f"{name} ({'changed' if name in now else 'gone'})"


# --- the inputs -------------------------------------------------------------------------------------------------------


class Inputs:
    """The digest of what each session of a plan works on; ask for a session after those that it needs."""

    __slots__ = ("_base", "_known", "_made", "_plan")

    def __init__(self, plan: Plan, base: str, made: Callable[[str], Iterable[Artifact]]) -> None:
        """`base` stands for plan and tree; `made` tells what a session that is over recorded."""
        self._plan = plan
        self._base = base
        self._made = made
        self._known: dict[str, str] = {}

    def of(self, session: str) -> str:
        """sha256 (hex) of the base, the session's name, and what those that it needs had and made."""
        return digest_of(self._base, session, *(self._result(need) for need in self._plan.needs.get(session, ())))

    def _result(self, node: str) -> str:
        """Of a session its inputs and its artifacts, of a group its members'; kept, as many sessions need the same."""
        if node not in self._known:
            members = self._plan.groups.get(node)
            parts = map(self._result, members) if members is not None else self._own(node)
            self._known[node] = digest_of(*parts)
        return self._known[node]

    def _own(self, session: str) -> Iterator[str]:
        yield self.of(session)
        yield from sorted(f"{artifact.name} {artifact.sha256}" for artifact in self._made(session))


# --- taking over ------------------------------------------------------------------------------------------------------


def part_of(records: Iterable[dict[str, Any]], sessions: Collection[str]) -> list[dict[str, Any]]:
    """Those records of a ledger that belong to these sessions: what they made, what replaced it, what is known of it.

    Verdicts and replacements name bytes: they belong to whoever made those (in a replacement, the new ones).
    """
    records = list(records)
    made = {one["sha256"] for one in records if one.get("record") == "artifact" and one["session"] in sessions}

    def belongs(one: dict[str, Any]) -> bool:
        kind = one.get("record")
        if kind in ("artifact", "done"):
            return one["session"] in sessions
        return (kind == "verdict" and one["sha256"] in made) or (kind == "replaces" and one["new"] in made)

    return [one for one in records if belongs(one)]


def taken_over(
    plan: Plan, base: str, records: Sequence[dict[str, Any]], is_there: Callable[[Artifact], bool]
) -> tuple[set[str], dict[str, Artifact]]:
    """The sessions that need not run again, and those that must although they are done, with the artifact they lost.

    One is done when its recorded inputs are those of now. It is taken over when all that it needs is, and when its
    artifacts are there; one that another took the place of may be gone, if whoever made that one is taken over, too.
    """
    from hwb.artifacts import Ledger

    ledger = Ledger.of(records)
    done, inputs = ledger.done(), Inputs(plan, base, ledger.made_by)
    now = {name: inputs.of(name) for name in plan.ids}
    taken = {name for name in plan.ids if name in done and _holds(done[name], now[name])}
    lost: dict[str, Artifact] = {}
    while True:
        taken = _with_needs(plan, taken)
        leaves = Ledger.of(part_of(records, taken)).leaves()
        gone = {artifact.session: artifact for artifact in leaves if not is_there(artifact)}
        if not gone:
            return taken, lost
        lost.update(gone)
        taken -= gone.keys()


def _holds(done: Mapping[str, str], inputs: str) -> bool:
    return done["inputs"] == inputs and done["status"] in ("success", "skipped")


def _with_needs(plan: Plan, taken: set[str]) -> set[str]:
    """Those all of whose needs are among them; in planned order, so that one pass is enough."""
    kept: set[str] = set()
    whole: dict[str, bool] = {}

    def is_kept(need: str) -> bool:
        members = plan.groups.get(need)
        if members is None:
            return need in kept
        if need not in whole:  # all its members come before whoever needs it
            whole[need] = all(member in kept for member in members)
        return whole[need]

    for name in plan.ids:
        if name in taken and all(is_kept(need) for need in plan.needs.get(name, ())):
            kept.add(name)
    return kept
