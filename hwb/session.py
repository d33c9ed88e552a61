"""What can a recipe do? `Session` is its whole world."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hwb.commands import CommandSession
from hwb.errors import HwbError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hwb.artifacts import Artifact, ArtifactView
    from hwb.context import Context
    from hwb.declare import Recipe
    from hwb.making import Making, Tests
    from hwb.project import Project
    from hwb.registry.gate import Publisher
    from hwb.spec import Services, SessionSpec
    from hwb.target import Target

__all__ = ["Session"]


class Session(CommandSession):
    """One recipe at work: its commands, its environment, its directory, its artifacts; nobody else's.

    Signature-compatible with `nox.Session` (see `CommandSession`); below is what hwb adds.
    """

    __slots__ = ("_chain", "_layer", "_making")

    def __init__(self, spec: SessionSpec, services: Services, context: Context, *, real_cwd: bool = False) -> None:
        super().__init__(spec, services, context, real_cwd=real_cwd)
        self._layer = 0
        self._chain: tuple[Recipe, ...] = ()
        self._making: Making | None = None
        if spec.target is not None:
            from hwb.making import Making

            self._making = Making(self, spec.target)

    @property
    def target(self) -> Target | None:
        """What this session's wheel is for; None in sessions without one, and for a wheel that every machine takes."""
        return self._making.target if self._making is not None else None

    @property
    def artifacts(self) -> ArtifactView:
        """What this run produced so far: `.wheel`, `.sdist`, `.wheels`, `["build"]`."""
        from hwb.artifacts import ArtifactView

        if self._making is not None:
            return ArtifactView(self._services.ledger, session=self.name)
        python = self._venv.interpreter if self._venv is not None else self._default_interpreter()
        return ArtifactView(self._services.ledger, python.request)

    @property
    def project(self) -> Project:
        """The project's static metadata (nothing of it is executed)."""
        from hwb.project import read_project

        return read_project(self._spec.root)

    def parent(self, **parameters: Any) -> Any:
        """Run the recipe that this one overrides, in this session; HwbError when there is none below."""
        chain = self._chain or self._services.catalog[self._spec.recipe].chain
        if self._layer + 1 >= len(chain):
            raise HwbError(f"recipe {chain[0].name!r} overrides nothing", where=chain[self._layer].where)
        self._layer += 1
        try:
            return self._call(chain[self._layer], parameters)
        finally:
            self._layer -= 1

    def recipe(self, name: str) -> Any:
        """Run another recipe in this session, as the catalog has it; HwbError when there is none of that name."""
        entry = self._services.catalog.entries.get(name)
        if entry is None:
            raise HwbError(f"there is no recipe {name!r}", remedy="hwb recipes list shows all")
        before = self._chain, self._layer
        self._chain, self._layer = entry.chain, 0
        if self._making is not None and entry.option("venv_backend") != "none" and self._venv is None:
            self._making.provide()
        try:
            return self._call(entry.top, {})
        finally:
            self._chain, self._layer = before

    def build(
        self,
        *,
        sdist: bool = True,
        wheel: bool = True,
        config_settings: Mapping[str, str | list[str]] | None = None,
        python: str | Sequence[str] = (),
        from_tree: bool = False,
        cache: bool = True,
        release: bool | None = None,
    ) -> list[Artifact]:
        """Build the project (sdist, then the wheels from that sdist) into the output directory and record the files.

        `python`: a wheel for each of these (default: the session's). `from_tree` takes the wheel from the tree;
        `cache=False` builds even if nothing changed; `release` (default: whether this run publishes) refuses to ship
        files that git does not track. Raises BuildError, ValidationError, AnalyzeError, SourceError, RefusedError.
        """
        if self._making is not None:
            with self._finalisable():
                return [self._making.build(config_settings or {}, cache=cache)]
        from hwb.builder.api import BuildRequest, placed
        from hwb.builder.engine import build_project
        from hwb.builder.options import Source

        words = (python,) if isinstance(python, str) else tuple(python)
        own = (self._spec.python,) if isinstance(self._spec.python, str) else ()
        strategy, root = self.config.get("isolation"), Source(self._spec.root)
        request = BuildRequest(
            sdist=sdist,
            wheel=wheel,
            pythons=words or own,
            config_settings=config_settings or {},
            from_tree=from_tree,
            release=self._spec.releases if release is None else release,
            cache=cache,
            isolation="venv" if strategy == "auto" else strategy,  # containers by themselves are the matrix's
        )
        with self._finalisable(), self._downloading(), placed(request, root, self.config) as (_, options):
            built = build_project(root, self.output_dir, options)
        self.log("%s", built.why)
        source = self.emit(built.sdist) if built.sdist else None
        parent = source.sha256 if source is not None else ""
        made = [source] if source is not None else []
        made += [self.emit(path, parent=parent) for path in built.wheels]
        from hwb.artifacts import write_manifest

        write_manifest(self.output_dir, self._services.ledger, built.facts)
        return made

    def repair(self) -> list[Artifact]:
        """Give the built wheels their final platform tag and the libraries that they need (auditwheel and its like).

        What is repaired takes the place of what was built; wheels for any platform stay. Raises RepairError.
        """
        if self._making is not None:
            with self._finalisable():
                return [self._making.repair()]
        from hwb.delivering import repair_here

        with self._finalisable():
            return repair_here(self)

    def check(self, *artifacts: Artifact) -> None:
        """Validate artifacts (none named: this target's, or all of the run's), record the verdict; ValidationError."""
        from hwb.wheel import require_valid

        own = (self._making.wheel,) if self._making is not None else tuple(self.artifacts)
        for artifact in artifacts or own:
            for finding in require_valid(artifact.path):
                self.warn("%s: %s: %s", artifact.name, finding.member, finding.message)
            self.verdict(artifact, "checked")

    def check_environment(self) -> None:
        """`pip check` in the session's environment; DependencyError."""
        from hwb.isolation import venv

        if self._venv is None:
            raise ValueError("A session without a virtualenv has no dependencies to check.")
        if self._inside is not None:
            return  # what is in there was resolved as a whole, and nothing was added since
        with self._finalisable():
            venv.check(self._venv, env=self._environment(None, True))

    @property
    def tests(self) -> Tests:
        """How wheels are tested here: `[tool.hwb.test]`, and for a target what the matrix says of it."""
        from hwb.making import Tests

        config = self.config.get("test")
        resolutions = tuple(config["resolutions"]) or ("",)
        plain = Tests(config["command"], requires=tuple(config["requires"]), resolutions=resolutions)
        return plain if self._making is None else self._making.tests(plain)

    @contextmanager
    def installed(
        self, wheel: Artifact, *requires: str, extras: Sequence[str] = (), resolution: str = ""
    ) -> Iterator[None]:
        """Inside the block the session's environment has a wheel, what it depends on, and `requires`; all fit together.

        `resolution` is uv's word for the versions of the dependencies: with lowest and lowest-direct the environment is
        another one, new and empty, and `requires` are as new as the wheel allows. Errors, those of the block too, name
        it. Raises DependencyError, OfflineError, ToolNotFound where uv is needed and does not install.
        """
        from hwb.isolation.resolution import is_lowest, named, own_requirements

        asked = [f"{wheel.path}[{','.join(extras)}]" if extras else wheel.path]
        with named(resolution), self._renewed(resolution):
            if is_lowest(resolution):
                asked += [*own_requirements(wheel.path, extras), *self._newest(asked, requires)]
            else:
                asked += requires
            chosen = ["--resolution", resolution] if resolution and self.venv_backend == "uv" else []
            self.install(*chosen, *asked)
            self.check_environment()
            yield

    def _newest(self, asked: Sequence[str], requires: Sequence[str]) -> list[str]:
        """What tests need, pinned to the newest versions that go with the wheel in `asked`."""
        from hwb.inside import requirement
        from hwb.isolation.resolution import pinned, requirements_in
        from hwb.isolation.shared import pins_of

        wanted = requirements_in(requires)
        if not wanted or self._venv is None:
            return list(requires)
        together = [*asked, *wanted]
        with self._finalisable():
            if self._inside is not None:
                return pinned(requires, self._inside.newest(together))
            named = list(map(requirement, together))
            return pinned(requires, pins_of(self._venv.interpreter, named, backend=self._venv.backend))

    @contextmanager
    def _renewed(self, resolution: str) -> Iterator[None]:
        """Inside the block the session has an empty environment where one is needed for these versions."""
        from hwb.fs import remove_tree
        from hwb.isolation.resolution import is_lowest, require_uv
        from hwb.isolation.venv import make_venv
        from hwb.spec import ProcessEnv

        before = self._venv, self._inside, self._virtualenv
        if self._venv is None or not resolution or (self._inside is None and not is_lowest(resolution)):
            yield
            return
        path = os.path.join(self._virtualenv.location, resolution)  # goes where the session's own goes
        try:
            if self._inside is not None:
                self._enter(self._inside.empty(resolution))
            else:
                require_uv(resolution, self._venv.backend)
                own = (self._venv.path, self._venv.python)
                kept = {name: value for name, value in self.env.items() if value not in own}
                self._virtualenv = ProcessEnv(path, None, "none", kept, is_sandboxed=False)
                self._provide(make_venv(path, self._venv.interpreter, backend=self._venv.backend))
            yield
        finally:
            self._venv, self._inside, self._virtualenv = before
        remove_tree(path)  # that of a failure stays with the session's own

    def import_modules(self, artifact: Artifact) -> list[str]:
        """Import every top-level module of an installed wheel in the session's environment, outside the source tree.

        Returns the names. Raises CommandFailed when one cannot be imported.
        """
        from hwb.wheel import import_names

        names = list(import_names(artifact.path))
        if names:
            code = "; ".join(f"import {name}; print('imported', {name!r})" for name in names)
            with self.chdir(self.create_tmp()):
                self.run("python", "-I", "-c", code)
        return names

    def publish(self, *artifacts: Artifact) -> None:
        """Hand artifacts (the run's wheels and sdists when none is named) to the configured registry.

        Same bytes already there: success. Other bytes under the same name: ConflictError, and nothing was changed.
        RefusedError for what only the local index takes (`hwb.registry.gate`).
        """
        from hwb.registry.gate import admit

        chosen = artifacts or tuple(self.artifacts)
        index = self._index()
        missing = self._services.ledger.missing() or ()
        admit(index, [a.name for a in chosen], missing, partial=self._spec.partial)
        for artifact, receipt in zip(chosen, index.publish([a.path for a in chosen])):
            self.log("%s: %s", receipt.name, receipt.state)
            self.verdict(artifact, "published", receipt.state)

    def install_published(self, artifact: Artifact) -> None:
        """Install `name==version` of a published wheel from the registry alone, prove that the index hands out the
        same bytes, then add its dependencies from the user's own index. ConflictError, DependencyError."""
        self._require_served(artifact)
        self._install_from(self._index().url, artifact)
        self.verdict(artifact, "verified")

    def compare_published(self, *artifacts: Artifact) -> None:
        """Prove that the registry hands out the bytes of these (none named: all of the run's); ConflictError."""
        for artifact in artifacts or tuple(self.artifacts):
            self._require_served(artifact)
            self.verdict(artifact, "verified", "same bytes")

    def _require_served(self, artifact: Artifact) -> None:
        from hwb.errors import ConflictError
        from hwb.fs import sha256_file

        served = self._index().file(artifact.name)
        found = sha256_file(served) if served else None
        if found != artifact.sha256:
            what = f"the index serves {found or 'nothing'} for {artifact.name}, not {artifact.sha256}"
            raise ConflictError(what, remedy="publish again; the index was changed by somebody else")

    def _install_from(self, url: str, artifact: Artifact) -> None:
        from packaging.utils import parse_wheel_filename

        from hwb.wheel import read_metadata

        name, version, _, _ = parse_wheel_filename(artifact.name)
        alone = {key: None for key in os.environ if key.startswith(("PIP_", "UV_")) and _chooses_index(key)}
        no_config = {"PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1"}
        alone_env: dict[str, str | None] = {**alone, **no_config}
        # no cache: a wheel of that name which was handed out before must not stand in for what is served now
        self.install("--no-deps", "--no-cache-dir", "--index-url", url, f"{name}=={version}", env=alone_env)
        # by requirement, never by name: the user's own index may have a stranger's package of our name
        requirements = read_metadata(artifact.path).get_all("Requires-Dist") or []
        if requirements:
            self.install(*requirements)

    def emit(self, path: str | os.PathLike[str], *, parent: str = "") -> Artifact:
        """Record a file that this session produced; later sessions find it in `session.artifacts`."""
        from hwb.artifacts import Artifact

        absolute = os.path.join(self._context.cwd, os.fspath(path))
        artifact = Artifact.of_file(absolute, self._spec.recipe, self._spec.id, parent)
        self._services.ledger.add(artifact)
        self._context.emit(
            "artifact",
            name=artifact.name,
            sha256=artifact.sha256,
            size=artifact.size,
            type=artifact.kind.value,
            path=artifact.path,
        )
        return artifact

    def verdict(self, artifact: Artifact, verdict: str, detail: str = "", *, ok: bool = True) -> None:
        """Record a fact about an artifact's bytes (checked, tested, published, verified, or a word of your own)."""
        from hwb.artifacts import Verdict

        self._services.ledger.add_verdict(Verdict(artifact.sha256, artifact.name, verdict, ok, detail))
        self._context.emit("verdict", name=artifact.name, sha256=artifact.sha256, verdict=verdict, ok=ok, detail=detail)

    @property
    def index_url(self) -> str:
        """The simple index that `publish` fills: what pip and uv take as `--index-url`."""
        return str(self._index().url)

    def _fail(self) -> None:
        """The runner tells that the session failed."""
        if self._making is not None:
            self._making.fail()

    @property
    def output_dir(self) -> str:
        """Where artifacts go: `output-dir`, below the project."""
        return os.path.join(self._spec.root, self.config.get("output-dir"))

    def _index(self) -> Publisher:
        from hwb.registry.local import LocalIndex

        chosen = self.config.get("publish").get("path")
        state = os.path.dirname(os.path.dirname(self._spec.run_dir))
        return LocalIndex(os.path.join(self._spec.root, chosen) if chosen else os.path.join(state, "index"))

    def _call(self, recipe: Recipe, parameters: Mapping[str, Any]) -> Any:
        result = recipe.function(self, **parameters)
        if hasattr(result, "__await__"):
            import asyncio

            return asyncio.run(_await(result))
        return result


async def _await(awaitable: Any) -> Any:
    return await awaitable


def _chooses_index(variable: str) -> bool:
    words = ("INDEX", "FIND_LINKS", "CONFIG", "CONSTRAINT", "REQUIRE", "OVERRIDE", "EXCLUDE_NEWER")
    return any(word in variable for word in words)
