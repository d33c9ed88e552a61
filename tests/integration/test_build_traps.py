"""Is every trap in which other front ends were caught one in which hwb is not?

One test for each trap, named by its number: real projects, real backends, the real command.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.pypi, pytest.mark.git]

PROJECTS = Path(__file__).parents[1] / "projects"
SETUPTOOLS = '[build-system]\nrequires = ["setuptools>=70"]\nbuild-backend = "setuptools.build_meta"\n'
HATCHLING = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
FLIT = '[build-system]\nrequires = ["flit_core>=3.9,<4"]\nbuild-backend = "flit_core.buildapi"\n'
PDM = '[build-system]\nrequires = ["pdm-backend"]\nbuild-backend = "pdm.backend"\n'
POETRY = '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n'
META = '[project]\nname = "trap"\nversion = "1.0"\ndescription = "x"\n'
BACKENDS = {"setuptools": SETUPTOOLS, "hatchling": HATCHLING, "flit": FLIT, "pdm": PDM, "poetry": POETRY}
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.fixture(autouse=True)
def _own_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """One store for all tests of this file: environments are made once."""
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "traps-store"))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        for what, value in (("NAME", "x"), ("EMAIL", "x@y"), ("DATE", "@1700000000 +0000")):
            monkeypatch.setenv(f"GIT_{role}_{what}", value)


class Trap:
    """A project with files of its own, in git unless it is told otherwise."""

    def __init__(self, project: Any) -> None:
        self.hwb = project.hwb
        self.root: Path = project.root
        (self.root / ".git").rmdir()

    def files(self, files: dict[str, str], *, git: bool = True) -> Trap:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if git:
            self.commit()
        return self

    def git(self, *words: str) -> str:
        done = subprocess.run(["git", "-C", self.root, *words], capture_output=True, text=True, check=True)
        return done.stdout

    def commit(self) -> None:
        if not (self.root / ".git").exists():
            self.git("init", "-q", "-b", "main")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "x")

    def build(self, *words: str, code: int = 0, **env: str) -> Any:
        done = self.hwb("build", *words, **env)
        assert done.code == code, done.both
        return done

    def members(self, suffix: str) -> set[str]:
        (path,) = [path for path in (self.root / "dist").iterdir() if path.name.endswith(suffix)]
        if suffix == ".whl":
            with zipfile.ZipFile(path) as archive:
                return set(archive.namelist())
        with tarfile.open(path) as packed:
            return {name.partition("/")[2] for name in packed.getnames()}

    def read(self, name: str) -> str:
        (path,) = (self.root / "dist").glob("*.whl")
        with zipfile.ZipFile(path) as archive:
            return archive.read(name).decode()


@pytest.fixture
def trap(project: Any) -> Trap:
    return Trap(project)


def package(backend: str, name: str = "trap") -> dict[str, str]:
    return {"pyproject.toml": BACKENDS[backend] + META, f"{name}/__init__.py": '"""x"""\n__version__ = "1.0"\n'}


# --- the table of traps, in its order --------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [[], ["--wheel"], ["--from-tree"], ["--wheel", "--from-tree"]])
def test_trap_01_deleted_module_is_not_in_the_wheel(trap: Trap, words: list[str]) -> None:
    trap.files({**package("setuptools"), "trap/old.py": "", ".gitignore": "build\n*.egg-info\ndist\n"})
    with_stale = trap.root / "build" / "lib" / "trap"
    with_stale.mkdir(parents=True)
    for name in ("__init__.py", "old.py"):
        shutil.copy(trap.root / "trap" / name, with_stale)
    (trap.root / "trap" / "old.py").unlink()
    trap.build(*words)
    names = trap.members(".whl")
    assert "trap/__init__.py" in names
    assert "trap/old.py" not in names


@pytest.mark.parametrize("git", [True, False])
def test_trap_02_old_file_lists_do_not_decide(trap: Trap, git: bool) -> None:
    sources = "\n".join(["pyproject.toml", "trap/__init__.py", "notes.txt", "trap.egg-info/SOURCES.txt"])
    trap.files({**package("setuptools"), "notes.txt": "x", "trap.egg-info/SOURCES.txt": sources,
                "trap.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: trap\nVersion: 1.0\n",
                ".gitignore": "*.egg-info\ndist\n"}, git=git)  # fmt: skip
    trap.build("--sdist")
    assert "notes.txt" not in trap.members(".tar.gz")


@needs_compiler
def test_trap_03_extension_of_another_python_is_not_in_the_wheel(trap: Trap) -> None:
    shutil.copytree(PROJECTS / "c-extension", trap.root, dirs_exist_ok=True)
    trap.files({"MANIFEST.in": "recursive-include src *.so *.c\n", ".gitignore": "*.so\ndist\n"})
    (trap.root / "src" / "c_extension" / "_answer.cpython-31-x86_64-linux-gnu.so").write_bytes(b"\x7fELF")
    trap.build()
    shared = [name for name in trap.members(".whl") if name.endswith(".so")]
    assert len(shared) == 1
    assert "cpython-31-" not in shared[0]


@needs_compiler
def test_trap_03_extension_of_another_python_is_refused_where_it_is_a_source(trap: Trap) -> None:
    shutil.copytree(PROJECTS / "c-extension", trap.root, dirs_exist_ok=True)
    name = "src/c_extension/_answer.cpython-31-x86_64-linux-gnu.so"
    trap.files({"MANIFEST.in": "recursive-include src *.so *.c\n"}, git=False)
    (trap.root / name).write_bytes(b"\x7fELF" + bytes(60))
    text = (trap.root / "setup.py").read_text()
    (trap.root / "setup.py").write_text(text.replace("setup(", "setup(package_data={'c_extension': ['*.so']}, ", 1))
    trap.commit()
    done = trap.build(code=5)
    assert "_answer.cpython-31-x86_64-linux-gnu.so" in done.err
    assert not (trap.root / "dist").exists()


@pytest.mark.parametrize("backend", ["hatchling", "flit", "pdm", "poetry"])
def test_trap_04_untracked_files_that_ship_are_told(trap: Trap, backend: str) -> None:
    trap.files(package(backend))
    (trap.root / "trap" / "wip.py").write_text("")
    done = trap.build()
    assert "warning: trap-1.0.tar.gz ships files that git does not track: trap/wip.py" in done.err
    shutil.rmtree(trap.root / "dist")
    done = trap.build("--release", code=5)
    assert "error: trap-1.0.tar.gz ships files that git does not track: trap/wip.py" in done.err
    assert not (trap.root / "dist").exists()


@pytest.mark.parametrize("backend", ["hatchling", "flit", "pdm", "poetry"])
def test_trap_04_credentials_never_get_into_a_wheel(trap: Trap, backend: str) -> None:
    trap.files(package(backend))
    (trap.root / "trap" / "creds.json").write_text("{}")
    done = trap.build(code=5)
    assert "has the name of a file with credentials (trap/creds.json)" in done.err
    assert not (trap.root / "dist").exists()


def test_trap_04_a_dot_env_is_told(trap: Trap) -> None:
    trap.files(package("hatchling"))
    (trap.root / ".env").write_text("TOKEN=1")
    (trap.root / "junk").mkdir()
    (trap.root / "junk" / "x").write_text("")
    done = trap.build("--sdist", "--json")
    assert json.loads(done.out)["success"]
    done = trap.build("--release", code=5)
    assert ".env" in done.err
    assert "junk/x" in done.err


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("words", [[], ["--from-tree", "--wheel"], ["--no-cache"]])
def test_trap_05_the_tree_is_left_as_it_was(trap: Trap, backend: str, words: list[str]) -> None:
    trap.files(package(backend))
    before = {path: path.stat().st_mtime_ns for path in trap.root.rglob("*") if path.is_file()}
    trap.build("-o", "../out", *words)
    assert {path: path.stat().st_mtime_ns for path in trap.root.rglob("*") if path.is_file()} == before
    assert trap.git("status", "--porcelain", "--ignored") == ""


def test_trap_06_a_needed_file_that_git_ignores_is_told_or_shipped(trap: Trap) -> None:
    trap.files({**package("hatchling"), ".gitignore": "trap/generated.json\ntrap/_more.txt\ndist\n"})
    (trap.root / "trap" / "generated.json").write_text("{}")
    done = trap.build()
    assert "git ignores trap/generated.json, so the wheel lacks it" in done.err
    assert "[tool.hwb.build] include" in done.err
    text = (trap.root / "pyproject.toml").read_text()
    (trap.root / "pyproject.toml").write_text(text + '[tool.hatch.build]\nartifacts = ["trap/*.json"]\n')
    done = trap.build()
    assert "trap/generated.json" in trap.members(".whl")
    assert "trap/generated.json" in trap.members(".tar.gz")
    assert "so the wheel lacks it" not in done.err


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("words", [[], ["--from-tree", "--wheel"]])
def test_trap_07_links_that_leave_the_tree_are_refused(
    trap: Trap, backend: str, words: list[str], tmp_path: Path
) -> None:
    trap.files(package(backend), git=False)
    (tmp_path / "secret.txt").write_text("secret")
    (trap.root / "trap" / "link.txt").symlink_to("../../secret.txt")
    trap.commit()
    done = trap.build(*words, code=1)
    assert "leaves the source tree" in done.err
    assert "link.txt" in done.err
    assert not (trap.root / "dist").exists()


@pytest.mark.parametrize("backend", BACKENDS)
def test_trap_07_nothing_from_outside_ships_through_a_linked_directory(
    trap: Trap, backend: str, tmp_path: Path
) -> None:
    trap.files(package(backend), git=False)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.py").write_text("secret")
    (trap.root / "trap" / "linked").symlink_to("../../outside")
    trap.commit()
    done = trap.build(code=1)
    assert "leaves the source tree" in done.err
    assert "linked" in done.err
    assert not (trap.root / "dist").exists()


def test_trap_07_links_inside_the_tree_are_fine(trap: Trap) -> None:
    trap.files({**package("setuptools"), "LICENSE": "x"}, git=False)
    (trap.root / "trap" / "alias.py").symlink_to("__init__.py")
    trap.commit()
    trap.build()
    assert "trap/alias.py" in trap.members(".whl")


IN_TREE = """
import os, tarfile, zipfile, io, hashlib, base64
def build_sdist(d, config_settings=None):
    name = {sdist!r}
    top = name[:-7]
    with tarfile.open(os.path.join(d, name), "w:gz") as t:
        for n in ("pyproject.toml", "be.py"):
            t.add(n, top + "/" + n)
        data = b"Metadata-Version: 2.1\\nName: bad-pkg\\nVersion: 1.0\\n"
        i = tarfile.TarInfo(top + "/PKG-INFO"); i.size = len(data)
        t.addfile(i, io.BytesIO(data))
    return name
