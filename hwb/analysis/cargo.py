"""Which Cargo.toml does maturin build, and is its module made for the stable ABI?"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from hwb.analysis.pyproject import load, subtable
from hwb.errors import AnalyzeError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["cargo_limited_api", "read_cargo"]


def read_cargo(folder: str, tool: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Path and content of the manifest; empty when there is none, or it is no TOML (cargo will tell)."""
    named = subtable(tool, "maturin").get("manifest-path")
    candidates = [named] if isinstance(named, str) else ["Cargo.toml", os.path.join("rust", "Cargo.toml")]
    for name in candidates:
        path = os.path.join(folder, name)
        if os.path.isfile(path) and ".." not in name.replace("\\", "/").split("/"):
            try:
                return path, load(path)
            except AnalyzeError:
                return path, {}
    return os.path.join(folder, candidates[0]), {}


def cargo_limited_api(folder: str, tool: Mapping[str, Any]) -> str | None:
    """`cp38` where pyo3 has the feature `abi3-py38` on by default; `abi3` where it names no version."""
    _, data = read_cargo(folder, tool)
    features = _strings(subtable(data, "dependencies", "pyo3").get("features"))
    features += _strings(subtable(data, "workspace", "dependencies", "pyo3").get("features"))
    features += _strings(subtable(tool, "maturin").get("features"))
    found = [match for text in features if (match := re.fullmatch(r"(?:pyo3/)?abi3(?:-py(\d)(\d+))?", text))]
    oldest = next((f"cp{match[1]}{match[2]}" for match in found if match[1]), None)
    return oldest or ("abi3" if found else None)


def _strings(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
