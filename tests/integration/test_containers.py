"""Do containers of a real engine hold what they promise, and is nothing of them left, whatever happens?

The image is that of .ci/standin.sh, or the one that HWB_TEST_IMAGE names.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import hwb
from hwb.context import Context, use
from hwb.errors import CommandFailed, CommandTimeout, ContainerError, DependencyError, OfflineError, ToolNotFound
from hwb.isolation import engine as engines
from hwb.isolation.container import Container, reap
from hwb.isolation.engine import find_engine
from hwb.isolation.images import build_image, ensure_image, pythons_of
from hwb.isolation.lockdown import ContainerOptions, Gpu, Mount
from hwb.isolation.provision import container_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwb.isolation.engine import Engine
    from hwb.isolation.foreign import ForeignPython
    from hwb.isolation.images import LocalImage

pytestmark = [pytest.mark.docker, pytest.mark.skipif(sys.platform != "linux", reason="containers of this machine")]


@pytest.fixture(scope="module")
def engine() -> Engine:
    try:
        return find_engine(os.environ.get("HWB_TEST_ENGINE", "auto"))
    except ToolNotFound as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def image(engine: Engine) -> LocalImage:
    with use(Context(offline=True)):
        return ensure_image(engine, os.environ.get("HWB_TEST_IMAGE", "hwb/manylinux_2_31_x86_64:standin"))


@pytest.fixture(scope="module")
def python(engine: Engine, image: LocalImage) -> ForeignPython:
    return pythons_of(engine, image)[0]


@pytest.fixture(autouse=True)
def _nothing_is_left(engine: Engine) -> Iterator[None]:
    yield
    assert ours(engine) == set()


def ours(engine: Engine, pid: int | None = None) -> set[str]:
    """The containers of a process, by default this one: others work with the same engine."""
    listed = engine.call("ps", "--all", "--format", "{{.Names}}", what="listing")
    return {name for name in listed.split() if name.startswith(f"hwb-{pid or os.getpid()}-")}


def shell(container: Container, script: str, **how: Any) -> str:
    return container.run(["sh", "-c", script], capture=True, **how).text


# ------------------------------------------------------------------------------------------------------- lockdown


def test_it_can_do_nothing_but_its_work(engine: Engine, image: LocalImage, tmp_path: Path) -> None:
    source, place = tmp_path / "a source", tmp_path / "a place, with a comma"
    for folder in (source, place):
        folder.mkdir()
    (source / "file").write_text("content")
    tmp_path.chmod(0o755)
    options = ContainerOptions(mounts=(Mount(str(source), "/src"), Mount.same(str(place), writable=True)))
    with Container(engine, image.id, options) as container:
        status = dict(
            line.split(":\t") for line in shell(container, "cat /proc/self/status").splitlines() if ":\t" in line
        )
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
        assert status["NoNewPrivs"] == "1"
        assert shell(container, "ls /sys/class/net").split() == ["lo"]
        for target in ("/opt/x", "/etc/x", "/src/x", "/src/file", "/usr/bin/x"):
            with pytest.raises(CommandFailed):
                container.run(["sh", "-c", f"echo > {target}"])
        assert shell(container, "cat /src/file") == "content"
        script = (
            "echo made > made; mkdir folder; printf '#!/bin/sh\\necho ran' > /tmp/x; chmod +x /tmp/x; /tmp/x; id -u"
        )
        ran, uid = shell(container, script, cwd=str(place)).split()
        assert ran == "ran"
        assert uid == str(os.getuid() or 65534)
        assert shell(container, "echo $HOME; ls -A $HOME").split()[0] == "/tmp"
        assert container.copy_out("/tmp/x", tmp_path / "x").stat().st_uid == os.getuid()
    for path in (place, place / "made", place / "folder", tmp_path / "x"):
        assert path.stat().st_uid == os.getuid()


def test_limits_hold(engine: Engine, image: LocalImage) -> None:
    options = ContainerOptions(memory="64m", pids=20, cpus=1, tmp_size="16m")
    with Container(engine, image.id, options) as container:
        with pytest.raises(CommandFailed) as caught:
            container.run(["sh", "-c", "head -c 200m /dev/zero | tail"])
        assert caught.value.return_code != 0
        with pytest.raises(CommandFailed):
            container.run(["sh", "-c", "head -c 32m /dev/zero > /tmp/big"])
    with Container(engine, image.id, options) as container:
        refused = container.run(
            ["sh", "-c", "for i in $(seq 40); do sleep 5 & done; wait"], check=False, capture=True, timeout=60
        )
        assert "fork" in refused.text.lower()


def test_values_of_variables_arrive_whole(engine: Engine, image: LocalImage) -> None:
    with Container(engine, image.id, ContainerOptions(env={"A": "of all"})) as container:
        env = {"B": "two\nlines", "PATH": "/bin:/usr/bin", "HTTPS_PROXY": "http://u:p@x"}
        assert (
            shell(container, 'echo "$A|$B|$PATH|$HTTPS_PROXY"', env=env)
            == "of all|two\nlines|/bin:/usr/bin|http://u:p@x\n"
        )


def test_it_sees_a_home_directory_only_in_part(engine: Engine, image: LocalImage, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "cache" / "env").mkdir(parents=True)
    (home / "private").write_text("mine")
    (home / "cache" / "env" / "file").write_text("content")
    options = ContainerOptions(
        mounts=(Mount.same(str(home / "cache" / "env")), Mount(str(home / "cache" / "env"), "/root/project"))
    )
    with Container(engine, image.id, options, home=str(home)) as container:
        assert shell(container, f"cat {home}/cache/env/file; cat /root/project/file") == "contentcontent"
        assert shell(container, f"ls -A {home}") == "cache\n"


# ------------------------------------------------------------------------------------------------------- its end


def test_two_at_once(engine: Engine, image: LocalImage) -> None:
    found: list[str] = []

    def work(word: str) -> None:
        with use(Context()), Container(engine, image.id) as container:
            found.append(shell(container, f"echo {word} > /tmp/x; sleep 0.3; cat /tmp/x"))

    threads = [threading.Thread(target=work, args=(word,)) for word in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["one\n", "two\n"]


def test_nothing_is_left_after_a_failure(engine: Engine, image: LocalImage) -> None:
    with pytest.raises(RuntimeError, match="mine"), Container(engine, image.id) as container:
        shell(container, "sleep 100 > /dev/null 2>&1 &")
        raise RuntimeError("mine")
    assert container.name not in ours(engine)


def test_a_command_that_takes_too_long_leaves_no_process_inside(engine: Engine, image: LocalImage) -> None:
    with Container(engine, image.id) as container:
        with pytest.raises(CommandTimeout, match="sh took longer"):
            container.run(["sh", "-c", "trap '' INT TERM; sleep 50 & sleep 51"], timeout=0.5)
        listed = shell(container, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        assert "sleep 5" not in listed
        assert shell(container, "echo still usable") == "still usable\n"


CHILD = """
import sys
from hwb.context import Context, current, use
from hwb.isolation.container import Container
from hwb.isolation.engine import find_engine
from hwb.isolation.lockdown import ContainerOptions, Mount
engine = find_engine(sys.argv[1])
context = Context(mark={"HWB_RUN": "no-such-run.session"})
import signal
signal.signal(signal.SIGINT, lambda *_: context.token.cancel("INT"))
with use(context), Container(engine, sys.argv[2]) as container:
    print(container.name, flush=True)
    container.run(["sleep", "100"])
