"""Does an image come from a registry when it is not here, and what is said when it cannot?

The registry is Debian's, on loopback, where docker asks for no certificate.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hwb.context import CancelToken, Context, use
from hwb.errors import Cancelled, ContainerError, OfflineError, ToolNotFound
from hwb.isolation.engine import find_engine
from hwb.isolation.images import ensure_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwb.isolation.engine import Engine

    from .conftest import Project

pytestmark = [
    pytest.mark.docker,
    pytest.mark.registry,
    pytest.mark.skipif(sys.platform != "linux", reason="containers of this machine"),
]

CONFIG = """version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
NOBODYS = f"sha256:{'1' * 64}"


class Registry:
    """A registry with one image, which this machine does not have."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.engine = engine
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.name = f"{self.host}/pypa/tiny"
        self._config = folder / "registry.yml"
        self._config.write_text(CONFIG.format(root=folder / "data", port=self.port))
        self._log = (folder / "registry.log").open("wb")
        self.start()
        self.id, self.digest = self._filled(folder)

    def start(self) -> None:
        command = ["docker-registry", "serve", str(self._config)]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL)
        wait_for_port(self.port)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.stop()
        self._log.close()
        self.forget()

    def forget(self) -> None:
        """Remove the image from this machine."""
        for name in (f"{self.name}:1", f"{self.name}@{self.digest}"):
            self.engine.asks("image", "rm", "--force", name)

    def _filled(self, folder: Path) -> tuple[str, str]:
        """Its id and the digest of its manifest; no other test has the same content."""
        member = folder / "content"
        member.write_text(uuid.uuid4().hex)
        with tarfile.open(folder / "root.tar", "w") as tar:
            tar.add(member, "opt/content")
        tag = f"{self.name}:1"
        policy = "ENV AUDITWHEEL_PLAT=manylinux_2_28_x86_64"
        made = self.engine.call("import", "--change", policy, str(folder / "root.tar"), tag, what="importing").strip()
        self.engine.call("push", "--quiet", tag, what="pushing")
        template = "{{index .RepoDigests 0}}"
        digest = self.engine.call("image", "inspect", "--format", template, tag, what="looking").strip()
        self.engine.call("image", "rm", tag, what="removing")
        return made, digest.partition("@")[2]


@dataclass
class Told:
    """What listeners hear."""

    texts: list[str] = field(default_factory=list)

    def __call__(self, kind: str, **values: Any) -> None:
        if kind == "message":
            self.texts.append(values["text"])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_for_port(port: int) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < end, "the registry does not start"
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="module")
def engine() -> Engine:
    try:
        found = find_engine(os.environ.get("HWB_TEST_ENGINE", "auto"))
    except ToolNotFound as error:
        pytest.skip(str(error))
    if found.name != "docker":
        pytest.skip(f"{found.name} takes no registry without certificates, not even on loopback")
    return found


@pytest.fixture(scope="module")
def shared(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    made = Registry(tmp_path_factory.mktemp("registry"), engine)
    yield made
    made.close()


@pytest.fixture
def registry(shared: Registry) -> Iterator[Registry]:
    yield shared
    shared.forget()


@pytest.fixture
def told() -> Iterator[Told]:
    made = Told()
    with use(Context(emit=made)):
        yield made


# --- it is there -----------------------------------------------------------------------------------------------------


def test_by_tag(registry: Registry, engine: Engine, told: Told) -> None:
    image = ensure_image(engine, f"{registry.name}:1")
    assert (image.id, image.policy, image.arch) == (registry.id, "manylinux_2_28_x86_64", engine.arch)
    assert told.texts == [f"fetching the image {registry.name}:1"]
    assert ensure_image(engine, f"{registry.name}:1") == image
    assert len(told.texts) == 1, "it is fetched once"


@pytest.mark.parametrize("tag", ["", ":1", ":a-tag-that-it-never-had"])
def test_by_digest(registry: Registry, engine: Engine, told: Told, tag: str) -> None:
    """As hwb's data names the official images: the tag is for who reads it."""
    reference = f"{registry.name}{tag}@{registry.digest}"
    image = ensure_image(engine, reference)
    assert (image.id, image.reference) == (registry.id, reference)
    assert told.texts == [f"fetching the image {reference}"]
    assert ensure_image(engine, reference).id == image.id
    assert len(told.texts) == 1


