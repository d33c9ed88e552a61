"""How does anything that can be named (a directory, an archive, a repository) become checked files in a directory?

`build` is what `hwb build` and `hwb.build()` call; `BuildEngine` is the documented class over the same engine.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from hwb.builder.options import BuildOptions, Source
from hwb.context import current, use
from hwb.errors import HwbError, UsageError
from hwb.keys import STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from hwb.artifacts import Artifact
    from hwb.builder.container_room import ContainerRoom
    from hwb.builder.options import Built, Dependencies
    from hwb.config import Settings
    from hwb.pythons import Interpreter
    from hwb.repair import RepairOptions
    from hwb.source import ResolvedSource

__all__ = ["BuildRequest", "BuildResult", "PhaseTime", "build", "build_source", "failed", "placed", "result_of"]


class PhaseTime(NamedTuple):
    """A phase that is over: `name` (resolve, analyze, isolation, build, validate, metadata), what of, seconds."""

    name: str
    detail: str
    seconds: float
    ok: bool


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What became of a build. `error_code` is the code of an `HwbError`, empty on success; paths are absolute.

    `wheel_path` is the first wheel. `why` says what was done and for which reason, `cached` whether the files come
    from an earlier build of the same inputs.
    """

    success: bool
    wheel_path: Path | None = None
    sdist_path: Path | None = None
    build_log: str = ""
    duration_seconds: float = 0.0
    error: str | None = None
    error_code: str = ""
    artifacts: tuple[Artifact, ...] = ()
    cached: bool = False
    why: str = ""
    isolated: bool = True
    phases: tuple[PhaseTime, ...] = ()
    changes: tuple[str, ...] = ()
    """With `only_why`: everything that is different from the last build."""
    depends: Dependencies | None = field(default=None, repr=False, compare=False)
    """What the build depended on (for the note that makes the next one quick)."""


class BuildRequest(NamedTuple):
    """What `hwb build` was asked; None means that settings and project decide."""

    source: str = "."
    output_dir: str | None = None
    sdist: bool | None = None
    wheel: bool | None = None
    pythons: tuple[str, ...] = ()
    config_settings: Mapping[str, str | list[str]] = {}
    isolated: bool = True
    from_tree: bool = False
    release: bool = False
    cache: bool = True
    clean: bool = False
    constraints: tuple[str, ...] = ()
    locked: bool = False
    frontend: str | None = None
    reproduce: bool = False
    only_why: bool = False
    """Build nothing: say what changed since the last build."""
    local: Mapping[str, str] = {}
    """Wheels (paths) that stand for requirements of these names: members of a workspace that were built before."""
    directory: str = ""
    """What `source` and relative paths are relative to; empty: the current directory."""
    isolation: str | None = None
    """`auto`, `venv`, `docker`, `none`, or the name of an installed strategy."""
    docker: Mapping[str, Any] = {}
    """Fields of `hwb.isolation.docker.DockerConfig` that this build sets."""


def build_source(request: BuildRequest) -> BuildResult:
    """Do what a request says, in the current context. Raises HwbError; then nothing new is in the output directory."""
    from hwb.builder.engine import disk_errors

    started = time.monotonic()
    with disk_errors(), _noted() as phases, _resolved(request) as (source, spec_dir):
        from hwb.config import load

        settings = load(source.root, org_file=None)
        out_dir = _output_dir(request, source, spec_dir, settings.get("output-dir"))
        with placed(request, source, settings) as (request, options):
            if request.only_why:
                from hwb.builder.engine import changes_since

                return BuildResult(success=True, changes=changes_since(source, out_dir, options))
            if request.clean:
                from hwb.builder.output import clean_output, refuse_dangerous

                refuse_dangerous(out_dir, source.root)
            built = _engine(request, source, out_dir, options)
        if request.clean:  # not before: a build that fails must not cost the files of the last one
            clean_output(out_dir, source.root, {os.path.basename(path) for path in built.files})
        from hwb.pruning import count_build

    count_build(hit=built.cached)
    result = result_of(built, out_dir)
    return replace(result, duration_seconds=time.monotonic() - started, phases=tuple(phases))


