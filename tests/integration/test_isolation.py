"""Do the documented isolation API, its settings, its other import name and other people's strategies work for real?"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import hwb.isolation
from hwb import pythons
from hwb.isolation import BuildEnvironment, DockerConfig, DockerIsolation, VenvConfig, VenvIsolation
from hwb.isolation import docker as docker_module
from hwb.isolation.venv import install, make_venv

from .conftest import Done, Project

ROOT = Path(__file__).parents[2]
IMAGE = "hwb/manylinux_2_31_x86_64:standin"
EXAMPLES = ROOT / "tests" / "docs" / "isolation_examples.md"
PAGE = ROOT / "docs" / "reference" / "isolation.md"


# --- the page --------------------------------------------------------------------------------------------------------


def blocks() -> list[tuple[str, str]]:
    """Heading and text of every example."""
    found, heading = [], ""
    for match in re.finditer(r"^## ([^\n]*)$|^```python\n(.*?)^```$", EXAMPLES.read_text(), re.MULTILINE | re.DOTALL):
        heading = match[1] or heading
        if match[2]:
            found.append((heading, match[2]))
    return found


def test_the_page_has_every_documented_example() -> None:
    page = PAGE.read_text()
    assert len(blocks()) == 19
    assert [text for _, text in blocks() if f"```python\n{text}```" not in page] == []


def is_signature(text: str) -> bool:
    return re.match(r"(async def )?\w+\(.*\)( -> .*)?\Z", text.strip(), re.DOTALL) is not None


OWNERS: dict[str, Any] = {
    "BuildEnvironment": BuildEnvironment,
    "VenvIsolation": VenvIsolation,
    "DockerIsolation": DockerIsolation,
}
SIGNATURES = [(heading, text) for heading, text in blocks() if is_signature(text)]


@pytest.mark.parametrize(("heading", "text"), SIGNATURES, ids=lambda value: value.split("(")[0].strip())
def test_signatures_are_as_documented(heading: str, text: str) -> None:
    plain = text.strip() if text.startswith("async def") else f"def {text.strip()}"
    (told,) = ast.parse(f"{plain}: ...").body
    assert isinstance(told, ast.FunctionDef | ast.AsyncFunctionDef)
    owner = OWNERS[heading.partition(" / ")[0]]
    real = OWNERS.get(told.name) or getattr(owner, told.name, None) or getattr(docker_module, told.name)
    function = real.__init__ if inspect.isclass(real) else real
    assert inspect.iscoroutinefunction(function) == isinstance(told, ast.AsyncFunctionDef)
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    defaults = [p.default for p in inspect.signature(function).parameters.values() if p.default is not p.empty]
    assert names == [argument.arg for argument in told.args.args]
    assert defaults == [ast.literal_eval(value) for value in told.args.defaults]


def test_there_are_eleven_signatures() -> None:
    assert len(SIGNATURES) == 11


@pytest.mark.parametrize("config", [VenvConfig, DockerConfig])
def test_the_tables_name_every_field_and_its_default(config: Any) -> None:
    table = PAGE.read_text().partition(f"### {config.__name__}\n")[2].partition("\n#")[0]
    rows = re.findall(r"^\| `(\w+)` \| `[^\n]*?` \| `([^`]*)` \|", table, re.MULTILINE)
    assert [name for name, _ in rows] == [field.name for field in dataclasses.fields(config)]
    assert [ast.literal_eval(default) for _, default in rows] == [getattr(config(), name) for name, _ in rows]


# --- its examples, run -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of a clean environment with the built wheel of hwb."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    venv = make_venv(str(folder / "env"), pythons.running())
    install(venv, [str(next(folder.glob("*.whl")))], silent=True)
    return venv.python


def execute(python: str, folder: Path, code: str, **environ: str) -> str:
    """What a program prints that is started away from the checkout."""
    (folder / "program.py").write_text(code)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, "program.py"], cwd=folder, env={**env, **environ}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def program(text: str, prelude: str = "", after: str = "") -> str:
    """An example inside of a coroutine, which is where `await` may stand."""
    body = f"{prelude}\n{text}\n{after}"
    imports = "import asyncio\nfrom pathlib import Path\nfrom typing import Literal, Protocol\n"
    return f"{imports}async def main():\n{textwrap.indent(body, '    ')}\nasyncio.run(main())\n"


def replaced(text: str, values: dict[str, str]) -> str:
    for old, new in values.items():
        assert old in text, f"the example has no {old} any more"
        text = text.replace(old, new)
    return text


def example(heading: str, start: str = "") -> str:
    (found,) = [text for known, text in blocks() if known == heading and text.startswith(start)]
    return found


@pytest.fixture(params=["hwb", "headless_wheel_builder"])
def name(request: pytest.FixtureRequest) -> str:
    """The import name."""
    return str(request.param)


@pytest.fixture
def run(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Runs an example by that import name: from the checkout, or from the installed wheel, which has the alias."""

    def go(text: str, prelude: str = "", after: str = "") -> str:
        code = program(text, prelude, after).replace("headless_wheel_builder", name)
        if name == "hwb":
            return execute(sys.executable, tmp_path, code, PYTHONPATH=str(ROOT))
        return execute(request.getfixturevalue("installed"), tmp_path, code)

    return go


