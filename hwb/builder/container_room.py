"""How do the hooks of a build run in a locked-down container: what is mounted, who may write, what do they see?

The container is started when the first hook wants it. Its processes see the environments that were made for images
(read-only), an area of their own to build in, and the project's sources as /src (read-only).
"""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING

from hwb.context import current, use

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwb.fs import FileLock
    from hwb.isolation.container import Container
    from hwb.isolation.engine import Engine
    from hwb.isolation.environment import Venv
    from hwb.isolation.foreign import ForeignPython
    from hwb.isolation.images import LocalImage
    from hwb.isolation.lockdown import ContainerOptions
    from hwb.proc import Completed
    from hwb.pythons import Interpreter

__all__ = ["IN_PROCESS_INSIDE", "SOURCES_INSIDE", "ContainerRoom", "RoomTool"]

IN_PROCESS_INSIDE = "/hwb/in_process.py"
SOURCES_INSIDE = "/src"
"""Where a container has a project's own files, for reading (DOC-37)."""
_TOOL_MODULES = ("auditwheel.main", "auditwheel.main_repair", "auditwheel.libc", "elftools.elf.elffile")
"""What tools import that are called before anybody has seen what they do."""


class ContainerRoom:
    """A container of an image as a place to build in (see `Room`); a context manager that starts and removes it.

    `project` stands for the project: what is built for it in this image has the same path every time. `sources` is a
    directory that hooks may read as /src, `environ` the variables that they get beside the image's own. `keeps`: after
    `fail` the container stays.
    """

    in_process = IN_PROCESS_INSIDE

    def __init__(
        self,
        engine: Engine,
        image: LocalImage,
        project: str,
        *,
        options: ContainerOptions | None = None,
        environ: Mapping[str, str] | None = None,
        sources: str = "",
        keeps: bool = False,
    ) -> None:
        from hwb.builder.native import CACHING, cache_variables
        from hwb.isolation.lockdown import ContainerOptions
        from hwb.store import fingerprint, open_store

        self.engine = engine
        self.image = image
        self._options = options or ContainerOptions()
        self.sources = sources
        self._store = open_store()
        self._lock, self.area = self._own_area(fingerprint(project, image.id), alone=keeps)
        self._compiled = str(self._store.path("ccache", f"room-{os.path.basename(self.area)}"))  # as its lock is called
        # an image that has ccache (by before-all, for example) has it on PATH by this; others are not affected
        path = ":".join((*CACHING[:2], image.environ.get("PATH", os.defpath)))
        own = {**image.environ, "PATH": path, **cache_variables(self._compiled)}
        self.environ: Mapping[str, str] = {**own, **(environ or {})}
        seen = [[mount.source, mount.target] for mount in self._options.mounts]
        said = json.dumps([sorted(self._options.env.items()), self._options.platform, self._options.network, seen])
        self.identity = f"{image.id}|{said}"
        self._given, self._starting = threading.Lock(), threading.Lock()
        self._container: Container | None = None
        self._new: set[str] = set()
        self.calls = threading.Lock()
        self.keeps, self._failed = keeps, False

    def __enter__(self) -> ContainerRoom:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def container(self) -> Container:
        """The running container, started when it is wanted for the first time: a known result needs none."""
        with self._starting:
            if self._container is None:
                self._container = self._start()
            return self._container

    def _start(self) -> Container:
        from hwb.builder.zygote import run_mark
        from hwb.isolation.container import Container

        for folder in (self.area, self._compiled):
            os.makedirs(folder, exist_ok=True)
        # it outlives the session that wants it first, and the run if it is kept
        with use(current().but(mark={} if self.keeps else run_mark())):
            return Container(self.engine, self.image.id, self._with_mounts()).start()

    def _own_area(self, key: str, *, alone: bool) -> tuple[FileLock, str]:
        """A place that nobody else uses: the same for each build of the project in this image, unless it is taken.

        Whoever comes second does not wait: two runs that want two images each would wait for each other. What may be
        kept has a place that no later build uses.
        """
        from secrets import token_hex

        lock = self._store.lock(f"room-{key}")
        self._once = alone or not lock.acquire(blocking=False)
        if self._once:
            key = token_hex(16)
            lock = self._store.lock(f"room-{key}")
            lock.acquire()
        return lock, str(self._store.path("rooms", key))

    def fail(self) -> None:
        """Something failed in it: where containers are kept this one is, and a person is told how to enter it."""
        with self._starting:
            if self.keeps and self._container is not None:
                enter, remove = self._container.keep(self.area)
                self._failed = True
                text = f"the container is kept: {enter} enters it, {remove} removes it"
                current().emit("message", level="warning", text=text)

    def close(self) -> None:
        """Remove the container, and what was built in, unless they are kept."""
        from pathlib import Path

        from hwb.fs import remove_tree

        container, self._container = self._container, None
        try:
            if container is not None:
                container.remove()
                if self._failed:  # out of the way of whoever tidies up; the container sees it where it was
                    Path(self.area).rename(self._store.path("kept", os.path.basename(self.area)))
                else:
                    remove_tree(self.area)
                self._forget_unused()
        finally:
            self._lock.release()

    def _forget_unused(self) -> None:
        """Nothing stays for an image without ccache, and of a place that no later build uses."""
        from hwb.fs import remove_tree

        if self._once or not os.listdir(self._compiled):
            remove_tree(self._compiled)

    def _with_mounts(self) -> ContainerOptions:
        from dataclasses import replace

        from hwb.builder.zygote import IN_PROCESS
        from hwb.isolation.lockdown import Mount

        environments = str(self._store.env_path("x").parent)
        os.makedirs(environments, exist_ok=True)
        if self._is_somebody_else():
            os.chmod(environments, 0o711)  # the store around it stays closed to everybody else on this machine
        own = [
            Mount.same(environments),
            Mount.same(self.area, writable=True),
            Mount.same(self._compiled, writable=True),
            Mount(IN_PROCESS, IN_PROCESS_INSIDE),
            *([Mount(self.sources, SOURCES_INSIDE)] if self.sources else []),
        ]
        return replace(self._options, mounts=(*self._options.mounts, *own))

    def _is_somebody_else(self) -> bool:
        """Whether the container's processes work as another user than this one."""
        from hwb.isolation.lockdown import caller, identity

        return identity(self.engine, *caller()).outside is not None

    def python(self, wanted: str) -> ForeignPython:
        """The image's Python that a version or tag means. Raises ContainerError that lists what there is."""
        from hwb.isolation.foreign import choose_python
        from hwb.isolation.images import pythons_of

        return choose_python(pythons_of(self.engine, self.image), wanted, self.image.reference)

    def command(
        self, argv: Sequence[str], *, env: Mapping[str, str], cwd: str, talks: bool = False
    ) -> tuple[list[str], dict[str, str]]:
        """As `Room.command`."""
        return self.container.command(argv, env=env, cwd=cwd, talks=talks)

    def tool(self, name: str) -> RoomTool:
        """As `Room.tool`."""
        return RoomTool(self, name)

    def bytecode(self, python: str, names: Sequence[str]) -> str:
        """As `Room.bytecode`."""
        from hwb.isolation.bytecode import bytecode_of

        if python in self._new:
            return ""  # it costs as much to make as it saves in one run: the next one makes it
        return bytecode_of(self.engine, self.image, python, names)

    def give(self, path: str) -> None:
        """As `Room.give`: what is the container's already stays as it is."""
        with self._given:
            self.container.give(path)

    def default_python(self, requires_python: str = "") -> ForeignPython:
        """The newest plain CPython of the image that a project allows. Raises ContainerError when there is none."""
        from hwb.errors import ContainerError
        from hwb.isolation.images import pythons_of
        from hwb.pythons import allowed, version_key

        fits = allowed(requires_python)
        found = [
            p for p in pythons_of(self.engine, self.image) if p.implementation == "cpython" and not p.free_threaded
        ]
        usable = [python for python in found if fits(python.version)]
        if not usable:
            has = ", ".join(python.spoken for python in found) or "none"
            what = f"the image {self.image.reference} has no Python that requires-python {requires_python!r} allows"
            raise ContainerError(what, remedy=f"it has {has}")
        return max(usable, key=lambda python: version_key(python.version))

    def find_python(self, wanted: str | None = None, *, requires_python: str = "") -> ForeignPython:
        """The image's Python for a request, without one the default. Raises ContainerError."""
        return self.python(wanted) if wanted else self.default_python(requires_python)

    def pins(self, interpreter: Interpreter, requires: Sequence[str], constraints: Sequence[str]) -> list[str]:
        """As `Room.pins`."""
        from hwb.isolation.provision import container_pins

        return container_pins(self.engine, self.image, _foreign(interpreter), requires, constraints=constraints)

    def environment(self, interpreter: Interpreter, requires: Sequence[str], pins: Sequence[str]) -> Venv:
        """As `Room.environment`."""
        from hwb.isolation.provision import environment_of_container_pins

        venv = environment_of_container_pins(self.engine, self.image, _foreign(interpreter), requires, pins)
        if not venv.reused:
            self._new.add(venv.python)
        return venv


