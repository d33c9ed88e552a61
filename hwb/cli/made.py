"""How is shown which files a run made, how large they are, and what was found out about each?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hwb.runner.api import RunResult

__all__ = ["table"]


def table(result: RunResult, folder: str, missing: Sequence[object]) -> Iterator[str]:
    """A line for each file of the output directory that the run made, and one for what is missing."""
    from hwb.artifacts import Ledger
    from hwb.cli.output import size_text

    here = sorted((one for one in result.artifacts if os.path.dirname(one.path) == folder), key=lambda one: one.name)
    if not here:
        return
    verdicts = Ledger.read(os.path.join(result.run_dir, "ledger.jsonl")).verdicts()
    width = max(len(one.name) for one in here)
    yield ""
    for one in here:
        said = dict.fromkeys(v.verdict for v in verdicts if v.sha256 == one.sha256 and v.ok)
        yield f"{one.name:<{width}}  {size_text(one.size):>9}  {', '.join(said)}".rstrip()
    if missing:
        yield f"and {len(missing)} that cannot be made here: hwb matrix --list"
