"""How are wheels for other Linux machines built in a container, by the documented asynchronous calls?

`create_environment` checks and prepares, `build_in_container` starts a locked-down container, runs the hooks of the
project's backend (PEP 517) in it, and lets the image's auditwheel make the wheel fit for other machines.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hwb.context import current
from hwb.errors import BuildError, ContainerError, IsolationError, ToolNotFound
from hwb.isolation.protocol import BuildEnvironment, in_thread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwb.isolation.container import Container
    from hwb.isolation.engine import Engine
    from hwb.isolation.foreign import ForeignPython
    from hwb.isolation.images import LocalImage
    from hwb.isolation.lockdown import ContainerOptions
    from hwb.project import BuildSystem

    MANYLINUX_IMAGES: dict[str, str]
    MANYLINUX_PYTHON_PATHS: dict[str, str]

__all__ = [
    "MANYLINUX_IMAGES",
    "MANYLINUX_PYTHON_PATHS",
    "DockerBuildEnvironment",
    "DockerConfig",
    "DockerIsolation",
    "PlatformType",
    "get_docker_isolation",
]

PlatformType = Literal["manylinux", "musllinux", "auto"]
SOURCE, OUTPUT = "/src", "/output"
_IN_PROCESS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "builder", "in_process.py")
"""What runs a hook; executed inside, never imported here."""


def __getattr__(name: str) -> Any:
    from hwb.isolation import images

    tables = {"MANYLINUX_IMAGES": images.official_images, "MANYLINUX_PYTHON_PATHS": images.python_paths}
    if name not in tables:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = tables[name]()
    return value


@dataclass(frozen=True, slots=True)
class DockerConfig:
    """What containers are made of and what they may do; keys of `[tool.hwb.isolation.docker]` have the same meaning."""

    platform: PlatformType = "auto"
    """The family of wheels; auto is manylinux."""
    image: str | None = None
    """An image of your own, by tag or id, instead of an official one."""
    architecture: str = "x86_64"
    network: bool = True
    """Whether builds reach the network. Their requirements are installed before, with or without it."""
    memory_limit: str | None = None
    """Such as "4g"."""
    cpu_limit: float | None = None
    repair_wheel: bool = True
    """Let auditwheel bundle libraries and set the platform tag."""
    strip_binaries: bool = True
    """Drop debug symbols while repairing."""
    extra_mounts: Mapping[str, str] = field(default_factory=dict)
    """Directories of this machine and where the container sees them, read-only."""
    extra_env: Mapping[str, str] = field(default_factory=dict)
    oci_platform: str = ""
    """Such as linux/arm64; empty: that of the architecture when it is not this machine's."""
    gpu: bool = False
    gpu_runtime: str = "nvidia"
    gpu_devices: tuple[str, ...] = ()
    """Numbers of GPUs; empty: all."""
    manylinux: str = ""
    """The policy, such as "2_28"; empty: the usual one of the architecture."""
    musllinux: str = ""
    dockerfile: str | None = None
    """Built first, and used instead of an image."""
    auditwheel_policy: str = ""
    """The platform that repaired wheels are for, such as manylinux_2_28; empty: the image's."""
    auditwheel_exclude: tuple[str, ...] = ()
    """Libraries that are not bundled, as names or patterns."""
    container_engine: str = "auto"


@dataclass(slots=True)
class DockerBuildEnvironment(BuildEnvironment):
    """What a build in a container will have; paths are inside. Nothing runs before the build, nothing after it."""

    container_id: str = ""
    """The container while it builds."""
    docker_isolation: DockerIsolation | None = field(default=None, repr=False)
    python_version: str = ""
    build_requirements: tuple[str, ...] = ()


