"""Do the arguments take everything away that the work does not need, and give nothing of the machine?"""

from __future__ import annotations

import csv
import io
import os
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb.errors import ConfigError
from hwb.isolation import lockdown
from hwb.isolation.engine import Engine
from hwb.isolation.lockdown import (
    NOBODY,
    ContainerOptions,
    Gpu,
    Identity,
    Mount,
    caller,
    checked_mounts,
    exec_arguments,
    identity,
    locked_down,
    run_arguments,
)

if TYPE_CHECKING:
    from pathlib import Path

DOCKER = Engine("docker", "/usr/bin/docker", "28.1")
PODMAN = Engine("podman", "/usr/bin/podman", "5.4", rootless=True)
ME = Identity("1000:1000")


def args(options: ContainerOptions | None = None, engine: Engine = DOCKER, who: Identity = ME) -> list[str]:
    return locked_down(engine, options or ContainerOptions(), who, "/home/me")


def test_a_container_can_do_nothing_by_default() -> None:
    assert args() == [
        "--pull=never",
        "--init",
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--user=1000:1000",
        "--pids-limit=4096",
        "--ulimit=nofile=1024:4096",
        "--tmpfs",
        "/tmp:rw,exec,nosuid,nodev,mode=1777,size=2g",
        "--network=none",
    ]


def test_what_can_be_allowed() -> None:
    options = ContainerOptions(network="bridge", memory="8g", cpus=1.5, pids=9, tmp_size="1m", platform="linux/arm64")
    given_ = args(options)
    assert not any(arg.startswith("--network") for arg in given_)
    wanted = {"--memory=8g", "--memory-swap=8g", "--cpus=1.5", "--pids-limit=9", "--platform=linux/arm64"}
    assert wanted <= set(given_)
    assert "/tmp:rw,exec,nosuid,nodev,mode=1777,size=1m" in given_
    assert "--network=host" in args(ContainerOptions(network="host"))


@pytest.mark.parametrize(
    "options", [ContainerOptions(memory="much"), ContainerOptions(cpus=0.0), ContainerOptions(cpus=-1)]
)
def test_limits_that_are_none(options: ContainerOptions) -> None:
    with pytest.raises(ConfigError, match="is no"):
        args(options)


def test_gpus() -> None:
    assert args(ContainerOptions(gpu=Gpu()))[-3:] == ["--gpus", "all", "--runtime=nvidia"]
    assert args(ContainerOptions(gpu=Gpu(("0", "1"), "")))[-2:] == ["--gpus", '"device=0,1"']
    both = args(ContainerOptions(gpu=Gpu(("0", "1"))), PODMAN)
    assert [arg for arg in both if "gpu" in arg] == ["--device=nvidia.com/gpu=0", "--device=nvidia.com/gpu=1"]
    assert "--device=nvidia.com/gpu=all" in args(ContainerOptions(gpu=Gpu()), PODMAN)


def test_who_works_inside() -> None:
    remapped = Engine("docker", "/d", "28", remapped=True)
    rootless = Engine("docker", "/d", "28", rootless=True)
    assert identity(DOCKER, 1000, 1001) == Identity("1000:1001")
    assert identity(DOCKER, 0, 0) == Identity(f"{NOBODY}:{NOBODY}", "", NOBODY)
    assert identity(remapped, 1000, 1000) == Identity("1000:1000", "host")
    assert identity(remapped, 0, 0) == Identity(f"{NOBODY}:{NOBODY}", "host", NOBODY)
    assert identity(rootless, 1000, 1000) == Identity("0:0")
    assert identity(PODMAN, 1000, 1000) == Identity("1000:1000", "keep-id")
    assert identity(PODMAN, 0, 0) == Identity("0:0")
    assert identity(DOCKER, None, None) == Identity("1000:1000")
    assert "--ulimit=nproc=4096:4096" in args(engine=PODMAN)
    assert "--userns=keep-id" in args(engine=PODMAN, who=identity(PODMAN, 5, 5))


def test_the_caller() -> None:
    assert caller() == ((None, None) if sys.platform == "win32" else (os.getuid(), os.getgid()))


def test_files_can_be_read_under_selinux() -> None:
    assert "--security-opt=label=disable" in args(engine=Engine("podman", "/p", "5", selinux=True))


def test_mounts(tmp_path: Path) -> None:
    options = ContainerOptions(mounts=(Mount("/a b", "/src"), Mount('/c,d"e', "/output", writable=True)))
    found = args(options)
    assert found[-4:] == [
        "--mount",
        "type=bind,source=/a b,target=/src,readonly",
        "--mount",
        'type=bind,"source=/c,d""e",target=/output',
    ]
    assert Mount.same("/x", writable=True) == Mount("/x", "/x", True)