def here() -> str:
    return f'"{pythons.running().minor}"'


@pytest.mark.pypi
class TestVirtualEnvironments:
    def test_quick_start(self, run: Any) -> None:
        out = run(replaced(example("Quick Start"), {'"3.12"': here()}))
        assert re.search(r"Python: \S+\nSite-packages: \S+site-packages\n", out)

    def test_the_protocol(self, run: Any) -> None:
        text = example("IsolationStrategy Protocol")
        after = "assert issubclass(VenvIsolation, real)\nassert set(vars(IsolationStrategy)) >= {'create_environment'}"
        prelude = (
            "from headless_wheel_builder.isolation import BuildEnvironment, VenvIsolation, IsolationStrategy as real"
        )
        run(text, prelude, after)

    def test_the_context_manager(self, run: Any) -> None:
        text = replaced(example("BuildEnvironment / Context Manager"), {"(...)": f"({here()}, [])"})
        prelude = "from headless_wheel_builder.isolation import VenvIsolation\nisolation = VenvIsolation()"
        run(text, prelude, "assert not env.python_path.exists()")

    def test_the_example(self, run: Any) -> None:
        values = {'"3.12"': here(), "/opt/python/3.12/bin/python": Path(sys.executable).as_posix()}
        assert re.search(r"^\d+\.", run(replaced(example("VenvIsolation / Example"), values)))

    def test_choosing(self, run: Any, tmp_path: Path) -> None:
        folder = tmp_path / "pure"
        folder.mkdir()
        (folder / "pyproject.toml").write_text('[project]\nname = "pure"\nversion = "1"\n')
        after = f"print(type(await get_best_isolation(Path({str(folder)!r}))).__name__)"
        assert run(example("Choosing Isolation Strategy / Example: Auto-Select"), after=after) == "VenvIsolation\n"


CPYTHON = 'from setuptools import setup, Extension\nsetup(ext_modules=[Extension("cdemo", ["cdemo.c"])])\n'
C = """#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "cdemo", 0, -1, 0};
PyMODINIT_FUNC PyInit_cdemo(void) { return PyModule_Create(&module); }
"""


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    folder = tmp_path / "compiled"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools>=61.0"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "cdemo"\nversion = "1"\n'
    )
    (folder / "setup.py").write_text(CPYTHON)
    (folder / "cdemo.c").write_text(C)
    return folder


