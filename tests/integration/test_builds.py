"""Do real backends build real projects to the same bytes, whoever builds them where, and to what `uv build` makes?"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from hwb import pythons
from hwb.builder.engine import build_project
from hwb.builder.options import BuildOptions, Built, Source
from hwb.errors import BuildError
from hwb.fs import sha256_file
from hwb.wheel import check_file, import_names

pytestmark = [pytest.mark.pypi, pytest.mark.git]

PROJECTS = Path(__file__).parents[1] / "projects"
EPOCH = "1700000000"
PURE = {
    "pure-hatchling": ("pure_hatchling-1.0.tar.gz", "pure_hatchling-1.0-py3-none-any.whl", ("pure_hatchling",)),
    "pure-setuptools": ("pure_setuptools-1.0.tar.gz", "pure_setuptools-1.0-py3-none-any.whl", ("pure_setuptools",)),
    "setup-py-only": ("setup_py_only-1.0.tar.gz", "setup_py_only-1.0-py3-none-any.whl", ("setup_py_only",)),
    "flit": ("flit_pkg-1.0.tar.gz", "flit_pkg-1.0-py2.py3-none-any.whl", ("flit_pkg",)),
    "namespace-package": ("acme_tools-1.0.tar.gz", "acme_tools-1.0-py3-none-any.whl", ("acme.tools",)),
    "dynamic-requires": ("dynamic_requires-1.0.tar.gz", "dynamic_requires-1.0-py3-none-any.whl", ("dynamic_requires",)),
}
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None and sys.platform != "win32", reason="needs a C compiler")


@pytest.fixture(autouse=True)
def _own_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """One store for all tests of this file: environments are made once."""
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "builds-store"))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


def repository(folder: Path, trait: str, *, tag: str = "") -> Path:
    shutil.copytree(PROJECTS / trait, folder)
    who = {f"GIT_{role}_{what}": "x@y" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL", "DATE")}
    env = {**os.environ, **who, "GIT_AUTHOR_DATE": f"@{EPOCH} +0000", "GIT_COMMITTER_DATE": f"@{EPOCH} +0000"}
    commands = [["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"], *([["tag", tag]] if tag else [])]
    for words in commands:
        subprocess.run(["git", "-C", folder, *words], check=True, env=env)
    return folder


def build(root: Path, out: Path, **options: Any) -> Built:
    return build_project(Source(str(root)), str(out), BuildOptions((pythons.running(),), cache=False, **options))


def sums(built: Built) -> list[str]:
    return [sha256_file(path) for path in built.files]


def members(path: str) -> dict[str, bytes | str]:
    if path.endswith(".whl"):
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    found: dict[str, bytes | str] = {}
    with tarfile.open(path) as packed:
        for member in packed:
            stream = packed.extractfile(member) if member.isfile() else None
            found[member.name] = stream.read() if stream else member.linkname
    return found


@pytest.mark.parametrize("trait", PURE)
def test_two_clones_give_the_same_bytes(tmp_path: Path, trait: str) -> None:
    sdist, wheel, modules = PURE[trait]
    one = repository(tmp_path / "one", trait)
    previous = os.umask(0o077)
    try:
        subprocess.run(["git", "clone", "-q", one, tmp_path / "another" / "place"], check=True)
        second = build(tmp_path / "another" / "place", tmp_path / "out2")
    finally:
        os.umask(previous)
    first = build(one, one / "dist")
    assert (os.path.basename(first.sdist or ""), os.path.basename(first.wheels[0])) == (sdist, wheel)
    assert sums(first) == sums(second) == sums(build(one, one / "dist"))
    assert [check_file(path) for path in (first.sdist or "", first.wheels[0])] == [[], []]
    assert import_names(first.wheels[0]) == modules
    status = subprocess.run(["git", "-C", one, "status", "--porcelain"], capture_output=True, text=True, check=True)
    assert status.stdout.replace("?? dist/\n", "") == ""


@pytest.mark.uv
@pytest.mark.parametrize("trait", PURE)
def test_members_are_those_of_uv_build(tmp_path: Path, trait: str) -> None:
    root = repository(tmp_path / "root", trait)
    built = build(root, tmp_path / "ours")
    command = ["uv", "build", "--quiet", "--python", sys.executable, "--out-dir", str(tmp_path / "theirs"), str(root)]
    subprocess.run(command, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH})
    for path in built.files:
        ours, theirs = members(path), members(str(tmp_path / "theirs" / os.path.basename(path)))
        for content in (ours, theirs):
            # this backend writes the names of all variables it sees into its wheel: they must differ
            content.pop("dynamic_requires/environ.txt", None)
            if trait == "dynamic-requires" and path.endswith(".whl"):
                content.pop("dynamic_requires-1.0.dist-info/RECORD")
        assert ours == theirs


@needs_compiler
def test_an_extension_module_has_the_same_bytes_twice(tmp_path: Path) -> None:
    root = repository(tmp_path / "root", "c-extension")
    first, second = build(root, tmp_path / "a"), build(root, tmp_path / "b")
    assert sums(first) == sums(second)
    assert os.path.basename(first.wheels[0]).startswith(
        f"c_extension-1.0-cp{pythons.running().minor.replace('.', '')}-"
    )
    with zipfile.ZipFile(first.wheels[0]) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import c_extension; print(c_extension.answer())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"42\n"


@pytest.mark.skipif(sys.platform == "win32", reason="distutils asks the registry there")
def test_no_compiler_has_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler-gcc")
    with pytest.raises(BuildError) as caught:
        build(PROJECTS / "c-extension", tmp_path / "out")
    assert caught.value.what.startswith("setuptools.build_meta: build_wheel ended with exit code")
    assert "no-such-compiler-gcc" in caught.value.detail
    assert "apt install gcc python3-dev" in caught.value.remedy


def test_the_version_comes_from_git(tmp_path: Path) -> None:
    root = repository(tmp_path / "root", "pure-setuptools", tag="v1.2.3")
    text = (root / "pyproject.toml").read_text().replace("version = ", "dynamic = ['version'] #")
    text = text.replace('["setuptools>=70"]', '["setuptools>=70", "setuptools-scm"]') + "[tool.setuptools_scm]\n"
    (root / "pyproject.toml").write_text(text)
    dirty = build(root, tmp_path / "out", wheel=False)
    assert os.path.basename(dirty.sdist or "").startswith("pure_setuptools-1.2.4.dev0+g")
    subprocess.run(["git", "-C", root, "-c", "user.name=x", "-c", "user.email=x", "commit", "-qam", "y"], check=True)
    subprocess.run(["git", "-C", root, "tag", "v1.3.0"], check=True)
    clean = build(root, tmp_path / "out")
    assert os.path.basename(clean.wheels[0]) == "pure_setuptools-1.3.0-py3-none-any.whl"


@pytest.mark.parametrize("trait", ["pure-hatchling", "pure-setuptools"])
def test_eight_builds_of_one_tree_at_once(tmp_path: Path, trait: str) -> None:
    root = repository(tmp_path / "root", trait)
    code = (
        "import sys; from hwb import pythons; from hwb.builder.engine import build_project;"
        "from hwb.builder.options import BuildOptions, Source;"
        "options = BuildOptions((pythons.running(),), cache=False);"
        "build_project(Source(sys.argv[1]), sys.argv[2], options)"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, root, root / "dist"]) for _ in range(8)]
    assert [process.wait() for process in running] == [0] * 8
    sdist, wheel, _ = PURE[trait]
    assert sorted(os.listdir(root / "dist")) == sorted([sdist, wheel])
    alone = build(root, tmp_path / "alone")
    assert sums(alone) == [sha256_file(root / "dist" / name) for name in (sdist, wheel)]


REAL = (
    "attrs",
    "click",
    "flit-core",
    "idna",
    "markupsafe",
    "packaging",
    "pluggy",
    "pyyaml",
    "requests",
    "six",
    "zope-interface",
)


@pytest.mark.slow
def test_no_real_distribution_is_refused(tmp_path: Path) -> None:

    base = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest"]
    if subprocess.run([*base[:3], "--version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this environment has no pip")
    subprocess.run([*base, tmp_path, "--only-binary", ":all:", *REAL], check=True)
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == len(REAL)
    assert {path.name: check_file(path, ignore=["debug-information"]) for path in paths} == {
        path.name: [] for path in paths
    }
    assert all(import_names(path) for path in paths)