def test_what_is_here_needs_no_registry(registry: Registry, engine: Engine, told: Told) -> None:
    ensure_image(engine, f"{registry.name}:1")
    registry.stop()
    try:
        assert ensure_image(engine, f"{registry.name}:1").id == registry.id
    finally:
        registry.start()


# --- it is not there -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["{name}:2", "{host}/pypa/other:1", "{name}@" + NOBODYS, "{name}:1@" + NOBODYS])
def test_no_such_image(registry: Registry, engine: Engine, told: Told, what: str) -> None:
    reference = what.format(name=registry.name, host=registry.host)
    with pytest.raises(ContainerError) as caught:
        ensure_image(engine, reference)
    error = caught.value
    assert error.what == f"fetching the image {reference}: there is no such image"
    assert "docker login" in error.remedy
    assert "manifest unknown" in error.detail


def test_none_for_the_processor(registry: Registry, engine: Engine, told: Told) -> None:
    other = "s390x" if engine.arch != "s390x" else "ppc64le"
    with pytest.raises(ContainerError, match=r"processor|has none for linux/") as caught:
        ensure_image(engine, f"{registry.name}:1", platform=f"linux/{other}")
    assert caught.value.remedy


def test_a_registry_that_does_not_answer(registry: Registry, engine: Engine, told: Told) -> None:
    registry.stop()
    try:
        with pytest.raises(ContainerError) as caught:
            ensure_image(engine, f"{registry.name}:1")
    finally:
        registry.start()
    error = caught.value
    assert error.what == f"fetching the image {registry.name}:1: the image's registry does not answer"
    assert "docker load" in error.remedy
    assert "connection refused" in error.detail
    assert (error.code, error.exit_code) == ("CONTAINER_FAILED", 1)


@pytest.mark.parametrize(
    ("status", "words", "remedy"), [(401, "wants a login", "docker login"), (503, "refuses to answer", "docker load")]
)
def test_a_registry_that_refuses(engine: Engine, told: Told, status: int, words: str, remedy: str) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(ContainerError) as caught:
            ensure_image(engine, f"127.0.0.1:{server.server_port}/x:1")
    finally:
        server.shutdown()
        server.server_close()
    assert words in caught.value.what
    assert remedy in caught.value.remedy


def test_offline_nobody_is_asked(engine: Engine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, use(Context(offline=True)):
        server.settimeout(0.5)
        reference = f"127.0.0.1:{server.getsockname()[1]}/pypa/tiny:1"
        with pytest.raises(OfflineError, match="is not on this machine, and nothing is fetched offline") as caught:
            ensure_image(engine, reference)
        assert "--offline" in caught.value.remedy
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_registry_that_is_silent_can_be_left(engine: Engine) -> None:
    """It takes connections and says nothing: docker would wait."""
    token = CancelToken()
    with socket.create_server(("127.0.0.1", 0)) as server, use(Context(token=token)):
        reference = f"127.0.0.1:{server.getsockname()[1]}/pypa/tiny:1"
        timer = threading.Timer(1.0, token.cancel)
        timer.start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            ensure_image(engine, reference)
        assert time.monotonic() - began < 30
        timer.join()


# --- by the command line ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "code", "words", "remedy"),
    [
        ([], 1, ": there is no such image", "try: check its name; a private registry needs a login"),
        (["--offline"], 1, "is not on this machine, and nothing is fetched offline", "try: run once without --offline"),
    ],
)
def test_what_a_person_reads(
    registry: Registry, project: Project, options: list[str], code: int, words: str, remedy: str
) -> None:
    reference = f"{registry.name}:gone"
    project.write(
        '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'
        '[project]\nname = "x"\nversion = "1"\n'
        f'[tool.hwb.isolation.docker]\nimage = "{reference}"\n',
        "pyproject.toml",
    )
    done = project.hwb("build", "--isolation", "docker", *options)
    assert done.code == code, done.both
    assert f"the image {reference}" in done.err
    assert words in done.err
    assert remedy in done.err
    assert "Traceback" not in done.both
    assert not Path(project.root, "dist").exists()
