# /// script
# dependencies = ["nox>=2024.10"]
# ///
"""How is hwb itself checked? Plain `nox` does everything this machine can do, and prints what it skipped and why.

Sessions without an environment of their own run on the Python that runs nox: the `.venv` that `.ci/bootstrap.py --dev`
makes. `HWB_TEST_REQUIRE=uv,pypi,git` turns the skips of those three into failures.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import nox

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = True
nox.options.sessions = ["lint", "types", "docs", "cover", "minimums", "wheel", "self"]

ROOT = Path(__file__).parent
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
BENCHES = ["run", "builds", "wheels"]
REQUIRED = set(filter(None, os.environ.get("HWB_TEST_REQUIRE", "").split(",")))
took: dict[str, float] = {}
skipped: dict[str, str] = {}


def part(function: Callable[[nox.Session], None]) -> Callable[[nox.Session], None]:
    """Remember how long a session took, for the table at the end."""

    def timed(session: nox.Session) -> None:
        started = time.monotonic()
        try:
            function(session)
        finally:
            took[session.name] = time.monotonic() - started

    timed.__name__, timed.__doc__ = function.__name__, function.__doc__
    return timed


@atexit.register
def tell() -> None:
    for name, seconds in took.items():
        print(f"  {name:<14} {seconds:6.1f} s  {'skipped: ' + skipped[name] if name in skipped else ''}".rstrip())


def skip(session: nox.Session, needs: str, why: str) -> NoReturn:
    """Skip with a reason, or fail when HWB_TEST_REQUIRE promised that it is there."""
    skipped[session.name] = why
    if needs in REQUIRED:
        session.error(f"HWB_TEST_REQUIRE names {needs}, but {why}")
    session.skip(why)


def python(session: nox.Session, *args: str, **options: object) -> None:
    """This environment's Python, for sessions without one of their own."""
    session.run(sys.executable, *args, external=True, **options)  # type: ignore[arg-type]


def find_uv() -> str | None:
    return shutil.which("uv")


def workers() -> list[str]:
    return ["-n", "auto"] if (os.cpu_count() or 1) > 1 else []


@nox.session(python=False)
@part
def tests(session: nox.Session) -> None:
    """The tests on this Python."""
    python(session, "-m", "pytest", *(session.posargs or workers()))


@nox.session(python=PYTHONS, default=False)
@part
def tests_all(session: nox.Session) -> None:
    """The tests on every supported Python (`tests_all-3.12`: on one)."""
    install_dev(session)
    session.run("pytest", *(session.posargs or workers()))


@nox.session(python=False)
@part
def cover(session: nox.Session) -> None:
    """The tests under coverage: at least 95 % of branches."""
    python(session, "-m", "coverage", "erase")
    # through xdist: every worker and every child process writes a file of its own
    python(session, "-m", "coverage", "run", "-m", "pytest", *(session.posargs or workers()))
    python(session, "-m", "coverage", "combine", "--quiet")
    python(session, "-m", "coverage", "report", "--skip-covered", "--skip-empty", "--show-missing", "--fail-under=95")


@nox.session(python=False)
@part
def lint(session: nox.Session) -> None:
    """Style: ruff's rules as pyproject.toml has them."""
    python(session, "-m", "ruff", "check", *(session.posargs or ["."]))


@nox.session(python=False)
@part
def types(session: nox.Session) -> None:
    """Types: mypy, strict, as on Linux and as on Windows."""
    python(session, "-m", "mypy", *session.posargs)
    python(session, "-m", "mypy", "--platform", "win32", *session.posargs)


@nox.session(python=False)
@part
def docs(session: nox.Session) -> None:
    """Every page can be reached from the index; `cover` runs the blocks."""
    python(session, "-m", "pytest", "tests/docs", "-k", "link", *session.posargs)


@nox.session
@part
def minimums(session: nox.Session) -> None:
    """The tests of units, environments and the index with the oldest dependencies that pyproject.toml allows."""
    if find_uv() is None:
        skip(session, "uv", "the oldest versions are found by uv's --resolution=lowest-direct, and there is no uv")
    install_dev(session)
    # --upgrade: what the development group brought in newer must not stay
    session.install("--resolution=lowest-direct", "--upgrade", "-e", ".[uv]")
    session.run("python", "-c", _VERSIONS)
    chosen = ["tests/unit", "tests/integration/test_environments.py", "tests/integration/test_local_index.py"]
    session.run("pytest", *chosen, "-m", "not slow", *(session.posargs or workers()))