def _foreign(interpreter: Interpreter) -> ForeignPython:
    from hwb.isolation.foreign import ForeignPython

    assert isinstance(interpreter, ForeignPython)
    return interpreter


class RoomTool:
    """A set of locked tools in an environment of a room, for `hwb.repair`."""

    def __init__(self, room: ContainerRoom, name: str) -> None:
        from hwb.locks import requirement_lines

        self._room = room
        lines = requirement_lines(name)
        self._venv = room.environment(room.python(""), lines, lines)

    @property
    def python(self) -> str:
        """The environment's Python."""
        return self._venv.python

    def run(self, argv: Sequence[str], env: Mapping[str, str]) -> Completed:
        """Run a command in the room with the environment's programs first on PATH."""
        from hwb import proc

        place = os.path.dirname(argv[-1])
        self._room.give(place)
        line, client = self._room.command(argv, env=self._environ(env), cwd=place)
        return proc.run(line, env=client, check=False, capture=True)

    def call(self, script: str, argument: str) -> None:
        """Call `main(argument)` of a Python file, in a fork of an interpreter that has the tools' modules: what takes
        longest of a repair are imports. Raises CommandFailed."""
        from hwb.builder.hooks import HookRunner
        from hwb.store import open_store

        place, name = os.path.dirname(script), os.path.basename(self._venv.path)
        record = ("preload", f"{name}.json")
        if open_store().read_json(*record) is None:
            open_store().write_json(*record, value=list(_TOOL_MODULES))
        self._room.give(place)
        module = os.path.splitext(os.path.basename(script))[0]
        job = {"hook": "main", "backend": module, "backend_path": ["."], "source_dir": place, "arguments": [argument]}
        runner = HookRunner(self.python, name, self._environ({}), place, room=self._room)
        with self._room.calls:  # an interpreter in a room does one job at a time
            runner.run({**job, "config_settings": None}, in_tree=True)

    def _environ(self, more: Mapping[str, str]) -> dict[str, str]:
        path = f"{self._venv.bin}:{self._room.environ.get('PATH', os.defpath)}"
        return {**self._room.environ, **more, "PATH": path}
