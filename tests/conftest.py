"""What does a test need of this machine, and what happens when it is not there?

Markers such as `uv` and `docker` skip with a reason. Named in HWB_TEST_REQUIRE (`uv,pypi,git`), the lack is a failure.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _uv() -> str | None:
    return None if shutil.which("uv") else "uv is not on the PATH"


def _git() -> str | None:
    return None if shutil.which("git") else "git is not on the PATH"


def _pypi() -> str | None:
    """Ask for one small package, by the pip that virtualenv carries: environments made by uv have none."""
    from virtualenv.seed.wheels.embed import get_embed_wheel

    wheel = get_embed_wheel("pip", f"{sys.version_info.major}.{sys.version_info.minor}")
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, os.path.join(wheel.path, "pip"), "download", "--quiet", "--no-deps"]
        limits = [
            "--no-cache-dir",
            "--disable-pip-version-check",
            "--retries",
            "0",
            "--timeout",
            "15",
            "--dest",
            directory,
        ]
        try:
            asked = subprocess.run(
                [*command, *limits, "pyproject-hooks"], capture_output=True, text=True, timeout=60, check=False
            )
        except subprocess.TimeoutExpired:
            return "the package index did not answer in a minute"
    return None if asked.returncode == 0 else f"the package index cannot be reached: {asked.stderr.strip()[-200:]}"


def _sshd() -> str | None:
    found = shutil.which("sshd", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin") and shutil.which("ssh-keygen")
    return None if found else "sshd or ssh-keygen is not installed"


def _pypy() -> str | None:
    """PyPy and what extension modules are compiled with for it."""
    from pathlib import Path

    from hwb.errors import InterpreterNotFound
    from hwb.pythons import find

    try:
        pypy = find("pypy").path
    except InterpreterNotFound:
        return "there is no PyPy (Debian: pypy3, pypy3-dev)"
    code = "import sysconfig; print(sysconfig.get_path('include'))"
    include = subprocess.run([pypy, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    return None if Path(include, "Python.h").is_file() else f"there are no headers for {pypy} (Debian: pypy3-dev)"


IMAGE = "hwb/manylinux_2_31_x86_64:standin"


def _docker() -> str | None:
    if shutil.which("docker") is None:
        return "docker is not on the PATH"
    asked = subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, text=True, check=False)
    if asked.returncode == 0:
        return None
    if "no such image" in asked.stderr.lower():
        return f"there is no image {IMAGE} (.ci/standin.sh makes it)"
    return f"the container engine does not answer (.ci/engine.sh starts one): {asked.stderr.strip()[-200:]}"


def _registry() -> str | None:
    return None if shutil.which("docker-registry") else "there is no docker-registry (Debian: docker-registry)"


# no test depends on absolute time: not the single example of a property either, on a machine that is busy
settings.register_profile("hwb", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hwb")

NEEDS = {"uv": _uv, "pypi": _pypi, "git": _git, "sshd": _sshd, "docker": _docker, "pypy": _pypy, "registry": _registry}


@functools.cache
def lacking(name: str) -> str | None:
    """Why the marker's tests cannot run here; None when they can."""
    return NEEDS[name]()


def required(environ: dict[str, str] | os._Environ[str] = os.environ) -> set[str]:
    """The names in HWB_TEST_REQUIRE; one that is unknown is an error, or a typing mistake would hide every skip."""
    names = {name.strip() for name in environ.get("HWB_TEST_REQUIRE", "").split(",") if name.strip()}
    if names - NEEDS.keys():
        unknown = ", ".join(sorted(names - NEEDS.keys()))
        raise pytest.UsageError(f"HWB_TEST_REQUIRE: unknown {unknown}; known: {', '.join(NEEDS)}")
    return names


def pytest_configure() -> None:
    required()
    # started under nohup, the tests of what a closed terminal does would wait for a signal that everybody ignores
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


class _Teller:
    """Tells each failure when it happens: a run that is ended from outside prints no summary."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self.terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.terminal.ensure_newline()
            self.terminal.write_line(f"FAILED {report.nodeid} ({report.when})")
            self.terminal.write_line("\n".join(report.longreprtext.splitlines()[-15:]))


def pytest_sessionstart(session: pytest.Session) -> None:
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and not os.environ.get("PYTEST_XDIST_WORKER"):
        session.config.pluginmanager.register(_Teller(terminal), "hwb-teller")


def pytest_runtest_setup(item: pytest.Item) -> None:
    why = _absent(*(name for name in NEEDS if item.get_closest_marker(name) is not None))
    if why is not None:
        pytest.skip(why)


def _absent(*names: str) -> str | None:
    """Why something with these markers cannot be tested here; a failure where HWB_TEST_REQUIRE promised that it can."""
    for name in names:
        if (why := lacking(name)) is not None:
            if name in required():
                pytest.fail(f"HWB_TEST_REQUIRE names {name}, but {why}", pytrace=False)
            return why
    return None


@pytest.fixture(scope="session")
def absent() -> Callable[..., str | None]:
    """The same for a part of a test."""
    return _absent


@pytest.fixture(autouse=True, scope="session")
def _own_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads the settings, the organisation's file or the store of whoever runs it; workers share one store."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name in _SERVICES or (name.startswith("HWB_") and not name.startswith("HWB_TEST_")):
                patch.delenv(name)
        patch.setenv("XDG_CONFIG_HOME", str(shared / "no-config"))
        patch.setenv("HWB_CACHE_DIR", str(shared / "hwb-cache"))
        yield


@pytest.fixture
def unmeasured() -> dict[str, str]:
    """The environment for a test of imports: what measures coverage in child processes imports things of its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("COV", "COVERAGE"))}


_SERVICES = ("NO_COLOR", "FORCE_COLOR", "CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITLAB_CI", "TF_BUILD")