def result_of(built: Built, out_dir: str) -> BuildResult:
    """What was built, with its artifacts; the manifest beside them is written."""
    return BuildResult(
        success=True,
        wheel_path=_path(built.wheels[0]) if built.wheels else None,
        sdist_path=_path(built.sdist) if built.sdist else None,
        artifacts=_record(built, out_dir),
        cached=built.cached,
        why=built.why,
        isolated=built.depends.options.isolated,
        depends=built.depends,
    )


def _engine(request: BuildRequest, source: Source, out_dir: str, options: BuildOptions) -> Built:
    from hwb.builder.engine import build_project

    built = build_project(source, out_dir, options)
    if request.reproduce:
        from hwb.builder.reproduce import reproduce

        reproduce(source, built, options)
    return built


def _path(text: str) -> Path:
    from pathlib import Path

    return Path(text)


@contextmanager
def _noted() -> Iterator[list[PhaseTime]]:
    """Collects the phases that end inside the block."""
    context, found = current(), list[PhaseTime]()
    emit = context.emit

    def told(kind: str, **values: Any) -> None:
        if kind == "phase" and values["state"] != "started":
            ok = values["state"] == "done"
            found.append(PhaseTime(values["name"], values.get("detail", ""), values.get("seconds", 0.0), ok))
        emit(kind, **values)

    with use(context.but(emit=told)):
        yield found


# --- from words to values ------------------------------------------------------------------------------------------


@contextmanager
def _resolved(request: BuildRequest) -> Iterator[tuple[Source, str]]:
    """The source as a directory, and the directory whose `dist` is the default output (empty: the project's own)."""
    start = os.path.abspath(request.directory or current().cwd)
    plain = os.path.join(start, os.path.expanduser(request.source))
    if os.path.isdir(plain) and "#" not in request.source:
        yield Source(os.path.abspath(plain)), ""
        return
    from hwb.builder.backend import phase
    from hwb.source import parse_source, resolve_source

    with phase("resolve", request.source):
        spec = parse_source(request.source, cwd=start)
        if spec.editable:
            raise UsageError(f"{request.source}: an editable source is no distribution", remedy="leave -e out")
        found = resolve_source(spec, offline=current().offline)
    with found:
        yield _source_of(found, request.source), "" if not found.is_temporary else start


def _source_of(found: ResolvedSource, shown: str) -> Source:
    from hwb.source import SourceType

    kind = found.spec.type
    if not found.is_temporary:
        return Source(str(found.local_path))
    git = kind in (SourceType.GIT_HTTPS, SourceType.GIT_SSH) or found.commit_hash is not None
    return Source(str(found.local_path), shown, vcs=git, is_sdist=kind is SourceType.SDIST)


def _output_dir(request: BuildRequest, source: Source, beside: str, configured: str) -> str:
    if request.output_dir is not None:
        return os.path.join(os.path.abspath(request.directory or current().cwd), os.path.expanduser(request.output_dir))
    return os.path.join(beside, "dist") if beside else os.path.join(source.root, configured)


def _kinds(request: BuildRequest, source: Source) -> tuple[bool, bool]:
    """sdist, wheel: what was named, else both; of an sdist only a wheel."""
    if source.is_sdist:
        if request.sdist:
            remedy = "leave --sdist out: a wheel is built from it"
            raise UsageError("the source is an sdist already", remedy=remedy)
        if request.from_tree:
            raise UsageError("the source is an sdist: there is no tree", remedy="leave out --from-tree")
        return False, True
    if request.from_tree and request.sdist and not request.wheel:
        raise UsageError("no wheel is asked for that could come from the tree", remedy="leave out --from-tree")
    if request.sdist is None and request.wheel is None:
        return True, True
    return bool(request.sdist), bool(request.wheel)


@contextmanager
def placed(request: BuildRequest, source: Source, settings: Settings) -> Iterator[tuple[BuildRequest, BuildOptions]]:
    """How it is built, while the place where that happens is there; the request says then whether it is isolated."""
    from hwb.builder.where import wanted_strategy

    strategy = wanted_strategy(request.isolation, settings.get("isolation"), isolated=request.isolated)
    if request.docker and strategy != "docker":
        what = f"{', '.join(request.docker)}: only containers have that"
        raise UsageError(what, remedy="add --isolation docker")
    request = request._replace(isolated=strategy != "none")
    if strategy not in STRATEGIES:
        with _installed(strategy, request, source, settings) as options:
            yield request, options
        return
    with _room(strategy, request, source, settings) as (room, repair):
        yield request, _options(request, source, settings, room, repair)