@pytest.mark.docker
@pytest.mark.pypi
class TestContainers:
    def test_the_types(self, run: Any) -> None:
        after = "from headless_wheel_builder.isolation.docker import PlatformType as real\nassert PlatformType == real"
        run(example("DockerIsolation / Platform Types"), after=after)

    def test_the_convenience_function(self, run: Any) -> None:
        prelude = "from headless_wheel_builder.isolation.docker import get_docker_isolation"
        text = example("DockerIsolation / Convenience Function", "isolation")
        run(text, prelude, "assert isolation.config.platform == 'manylinux'")

    @pytest.mark.slow
    def test_the_example(self, run: Any, compiled: Path, tmp_path: Path) -> None:
        values = {
            '    platform="manylinux",\n    architecture': f'    image="{IMAGE}",\n    platform="manylinux",\n    architecture',
            '"3.12"': '"3.11"',
            "/path/to/project": str(compiled),
            "/path/to/dist": str(tmp_path / "dist"),
        }
        out = run(replaced(example("DockerIsolation / Example"), values), after="print(log.count('cdemo') > 0)")
        assert re.fullmatch(r"Built: \S+/dist/cdemo-1-cp311-cp311-manylinux\S+\.whl\nTrue\n", out)

    def test_choosing(self, run: Any, compiled: Path) -> None:
        after = f"print(type(await get_best_isolation(Path({str(compiled)!r}))).__name__)"
        assert run(example("Choosing Isolation Strategy / Example: Auto-Select"), after=after) == "DockerIsolation\n"


def test_every_example_is_run_or_checked() -> None:
    """The eleven signatures; the others are named in a test above."""
    run_here = {heading for heading, text in blocks() if not is_signature(text)}
    assert run_here == {
        "Quick Start",
        "IsolationStrategy Protocol",
        "BuildEnvironment / Context Manager",
        "VenvIsolation / Example",
        "DockerIsolation / Platform Types",
        "DockerIsolation / Example",
        "DockerIsolation / Convenience Function",
        "Choosing Isolation Strategy / Example: Auto-Select",
    }


# --- the other name --------------------------------------------------------------------------------------------------

SAME = """
import hwb, headless_wheel_builder
import headless_wheel_builder.isolation.docker, headless_wheel_builder.builder.api
import hwb.isolation.docker
assert headless_wheel_builder is hwb
assert headless_wheel_builder.isolation.docker is hwb.isolation.docker
from headless_wheel_builder.core import ProjectAnalyzer
from hwb.project import ProjectAnalyzer as real
assert ProjectAnalyzer is real
from headless_wheel_builder import BuildEngine, HwbError
try:
    import headless_wheel_builder.nothing
except ModuleNotFoundError as error:
    print(error, hwb.__file__)
"""