"""


def child(engine: Engine, image: LocalImage) -> tuple[subprocess.Popen[str], str]:
    environ = {**os.environ, "PYTHONPATH": str(Path(hwb.__file__).parent.parent)}
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, engine.name, image.id],
        env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    name = process.stdout.readline().strip()
    if not name:
        pytest.fail(process.communicate(timeout=30)[1])
    assert ours(engine, process.pid) == {name}
    return process, name


def test_nothing_is_left_after_an_interrupt(engine: Engine, image: LocalImage) -> None:
    process, name = child(engine, image)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert "Cancelled" in errors
    assert name not in ours(engine, process.pid)


def test_what_a_killed_one_leaves_the_next_one_removes(engine: Engine, image: LocalImage) -> None:
    process, name = child(engine, image)
    kept, kept_name = child(engine, image)
    process.kill()
    process.communicate(timeout=30)
    with Container(engine, image.id):
        assert name not in ours(engine, process.pid)
        assert kept_name in ours(engine, kept.pid), "its owner lives"
    kept.kill()
    kept.communicate(timeout=30)
    reap(engine)
    assert ours(engine, kept.pid) == set()


def test_the_first_process_carries_the_mark(engine: Engine, image: LocalImage) -> None:
    """So the watcher of a killed run ends it, and with it the container."""
    from hwb.procgroup import kill_marked, marked

    with use(Context(mark={"HWB_RUN": "marked-run.session"})), Container(engine, image.id) as container:
        if not marked("marked-run"):
            pytest.skip("the engine's processes are on another machine")
        assert kill_marked("marked-run", sure=True)
        end = time.monotonic() + 20
        while container.name in ours(engine) and time.monotonic() < end:
            time.sleep(0.05)
        assert container.name not in ours(engine)


# --------------------------------------------------------------------------------------------------------- errors


def test_an_engine_that_was_stopped(engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engines, "_known", {})
    gone = f"unix://{tmp_path}/gone.sock"
    if engine.name != "docker":
        pytest.skip("podman has no daemon")
    with use(Context(outer_env={**os.environ, "DOCKER_HOST": gone})):
        with pytest.raises(ToolNotFound, match="does not answer") as caught:
            find_engine("docker")
        assert "start it" in caught.value.remedy
        with pytest.raises(ToolNotFound, match="does not answer"):
            reap(engine)


def test_images_that_cannot_be_had(engine: Engine) -> None:
    with use(Context(offline=True)), pytest.raises(OfflineError, match="not on this machine"):
        ensure_image(engine, "no-such/image:1")
    with pytest.raises(ContainerError) as caught, Container(engine, "no-such-image-of-hwb"):
        pass
    assert "no such image" in caught.value.what


def test_a_gpu_that_is_not_there(engine: Engine, image: LocalImage) -> None:
    if any(Path("/dev").glob("nvidia*")):
        pytest.skip("there is one")
    with pytest.raises(ContainerError, match="GPU"), Container(engine, image.id, ContainerOptions(gpu=Gpu())):
        pass


def test_a_dockerfile(engine: Engine, image: LocalImage, tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(f"FROM {image.reference}\nENV ADDED=here\nLABEL hwb.test=1\n")
    built = build_image(engine, dockerfile)
    try:
        assert built.environ["ADDED"] == "here"
        assert build_image(engine, dockerfile).id == built.id
        with Container(engine, built.id) as container:
            assert shell(container, "echo $ADDED") == "here\n"
    finally:
        engine.call("rmi", built.reference, what="removing")


# --------------------------------------------------------------------------------------------------- environments


@pytest.mark.pypi
@pytest.mark.parametrize("backend", ["uv", "virtualenv"])
def test_an_environment_works_inside(
    engine: Engine, image: LocalImage, python: ForeignPython, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hwb.isolation import backends

    if backend == "uv" and backends.find_uv() is None:
        pytest.skip("no uv")
    choose = backends.choose
    monkeypatch.setattr(backends, "choose", lambda wanted=None: choose(backend))
    venv = container_environment(engine, image, python, ["wheel==0.45.1", "six"])
    assert container_environment(engine, image, python, ["six", "wheel==0.45.1"]).reused
    with Container(engine, image.id, ContainerOptions(mounts=(Mount.same(venv.path),))) as container:
        script = "import sys, six, wheel; print(sys.prefix, sys.prefix != sys.base_prefix, wheel.__version__)"
        done = container.run([venv.python, "-c", script], capture=True)
        assert done.text.split() == [venv.path, "True", "0.45.1"]
        assert "wheel 0.45.1" in container.run([f"{venv.bin}/wheel", "version"], capture=True).text
        with pytest.raises(CommandFailed):
            container.run(["sh", "-c", f"touch {venv.site_packages}/x"])


@pytest.mark.pypi
def test_a_requirement_without_a_wheel(engine: Engine, image: LocalImage, python: ForeignPython) -> None:
    messages: list[str] = []
    with use(Context(emit=lambda kind, **fields: messages.append(fields.get("text", "")))):
        venv = container_environment(engine, image, python, ["docopt==0.6.2"])
    assert any("a container installs it" in text for text in messages) or venv.backend != "uv"
    assert (venv.site_packages / "docopt.py").stat().st_uid == os.getuid()
    with pytest.raises(DependencyError):
        container_environment(engine, image, python, ["docopt==99.9"])


@pytest.mark.pypi
@pytest.mark.slow
def test_a_compiled_wheel(engine: Engine, image: LocalImage, python: ForeignPython, tmp_path: Path) -> None:
    from hwb.isolation.docker import DockerConfig, DockerIsolation

    root = tmp_path / "a project"
    (root / "src").mkdir(parents=True)
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools>=61"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "cdemo"\nversion = "1.0"\n'
    )
    (root / "setup.py").write_text(
        'from setuptools import setup, Extension\nsetup(ext_modules=[Extension("cdemo", ["src/cdemo.c"])])\n'
    )
    (root / "src" / "cdemo.c").write_text(
        textwrap.dedent(
            """
            #include <Python.h>
            static PyObject *answer(PyObject *s, PyObject *a) { return PyLong_FromLong(42); }
            static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {0}};
            static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "cdemo", 0, -1, methods};
            PyMODINIT_FUNC PyInit_cdemo(void) { return PyModule_Create(&module); }
            """
        )
    )
    before = sorted(root.rglob("*"))
    isolation = DockerIsolation(DockerConfig(image=image.reference, network=False, container_engine=engine.name))

    async def build() -> tuple[Path | None, Path | None, str]:
        env = await isolation.create_environment(python.spoken, ["wheel"])
        async with env:
            return await isolation.build_in_container(root, tmp_path / "out", env, build_sdist=True)

    wheel, sdist, log = asyncio.run(build())
    assert wheel is not None
    assert sdist is not None
    assert "manylinux" in wheel.name
    assert "linux_x86_64.whl" not in wheel.name.replace("manylinux", "")
    assert "building 'cdemo' extension" in log
    assert sorted(root.rglob("*")) == before
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    with Container(engine, image.id, ContainerOptions(mounts=(Mount(str(tmp_path / "site"), "/site"),))) as container:
        script = "import sys; sys.path.insert(0, '/site'); import cdemo; print(cdemo.answer())"
        assert container.run([python.asked, "-c", script], capture=True).text == "42\n"
