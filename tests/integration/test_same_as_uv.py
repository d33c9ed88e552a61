"""Is what `hwb build` makes of real sdists what `uv build` makes of them, member by member and byte by byte?

Both get a copy of the same files, the same Python, the same build requirements and the same SOURCE_DATE_EPOCH. The
differences that are expected are in the table, each with its reason: one that is not there fails the test, and one that
is there and does not show fails it too.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import hwb

from .sdists import PINS, fetch, members, unpack

pytestmark = [pytest.mark.pypi, pytest.mark.uv, pytest.mark.slow]

PROJECTS = Path(__file__).parents[1] / "projects"
EPOCH = "1700000000"
CONSTRAINTS = """\
cython==3.0.12
expandvars==1.1.2
flit_core==3.12.0
hatch-fancy-pypi-readme==25.1.0
hatch-vcs==0.5.0
hatchling==1.33.0
maturin==1.16.0
meson-python==0.22.1
meson==1.12.1
packaging==26.3
pdm-backend==2.5.0
poetry-core==2.5.0
pybind11==3.1.0
pyproject-metadata==0.12.1
scikit-build-core==1.1.2
setuptools-scm==10.3.4
setuptools==84.2.1
trove-classifiers==2026.9.21.13
vcs-versioning==2.6.0
wheel==0.48.0
"""
"""For both front ends: what each finds newest depends on when it asked."""
PATHS = "debug information names the temporary directory in which uv compiles; hwb writes /hwb in its place"
DRAWN = "its backend compiles in a temporary directory of a random name, which debug information names"


@dataclass(frozen=True)
class Same:
    """A project, its backend, and the members (patterns) whose bytes differ, each with the reason.

    `git`: the backend makes sdists of repositories only.
    """

    name: str
    backend: str
    differs: dict[str, str] = field(default_factory=dict)
    compiled: bool = False
    nightly: bool = False
    git: bool = False
    python: tuple[int, int] = (3, 10)


SAME = (
    Same("attrs", "hatch-vcs"),
    Same("beautifulsoup4", "hatchling"),
    Same("cattrs", "hatch-vcs"),
    Same("cleo", "poetry-core"),
    Same("click", "flit"),
    Same("contourpy", "meson-python", {"contourpy/util/_build_config.py": "meson writes its temporary paths into it"},
         compiled=True, nightly=True, git=True, python=(3, 12)),
    Same("dep_logic", "pdm-backend"),
    Same("docopt", "setup.py"),
    Same("flask", "flit"),
    Same("flit_core", "in-tree"),
    Same("frozenlist", "in-tree", {"frozenlist/_frozenlist.*.so": DRAWN}, compiled=True),
    Same("gunicorn", "setuptools"),
    Same("hatchling", "in-tree"),
    Same("httpx", "hatchling"),
    Same("idna", "flit"),
    Same("itsdangerous", "flit"),
    Same("jinja2", "flit"),
    Same("markupsafe", "setuptools", {"markupsafe/_speedups.*.so": PATHS}, compiled=True),
    Same("meson_python", "in-tree", git=True),
    Same("nanobind", "scikit-build-core"),
    Same("packaging", "flit"),
    Same("paramiko", "setup.py"),
    Same("pdm_backend", "in-tree"),
    Same("pluggy", "setuptools-scm"),
    Same("poetry_core", "in-tree"),
    Same("psutil", "setuptools", {"psutil/_psutil_linux.*.so": PATHS}, compiled=True),
    Same("pybind11", "setuptools"),
    Same("pyproject_metadata", "flit"),
    Same("pytest", "setuptools-scm"),
    Same("python-dotenv", "setup.py"),
    Same("python_dateutil", "hatch-vcs"),
    Same("requests", "setuptools"),
    Same("rich", "poetry-core"),
    Same("simplejson", "setup.py", {"simplejson/_speedups.*.so": PATHS}, compiled=True),
    Same("six", "setup.py"),
    Same("structlog", "hatch-vcs"),
    Same("tomli_w", "flit"),
    Same("tomlkit", "poetry-core"),
    Same("tornado", "setuptools", {"tornado/speedups.*.so": PATHS}, compiled=True),
    Same("tqdm", "setuptools-scm"),
    Same("wheel", "flit"),
    Same("zope_interface", "setuptools", {"zope/interface/_zope_interface_coptimizations.*.so": PATHS}, compiled=True),
)  # fmt: skip


def parameters() -> list[object]:
    marks = {"nightly": pytest.mark.nightly, "git": pytest.mark.git}
    return [
        pytest.param(same, id=same.name, marks=[mark for name, mark in marks.items() if getattr(same, name)])
        for same in SAME
    ]


def test_the_table_covers_every_backend_and_most_are_equal_throughout() -> None:
    assert {same.name for same in SAME} <= PINS.keys()
    assert len(SAME) >= 32
    assert sum(not same.differs for same in SAME) >= 25
    assert {same.backend for same in SAME} >= {
        "flit", "hatch-vcs", "hatchling", "in-tree", "meson-python", "pdm-backend", "poetry-core", "scikit-build-core",
        "setup.py", "setuptools", "setuptools-scm",
    }  # fmt: skip


@pytest.mark.parametrize("same", parameters())
def test_an_sdist_from_the_index(same: Same, tmp_path: Path, downloads: Path) -> None:
    if sys.version_info < same.python:
        pytest.skip(f"{same.name} needs Python {'.'.join(map(str, same.python))}")
    if same.compiled and shutil.which("cc") is None:
        pytest.skip(f"{same.name} is compiled, and there is no C compiler")
    root = unpack(fetch(PINS[same.name], downloads), tmp_path / "hwb")
    if same.git:
        commit(root)
    compare(root, tmp_path, same.differs)


@pytest.mark.skipif(shutil.which("cargo") is None, reason="there is no cargo")
def test_a_crate_without_dependencies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARGO_NET_OFFLINE", "true")
    root = shutil.copytree(PROJECTS / "maturin-crate", tmp_path / "hwb" / "maturin-crate")
    wheel = compare(root, tmp_path, {})
    assert "maturin_crate-1.0.0.data/scripts/maturin-crate" in members(wheel)


def test_a_project_of_uv_build(tmp_path: Path) -> None:
    root = tmp_path / "hwb" / "plain"
    (root / "src" / "plain").mkdir(parents=True)
    (root / "src" / "plain" / "__init__.py").write_text("answer = 42\n")
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["uv_build>=0.4"]\nbuild-backend = "uv_build"\n\n'
        '[project]\nname = "plain"\nversion = "1.0"\nrequires-python = ">=3.9"\n'
    )
    wheel = compare(root, tmp_path, {}, constraints="")  # without wishes of one's own hwb leaves such projects to uv
    assert members(wheel)["plain/__init__.py"] == b"answer = 42\n"


# --- building ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for the files of this run."""
    return tmp_path_factory.mktemp("sdists")


