"""Do the documented calls check early, build in a container, and tell what went wrong? (No engine is needed here.)"""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hwb import pythons
from hwb.errors import BuildError, ContainerError, DependencyError, IsolationError, ToolNotFound
from hwb.isolation import docker
from hwb.isolation.docker import (
    MANYLINUX_IMAGES,
    MANYLINUX_PYTHON_PATHS,
    DockerBuildEnvironment,
    DockerConfig,
    DockerIsolation,
    get_docker_isolation,
)
from hwb.isolation.images import LocalImage
from hwb.isolation.lockdown import ContainerOptions, Gpu, Mount
from hwb.isolation.protocol import BuildEnvironment, IsolationStrategy
from hwb.proc import Completed

from .engines import FakeEngine, inspected
from .test_foreign import answer, python

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="containers are Linux's")


@pytest.fixture(autouse=True)
def _own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    engine = FakeEngine(tmp_path / "bin")
    monkeypatch.setattr("hwb.isolation.engine.find_engine", lambda wanted="auto": engine.engine)
    engine.answer("^image inspect", inspected())
    engine.answer("^run", answer())
    return engine


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(wanted: str = "auto") -> Any:
        raise ToolNotFound("no container engine")

    monkeypatch.setattr("hwb.isolation.engine.find_engine", absent)


def test_the_documented_names_and_defaults() -> None:
    import hwb.isolation

    assert hwb.isolation.DockerIsolation is DockerIsolation
    assert hwb.isolation.DockerConfig is DockerConfig
    config = DockerIsolation().config
    assert (config.platform, config.image, config.architecture, config.network) == ("auto", None, "x86_64", True)
    assert (config.memory_limit, config.cpu_limit, config.repair_wheel, config.strip_binaries) == (
        None,
        None,
        True,
        True,
    )
    assert (config.extra_mounts, config.extra_env, config.gpu, config.gpu_runtime) == ({}, {}, False, "nvidia")
    with pytest.raises(FrozenInstanceError):
        config.network = False  # type: ignore[misc]
    assert isinstance(DockerIsolation(), IsolationStrategy)
    parameters = inspect.signature(DockerIsolation.build_in_container).parameters
    assert list(parameters)[1:] == [
        *("source_dir", "output_dir", "env", "build_wheel", "build_sdist", "config_settings"),
    ]
    with pytest.raises(AttributeError):
        docker.NOTHING  # type: ignore[attr-defined] # noqa: B018


def test_the_image_is_the_tables_reference() -> None:
    for _ in range(2):
        assert DockerIsolation()._select_image() == MANYLINUX_IMAGES["manylinux_2_28_x86_64"]
    chosen = {
        "manylinux_2_28_aarch64": DockerConfig(architecture="arm64"),
        "manylinux2014_x86_64": DockerConfig(platform="manylinux", manylinux="2014"),
        "musllinux_1_2_x86_64": DockerConfig(platform="musllinux"),
        "musllinux_1_2_aarch64": DockerConfig(musllinux="1_2", architecture="aarch64"),
        "manylinux_2_34_x86_64": DockerConfig(manylinux="2_35"),
    }
    for key, config in chosen.items():
        assert DockerIsolation(config)._select_image() == MANYLINUX_IMAGES[key]
    assert DockerIsolation(DockerConfig(image="mine:1", manylinux="2_99"))._select_image() == "mine:1"
    with pytest.raises(IsolationError, match="manylinux_sparc") as caught:
        DockerIsolation(DockerConfig(architecture="sparc"))._select_image()
    assert "manylinux_2_28_x86_64" in caught.value.remedy


def create(config: DockerConfig, version: str = "3.12", *requirements: str) -> DockerBuildEnvironment:
    return asyncio.run(DockerIsolation(config).create_environment(version, list(requirements)))


@pytest.mark.usefixtures("no_engine")
def test_preparing_needs_no_engine() -> None:
    env = create(DockerConfig(extra_env={"A": "b"}), "3.12", "setuptools>=61.0", "wheel")
    assert env.python_path == Path("/opt/python/cp312-cp312/bin/python")
    assert env.site_packages == Path("/opt/python/cp312-cp312/lib/python3.12/site-packages")
    assert (env.env_vars, env.container_id) == ({"A": "b"}, "")
    assert env.build_requirements == ("setuptools>=61.0", "wheel")
    assert isinstance(env.docker_isolation, DockerIsolation)

    async def use() -> None:
        async with env as same:
            assert same is env

    asyncio.run(use())


@pytest.mark.parametrize("version", ["2.7", "3.8", "3.99", "", "latest"])
def test_a_python_that_no_image_has_is_refused_early(version: str) -> None:
    with pytest.raises(IsolationError, match="no image has Python") as caught:
        create(DockerConfig(), version)
    assert ", ".join(MANYLINUX_PYTHON_PATHS) in caught.value.remedy


