"""Which sessions does a request need, and in which order may they run?"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from hwb.errors import HwbfileError, NothingToRun, UsageError
from hwb.loader import OWN_LAYERS, Catalog, Entry, near

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hwb.declare import ParamSet

STEPS = ("build", "repair", "check", "test")
"""What `matrix` runs for each target: where recipes with `all_targets` require one of these, they get `matrix`."""
EACH_TARGET = "matrix"

__all__ = ["Plan", "PlannedSession", "Request", "expand", "keyword_matcher", "make_plan", "reaches"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PlannedSession:
    """One recipe for one parametrisation; `id` is what people call it, `signatures` all the names that select it."""

    id: str
    recipe: str
    signatures: tuple[str, ...]
    python: str | bool | None = None
    params: ParamSet | None = None
    tags: tuple[str, ...] = ()
    multi: bool = False
    target: str = ""
    """The identifier of the wheel that it makes."""

    def answers_to(self, name: str) -> bool:
        """Whether `name` selects it."""
        return name == self.recipe or name in self.signatures


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Request:
    """What the user asked for; empty `names` means the defaults."""

    names: tuple[str, ...] = ()
    keywords: str | None = None
    tags: tuple[str, ...] = ()
    pythons: tuple[str, ...] = ()
    force_python: str | None = None
    default_backend: str | None = None
    defaults: tuple[str, ...] = ()
    """Names from the settings that a bare run means."""
    targets: tuple[str, ...] = ()
    """Identifiers of the wheels that recipes with `targets` make; empty: such a recipe stands for itself."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Plan:
    """Sessions in planned order; `needs[id]` must have succeeded before, `follows[id]` must only be over."""

    sessions: tuple[PlannedSession, ...]
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    follows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """A need that starts with "*" names a group: all sessions of a recipe that has several."""

    @property
    def ids(self) -> list[str]:
        """The sessions' names in planned order."""
        return [session.id for session in self.sessions]

    def direct_needs(self, session: str) -> list[str]:
        """Needs with groups spelled out."""
        return [name for need in self.needs.get(session, ()) for name in self.groups.get(need, (need,))]


# --- sessions of a catalog ----------------------------------------------------------------------------------


def expand(catalog: Catalog, request: Request | None = None) -> list[PlannedSession]:
    """Every session that the catalog can run, recipe by recipe, each parametrisation in declared order."""
    request = request or Request()
    return [session for entry in catalog for session in _sessions_of(entry, request)]


def _pythons(entry: Entry, request: Request) -> tuple[Any, ...]:
    python = entry.option("python")
    backend = entry.option("venv_backend") or request.default_backend
    if (backend == "none" or entry.option("isolation") == "none") and isinstance(python, (list, tuple)):
        return (False,)  # without an environment there is nothing to choose a Python for (nox's rule)
    versions = tuple(python) if isinstance(python, (list, tuple)) else (python,)
    forced = request.force_python
    if forced is None or versions == (False,):
        return versions
    return (forced,) if versions in ((None,), (True,)) else tuple(dict.fromkeys((*versions, forced)))


def _sessions_of(entry: Entry, request: Request) -> Iterable[PlannedSession]:
    if entry.option("targets") and request.targets:
        yield from (_for_target(entry, identifier) for identifier in request.targets)
        return
    versions = _pythons(entry, request)
    declared = entry.option("python")
    multi = len(versions) > 1 or isinstance(declared, (list, tuple))
    sets: tuple[ParamSet | None, ...] = entry.top.params if entry.top.params is not None else (None,)
    tags = tuple(entry.option("tags") or ())
    for version in versions:
        for params in sets:
            yield _session(entry.name, version, params, tags, multi)


def _for_target(entry: Entry, identifier: str) -> PlannedSession:
    name, tags = f"{entry.name}({identifier})", tuple(entry.option("tags") or ())
    return PlannedSession(name, entry.name, (name,), False, None, tags, True, identifier)


def reaches(catalog: Catalog, names: Iterable[str], keyword: str) -> bool:
    """Whether a recipe that sets a keyword is among these recipes or what they require, whatever their sessions.

    `all_targets` counts where there is a step that it changes.
    """
    seen: set[str] = set()
    stack = [_recipe_of(name, catalog) for name in names]
    while stack:
        name = stack.pop()
        if name in seen or name not in catalog.entries:
            continue
        seen.add(name)
        entry = catalog.entries[name]
        if entry.option(keyword) and (keyword != "all_targets" or set(STEPS) & set(entry.option("requires") or ())):
            return True
        stack += [_recipe_of(text, catalog) for text in entry.option("requires") or ()]
    return False


