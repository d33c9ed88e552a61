"""Which value of an option counts when several places set it?

Lowest first: cibuildwheel's defaults, `[tool.cibuildwheel]`, its table for the system, its overrides whose `select`
fits, `CIBW_*`, `CIBW_*_LINUX` and so on, and above them the same three places of `[tool.hwb.matrix]`. A higher value
replaces what is below, or is appended or prepended where `inherit` says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from hwb.errors import ConfigError
from hwb.matrix.forms import (
    COMMANDS,
    ENVIRONMENT,
    EXTRAS,
    FIELDS,
    PLAIN,
    QUOTED,
    SETTINGS,
    WORDS,
    Form,
)
from hwb.matrix.selectors import matches
from hwb.target import System

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["OPTIONS", "SELECTION", "Found", "Layer", "Option", "check_layer", "defaults", "look_up", "near"]


class Option(NamedTuple):
    """One option: its form, its default, and the three ways in which a few differ from all others."""

    form: Form
    default: str = ""
    by_system: bool = True
    """Whether `CIBW_NAME_LINUX` exists beside `CIBW_NAME`."""
    ignores_empty: bool = False
    adds: bool = False
    """Whether a variable adds to the files by itself."""


_IMAGE = Option(PLAIN, ignores_empty=True)
OPTIONS: dict[str, Option] = {
    "build": Option(WORDS, "*", by_system=False),
    "skip": Option(WORDS, by_system=False),
    "test-skip": Option(WORDS, by_system=False),
    "enable": Option(WORDS, by_system=False, adds=True),
    "archs": Option(WORDS, "auto", ignores_empty=True),
    "before-all": Option(COMMANDS),
    "before-build": Option(COMMANDS),
    "before-test": Option(COMMANDS),
    "repair-wheel-command": Option(COMMANDS),
    "test-command": Option(COMMANDS),
    "test-sources": Option(QUOTED),
    "test-requires": Option(QUOTED),
    "test-extras": Option(EXTRAS),
    "test-groups": Option(WORDS),
    "test-environment": Option(ENVIRONMENT),
    "test-runtime": Option(FIELDS),
    "environment": Option(ENVIRONMENT),
    "environment-pass": Option(WORDS),
    "config-settings": Option(SETTINGS),
    "build-frontend": Option(FIELDS, "default", by_system=False),
    "build-verbosity": Option(PLAIN, "0"),
    "dependency-versions": Option(FIELDS, "pinned"),
    "container-engine": Option(FIELDS, "docker"),
    "audit-requires": Option(QUOTED, "abi3audit"),
    "audit-command": Option(COMMANDS, "abi3audit --strict --report {abi3_wheel}"),
    "xbuild-tools": Option(QUOTED),
    "xbuild-files": Option(FIELDS),
    "pyodide-version": Option(PLAIN, by_system=False),
    **{
        f"manylinux-{arch}-image": _IMAGE
        for arch in ("x86_64", "i686", "aarch64", "ppc64le", "s390x", "armv7l", "riscv64")
    },
    **{f"manylinux-pypy_{arch}-image": _IMAGE for arch in ("x86_64", "i686", "aarch64")},
    **{
        f"musllinux-{arch}-image": _IMAGE
        for arch in ("x86_64", "i686", "aarch64", "ppc64le", "s390x", "armv7l", "riscv64")
    },
}
"""Every option of cibuildwheel 4.3.3 that a file may set, by its name there."""
REPAIRS = {
    System.LINUX: "auditwheel repair -w {dest_dir} {wheel}",
    System.MACOS: "delocate-wheel --require-archs {delocate_archs} -w {dest_dir} -v {wheel}",
    System.WINDOWS: "delvewheel repair -w {dest_dir} -v {wheel}",
    System.ANDROID: "auditwheel repair --ldpaths {ldpaths} -w {dest_dir} {wheel}",
}
"""The defaults of `repair-wheel-command`: written down, they ask for what hwb does anyway; `inherit` adds to them."""
SELECTION = frozenset(("build", "skip", "test-skip", "enable", "archs"))
"""Options that choose targets: they hold for a system, not for one target, so that overrides have no say in them."""
RULES = ("none", "append", "prepend")


def _nowhere(_: str) -> str:
    return ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Layer:
    """What one place sets: raw values by option, `inherit` rules, and for which identifiers (`select`, empty: all)."""

    values: Mapping[str, Any]
    rules: Mapping[str, str] = field(default_factory=dict)
    select: str = ""
    place: Callable[[str], str] = _nowhere
    """Says `file:line` of an option, or the variable's name."""


def defaults(system: System) -> Layer:
    """The lowest layer: defaults that depend on the system."""
    return Layer({"repair-wheel-command": REPAIRS.get(system)})


class Found(NamedTuple):
    """An option's value as text, and the highest place that had a part in it (empty: nobody set it)."""

    text: str
    where: str = ""

    def __bool__(self) -> bool:
        return bool(self.text)


def look_up(name: str, layers: Iterable[Layer], identifier: str = "") -> Found:
    """The value for one identifier; without one overrides do not count. Raises ConfigError with the value's place."""
    option = OPTIONS.get(name, _IMAGE)
    found = Found(option.default)
    for layer in layers:
        value = layer.values.get(name)
        if value is None or (option.ignores_empty and not value and value is not False):
            continue
        if layer.select and not (identifier and matches(layer.select, identifier)):
            continue
        found = Found(_joined(name, option.form, found.text, value, layer), layer.place(name))
    return found


def _joined(name: str, form: Form, before: str, value: Any, layer: Layer) -> str:
    try:
        text = form.text(value)
        rule = layer.rules.get(name, "none")
        if rule == "append":
            return form.merged(before, text)
        return form.merged(text, before) if rule == "prepend" else text
    except ValueError as error:
        raise ConfigError(f"{name} {error}", where=layer.place(name)) from error


def check_layer(layer: Layer, names: Iterable[str], table: str) -> None:
    """Raise ConfigError for a name in values or rules that is none of `names`, and for a value of the wrong form."""
    known = list(names)
    told = [(name, name) for name in layer.values] + [(name, "inherit") for name in layer.rules]
    for name, key in told:
        if name not in known:
            raise ConfigError(f"unknown option {name!r} in {table}", where=layer.place(key), remedy=near(name, known))
    for name, value in layer.values.items():
        _joined(name, OPTIONS.get(name, _IMAGE).form, "", value, Layer({}, place=layer.place))


def near(name: str, known: Iterable[str]) -> str:
    """`did you mean ...?`, or all that is known."""
    from difflib import get_close_matches

    names = list(known)
    close = get_close_matches(name.replace("_", "-"), names, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else "known: " + ", ".join(names)