@pytest.mark.parametrize("version", MANYLINUX_PYTHON_PATHS)
def test_those_that_they_have_work(version: str) -> None:
    assert create(DockerConfig(), version).python_version == version


def test_other_mistakes_are_told_early() -> None:
    with pytest.raises(IsolationError, match="there is no image"):
        create(DockerConfig(architecture="sparc"))
    with pytest.raises(DependencyError):
        create(DockerConfig(), "3.12", "--index-url=x")
    assert create(DockerConfig(architecture="sparc", dockerfile="Dockerfile")).python_version == "3.12"


def test_whether_there_is_an_engine(fake: FakeEngine) -> None:
    assert asyncio.run(DockerIsolation().check_available())
    assert asyncio.run(get_docker_isolation("musllinux", "aarch64")).config.architecture == "aarch64"
    fake.answer("^images", "mine:1\n")
    images = asyncio.run(DockerIsolation().list_available_images())
    assert images["mine:1"] == "mine:1"
    assert MANYLINUX_IMAGES.items() <= images.items()


@pytest.mark.usefixtures("no_engine")
def test_without_an_engine() -> None:
    assert not asyncio.run(DockerIsolation().check_available())
    assert asyncio.run(DockerIsolation().list_available_images()) == MANYLINUX_IMAGES
    isolation = asyncio.run(get_docker_isolation())
    with pytest.raises(ToolNotFound):
        asyncio.run(isolation.get_image_info("mine:1"))


@pytest.mark.usefixtures("fake")
def test_what_is_known_of_an_image() -> None:
    assert asyncio.run(DockerIsolation().get_image_info("mine:1")) == {
        "reference": "mine:1",
        "id": "sha256:" + "1" * 64,
        "architecture": "x86_64",
        "policy": "manylinux_2_28_x86_64",
        "pythons": {"3.12": "/opt/python/cp312-cp312/bin/python"},
    }


def test_images_of_other_machines_are_asked_for_by_platform(fake: FakeEngine, tmp_path: Path) -> None:
    fake.answer("^image inspect", code=1, err="No such image")
    for config in (DockerConfig(architecture="aarch64"), DockerConfig(image="x", oci_platform="linux/arm64")):
        with pytest.raises(ContainerError):
            DockerIsolation(config).image(fake.engine)
    assert ["--platform=linux/arm64" in argv for argv in fake.of("pull")] == [True, True]
    (tmp_path / "Dockerfile").write_text("FROM x")
    with pytest.raises(ContainerError):
        DockerIsolation(DockerConfig(dockerfile=str(tmp_path / "Dockerfile"))).image(fake.engine)
    assert len(fake.of("build")) == 1


def test_what_the_configuration_allows() -> None:
    config = DockerConfig(
        network=False, memory_limit="4g", cpu_limit=2.0, extra_mounts={"/data": "/data"}, extra_env={"A": "b"},
        gpu=True, gpu_devices=("0",), oci_platform="linux/386",
    )  # fmt: skip
    image = LocalImage("x", "sha256:1", "i686")
    assert DockerIsolation(config).options(image, Mount("/a", "/src")) == ContainerOptions(
        mounts=(Mount("/a", "/src"), Mount("/data", "/data")),
        env={"A": "b"},
        network="none",
        memory="4g",
        cpus=2.0,
        gpu=Gpu(("0",), "nvidia"),
        platform="linux/386",
        launcher=("linux32",),
    )
    assert DockerIsolation().options(image).network == "bridge"


# ---------------------------------------------------------------------------------------------------------- builds

BACKEND = """
import os
def get_requires_for_build_wheel(config_settings=None):
    print("asked")
    return {more!r}
def build_wheel(directory, config_settings=None, metadata_directory=None):
    print("building with", config_settings, os.environ.get("SOURCE_DATE_EPOCH"))
    open("left behind", "w").close()
    {extra}
    name = "demo-1-{tag}.whl"
    open(os.path.join(directory, name), "w").write("wheel")
    return name
def build_sdist(directory, config_settings=None):
    open(os.path.join(directory, "demo-1.tar.gz"), "w").write("sdist")
    return "demo-1.tar.gz"
"""