@pytest.mark.pypi
@pytest.mark.slow
def test_both_names_are_one_package_in_the_wheel(installed: str, tmp_path: Path) -> None:
    out = execute(installed, tmp_path, SAME)
    assert out.startswith("No module named 'headless_wheel_builder.nothing'")
    assert str(ROOT) not in out
    done = subprocess.run(
        [installed, "-m", "headless_wheel_builder", "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"hwb {hwb.__version__}\n"


@pytest.mark.pypi
@pytest.mark.slow
def test_both_names_are_one_package_in_an_editable_install(tmp_path: Path) -> None:
    venv = make_venv(str(tmp_path / "env"), pythons.running())
    install(venv, ["-e", str(ROOT)], silent=True)
    assert str(ROOT) in execute(venv.python, tmp_path, SAME)


# --- settings --------------------------------------------------------------------------------------------------------

BACKEND = """
import os, sys
from pathlib import Path

def get_requires_for_build_sdist(config_settings=None): return []
get_requires_for_build_wheel = get_requires_for_build_sdist

def tell(kind):
    said = {name: os.environ.get(name) for name in ("TOLD", "CFLAGS", "SECRET", "MADE_BY")}
    print("HOOK", kind, sys.version_info[:2], sys.prefix, said, sorted(p.name for p in Path(sys.prefix).glob("uv*")))

def build_sdist(folder, config_settings=None):
    import tarfile
    tell("sdist")
    with tarfile.open(f"{folder}/told-1.tar.gz", "w:gz") as archive:
        for name in ("pyproject.toml", "told_backend.py"):
            archive.add(name, f"told-1/{name}")
        Path("PKG-INFO").write_text("Metadata-Version: 2.1\\nName: told\\nVersion: 1\\n")
        archive.add("PKG-INFO", "told-1/PKG-INFO")
    return "told-1.tar.gz"

def build_wheel(folder, config_settings=None, metadata_directory=None):
    import base64, hashlib, zipfile
    tell("wheel")
    info = "told-1.dist-info"
    files = {f"{info}/METADATA": "Metadata-Version: 2.1\\nName: told\\nVersion: 1\\n",
             f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: told\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
             "told.py": ""}
    def row(name, text):
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        return f"{name},sha256={digest},{len(text)}\\n"
    record = "".join(row(name, text) for name, text in files.items()) + f"{info}/RECORD,,\\n"
    with zipfile.ZipFile(f"{folder}/told-1-py3-none-any.whl", "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return "told-1-py3-none-any.whl"
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "told_backend"
backend-path = ["."]
[project]
name = "told"
version = "1"
"""


@pytest.fixture
def told(project: Project, tmp_path: Path) -> Project:
    """A project whose hooks tell where they run, without requirements."""
    shutil.rmtree(project.root / ".git")
    project.write(PYPROJECT, "pyproject.toml")
    project.write(BACKEND, "told_backend.py")
    project.env["HWB_CACHE_DIR"] = str(tmp_path / "store")
    return project


def configure(told: Project, text: str) -> None:
    told.write(f"{PYPROJECT}\n{text}", "pyproject.toml")


def build(told: Project, *words: str, **env: str) -> Done:
    done = told.hwb("build", "-v", *words, **env)
    assert done.code == 0, done.both
    return done


def hooks(done: Done) -> list[str]:
    return re.findall(r"^HOOK (.*)$", done.both, re.MULTILINE)


def environments(tmp_path: Path) -> list[str]:
    folder = tmp_path / "store" / "envs"
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.exists() else []


def test_variables_reach_the_hooks_and_decide_what_is_known(told: Project) -> None:
    configure(told, '[tool.hwb.isolation.venv]\nenv = { TOLD = "1", CFLAGS = "-DONE" }\n')
    done = build(told, TOLD="shell", SECRET="x", CFLAGS="-DSHELL")
    assert [line.count("'TOLD': '1'") for line in hooks(done)] == [1, 1]
    assert all("-DONE" in line and "-DSHELL" not in line and "'SECRET': None" in line for line in hooks(done))
    assert "isolation auto: built in a virtual environment, since it has no extension modules" in done.err or (
        sys.platform != "linux"
    )
    assert "nothing changed" in build(told, CFLAGS="-DSHELL").out
    configure(told, '[tool.hwb.isolation.venv]\nenv = { TOLD = "2" }\n')
    assert "'TOLD': '2'" in hooks(build(told))[0]
    assert "auto: built" not in told.hwb("build", "--no-cache").both, "said only to those who ask"


def test_environments_for_one_build_alone(told: Project, tmp_path: Path) -> None:
    configure(told, "[tool.hwb.isolation.venv]\ncache-envs = false\n")
    first, second = hooks(build(told)), hooks(build(told, "--no-cache"))
    assert environments(tmp_path) == []
    assert [line.split("', ")[0] for line in first] == [line.split("', ")[0] for line in second], "at the same path"
    configure(told, "")
    build(told, "--no-cache")
    assert len(environments(tmp_path)) == 1


def test_what_a_killed_build_left_is_not_used_if_it_was_changed(tmp_path: Path) -> None:
    from hwb.builder.environments import Environments
    from hwb.builder.options import BuildOptions
    from hwb.context import Context, use

    environment = Environments(BuildOptions((pythons.running(),), fresh=True))
    environment.place = str(tmp_path / "place")
    with use(Context(cwd=str(tmp_path))), pytest.MonkeyPatch.context() as patch:
        patch.setenv("HWB_CACHE_DIR", str(tmp_path / "store"))
        left = environment.get(pythons.running(), [])
        Path(left.path, "spoilt").touch()
        again = Environments(BuildOptions((pythons.running(),), fresh=True))
        again.place = environment.place
        venv = again.get(pythons.running(), [])
        assert venv.path == left.path
        assert not Path(venv.path, "spoilt").exists()
        assert again.get(pythons.running(), []).path == venv.path
        again.verify()
        assert not Path(venv.path).exists()


@pytest.mark.pypi
def test_environments_by_virtualenv(told: Project) -> None:
    configure(told, "[tool.hwb.isolation.venv]\nuse-uv = false\n")
    assert "environment: Python" in (done := build(told)).err
    assert ", virtualenv, made in" in done.err


def test_the_configured_interpreter(told: Project) -> None:
    other = next((one for one in ("3.10", "3.11", "3.13", "3.9") if one != pythons.running().minor and _found(one)), "")
    if not other:
        pytest.skip("there is one Python only")
    configure(told, f"[tool.hwb.isolation.venv]\npython-path = '{pythons.find(other).path}'\n")
    version = tuple(map(int, other.split(".")))
    assert str(version) in hooks(build(told))[0]
    own = tuple(map(int, pythons.running().minor.split(".")))
    assert str(own) in hooks(build(told, "--python", pythons.running().minor))[0], "it is not what is asked for"
    configure(told, "[tool.hwb.isolation.venv]\npython-path = 'nowhere/python'\n")
    done = told.hwb("build")
    assert done.code != 0
    assert "nowhere" in done.err


def _found(version: str) -> bool:
    try:
        pythons.find(version)
    except hwb.HwbError:
        return False
    return True


@pytest.mark.parametrize("how", ["option", "short option", "variable", "setting"])
def test_no_isolation(told: Project, how: str) -> None:
    words = {"option": ["--isolation", "none"], "short option": ["-n"]}.get(how, [])
    configure(told, '[tool.hwb]\nisolation = "none"\n' if how == "setting" else "")
    done = build(told, *words, **({"HWB_ISOLATION": "none"} if how == "variable" else {}))
    assert "not isolated" in done.err
    manifest = json.loads((told.root / "dist" / ".hwb" / "manifest.json").read_text())
    assert {artifact["isolated"] for artifact in manifest["artifacts"]} == {False}


def test_an_option_counts_more_than_the_setting(told: Project) -> None:
    configure(told, '[tool.hwb.isolation]\nstrategy = "none"\n')
    assert "not isolated" not in build(told, "--isolation", "venv").err


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--isolation", "vm"], "there is no isolation 'vm'\n  try: one of auto, venv, docker, none"),
        (["-n", "--isolation", "docker"], "--no-isolation and --isolation docker contradict each other"),
        (["--gpu"], "gpu: only containers have that"),
        (["--isolation", "docker", "--manylinux", "2_28", "--musllinux", "1_2"], "--manylinux and --musllinux"),
    ],
)
def test_contradictions(told: Project, words: list[str], error: str) -> None:
    done = told.hwb("build", *words)
    assert (done.code, error in done.err) == (2, True), done.both


