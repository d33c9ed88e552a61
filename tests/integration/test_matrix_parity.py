"""Does a configuration choose the same wheels, with the same options, as in cibuildwheel?"""

from __future__ import annotations

import json
import os
import platform
import random
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hwb.config import Settings
from hwb.matrix.configuration import read_configuration
from hwb.matrix.environment import evaluate
from hwb.matrix.handing_over import told
from hwb.matrix.known import default_policy, image
from hwb.matrix.layers import REPAIRS
from hwb.matrix.options import target_options
from hwb.matrix.planning import ProjectFacts, plan_matrix
from hwb.matrix.strategy import Host
from hwb.project import read_project
from hwb.target import System, Target

pytestmark = [pytest.mark.pypi, pytest.mark.uv]
VERSION = "4.3.3"
DATA = Path(__file__).with_name("matrix")
PROJECTS = sorted(path.stem for path in DATA.glob("*.toml"))
SYSTEMS = {"linux": System.LINUX, "macos": System.MACOS, "windows": System.WINDOWS}
VARIABLES = {
    "shapely": {
        "CIBW_BUILD": "cp3{11,12,13}-* cp314*-* pp311-*",
        "CIBW_SKIP": "cp312-musllinux_* *-win32",
        "CIBW_ENABLE": "pypy graalpy",
        "CIBW_ARCHS_LINUX": "x86_64 aarch64",
        "CIBW_ARCHS_MACOS": "x86_64,arm64",
        "CIBW_BEFORE_ALL_LINUX": "./ci/install_geos.sh",
        "CIBW_ENVIRONMENT": "GEOS_VERSION=3.13.1 GEOS_INSTALL=/opt/geos PATH=$PATH:/opt/geos/bin",
        "CIBW_ENVIRONMENT_MACOS": "MACOSX_DEPLOYMENT_TARGET=11.0",
        "CIBW_INHERIT": "environment-macos: append; skip: append",
        "CIBW_MANYLINUX_AARCH64_IMAGE": "manylinux2014",
    }
}
HOSTS = {"Linux": System.LINUX, "Darwin": System.MACOS, "Windows": System.WINDOWS}
HOST = Host(HOSTS[platform.system()], platform.machine())
Answer = dict[str, Any]


@pytest.fixture(scope="session")
def cibuildwheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with cibuildwheel, which needs 3.11."""
    folder = tmp_path_factory.mktemp("cibuildwheel") / "env"
    made = uv("venv", "--quiet", "--no-python-downloads", "--python", ">=3.11", str(folder))
    if "No interpreter found" in made.stderr:
        pytest.skip("cibuildwheel needs Python 3.11, and there is none")
    assert made.returncode == 0, made.stderr
    found = folder / ("Scripts/python.exe" if HOST.system is System.WINDOWS else "bin/python")
    installed = uv("pip", "install", "--quiet", "--python", str(found), f"cibuildwheel=={VERSION}")
    assert installed.returncode == 0, installed.stderr
    return found


def uv(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["uv", *words], capture_output=True, text=True, timeout=300, check=False)


def ask(python: Path, jobs: list[Answer]) -> list[Answer]:
    driver = str(DATA / "driver.py")
    told = subprocess.run(
        [python, driver], input=json.dumps(jobs), capture_output=True, text=True, timeout=300, check=False
    )
    assert told.returncode == 0, told.stderr[-3000:]
    return json.loads(told.stdout)  # type: ignore[no-any-return]


def project(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def chosen(folder: Path, system: str, environ: dict[str, str]) -> list[str]:
    """What hwb plans on a machine without a container engine: it lists all, and makes nothing of Linux."""
    configuration = read_configuration(str(folder), Settings(), environ)
    facts = ProjectFacts(read_project(folder).requires_python)
    plan = plan_matrix(facts, configuration, HOST, platform=system)
    return [planned.identifier for planned in plan.targets]


@pytest.mark.parametrize("name", PROJECTS)
def test_real_projects_get_the_same_wheels_and_options(name: str, cibuildwheel: Path, tmp_path: Path) -> None:
    folder = project(tmp_path / name, (DATA / f"{name}.toml").read_text(encoding="utf-8"))
    environ = VARIABLES.get(name, {})
    jobs = [{"folder": str(folder), "platform": system, "environ": environ, "options": True} for system in SYSTEMS]
    answers = ask(cibuildwheel, jobs)
    assert any(answer["identifiers"] for answer in answers)
    for system, answer in zip(SYSTEMS, answers):
        assert chosen(folder, system, environ) == answer["identifiers"], system
        for identifier, row in answer["options"].items():
            assert mine(folder, system, environ, identifier) == normal(row), identifier


@pytest.mark.parametrize("name", PROJECTS)
def test_what_cibuildwheel_is_told_means_what_was_configured(name: str, cibuildwheel: Path, tmp_path: Path) -> None:
    """Variables alone, and beside the project's own configuration, give each target the same."""
    text, environ = (DATA / f"{name}.toml").read_text(encoding="utf-8"), VARIABLES.get(name, {})
    folder, bare = project(tmp_path / name, text), project(tmp_path / "bare", CONFIGURED.sub("", text))
    asked = [{"folder": str(folder), "platform": system, "environ": environ, "options": True} for system in SYSTEMS]
    wanted: list[Answer] = []
    jobs: list[Answer] = []
    for job, answer in zip(asked, ask(cibuildwheel, asked)):
        layers = read_configuration(str(folder), Settings(), environ).layers(SYSTEMS[job["platform"]])
        for one in random.Random(0).sample(list(answer["options"]), min(4, len(answer["options"]))):
            environ_told = variables(layers, one)
            found = answer["options"][one]
            wanted += 2 * [{**found, "image": environ_told.get(image_variable(one), "")}]
            jobs += [{**job, "folder": str(at), "environ": environ_told, "of": [one]} for at in (folder, bare)]
    assert jobs
    for job, answer, right in zip(jobs, ask(cibuildwheel, jobs), wanted):
        assert answer["options"] == {job["of"][0]: right}, job["folder"]


