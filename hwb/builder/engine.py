"""How does a directory of sources become a checked sdist and checked wheels, with the same bytes every time?

look -> known already? -> copy -> sdist -> normalise -> check -> unpack -> wheel -> check -> move into place. What is
built is built at a fixed path per project, under a lock, because compilers write paths into what they make.
"""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from hwb.builder.backend import Backend, phase
from hwb.builder.options import BuildOptions, Built, Dependencies, Source
from hwb.context import current, use
from hwb.errors import AnalyzeError, BuildError, OutputError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hwb.archive.tars import SdistReader
    from hwb.builder.environments import Environments
    from hwb.builder.memory import Memory
    from hwb.project import Project
    from hwb.pythons import Interpreter
    from hwb.snapshot import Tree
    from hwb.wheel.finding import Finding

__all__ = ["build_project", "changes_since", "disk_errors"]


def build_project(source: Source, out_dir: str, options: BuildOptions) -> Built:
    """Build into `out_dir`; a wheel comes from the sdist (which is kept only if it is asked for) unless `from_tree`.

    Files appear in `out_dir` at the end, each at once. Raises AnalyzeError, SourceError, IsolationError, BuildError,
    ValidationError.
    """
    from hwb.builder.zygote import Zygotes

    context = current()
    with disk_errors():
        if context.shared is not None:
            context.shared.setdefault("zygotes", Zygotes())
            return _Build(source, out_dir, options).go()
        with Zygotes() as zygotes, use(context.but(shared={"zygotes": zygotes})):
            return _Build(source, out_dir, options).go()