@pytest.mark.docker
@pytest.mark.uv
@pytest.mark.pypi
@pytest.mark.slow
def test_the_configured_container(told: Project) -> None:
    settings = '[tool.hwb.isolation]\nstrategy = "docker"\n[tool.hwb.isolation.docker]\nmounts = { "data" = "/data" }\n'
    (told.root / "data").mkdir()
    (told.root / "data" / "word").write_text("mounted")
    configure(
        told, f'{settings}image = "{IMAGE}"\nmemory = "512m"\ncpus = 1\nenv = {{ TOLD = "inside", CFLAGS = "-DIN" }}'
    )
    told.write(
        BACKEND.replace(
            '    tell("wheel")\n',
            '    tell("wheel")\n'
            '    print("DATA", Path("/data/word").read_text() if os.path.exists("/data") else "")\n'
            '    limits = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")\n'
            '    print("MEMORY", *(Path(path).read_text().strip() for path in limits if Path(path).exists()))\n'
            '    print("NETWORK", sorted(os.listdir("/sys/class/net")))\n',
        ),
        "told_backend.py",
    )
    done = build(told, "--python", "3.11")
    assert all("'TOLD': 'inside'" in line and "-DIN" in line and "(3, 11)" in line for line in hooks(done)), done.both
    assert "DATA mounted" in done.both
    assert "MEMORY 536870912" in done.both
    assert "NETWORK ['lo']" in done.both, "off, unlike in the class"
    here = build(told, "--isolation", "venv")
    assert all("'TOLD': None" in line for line in hooks(here))