CONFIGURED = re.compile(
    r"^\[\[?tool\.cibuildwheel\b.*?(?=^\[\[?(?!tool\.cibuildwheel\b)[a-z]|\Z)", re.MULTILINE | re.DOTALL
)


def image_variable(identifier: str) -> str:
    target = Target.of(identifier)
    return f"CIBW_{target.family}_{target.arch}_IMAGE".upper()


def variables(layers: Any, identifier: str) -> dict[str, str]:
    target = Target.of(identifier)
    found = target_options(layers, target.system, identifier, target.family, target.arch)
    linux = target.system is System.LINUX
    asked = image(found.image or default_policy(target.family, target.arch), target.arch).reference if linux else ""
    return dict(told(layers, target, asked, "docker").variables)


def normal(row: Answer) -> Answer:
    """cibuildwheel's answer as hwb says it: its images are by digest alone, and `default` is a front end of its own."""
    return {**row, "test_extras": row["test_extras"].strip("[]")}


def mine(folder: Path, system: str, environ: dict[str, str], identifier: str) -> Answer:
    layers = read_configuration(str(folder), Settings(), environ).layers(SYSTEMS[system])
    target = Target.of(identifier)
    found = target_options(layers, target.system, identifier, target.family, target.arch)
    passed = [(name, f"'{environ[name]}'") for name in found.environment_pass if name in environ and system == "linux"]
    values = {
        "environment": evaluate([*passed, *found.environment], {"PATH": "bin"}, answered),
        "test_environment": evaluate(found.test_environment, {"PATH": "bin"}, answered),
        "config_settings": " ".join(f"{key}={shlex.quote(value)}" for key, value in found.config_settings),
        "test_extras": ",".join(found.test_extras),
        "frontend": [found.build_frontend or "build", list(found.build_frontend_args)],
        "repair_command": found.repair_command if found.repair_command is not None else REPAIRS[target.system],
        "image": reference(target, found.image),
    }
    same = ("before_all", "before_build", "before_test", "test_command", "build_verbosity")
    lists = ("test_sources", "test_requires", "test_groups")
    return {
        **{name: getattr(found, name) for name in same},
        **{name: list(getattr(found, name)) for name in lists},
        **values,
    }


def answered(command: str, environ: Any) -> str:
    """As the driver's, which is asked for the innermost command first."""
    inner = re.sub(r"\$\(([^()]*)\)", r"answer of \1", command)
    return f"answer of {inner}\n"


