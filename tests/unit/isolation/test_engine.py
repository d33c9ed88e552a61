"""Is the engine found that answers, asked once, and is what it says an error with a remedy?"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from hwb.context import Context, use
from hwb.errors import Cancelled, CommandTimeout, ContainerError, HwbError, ToolNotFound, UsageError
from hwb.isolation import engine as engines
from hwb.isolation.engine import failed, find_engine, undisturbed

from .engines import DOCKER_INFO, PODMAN_INFO, FakeEngine

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake engine is a script")


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engines, "_known", {})
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def test_docker_describes_itself(tmp_path: Path) -> None:
    fake = FakeEngine(tmp_path / "bin")
    found = find_engine()
    assert (found.name, found.path, found.version) == ("docker", fake.path, "28.1")
    assert (found.arch, found.cpus) == ("x86_64", 2)
    assert (found.rootless, found.remapped, found.selinux) == (False, False, False)


def test_it_is_asked_once(tmp_path: Path) -> None:
    fake = FakeEngine(tmp_path / "bin")
    assert find_engine() is find_engine("auto")
    assert fake.calls == [["info", "--format", "{{json .}}"]]


def test_what_docker_says_of_its_security(tmp_path: Path) -> None:
    options = ["name=rootless", "name=userns", "name=selinux"]
    FakeEngine(tmp_path / "bin", info={**DOCKER_INFO, "SecurityOptions": options})
    found = find_engine("docker")
    assert found.rootless
    assert found.remapped
    assert found.selinux
    assert found.limits == ("memory", "cpu", "pids")
    engines._known.clear()
    FakeEngine(tmp_path / "bin", info={**DOCKER_INFO, "MemoryLimit": False, "CpuCfsQuota": True})
    assert find_engine("docker").limits == ("cpu", "pids")


def test_podman_describes_itself(tmp_path: Path) -> None:
    FakeEngine(tmp_path / "bin", "podman")
    found = find_engine("podman")
    assert (found.name, found.version, found.arch, found.cpus) == ("podman", "5.4.0", "aarch64", 4)
    assert found.limits == ("pids",)
    assert found.rootless
    assert found.selinux


def test_a_docker_that_is_podman(tmp_path: Path) -> None:
    FakeEngine(tmp_path / "bin", "docker", PODMAN_INFO)
    assert find_engine().name == "podman"


def test_docker_goes_first_and_podman_stands_in(tmp_path: Path) -> None:
    docker = FakeEngine(tmp_path / "bin")
    FakeEngine(tmp_path / "bin", "podman")
    assert find_engine().name == "docker"
    engines._known.clear()
    docker.answer(
        "^info", code=1, err="Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?"
    )
    assert find_engine().name == "podman"


def test_without_any(tmp_path: Path) -> None:
    with pytest.raises(ToolNotFound, match="docker is not installed; podman is not installed") as caught:
        find_engine()
    assert caught.value.exit_code == 3
    assert "--isolation venv" in caught.value.remedy
    with pytest.raises(ToolNotFound, match="podman is not installed"):
        find_engine("podman")
    with pytest.raises(UsageError, match="'lxc' is no container engine"):
        find_engine("lxc")


@pytest.mark.parametrize("shared", [None, {}])
def test_that_there_is_none_is_remembered_for_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: dict[str, object] | None
) -> None:
    fake = FakeEngine(tmp_path / "bin")
    fake.answer("^info", code=1, err="Cannot connect to the Docker daemon")
    with use(Context(shared=shared)):
        for _ in range(2):
            with pytest.raises(ToolNotFound, match="does not answer"):
                find_engine("docker")
        assert len(fake.calls) == 1
        monkeypatch.setattr(engines, "_REMEMBERED_SECONDS", 0.0)
        fake.answer("^info", json.dumps(DOCKER_INFO))
        if shared is None:
            assert find_engine("docker").name == "docker", "started meanwhile"
        else:
            with pytest.raises(ToolNotFound):
                find_engine("docker")


def test_a_daemon_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_ANSWER_SECONDS", 0.2)
    FakeEngine(tmp_path / "bin").answer("^info", seconds=30)
    with pytest.raises(ToolNotFound, match=r"docker did not answer within 0\.2 s"):
        find_engine("docker")


@pytest.mark.parametrize("out", ["no JSON", "[]"])
def test_an_answer_that_is_none(tmp_path: Path, out: str) -> None:
    FakeEngine(tmp_path / "bin").answer("^info", out)
    with pytest.raises(ToolNotFound, match="does not describe itself"):
        find_engine("docker")


def test_a_client_without_a_daemon(tmp_path: Path) -> None:
    """Newer docker commands answer without failing, and say it in the answer."""
    errors = ["Cannot connect to the Docker daemon at unix:///var/run/docker.sock."]
    FakeEngine(tmp_path / "bin", info={"ServerErrors": errors})
    with pytest.raises(ToolNotFound, match="does not answer") as caught:
        find_engine("docker")
    assert errors[0] in caught.value.detail
    engines._known.clear()
    FakeEngine(tmp_path / "bin", info={"ServerVersion": ""})
    with pytest.raises(ToolNotFound):
        find_engine("docker")


def test_windows_has_no_containers_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ToolNotFound, match="paths of Windows"):
        find_engine()


@pytest.mark.parametrize(
    ("text", "cls", "words", "remedy"),
    [
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock", ToolNotFound, "not answer", "start it"),
        ("Got permission denied while trying to connect to the Docker daemon socket", ToolNotFound, "may not", "group"),
        ("write /var/lib/docker/tmp: no space left on device", ContainerError, "space", "prune"),
        ('could not select device driver "" with capabilities: [[gpu]]', ContainerError, "GPU", "toolkit"),
        ("Error: unresolvable CDI devices nvidia.com/gpu=all", ContainerError, "GPU", "toolkit"),
        ("Error: container-init binary not found on the host", ContainerError, "first process", "catatonit"),
        ("exec /bin/sh: exec format error", ContainerError, "another processor", "binfmt"),
        ("image platform (linux/arm64) does not match the specified platform", ContainerError, "processor", "QEMU"),
        ("manifest for x/y:z not found: manifest unknown: manifest unknown", ContainerError, "no such image", "login"),
        ("pull access denied for x, repository does not exist", ContainerError, "no such image", "name"),
        ("dial tcp: lookup quay.io on 1.1.1.1:53: no such host", ContainerError, "registry", "docker load"),
        *(
            (f"Error response from daemon: {text}", ContainerError, words, remedy)
            for text, words, remedy in (
                ('Get "http://127.0.0.1:5/v2/": dial tcp 127.0.0.1:5: connect: connection refused', "not ans", "load"),
                ('Get "https://x.invalid/v2/": dial tcp: lookup x.invalid: no such host', "registry does not", "load"),
                ('Get "http://127.0.0.1:5/v2/": read tcp 127.0.0.1:4: connection reset by peer', "not answer", "load"),
                ('Get "https://x/v2/": context deadline exceeded', "registry does not answer", "load"),
                ('Head "http://x/v2/y/manifests/1": no basic auth credentials', "wants a login", "docker login"),
                ("received unexpected HTTP status: 503 Service Unavailable", "refuses to answer", "later"),
                ('error parsing HTTP 429 response body: unexpected end of JSON input: ""', "refuses", "later"),
                ("unauthorized: authentication required", "wants a login", "docker login"),
                ("toomanyrequests: You have reached your pull rate limit", "refuses to answer", "later"),
            )
        ),
        (
            'pinging container registry 127.0.0.1:5: Get "http://127.0.0.1:5/v2/": dial tcp 127.0.0.1:5: connection refused',
            ContainerError,
            "registry does not answer",
            "docker load",
        ),
        (
            'error during connect: Get "http://127.0.0.1:1/v1.41/info": dial tcp 127.0.0.1:1: connection refused',
            ToolNotFound,
            "engine does not answer",
            "start it",
        ),
        ("something else", ContainerError, "exit code 7", ""),
        ("what a step of a Dockerfile prints: 401 unauthorized", ContainerError, "exit code 7", ""),
    ],
)
def test_what_engines_say(text: str, cls: type[HwbError], words: str, remedy: str) -> None:
    error = failed("docker", "working", 7, f"docker: {text}\n")
    assert type(error) is cls
    assert error.what.startswith("working: ")
    assert words in error.what
    assert remedy in error.remedy
    assert text in error.detail


def test_calls(tmp_path: Path) -> None:
    fake = FakeEngine(tmp_path / "bin")
    fake.answer("^hello", "out\n", err="a warning")
    assert fake.engine.call("hello", what="x") == "out\n"
    fake.answer("^hello", code=1, err="No such image: x")
    with pytest.raises(ContainerError, match="x: there is no such image"):
        fake.engine.call("hello", what="x")
    fake.answer("^hello", seconds=30)
    with pytest.raises(CommandTimeout):
        fake.engine.call("hello", what="x", timeout=0.2)


def test_questions(tmp_path: Path) -> None:
    fake = FakeEngine(tmp_path / "bin")
    fake.answer("^image", "yes")
    assert fake.engine.asks("image", "inspect", "x") == "yes"
    fake.answer("^image", code=1, err="No such image: x")
    assert fake.engine.asks("image", "inspect", "x") is None
    fake.answer("^image", code=1, err="Cannot connect to the Docker daemon")
    with pytest.raises(ToolNotFound):
        fake.engine.asks("image", "inspect", "x")


def test_cleaning_up_goes_on_after_the_work_was_called_off(tmp_path: Path) -> None:
    fake = FakeEngine(tmp_path / "bin")
    context = Context(deadline=0.0)
    context.token.cancel("INT")
    with use(context):
        with pytest.raises(Cancelled):
            fake.engine.call("hello", what="x")
        with undisturbed():
            fake.engine.call("hello", what="x")
    assert fake.calls == [["hello"]]
