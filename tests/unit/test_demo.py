"""Is the demo repository the same everywhere, whatever the user's git is set to?"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hwb import demo
from hwb.errors import ToolNotFound, UsageError
from hwb.places import templates_dir

git_needed = pytest.mark.git


def git(directory, *arguments):
    return subprocess.run(["git", *arguments], cwd=directory, check=True, capture_output=True, text=True).stdout


@git_needed
@pytest.mark.parametrize("c_extension", [False, True])
def test_a_clean_repository_with_every_file_of_the_template(tmp_path, c_extension):
    commits = demo.make_demo(str(tmp_path / "demo"), c_extension=c_extension)
    template = templates_dir() / ("demo-c" if c_extension else "demo")
    shipped = {str(path.relative_to(template)) for path in demo._files(template)}
    assert set(git(tmp_path / "demo", "ls-files").split()) == {name.replace(os.sep, "/") for name in shipped}
    assert ".gitignore" in shipped
    assert git(tmp_path / "demo", "status", "--porcelain") == ""
    assert git(tmp_path / "demo", "branch", "--show-current").strip() == "main"
    subjects = git(tmp_path / "demo", "log", "--reverse", "--format=%s").splitlines()
    assert [commit.split(" ", 1)[1] for commit in commits] == subjects
    assert all(subject.partition(":")[0] in ("chore", "feat", "test", "docs") for subject in subjects)


@git_needed
def test_the_same_hashes_under_a_hostile_configuration(tmp_path, monkeypatch):
    first = demo.make_demo(str(tmp_path / "first"))
    hostile = tmp_path / "gitconfig"
    hostile.write_text(
        "[commit]\ngpgsign = true\n[core]\nautocrlf = true\n[user]\nname = X\n[init]\ndefaultBranch = trunk\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(hostile))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    (tmp_path / "second").mkdir()
    assert demo.make_demo(str(tmp_path / "second")) == first
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("make", ["file", "full"])
def test_what_is_there_is_not_touched(tmp_path, make):
    target = tmp_path / "demo"
    if make == "file":
        target.write_text("mine")
    else:
        target.mkdir()
        (target / "mine").touch()
    with pytest.raises(UsageError) as caught:
        demo.make_demo(str(target))
    assert "hwb demo" in caught.value.remedy


def test_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolNotFound) as caught:
        demo.make_demo(str(tmp_path / "demo"))
    assert caught.value.exit_code == 3
    assert "Debian" in caught.value.remedy
    assert not (tmp_path / "demo").exists()


def test_compiled_files_of_an_installed_template_are_left_out(tmp_path):
    (tmp_path / "a" / "__pycache__").mkdir(parents=True)
    (tmp_path / "a" / "__pycache__" / "x.pyc").touch()
    (tmp_path / "a" / "x.py").touch()
    assert list(demo._files(tmp_path)) == [tmp_path / "a" / "x.py"]


@git_needed
def test_the_template_of_a_hwbfile_works_in_it(tmp_path):
    demo.make_demo(str(tmp_path / "demo"))
    (tmp_path / "demo" / "hwbfile.py").write_bytes((templates_dir() / "hwbfile.py").read_bytes())
    command = [sys.executable, "-m", "hwb", "--directory", "demo", "sessions", "--list"]
    environ = {**os.environ, "PYTHONPATH": str(templates_dir().parent)}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "sizes" in done.stdout
