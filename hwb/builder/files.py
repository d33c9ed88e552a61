"""Which files ship that should not, and which do not ship that perhaps should: tree, sdist and wheel compared?"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from hwb.context import current
from hwb.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwb.archive.tars import SdistReader
    from hwb.project import Project
    from hwb.snapshot import Tree

__all__ = ["check_untracked", "foreign", "ignored_remedy", "include_patterns", "reads_only", "tell_ignored"]

_PLAIN = {
    "hatchling.build": r"hatchling\b",
    "flit_core.buildapi": r"flit[-_.]core\b",
    "poetry.core.masonry.api": r"poetry[-_.]core\b",
}
"""Backends that are known not to write into the tree, with their one requirement when no plugin is used."""
_GENERATED = re.compile(r"PKG-INFO|setup\.cfg|setup\.py|pyproject\.toml|\.gitignore|.*\.egg-info(/.*)?")
"""What backends write into an sdist beside the sources."""
_PRODUCTS = re.compile(r".*\.(py[cod]|so|o|a|obj|lib|dll|dylib|c|cpp|egg-link|pdb)|.*~|\..*")
_SHOWN = 5


def reads_only(project: Project, *, release: bool) -> bool:
    """Whether the backend may read the user's own tree: it is known not to write there, and nothing is plugged in."""
    system = project.build_system
    pattern = _PLAIN.get(system.backend)
    if release or pattern is None or system.backend_path:
        return False
    if not all(re.match(pattern, text, re.IGNORECASE) for text in system.requires):
        return False
    return not _plugged(os.path.join(project.root, "pyproject.toml"))


def _plugged(pyproject: str) -> bool:
    """Whether the project's own code takes part: hatchling's hooks and version sources, poetry's build script."""
    from hwb.toml import load_toml

    tool = load_toml(pyproject).get("tool", {})
    hatch, poetry = _table(tool, "hatch"), _table(tool, "poetry")
    build, version = _table(hatch, "build"), _table(hatch, "version")
    targets = [value for value in _table(build, "targets").values() if isinstance(value, dict)]
    hooks = any("hooks" in table for table in (build, *targets))
    return (
        hooks
        or "hooks" in _table(hatch, "metadata")
        or version.get("source", "regex") not in ("regex", "env")
        or "scheme" in version
        or "build" in poetry
    )


def _table(data: Any, name: str) -> dict[str, Any]:
    found = data.get(name) if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}


def include_patterns(project: Project, more: Sequence[str]) -> tuple[str, ...]:
    """Git pathspecs of files that are ignored and ship nevertheless: hatchling's `artifacts`, and the setting's."""
    found = [f":(glob){pattern}" for pattern in more]
    if project.build_system.backend == "hatchling.build" and project.has_pyproject:
        from hwb.toml import load_toml

        tool = load_toml(os.path.join(project.root, "pyproject.toml")).get("tool", {})
        build = _table(_table(tool, "hatch"), "build")
        tables = [build, *(value for value in _table(build, "targets").values() if isinstance(value, dict))]
        lists = [given for table in tables if isinstance(given := table.get("artifacts"), list)]
        listed = [text for texts in lists for text in texts if isinstance(text, str)]
        found += [spec for text in listed if not text.startswith("!") for spec in _pathspecs(text)]
    return tuple(dict.fromkeys(found))


def _pathspecs(pattern: str) -> list[str]:
    """A line of a .gitignore as pathspecs: anchored when it has a slash before its end, anywhere otherwise."""
    plain = pattern.strip("/")
    place = plain if "/" in pattern.rstrip("/") else f"**/{plain}"
    return [f":(glob){place}", f":(glob){place}/**"]


def _inside(sdist: SdistReader) -> set[str]:
    """Names of an sdist's files below its top directory."""
    return {name.partition("/")[2] for name in sdist.names if "/" in name}


def foreign(packed: SdistReader, tree: Tree) -> list[str]:
    """Files of an sdist that are neither sources nor generated: a backend that reads the tree may pick up others."""
    own = {name[len(tree.prefix) :] for name in tree.names() if name.startswith(tree.prefix)}
    parents = {folder for name in own for folder in _parents(name)}
    found = _inside(packed) - own - parents
    return sorted(name for name in found if not _GENERATED.fullmatch(name.rstrip("/")))


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def check_untracked(packed: SdistReader, tree: Tree, *, release: bool) -> None:
    """Tell files that ship although git does not track them. Raises RefusedError for a release."""
    candidates = {name[len(tree.prefix) :] for name in tree.untracked() if name.startswith(tree.prefix)}
    found = sorted(candidates & _inside(packed)) if candidates else []
    if not found:
        return
    listed = ", ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
    what = f"{os.path.basename(packed.path)} ships files that git does not track: {listed}"
    remedy = "git add them, or have them ignored (.gitignore)"
    if release:
        raise RefusedError(what, remedy=remedy, detail="\n".join(found))
    current().emit("message", level="warning", text=f"{what}; {remedy}")


# --- what git ignores ------------------------------------------------------------------------------------------------


def tell_ignored(wheel: str, tree: Tree) -> None:
    """Warn of ignored files among what was packaged: a generated file that a build from the tree would ship."""
    from hwb.archive import open_wheel

    if tree.state is None:
        return
    with open_wheel(wheel) as reader:
        shipped = {name for name in reader.names if not name.endswith("/")}
    folders = {name.rpartition("/")[0] for name in shipped if "/" in name and ".dist-info/" not in name}
    found = [
        name
        for name in _ignored(tree)
        if _lies_among(name, folders) and not _PRODUCTS.fullmatch(name.rpartition("/")[2])
    ]
    lost = [name for name in found if not any(name == s or name.endswith("/" + s) for s in shipped)]
    if lost:
        listed = ", ".join(lost[:_SHOWN]) + (f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else "")
        text = f"git ignores {listed}, so the wheel lacks it; if it belongs there, name it in [tool.hwb.build] include"
        current().emit("message", level="warning", text=text)


def _lies_among(name: str, folders: set[str]) -> bool:
    """Whether a file's directory is one that the wheel has, `src/` and the like in front of it aside."""
    folder = name.rpartition("/")[0]
    return any(folder == known or folder.endswith("/" + known) for known in folders)


def _ignored(tree: Tree) -> list[str]:
    """Files that git ignores, ignored directories as one name, caches and environments left out."""
    from hwb.litter import is_output

    assert tree.state is not None
    code, answer = tree.state.ask("ls-files", "-o", "-i", "--exclude-standard", "--directory", "-z")
    if code:
        return []
    names = [name for name in os.fsdecode(answer).split("\0") if name]
    return [name for name in names if not is_output(name, tree.prefix, frozenset())]


def ignored_remedy(output: str, tree: Tree) -> str:
    """What to say when a failed build speaks of a file that git ignores; empty when it does not."""
    if tree.state is None:
        return ""
    for name in _ignored(tree):
        path = name.rstrip("/")
        if re.search(rf"(?<![\w.-]){re.escape(path)}(?![\w-])", output):
            return f"git ignores {path}, so builds do not see it: name it in [tool.hwb.build] include, or git add -f it"
    return ""
