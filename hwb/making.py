"""How is the wheel of one target made in a session: where it is built, with which variables, and how it is repaired?

A session of a recipe with `targets` makes one wheel. The steps are the catalog's `build`, `repair`, `check` and `test`;
what they call here is `session.build()` and its like, which ask this module when the session has a target.
"""

from __future__ import annotations

import os
import shlex
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from hwb.errors import CommandFailed, ConfigError, HwbError, RepairError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hwb.artifacts import Artifact
    from hwb.builder.options import Built
    from hwb.builder.rooms import Furnished, Rooms
    from hwb.matrix.options import TargetOptions
    from hwb.pythons import Interpreter
    from hwb.repair import RepairOptions
    from hwb.session import Session
    from hwb.target import Target

__all__ = ["Making", "Tests", "repair_here"]

_SOURCES = "/src"
_NO_NETWORK = "it has no network and cannot write to the image: set network = true for it, or prepare in before-all"


class Tests(NamedTuple):
    """How a wheel is tested: by `command`, or by `script`, a text for a shell; both empty: import its modules.

    `before` is a text for a shell, too; `env` are variables of all of them.
    """

    command: str | list[str] = ""
    script: str = ""
    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    before: str = ""
    env: tuple[tuple[str, str], ...] = ()
    skip: bool = False