def build_wheel(d, config_settings=None, metadata_directory=None):
    name = {wheel!r}
    info = "bad_pkg-1.0.dist-info/"
    files = {{"bad_pkg.py": b"", info + "METADATA": b"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n",
             info + "WHEEL": b"Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: {tag}\\n"}}
    files.update({extra!r})
    rows = []
    for n, data in files.items():
        h = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{{n}},sha256={{h}},{{len(data)}}")
    files[info + "RECORD"] = ("\\n".join(rows) + "\\n" + info + "RECORD,,\\n").encode()
    files.update({late!r})
    with zipfile.ZipFile(os.path.join(d, name), "w") as z:
        for n, data in files.items():
            z.writestr(zipfile.ZipInfo(n), data)
    return name
"""


def in_tree(**values: Any) -> dict[str, str]:
    usual = {"sdist": "bad_pkg-1.0.tar.gz", "wheel": "bad_pkg-1.0-py3-none-any.whl", "name": "bad-pkg", "tag": "py3-none-any",
             "extra": {}, "late": {}}  # fmt: skip
    return {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "be"\nbackend-path = ["."]\n',
        "be.py": IN_TREE.format(**{**usual, **values}),
    }


def test_trap_08_this_backend_is_fine_otherwise(trap: Trap) -> None:
    trap.files(in_tree()).build()
    assert sorted(path.name for path in (trap.root / "dist").iterdir() if path.is_file()) == [
        "bad_pkg-1.0-py3-none-any.whl",
        "bad_pkg-1.0.tar.gz",
    ]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"sdist": "other-1.0.tar.gz"}, "other-1.0.tar.gz"),
        ({"sdist": "bad_pkg-2.0.tar.gz"}, "bad_pkg-2.0.tar.gz"),
        ({"wheel": "bad_pkg-2.0-py3-none-any.whl"}, "bad_pkg-2.0-py3-none-any.whl"),
        ({"wheel": "Bad Pkg.whl"}, "Bad Pkg.whl"),
        ({"name": "other"}, "METADATA"),
        ({"tag": "cp27-cp27m-win32"}, "WHEEL"),
        ({"extra": {"../evil.py": b""}}, "../evil.py"),
        ({"extra": {"/abs.py": b""}}, "/abs.py"),
        ({"late": {"bad_pkg.py": b"other bytes"}}, "bad_pkg.py"),
        ({"late": {"unlisted.py": b""}}, "unlisted.py"),
    ],
)
def test_trap_08_wrong_names_and_contents_are_refused(trap: Trap, values: dict[str, Any], said: str) -> None:
    done = trap.files(in_tree(**values)).build(code=5)
    assert said in done.err
    assert not (trap.root / "dist").exists()


ENVIRON = """
import os
from setuptools import setup
with open("trap/environ.txt", "w") as out:
    out.write("\\n".join(sorted(os.environ)))
