"""Is a project understood from its files alone, and is a mistake in them told with its line?"""

from __future__ import annotations

from pathlib import Path

import pytest

from hwb.errors import AnalyzeError
from hwb.project import BuildSystem, find_root, read_project

PROJECTS = Path(__file__).parents[1] / "projects"
LEGACY = BuildSystem(("setuptools>=40.8.0",), "setuptools.build_meta:__legacy__", ())


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_toml", ".toml").replace("setup_", "setup.")).write_text(text)
    return folder


def test_pyproject() -> None:
    project = read_project(PROJECTS / "pure-hatchling")
    assert (project.name, project.version, project.requires_python) == ("pure-hatchling", "1.0", ">=3.9")
    assert project.build_system == BuildSystem(("hatchling",), "hatchling.build", ())
    assert (project.has_pyproject, project.has_setup_py, project.has_setup_cfg) == (True, False, False)
    assert project.root == str(PROJECTS / "pure-hatchling")
    assert not project.has_extension_modules


def test_setup_py_only() -> None:
    project = read_project(PROJECTS / "setup-py-only")
    assert (project.name, project.version, project.requires_python) == ("setup-py-only", "1.0", "")
    assert project.build_system == LEGACY
    assert project.has_setup_py


def test_in_tree_backend() -> None:
    assert read_project(PROJECTS / "dynamic-requires").build_system == BuildSystem((), "tiny_backend", ("backend",))


def test_setup_cfg(tmp_path: Path) -> None:
    text = "[metadata]\nname = old\nversion = attr: old.__version__\n[options]\npython_requires = >=3.8\n"
    project = read_project(write(tmp_path, setup_cfg=text))
    assert (project.name, project.version, project.requires_python) == ("old", None, ">=3.8")
    assert project.has_setup_cfg


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", LEGACY),
        ("[tool.x]\n", LEGACY),
        (
            '[build-system]\nrequires = ["setuptools", "wheel"]\n',
            BuildSystem(("setuptools", "wheel"), LEGACY.backend, ()),
        ),
    ],
)
def test_defaults_of_pep_517(tmp_path: Path, text: str, expected: BuildSystem) -> None:
    assert read_project(write(tmp_path, pyproject_toml=text)).build_system == expected


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[project\n", 1, "."),
        ('x = 1\n[build-system]\nbuild-backend = "b"\n', 2, r"build-system\.requires is missing \(PEP 518\)"),
        ('[build-system]\nrequires = "x"\n', 2, r"build-system\.requires must be a list of strings"),
        ('[build-system]\nrequires = ["x", "not valid!"]\n', 2, r"no requirement \(PEP 508\): 'not valid!'"),
        ("[build-system]\nrequires = []\nbuild-backend = 1\n", 3, r"build-system\.build-backend must be a string"),
        (
            '[build-system]\nrequires = []\nbackend-path = ["."]\n',
            3,
            r"build-system\.backend-path is given without build-backend",
        ),
        ('build-system.requires = []\n"build-system".x = 1\nproject = 1\n', 3, "project must be a table"),
        ("[project]\nname = 1\n", 2, r"project\.name must be a string"),
        ("[project]\nname = 'x'\ndynamic = 1\n", 3, r"project\.dynamic must be a list"),
        (
            '[project]\nrequires-python = "3.9 or so"\n',
            2,
            r"project\.requires-python is no version specifier \(PEP 440\): ",
        ),
        *(
            (f'[build-system]\nrequires = []\nbuild-backend = "b"\nbackend-path = ["{path}"]\n', 4, "must stay inside")
            for path in ("../x", "/x", "C:/x", "a/../../b")
        ),
    ],
)
def test_mistakes_have_a_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    (tmp_path / "setup.cfg").touch()
    with pytest.raises(AnalyzeError, match=message) as caught:
        read_project(write(tmp_path, pyproject_toml=text))
    assert caught.value.where == f"{tmp_path / 'pyproject.toml'}:{line}"


