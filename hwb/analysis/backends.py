"""Which build backend is this, can it compile, and can it make editable installs (PEP 660)?"""

from __future__ import annotations

import re
from typing import NamedTuple

from hwb.analysis.requirements import name_of

__all__ = ["BACKENDS", "Known", "backend_name", "editable_support", "known_backend"]


class Known(NamedTuple):
    """What is known of a backend: `compiles` is always, never, or None when its settings decide.

    `editable_since` is the first version with `build_editable`, None where no version has it.
    """

    name: str
    distribution: str
    compiles: bool | None
    editable_since: str | None


BACKENDS = {
    "hatchling": Known("hatchling", "hatchling", None, "0.1"),
    "setuptools": Known("setuptools", "setuptools", None, "64"),
    "flit_core": Known("flit", "flit-core", False, "3.4"),
    "flit_scm": Known("flit", "flit-scm", False, "1.3"),
    "flit": Known("flit", "flit", False, None),
    "pdm.backend": Known("pdm", "pdm-backend", None, "2.0"),
    "pdm.pep517": Known("pdm", "pdm-pep517", None, "1.0"),
    "maturin": Known("maturin", "maturin", True, "0.11"),
    "poetry.core": Known("poetry", "poetry-core", None, "1.0.8"),
    "poetry.masonry": Known("poetry", "poetry", None, "1.1.13"),
    "poetry_dynamic_versioning": Known("poetry", "poetry-dynamic-versioning", None, "0.14"),
    "scikit_build_core": Known("scikit-build-core", "scikit-build-core", True, "0.5"),
    "mesonpy": Known("meson-python", "meson-python", True, "0.13"),
    "uv_build": Known("uv", "uv-build", False, "0.5"),
    "uv": Known("uv", "uv", False, "0.5"),
    "whey": Known("whey", "whey", False, "0.0.18"),
    "pbr": Known("pbr", "pbr", None, "6.0"),
    "jupyter_packaging": Known("jupyter-packaging", "jupyter-packaging", None, "0.12"),
    "py_build_cmake": Known("py-build-cmake", "py-build-cmake", True, "0.0.12"),
    "sipbuild": Known("sip", "sip", True, None),
    "enscons": Known("enscons", "enscons", None, None),
    "pymsbuild": Known("pymsbuild", "pymsbuild", None, "1.0"),
    "trampolim": Known("trampolim", "trampolim", False, None),
}
"""By the module path (before the colon) that build-backend names, or the package it is in."""
_FRIENDLY = ("hatchling", "setuptools", "flit", "pdm", "maturin")


def known_backend(module: str) -> Known | None:
    """The row for a build-backend; the longest dotted prefix counts. None for one this table does not have."""
    parts = module.partition(":")[0].split(".")
    for length in range(len(parts), 0, -1):
        if (row := BACKENDS.get(".".join(parts[:length]))) is not None:
            return row
    return None


def backend_name(module: str) -> str:
    """What people call it; a module named after a well-known one (a wrapper) counts as that; else the module."""
    row = known_backend(module)
    return row.name if row else next((name for name in _FRIENDLY if name in module), module)


def editable_support(module: str, requires: tuple[str, ...]) -> bool | None:
    """Whether the backend has `build_editable` (PEP 660) in a version that `requires` allows; None: not known."""
    row = known_backend(module)
    if row is None:
        return None
    if row.editable_since is None:
        return False
    own = next((text for text in requires if name_of(text) == row.distribution), "")
    limits = re.findall(r"(<=?|===?|~=)\s*([0-9]+(?:\.[0-9]+)*)", own.partition(";")[0])
    first = _release(row.editable_since)
    return all(_reaches(operator, _release(limit), first) for operator, limit in limits)


def _reaches(operator: str, limit: tuple[int, ...], first: tuple[int, ...]) -> bool:
    """Whether what an upper limit allows can be as new as `first`; after == and ~= 1.2 stands for all of 1.2.x."""
    if operator == "<":
        return limit > first
    if operator == "~=":
        limit = limit[:-1]
    return limit >= first[: len(limit)]


def _release(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