def environment(tmp_path: Path) -> dict[str, str]:
    """Without what only pip is configured to see: it would reach hwb alone."""
    unwanted = ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    own = {"PIP_CONFIG_FILE": os.devnull, "SOURCE_DATE_EPOCH": EPOCH, "GIT_CEILING_DIRECTORIES": str(tmp_path)}
    return {**kept, **own}


def commit(root: Path) -> None:
    """One commit of everything, the same one in every run."""
    who = {f"GIT_{role}_{what}": "x@y" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    when = {f"GIT_{role}_DATE": f"@{EPOCH} +0000" for role in ("AUTHOR", "COMMITTER")}
    env = {**os.environ, **who, **when, "GIT_CONFIG_GLOBAL": os.devnull}
    for words in (["init", "-q"], ["add", "-A", "-f"], ["commit", "-q", "-m", "x"]):
        subprocess.run(["git", "-C", root, *words], check=True, env=env)


def compare(root: Path, tmp_path: Path, differs: dict[str, str], constraints: str = CONSTRAINTS) -> Path:
    """Build two copies, hwb's at `root`; the wheel that hwb made."""
    other = shutil.copytree(root, tmp_path / "uv" / root.name, symlinks=True)
    limits = tmp_path / "constraints.txt"
    limits.write_text(constraints)
    limited = ["--build-constraint", str(limits)] if constraints else []
    options = ["--python", sys.executable, *limited, "--out-dir"]
    env = environment(tmp_path)
    checkout = {"PYTHONPATH": str(Path(hwb.__file__).parents[1])}
    run([sys.executable, "-m", "hwb", "build", *options, str(tmp_path / "by-hwb")], root, {**env, **checkout})
    run(["uv", "build", "--no-create-gitignore", *options, str(tmp_path / "by-uv")], other, env)
    ours, theirs = distributions(tmp_path / "by-hwb"), distributions(tmp_path / "by-uv")
    assert [path.name for path in ours] == [path.name for path in theirs]
    sdist, wheel = (other_than(*pair) for pair in zip(ours, theirs))
    assert sdist == set()
    assert_expected(wheel, differs)
    return ours[1]


def run(command: list[str], cwd: Path, env: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def distributions(folder: Path) -> list[Path]:
    """The sdist, then the wheel."""
    found = sorted(path for path in folder.iterdir() if path.name.endswith((".tar.gz", ".whl")))
    assert sorted(path.suffix for path in found) == [".gz", ".whl"]
    return sorted(found, key=lambda path: path.suffix)


# --- comparing -----------------------------------------------------------------------------------------------------


def other_than(ours: Path, theirs: Path) -> set[str]:
    """The members with other bytes; of RECORD the lines about members that are equal count."""
    mine, expected = members(ours), members(theirs)
    assert sorted(mine) == sorted(expected)
    different = {name for name in mine if mine[name] != expected[name]}
    records = {name for name in different if name.endswith(".dist-info/RECORD")}
    different -= records
    return different | {
        name for name in records if without(mine[name], different) != without(expected[name], different)
    }


def without(record: bytes, names: set[str]) -> list[bytes]:
    return [line for line in record.splitlines() if not line.startswith(tuple(f"{name},".encode() for name in names))]


def assert_expected(found: set[str], differs: dict[str, str]) -> None:
    unlisted = {name for name in found if not any(fnmatch.fnmatch(name, pattern) for pattern in differs)}
    gone = {pattern for pattern in differs if not fnmatch.filter(found, pattern)}
    assert (unlisted, gone) == (set(), set())
