"""Which exact files, by their hashes, are the tools that hwb runs in environments of its own?

The text files beside this one are made by `.ci/make_locks.py` from named requirements, for every platform and every
Python from 3.9 on (cibuildwheel's: from 3.11, which it needs); nothing else is installed into a tool's environment.
"""

from __future__ import annotations

import os

__all__ = ["requirement_lines"]


def requirement_lines(name: str) -> list[str]:
    """The requirements of a set (`auditwheel`, `delocate`, ...): a pin, perhaps a marker, and its hashes on each line.

    Raises LookupError for a set that does not exist.
    """
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.txt")
    try:
        with open(path, encoding="utf-8") as handle:
            text = handle.read()
    except FileNotFoundError:
        raise LookupError(f"there is no locked set {name!r}") from None
    joined = text.replace("\\\n", " ").splitlines()
    return [" ".join(line.split()) for line in joined if line.strip() and not line.lstrip().startswith("#")]