@contextmanager
def _room(
    strategy: str, request: BuildRequest, source: Source, settings: Settings
) -> Iterator[tuple[ContainerRoom | None, RepairOptions | None]]:
    """The container that is asked for or fits best, and how its wheels are repaired; None twice: this machine."""
    if strategy in ("venv", "none"):
        yield None, None
        return
    from hwb.builder.where import chosen, open_room, repair_of
    from hwb.isolation.configured import combined, docker_config
    from hwb.project import read_project

    config = combined(docker_config(settings, source.root), request.docker)
    if not chosen(strategy, read_project(source.root), config):
        yield None, None
        return
    with open_room(config, source.key) as room:
        yield room, repair_of(config, room.image.policy)


@contextmanager
def _installed(name: str, request: BuildRequest, source: Source, settings: Settings) -> Iterator[BuildOptions]:
    """The options for environments that an installed strategy makes, one for each Python, while they are there."""
    from hwb.builder.environments import Environments
    from hwb.builder.where import prepared_of, strategy_environments
    from hwb.isolation.configured import load_strategy
    from hwb.project import read_project
    from hwb.pydefault import choose
    from hwb.pydownload import permitted

    project, configured = read_project(source.root), settings.get("python")
    words = request.pythons or ((configured,) if configured else ())
    if not words:
        with permitted(settings):
            words = (choose(source.root, settings, lambda: project.requires_python).request,)
    requires = Environments(BuildOptions((), local=request.local)).with_local(project.build_system.requires)
    with strategy_environments(name, load_strategy(name, settings), words, requires) as made:
        prepared = dict(map(prepared_of, made))
        options = _options(request, source, settings, None, None, tuple(prepared))
        found = {interpreter.identity: one for interpreter, one in prepared.items()}
        yield options._replace(prepared=found, cache=False)


def _options(
    request: BuildRequest,
    source: Source,
    settings: Settings,
    room: ContainerRoom | None,
    repair: RepairOptions | None,
    prepared: tuple[Interpreter, ...] = (),
) -> BuildOptions:
    sdist, wheel = _kinds(request, source)
    from hwb.isolation.configured import build_options

    configured = settings.get("build")
    frontend = _frontend(request.frontend or configured["frontend"])
    _check_own(request, frontend, room, prepared=bool(prepared))
    lock = os.path.join(source.root, "pylock.build.toml") if request.locked else ""
    if lock and not os.path.isfile(lock):
        raise UsageError("there is no pylock.build.toml to obey", where=source.root, remedy="make it: hwb lock --build")
    return BuildOptions(
        pythons=prepared or _interpreters(request, source.root, settings, room),
        sdist=sdist,
        wheel=wheel,
        config_settings=request.config_settings,
        isolated=request.isolated,
        from_tree=request.from_tree,
        release=request.release,
        cache=request.cache,
        constraints=request.constraints,
        local=request.local,
        lock=lock,
        env_pass=tuple(configured["env-pass"]),
        include=tuple(configured["include"]),
        frontend=frontend,
        room=room,
        repair=repair,
        **(build_options(settings) if room is None and request.isolated else {}),
    )


def _check_own(request: BuildRequest, frontend: str, room: ContainerRoom | None, *, prepared: bool) -> None:
    """What only hwb's own build environments can obey is refused where there is none."""
    if prepared and frontend != "hwb":
        what = f"--frontend {frontend} makes its own build environments"
        raise UsageError(what, remedy="leave it out, or use --isolation venv")
    own = request.isolated and frontend == "hwb" and not prepared
    given = [("--locked", request.locked), ("--build-constraint", bool(request.constraints))]
    for option, asked in given:
        if asked and not own:
            what = f"{option} is for hwb's own build environments: not without isolation, nor with another front end"
            raise UsageError(what, remedy=f"leave out {option}, or --no-isolation, --frontend and --isolation")
    if room is not None and (frontend != "hwb" or request.locked):
        option = "--locked" if request.locked else f"--frontend {frontend}"
        raise UsageError(f"{option} does not work in a container yet", remedy="leave it out, or use --isolation venv")


