"""What does a build depend on, is its result known already, and how is it remembered?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hwb.context import current

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwb.builder.environments import Environments
    from hwb.builder.options import BuildOptions, Source
    from hwb.builder.results import Kept
    from hwb.project import Project
    from hwb.snapshot import Tree

__all__ = ["Memory"]


class Memory:
    """The results that the store has, as one build sees them."""

    def __init__(
        self, source: Source, tree: Tree, project: Project, options: BuildOptions, environments: Environments
    ) -> None:
        self._source = source
        self._tree = tree
        self._options = options
        self._environments = environments
        self._inputs = _inputs(source, tree, project, options)
        self.why = ""
        self.kept: tuple[Kept, ...] = ()
        """The store's files of this result, once there are any."""

    def handed_out(self, out_dir: str, *, asked: bool = True) -> list[str] | None:
        """The files of a known result, copied into the output directory; None when there is none (or not `asked`)."""
        from hwb.builder import results

        if not asked:
            self.why = "built: as asked, without a look at what is known"
            return None
        if not self._options.isolated:
            self.why = "built: without isolation nothing is known about what the build used"
            return None
        kept = results.find(self._inputs, self._environments.now)
        if kept is None:
            self.why = self.why or self._difference()  # of a second look, the first one's reason
            return None
        os.makedirs(out_dir, exist_ok=True)
        found = results.hand_out(kept, out_dir)
        if found is None:
            self.why = "built: the store's copy of the last result is damaged"
            return None
        self.kept = kept
        results.remember(self._source.key, self._inputs, self._files())
        self.why = "nothing changed since it was built; taken from the store"
        return found

    def _difference(self) -> str:
        from hwb.builder import results

        before = results.last(self._source.key)
        if before is None:
            return "built: for the first time"
        changes = results.differences(before, self._inputs, self._files())
        more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
        return f"built: {', '.join(changes[:3])}{more}" if changes else "built: a build requirement has another version"

    def changes(self) -> list[str]:
        """Everything that is different from the last build, one line each."""
        from hwb.builder import results

        before = results.last(self._source.key)
        return ["first build"] if before is None else results.differences(before, self._inputs, self._files())

    def _files(self) -> dict[str, str]:
        return self._tree.fingerprints()

    def keep(self, paths: Sequence[str]) -> None:
        """Remember what was built from these inputs."""
        from hwb.builder import results

        if self._options.isolated and not (self._options.elsewhere or self._options.prepared):
            self.kept = results.keep(self._inputs, paths, self._environments.used)
        if not self._options.elsewhere:
            results.remember(self._source.key, self._inputs, self._files())


def _inputs(source: Source, tree: Tree, project: Project, options: BuildOptions) -> dict[str, str]:
    """Everything a result depends on, by a name for people (requirements are compared apart)."""
    from json import dumps

    from hwb import __version__
    from hwb.builder.hook_env import chosen, passed
    from hwb.builder.native import compilers, may_compile
    from hwb.fs import sha256_file

    outer, room = {**current().outer_env, **options.env}, options.room
    seen = passed(outer, options.env_pass) if room is None else {**chosen(outer, options.env_pass), **room.environ}
    seen |= options.env
    variables = {f"variable {name}": value for name, value in seen.items()}
    found = {
        "hwb": __version__,
        "sources": tree.digest,
        "directory": tree.prefix,
        "time of the sources": str(tree.epoch),
        "interpreter": ", ".join(interpreter.identity for interpreter in options.pythons),
        "kinds": f"sdist={options.sdist} wheel={options.wheel} from-tree={options.from_tree} of={source.is_sdist}",
        "config settings": dumps(dict(options.config_settings), sort_keys=True),
        "frontend": options.frontend,
        "constraints": "\n".join(options.constraints),
        "lock": sha256_file(options.lock) if options.lock else "",
        "for a release": "yes" if options.release else "no",
        **variables,
    }
    if options.repair is not None:
        found["repair"] = str(options.repair)
    if room is not None:
        found["room"] = room.identity
    elif may_compile(project):
        found["compiler"] = compilers(outer)
        found["variable PATH"] = outer.get("PATH", "")
    return found