def test_a_key_that_cannot_be_found_has_its_file(tmp_path: Path) -> None:
    with pytest.raises(AnalyzeError) as caught:
        read_project(write(tmp_path, pyproject_toml="x = {}\nproject.'na\\u006de' = 1\n".replace("'", '"')))
    assert caught.value.where == str(tmp_path / "pyproject.toml")


@pytest.mark.parametrize(("text", "where"), [("name = x\n", ":1"), ("[a]\nx\n", ":2"), ("[a]\n[a]\n", ":2")])
def test_setup_cfg_mistakes(tmp_path: Path, text: str, where: str) -> None:
    with pytest.raises(AnalyzeError, match=r"setup\.cfg cannot be read") as caught:
        read_project(write(tmp_path, setup_cfg=text))
    assert caught.value.where == str(tmp_path / "setup.cfg") + where


def test_setup_cfg_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_bytes(b"[metadata]\nname = \xff\n")
    with pytest.raises(AnalyzeError, match="not UTF-8"):
        read_project(tmp_path)


def test_not_a_project(tmp_path: Path) -> None:
    with pytest.raises(AnalyzeError) as caught:
        read_project(tmp_path)
    assert caught.value.what == f"no pyproject.toml, setup.py or setup.cfg in {tmp_path}"


@pytest.mark.parametrize(
    "text",
    [
        '[build-system]\nrequires = ["maturin"]\nbuild-backend = "maturin"\n',
        '[build-system]\nrequires = ["setuptools", "Cython>=3"]\nbuild-backend = "setuptools.build_meta"\n',
        '[tool.setuptools]\next-modules = [{name = "a", sources = ["a.c"]}]\n',
    ],
)
def test_extension_modules(tmp_path: Path, text: str) -> None:
    assert read_project(write(tmp_path, pyproject_toml=text)).has_extension_modules


def test_extension_modules_in_setup_py() -> None:
    assert read_project(PROJECTS / "c-extension").has_extension_modules


@pytest.mark.parametrize("text", ["tool = 1\n", "[tool]\nsetuptools = 1\n"])
def test_strange_tool_tables_are_other_peoples_business(tmp_path: Path, text: str) -> None:
    assert not read_project(write(tmp_path, pyproject_toml=text)).has_extension_modules


def test_find_root(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    (tmp_path / "a" / "setup.py").touch()
    assert find_root(deep) == str(tmp_path / "a")
    assert find_root("/") is None


def test_a_project_table_with_everything_leaves_older_files_unread(tmp_path: Path) -> None:
    write(
        tmp_path, pyproject_toml='[project]\nname = "a"\nversion = "1"\n', setup_cfg="broken\n", setup_py="print 'a'\n"
    )
    assert read_project(tmp_path)[1:3] == ("a", "1")


def test_what_is_dynamic_comes_from_older_files(tmp_path: Path) -> None:
    write(tmp_path, pyproject_toml='[project]\nname = "a"\ndynamic = ["version"]\n')
    (tmp_path / "setup.py").write_text("setup(name='b', version='2', python_requires='>=3')\n")
    assert read_project(tmp_path)[1:4] == ("a", "2", "")


def test_other_backends_do_not_read_older_files(tmp_path: Path) -> None:
    write(tmp_path, pyproject_toml='[build-system]\nrequires = []\nbuild-backend = "other"\n', setup_cfg="broken\n")
    assert read_project(tmp_path).name is None


def test_reading_a_usual_project_imports_nothing_heavy(unmeasured: dict[str, str]) -> None:
    import subprocess
    import sys

    heavy = [
        "packaging.requirements",
        "packaging.specifiers",
        "ast",
        "configparser",
        "dataclasses",
        "pathlib",
        "hwb.config",
    ]
    code = "import sys; from hwb.project import read_project; read_project(sys.argv[1]); print(*sys.modules)"
    command = [sys.executable, "-c", code, str(PROJECTS / "pure-hatchling")]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=unmeasured, check=True)
    if sys.version_info >= (3, 11):
        assert set(heavy) & set(done.stdout.split()) == set()
    assert "hwb.project" in done.stdout.split()