def _recipe_of(name: str, catalog: Catalog) -> str:
    """The recipe that a session's name belongs to: `test` of `test-3.12` and of `test(a=1)`."""
    plain = name.partition("(")[0]
    while plain not in catalog.entries and "-" in plain:
        plain = plain.rpartition("-")[0]
    return plain


def _session(name: str, python: Any, params: ParamSet | None, tags: tuple[str, ...], multi: bool) -> PlannedSession:
    text = ""
    if params is not None:
        text = f"({params.text})"
        tags = (*tags, *params.tags)
        if python is None and isinstance(params.values.get("python"), str):
            python = params.values["python"]
    signatures = [] if multi else [f"{name}{text}"]
    if isinstance(python, str):
        signatures.append(f"{name}-{python}{text}")
        if text:
            signatures.append(f"{name}-{python}")
    if not signatures:
        signatures.append(f"{name}{text}")
    return PlannedSession(signatures[0], name, tuple(signatures), python, params, tags, multi or params is not None)


# --- selection ----------------------------------------------------------------------------------------------


def _select(sessions: list[PlannedSession], catalog: Catalog, request: Request) -> list[PlannedSession]:
    names = request.names or request.defaults
    if names:
        chosen = _by_name(sessions, names)
    elif request.tags:
        chosen = sessions
    elif request.keywords or request.pythons:
        # a filter alone never reaches what is shipped: "-k b" must not publish
        chosen = [session for session in sessions if catalog.entries[session.recipe].top.layer in OWN_LAYERS]
    else:
        chosen = [session for session in sessions if catalog.entries[session.recipe].is_default]
    if request.pythons:
        chosen = [s for s in chosen if s.python in request.pythons or s.python == request.force_python is not None]
    if request.keywords:
        matches = keyword_matcher(request.keywords)
        chosen = [s for s in chosen if matches([*s.signatures, *s.tags, s.recipe])]
    if request.tags:
        chosen = [s for s in chosen if set(s.tags) & set(request.tags)]
    return chosen


def _squeezed(name: str) -> str:
    """Spaces and the kind of quotes do not count when a parametrised session is named on a command line."""
    return name.replace(" ", "").replace('"', "'")


def _by_name(sessions: list[PlannedSession], names: Sequence[str]) -> list[PlannedSession]:
    index: dict[str, list[PlannedSession]] = {}
    for session in sessions:
        for name in dict.fromkeys((session.recipe, *session.signatures)):
            index.setdefault(_squeezed(name), []).append(session)
    unknown = [name for name in names if _squeezed(name) not in index]
    if unknown:
        known = [name for s in sessions for name in (s.recipe, *s.signatures)]
        hint = near(unknown[0], dict.fromkeys(known)) or "hwb sessions --list shows all"
        raise UsageError(f"no such session: {', '.join(unknown)}", remedy=hint)
    return list({session.id: session for name in names for session in index[_squeezed(name)]}.values())


def keyword_matcher(expression: str) -> Callable[[Iterable[str]], bool]:
    """A predicate from `-k`: words joined by and, or, not and parentheses; a word matches as a substring of a name.

    The grammar is nox's and pytest's; it is parsed here, never evaluated. Raises UsageError.
    """
    tokens = re.findall(r"\(|\)|[^\s()]+", expression)
    parser = _Keywords(tokens, expression)
    tree = parser.either()
    if parser.position != len(tokens):
        raise parser.error()
    return lambda names: _holds(tree, list(names))