setup(name="trap", version="1.0", packages=["trap"], package_data={"trap": ["*.txt"]})
"""


def test_trap_09_pythonpath_does_not_reach_the_backend(trap: Trap, tmp_path: Path) -> None:
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "setuptools.py").write_text("raise SystemExit('hijacked')")
    trap.files({"setup.py": ENVIRON, "trap/__init__.py": ""})
    path = os.pathsep.join([str(tmp_path / "evil"), trap_path()])
    trap.build("--wheel", PYTHONPATH=path)
    assert "PYTHONPATH" not in trap.read("trap/environ.txt").split()


def trap_path() -> str:
    import hwb

    return str(Path(hwb.__file__).parent.parent)


def test_trap_10_secrets_do_not_reach_the_backend(trap: Trap) -> None:
    trap.files({"setup.py": ENVIRON, "trap/__init__.py": ""})
    secrets = ("TWINE_PASSWORD", "UV_PUBLISH_TOKEN", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "PIP_INDEX_URL")
    values = {name: "hunter2222" for name in secrets if name != "PIP_INDEX_URL"}
    trap.build("--wheel", "--no-cache", **values)
    assert not set(secrets) & set(trap.read("trap/environ.txt").split())
    (trap.root / "pyproject.toml").write_text('[tool.hwb.build]\nenv-pass = ["MY_*"]\n')
    trap.build("--wheel", MY_FLAG="1", OTHER_FLAG="1")
    names = trap.read("trap/environ.txt").split()
    assert "MY_FLAG" in names
    assert "OTHER_FLAG" not in names


@pytest.mark.parametrize("name", ["build.py", "setuptools.py", "json.py", "email.py", "pyproject_hooks.py"])
def test_trap_11_modules_in_the_root_hijack_nothing(trap: Trap, name: str) -> None:
    trap.files({**package("hatchling"), name: "raise SystemExit('hijacked')\n"})
    done = trap.build()
    assert "hijacked" not in done.both


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_trap_12_a_tree_of_another_user_has_its_version(trap: Trap) -> None:
    text = SETUPTOOLS.replace('"setuptools>=70"', '"setuptools>=70", "setuptools-scm>=8"')
    meta = '[project]\nname = "trap"\ndynamic = ["version"]\n[tool.setuptools_scm]\n'
    trap.files({"pyproject.toml": text + meta, "trap/__init__.py": "", ".gitignore": "dist\n"})
    trap.git("tag", "v2.5.0")
    for path in (trap.root, *trap.root.rglob("*")):
        os.chown(path, 12345, 12345, follow_symlinks=False)
    trap.build()
    assert (trap.root / "dist" / "trap-2.5.0-py3-none-any.whl").exists()


@pytest.mark.parametrize("backend", ["setuptools", "pdm"])
def test_trap_13_two_builds_in_one_tree(trap: Trap, backend: str) -> None:
    trap.files({**package(backend), **{f"trap/m{n}.py": "" for n in range(50)}})
    command = [sys.executable, "-m", "hwb", "build", "--no-cache", "-o"]
    env = {**os.environ, "PYTHONPATH": trap_path()}
    outs = [trap.root.parent / f"out{n}" for n in range(3)]
    running = [subprocess.Popen([*command, str(out)], cwd=trap.root, env=env) for out in outs]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    contents = [{path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} for out in outs]
    assert contents[0] == contents[1] == contents[2]
    assert len(contents[0]) == 2


HOOK = """
from hatchling.metadata.plugin.interface import MetadataHookInterface
class CustomMetadataHook(MetadataHookInterface):
    def update(self, metadata):
        metadata["dependencies"] = ["idna"]