# --- strategies of others --------------------------------------------------------------------------------------------

PLUGIN = '''
import os
from pathlib import Path
from hwb.isolation import VenvIsolation

class Marked:
    """Virtual environments with one more variable; says in a file what became of them."""

    def __init__(self, config):
        self.config = config

    async def check_available(self):
        return self.config.get("available", True)

    async def create_environment(self, python_version, build_requirements):
        note = Path(self.config["note"])
        note.write_text(f"asked for {python_version} {build_requirements}\\n")
        if self.config.get("fails"):
            raise RuntimeError("no room left")
        inner = await VenvIsolation().create_environment(python_version, build_requirements)
        inner.env_vars["MADE_BY"] = self.config["label"]
        discard = inner.discard

        def discarded():
            discard()
            with note.open("a") as file:
                print("gone:", not inner.python_path.exists(), file=file)

        inner.discard = discarded
        return inner
'''


@pytest.fixture(scope="module")
def with_plugin(installed: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same environment, with a distribution that offers a strategy."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "marked_strategy.py").write_text(PLUGIN)
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools>=61"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "marked-strategy"\nversion = "1"\n'
        '[project.entry-points."hwb.isolation"]\nmarked = "marked_strategy:Marked"\n'
        '[tool.setuptools]\npy-modules = ["marked_strategy"]\n'
    )
    subprocess.run(
        [sys.executable, "-m", "hwb", "build", "--wheel", str(folder)],
        check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    venv = Path(installed).parents[1]
    wheel = next((folder / "dist").glob("*.whl"))
    command = [sys.executable, "-m", "uv"] if not shutil.which("uv") else ["uv"]
    subprocess.run([*command, "pip", "install", "--python", str(venv), str(wheel)], check=True, capture_output=True)
    return installed


@pytest.mark.uv
@pytest.mark.pypi
@pytest.mark.slow
class TestStrategiesOfOthers:
    @pytest.fixture
    def hwb_with(self, with_plugin: str, told: Project, tmp_path: Path) -> Any:
        def go(*words: str, table: str = 'label = "the plugin"', **env: str) -> Done:
            note = (tmp_path / "note").as_posix()
            configure(told, f'[tool.hwb.isolation.marked]\nnote = "{note}"\n{table}\n')
            environ = {name: value for name, value in told.env.items() if name != "PYTHONPATH"}
            done = subprocess.run(
                [with_plugin, "-m", "hwb", *words], cwd=told.root, env={**environ, **env},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            return Done(done.returncode, done.stdout, done.stderr)

        return go

    def test_hooks_run_in_what_it_makes(self, hwb_with: Any, tmp_path: Path) -> None:
        done = hwb_with("build", "-v", "--isolation", "marked", SECRET="x")
        assert done.code == 0, done.both
        assert len(hooks(done)) == 2
        for line in hooks(done):
            assert "'MADE_BY': 'the plugin'" in line
            assert "'SECRET': None" in line
            assert "hwb_venv_" in line
        assert (tmp_path / "note").read_text() == f"asked for {pythons.running().minor} []\ngone: True\n"
        again = hwb_with("build", "-v", HWB_ISOLATION="marked")
        assert len(hooks(again)) == 2, "nobody knows what such an environment depends on"

    def test_what_goes_wrong(self, hwb_with: Any, tmp_path: Path) -> None:
        done = hwb_with("build", "--isolation", "other")
        assert (done.code, "one of auto, venv, docker, none, marked" in done.err) == (2, True), done.both
        done = hwb_with("build", "--isolation", "marked", table="available = false")
        assert "'marked' is not available on this machine" in done.err
        done = hwb_with("build", "--isolation", "marked", table="fails = true")
        assert "'marked' failed: RuntimeError: no room left" in done.err
        assert done.code not in (0, 2)
        done = hwb_with("build", "--isolation", "marked", "--locked")
        assert "--locked is for hwb's own build environments" in done.err
        done = hwb_with("build", "--isolation", "marked", "--frontend", "build")
        assert "--frontend build makes its own build environments" in done.err
        done = hwb_with("build", "--isolation", "marked", "--gpu")
        assert "only containers have that" in done.err
