"""How does somebody get a repository to play with? From a template, with a small history that is always the same."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hwb import proc
from hwb.errors import ToolNotFound, UsageError
from hwb.places import templates_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["make_demo"]

_HISTORY = (
    ("chore: start the project", (".gitignore", "README.md", "pyproject.toml")),
    ("feat: greet somebody by name", ("src",)),
    ("test: greet somebody and nobody", ("tests",)),
    ("docs: state the license", (".",)),
)
"""What each commit adds; the last one takes whatever is left."""
_FIRST_DAY = 1_704_110_400
"""2024-01-01 12:00 UTC in Unix time; each commit is a day after the one before."""
_SETTINGS = (
    *("-c", "commit.gpgsign=false"),
    *("-c", "core.autocrlf=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "gc.auto=0"),
)


def make_demo(directory: str, *, c_extension: bool = False) -> list[str]:
    """Make a git repository of the demo project in a directory that is empty or does not exist.

    Returns its commits as `hash subject`, oldest first; the same template always gives the same hashes.
    """
    target = Path(directory)
    _refuse_if_used(target)
    git = proc.which("git")
    if git is None:
        remedy = "install git (Debian, Fedora, Homebrew, winget: the package is called git; winget: Git.Git)"
        raise ToolNotFound("making a demo repository needs git, which is not on the PATH", remedy=remedy)
    _copy(templates_dir() / ("demo-c" if c_extension else "demo"), target)
    return _commit_all(git, target)


def _refuse_if_used(target: Path) -> None:
    if target.is_dir() and not any(target.iterdir()):
        return
    if target.exists() or target.is_symlink():
        what = f"{target} exists and is not an empty directory"
        raise UsageError(what, remedy=f"name another directory: hwb demo {target}-2")


def _copy(template: Path, target: Path) -> None:
    """The template's files with ordinary modes, whatever those of the installed package are."""
    for source in _files(template):
        copy = target / source.relative_to(template)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.read_bytes())


def _files(template: Path) -> Iterator[Path]:
    for source in sorted(template.rglob("*")):
        # installers compile what they install, also templates
        if source.is_file() and "__pycache__" not in source.parts:
            yield source


def _commit_all(git: str, target: Path) -> list[str]:
    run = _git(git, target)
    run("init", "--quiet", "--template=")
    run("symbolic-ref", "HEAD", "refs/heads/main")
    commits = []
    for day, (subject, paths) in enumerate(_HISTORY):
        run("add", "--", *paths)
        run("commit", "--quiet", "--no-verify", "--message", subject, day=day)
        commits.append(f"{run('rev-parse', '--short=10', 'HEAD').strip()} {subject}")
    return commits


def _git(git: str, target: Path) -> Callable[..., str]:
    """A function that runs git there, deaf to the user's configuration and environment."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": "Ada Demo", f"GIT_{role}_EMAIL": "ada@example.invalid"}

    def run(*arguments: str, day: int = 0) -> str:
        moment = f"{_FIRST_DAY + day * 86_400} +0000"
        dated = {**env, "GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
        return proc.run([git, *_SETTINGS, *arguments], cwd=target, env=dated, capture=True, quiet=True).text

    return run
