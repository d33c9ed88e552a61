"""Does a workspace build in the order of its needs, each member from what the other one is now?"""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import Project

pytestmark = [pytest.mark.git, pytest.mark.uv]

BACKEND = """
import base64, hashlib, os, tarfile, zipfile

def _name():
    for line in open("pyproject.toml"):
        if line.startswith("name = "):
            return line.split('"')[1]

def build_sdist(folder, config_settings=None):
    name = _name()
    with open("PKG-INFO", "w") as out:
        out.write("Metadata-Version: 2.1\\nName: %s\\nVersion: 1.0\\n" % name)
    with tarfile.open(os.path.join(folder, name + "-1.0.tar.gz"), "w:gz") as archive:
        for one in sorted(os.listdir(".")):
            if not one.startswith("."):
                archive.add(one, name + "-1.0/" + one)
    return name + "-1.0.tar.gz"

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = _name()
    info = name + "-1.0.dist-info/"
    needs = "Requires-Dist: far\\n" if name == "tool" else ""
    files = {
        name + ".py": _code(name),
        info + "METADATA": "Metadata-Version: 2.1\\nName: %s\\nVersion: 1.0\\n%s" % (name, needs),
        info + "WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    rows = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows += "%s,sha256=%s,%d\\n" % (path, digest, len(text.encode()))
    target = name + "-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, target), "w") as archive:
        for path, text in {**files, info + "RECORD": rows + info + "RECORD,,\\n"}.items():
            archive.writestr(path, text)
    return target

def _code(name):
    own = open("code.py").read()
    if name != "app":
        return own
    import tool
    return own + "# built by " + tool.WHAT + "\\n"
"""


@pytest.fixture
def workspace(project: Project, tmp_path: Path) -> Project:
    shutil.rmtree(project.root / ".git")
    project.write('[tool.hwb]\nmembers = ["packages/*"]\n', "pyproject.toml")
    project.write("dist/\n", ".gitignore")
    requires = {"app": '"tool"', "tool": "", "far": ""}
    for name, needed in requires.items():
        project.write(
            f'[build-system]\nrequires = [{needed}]\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            f'[project]\nname = "{name}"\nversion = "1.0"\n' + ('dependencies = ["far"]\n' if name == "tool" else ""),
            f"packages/{name}/pyproject.toml",
        )
        project.write(BACKEND, f"packages/{name}/backend.py")
        project.write("", f"packages/{name}/code.py")
    project.write("import far\nWHAT = 'tool 1 with ' + far.WHAT\n", "packages/tool/code.py")
    project.write("WHAT = 'far 1'\n", "packages/far/code.py")
    for name in list(project.env):
        if name.startswith(("PIP_", "UV_")):
            del project.env[name]
    project.env.update(
        PIP_NO_INDEX="1", PIP_CONFIG_FILE="/dev/null", UV_NO_CONFIG="1", HWB_CACHE_DIR=str(tmp_path / "store")
    )
    for role in ("AUTHOR", "COMMITTER"):
        project.env.update(
            {f"GIT_{role}_NAME": "x", f"GIT_{role}_EMAIL": "x@y", f"GIT_{role}_DATE": "@1600000000 +0000"}
        )
    git(project, "init", "-q", "-b", "main")
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "x")
    return project


def git(project: Project, *words: str) -> None:
    subprocess.run(["git", *words], cwd=project.root, env=project.env, check=True)


def code(project: Project, name: str) -> str:
    (path,) = (project.root / "dist" / name).glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return archive.read(f"{name}.py").decode().strip()


def test_a_member_is_built_with_the_members_it_needs(workspace: Project) -> None:
    done = workspace.hwb("build", "--package", "app")
    assert done.code == 0, done.both
    assert code(workspace, "app") == "# built by tool 1 with far 1"
    assert sorted(path.name for path in (workspace.root / "dist").iterdir()) == ["app", "far", "tool"]
    assert (workspace.root / "dist" / "app" / "app-1.0.tar.gz").is_file()


def test_a_changed_member_is_never_mistaken_for_the_last_one(workspace: Project) -> None:
    """Neither the version nor the file name of `far` changes, and nothing in `app` does."""
    assert workspace.hwb("build", "--all-packages").code == 0
    workspace.write("WHAT = 'far 2'\n", "packages/far/code.py")
    done = workspace.hwb("build", "--all-packages")
    assert done.code == 0, done.both
    assert code(workspace, "app") == "# built by tool 1 with far 2"
    done = workspace.hwb("build", "--all-packages")
    assert done.out.count("nothing changed since it was built") == 3


def test_only_what_changed_and_who_needs_it(workspace: Project) -> None:
    done = workspace.hwb("build", "--changed-since", "main")
    assert (done.code, "no member changed since main" in done.err) == (4, True)
    workspace.write("WHAT = 'far 2'\n", "packages/far/code.py")
    git(workspace, "switch", "-q", "-c", "branch")
    git(workspace, "commit", "-q", "-a", "-m", "y")
    done = workspace.hwb("build", "--changed-since", "main", "--json")
    assert done.code == 0
    assert code(workspace, "app") == "# built by tool 1 with far 2"


def test_a_failure_names_what_was_not_built(workspace: Project) -> None:
    workspace.write("raise SystemExit('broken')\n", "packages/tool/backend.py")
    done = workspace.hwb("build", "--all-packages")
    assert done.code == 1
    assert "tool: " in done.err
    assert "(not built either: app)" in done.err
    assert code(workspace, "far") == "WHAT = 'far 1'"
    assert not (workspace.root / "dist" / "app").exists()


@pytest.mark.parametrize(
    ("words", "told"), [(("--package", "nobody"), "its members are"), (("-o", "x", "--package", "far"), "")]
)
def test_words(workspace: Project, words: tuple[str, ...], told: str) -> None:
    done = workspace.hwb("build", *words)
    assert done.code == (2 if told else 0)
    assert told in done.err
    if not told:
        assert (workspace.root / "x" / "far" / "far-1.0-py3-none-any.whl").is_file()