class _Keywords:
    """Recursive descent over the words of a keyword expression; as deep as its parentheses."""

    __slots__ = ("expression", "position", "tokens")

    def __init__(self, tokens: list[str], expression: str) -> None:
        self.tokens = tokens
        self.expression = expression
        self.position = 0

    def error(self) -> UsageError:
        return UsageError(
            f"-k {self.expression!r} cannot be understood",
            remedy='write words with and, or, not: -k "test and not slow"',
        )

    def _next(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def either(self) -> Any:
        parts = [self._both()]
        while self._next() == "or":
            self.position += 1
            parts.append(self._both())
        return ("or", parts) if len(parts) > 1 else parts[0]

    def _both(self) -> Any:
        parts = [self._one()]
        while self._next() == "and":
            self.position += 1
            parts.append(self._one())
        return ("and", parts) if len(parts) > 1 else parts[0]

    def _one(self) -> Any:
        word = self._next()
        self.position += 1
        if word == "not":
            return ("not", self._one())
        if word == "(":
            inner = self.either()
            if self._next() != ")":
                raise self.error()
            self.position += 1
            return inner
        if word in ("", ")", "and", "or"):
            raise self.error()
        return word


def _holds(tree: Any, names: list[str]) -> bool:
    if isinstance(tree, str):
        return any(tree in name for name in names)
    kind, inner = tree
    if kind == "not":
        return not _holds(inner, names)
    return (any if kind == "or" else all)(_holds(part, names) for part in inner)


# --- the graph ----------------------------------------------------------------------------------------------


def make_plan(catalog: Catalog, request: Request) -> Plan:
    """The frozen graph for a request; raises UsageError, NothingToRun, or HwbfileError (unknown name, cycle)."""
    sessions = expand(catalog, request)
    chosen = _select(sessions, catalog, request)
    if not chosen:
        raise _nothing(request)
    return _Graph(catalog, sessions, bool(request.targets)).plan(chosen)


def _nothing(request: Request) -> Exception:
    if request.names or request.keywords or request.tags or request.pythons or request.defaults:
        return NothingToRun("the selection matches no session")
    return UsageError(
        "no session is a default here",
        remedy="name what to run (hwb run release), or declare recipes of your own in hwbfile.py",
    )


class _Graph:
    """Resolves names to sessions and orders them; iterative throughout, so that no graph is too deep."""

    def __init__(self, catalog: Catalog, sessions: list[PlannedSession], each_target: bool = False) -> None:
        self._catalog = catalog
        self._each_target = each_target
        self._by_id = {session.id: session for session in sessions}
        self._names: dict[str, list[str]] = {}
        for session in sessions:
            for name in dict.fromkeys((session.recipe, *session.signatures)):
                self._names.setdefault(name, []).append(session.id)
        self._groups: dict[str, tuple[str, ...]] = {}
        self._needs: dict[str, tuple[str, ...]] = {}

    def plan(self, chosen: list[PlannedSession]) -> Plan:
        wanted = self._closure([session.id for session in chosen])
        needs = {name: self._needs[name] for name in wanted}
        used = {need for deps in needs.values() for need in deps}
        groups = {key: ids for key, ids in self._groups.items() if key in used}
        present = set(wanted)
        follows = {name: self._follows(name, present) for name in wanted}
        order = self._order(wanted, needs, follows, groups)
        return Plan(
            tuple(self._by_id[name] for name in order),
            {name: deps for name, deps in needs.items() if deps},
            {name: deps for name, deps in follows.items() if deps},
            groups,
        )

    def _closure(self, roots: list[str]) -> list[str]:
        """Roots and all they need, needs before needers (depth first, in declared order)."""
        done: dict[str, None] = {}
        stack = [(name, False) for name in reversed(roots)]
        entered: set[str] = set()
        while stack:
            name, leaving = stack.pop()
            if leaving:
                done.setdefault(name)
            elif name not in entered:
                entered.add(name)
                stack.append((name, True))
                # a group is entered once, however many sessions need it: otherwise a cross of 5,000 by 5,000 is slow
                below = self._groups[name] if name in self._groups else self._direct(name)
                stack += [(need, False) for need in reversed(below)]
        return [name for name in done if name not in self._groups]

    def _direct(self, name: str) -> tuple[str, ...]:
        if name not in self._needs:
            session = self._by_id[name]
            entry = self._catalog.entries[session.recipe]
            found = [self._resolve(text, session, entry, "requires") for text in entry.option("requires") or ()]
            self._needs[name] = tuple(dict.fromkeys(need for need in found if need != name))
            if name in found:
                raise self._cycle([name, name])
        return self._needs[name]

    def _resolve(self, text: str, session: PlannedSession, entry: Entry, keyword: str) -> str:
        """A session's id, or a group key for a name that several sessions answer to."""
        where = next((r.where for r in entry.chain if keyword in r.options), entry.top.where)
        name = self._formatted(text, session, where)
        if self._each_target and keyword == "requires" and name in STEPS and entry.option("all_targets"):
            name = EACH_TARGET
        ids = self._names.get(name)
        if not ids:
            hint = near(name, self._names) or "hwb sessions --list shows all"
            raise HwbfileError(
                f"recipe {entry.name!r} {keyword} {name!r}, which does not exist", where=where, remedy=hint
            )
        if len(ids) == 1:
            return ids[0]
        key = f"*{name}"
        self._groups.setdefault(key, tuple(ids))
        return key

    @staticmethod
    def _formatted(text: str, session: PlannedSession, where: str) -> str:
        if "{" not in text:
            return text
        if not isinstance(session.python, str):
            what = f"recipe {session.recipe!r} requires {text!r}, but its own python is {session.python!r}"
            raise HwbfileError(what, where=where, remedy='give it python=["3.12", ...], or name the session in full')
        try:
            return text.format(python=session.python, py=session.python)
        except (KeyError, IndexError, ValueError) as error:
            what = f"recipe {session.recipe!r} requires {text!r}: {error}"
            raise HwbfileError(what, where=where, remedy="{python} is the only placeholder") from error

    def _follows(self, name: str, wanted: set[str]) -> tuple[str, ...]:
        session = self._by_id[name]
        entry = self._catalog.entries[session.recipe]
        found: dict[str, None] = {}
        for text in entry.option("after") or ():
            if text not in self._names and "{" not in text:
                self._resolve(text, session, entry, "after")
            for other in self._names.get(self._formatted(text, session, entry.top.where), ()):
                if other in wanted and other != name:
                    found.setdefault(other)
        return tuple(found)

    def _order(
        self,
        wanted: list[str],
        needs: Mapping[str, tuple[str, ...]],
        follows: Mapping[str, tuple[str, ...]],
        groups: Mapping[str, tuple[str, ...]],
    ) -> list[str]:
        """Topological, otherwise as close to the requested order as the graph allows (Kahn with a heap)."""
        rank = {name: number for number, name in enumerate([*wanted, *groups])}
        edges = {name: (*needs[name], *follows[name]) for name in wanted}
        edges.update(groups)
        missing = {name: len(edges[name]) for name in edges}
        needed_by: dict[str, list[str]] = {}
        for name, deps in edges.items():
            for dep in deps:
                needed_by.setdefault(dep, []).append(name)
        ready: list[tuple[int, str]] = []
        for name, count in missing.items():
            if not count:
                heappush(ready, (rank[name], name))
        order: list[str] = []
        while ready:
            _, name = heappop(ready)
            order.append(name)
            for user in needed_by.get(name, ()):
                missing[user] -= 1
                if not missing[user]:
                    heappush(ready, (-1 if user in groups else rank[user], user))
        if len(order) < len(edges):
            raise self._cycle(_find_cycle({n: d for n, d in edges.items() if missing[n]}))
        return [name for name in order if name not in groups]

    def _place(self, name: str) -> tuple[str, int]:
        top = self._catalog.entries[self._by_id[name].recipe].top
        return top.file, top.line

    def _cycle(self, path: list[str]) -> HwbfileError:
        steps = [name for name in path if not name.startswith("*")]
        if len(steps) > 2:  # always begin at the same place: where the first of them is declared
            ring = steps[:-1] if steps[0] == steps[-1] else steps
            first = min(range(len(ring)), key=lambda n: self._place(ring[n]))
            steps = [*ring[first:], *ring[:first], ring[first]]
        places = [f"{name} ({self._catalog.entries[self._by_id[name].recipe].top.where})" for name in steps]
        if len(places) > 1 and places[0] != places[-1]:
            places.append(places[0])
        return HwbfileError(
            f"sessions require each other in a circle: {' -> '.join(places)}",
            where=self._catalog.entries[self._by_id[steps[0]].recipe].top.where,
            remedy="remove one of these requires or after",
        )


def _find_cycle(edges: Mapping[str, Sequence[str]]) -> list[str]:
    """Some circle in a graph in which every node has a way into one."""
    path: dict[str, None] = {}
    node = next(iter(edges))
    while node not in path:
        path[node] = None
        node = next(dep for dep in edges[node] if dep in edges)
    nodes = list(path)
    return [*nodes[nodes.index(node) :], node]