"""


def test_trap_14_dynamic_dependencies_of_hatchling(trap: Trap) -> None:
    meta = META + 'dynamic = ["dependencies"]\n[tool.hatch.metadata.hooks.custom]\n'
    trap.files({**package("hatchling"), "pyproject.toml": HATCHLING + meta, "hatch_build.py": HOOK})
    trap.build()
    assert "Requires-Dist: idna" in trap.read("trap-1.0.dist-info/METADATA")


def test_trap_15_requirements_are_asked_for_once_for_each_kind(trap: Trap) -> None:
    backend = in_tree()["be.py"] + (
        "def get_requires_for_build_sdist(config_settings=None):\n    print('ASKED sdist'); return []\n"
        "def get_requires_for_build_wheel(config_settings=None):\n    print('ASKED wheel'); return []\n"
    )
    done = trap.files({**in_tree(), "be.py": backend}).build("-v")
    assert [line for line in done.err.splitlines() if line.startswith("ASKED")] == ["ASKED sdist", "ASKED wheel"]


def test_trap_16_pkg_info_stays_in_the_sdist(trap: Trap) -> None:
    meta = '[project]\nname = "trap"\nversion = "1.0"\ndynamic = ["readme"]\n[tool.setuptools.dynamic]\nreadme = {file = "README.txt"}\n'
    trap.files({"pyproject.toml": SETUPTOOLS + meta, "README.txt": "hello", "trap/__init__.py": ""})
    trap.build()
    assert "PKG-INFO" in trap.members(".tar.gz")
    (sdist,) = (trap.root / "dist").glob("*.tar.gz")
    moved = shutil.move(sdist, trap.root.parent)
    done = trap.hwb("build", str(moved), "-o", str(trap.root.parent / "from-sdist"))
    assert done.code == 0, done.both
    (wheel,) = (trap.root.parent / "from-sdist").glob("*.whl")
    assert wheel.read_bytes() == next((trap.root / "dist").glob("*.whl")).read_bytes()


# --- findings about builds in the public implementation ----------------------------------------------------------------


def test_b4_03_dynamic_requirements_are_asked(trap: Trap) -> None:
    backend = "from setuptools.build_meta import *\nfrom setuptools import build_meta as _b\n\ndef get_requires_for_build_wheel(config_settings=None):\n    return [*_b.get_requires_for_build_wheel(config_settings), 'idna']\n\ndef build_wheel(*args, **kwargs):\n    import idna\n    return _b.build_wheel(*args, **kwargs)\n"
    text = SETUPTOOLS.replace("setuptools.build_meta", "mine") + 'backend-path = ["."]\n'
    trap.files({**package("setuptools"), "pyproject.toml": text + META + '[tool.setuptools]\npackages = ["trap"]\n', "mine.py": backend,
                "MANIFEST.in": "include mine.py\n"}).build()  # fmt: skip
    assert "trap/__init__.py" in trap.members(".whl")


def test_b4_03_setup_requires_of_an_old_project(trap: Trap) -> None:
    setup = (
        "from setuptools import setup\nsetup(name='trap', version='1.0', packages=['trap'], setup_requires=['idna'])\n"
    )
    trap.files({"setup.py": setup, "trap/__init__.py": ""}).build()
    assert "trap/__init__.py" in trap.members(".whl")


def test_b4_03_backend_path_and_object(trap: Trap) -> None:
    code = (
        "import types\n"
        + in_tree()["be.py"]
        + "\nhooks = types.SimpleNamespace(build_sdist=build_sdist, build_wheel=build_wheel)\ndel build_sdist, build_wheel\n"
    )
    text = in_tree()["pyproject.toml"].replace('"be"', '"be:hooks"')
    trap.files({"pyproject.toml": text, "be.py": code}).build()
    assert "bad_pkg.py" in trap.members(".whl")


@pytest.mark.parametrize("words", [[], ["-v"], ["-q"], ["--json"]])
def test_b4_04_backend_output_is_shown(trap: Trap, words: list[str]) -> None:
    setup = "import sys\nprint('on stdout')\nsys.stderr.write('on stderr\\n')\nraise RuntimeError('the reason')\n"
    done = trap.files({"setup.py": setup, "trap/__init__.py": ""}).build(*words, code=1)
    for text in ("on stdout", "on stderr", "RuntimeError: the reason", "setuptools.build_meta"):
        assert text in done.err
    assert "build" in done.err


def test_b4_05_tree_is_untouched(trap: Trap) -> None:
    trap.files(
        {
            "setup.py": "from setuptools import setup\nsetup(name='trap', version='1.0', packages=['trap'])\n",
            "trap/__init__.py": "",
        },
        git=False,
    )
    trap.build("-o", "../out")
    assert sorted(path.name for path in trap.root.rglob("*")) == ["__init__.py", "setup.py", "trap"]


def test_b4_06_an_option_that_is_taken_is_obeyed(trap: Trap) -> None:
    trap.files(in_tree())
    assert "not isolated" in trap.build("--no-isolation", "-o", "../plain").err
    assert "not isolated" not in trap.build("-o", "../isolated").err
    trap.build("--sdist", "-o", "../only")
    assert [path.name for path in (trap.root.parent / "only").iterdir() if path.is_file()] == ["bad_pkg-1.0.tar.gz"]


def test_b4_07_a_python_that_is_not_there_is_said_first(trap: Trap) -> None:
    done = trap.files(package("setuptools")).build("--python", "3.77", code=3)
    assert "3.77" in done.err
    assert not (trap.root / "dist").exists()


def test_b4_07_only_what_was_built_counts(trap: Trap) -> None:
    trap.files(in_tree())
    (trap.root / "dist").mkdir()
    (trap.root / "dist" / "aaa_old-0.1-py3-none-any.whl").write_bytes(b"old")
    told = json.loads(trap.build("--json").out)
    assert sorted(row["name"] for row in told["artifacts"]) == ["bad_pkg-1.0-py3-none-any.whl", "bad_pkg-1.0.tar.gz"]
    assert (trap.root / "dist" / "aaa_old-0.1-py3-none-any.whl").read_bytes() == b"old"


def test_b4_09_settings_of_the_project_count(trap: Trap) -> None:
    text = in_tree()["pyproject.toml"] + '[tool.hwb]\noutput-dir = "wheelhouse"\n'
    trap.files({**in_tree(), "pyproject.toml": text}).build()
    assert (trap.root / "wheelhouse" / "bad_pkg-1.0-py3-none-any.whl").exists()
    assert not (trap.root / "dist").exists()