class DockerIsolation:
    """Builds in locked-down containers of docker or podman."""

    def __init__(self, config: DockerConfig | None = None) -> None:
        self.config = config or DockerConfig()

    async def check_available(self) -> bool:
        """Whether an engine is installed and answers."""
        return await in_thread(self.available)

    def available(self) -> bool:
        """The same for callers without an event loop."""
        try:
            self._engine()
        except ToolNotFound:
            return False
        return True

    async def create_environment(self, python_version: str, build_requirements: list[str]) -> DockerBuildEnvironment:
        """Check what a build would need and describe it; nothing is started.

        Raises IsolationError for a Python or an image that there is not, DependencyError for what is no requirement.
        """
        from hwb.isolation.venv import require_requirements

        require_requirements(build_requirements)
        path = self._select_python_path(python_version)
        if self.config.dockerfile is None:
            self._select_image()
        packages = Path(path).parents[1] / "lib" / f"python{python_version}" / "site-packages"
        return DockerBuildEnvironment(
            Path(path),
            packages,
            dict(self.config.extra_env),
            docker_isolation=self,
            python_version=python_version,
            build_requirements=tuple(build_requirements),
        )

    def _select_python_path(self, python_version: str) -> str:
        """Where official images have that Python; images of your own may have it elsewhere."""
        known: dict[str, str] = __getattr__("MANYLINUX_PYTHON_PATHS")
        if python_version not in known:
            raise IsolationError(
                f"no image has Python {python_version or 'without a version'}",
                remedy=f"supported versions: {', '.join(known)}",
            )
        return known[python_version]

    def _select_image(self) -> str:
        """The full reference of the image: the configured one, else `MANYLINUX_IMAGES` of policy and architecture."""
        from hwb.isolation.images import select_image

        config = self.config
        if config.image:
            return config.image
        musl = config.platform == "musllinux" or (config.platform == "auto" and bool(config.musllinux))
        family, policy = ("musllinux", config.musllinux) if musl else ("manylinux", config.manylinux)
        return select_image(family, policy, config.architecture)

    async def list_available_images(self) -> dict[str, str]:
        """The official images by policy and architecture, and those on this machine by name."""
        return await in_thread(self._list_images)

    def _list_images(self) -> dict[str, str]:
        from hwb.isolation.images import available_images, official_images

        found = official_images()
        if self.available():
            found.update({name: name for name in available_images(self._engine())})
        return found

    async def get_image_info(self, image: str) -> dict[str, Any]:
        """What is known of an image on this machine: id, architecture, policy, Pythons.

        Raises ContainerError when it cannot be had, ToolNotFound without an engine.
        """
        return await in_thread(lambda: self._image_info(image))

    def _image_info(self, name: str) -> dict[str, Any]:
        from hwb.isolation.images import ensure_image, pythons_of

        engine = self._engine()
        image = ensure_image(engine, name)
        pythons = {python.spoken: python.asked for python in pythons_of(engine, image)}
        known = {"reference": image.reference, "id": image.id, "architecture": image.arch, "policy": image.policy}
        return {**known, "pythons": pythons}

    async def build_in_container(
        self,
        source_dir: Path,
        output_dir: Path,
        env: BuildEnvironment,
        build_wheel: bool = True,
        build_sdist: bool = False,
        config_settings: dict[str, str] | None = None,
    ) -> tuple[Path | None, Path | None, str]:
        """Build in a container of its own: `(wheel, sdist, log)`, with None for what was not asked for.

        Raises BuildError (with the end of the log), DependencyError, IsolationError, ToolNotFound.
        """
        kinds = [kind for kind, wanted in (("sdist", build_sdist), ("wheel", build_wheel)) if wanted]
        return await in_thread(lambda: self._build(Path(source_dir), Path(output_dir), env, kinds, config_settings))

    # ------------------------------------------------------------------------------------------------ one build

    def _engine(self) -> Engine:
        from hwb.isolation.engine import find_engine

        return find_engine(self.config.container_engine)

    def image(self, engine: Engine) -> LocalImage:
        """The image of this configuration on this machine; built or pulled when it is not here."""
        from hwb.isolation.images import build_image, ensure_image, oci_platform

        config = self.config
        foreign = bool(engine.arch) and config.architecture != engine.arch
        platform = config.oci_platform or (oci_platform(config.architecture) if foreign else "")
        if config.dockerfile is not None:
            return build_image(engine, config.dockerfile, platform=platform)
        return ensure_image(engine, self._select_image(), platform=platform)

    def options(self, image: LocalImage, *mounts: Any) -> ContainerOptions:
        """What a container of this configuration may do, with these mounts beside the configured ones."""
        from hwb.isolation.lockdown import ContainerOptions, Gpu, Mount

        config = self.config
        extra = (Mount(os.path.expanduser(source), target) for source, target in config.extra_mounts.items())
        return ContainerOptions(
            mounts=(*mounts, *extra),
            env=dict(config.extra_env),
            network="bridge" if config.network else "none",
            memory=config.memory_limit or "",
            cpus=config.cpu_limit,
            gpu=Gpu(tuple(config.gpu_devices), config.gpu_runtime) if config.gpu else None,
            platform=config.oci_platform,
            launcher=image.launcher,
        )

    def _build(
        self, source: Path, output: Path, env: BuildEnvironment, kinds: Sequence[str], settings: Any
    ) -> tuple[Path | None, Path | None, str]:
        from hwb.isolation.foreign import choose_python
        from hwb.isolation.images import pythons_of
        from hwb.project import read_project
        from hwb.store import open_store

        system = read_project(source).build_system
        engine = self._engine()
        image = self.image(engine)
        version = env.python_version if isinstance(env, DockerBuildEnvironment) else ""
        python = choose_python(pythons_of(engine, image), version, image.reference)
        with open_store().temporary("container-") as place:
            build = _Build(self, engine, image, python, system, source, place, env)
            built = {kind: build.make(kind, settings) for kind in kinds}
            moved = {kind: _deliver(path, output) for kind, path in built.items()}
        return moved.get("wheel"), moved.get("sdist"), build.log


