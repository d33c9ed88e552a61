"""Which wheels does this project need, and which of them can this machine make?"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hwb.config import Settings
    from hwb.matrix.planning import MatrixPlan, PlannedTarget
    from hwb.matrix.strategy import Host
    from hwb.target import Target
    from hwb.workspace import Workspace

__all__ = [
    "Wanted",
    "as_record",
    "compilers_for",
    "find_host",
    "plan_of",
    "records",
    "runs_here",
    "tell_missing",
    "wanted",
]

_WINDOWS_PLATFORMS = {"AMD64": "win-amd64", "x86": "win32", "ARM64": "win-arm64"}
_BINFMT = "/proc/sys/fs/binfmt_misc"
_CI = ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "TRAVIS", "CIRCLECI", "APPVEYOR", "AZURE_HTTP_USER_AGENT")
"""Variables by which cibuildwheel knows a machine of CI."""


class Wanted(NamedTuple):
    """The wheels of a run: `made` are `as_record` by identifier, `told` are lines for a person.

    `missing` are identifiers with the reason why each is not made here, None where nobody looked at the whole project.
    """

    made: Mapping[str, Mapping[str, Any]] = {}
    missing: tuple[tuple[str, str], ...] | None = None
    told: tuple[str, ...] = ()

    @classmethod
    def of(cls, plan: MatrixPlan, *, whole: bool = True) -> Wanted:
        """From a plan; `whole` unless it was narrowed. Raises as `records` does."""
        missing = tuple((one.identifier, one.reason) for one in _missing(plan)) if whole else None
        return cls(records(plan), missing, tuple(tell_missing(plan)))


def wanted(workspace: Workspace, names: Iterable[str]) -> Wanted:
    """The wheels that these recipes and what they require make; none where one wheel is all that the project has.

    Costs a look at the project where a recipe has `targets` or `all_targets`. Raises as `plan_of` and `records` do.
    """
    from hwb.errors import AnalyzeError
    from hwb.plan import reaches

    names = tuple(names)
    asked = reaches(workspace.catalog, names, "targets")
    if not asked and not reaches(workspace.catalog, names, "all_targets"):
        return Wanted()
    try:
        plan = plan_of(workspace.root, workspace.settings, os.environ)
    except AnalyzeError:
        if asked:
            raise
        return Wanted()  # what is built says the same, and a recipe of the user's may build nothing
    if not asked and all(one.target is None for one in plan.targets):
        return Wanted()
    return Wanted.of(plan)


def plan_of(
    root: str,
    settings: Settings,
    environ: Mapping[str, str],
    *,
    only: str = "",
    python: str = "",
    platform: str = "",
    arch: str = "",
    file: str | None = None,
) -> MatrixPlan:
    """The plan for a project; the keywords are those of `hwb matrix`. Raises AnalyzeError, ConfigError, UsageError."""
    from hwb.matrix.configuration import read_configuration
    from hwb.matrix.planning import ProjectFacts, plan_matrix
    from hwb.project import analyze_project

    project = analyze_project(root)
    facts = ProjectFacts(project.requires_python or "", project.has_extension_modules, project.limited_api)
    configuration = read_configuration(root, settings, environ, file)
    host = find_host(settings) if facts.compiles else _plain_host()
    return plan_matrix(facts, configuration, host, only=only, python=python, platform=platform, arch=arch)


def _plain_host() -> Host:
    import platform

    from hwb.matrix.strategy import Host
    from hwb.target import System

    systems = {"linux": System.LINUX, "darwin": System.MACOS, "win32": System.WINDOWS}
    return Host(systems.get(sys.platform, System.LINUX), platform.machine())


def find_host(settings: Settings) -> Host:
    """This machine: its system, its engine if one answers, what it emulates, and whose interpreters it has."""
    from dataclasses import replace

    from hwb.context import current
    from hwb.errors import ToolNotFound
    from hwb.isolation.engine import find_engine
    from hwb.pydownload import possible
    from hwb.target import System

    plain = _plain_host()
    engine, engineless = None, ""
    if plain.system is System.LINUX:
        try:
            engine = find_engine(settings.get("container-engine")).name
        except ToolNotFound as error:
            engineless = error.what
    disposable = any(current().outer_env.get(name, "0").lower() not in ("0", "false", "no", "off", "") for name in _CI)
    has = _has_or_fetches if possible(settings) else _has_interpreter
    plain = replace(plain, engine=engine, engineless=engineless)
    return replace(plain, emulated=_emulated(), interpreter=has, disposable=disposable)


def _emulated() -> frozenset[str]:
    """Architectures that the kernel hands to QEMU, also inside containers (the F flag: it is opened beforehand)."""
    found = set()
    try:
        names = [name for name in os.listdir(_BINFMT) if name.startswith("qemu-")]
        for name in names:
            with open(os.path.join(_BINFMT, name), encoding="ascii", errors="replace") as handle:
                text = handle.read()
            flags = next((line for line in text.splitlines() if line.startswith("flags:")), "")
            if text.startswith("enabled") and "F" in flags:
                found.add({"arm": "armv7l", "i386": "i686"}.get(name[5:], name[5:]))
    except OSError:
        pass
    return frozenset(found)


def _has_or_fetches(target: Target) -> bool:
    """Where a Python that is not there can be downloaded; on Windows that may be one of another architecture."""
    from hwb.target import System

    return _has_interpreter(target) or target.system is not System.WINDOWS


def _has_interpreter(target: Target) -> bool:
    from hwb import pythons
    from hwb.errors import InterpreterNotFound
    from hwb.target import System

    try:
        found = pythons.find(target.python_request)
    except InterpreterNotFound:
        return False
    return target.system is not System.WINDOWS or _platform_of(found.path) == _WINDOWS_PLATFORMS[target.arch]


def _platform_of(python: str) -> str:
    """What its wheels are for, as sysconfig says it: on Windows each Python compiles for its own architecture."""
    from hwb import proc

    asked = [python, "-I", "-c", "import sysconfig; print(sysconfig.get_platform())"]
    return proc.run(asked, capture=True, quiet=True).text.strip()


def compilers_for(target: Target, python: str, outer: Mapping[str, str]) -> dict[str, str]:
    """Variables for the compilers of macOS and Windows, to be added to `outer` where hooks run for a target with an
    interpreter; Linux needs none. All of them decide what is built. Raises MissingError where a compiler is missing."""
    from hwb import proc
    from hwb.target import System

    if target.system is System.MACOS:
        from hwb.matrix import macos

        return macos.build_environment(
            target, outer, python, lambda argv: proc.run(argv, capture=True, quiet=True).text
        )
    if target.system is System.WINDOWS:
        from hwb.isolation import msvc

        return msvc.build_environment(target, _plain_host().arch, outer, msvc.on_windows())
    return {}


def runs_here(target: Target) -> bool:
    """Whether this machine's own interpreters can import a wheel that was built without a container."""
    from hwb.matrix.macos import runs_on
    from hwb.target import System

    return target.system is not System.MACOS or runs_on(target, _plain_host().arch)


