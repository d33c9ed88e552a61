"""Do real installers fill real environments, also when uv or the network is away?"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from hwb import installs, pythons
from hwb.context import Context, use
from hwb.errors import DependencyError, HwbError, OfflineError
from hwb.isolation import VenvConfig, VenvIsolation, backends, installing
from hwb.isolation.venv import Venv, check, install, make_venv, shared_environment, verify_unmodified

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MISSING = "hwb-no-such-package-anywhere"
BACKENDS = [pytest.param("uv", marks=pytest.mark.uv), "virtualenv"]


@pytest.fixture(scope="session")
def uv_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("uv-cache"))


@pytest.fixture(autouse=True)
def _own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uv_cache: str) -> None:
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_CACHE_DIR", uv_cache)
    monkeypatch.setattr(installing, "_silence", installing._Silence())
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whichever is there for somebody who asks for no particular one; uv is hidden for the second."""
    if request.param != "uv":
        monkeypatch.setattr(backends, "find_uv", lambda: None)
    return str(request.param)


@pytest.fixture
def session() -> Iterator[tuple[Context, list[str]]]:
    """A context, and the warnings in it."""
    warnings: list[str] = []
    context = Context(emit=lambda kind, **fields: warnings.append(fields["text"]) if kind == "message" else None)
    with use(context):
        yield context, warnings


def cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on every connection is refused."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


def fresh(tmp_path: Path, name: str = "env") -> Venv:
    return make_venv(str(tmp_path / name), pythons.running())