def _frontend(name: str) -> str:
    from hwb.config import KEYS

    try:
        return str(KEYS["build.frontend"].type.check(name))
    except ValueError:
        accepts = KEYS["build.frontend"].type.accepts
        raise UsageError(f"there is no front end {name!r}", remedy=f"--frontend takes {accepts}") from None


def _interpreters(
    request: BuildRequest, root: str, settings: Settings, room: ContainerRoom | None
) -> tuple[Interpreter, ...]:
    """One for each that was named; else the project's default, which without isolation is the active environment's."""
    from hwb.pydefault import choose, named, requires_python_of
    from hwb.pydownload import permitted

    if room is not None:
        inside: list[Interpreter] = [room.python(word) for word in request.pythons]
        inside = inside or [choose(root, settings, lambda: requires_python_of(root), room.find_python)]
        return tuple({interpreter.identity: interpreter for interpreter in inside}.values())
    if not (request.isolated or request.pythons or settings.get("python")):
        return (_own(),)
    with permitted(settings):
        if request.pythons:
            return tuple(named(root, settings, request.pythons))
        return (choose(root, settings, lambda: requires_python_of(root)),)


def _own() -> Interpreter:
    """Without isolation: the Python of the environment that is active, else the one that hwb runs on, as it stands."""
    import sys

    from hwb import pythons

    active = current().outer_env.get("VIRTUAL_ENV")
    scripts, name = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    path = os.path.join(active, scripts, name) if active else sys.executable
    return replace(pythons.find(path), path=path)


# --- what is said about the result -----------------------------------------------------------------------------------


def _record(built: Built, out_dir: str) -> tuple[Artifact, ...]:
    """Artifacts of the files, and the manifest beside them."""
    from hwb.artifacts import Artifact, Ledger, write_manifest

    ledger, parent = Ledger(None), ""
    for path in built.files:
        artifact = Artifact.of_file(path, "build", "build", parent if path.endswith(".whl") else "")
        parent = artifact.sha256 if path.endswith(".tar.gz") else parent
        ledger.add(artifact)
    write_manifest(out_dir, ledger, built.facts)
    return ledger.artifacts()


def build(
    source: str | os.PathLike[str] = ".",
    output_dir: str | os.PathLike[str] | None = None,
    *,
    sdist: bool | None = None,
    wheel: bool | None = None,
    python: str | Sequence[str] = (),
    config_settings: Mapping[str, str | list[str]] | None = None,
    isolated: bool = True,
    offline: bool = False,
    **more: Any,
) -> BuildResult:
    """Build a directory, an archive or a repository (`git+https://...@ref#subdirectory=x`) from Python.

    >>> hwb.build("my-project", python=["3.11", "3.12"]).wheel_path          # doctest: +SKIP

    Neither `sdist` nor `wheel`: both. `more` are fields of `BuildRequest`. Raises HwbError, whose `code` says what
    failed (SOURCE_RESOLVE_FAILED, ANALYZE_FAILED, ISOLATION_FAILED, BACKEND_FAILED, VALIDATION_FAILED, ...).
    """
    request = BuildRequest(
        os.fspath(source),
        None if output_dir is None else os.fspath(output_dir),
        sdist,
        wheel,
        (python,) if isinstance(python, str) else tuple(python),
        config_settings or {},
        isolated,
        **more,
    )
    from hwb.builder.log import RecordedLog

    context = current()
    with RecordedLog() as log, use(context.but(log=log, offline=offline or context.offline, cwd=os.getcwd())):
        return replace(build_source(request), build_log=log.text)


def failed(error: HwbError, log: str, seconds: float, phases: Sequence[PhaseTime] = ()) -> BuildResult:
    """A typed error as a result (BLD-13): the one place where that is done."""
    return BuildResult(
        success=False,
        build_log=log,
        duration_seconds=seconds,
        error=error.explain(),
        error_code=error.code,
        phases=tuple(phases),
    )
