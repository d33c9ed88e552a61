"""Are environments made, kept while they fit, and removed whatever happens?"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hwb import pythons
from hwb.errors import DependencyError, InterpreterNotFound, IsolationError, UsageError
from hwb.isolation import BuildEnvironment, IsolationStrategy, VenvConfig, VenvIsolation
from hwb.isolation import venv as venvs
from hwb.isolation.venv import check, install, make_venv

if TYPE_CHECKING:
    from hwb.pythons import Interpreter


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "deep" / "env")


def test_a_new_environment(installer: Any, here: Interpreter, path: str, listener: Any) -> None:
    venv = make_venv(path, here, params=["--x"])
    assert installer.calls == [("create", path, here, ("--x",))]
    assert (venv.path, venv.backend, venv.interpreter, venv.reused) == (path, "fake", here, False)
    assert os.path.isfile(venv.python)
    assert os.path.dirname(venv.python) == venv.bin
    assert (venv.site_packages / "made.py").is_file()
    [event] = listener.of("environment")
    assert (event["path"], event["backend"], event["python"], event["reused"]) == (path, "fake", here.version, False)
    assert event["seconds"] > 0


def test_it_is_kept_while_it_fits(installer: Any, here: Interpreter, path: str, listener: Any) -> None:
    make_venv(path, here)
    Path(path, "mine").write_text("")
    venv = make_venv(path, here, reuse=True)
    assert venv.reused
    assert Path(path, "mine").exists()
    assert installer.count("create") == 1
    assert [event["reused"] for event in listener.of("environment")] == [False, True]
    assert not make_venv(path, here).reused, "only on demand"
    assert not Path(path, "mine").exists()


def test_it_is_made_anew_when_something_changed(installer: Any, here: Interpreter, path: str) -> None:
    def kept(**options: Any) -> bool:
        return make_venv(path, here, reuse=True, **options).reused

    assert not kept()
    assert not kept(params=["--system-site-packages"])
    assert kept(params=["--system-site-packages"])
    installer.name = "other"
    assert not kept(params=["--system-site-packages"])
    Path(here.path).write_text("upgraded in place")
    assert not kept(params=["--system-site-packages"])
    os.unlink(make_venv(path, here).python)
    assert not kept()
    Path(path, venvs.MARKER).write_bytes(b"{")
    assert not kept()
    assert kept()


@pytest.mark.parametrize("problem", [IsolationError("no"), KeyboardInterrupt(), OSError("full")])
def test_nothing_is_left_of_one_that_cannot_be_made(
    installer: Any, here: Interpreter, path: str, problem: BaseException
) -> None:
    installer.problems["create"] = problem
    with pytest.raises(type(problem)):
        make_venv(path, here)
    assert not os.path.exists(path)


def test_an_empty_directory_keeps_its_mode(installer: Any, here: Interpreter, tmp_path: Path) -> None:
    directory = tmp_path / "private"
    directory.mkdir(mode=0o700)
    inode = directory.stat().st_ino
    make_venv(str(directory), here)
    assert directory.stat().st_ino == inode


def test_site_packages_of_other_kinds_of_python(installer: Any, here: Interpreter, path: str) -> None:
    venv = make_venv(path, here)
    if sys.platform != "win32":
        usual = venv.site_packages
        other = usual.parent.with_name("pypy3.10") / "site-packages"
        usual.parent.rename(other.parent)
        assert venv.site_packages == other
    assert venv.site_packages.name == "site-packages"


def test_windows_paths(installer: Any, here: Interpreter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    venv = venvs.venv_at("env", installer, here, reused=False)
    assert venv.python == os.path.join("env", "Scripts", "python.exe")
    assert venv.site_packages == Path("env", "Lib", "site-packages")


def test_installing_and_checking(installer: Any, here: Interpreter, path: str, listener: Any) -> None:
    venv = make_venv(path, here)
    install(venv, ["-e", "."], env={"A": "1"}, silent=True)
    listener.context.offline = True
    install(venv, ["six"])
    check(venv)
    check(venv, env={"B": "2"})
    assert installer.calls[1:] == [
        ("install", venv.python, ("-e", "."), {"A": "1"}, False, True),
        ("install", venv.python, ("six",), os.environ, True, False),
        ("check", venv.python, os.environ),
        ("check", venv.python, {"B": "2"}),
    ]


# ------------------------------------------------------------------------------------------------- the facade


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "tmp"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


def create(config: VenvConfig | None = None, requirements: list[str] | None = None) -> BuildEnvironment:
    minor = pythons.running().minor
    return asyncio.run(VenvIsolation(config).create_environment(minor, requirements or []))


def test_the_documented_defaults() -> None:
    config = VenvConfig()
    assert (config.use_uv, config.python_path, config.cache_envs, config.extra_env) == (True, None, False, None)
    assert isinstance(VenvIsolation(), IsolationStrategy)
    assert VenvIsolation().config == config
    assert asyncio.run(VenvIsolation().check_available()) is True


def test_a_build_gets_an_environment_of_its_own(installer: Any, temporary: Path) -> None:
    environment = create(requirements=["setuptools>=61", "wheel"])
    [directory] = temporary.iterdir()
    assert directory.name.startswith("hwb_venv_")
    assert directory in environment.python_path.parents
    assert environment.site_packages.is_dir()
    [(_, python, args, _, _, silent)] = [call for call in installer.calls if call[0] == "install"]
    assert (Path(python), args, silent) == (environment.python_path, ("setuptools>=61", "wheel"), True)
    asyncio.run(environment.cleanup())
    assert list(temporary.iterdir()) == []
    directory.mkdir()
    asyncio.run(environment.cleanup())
    assert directory.exists(), "the second time nothing happens"


def test_as_a_context_manager(installer: Any, temporary: Path) -> None:
    async def build() -> None:
        async with await VenvIsolation().create_environment("", []) as environment:
            assert environment.python_path.exists()
        assert not environment.python_path.exists()
        with pytest.raises(ZeroDivisionError):
            async with await VenvIsolation().create_environment("", []):
                raise ZeroDivisionError

    asyncio.run(build())
    assert list(temporary.iterdir()) == []
    assert installer.count("install") == 0, "nothing to install"


def test_the_variables_of_the_environment(installer: Any, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/elsewhere")
    monkeypatch.setenv("KEPT", "1")
    variables = create(VenvConfig(extra_env={"MINE": "2", "KEPT": "3"})).env_vars
    [directory] = temporary.iterdir()
    assert variables["VIRTUAL_ENV"] == str(directory)
    first, rest = variables["PATH"].split(os.pathsep, 1)
    assert Path(first).parent == directory
    assert rest == os.environ["PATH"]
    assert (variables["MINE"], variables["KEPT"]) == ("2", "3")
    assert "PYTHONHOME" not in variables
    assert "MINE" not in os.environ
    monkeypatch.delenv("PATH")
    assert os.pathsep not in create().env_vars["PATH"]


@pytest.mark.parametrize("where", ["create", "install"])
def test_a_failure_leaves_nothing(installer: Any, temporary: Path, where: str) -> None:
    installer.problems[where] = DependencyError("no", detail="stderr")
    with pytest.raises(DependencyError):
        create(requirements=["six"])
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("requirement", ["--index-url=https://evil.example", " -rsecrets.txt", "six\n--no-index"])
def test_an_option_is_no_requirement(installer: Any, temporary: Path, requirement: str, cached: bool) -> None:
    with pytest.raises(DependencyError, match="no requirement"):
        create(VenvConfig(cache_envs=cached), ["six", requirement])
    assert installer.calls == []
    assert list(temporary.iterdir()) == []


def test_an_unknown_python(temporary: Path) -> None:
    isolation = VenvIsolation()
    with pytest.raises(InterpreterNotFound, match=r"3\.99"):
        asyncio.run(isolation.create_environment("3.99", []))
    with pytest.raises(UsageError):
        asyncio.run(isolation.create_environment("three", []))
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(("use_uv", "backend"), [(True, "uv|virtualenv|venv"), (False, "virtualenv|venv")])
def test_uv_only_when_it_may(
    installer: Any, temporary: Path, monkeypatch: pytest.MonkeyPatch, use_uv: bool, backend: str
) -> None:
    asked: list[str | None] = []
    monkeypatch.setattr("hwb.isolation.backends.choose", lambda backend=None: asked.append(backend) or installer)
    create(VenvConfig(use_uv=use_uv))
    assert asked == [backend]


def test_a_configured_python(installer: Any, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def find(spec: str | None, *, python_path: str | None) -> Interpreter:
        asked.append((spec, python_path))
        return pythons.running()

    monkeypatch.setattr(pythons, "find", find)
    create(VenvConfig(python_path=Path("/opt/python/bin/python")))
    assert asked == [(pythons.running().minor, str(Path("/opt/python/bin/python")))]


def test_cached_environments_are_shared_until_somebody_changes_them(installer: Any, temporary: Path) -> None:
    config = VenvConfig(cache_envs=True)
    first, second = create(config, ["six"]), create(config, ["six"])
    assert first.python_path == second.python_path
    asyncio.run(first.cleanup())
    assert second.python_path.exists()
    (second.site_packages / "added.py").write_text("")
    asyncio.run(second.cleanup())
    third = create(config, ["six"])
    assert third.python_path == first.python_path
    assert not (third.site_packages / "added.py").exists()
    assert installer.count("create") == 2
    assert list(temporary.iterdir()) == []


def test_a_cancelled_task_leaves_nothing(installer: Any, temporary: Path) -> None:
    async def build() -> None:
        started = asyncio.Event()
        loop = asyncio.get_running_loop()
        installer.during_create = lambda path: loop.call_soon_threadsafe(started.set)
        task = asyncio.create_task(VenvIsolation().create_environment("", []))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(build())
    assert list(temporary.iterdir()) == []