class HereContainer:
    """Runs on this machine what a container would run, with the mounts' targets replaced by their sources."""

    made: list[ContainerOptions] = []  # noqa: RUF012 - the test's own
    repaired: tuple[str, ...] = ("demo-1-fixed.whl",)
    audit = (0, "repaired")

    def __init__(self, engine: Any, image: str, options: ContainerOptions) -> None:
        self.made.append(options)
        self.places = {mount.target: mount.source for mount in options.mounts if mount.target != mount.source}
        self.id = ""

    def __enter__(self) -> HereContainer:
        self.id = "c0ffee"
        return self

    def __exit__(self, *_exc: object) -> None:
        self.id = ""

    def run(self, argv: list[str], *, env: dict[str, str], cwd: str, **how: Any) -> Completed:
        if argv[0] == "auditwheel":
            return self._audited(argv)
        argv = [self._here(word) for word in argv]
        if argv[1].endswith("in_process.py"):
            job = Path(argv[2])
            job.write_text(job.read_text().replace('"/output"', f'"{self.places["/output"]}"'))
        done = subprocess.run(argv, cwd=cwd, env={**env, "PATH": os.environ["PATH"]}, capture_output=True, check=False)
        return Completed(tuple(argv), done.returncode, 0.0, done.stdout + done.stderr)

    def _here(self, word: str) -> str:
        for target, source in self.places.items():
            if word.startswith(target):
                return source + word[len(target) :]
        return word

    def _audited(self, argv: list[str]) -> Completed:
        out = Path(self.places["/output"], "repaired")
        for name in self.repaired:
            out.mkdir(exist_ok=True)
            (out / name).write_text(" ".join(argv))
        return Completed(tuple(argv), self.audit[0], 0.0, self.audit[1].encode())


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, fake: FakeEngine, tmp_path: Path) -> list[tuple[str, ...]]:
    """Builds run here; the requirements of each environment."""
    found: list[tuple[str, ...]] = []

    def environment(engine: Any, image: Any, foreign: Any, requirements: Any) -> Any:
        found.append(tuple(requirements))
        return SimpleNamespace(path=str(tmp_path), bin=str(tmp_path), python=pythons.running().path)

    monkeypatch.setattr("hwb.isolation.provision.container_environment", environment)
    monkeypatch.setattr("hwb.isolation.container.Container", HereContainer)
    monkeypatch.setattr(HereContainer, "made", [])
    return found


def project(tmp_path: Path, *, tag: str = "py3-none-any", more: list[str] | None = None, extra: str = "") -> Path:
    root = tmp_path / "a project"
    (root / "backend").mkdir(parents=True)
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["static"]\nbuild-backend = "mine"\nbackend-path = ["backend"]\n'
    )
    (root / "backend" / "mine.py").write_text(BACKEND.format(tag=tag, more=more or [], extra=extra))
    return root


def build(root: Path, config: DockerConfig | None = None, **how: Any) -> tuple[Path | None, Path | None, str]:
    env = how.pop("env", None) or create(DockerConfig(), "3.12", "given")
    isolation = DockerIsolation(config or DockerConfig())
    return asyncio.run(isolation.build_in_container(root, root.parent / "out", env, **how))


def test_a_wheel_is_built(tmp_path: Path, asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "42")
    root = project(tmp_path)
    wheel, sdist, log = build(root, config_settings={"a": "b"})
    assert wheel == tmp_path / "out" / "demo-1-py3-none-any.whl"
    assert wheel.read_text() == "wheel"
    assert sdist is None
    assert "building with {'a': 'b'} 42" in log
    assert asked == [("given", "static")]
    assert not (root / "left behind").exists(), "the source is not written"
    [options] = HereContainer.made
    targets = {mount.target: mount.writable for mount in options.mounts}
    assert (targets["/src"], targets["/output"]) == (False, True)
    assert not any((tmp_path / "cache" / "tmp").iterdir())


def test_what_the_backend_wants_beside_is_there_when_it_builds(tmp_path: Path, asked: list[tuple[str, ...]]) -> None:
    wheel, _, log = build(project(tmp_path, more=["extra"]))
    assert wheel is not None
    assert asked == [("given", "static"), ("given", "static", "extra")]
    assert log.count("building with") == 1


def test_both(tmp_path: Path, asked: list[tuple[str, ...]]) -> None:
    env = BuildEnvironment(Path("/p"), Path("/s"), {"X": "y"})
    wheel, sdist, _ = build(project(tmp_path), build_sdist=True, env=env)
    assert wheel is not None
    assert sdist == tmp_path / "out" / "demo-1.tar.gz"
    assert asked == [("static",), ("static",)]
    assert build(project(tmp_path / "other"), build_wheel=False, build_sdist=False) == (None, None, "")