@contextmanager
def disk_errors() -> Iterator[None]:
    """What the system refuses (no space, no permission) is told with its place, not shown as a traceback."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = f"the disk is full: {error.strerror}" if full else f"the system refuses: {error.strerror or error}"
        remedy = (
            "free some space, name another output directory with -o, or move the store with HWB_CACHE_DIR"
            if full
            else "see to the permissions of that place, or name another output directory with -o"
        )
        raise OutputError(what, where=str(error.filename2 or error.filename or ""), remedy=remedy) from error


def changes_since(source: Source, out_dir: str, options: BuildOptions) -> tuple[str, ...]:
    """Everything that is different from the last build of this source, one line each; nothing is built."""
    return _Build(source, out_dir, options).changes()


class _Build:
    """One build from look to hand-over."""

    def __init__(self, source: Source, out_dir: str, options: BuildOptions) -> None:
        from hwb.builder.environments import Environments

        self._source = source
        self._out_dir = out_dir
        self._options = options
        self._environments: Environments = Environments(options)
        self._place = ""
        self._epoch = 0
        self._tree: Tree
        self._project: Project

    def changes(self) -> tuple[str, ...]:
        return tuple(self._memory().changes()) or ("nothing changed",)

    def _memory(self) -> Memory:
        from hwb.builder.memory import Memory

        with phase("resolve"):
            self._look()
        return Memory(self._source, self._tree, self._project, self._options, self._environments)

    def go(self) -> Built:
        memory = self._memory()
        known = memory.handed_out(self._out_dir, asked=self._options.cache)
        if known is not None:
            from hwb.builder.place import clear_leftover

            clear_leftover(self._source.key)
            return self._built(known, memory, cached=True)
        return self._make(memory)

    def _look(self) -> None:
        """What is there, before anything is copied: hwb may have been started in somebody's home directory."""
        from hwb.builder.files import include_patterns
        from hwb.project import read_project
        from hwb.snapshot import read_tree

        with phase("analyze"):
            self._project = read_project(self._source.root)
        outputs = [self._out_dir, *(current().shared or {}).get("outputs", ())]
        patterns = include_patterns(self._project, self._options.include)
        self._tree = read_tree(self._source.root, outputs, include=patterns, vcs=self._source.vcs)
        self._epoch = self._tree.epoch

    def _make(self, memory: Memory) -> Built:
        from hwb.builder.place import own_place

        room = self._options.room
        area, keeps = (room.area, room.keeps) if room is not None else ("", False)
        with own_place(self._source.key, self._options.elsewhere, area, keeps=keeps) as place:
            self._place = self._environments.place = place
            again = memory.handed_out(self._out_dir, asked=self._options.cache)  # somebody else was faster
            if again is not None:
                return self._built(again, memory, cached=True)
            try:
                made = self._frontend() if self._other_frontend() else self._steps()
            finally:
                self._environments.verify()
            with phase("metadata"):
                memory.keep(made)
                os.makedirs(self._out_dir, exist_ok=True)
                return self._built(_hand_over(made, self._out_dir), memory, cached=False)

    def _built(self, files: Sequence[str], memory: Memory, *, cached: bool) -> Built:
        sdist = next((path for path in files if path.endswith(".tar.gz")), None)
        wheels = tuple(path for path in files if path.endswith(".whl"))
        depends = Dependencies(
            self._source, self._tree, self._project, self._options, memory.kept, self._environments.until
        )
        return Built(sdist, wheels, cached, memory.why, self._epoch, self._tree.commit, depends)

    def _steps(self) -> list[str]:
        """The paths of everything that was asked for, checked."""
        options = self._options
        if self._source.is_sdist:
            return self._wheels(None)
        made: list[str] = []
        with ExitStack() as stack:
            packed = self._sdist(stack) if options.sdist or not options.from_tree else None
            if packed is not None and options.sdist:
                made.append(packed.path)
            if options.wheel:
                made += self._wheels(None if options.from_tree else packed)
        return made

    # --- sdist ----------------------------------------------------------------------------------------------------

    def _sdist(self, stack: ExitStack) -> SdistReader:
        """A canonical, checked sdist, open as long as the stack."""
        from hwb.builder.files import reads_only

        out = os.path.join(self._place, "sdist")
        here = self._options.room is None  # a room does not see the tree itself
        if here and reads_only(self._project, release=self._options.release) and self._tree.is_plain():
            reader = self._sdist_of_tree(out, stack)
            if reader is not None:
                return reader
        with self._copied() as folder:
            packed = self._backend(folder, self._project).build("sdist", out)
            return self._checked_sdist(packed, stack)

    def _sdist_of_tree(self, out: str, stack: ExitStack) -> SdistReader | None:
        """What a backend that only reads makes of the tree itself; None when it took what is no source."""
        from hwb.builder.files import foreign
        from hwb.fs import remove_tree

        packed = self._backend(self._tree_root(), self._project, quiet=True).build("sdist", out)
        try:
            reader = self._checked_sdist(packed, stack)
            if not foreign(reader, self._tree):
                return reader
        except ValidationError:
            pass  # perhaps of what is no source; if not, the sdist of a copy says the same
        remove_tree(out)  # only a copy can leave that out
        return None

    def _tree_root(self) -> str:
        return os.path.realpath(self._source.root)

    @contextmanager
    def _copied(self) -> Iterator[str]:
        """The project's directory in a snapshot."""
        from hwb.snapshot import snapshot

        with snapshot(self._tree, os.path.join(self._place, "source")) as copy:
            yield copy.path

    def _checked_sdist(self, packed: str, stack: ExitStack) -> SdistReader:
        from hwb.builder.files import check_untracked
        from hwb.builder.normalise import canonical_sdist
        from hwb.wheel.check import check_open_sdist

        with phase("validate", "sdist"), _named(packed):
            backend = self._project.build_system.backend
            reader = stack.enter_context(canonical_sdist(packed, self._epoch, backend))
            _tell(packed, check_open_sdist(reader, os.path.basename(packed)))
            check_untracked(reader, self._tree, release=self._options.release)
        return reader

    # --- wheels ---------------------------------------------------------------------------------------------------

    def _wheels(self, packed: SdistReader | None) -> list[str]:
        """One wheel for each interpreter; those that a pure project makes twice are the same file."""
        made: dict[str, str] = {}
        for number, interpreter in enumerate(self._options.pythons):
            path = self._wheel(packed, interpreter, os.path.join(self._place, f"wheel-{number}"))
            name = os.path.basename(path)
            if name in made and not _same_bytes(path, made[name]):
                text = f"{name} has other bytes when Python {interpreter.minor} builds it; the first one is kept"
                current().emit("message", level="warning", text=text)
            made.setdefault(name, path)
        return list(made.values())

    def _wheel(self, packed: SdistReader | None, interpreter: Interpreter, out: str) -> str:
        """The path of a checked wheel."""
        if packed is None and not self._source.is_sdist:
            with self._copied() as folder:
                return self._finished(self._backend(folder, self._project, interpreter).build("wheel", out))
        tree = self._unpacked(packed)
        project = _analyze(tree, self._source.key if packed is None else os.path.basename(packed.path))
        return self._finished(self._backend(tree, project, interpreter).build("wheel", out))

    def _finished(self, path: str) -> str:
        """The path of a checked wheel that has its final tag."""
        if self._options.repair is None:
            return self._checked_wheel(path)
        from hwb.builder.repairing import repaired

        with phase("repair"), _named(path):
            path = repaired(path, self._options.repair, self._options.room)
        return self._checked_wheel(path)

    def _unpacked(self, packed: SdistReader | None) -> str:
        """The directory of an unpacked sdist, fresh: a backend may have written into the last one."""
        from hwb.archive.extract import extract_open
        from hwb.fs import remove_tree

        target = os.path.join(self._place, "unpacked")
        remove_tree(target)
        if packed is not None:
            return extract_open(packed, target)
        import shutil

        return shutil.copytree(
            self._source.root, os.path.join(target, os.path.basename(self._source.root)), symlinks=True
        )

    def _checked_wheel(self, path: str) -> str:
        from hwb.builder.files import tell_ignored
        from hwb.wheel.check import check_file

        with phase("validate", "wheel"), _named(path):
            findings = check_file(path)
            mended = _MENDED if self._options.unfinished or self._options.repair is not None else frozenset()
            _tell(path, [found for found in findings if found.rule not in mended])
            tell_ignored(path, self._tree)
        return path

    # --- shared ---------------------------------------------------------------------------------------------------

    def _backend(
        self, folder: str, project: Project, interpreter: Interpreter | None = None, *, quiet: bool = False
    ) -> _Explained:
        from hwb.builder.files import reads_only
        from hwb.builder.native import caching_compilers

        chosen = interpreter or self._options.pythons[0]
        extra = self._variables(project, chosen)
        first, remembering = caching_compilers(project, self._source.key) if self._options.room is None else ("", {})
        extra = {**remembering, **extra}
        backend = Backend(
            folder,
            project.build_system,
            lambda requires: self._environments.get(chosen, requires),
            self._place,
            self._epoch,
            options=self._options,
            only_reads=reads_only(project, release=False),
            identity=f"{self._source.key}|{chosen.identity}",
            extra_env={**extra, "PYTHONDONTWRITEBYTECODE": "1"} if quiet else extra,
            first_on_path=first,
        )
        return _Explained(backend, self._tree)

    def _variables(self, project: Project, interpreter: Interpreter) -> dict[str, str]:
        """What hooks get beside the usual: what was configured, what their environment brings, and steady flags."""
        from hwb.builder.native import steady_flags

        options, context = self._options, current()
        prepared = options.prepared.get(interpreter.identity)
        env = {**options.env, **(prepared.env if prepared is not None else {})}
        with use(context.but(outer_env={**context.outer_env, **env})):
            return {**env, **steady_flags(project, self._place, options.room)}

    def _other_frontend(self) -> str:
        """`build` or `uv` where the settings say so; uv for projects whose backend is a part of it."""
        from hwb.builder.frontends import takes_uv_build

        chosen = self._options.frontend
        options = self._options
        plain = not (options.lock or options.constraints or options.config_settings)
        plain = plain and not (options.prepared or options.backend)
        if chosen == "hwb" and plain and takes_uv_build(self._project.build_system.backend):
            return "uv"
        return "" if chosen == "hwb" else chosen

    def _frontend(self) -> list[str]:
        from hwb.builder.frontends import run_frontend

        with self._copied() as folder:
            made = run_frontend(folder, self._place, self._epoch, self._options, frontend=self._other_frontend())
        with ExitStack() as stack:
            for path in made:
                if path.endswith(".whl"):
                    self._checked_wheel(path)
                else:
                    self._checked_sdist(path, stack)
        return made