def records(plan: MatrixPlan) -> dict[str, dict[str, Any]]:
    """The targets that are made here, by identifier. Raises MissingError for one that was asked for by name and that
    this machine lacks something for, NothingToRun when none is left."""
    from hwb.errors import ConfigError, NothingToRun
    from hwb.matrix.planning import require_makeable

    require_makeable(plan)
    for planned in plan.here:
        if planned.options.build_frontend_args and planned.handed is None:
            what = f"build-frontend args {' '.join(planned.options.build_frontend_args)} are not honoured"
            remedy = 'remove them, or let cibuildwheel build: engine = "cibuildwheel" in [tool.hwb.matrix]'
            raise ConfigError(f"{planned.identifier}: {what}", remedy=remedy)
    made = {planned.identifier: as_record(planned) for planned in plan.here}
    if not made:
        raise NothingToRun("none of the project's wheels can be made here", remedy="hwb matrix --list says where")
    return made


def tell_missing(plan: MatrixPlan) -> list[str]:
    """A line for each reason why targets are not made here, with where they can be, and the plan's warnings."""
    from hwb.matrix.strategy import names

    reasons: dict[str, list[str]] = {}
    for one in _missing(plan):
        reasons.setdefault(one.reason, []).append(one.identifier)
    lines = [f"not made here: {names(found)}: {reason}" for reason, found in reasons.items()]
    return [*lines, *(f"warning: {text}" for text in plan.warnings)]


def _missing(plan: MatrixPlan) -> list[PlannedTarget]:
    return [one for one in plan.targets if not one.is_makeable]


def as_record(planned: PlannedTarget) -> dict[str, Any]:
    """A target as the plain data that a session's specification carries."""
    options = planned.options
    record = {} if planned.handed is None else {"handed": planned.handed.as_dict()}
    return record | {
        "identifier": planned.identifier,
        "policy": planned.target.policy if planned.target is not None else "",
        "pure": planned.target is None,
        "strategy": planned.strategy.value,
        "image": planned.image,
        "options": options.as_dict(),
    }
