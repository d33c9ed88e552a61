"""Which containers does a run have open, and what do they see of the project?"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hwb.builder.container_room import ContainerRoom, RoomTool
    from hwb.isolation.docker import DockerConfig
    from hwb.isolation.environment import Venv
    from hwb.pythons import Interpreter

__all__ = ["Furnished", "Rooms"]


class Rooms:
    """The rooms of a run for one project: one for each configuration, opened when first wanted, closed together.

    All of them see one snapshot of the project as /src. `keeps`: a container in which something failed stays.
    """

    def __init__(self, root: str, *, keeps: bool = False) -> None:
        self._root = root
        self._keeps = keeps
        self._lock = threading.Lock()
        self._open: dict[str, ContainerRoom] = {}
        self._stack = ExitStack()
        self._sources = ""
        self._prepared: dict[str, str] = {}

    def get(self, config: DockerConfig) -> ContainerRoom:
        """The room of a configuration. Raises ToolNotFound, ContainerError, IsolationError, OfflineError."""
        from hwb.builder.where import open_room

        with self._lock:
            key = repr(config)
            if key not in self._open:
                room = open_room(config, self._root, self._snapshot(), keeps=self._keeps)
                self._open[key] = self._stack.enter_context(room)
            return self._open[key]

    def prepared(self, config: DockerConfig, script: str, environ: Mapping[str, str]) -> DockerConfig:
        """The configuration with the image that a script (`before-all`) has prepared, made when there is none yet.

        Raises CommandFailed when the script fails.
        """
        from dataclasses import replace

        from hwb.isolation.docker import DockerIsolation
        from hwb.isolation.engine import find_engine
        from hwb.isolation.prepared import prepared_image

        with self._lock:
            key = f"{config!r} {script} {sorted(environ.items())}"
            if key not in self._prepared:
                engine, sources = find_engine(config.container_engine), self._snapshot()
                image = DockerIsolation(config).image(engine)
                reads = "{project}" in script or "{package}" in script
                text = script.replace("{project}", "/src").replace("{package}", "/src")
                content = self._digest if reads else ""
                made = prepared_image(engine, image, text, sources=sources, content=content, environ=environ)
                self._prepared[key] = made.reference
            return replace(config, image=self._prepared[key])

    def once(self, key: str, work: Callable[[], None]) -> None:
        """Do something once in the run, whichever session comes first; the others wait, and fail as it failed."""
        with self._lock:
            if key not in self._prepared:
                work()
                self._prepared[key] = ""

    def _snapshot(self) -> str:
        import os

        from hwb.snapshot import read_tree, snapshot
        from hwb.store import fingerprint, open_store

        if not self._sources:
            store = open_store()
            name = f"{fingerprint(self._root, str(os.getpid()))}-src"
            self._stack.enter_context(store.lock(f"room-{name}"))
            tree = read_tree(self._root)
            self._digest = tree.digest
            copy = self._stack.enter_context(snapshot(tree, str(store.path("rooms", name))))
            self._sources = copy.path
        return self._sources

    def close(self) -> None:
        """Remove the containers and the snapshot."""
        with self._lock:
            self._open.clear()
            self._stack.close()


class Furnished:
    """A room with more variables: what one target's configuration adds."""

    def __init__(self, room: ContainerRoom, environ: Mapping[str, str]) -> None:
        self.room = room
        self.environ: Mapping[str, str] = {**room.environ, **environ}
        self.identity = room.identity
        self.in_process = room.in_process
        self.area = room.area
        self.keeps = room.keeps

    def command(
        self, argv: Sequence[str], *, env: Mapping[str, str], cwd: str, talks: bool = False
    ) -> tuple[list[str], dict[str, str]]:
        """As `Room.command`."""
        return self.room.command(argv, env=env, cwd=cwd, talks=talks)

    def tool(self, name: str) -> RoomTool:
        """As `Room.tool`."""
        return self.room.tool(name)

    def bytecode(self, python: str, names: Sequence[str]) -> str:
        """As `Room.bytecode`."""
        return self.room.bytecode(python, names)

    def give(self, path: str) -> None:
        """As `Room.give`."""
        self.room.give(path)

    def pins(self, interpreter: Interpreter, requires: Sequence[str], constraints: Sequence[str]) -> list[str]:
        """As `Room.pins`."""
        return self.room.pins(interpreter, requires, constraints)

    def environment(self, interpreter: Interpreter, requires: Sequence[str], pins: Sequence[str]) -> Venv:
        """As `Room.environment`."""
        return self.room.environment(interpreter, requires, pins)

    def run(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: str, **options: Any) -> Any:
        """Run a command to its end, as `proc.run` does; what it started ends with it."""
        return self.room.container.run(list(argv), env={**self.environ, **env}, cwd=cwd, **options)