def reference(target: Target, asked: str) -> str:
    """Name and digest, without the tag that hwb keeps for people."""
    if target.system is not System.LINUX:
        return ""
    full = image(asked or default_policy(target.family, target.arch), target.arch).reference
    name, at, digest = full.partition("@")
    return f"{name.rpartition(':')[0]}@{digest}" if at else full


PIECES = (
    *("cp3*-*", "cp31?-*", "cp3{10,11}-*", "cp{310..313}-*", "cp3{9,1{0..2}}-*", "cp312-manylinux_x86_64", "cp314t-*"),
    *("cp3??t-*", "pp*", "pp31{1,2}-*", "gp*", "*-manylinux_*", "*-musllinux_*", "*linux_{x86_64,aarch64}", "*_i686"),
    *("*-win32", "*-win_{amd64,arm64}", "*-macosx_*", "*-macosx_{x86,arm}64", "*_universal2", "cp[!3]*", "cp39*"),
    *(
        "*{-win32,-musllinux_{i686,armv7l}}",
        "cp315*",
        "{cp,pp}311-*",
        "*",
        "cp{313",
        "cp3{13}-*",
        "CP312-*",
        "*_x86_{64,}",
    ),
)
ARCHS = (
    "auto",
    "native",
    "all",
    "auto64",
    "auto32",
    "x86_64",
    "ARM64 AMD64",
    "aarch64,ppc64le",
    "universal2 arm64",
    "",
)
ENABLES = ("", "pypy", "pypy graalpy", "pypy-eol cpython-prerelease", "all")


def words(rng: random.Random, most: int) -> str:
    return " ".join(rng.choice(PIECES) for _ in range(rng.randint(0, most)))


def test_generated_selectors_choose_the_same(cibuildwheel: Path, tmp_path: Path) -> None:
    rng = random.Random(20261121)
    requires = ("", ">=3.9", ">=3.11", ">=3.10,<3.14", "!=3.12.*", ">=3.12.4")
    jobs = []
    for number in range(300):
        version = rng.choice(requires)
        table = {
            "build": words(rng, 3),
            "skip": words(rng, 3),
            "archs": rng.choice(ARCHS),
            "enable": rng.choice(ENABLES),
        }
        lines = [f"{name} = {json.dumps(value)}" for name, value in table.items()]
        head = f'[project]\nname = "x"\nversion = "1"\nrequires-python = "{version}"\n' if version else ""
        folder = project(tmp_path / str(number), head + "[tool.cibuildwheel]\n" + "\n".join(lines) + "\n")
        jobs += [{"folder": str(folder), "platform": system, "environ": {}} for system in SYSTEMS]
    answers = ask(cibuildwheel, jobs)
    differences = [
        (Path(job["folder"], "pyproject.toml").read_text(), job["platform"], answer)
        for job, answer in zip(jobs, answers)
        if answer.get("identifiers") != chosen(Path(job["folder"]), job["platform"], {})
    ]
    assert not differences, differences[:3]
    assert 100 < sum(bool(answer["identifiers"]) for answer in answers) < 900


def test_without_configuration_too(cibuildwheel: Path, tmp_path: Path) -> None:
    folder = project(tmp_path / "plain", '[project]\nname = "x"\nversion = "1"\n')
    jobs = [{"folder": str(folder), "platform": system.value, "environ": {}} for system in System]
    for job, answer in zip(jobs, ask(cibuildwheel, jobs)):
        assert chosen(folder, job["platform"], {}) == answer["identifiers"], job["platform"]


def test_the_data_files_are_what_the_generator_writes(cibuildwheel: Path, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    before = {
        path: path.read_bytes() for path in (root / "hwb/matrix/pythons.toml", root / "hwb/isolation/images.toml")
    }
    code = f"import runpy; made = runpy.run_path({str(root / '.ci/make_data.py')!r}); print(made['pythons'](), made['images']())"
    told = subprocess.run([cibuildwheel, "-c", code], capture_output=True, text=True, check=False, env=dict(os.environ))
    assert told.returncode == 0, told.stderr
    for content in before.values():
        for line in content.decode().splitlines()[1:]:
            assert repr(line)[1:-1] in told.stdout or not line, line