class Making:
    """The making of one target's wheel; `record` is what `hwb.machine.as_record` wrote."""

    def __init__(self, session: Session, record: Mapping[str, Any]) -> None:
        self._session = session
        self._record = record
        self.identifier = str(record["identifier"])

    @property
    def target(self) -> Target | None:
        """What the wheel is for; None for one that every machine takes."""
        from hwb.target import Target

        return None if self._record["pure"] else Target.of(self.identifier, self._record["policy"])

    @cached_property
    def options(self) -> TargetOptions:
        """What the project's configuration says for this target."""
        from hwb.matrix.options import TargetOptions

        return TargetOptions(**{name: _tuples(value) for name, value in self._record["options"].items()})

    # --- where ----------------------------------------------------------------------------------------------------

    @property
    def in_container(self) -> bool:
        """Whether hooks and tests run in a container."""
        return bool(self._record["strategy"] == "container")

    @cached_property
    def room(self) -> Furnished:
        """The container of the target's image with the target's variables."""
        from hwb.builder.rooms import Furnished
        from hwb.isolation.docker import DockerConfig
        from hwb.matrix.environment import evaluate

        target, options = self.target, self.options
        assert target is not None
        rooms = self._rooms
        config = DockerConfig(
            image=self._record["image"],
            architecture=target.arch,
            network=options.network,
            container_engine=options.container_engine or self._session.config.get("container-engine"),
        )
        if options.before_all:
            config = rooms.prepared(config, options.before_all, self._passed())
        room = rooms.get(config)
        plain = Furnished(room, self._passed())

        def command(text: str, environ: Mapping[str, str]) -> str:
            return str(plain.run(["sh", "-c", text], env=environ, cwd=_SOURCES, capture=True).text)

        return Furnished(room, evaluate(options.environment, plain.environ, command))

    @property
    def _rooms(self) -> Rooms:
        from hwb.builder.rooms import Rooms

        rooms: Rooms = self._session._services.shared.setdefault("rooms", Rooms(self._session.root))
        return rooms

    def _passed(self) -> dict[str, str]:
        outer = self._session._context.outer_env
        return {name: outer[name] for name in self.options.environment_pass if name in outer}

    @cached_property
    def interpreter(self) -> Interpreter:
        """The Python that builds and tests it. Raises InterpreterNotFound, ContainerError."""
        from hwb import pythons

        if self.target is None:
            return self._session._default_interpreter()
        if self.in_container:
            return self.room.room.python(self.target.python)
        return pythons.find(self.target.version)

    @cached_property
    def project(self) -> str:
        """The project's directory as configured commands see it: in a container a copy that they may write to."""
        import shutil

        if not self.in_container:
            return self._session.root
        copy = os.path.join(self.room.area, f"project-{self.identifier}")
        shutil.copytree(self.room.room.sources, copy, symlinks=True, dirs_exist_ok=True)
        self.room.give(copy)
        return copy

    def folder(self, step: str) -> str:
        """A directory of this run for what a step makes."""
        from hwb.spec import safe_name

        return os.path.join(self._session._spec.run_dir, "wheels", safe_name(self.identifier), step)

    # --- steps ----------------------------------------------------------------------------------------------------

    def build(self, settings: Mapping[str, str | list[str]], *, cache: bool) -> Artifact:
        """Build the wheel from the run's sdist, as it is before any repair, and record it."""
        from hwb.builder.engine import build_project
        from hwb.builder.options import BuildOptions

        sdist = self._session.artifacts.sdist
        with self._variables() as names, self._unpacked(sdist) as source:
            self._before_build()
            options = BuildOptions(
                (self.interpreter,),
                sdist=False,
                config_settings={**_settings(self.options.config_settings), **settings},
                cache=cache,
                env_pass=(*self._session.config.get("build")["env-pass"], *names),
                room=self.room if self.in_container else None,
            )
            built: Built = build_project(source, self.folder("built"), options)
        self._session.log("%s", built.why)
        return self._session.emit(built.wheels[0], parent=sdist.sha256)

    @contextmanager
    def _unpacked(self, sdist: Artifact) -> Iterator[Any]:
        from hwb.builder.options import Source
        from hwb.source import parse_source, resolve_source

        with resolve_source(parse_source(sdist.path), offline=True) as found:
            identity = f"{self._session.root}|{self.identifier}"
            yield Source(str(found.local_path), identity, vcs=False, is_sdist=True)

    def _evaluated(self, pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
        """The environment after assignments, in the place where the wheel is tested."""
        from hwb import proc
        from hwb.matrix.environment import evaluate

        if not pairs:
            return {}
        session = self._session
        outer = self.room.environ if self.in_container else session._context.outer_env

        def command(text: str, environ: Mapping[str, str]) -> str:
            if self.in_container:
                return str(self.room.run(["sh", "-c", text], env=environ, cwd=_SOURCES, capture=True).text)
            return proc.run(["sh", "-c", text], cwd=session.root, env=dict(environ), capture=True).text

        return evaluate(pairs, outer, command)

    @contextmanager
    def _variables(self) -> Iterator[tuple[str, ...]]:
        """On this machine: the target's variables in the environment of the block; their names."""
        from hwb.context import current, use

        pairs = self.options.environment
        if self.in_container or not pairs:
            yield ()
            return
        names = tuple(dict.fromkeys(name for name, _ in pairs))
        with use(current().but(outer_env=self._evaluated(pairs))):
            yield names

    def _before_build(self) -> None:
        text = self.options.before_all
        if text and not self.in_container:  # in containers it was a part of making the image
            self._rooms.once(f"before-all {text}", lambda: self._shell("before-all", text, {}))
        if self.options.before_build:
            self._shell("before-build", self.options.before_build, {})

    def _filled(self, text: str, more: Mapping[str, str]) -> str:
        """A configured command with its placeholders replaced."""
        if "{project}" in text or "{package}" in text:
            more = {"project": self.project, "package": self.project, **more}
        for name, value in more.items():
            text = text.replace("{" + name + "}", shlex.quote(value))
        return text

    def _shell(self, key: str, text: str, placeholders: Mapping[str, str]) -> None:
        """One configured command, in the place where the wheel is built. Raises CommandFailed that names its key."""
        from hwb import proc
        from hwb.context import current

        text = self._filled(text, placeholders)
        folder = os.path.dirname(self.interpreter.path)
        try:
            if self.in_container:
                path = f"{folder}:{self.room.environ.get('PATH', os.defpath)}"
                self.room.run(["sh", "-c", text], env={"PATH": path}, cwd=self.project)
            else:
                outer = current().outer_env
                path = os.pathsep.join((folder, outer.get("PATH", os.defpath)))
                proc.run(["sh", "-c", text], cwd=self.project, env={**outer, "PATH": path})
        except CommandFailed as error:
            hint = _NO_NETWORK if self.in_container and not self.options.network else "see what it printed"
            what = f"{key} of {self.identifier}: {error.what}"
            raise CommandFailed(what, error.return_code, detail=error.detail, remedy=hint) from error

    def repair(self) -> Artifact:
        """Give the session's wheel its final tag, put it into the output directory, and record that it replaces it."""
        from hwb.repair import repair_wheels
        from hwb.repair.tools import host_tool

        wheel = self.wheel
        folder, source = self.folder("repaired"), wheel.path
        if self.in_container:
            folder = os.path.join(self.room.area, f"repaired-{self.identifier}")
            source = self._brought(wheel)
        if self.options.repair_command is not None:
            with self._variables():
                made = self._repaired_by_command(source, folder)
        else:
            tool = self.room.tool if self.in_container else host_tool
            (done,) = repair_wheels([source], folder, self._repair_options(), tool)
            for library in done.bundled:
                self._session.log("bundled %s  sha256 %s", library.name, library.sha256)
            made = done.path
        return self._delivered(wheel, made)

    def _repair_options(self) -> RepairOptions:
        from hwb.repair import RepairOptions

        policy = str(self._record["policy"])
        if policy.startswith("macosx_"):
            policy = policy.removeprefix("macosx_").replace("_", ".")
        abi3 = "-abi3-" in self.wheel.name
        return RepairOptions(policy=policy, pure=True, audit=abi3 and self.options.audit)

    def _brought(self, wheel: Artifact) -> str:
        """A copy of a wheel where the container sees it: in its own area."""
        import shutil

        folder = os.path.join(self.room.area, f"built-{self.identifier}")
        os.makedirs(folder, exist_ok=True)
        return shutil.copy(wheel.path, os.path.join(folder, wheel.name))

    def _repaired_by_command(self, source: str, folder: str) -> str:
        """What `repair-wheel-command` made; an empty command is none."""
        if not self.options.repair_command:
            return source
        os.makedirs(folder, exist_ok=True)
        if self.in_container:
            self.room.give(folder)
        self._shell("repair-wheel-command", self.options.repair_command, {"wheel": source, "dest_dir": folder})
        found = [name for name in os.listdir(folder) if name.endswith(".whl")]
        if len(found) != 1:
            what = f"repair-wheel-command of {self.identifier} left {len(found)} wheels in its {{dest_dir}}"
            raise HwbError(what, remedy="have it leave exactly one, or remove the command: hwb repairs by itself")
        return os.path.join(folder, found[0])

    def _delivered(self, wheel: Artifact, made: str) -> Artifact:
        return _deliver(self._session, wheel, made, self._session.output_dir)

    def provide(self) -> None:
        """Give the session an environment of the target's Python, in the container if the wheel is built in one."""
        from hwb.inside import Inside
        from hwb.isolation.foreign import ForeignPython
        from hwb.isolation.venv import make_venv

        session, interpreter = self._session, self.interpreter
        if isinstance(interpreter, ForeignPython):
            session._enter(Inside(self.room, interpreter, session.root))
            return
        backend = session.config.get("default-venv-backend")
        session._provide(make_venv(session._virtualenv.location, interpreter, backend=backend, params=(), reuse=False))

    def tests(self, plain: Tests) -> Tests:
        """What the project's matrix says of testing this target, else `plain`."""
        options, wheel = self.options, {"wheel": self.wheel.path}
        script = self._filled(options.test_command, wheel)
        if script and options.test_sources:
            script = f"{self._copying(options.test_sources)} && {{ {script}\n}}"
        environ = self._evaluated(options.test_environment)
        return Tests(
            plain.command,
            script,
            (*(options.test_requires or plain.requires), *self._grouped(options.test_groups)),
            options.test_extras,
            self._filled(options.before_test, wheel),
            tuple((name, environ[name]) for name in dict.fromkeys(name for name, _ in options.test_environment)),
            skip=options.test_skip,
        )

    def _grouped(self, names: Sequence[str]) -> tuple[str, ...]:
        """The requirements of dependency groups (PEP 735)."""
        if not names:
            return ()
        from hwb.project import analyze_project

        groups = analyze_project(self._session.root).dependency_groups
        lost = [name for name in names if name not in groups]
        if lost:
            raise ConfigError(f"test-groups: there is no dependency group {', '.join(lost)} in pyproject.toml")
        return tuple(text for name in names for text in groups[name])

    def _copying(self, sources: Sequence[str]) -> str:
        """Shell words that copy parts of the project into the working directory, each to its own place."""
        quoted = [(shlex.quote(os.path.join(self.project, path)), shlex.quote(path)) for path in sources]
        return " && ".join(f'mkdir -p "$(dirname {path})" && cp -R {full} {path}' for full, path in quoted)

    @property
    def wheel(self) -> Artifact:
        """The wheel that this session made last. Raises HwbError before there is one."""
        own = [one for one in self._session._services.ledger.leaves() if one.session == self._session.name]
        wheels = [one for one in own if one.name.endswith(".whl")]
        if not wheels:
            raise HwbError(f"{self._session.name} has made no wheel yet", remedy="call session.build() first")
        return wheels[-1]


def _tuples(value: Any) -> Any:
    """Lists of JSON as the tuples that they were."""
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value


def _settings(pairs: Sequence[tuple[str, str]]) -> dict[str, str | list[str]]:
    """Repeated keys make a list, as for `hwb build -C`."""
    found: dict[str, str | list[str]] = {}
    for name, value in pairs:
        before = found.get(name)
        found[name] = value if before is None else [*([before] if isinstance(before, str) else before), value]
    return found


def repair_here(session: Session) -> list[Artifact]:
    """Repair every platform wheel of a run on this machine, to the oldest system that its code proves (C-11).

    One that cannot be repaired stays as it is, with a warning: it works here, and no registry but `local` takes it.
    """
    from hwb.repair import RepairOptions, repair_wheels

    made = []
    folder = os.path.join(session._spec.run_dir, "wheels", "repaired")
    for wheel in session.artifacts.wheels:
        if wheel.name.endswith("-any.whl"):
            continue
        try:
            (done,) = repair_wheels([wheel.path], folder, RepairOptions())
        except RepairError as error:
            session.warn("%s stays for this machine only: %s", wheel.name, error.what)
            continue
        made.append(_deliver(session, wheel, done.path, os.path.dirname(wheel.path)))
    return made


def _deliver(session: Session, wheel: Artifact, made: str, folder: str) -> Artifact:
    """Put a file into the output directory; a wheel there that it replaces goes."""
    from hwb.artifacts import write_manifest
    from hwb.fs import atomic_path, copy_file

    final = os.path.join(folder, os.path.basename(made))
    os.makedirs(folder, exist_ok=True)
    with atomic_path(final) as temporary:
        copy_file(made, str(temporary))
    artifact = session.emit(final, parent=wheel.sha256)
    session._services.ledger.replaces(wheel.sha256, artifact.sha256)
    if os.path.dirname(wheel.path) == folder and final != wheel.path:
        os.unlink(wheel.path)
    write_manifest(folder, session._services.ledger, {})
    return artifact
