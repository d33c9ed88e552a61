"""Which targets does a project need, and what happens to each of them on this machine?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from hwb.errors import MissingError, UsageError
from hwb.matrix.cibuildwheel import refuse_what_is_not_honoured, warnings
from hwb.matrix.handing_over import HandedOver, told
from hwb.matrix.known import Image, architectures, default_policy, image, pythons
from hwb.matrix.layers import Layer, look_up, near
from hwb.matrix.macos import DEPLOYMENT_TARGET
from hwb.matrix.options import TargetOptions, engine_of, target_options
from hwb.matrix.selection import (
    Selected,
    Skipped,
    Wish,
    idle_words,
    names_python,
    select,
    selector_warnings,
    served_by_abi3,
)
from hwb.matrix.strategy import Choice, Host, Strategy, choose, names
from hwb.target import System, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hwb.matrix.configuration import Configuration

__all__ = ["PURE", "Host", "MatrixPlan", "PlannedTarget", "ProjectFacts", "Strategy", "plan_matrix", "require_makeable"]

PURE = "py3-none-any"
"""The tag of the one wheel of a project without extension modules."""
DEFAULT_SYSTEMS = (System.LINUX, System.MACOS, System.WINDOWS)


class ProjectFacts(NamedTuple):
    """What the analysis knows of a project: `limited_api` is a tag such as cp39, `abi3`, or None without it."""

    requires_python: str = ""
    compiles: bool = True
    limited_api: str | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PlannedTarget:
    """One wheel. `target` is None for a pure wheel; `image` is a full reference, empty where no container is used.

    `reason` says in words why it is left to cibuildwheel or to another machine, and where. `requested`: the command
    line, or `build` with its full name, asked for what this machine lacks. `handed`: what cibuildwheel is told, where
    it makes the wheel.
    """

    identifier: str
    target: Target | None
    options: TargetOptions
    strategy: Strategy
    image: str = ""
    reason: str = ""
    requested: bool = False
    handed: HandedOver | None = None

    @property
    def is_makeable(self) -> bool:
        """Whether this machine can make it, with cibuildwheel's help or without."""
        return self.strategy in (Strategy.HOST, Strategy.CONTAINER) or self.handed is not None

    @property
    def platform(self) -> str:
        """The platform tag that the wheel is to have."""
        return self.target.platform if self.target is not None else "any"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MatrixPlan:
    """The targets in cibuildwheel's order, system by system; what is not built and why; warnings for a person."""

    targets: tuple[PlannedTarget, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def here(self) -> tuple[PlannedTarget, ...]:
        """Those that this machine can make."""
        return tuple(planned for planned in self.targets if planned.is_makeable)


def plan_matrix(
    facts: ProjectFacts,
    configuration: Configuration,
    host: Host,
    *,
    only: str = "",
    python: str = "",
    platform: str = "",
    arch: str = "",
) -> MatrixPlan:
    """The whole plan; the four texts are the command line's. Raises ConfigError and UsageError, touches nothing.

    `only` is one identifier, whatever build, skip, enable and the architectures say. `python` (3.12, cp314t),
    `platform` (`Target.parse`) and `arch` are lists with commas; a pure wheel fits all that they can name.
    """
    wish = _wish(only, python, platform, arch)
    if not facts.compiles:
        return _pure(configuration, host, wish)
    if only:
        _check_identifier(only)
    plan = _Planning(facts, configuration, host, wish)
    for system in _systems(wish):
        plan.add(system)
    return plan.done()


def _wish(only: str, python: str, platform: str, arch: str) -> Wish:
    from hwb.matrix.table import python_tags

    if only and (python or platform or arch):
        raise UsageError("one identifier leaves nothing to narrow", remedy="leave out --python, --platform and --arch")
    archs = tuple(word.strip() for word in arch.split(",") if word.strip())
    tags = python_tags(python, "--python") if python else ()
    wish = Wish(only, tags, Target.parse(platform) if platform else (), archs)
    _check_wish(wish)
    return wish


def _check_wish(wish: Wish) -> None:
    """Words that are well formed, and name nothing that exists."""
    known = [python for system in System for python in pythons(system)]
    for tag in wish.python:
        if not any(names_python([tag], python) for python in known):
            tags = dict.fromkeys(python.python for python in known)
            raise UsageError(f"--python: there is no {tag}", remedy="there are " + ", ".join(tags))
    for wanted in wish.platform:
        there = architectures(wanted.system)
        if wanted.arch and wanted.arch not in there:
            remedy = f"{wanted.system.value} has {', '.join(there)}"
            raise UsageError(f"--platform: there is no {wanted.arch} for {wanted.system.value}", remedy=remedy)


def _systems(wish: Wish) -> tuple[System, ...]:
    if wish.only:
        return (Target.of(wish.only).system,)
    asked = {wanted.system for wanted in wish.platform}
    return tuple(system for system in System if system in asked) if asked else DEFAULT_SYSTEMS


def _check_identifier(only: str) -> None:
    known = [python.identifier for python in pythons(Target.of(only).system)] if only != PURE else []
    if not known:
        raise UsageError(f"{only} is the wheel of a project without extension modules; this one compiles")
    if only not in known:
        raise UsageError(f"there is no Python for {only}", remedy=near(only, known))


def _pure(configuration: Configuration, host: Host, wish: Wish) -> MatrixPlan:
    """One wheel, that every system and Python takes: what narrows by them fits it too."""
    if wish.only not in ("", PURE):
        raise UsageError(f"the project compiles nothing: its only wheel is {PURE}, not {wish.only}")
    options = target_options(configuration.layers(host.system), host.system)
    return MatrixPlan((PlannedTarget(PURE, None, options, Strategy.HOST),))


class _Planning:
    """A plan while systems are added to it."""

    def __init__(self, facts: ProjectFacts, configuration: Configuration, host: Host, wish: Wish) -> None:
        self.facts, self.configuration, self.host, self.wish = facts, configuration, host, wish
        self.targets: list[PlannedTarget] = []
        self.skipped: list[Skipped] = []
        self.warnings = list(idle_words(configuration.own))

    def add(self, system: System) -> None:
        """Plan one system."""
        layers = self.configuration.layers(system)
        requires = self.configuration.environ.get("CIBW_PROJECT_REQUIRES_PYTHON") or self.facts.requires_python
        chosen, skipped = select(system, layers, self.configuration.own, self.host, requires, self.wish)
        if self.facts.limited_api and not self.wish.only:
            chosen, served = served_by_abi3(chosen, self.facts.limited_api)
            skipped += served
        self.targets += [self._planned(one, system, layers) for one in chosen]
        self.skipped += skipped
        self.warnings += _warnings(layers)

    def _planned(self, selected: Selected, system: System, layers: Sequence[Layer]) -> PlannedTarget:
        target = Target.of(selected.python.identifier)
        choice = choose(target, self.host, engine_of(layers, target.identifier))
        if choice.strategy in (Strategy.HOST, Strategy.CONTAINER):
            refuse_what_is_not_honoured(layers, target.identifier)
        options = target_options(layers, system, target.identifier, target.family, target.arch)
        found = self._image(target, options, selected)
        policy = self._policy(target, options, selected, found, choice)
        target = Target(target.python, target.family, target.arch, policy)
        delegated = choice.strategy is Strategy.CIBUILDWHEEL and choice.axis == ""
        return PlannedTarget(
            target.identifier,
            target,
            options,
            choice.strategy,
            found.reference if choice.strategy in (Strategy.CONTAINER, Strategy.CIBUILDWHEEL) else "",
            choice.reason,
            self._is_requested(choice, target, layers),
            told(layers, target, found.reference, self.host.engine or "") if delegated else None,
        )

    def _image(self, target: Target, options: TargetOptions, selected: Selected) -> Image:
        """The container image of a Linux target. Raises ConfigError when there is none for the architecture."""
        if target.system is not System.LINUX:
            return Image("", "")
        asked, where = options.image, options.image_where
        if _names_version(selected.policy):
            asked, where = selected.policy, "--platform"
        found = image(asked or default_policy(target.family, target.arch), target.arch, where)
        if found.eol:
            self.warnings.append(f"{found.policy} gets no updates any more: musllinux_1_2 is its successor")
        return found

    def _policy(self, target: Target, options: TargetOptions, selected: Selected, found: Image, choice: Choice) -> str:
        """On the host the wheel claims the oldest policy that its symbols allow, unless one was asked for."""
        if target.system is System.MACOS:
            return "macosx_" + self._deployment_target(selected, options).replace(".", "_")
        if choice.strategy is Strategy.HOST and not (options.image or _names_version(selected.policy)):
            return ""
        return found.policy

    def _deployment_target(self, selected: Selected, options: TargetOptions) -> str:
        asked = selected.policy or self.configuration.own.deployment_target
        given = [word.strip("\"'") for name, word in options.environment if name == "MACOSX_DEPLOYMENT_TARGET"]
        return asked or next((word for word in reversed(given) if word.replace(".", "").isdigit()), DEPLOYMENT_TARGET)

    def _is_requested(self, choice: Choice, target: Target, layers: Sequence[Layer]) -> bool:
        """Whether the command line names what is at fault, or `build` spells out a wheel that this system could make.

        A configuration is shared by machines of several systems: on Linux one that names Windows wheels is no error.
        """
        if not choice.axis:
            return False
        named = {
            "python": bool(self.wish.python),
            "platform": bool(self.wish.platform),
            "arch": bool(self.wish.arch) or any(wanted.arch == target.arch for wanted in self.wish.platform),
        }
        own = choice.axis != "arch" and target.system is self.host.system
        spelled_out = own and target.identifier in look_up("build", layers).text.split()
        return bool(self.wish.only) or named[choice.axis] or spelled_out

    def done(self) -> MatrixPlan:
        """The finished plan."""
        bare = [one.target for one in self.targets if one.strategy is Strategy.HOST]
        if self.host.engineless and any(one is not None and one.system is System.LINUX for one in bare):
            said = f"Linux wheels are made without a container ({self.host.engineless}): "
            self.warnings.append(said + "their tag is the oldest system that their code proves")
        return MatrixPlan(tuple(self.targets), tuple(self.skipped), tuple(dict.fromkeys(self.warnings)))


def _names_version(policy: str) -> bool:
    """`manylinux_2_28` and `manylinux2014` do, the families do not."""
    return policy[-1:].isdigit()


def _warnings(layers: Sequence[Layer]) -> Iterator[str]:
    enable = look_up("enable", layers).text
    for name in ("build", "skip", "test-skip"):
        yield from selector_warnings(name, look_up(name, layers), enable)
    yield from warnings(layers)


def require_makeable(plan: MatrixPlan) -> None:
    """Raise MissingError (exit code 3) for a target that was asked for by name and cannot be made on this machine."""
    lacking = [planned for planned in plan.targets if planned.requested]
    if not lacking:
        return
    here = [planned.identifier for planned in plan.here]
    remedy = f"this machine can make {names(here)}" if here else "`hwb matrix --list` says where each can be made"
    detail = "\n".join(f"{planned.identifier}: {planned.reason}" for planned in lacking[:20])
    raise MissingError(
        f"{names([one.identifier for one in lacking])} cannot be made here", remedy=remedy, detail=detail
    )
