"""Are the extension modules built for the limited API (PEP 384), so that one wheel serves many Pythons?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwb.analysis.pyproject import subtable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwb.analysis.legacy import Legacy

__all__ = ["limited_api"]


def limited_api(folder: str, backend: str, data: Mapping[str, Any], legacy: Legacy | None) -> str | None:
    """The tag (`cp38`) of the oldest Python served; `abi3` where no version is named; None without limited API."""
    tool = subtable(data, "tool")
    if backend == "maturin":
        from hwb.analysis.cargo import cargo_limited_api

        return cargo_limited_api(folder, tool)
    if backend == "scikit-build-core":
        tag = subtable(tool, "scikit-build", "wheel").get("py-api")
        return tag if isinstance(tag, str) and tag.startswith("cp3") else None
    if backend == "meson-python":
        return "abi3" if subtable(tool, "meson-python").get("limited-api") is True else None
    return _of_setuptools(tool, legacy)


def _of_setuptools(tool: Mapping[str, Any], legacy: Legacy | None) -> str | None:
    """`py_limited_api` of bdist_wheel (setup.cfg, setup.py's options, [tool.distutils]) or of an extension module."""
    tag = subtable(tool, "distutils", "bdist_wheel").get("py-limited-api")
    modules = subtable(tool, "setuptools").get("ext-modules")
    limited = isinstance(modules, list) and any(
        module.get("py-limited-api") is True for module in modules if isinstance(module, dict)
    )
    if legacy is not None:
        options = subtable(legacy.values.get("options"), "bdist_wheel")
        tag = legacy.values.get("py_limited_api") or options.get("py_limited_api") or tag
    if isinstance(tag, str) and tag:
        return tag
    return "abi3" if limited else None