@pytest.mark.usefixtures("asked")
def test_the_container_is_known_while_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = create(DockerConfig(), "3.12")
    seen: list[str] = []
    run = HereContainer.run
    monkeypatch.setattr(
        HereContainer, "run", lambda own, *a, **k: (seen.append(env.container_id), run(own, *a, **k))[1]
    )
    build(project(tmp_path), env=env)
    assert set(seen) == {"c0ffee"}
    assert env.container_id == ""


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    ("extra", "words", "detail"),
    [
        ("raise SystemExit('compiler not found')", "ended with exit code 1", "compiler not found"),
        ("return 'gone.whl'", "No wheel produced", "asked"),
    ],
)
def test_builds_that_fail(tmp_path: Path, extra: str, words: str, detail: str) -> None:
    with pytest.raises(BuildError, match=words) as caught:
        build(project(tmp_path, extra=extra))
    assert detail in caught.value.detail
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("asked")
def test_a_backend_that_is_not_there(tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "backend" / "mine.py").write_text("import does_not_exist")
    with pytest.raises(BuildError, match="cannot be called") as caught:
        build(root)
    assert "does_not_exist" in caught.value.detail


@pytest.mark.usefixtures("asked")
def test_wheels_with_native_code_are_repaired(tmp_path: Path) -> None:
    wheel, _, log = build(project(tmp_path, tag="cp312-cp312-linux_x86_64"))
    assert wheel is not None
    assert wheel.name == "demo-1-fixed.whl"
    assert wheel.read_text() == (
        "auditwheel repair --plat manylinux_2_28_x86_64 --wheel-dir /output/repaired --strip "
        "/output/demo-1-cp312-cp312-linux_x86_64.whl"
    )
    assert "repaired" in log
    config = DockerConfig(
        auditwheel_policy="manylinux_2_34", auditwheel_exclude=("libcuda.so", "b"), strip_binaries=False
    )
    wheel, _, _ = build(project(tmp_path / "2", tag="cp312-cp312-linux_x86_64"), config)
    assert wheel is not None
    assert "--plat manylinux_2_34_x86_64 " in wheel.read_text()
    assert "--exclude libcuda.so --exclude b /output" in wheel.read_text()
    wheel, _, _ = build(project(tmp_path / "3", tag="cp312-cp312-linux_x86_64"), DockerConfig(repair_wheel=False))
    assert wheel is not None
    assert wheel.name == "demo-1-cp312-cp312-linux_x86_64.whl"


def test_an_image_without_a_policy_lets_auditwheel_decide(tmp_path: Path, asked: Any, fake: FakeEngine) -> None:
    fake.answer("^image inspect", inspected(Config={}))
    wheel, _, _ = build(project(tmp_path, tag="cp312-cp312-linux_x86_64"))
    assert wheel is not None
    assert "--plat auto " in wheel.read_text()


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    ("audit", "repaired", "cls", "words"),
    [
        ((127, 'exec: "auditwheel": executable file not found in $PATH'), (), ContainerError, "has no auditwheel"),
        ((1, "too-recent versioned symbols"), (), BuildError, "cannot be repaired"),
        ((0, ""), (), BuildError, "No wheel produced: auditwheel made 0"),
        ((0, ""), ("a.whl", "b.whl"), BuildError, "auditwheel made 2"),
    ],
)
def test_repairs_that_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, audit: Any, repaired: Any, cls: type[Exception], words: str
) -> None:
    monkeypatch.setattr(HereContainer, "audit", audit)
    monkeypatch.setattr(HereContainer, "repaired", repaired)
    with pytest.raises(cls, match=words):
        build(project(tmp_path, tag="cp312-cp312-linux_x86_64"))
    assert not (tmp_path / "out").exists()


def test_a_project_that_only_root_can_read_is_copied_for_nobody(
    tmp_path: Path, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwb.isolation.lockdown.caller", lambda: (0, 0))
    root = project(tmp_path)
    (root / "link").symlink_to("nowhere")
    (root / "secret").touch(0o600)
    (root / "dist").mkdir()
    modes: dict[str, int] = {}
    enter = HereContainer.__enter__

    def look(own: HereContainer) -> HereContainer:
        copy = Path(own.places["/src"])
        assert copy != root
        modes.update({path.name: path.lstat().st_mode & 0o777 for path in (copy, *copy.iterdir())})
        return enter(own)

    monkeypatch.setattr(HereContainer, "__enter__", look)
    build(root, build_sdist=True)
    assert modes["secret"] == 0o644
    assert modes["snapshot"] & 0o555 == 0o555
    assert "link" in modes
    assert "dist" not in modes
    monkeypatch.setattr("hwb.isolation.lockdown.caller", lambda: (1000, 1000))
    HereContainer.made.clear()
    monkeypatch.setattr(HereContainer, "__enter__", enter)
    build(root)
    assert HereContainer.made[0].mounts[0] == Mount(str(root.resolve()), "/src")


def test_versions_mean_pythons_of_the_image(tmp_path: Path, asked: Any) -> None:
    assert python().spoken == "3.12"
    with pytest.raises(ContainerError, match=r"has no Python 3\.13"):
        build(project(tmp_path), env=create(DockerConfig(), "3.13"))