@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1))
def test_any_path_survives_the_mount_argument(name: str) -> None:
    text = lockdown._mount_argument(Mount("/" + name, "/src"))
    [fields] = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert fields == ["type=bind", f"source=/{name}", "target=/src", "readonly"]


def test_mounts_in_somebodys_home_can_be_reached() -> None:
    inside = ContainerOptions(mounts=(Mount.same("/home/me/.cache/x"), Mount("/y", "/root/project")))
    cover = "rw,noexec,nosuid,nodev,size=64k"
    found = args(inside)
    assert f"/home/me:{cover},mode=755,uid=1000,gid=1000" in found
    assert f"/root:{cover},mode=755,uid=1000,gid=1000" in found
    wanted = "type=tmpfs,destination=/root,tmpfs-size=64k,tmpfs-mode=755,chown=true,notmpcopyup"
    assert wanted in args(inside, PODMAN)
    assert not any(arg.startswith("/root:") for arg in args(inside, who=Identity("0:0")))
    assert not any(arg.startswith("/home/me:") for arg in args(ContainerOptions(mounts=(Mount("/home/me/x", "/src"),))))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / "me" / "project").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "engine.sock").touch()
    return tmp_path / "home" / "me"


def checked(home: Path, *mounts: Mount) -> tuple[Mount, ...]:
    environ = {
        "DOCKER_HOST": f"unix://{home.parents[1]}/run/engine.sock",
        "XDG_RUNTIME_DIR": str(home.parents[1] / "xdg"),
    }
    return checked_mounts(mounts, home=str(home), environ=environ)


def test_mounts_that_are_fine(home: Path) -> None:
    link = home.parent / "link"
    link.symlink_to(home / "project")
    found = checked(home, Mount(str(home / "project"), "/src"), Mount(str(link), "/a/../output/", writable=True))
    real = str(home / "project")
    assert found == (Mount(real, "/src"), Mount(real, "/output", writable=True))


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("/", "home directory"),
        ("home/me", "home directory"),
        ("home", "home directory"),
        ("link", "home directory"),
        ("run", "engine's socket"),
        ("run/engine.sock", "engine's socket"),
        ("gone", "no such file"),
        ("bad\nname", "control characters"),
    ],
)
def test_what_is_never_mounted(home: Path, source: str, why: str) -> None:
    top = home.parents[1]
    (top / "link").symlink_to(home)
    (top / "bad\nname").mkdir()
    with pytest.raises(ConfigError, match=why):
        checked(home, Mount(str(top / source), "/src"))


@pytest.mark.parametrize("target", ["/", "/usr", "/etc/", "src", "/x/..", "/opt"])
def test_no_mount_hides_the_images_system(home: Path, target: str) -> None:
    with pytest.raises(ConfigError, match="no place of its own"):
        checked(home, Mount(str(home / "project"), target))


def test_run() -> None:
    found = run_arguments(
        DOCKER,
        "sha256:1",
        ContainerOptions(),
        ME,
        home="/home/me",
        name="hwb-1",
        labels={"a": "b"},
        mark={"HWB_RUN": "r.s"},
    )
    assert found[:4] == ["run", "--detach", "--rm", "--name=hwb-1"]
    assert found[4 : 4 + len(args())] == args()
    rest = ["--label", "a=b", "--env", "HWB_RUN=r.s", "--entrypoint=/bin/sh", "sha256:1", "-c", lockdown.IDLE]
    assert found[4 + len(args()) :] == rest


def test_values_of_variables_are_no_arguments() -> None:
    options = ContainerOptions(env={"TOKEN": "secret", "PATH": "/image"}, launcher=("linux32",))
    client = {"PATH": "/mine", "HOME": "/home/me", "HTTPS_PROXY": "http://u:p@x", "DOCKER_HOST": "tcp://x"}
    env = {"HTTPS_PROXY": "http://u:p@x", "DOCKER_HOST": "other", "MORE": "a\nb"}
    argv, outer = exec_arguments("id", ["make", "x y"], options, env=env, cwd="/a b", client=client)
    assert argv[:3] == ["exec", "--workdir", "/a b"]
    assert argv[-4:] == ["id", "linux32", "make", "x y"]
    named = [argv[i + 1] for i, arg in enumerate(argv) if arg == "--env"]
    assert named == ["HOME=/tmp", "TOKEN", "PATH=/image", "HTTPS_PROXY", "DOCKER_HOST=other", "MORE"]
    assert outer == {**client, "TOKEN": "secret", "MORE": "a\nb"}


def test_terminals_and_pipes() -> None:
    def streams(**how: bool) -> list[str]:
        argv, _ = exec_arguments("id", ["x"], ContainerOptions(), env={}, cwd="/", client={}, **how)
        return argv[1 : argv.index("--workdir")]

    assert streams() == []
    assert streams(talks=True) == ["--interactive"]
    assert streams(interactive=True) == ["--interactive", "--tty"]