def _deliver(path: Path, output: Path) -> Path:
    from hwb.fs import copy_file

    output.mkdir(parents=True, exist_ok=True)
    copy_file(path, output / path.name)
    return output / path.name


class _Build:
    """One build: its place on this machine, which the container sees at the same path, and its log."""

    def __init__(
        self,
        isolation: DockerIsolation,
        engine: Engine,
        image: LocalImage,
        python: ForeignPython,
        system: BuildSystem,
        source: Path,
        place: Path,
        env: BuildEnvironment,
    ) -> None:
        self.isolation, self.engine, self.image, self.python = isolation, engine, image, python
        self.system, self.place, self.env = system, place, env
        self.log = ""
        self.requires = tuple(dict.fromkeys((*getattr(env, "build_requirements", ()), *system.requires)))
        self.source = source.resolve()
        for name in ("scratch", "output", "jobs"):
            (place / name).mkdir()

    def make(self, kind: str, settings: Any) -> Path:
        """Build "sdist" or "wheel" into the place: the file's path there."""
        more, name = self._hooked(kind, settings, self.requires)
        if more:
            name = self._hooked(kind, settings, (*self.requires, *more))[1]
        path = self.place / "output" / os.path.basename(str(name))
        if not path.is_file():
            raise BuildError(f"No {kind} produced: the backend names {name!r}", detail=self._tail())
        repaired = kind == "wheel" and self.isolation.config.repair_wheel and not path.name.endswith("-any.whl")
        return self._repaired(path) if repaired else path

    def _container(self, *more: Any) -> Container:
        from hwb.isolation.container import Container
        from hwb.isolation.lockdown import Mount

        mounts = (
            Mount(str(self._snapshot()), SOURCE),
            Mount(str(self.place / "output"), OUTPUT, writable=True),
            Mount.same(str(self.place / "scratch"), writable=True),
            Mount.same(str(self.place / "jobs"), writable=True),
        )
        return Container(self.engine, self.image.id, self.isolation.options(self.image, *mounts, *more))

    def _snapshot(self) -> Path:
        """What is mounted at /src: the project, or a copy that a container of root's, which is nobody, can read."""
        import shutil

        from hwb.isolation.lockdown import caller, identity

        if identity(self.engine, *caller()).outside is None:
            return self.source
        copy = self.place / "snapshot"
        if not copy.exists():
            shutil.copytree(self.source, copy, symlinks=True, ignore=shutil.ignore_patterns(".hwb", "dist"))
            for folder, _, files in os.walk(copy):
                for name in (folder, *(os.path.join(folder, name) for name in files)):
                    if not Path(name).is_symlink():
                        Path(name).chmod(Path(name).stat().st_mode | (0o555 if name == folder else 0o444))
        return copy

    def _hooked(self, kind: str, settings: Any, requires: Sequence[str]) -> tuple[list[str], str]:
        """Copy the source inside and build there; requirements that the backend wants beside these end it before."""
        from hwb.isolation.lockdown import Mount
        from hwb.isolation.provision import container_environment

        venv = container_environment(self.engine, self.image, self.python, requires)
        tree = str(self.place / "scratch" / f"{kind}-{len(requires)}")
        path = ":".join((venv.bin, self.image.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin")))
        environ = {"PATH": path, "VIRTUAL_ENV": venv.path, **_epoch(), **self.env.env_vars}
        try:
            with self._container(Mount.same(venv.path), Mount.same(_IN_PROCESS)) as container:
                self._tell(container.id)
                self._run(container, ["cp", "-R", f"{SOURCE}/.", tree], {})

                def ask(hook: str, *arguments: str) -> Any:
                    job = self._job(hook, arguments, tree, settings)
                    self._run(container, [venv.python, _IN_PROCESS, job], environ, cwd=tree)
                    return self._value(json.loads(Path(f"{job}.answer").read_text(encoding="utf-8")), hook)

                wanted = ask(f"get_requires_for_build_{kind}")
                more = [text for text in wanted if text not in requires]
                return more, "" if more else str(ask(f"build_{kind}", OUTPUT))
        finally:
            self._tell("")

    def _job(self, hook: str, arguments: Sequence[str], tree: str, settings: Any) -> str:
        """The file that describes a hook's call (see `hwb/builder/in_process.py`)."""
        job = self.place / "jobs" / f"{os.path.basename(tree)}-{hook}"
        content = {
            "hook": hook,
            "backend": self.system.backend,
            "backend_path": list(self.system.backend_path),
            "source_dir": tree,
            "arguments": list(arguments),
            "config_settings": settings,
            "answer": f"{job}.answer",
            "code_cache": str(self.place / "jobs"),
            "gzip_level": 6,
        }
        job.write_text(json.dumps(content), encoding="utf-8")
        return str(job)

    def _tell(self, container: str) -> None:
        if isinstance(self.env, DockerBuildEnvironment):
            self.env.container_id = container

    def _run(self, container: Container, argv: list[str], env: Mapping[str, str], cwd: str = "/tmp") -> None:
        done = container.run(argv, env=env, cwd=cwd, capture=True, check=False)
        self.log += done.text
        current().log.write(done.text)
        if done.return_code:
            what = f"{os.path.basename(argv[-2])} ended with exit code {done.return_code} in the container"
            raise BuildError(f"{self.system.backend}: {what}", detail=self._tail())

    def _tail(self) -> str:
        return "\n".join(self.log.splitlines()[-40:])

    def _value(self, answer: Mapping[str, Any], hook: str) -> Any:
        if "value" in answer:
            return answer["value"]
        detail = str(answer.get("unavailable") or answer.get("unsupported") or "") or self._tail()
        raise BuildError(f"{self.system.backend}: {hook} cannot be called", detail=detail)

    def _repaired(self, wheel: Path) -> Path:
        """The wheel that auditwheel, the image's, makes of it: libraries inside, the platform tag that is true."""
        config = self.isolation.config
        policy = config.auditwheel_policy or self.image.policy or "auto"
        if policy != "auto" and not policy.endswith(self.image.arch):
            policy = f"{policy}_{self.image.arch}"
        argv = ["auditwheel", "repair", "--plat", policy, "--wheel-dir", f"{OUTPUT}/repaired"]
        argv += [word for name in config.auditwheel_exclude for word in ("--exclude", name)]
        argv += [*(["--strip"] if config.strip_binaries else []), f"{OUTPUT}/{wheel.name}"]
        with self._container() as container:
            try:
                self._run(container, argv, {})
            except BuildError as error:
                if "executable file not found" in error.detail:
                    remedy = "use an image that has auditwheel, or repair_wheel=False"
                    raise ContainerError(f"{self.image.reference} has no auditwheel", remedy=remedy) from None
                remedy = "choose an image with a newer policy, or correct what the wheel links to"
                raise BuildError(f"{wheel.name} cannot be repaired", detail=error.detail, remedy=remedy) from None
        found = sorted((self.place / "output" / "repaired").glob("*.whl"))
        if len(found) != 1:
            raise BuildError(f"No wheel produced: auditwheel made {len(found)} of {wheel.name}", detail=self._tail())
        return found[0]


def _epoch() -> dict[str, str]:
    value = current().outer_env.get("SOURCE_DATE_EPOCH", "")
    return {"SOURCE_DATE_EPOCH": value} if value else {}


async def get_docker_isolation(platform: PlatformType = "auto", architecture: str = "x86_64") -> DockerIsolation:
    """An isolation for that family and architecture; `check_available` tells whether an engine answers."""
    return DockerIsolation(DockerConfig(platform=platform, architecture=architecture))