_VERSIONS = """
import re
from importlib.metadata import requires, version
wanted = [text for text in requires("headless-wheel-builder") if "tomli" not in text]
floors = [re.match(r"([A-Za-z-]+)>=([0-9.]+)", text) for text in wanted]
found = {floor[1]: (version(floor[1]), floor[2]) for floor in floors}
print(*(f"{name} {is_there}" for name, (is_there, _) in found.items()), sep=", ")
wrong = {name: pair for name, pair in found.items() if (pair[0] + ".0.0").find(pair[1]) != 0}
assert not wrong, f"not the floor: {wrong}"
"""


@nox.session
@part
def wheel(session: nox.Session) -> None:
    """Build sdist and wheel, install the wheel alone, and use it: recipes and templates must be inside."""
    with tempfile.TemporaryDirectory() as temporary:
        build = [sys.executable, "-m", "build", "--outdir", temporary, *(["--installer", "uv"] if find_uv() else [])]
        session.run(*build, external=True)
        built = sorted(Path(temporary).iterdir())
        session.log(f"built {', '.join(path.name for path in built)}")
        session.install("--force-reinstall", *(str(path) for path in built if path.suffix == ".whl"))
        smoke(session, temporary)


def smoke(session: nox.Session, directory: str) -> None:
    session.chdir(directory)  # away from the checkout, so that nothing is imported from it
    session.run("hwb", "--version")
    session.run("python", "-c", _SHIPPED)
    session.run("python", "-c", "import hwb, headless_wheel_builder as other; assert other is hwb")
    if shutil.which("git") is None:
        session.warn("the demo is not made: there is no git")
        return
    session.run("hwb", "demo", "demo")
    session.run("hwb", "--directory", "demo", "sessions", "--list")


_SHIPPED = """
import os, sys
from hwb import places
package = os.path.dirname(places.__file__)
for found in (places.recipes_dir(), str(places.templates_dir())):
    assert os.path.dirname(found) == package, f"{found} is not inside {package}"
names = os.listdir(places.recipes_dir())
assert {"build.py", "release.py"} <= set(names), names
assert os.path.isfile(os.path.join(places.templates_dir(), "demo", ".gitignore"))
print("recipes:", *sorted(name[:-3] for name in names if name.endswith(".py")))
"""


@nox.session(python=False, default=False)
@part
def bench(session: nox.Session) -> None:
    """The speed tables: hwb beside its peers (`-- run --runs 3`: some of them, with options)."""
    environ = {"PYTHONDONTWRITEBYTECODE": None, "PIP_FIND_LINKS": None}
    options = [word for word in session.posargs if word not in BENCHES]
    failed = []
    for name in [name for name in BENCHES if name in session.posargs] or BENCHES:
        try:
            python(session, f"tests/bench/{name}.py", *options, env=environ)
        except nox.command.CommandFailed:
            failed.append(name)
    if failed:
        session.error(f"bounds were missed, or could not be measured: {', '.join(failed)}")


@nox.session(python=False, default=False)
@part
def locks(session: nox.Session) -> None:
    """Pin the tools that hwb runs in environments of their own anew (hwb/locks)."""
    if find_uv() is None:
        skip(session, "uv", "the sets are resolved by uv, and there is no uv")
    python(session, ".ci/make_locks.py", *session.posargs)


@nox.session(default=False)
@part
def data(session: nox.Session) -> None:
    """Write the data files of the matrix anew (the Pythons and images of the pinned cibuildwheel), and their page."""
    session.install("cibuildwheel==4.3.3")
    session.run("python", ".ci/make_data.py")
    session.run("python", ".ci/make_docs.py")


@nox.session(python=False, default=False)
@part
def nightly(session: nox.Session) -> None:
    """The tests that take minutes each: projects with large compiled sources."""
    python(session, "-m", "pytest", "-m", "nightly", *(session.posargs or workers()))


@nox.session(name="self", python=False)
@part
def itself(session: nox.Session) -> None:
    """hwb builds and checks hwb."""
    if not (ROOT / ".git").exists():
        skip(session, "git", "this is no git checkout")
    python(session, "-m", "hwb", "run", "build", "check")


def install_dev(session: nox.Session) -> None:
    """The development group and the checkout; read here because old installers do not know groups."""
    group = subprocess.run([sys.executable, "-c", _GROUP], check=True, capture_output=True, text=True, cwd=ROOT)
    session.install(*group.stdout.split("\n")[:-1], "-e", ".")


_GROUP = """
import sys
if sys.version_info >= (3, 11): import tomllib
else: import tomli as tomllib
with open("pyproject.toml", "rb") as file: print("\\n".join(tomllib.load(file)["dependency-groups"]["dev"]))
"""
