"""Does the build compile something, in which languages, and how is that known?

What the backend is told comes first; only where that leaves it open do file names decide (C sources lie about in many
pure projects). Folders that never hold a project's own extension sources are not looked into.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from hwb.analysis.backends import known_backend
from hwb.analysis.pyproject import subtable
from hwb.analysis.requirements import name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["IGNORED", "LANGUAGES", "Extensions", "declared", "detect", "languages_in"]

LANGUAGES = {
    "c": (".c", ".h"),
    "cpp": (".cpp", ".cxx", ".cc", ".hpp"),
    "rust": (),
    "cython": (".pyx", ".pxd"),
    "fortran": (".f", ".f90", ".f95", ".for"),
    "cuda": (".cu", ".cuh"),
}
"""Languages in the order they are reported, by file suffix; rust is a Cargo.toml."""
IGNORED = frozenset(
    (
        *("venv", "env", "test", "tests", "testing", "doc", "docs", "build", "dist", "node_modules", "__pycache__"),
        *("examples", "templates"),
    )
)
"""Folders (besides hidden ones, *.egg-info and virtual environments) that file names are not taken from."""
_SUFFIXES = {suffix: language for language, suffixes in LANGUAGES.items() for suffix in suffixes}
_COMPILING_REQUIRES = {
    "cython": "cython",
    "cffi": "c",
    "pybind11": "cpp",
    "nanobind": "cpp",
    "mypy": "c",
    "hatch-mypyc": "c",
    "hatch-cython": "cython",
    "setuptools-rust": "rust",
    "scikit-build": None,
    "scikit-build-core": None,
}
_SETUP_PY_WORDS = {
    "ext_modules": None,
    "Extension": None,
    "cythonize": "cython",
    "cffi_modules": "c",
    "rust_extensions": "rust",
    "RustExtension": "rust",
    "mypycify": "c",
    "Pybind11Extension": "cpp",
    "CMakeExtension": None,
    "CUDAExtension": "cuda",
}
_WORD = rf"(?m)^[^#\n]*?\b({'|'.join(_SETUP_PY_WORDS)})\b(?! *= *(?:None|\[\]))"
_HATCH_HOOKS = {"mypyc": "c", "cython": "cython", "scikit-build": None}
_MESON_PROJECT = r"(?m)^\s*project\s*\(\s*'[^']*'((?:\s*,\s*\[?\s*'\w+'\s*\]?)*)"
_MESON_LANGUAGES = {"c": "c", "cpp": "cpp", "rust": "rust", "cython": "cython", "fortran": "fortran", "cuda": "cuda"}


class Extensions(NamedTuple):
    """`compiles` is None where the settings leave it open; `reasons` say how the answer is known."""

    compiles: bool | None
    languages: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def declared(folder: str, backend: str, requires: tuple[str, ...], data: Mapping[str, Any]) -> Extensions:
    """What the settings say, without a look at the sources (cheap: the engine asks this for every build)."""
    known = known_backend(backend)
    tool = subtable(data, "tool")
    found = list(_from_settings(known.name if known else "", requires, tool))
    if known is None or known.name in ("setuptools", "pbr"):
        found += _from_setup_py(os.path.join(folder, "setup.py"))
    if known is not None and known.name == "meson-python":
        return _from_meson(folder)
    if (
        known is not None
        and known.name == "scikit-build-core"
        and subtable(tool, "scikit-build", "wheel").get("cmake") is False
    ):
        return Extensions(False, (), ("tool.scikit-build.wheel.cmake = false",))
    if known is not None and known.compiles:
        found.append((f"{known.name} compiles", "rust" if known.name == "maturin" else None))
    if found:
        languages = {language for _, language in found if language}
        return Extensions(True, _ordered(languages), tuple(dict.fromkeys(reason for reason, _ in found)))
    if known is not None and _cannot_compile(known.name, known.compiles, tool):
        return Extensions(False, (), (f"{known.name} is not told to compile anything",))
    return Extensions(None)


def _from_settings(name: str, requires: tuple[str, ...], tool: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    for text in requires:
        if (distribution := name_of(text)) in _COMPILING_REQUIRES:
            yield f"build-system.requires has {distribution}", _COMPILING_REQUIRES[distribution]
    modules = subtable(tool, "setuptools").get("ext-modules")
    if isinstance(modules, list) and modules:
        for module in modules:
            sources = module.get("sources", ()) if isinstance(module, dict) else ()
            for language in languages_in(str(source) for source in sources) or (None,):
                yield "tool.setuptools.ext-modules", language
    if name == "hatchling":
        for hook in _hatch_hooks(tool) & _HATCH_HOOKS.keys():
            yield f"hatch build hook {hook}", _HATCH_HOOKS[hook]


def _hatch_hooks(tool: Mapping[str, Any]) -> set[str]:
    build = subtable(tool, "hatch", "build")
    hooks = set(subtable(build, "hooks"))
    for target in subtable(build, "targets"):
        hooks |= set(subtable(build, "targets", target, "hooks"))
    return hooks


def _from_setup_py(path: str) -> Iterator[tuple[str, str | None]]:
    """Words that only a setup.py which compiles has; comments do not count."""
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            text = handle.read()
    except OSError:
        return
    for found in re.finditer(_WORD, text):
        line = text.count("\n", 0, found.start(1)) + 1
        yield f"setup.py:{line} {found[1]}", _SETUP_PY_WORDS[found[1]]


def _from_meson(folder: str) -> Extensions:
    """Languages are arguments of `project()`; a project without any has only Python files."""
    try:
        with open(os.path.join(folder, "meson.build"), encoding="utf-8", errors="replace") as handle:
            text = handle.read()
    except OSError:
        return Extensions(True, (), ("meson-python compiles",))
    found = re.search(_MESON_PROJECT, text)
    names = re.findall(r"'(\w+)'", found[1]) if found else []
    names += re.findall(r"add_languages\s*\(\s*'(\w+)'", text)
    if found and not names:
        return Extensions(False, (), ("meson.build: project() names no language",))
    languages = {_MESON_LANGUAGES[name] for name in names if name in _MESON_LANGUAGES}
    return Extensions(True, _ordered(languages), ("meson.build: project()",))


def _cannot_compile(name: str, compiles: bool | None, tool: Mapping[str, Any]) -> bool:
    """A backend that compiles on request only, and was not asked."""
    if compiles is False:
        return True
    if name == "hatchling":
        return not _hatch_hooks(tool)
    if name == "pdm":
        build = subtable(tool, "pdm", "build")
        return not ({"run-setuptools", "setup-script", "custom-hook"} & build.keys())
    return name == "poetry" and "build" not in subtable(tool, "poetry")


def detect(folder: str, told: Extensions, *, setup_py_decides: bool) -> Extensions:
    """The whole answer: what the settings say, completed or, where they say nothing, replaced by file names.

    `setup_py_decides`: a setup.py was understood completely, so that what it does not compile is not compiled.
    """
    if told.compiles is False or (told.compiles is None and setup_py_decides):
        reasons = told.reasons or ("setup.py has no extension modules",)
        return Extensions(False, (), reasons)
    seen = dict(_seen(folder))
    if "cpp" in seen and seen.get("c", "").endswith(".h"):
        del seen["c"]  # headers of C++ sources
    if told.compiles:
        return Extensions(True, _ordered({*told.languages, *seen}), told.reasons)
    return Extensions(bool(seen), _ordered(set(seen)), tuple(f"file {path}" for path in seen.values()))


def _seen(folder: str) -> Iterator[tuple[str, str]]:
    """`(language, a file of it)`; sources after headers, so that a real source is what is shown."""
    headers: list[tuple[str, str]] = []
    sources: list[tuple[str, str]] = []
    for path in _files(folder):
        name = os.path.basename(path)
        suffix = _suffix(name)
        language = "rust" if name == "Cargo.toml" else _SUFFIXES.get(suffix)
        if language:
            (headers if suffix in (".h", ".hpp", ".pxd", ".cuh") else sources).append((language, path))
    yield from headers
    yield from reversed(sources)


def _files(folder: str) -> Iterator[str]:
    """Relative paths with slashes, sorted, without the folders that hold no extension sources."""
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_ignored(here, name))
        for name in sorted(files):
            yield os.path.relpath(os.path.join(here, name), folder).replace(os.sep, "/")


def _is_ignored(here: str, name: str) -> bool:
    if name.startswith(".") or name.lower() in IGNORED or name.endswith(".egg-info"):
        return True
    return os.path.exists(os.path.join(here, name, "pyvenv.cfg"))


def languages_in(paths: Iterator[str]) -> tuple[str, ...]:
    """The languages of source files by their names, in the order of `LANGUAGES`."""
    found = {_SUFFIXES.get(_suffix(path)) for path in paths}
    return _ordered({language for language in found if language})


def _suffix(path: str) -> str:
    _, dot, suffix = path.rpartition(".")
    return dot + suffix.lower()


def _ordered(languages: set[str]) -> tuple[str, ...]:
    return tuple(language for language in LANGUAGES if language in languages)