def version(venv: Venv, package: str) -> str:
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run([venv.python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def wheel(directory: Path, name: str, number: str, requires: str = "") -> Path:
    """A wheel with nothing but metadata."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}-{number}-py3-none-any.whl"
    info = f"{name}-{number}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n" + (
        f"Requires-Dist: {requires}\n" if requires else ""
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


def local_index(root: Path, *wheels: tuple[str, str]) -> str:
    """The file: URL of an index (PEP 503) with those wheels."""
    for name, number in wheels:
        directory = root / name.replace("_", "-")
        path = wheel(directory, name, number)
        (directory / "index.html").write_text(f'<a href="{path.name}">{path.name}</a>')
    return root.as_uri()


@pytest.mark.pypi
def test_a_session_installs_and_checks(backend: str, session: Any, tmp_path: Path) -> None:
    venv = fresh(tmp_path)
    assert venv.backend == backend
    install(venv, ["six", "pluggy>=1"])
    check(venv)
    assert (venv.site_packages / "six.py").is_file()
    assert version(venv, "six")
    with pytest.raises(DependencyError) as caught:
        install(venv, [MISSING], silent=True)
    assert MISSING in caught.value.detail
    broken = wheel(tmp_path / "dist", "needs_more", "1.0", f"{MISSING}>=2")
    install(venv, ["--no-deps", str(broken)])
    with pytest.raises(DependencyError, match="do not fit together") as caught:
        check(venv)
    assert MISSING in caught.value.detail


@pytest.mark.pypi
def test_the_second_run_needs_no_network(
    backend: str, session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, warnings = session
    wanted = ["build", "six"]
    install(fresh(tmp_path), wanted)
    cut_off(monkeypatch)
    started = time.monotonic()
    again = fresh(tmp_path)
    install(again, wanted)
    assert time.monotonic() - started < 20
    assert version(again, "build")
    # no warning at all where the index's pages are still fresh in the installer's own cache
    assert [text for text in warnings if "the network does not answer" not in text] == []
    assert len(warnings) <= 1
    with pytest.raises(DependencyError, match=f"the cache lacks {MISSING}"):
        install(again, [MISSING], silent=True)
    context.offline = True
    third = fresh(tmp_path, "third")
    install(third, wanted)
    assert version(third, "pyproject-hooks") == version(again, "pyproject-hooks")
    with pytest.raises(OfflineError, match=MISSING):
        install(third, [MISSING], silent=True)


@pytest.mark.pypi
def test_a_shared_environment_outlives_the_network(
    backend: str, session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = pythons.running()
    first = shared_environment(here, ["build"])
    assert verify_unmodified(first)
    cut_off(monkeypatch)
    assert shared_environment(here, ["build"]).reused
    subprocess.run([first.python, "-m", "build", "--version"], check=True, capture_output=True)
    assert verify_unmodified(first), "using it is no modification"
    (first.site_packages / "added.py").write_text("")
    assert not verify_unmodified(first)
    again = shared_environment(here, ["build"])
    assert not again.reused, "made anew from the cache"
    assert version(again, "build")
    with pytest.raises(DependencyError, match="does not answer"):
        shared_environment(here, [MISSING])


@pytest.mark.pypi
def test_an_extra_index_means_what_it_means_to_pip(
    backend: str, session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best version of all indexes, and an index that lacks a project is no problem."""
    index = local_index(tmp_path / "index", ("six", "0.0.1"), ("only_here", "1.0"))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{index} {(tmp_path / 'gone').as_uri()}")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "gone"))
    venv = fresh(tmp_path)
    install(venv, ["six", "pluggy", "only-here"])
    assert version(venv, "six") != "0.0.1"
    assert version(venv, "only-here") == "1.0"


@pytest.mark.pypi
def test_the_documented_example(backend: str, session: Any, tmp_path: Path) -> None:
    async def example() -> str:
        isolation = VenvIsolation(VenvConfig(use_uv=backend == "uv"))
        env = await isolation.create_environment(
            python_version=pythons.running().minor, build_requirements=["setuptools>=61.0", "wheel", "hatchling"]
        )
        async with env:
            assert (env.site_packages / "hatchling").is_dir()
            process = await asyncio.create_subprocess_exec(
                str(env.python_path), "-c", "import setuptools; print(setuptools.__version__)",
                env=env.env_vars, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, _ = await process.communicate()
        return out.decode()

    assert int(asyncio.run(example()).split(".")[0]) >= 61
    assert list((tmp_path / "tmp").iterdir()) == []


def test_cancelling_ends_an_installer_that_waits_for_the_index(
    backend: str, session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/simple")

        async def build() -> float:
            task = asyncio.create_task(VenvIsolation().create_environment("", ["anything"]))
            loop = asyncio.get_running_loop()
            connection, _ = await loop.run_in_executor(None, silent.accept)
            started = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            connection.close()
            return time.monotonic() - started

        assert asyncio.run(build()) < 5
    assert list((tmp_path / "tmp").iterdir()) == []
    assert session[0].groups == [], "no process is left"


def test_without_any_network_a_local_index_is_enough(
    backend: str, session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(monkeypatch)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", local_index(tmp_path / "index", ("demo", "1.0"), ("demo2", "2.0")))
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    here = pythons.running()
    venv = shared_environment(here, ["demo", f"other @ {wheel(tmp_path / 'dist', 'other', '3.0').as_uri()}"])
    assert (version(venv, "demo"), version(venv, "other")) == ("1.0", "3.0")
    (tmp_path / "r.txt").write_text("demo2>=1\n")
    session[0].cwd = str(tmp_path)
    mine = fresh(tmp_path)
    install(mine, ["-r", "r.txt", "-c", "r.txt"])
    assert version(mine, "demo2") == "2.0"


def test_many_environments_at_once(backend: str, tmp_path: Path) -> None:
    """virtualenv works inside this process, in several threads."""
    problems: list[BaseException] = []

    def make(number: int) -> None:
        try:
            fresh(tmp_path, f"env{number}")
        except HwbError as error:
            problems.append(error)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    for number in range(4):
        python = fresh_python(tmp_path / f"env{number}")
        subprocess.run([python, "-c", ""], check=True)


def fresh_python(env: Path) -> str:
    return str(env / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))


@pytest.mark.uv
@pytest.mark.parametrize("minor", ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_any_python_that_is_here(minor: str, tmp_path: Path) -> None:
    known = [candidate for candidate in installs.scan() if candidate.version[:2] == tuple(map(int, minor.split(".")))]
    if not known:
        pytest.skip(f"no Python {minor} here")
    interpreter = pythons.find(minor)
    venv = make_venv(str(tmp_path / "env"), interpreter)
    code = "import sys; print('%d.%d.%d' % sys.version_info[:3], sys.prefix)"
    done = subprocess.run([venv.python, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [interpreter.version, str(tmp_path / "env")]
    assert venv.site_packages.is_dir()


@pytest.mark.slow
def test_the_venv_module(tmp_path: Path) -> None:
    venv = make_venv(str(tmp_path / "env"), pythons.running(), backend="venv")
    assert venv.backend == "venv"
    check(venv)


@pytest.mark.uv
def test_a_fresh_environment_costs_one_process(tmp_path: Path) -> None:
    """Generous limits: what is measured is that nothing else happens."""
    fresh(tmp_path)
    started = time.perf_counter()
    fresh(tmp_path)
    new = time.perf_counter()
    for _ in range(10):
        assert make_venv(str(tmp_path / "env"), pythons.running(), reuse=True).reused
    assert new - started < 1.0
    assert (time.perf_counter() - new) / 10 < 0.01
