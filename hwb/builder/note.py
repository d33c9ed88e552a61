"""What is written down after a build, so that the same words need not be thought about again (see `again.py`)?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from hwb.context import current

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwb.builder.options import Dependencies
    from hwb.project import Project
    from hwb.snapshot import Tree

__all__ = ["write_note"]


def write_note(
    words: Sequence[str], cwd: str, out_dir: str, built_from: Dependencies, lines: Sequence[str], *, quiet: bool
) -> None:
    """Keep the note; silently without one where nothing could be handed out by it."""
    from hwb.builder import again
    from hwb.store import open_store

    outer = current().outer_env
    options, tree = built_from.options, built_from.tree
    plain = options.cache and options.isolated and not (options.include or tree.included or options.elsewhere)
    if not (plain and built_from.kept and built_from.source.vcs) or options.local or outer is not os.environ:
        return
    note = {
        "until": built_from.until(),
        "root": tree.root,
        "exclude": [os.path.realpath(out_dir)],
        "git": _git(tree),
        "digest": tree.digest,
        "watched": [[path, again.signature(path)] for path in _watched(built_from)],
        "programs": _programs(built_from.project),
        "files": [[kept.name, kept.sha256, kept.size] for kept in built_from.kept],
        "store": str(open_store().root / "files"),
        "out": os.path.abspath(out_dir),
        "manifest": _manifest(out_dir, [kept.name for kept in built_from.kept]),
        "lines": list(lines),
        "quiet": quiet,
    }
    if note["manifest"]:
        name = os.path.basename(again.note_path(words, cwd, outer))
        open_store().write_json("again", name, value=note)


def _git(tree: Tree) -> dict[str, str] | None:
    if tree.state is None:
        return None
    git = tree.state.repository
    return {
        "program": git.program,
        "top": git.top,
        "dir": git.git_dir,
        "common": git.common_dir,
        "prefix": git.prefix,
    }


def _watched(built_from: Dependencies) -> list[str]:
    """Files outside of the tree that decide what is built, whether they exist or not."""
    from hwb.config import files as config_files
    from hwb.isolation.pipconf import config_files as pip_files

    outer = current().outer_env
    home = outer.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    uv = [outer.get("UV_CONFIG_FILE", ""), os.path.join(home, "uv", "uv.toml"), "/etc/uv/uv.toml"]
    pythons = [os.path.realpath(interpreter.path) for interpreter in built_from.options.pythons]
    more = [built_from.options.lock, os.path.join(built_from.tree.root, ".python-version")]
    return [path for path in (*config_files(built_from.tree.root), *pip_files(outer), *uv, *pythons, *more) if path]


def _programs(project: Project) -> list[list[str]]:
    """git, and for compiled projects the compilers: what is found first on PATH must be what was."""
    from hwb.builder.native import may_compile
    from hwb.which import which

    names = ["git", *(["cc", "c++", "gcc", "g++"] if may_compile(project) else [])]
    path = current().outer_env.get("PATH")
    return [[name, which(name, path) or ""] for name in names]


def _manifest(out_dir: str, names: Sequence[str]) -> dict[str, Any]:
    """The manifest's files, when they speak of nothing else."""
    import json

    found = {}
    for name in ("manifest.json", "SHA256SUMS"):
        with open(os.path.join(out_dir, ".hwb", name), encoding="utf-8") as handle:
            found[name] = handle.read()
    listed = {row["name"] for row in json.loads(found["manifest.json"])["artifacts"]}
    return found if listed == set(names) else {}
