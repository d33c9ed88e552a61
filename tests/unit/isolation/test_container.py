"""Is a container started, used, ended and removed, whatever happens in between?"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hwb import proc
from hwb.context import Context, current, use
from hwb.errors import Cancelled, CommandFailed, CommandTimeout, ConfigError, ContainerError
from hwb.isolation import container as containers
from hwb.isolation.container import LABEL, TOKEN, Container, reap
from hwb.isolation.lockdown import NOBODY, ContainerOptions, Mount

from .engines import FakeEngine

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake engine is a script")


@pytest.fixture
def fake(tmp_path: Path) -> FakeEngine:
    engine = FakeEngine(tmp_path / "bin")
    engine.answer("^run", "c0ffee\n")
    return engine


def make(fake: FakeEngine, *mounts: Mount, **options: Any) -> Container:
    me = (os.getuid() or 1000, os.getgid() or 1000)
    return Container(fake.engine, "sha256:1", ContainerOptions(mounts=mounts, **options), home="/no/home", owner=me)


def test_its_life(fake: FakeEngine) -> None:
    with use(Context(mark={"HWB_RUN": "run.session"})), make(fake) as container:
        assert container.id == "c0ffee"
        container.run(["make", "all"], env={"CC": "gcc"}, cwd="/somewhere")
    assert container.id == ""
    ps, run, execute, rm = fake.calls
    assert ps[0] == "ps"
    assert f"--name={container.name}" in run
    assert "HWB_RUN=run.session" in run
    labels = dict(run[i + 1].split("=", 1) for i, arg in enumerate(run) if arg == "--label")
    assert labels[LABEL].startswith(f"{os.getpid()}-")
    assert execute[-3:] == ["c0ffee", "make", "all"]
    assert execute[:3] == ["exec", "--workdir", "/somewhere"]
    assert rm == ["rm", "--force", "--volumes", "c0ffee"]
    container.remove()
    assert len(fake.calls) == 4, "once is enough"


def test_a_command_carries_the_mark_and_what_it_is_given(fake: FakeEngine) -> None:
    with use(Context(mark={"HWB_RUN": "run.session"})), make(fake) as container:
        container.run(["x"], env={"CC": "gcc"})
        _, env = fake.whole_calls[-1]
    assert (env["HWB_RUN"], env["CC"]) == ("run.session", "gcc")
    assert env[TOKEN]


def test_events_name_the_command_inside(fake: FakeEngine, listener: Any) -> None:
    fake.answer("^exec", "said")
    with make(fake) as container:
        done = container.run(["make"], cwd="/x", capture=True)
        container.run(["make"], quiet=True)
    assert (done.argv, done.text) == (("make",), "said")
    [started] = listener.of("command-started")
    assert (started["argv"], started["cwd"]) == (["make"], "/x")
    [finished] = listener.of("command-finished")
    assert (finished["argv"], finished["return_code"]) == (["make"], 0)


def test_commands_that_fail(fake: FakeEngine) -> None:
    fake.answer("^exec", "oh no", code=3)
    with make(fake, memory="1g") as container:
        with pytest.raises(CommandFailed, match="make ended with exit code 3") as caught:
            container.run(["/usr/bin/make"], capture=True)
        assert caught.value.detail == "oh no"
        assert container.run(["make"], check=False).return_code == 3
        assert container.run(["make"], success_codes=[3]).return_code == 3
        fake.answer("^exec", code=137)
        with pytest.raises(CommandFailed) as caught:
            container.run(["make"])
        assert "1g of memory" in caught.value.remedy


def test_a_command_that_takes_too_long_is_ended_inside(fake: FakeEngine) -> None:
    fake.answer("make$", seconds=30)
    fake.answer(" INT$", "17\n")
    fake.answer(" 0$", "17\n")
    fake.answer(" TERM$", "17\n")
    fake.answer(" KILL$", "")
    with make(fake) as container, pytest.raises(CommandTimeout, match="make took longer") as caught:
        container.run(["/bin/make"], timeout=0.3, grace=(0.1, 0.1))
    assert caught.value.remedy
    signals = [argv[-1] for argv in fake.of("exec")[1:]]
    assert signals[0] == "INT"
    assert signals[-1] == "KILL"
    assert set(signals) == {"INT", "0", "TERM", "KILL"}
    assert signals.count("INT") == signals.count("TERM") == 1
    tokens = {argv[-2] for argv in fake.of("exec")[1:]}
    assert len(tokens) == 1
    assert tokens.pop().startswith(f"{TOKEN}=")


def test_one_that_obeys_is_not_killed(fake: FakeEngine) -> None:
    fake.answer(" INT$", "17\n")
    with make(fake) as container:
        container.end("token")
    assert [argv[-1] for argv in fake.of("exec")] == ["INT", "0"]


def test_a_container_that_went_is_an_end_too(fake: FakeEngine) -> None:
    fake.answer("^exec", code=1, err="No such container: c0ffee")
    with make(fake) as container:
        container.end("token", (None, None))
    assert len(fake.of("exec")) == 1


def test_what_was_called_off_is_removed(fake: FakeEngine) -> None:
    context = Context()
    with use(context), pytest.raises(Cancelled), make(fake) as container:
        context.token.cancel("INT")
        container.run(["make"])
    assert fake.calls[-1][0] == "rm"


def test_a_start_that_fails_leaves_nothing(fake: FakeEngine) -> None:
    fake.answer("^run", code=125, err='could not select device driver "" with capabilities: [[gpu]]')
    container = make(fake)
    with pytest.raises(ContainerError, match="GPU"):
        container.start()
    assert fake.calls[-1] == ["rm", "--force", "--volumes", container.name]
    with pytest.raises(ContainerError, match="not running"):
        container.command(["x"])


def test_one_that_cannot_be_removed_is_told(fake: FakeEngine, listener: Any) -> None:
    fake.answer("^rm", code=1, err="No such container: c0ffee")
    with make(fake):
        pass
    assert listener.of("message") == [], "it has gone: that is what was wanted"
    fake.answer("^rm", code=1, err="device is busy")
    with make(fake):
        pass
    [message] = listener.of("message")
    assert "could not be removed" in message["text"]


def test_limits_that_are_ignored_are_told(fake: FakeEngine, listener: Any) -> None:
    with make(fake, memory="1g", cpus=2):
        assert listener.of("message") == []
    fake.engine = replace(fake.engine, limits=("pids",))
    with make(fake, memory="1g", cpus=2):
        [message] = listener.of("message")
    assert "docker cannot limit memory and cpu here" in message["text"]


def test_mounts_are_checked_first(fake: FakeEngine) -> None:
    with pytest.raises(ConfigError, match="home directory"):
        make(fake, Mount("/", "/src"))
    assert fake.calls == []


# --------------------------------------------------------------------------------------------------------- owners


@pytest.mark.skipif(sys.platform == "win32" or os.getuid() != 0, reason="only root gives files away")
def test_nobody_owns_what_it_may_write_while_it_runs(fake: FakeEngine, tmp_path: Path) -> None:
    place, outside = tmp_path / "place", tmp_path / "outside"
    (place / "deep").mkdir(parents=True)
    (place / "deep" / "file").touch()
    outside.touch()
    (place / "link").symlink_to(outside)
    read_only = tmp_path / "read only"
    read_only.mkdir()
    mounts = (Mount.same(str(place), writable=True), Mount.same(str(read_only)))
    container = Container(fake.engine, "i", ContainerOptions(mounts=mounts), home="/no/home", owner=(0, 0))
    with container:
        owners = {
            path: path.lstat().st_uid for path in (place, place / "deep" / "file", place / "link", outside, read_only)
        }
        assert list(owners.values()) == [NOBODY, NOBODY, NOBODY, 0, 0]
        container.remove()
        assert outside.stat().st_uid == 0
        container.start()
        more = tmp_path / "more"
        more.mkdir()
        container.give(str(more))
        assert more.stat().st_uid == NOBODY
    assert (place / "deep" / "file").stat().st_uid == 0


def test_an_ordinary_users_files_stay_its_own(fake: FakeEngine, tmp_path: Path) -> None:
    with make(fake, Mount.same(str(tmp_path), writable=True)):
        assert tmp_path.stat().st_uid == os.getuid()


def test_copying_out(fake: FakeEngine, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()

    def copy(argv: Any, **how: Any) -> proc.Completed:
        Path(argv[-1].replace("/inside", str(place))).write_text("content")
        return proc.Completed(tuple(argv), 0, 0.0)

    with make(fake, Mount(str(place), "/inside", writable=True)) as container:
        fake.answer("^exec", "cp: no such file", code=1)
        with pytest.raises(ContainerError, match="/tmp/x cannot be copied") as caught:
            container.copy_out("/tmp/x", tmp_path / "out")
        assert "no such file" in caught.value.detail
        container.run = copy  # type: ignore[method-assign, assignment]
        assert container.copy_out("/tmp/x", tmp_path / "out").read_text() == "content"
        secret = tmp_path / "secret"
        secret.write_text("of this machine")

        def link(argv: Any, **how: Any) -> proc.Completed:
            Path(argv[-1].replace("/inside", str(place))).symlink_to(secret)
            return proc.Completed(tuple(argv), 0, 0.0)

        container.run = link  # type: ignore[method-assign, assignment]
        with pytest.raises(ContainerError, match="is a link"):
            container.copy_out("/tmp/x", tmp_path / "stolen")
        assert not (tmp_path / "stolen").exists()
    assert list(place.iterdir()) == []
    with make(fake) as container, pytest.raises(ContainerError, match="without a writable mount"):
        container.copy_out("/tmp/x", tmp_path / "out")


# ----------------------------------------------------------------------------------------------------------- reap


def test_the_dead_leave_nothing(fake: FakeEngine) -> None:
    mine = containers.owner_of(os.getpid())
    gone, recycled = "4194304-123", f"{os.getpid()}-1"
    docker = [f"x hwb-1-a {json.dumps(f'z=a,{LABEL}={owner},hwb.host=h')}" for owner in (mine, gone)]
    podman = [f"y hwb-1-b {json.dumps({LABEL: owner})}" for owner in (mine, recycled)]
    fake.answer("^ps", "\n".join([*docker, *podman, 'none n "z=a"', "nothing n {}"]))
    assert reap(fake.engine) == ["x", "y", "none", "nothing"]
    ps, rm = fake.calls
    assert f"label=hwb.host={containers._host()}" in ps
    assert rm == ["rm", "--force", "--volumes", "x", "y", "none", "nothing"]


def test_what_somebody_kept_is_left_alone(fake: FakeEngine) -> None:
    fake.answer("^ps", f'b hwb-kept-1-b "{LABEL}=4194304-123"\n')
    assert reap(fake.engine) == []
    assert [argv[0] for argv in fake.calls] == ["ps"]


def test_a_kept_container_is_not_removed(fake: FakeEngine) -> None:
    container = Container(fake.engine, "image").start()
    enter, remove = container.keep("/some where")
    kept = container.name.replace("hwb-", "hwb-kept-")
    assert (enter, remove) == (f"docker exec -it -w '/some where' {kept} sh", f"docker rm -f {kept}")
    assert container.keep("/tmp")[1] == remove
    container.remove()
    assert [argv[0] for argv in fake.calls if argv[0] in ("rename", "rm")] == ["rename"]


def test_two_may_reap_the_same(fake: FakeEngine) -> None:
    fake.answer("^ps", f'b hwb-1-b "{LABEL}=4194304-123"\n')
    fake.answer("^rm", code=1, err="removal of container b is already in progress")
    assert reap(fake.engine) == ["b"]
    fake.answer("^rm", code=1, err="something else")
    with pytest.raises(ContainerError):
        reap(fake.engine)


def test_nothing_to_reap(fake: FakeEngine) -> None:
    assert reap(fake.engine) == []
    assert [argv[0] for argv in fake.calls] == ["ps"]


def test_a_process_is_told_from_its_successor(monkeypatch: pytest.MonkeyPatch) -> None:
    own = containers.owner_of(os.getpid())
    assert containers._lives(own)
    assert not containers._lives(own + "0")
    assert not containers._lives("")
    assert not containers._lives(f"{os.getpid()}-")
    monkeypatch.setattr(sys, "platform", "darwin")
    done = proc.Completed(("ps",), 0, 0.0, b"Sat Nov 21 10:00:00 2026\n")
    monkeypatch.setattr(proc, "run", lambda *_, **__: done)
    assert containers.owner_of(7) == "7-Sat-Nov-21-10:00:00-2026"
    monkeypatch.setattr(proc, "run", lambda *_, **__: proc.Completed(("ps",), 1, 0.0, b""))
    assert containers._started(7) == ""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_zombie_is_dead() -> None:
    import subprocess
    import time

    process = subprocess.Popen([sys.executable, "-c", ""])
    while b") Z" not in Path(f"/proc/{process.pid}/stat").read_bytes():
        time.sleep(0.01)
    try:
        assert containers._started(process.pid) == ""
    finally:
        process.wait()


def test_machines_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    assert containers.owner_labels() == {LABEL: containers.owner_of(os.getpid()), "hwb.host": containers._host()}
    here = containers._host()
    assert "=" not in here
    assert " " not in here
    monkeypatch.setattr("platform.node", lambda: "another")
    assert containers._host() != here
    monkeypatch.setattr(Path, "readlink", lambda own: (_ for _ in ()).throw(OSError()))
    monkeypatch.setattr(Path, "read_text", lambda own, **how: (_ for _ in ()).throw(OSError()))
    assert containers._host() == "another", "no /proc"


def test_windows_removes_nothing_of_others(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert reap(fake.engine) == []
    assert fake.calls == []


def test_interactive_commands_get_the_terminal(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def run(argv: list[str], **how: Any) -> proc.Completed:
        seen.update(how, argv=argv)
        return proc.Completed(tuple(argv), 0, 0.0)

    with use(Context()):
        with make(fake) as container:
            with monkeypatch.context() as patch:
                patch.setattr(proc, "run", run)
                container.run(["sh"], interactive=True)
            assert seen["interactive"]
            assert "--tty" in seen["argv"]
            line, _ = container.command(["python"], talks=True)
        assert line[1:3] == ["exec", "--interactive"]
        assert current().groups == []
