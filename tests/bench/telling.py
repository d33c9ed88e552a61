"""What do the benchmarks take on their command lines, and how do they show what they measured?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["parse", "table"]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def parse(arguments: list[str], doc: str, known: list[str], *, runs: int) -> argparse.Namespace:
    """`rows` (names), `runs` (at least 1), `json` (a file for every sample, or None)."""
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    parser.add_argument("--rows", default=",".join(known), help=f"some of {', '.join(known)}")
    parser.add_argument("--runs", type=int, default=runs, help=f"measured runs of each command (default {runs})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    options = parser.parse_args(arguments)
    options.rows = options.rows.split(",")
    if unknown := [name for name in options.rows if name not in known]:
        parser.error(f"unknown rows: {', '.join(unknown)}; known: {', '.join(known)}")
    if options.runs < 1:
        parser.error("--runs: at least 1")
    return options