class _Explained:
    """A backend whose failure is explained by files that git ignores, where they are the reason."""

    def __init__(self, backend: Backend, tree: Tree) -> None:
        self._backend = backend
        self._tree = tree

    def build(self, kind: str, out: str) -> str:
        from hwb.builder.files import ignored_remedy

        try:
            return self._backend.build(kind, out)
        except BuildError as error:
            hint = ignored_remedy(error.detail, self._tree)
            if not hint:
                raise
            remedy = f"{hint}; {error.remedy}" if error.remedy else hint
            raise BuildError(error.what, where=error.where, remedy=remedy, detail=error.detail) from error


def _analyze(folder: str, shown: str) -> Project:
    """Read a copy, but speak of what the user knows: `shown` takes the copy's place in messages."""
    from hwb.project import read_project

    with phase("analyze"):
        try:
            return read_project(folder)
        except AnalyzeError as error:
            what, where = (text.replace(folder, shown) for text in (error.what, error.where))
            raise AnalyzeError(what, where=where, remedy=error.remedy, detail=error.detail) from error


def _same_bytes(first: str, second: str) -> bool:
    from hwb.fs import sha256_file

    return sha256_file(first) == sha256_file(second)


_STRICT = frozenset({"wheel-tags"})
"""Warnings about other people's files (some repack widely installed wheels) that are errors of one's own build."""

_MENDED = frozenset({"pypi-platform", "absolute-path"})
"""Warnings about a wheel of Linux that a repair takes away; what is left of them is told of the repaired one."""


def _tell(path: str, findings: list[Finding]) -> None:
    """Warn of what is no error. Raises ValidationError that lists every error."""
    from hwb.wheel.check import refuse_errors
    from hwb.wheel.finding import Severity

    own = [replace(found, severity=Severity.ERROR) if found.rule in _STRICT else found for found in findings]
    for finding in refuse_errors(path, own):
        current().emit("message", level="warning", text=f"{os.path.basename(path)}: {str(finding).partition(': ')[2]}")


@contextmanager
def _named(path: str) -> Iterator[None]:
    """A refusal speaks of the file by its name: where it was built is gone when anybody reads that."""
    try:
        yield
    except ValidationError as error:
        error.where = os.path.basename(path) if error.where == path else error.where
        raise


def _hand_over(paths: Sequence[str], out_dir: str) -> list[str]:
    """Copy files into the output directory: all of them are there, complete and synced, before the first is renamed."""
    import shutil

    from hwb.fs import atomic_path, remove_parts

    finals = [os.path.join(os.path.abspath(out_dir), os.path.basename(path)) for path in paths]
    try:
        remove_parts(out_dir, (".whl", ".tar.gz"))
        with ExitStack() as stack:
            for path, final in zip(paths, finals):
                shutil.copyfile(path, stack.enter_context(atomic_path(final)))
    except OSError as error:
        error.filename = error.filename or out_dir  # a write that fails does not know where
        raise
    return finals
