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

from hwb.errors import CommandFailed, ConfigError, HwbError

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

__all__ = ["Making", "Tests"]

_SOURCES = "/src"
_NO_NETWORK = "it has no network and cannot write to the image: set network = true for it, or prepare in before-all"


class Tests(NamedTuple):
    """How a wheel is tested: by `command`, or by `script`, a text for a shell; both empty: import its modules.

    `before` is a text for a shell, too; `env` are variables of all of them. `skip` says why it is not tested here.
    `resolutions` (uv's words) say with which versions of its dependencies, one after the other; empty: any.
    """

    command: str | list[str] = ""
    script: str = ""
    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    before: str = ""
    env: tuple[tuple[str, str], ...] = ()
    skip: str = ""
    resolutions: tuple[str, ...] = ("",)


class Making:
    """The making of one target's wheel; `record` is what `hwb.machine.as_record` wrote."""

    def __init__(self, session: Session, record: Mapping[str, Any]) -> None:
        self._session = session
        self._record = record
        self.identifier = str(record["identifier"])
        self._told: dict[Target, dict[str, str]] = {}

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

    @property
    def is_delegated(self) -> bool:
        """Whether cibuildwheel makes the wheel: it builds, repairs, audits and tests it."""
        return bool(self._record["strategy"] == "cibuildwheel")

    @cached_property
    def room(self) -> Furnished:
        """The container of the target's image with the target's variables."""
        from dataclasses import replace

        from hwb.builder.rooms import Furnished
        from hwb.isolation.configured import docker_config
        from hwb.matrix.environment import evaluate

        target, options = self.target, self.options
        assert target is not None
        rooms = self._rooms
        settings = self._session.config
        config = replace(
            docker_config(settings, self._session.root),
            platform="auto",
            image=self._record["image"],
            dockerfile=None,
            architecture=target.arch,
            oci_platform="",
            network=options.network,
            container_engine=options.container_engine or settings.get("container-engine"),
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

        session = self._session
        rooms: Rooms = session._services.shared.setdefault("rooms", Rooms(session.root, keeps=session._spec.keep))
        return rooms

    def fail(self) -> None:
        """The session failed: its container is kept if that was asked for."""
        if self.in_container and "room" in self.__dict__:
            self.room.room.fail()

    def _passed(self) -> dict[str, str]:
        outer = self._session._context.outer_env
        return {name: outer[name] for name in self.options.environment_pass if name in outer}

    @cached_property
    def interpreter(self) -> Interpreter:
        """The Python that builds and tests it. Raises InterpreterNotFound, ContainerError."""
        if self.target is None:
            return self._session._default_interpreter()
        if self.in_container:
            return self.room.room.python(self.target.python)
        return self._session._named_interpreters([self.target.python_request])[0]

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
        sdist = self._session.artifacts.sdist
        if self.is_delegated:
            return self._delegated(sdist, settings)
        made = [self._built(sdist, part, settings, cache) for part in self._parts]
        if len(made) == 2:
            from hwb.repair import host_tool
            from hwb.repair.universal import fuse_wheels

            made = [fuse_wheels(made[0], made[1], self.folder("fused"), host_tool)]
        return self._session.emit(made[0], parent=sdist.sha256)

    @property
    def _parts(self) -> Sequence[Target | None]:
        """What is built by itself: the target, or its halves where the backend compiles for one architecture only."""
        from hwb.project import read_project
        from hwb.repair.universal import builds_both

        target = self.target
        if target is None or target.arch != "universal2":
            return (target,)
        from hwb.matrix.macos import halves

        backend = read_project(self._session.root).build_system.backend
        return (target,) if builds_both(backend) else halves(target)

    def _built(self, sdist: Artifact, part: Target | None, settings: Mapping[str, str | list[str]], cache: bool) -> str:
        from hwb.builder.engine import build_project
        from hwb.builder.options import BuildOptions
        from hwb.isolation.configured import build_options

        name = self.identifier if part is None else part.identifier
        with self._variables(part) as names, self._unpacked(sdist, name) as source:
            self._before_build()
            options = BuildOptions(
                (self.interpreter,),
                sdist=False,
                config_settings={**_settings(self.options.config_settings), **settings},
                cache=cache,
                env_pass=(*self._session.config.get("build")["env-pass"], *names),
                room=self.room if self.in_container else None,
                unfinished=self.target is not None,
                **({} if self.in_container else build_options(self._session.config)),
            )
            built: Built = build_project(source, self.folder(f"built-{name}"), options)
        self._session.log("%s", built.why)
        return str(built.wheels[0])

    def _delegated(self, sdist: Artifact, settings: Mapping[str, str | list[str]]) -> Artifact:
        """cibuildwheel's wheel, in the output directory; it is tested if a test-command was configured."""
        from hwb.artifacts import write_manifest
        from hwb.builder.hook_env import chosen
        from hwb.delegate import delegate_wheel
        from hwb.delivering import place
        from hwb.matrix.handing_over import HandedOver, with_passed, with_settings

        session, target = self._session, self.target
        assert target is not None
        names = chosen(session._context.outer_env, session.config.get("build")["env-pass"])
        handed = with_passed(with_settings(HandedOver.of(self._record["handed"]), settings), names)
        made = delegate_wheel(handed, target, sdist.path, self.folder("built"))
        wheel = place(session, made, session.output_dir, parent=sdist.sha256)
        if self._is_tested:
            session.verdict(wheel, "tested", "by cibuildwheel")
        write_manifest(session.output_dir, session._services.ledger, {})
        return wheel

    @property
    def _is_tested(self) -> bool:
        """Whether cibuildwheel tests it: a wheel that fails is none."""
        return bool(self.options.test_command) and not self.options.test_skip

    @property
    def _why_untested(self) -> str:
        if self._is_tested:
            return "cibuildwheel has done that"
        return "test-skip" if self.options.test_skip else "no test-command tells cibuildwheel how"

    @contextmanager
    def _unpacked(self, sdist: Artifact, name: str) -> Iterator[Any]:
        from hwb.builder.options import Source
        from hwb.source import parse_source, resolve_source

        with resolve_source(parse_source(sdist.path), offline=True) as found:
            identity = f"{self._session.root}|{name}"
            yield Source(str(found.local_path), identity, vcs=False, is_sdist=True)

    def _evaluated(self, pairs: Sequence[tuple[str, str]], more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment with `more` and after assignments, in the place where the wheel is tested."""
        from hwb import proc
        from hwb.matrix.environment import evaluate

        session = self._session
        outer = {**(self.room.environ if self.in_container else session._context.outer_env), **(more or {})}

        def command(text: str, environ: Mapping[str, str]) -> str:
            if self.in_container:
                return str(self.room.run(["sh", "-c", text], env=environ, cwd=_SOURCES, capture=True).text)
            return proc.run(["sh", "-c", text], cwd=session.root, env=dict(environ), capture=True).text

        return evaluate(pairs, outer, command)

    @contextmanager
    def _variables(self, part: Target | None = None) -> Iterator[tuple[str, ...]]:
        """On this machine: the target's variables, and its compiler's, in the environment of the block; their names."""
        from hwb.context import current, use

        pairs = self.options.environment
        compilers = self._compilers(part or self.target)
        if self.in_container or not (pairs or compilers):
            yield ()
            return
        names = tuple(dict.fromkeys((*compilers, *(name for name, _ in pairs))))
        with use(current().but(outer_env=self._evaluated(pairs, compilers))):
            yield names

    def _compilers(self, target: Target | None) -> dict[str, str]:
        """What the compilers of macOS and Windows are told. Raises MissingError where there are none."""
        from hwb.machine import compilers_for

        if target is None or self.in_container:
            return {}
        if target not in self._told:  # to ask takes seconds on Windows
            outer = self._session._context.outer_env
            self._told[target] = compilers_for(target, self.interpreter.path, outer)
        return self._told[target]

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
        from hwb.delivering import deliver, repaired_once

        wheel = self.wheel
        if self.is_delegated:
            return wheel
        if self.options.repair_command is not None:
            with self._variables():
                made = self._repaired_by_command(*self._repair_places(wheel))
        elif self.in_container:
            where, options = self.room.identity, self._repair_options()
            made = repaired_once(self._session, wheel, where, options, lambda: self._repaired(wheel))
        else:
            made = self._repaired(wheel)
        return deliver(self._session, wheel, made, self._session.output_dir)

    def _repair_places(self, wheel: Artifact) -> tuple[str, str]:
        """The wheel where the tools see it, and the directory that they write to."""
        if not self.in_container:
            return wheel.path, self.folder("repaired")
        return self._brought(wheel), os.path.join(self.room.area, f"repaired-{self.identifier}")

    def _repaired(self, wheel: Artifact) -> str:
        from hwb.repair import repair_wheels
        from hwb.repair.tools import host_tool

        source, folder = self._repair_places(wheel)
        tool = self.room.tool if self.in_container else host_tool
        (done,) = repair_wheels([source], folder, self._repair_options(), tool)
        for library in done.bundled:
            self._session.log("bundled %s  sha256 %s", library.name, library.sha256)
        return str(done.path)

    def _repair_options(self) -> RepairOptions:
        from hwb.repair import RepairOptions

        policy = str(self._record["policy"])
        if policy.startswith("macosx_"):
            policy = self._compilers(self.target)["MACOSX_DEPLOYMENT_TARGET"]
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

    def provide(self) -> None:
        """Give the session an environment of the target's Python, in the container if the wheel is built in one.

        Where cibuildwheel makes the wheel there is none: no Python of the target need be here.
        """
        from hwb.inside import Inside
        from hwb.isolation.foreign import ForeignPython
        from hwb.isolation.venv import make_venv

        if self.is_delegated:
            return
        session, interpreter = self._session, self.interpreter
        if isinstance(interpreter, ForeignPython):
            session._enter(Inside(self.room, interpreter, session.root))
            return
        backend = session.config.get("default-venv-backend")
        session._provide(make_venv(session._virtualenv.location, interpreter, backend=backend, params=(), reuse=False))

    def tests(self, plain: Tests) -> Tests:
        """What the project's matrix says of testing this target, else `plain`."""
        if self.is_delegated:
            words = ", ".join(filter(None, plain.resolutions))
            only = f" (resolutions are for tests by hwb: not with {words})" if words else ""
            return Tests(skip=self._why_untested + only)
        options, wheel = self.options, {"wheel": self.wheel.path}
        if skip := "test-skip" if options.test_skip else self._why_foreign():
            return Tests(skip=skip)
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
            resolutions=plain.resolutions,
        )

    def _why_foreign(self) -> str:
        from hwb.machine import runs_here

        foreign = None if self.in_container else self.target
        return "" if foreign is None or runs_here(foreign) else f"it is for {foreign.arch}"

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
