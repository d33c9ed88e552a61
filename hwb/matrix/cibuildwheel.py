"""What do `[tool.cibuildwheel]` and the `CIBW_*` variables say, and what of it does hwb not honour?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hwb.errors import ConfigError
from hwb.matrix.forms import fields
from hwb.matrix.layers import OPTIONS, RULES, SELECTION, Layer, check_layer, look_up, near
from hwb.target import System

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hwb.matrix.places import Places

__all__ = ["NOT_HONOURED", "file_layers", "inherit_rules", "refuse_what_is_not_honoured", "variable_layers", "warnings"]

TABLE = "[tool.cibuildwheel]"
_SYSTEMS = {system.value: system for system in System}
NOT_HONOURED: dict[str, str] = {
    "audit-requires": "hwb audits with its own hash-locked abi3audit",
    "audit-command": "hwb audits with its own hash-locked abi3audit; an empty text turns that off",
    "container-engine": "hwb's containers are locked down: they take no arguments and never mount the host's files",
    "dependency-versions": "hwb's own tools are hash-locked",
}
"""Options whose value hwb cannot act on, unless it says what hwb does anyway. What is only read on iOS, Android and
Pyodide (`xbuild-tools`, `xbuild-files`, `test-runtime`, `pyodide-version`) is not here: those systems are left to
cibuildwheel, which reads it, and elsewhere it has no effect in cibuildwheel either.
"""


def file_layers(table: Mapping[str, Any], places: Places, system: System) -> tuple[Layer, ...]:
    """`[tool.cibuildwheel]`, its table for the system, and its overrides, lowest first. Raises ConfigError."""
    known = [*OPTIONS, *_SYSTEMS, "inherit", "overrides"]
    for name in table:
        if name not in known:
            raise ConfigError(f"unknown option {name!r} in {TABLE}", where=places.of(name), remedy=near(name, known))
    above = {name: value for name, value in table.items() if name in OPTIONS}
    layers = [Layer(above, inherit_rules(table.get("inherit"), places.of("inherit")), "", places.of)]
    inner = table.get(system.value, {})
    if not isinstance(inner, dict):
        raise ConfigError(f"{system.value} must be a table", where=places.of(system.value))
    layers.append(_of_system(inner, places, system))
    for layer in layers:
        check_layer(layer, OPTIONS, TABLE)
    return (*layers, *overrides(table.get("overrides", []), places, OPTIONS, TABLE))


def _of_system(inner: Mapping[str, Any], places: Places, system: System) -> Layer:
    def place(name: str) -> str:
        return places.of(system.value, name)

    for name in inner:
        if name == "dependency-versions" and system is System.LINUX:
            raise ConfigError(f"{name} cannot be set for linux: images have their own", where=place(name))
        if "linux-" in name and system in (System.MACOS, System.WINDOWS):
            raise ConfigError(f"{name} cannot be set for {system.value}", where=place(name))
    values = {name: value for name, value in inner.items() if name != "inherit"}
    return Layer(values, inherit_rules(inner.get("inherit"), place("inherit")), "", place)


def overrides(entries: Any, places: Places, names: Iterable[str], table: str) -> Iterator[Layer]:
    """The layers of `[[overrides]]`. Raises ConfigError for one without `select`, or with an unknown option."""
    if not isinstance(entries, list):
        raise ConfigError(f"overrides of {table} must be an array of tables", where=places.of("overrides"))
    for number, entry in enumerate(entries):
        yield _override(entry, number, places, names, table)


def _override(entry: Any, number: int, places: Places, names: Iterable[str], table: str) -> Layer:
    def place(name: str) -> str:
        return places.in_array("overrides", number, name)

    if not isinstance(entry, dict):
        raise ConfigError(f"overrides of {table} must be an array of tables", where=place(""))
    select = entry.get("select")
    if isinstance(select, list) and all(isinstance(one, str) for one in select):
        select = " ".join(select)
    if not isinstance(select, str) or not select.strip():
        raise ConfigError(f'an override of {table} needs select = "cp312-*"', where=place("select"))
    values = {name: value for name, value in entry.items() if name not in ("select", "inherit")}
    layer = Layer(values, inherit_rules(entry.get("inherit"), place("inherit")), select, place)
    check_layer(layer, names, table)
    return layer


def inherit_rules(value: Any, where: str) -> dict[str, str]:
    """`{option: none | append | prepend}` from a table or a text such as `environment; skip: prepend`."""
    if value is None:
        return {}
    if isinstance(value, str):
        try:
            value = {name: " ".join(rules) or "append" for name, rules in fields(value).items()}
        except ValueError as error:
            raise ConfigError(f"inherit {error}", where=where) from error
    if not isinstance(value, dict) or not all(rule in RULES for rule in value.values()):
        remedy = 'write inherit.environment = "append"'
        raise ConfigError("inherit must say none, append or prepend for each option", where=where, remedy=remedy)
    return value


def variable_layers(environ: Mapping[str, str], system: System) -> tuple[Layer, ...]:
    """`CIBW_*`, then `CIBW_*_LINUX`. Raises ConfigError for a wrong `CIBW_INHERIT`."""
    rules = inherit_rules(environ.get("CIBW_INHERIT") or None, "CIBW_INHERIT")
    suffixes = {f"{name}-{one}" for name in OPTIONS for one in _SYSTEMS}
    for name in rules:
        if name not in OPTIONS and name not in suffixes:
            raise ConfigError(f"unknown option {name!r}", where="CIBW_INHERIT", remedy=near(name, OPTIONS))
    added = {name: "append" for name, option in OPTIONS.items() if option.adds}
    ending = f"-{system.value}"
    narrower = {name.removesuffix(ending): rule for name, rule in rules.items() if name.endswith(ending)}
    return (
        _of_variables(environ, "", {**added, **rules}, OPTIONS),
        _of_variables(
            environ,
            f"_{system.value.upper()}",
            {**added, **narrower},
            [name for name, option in OPTIONS.items() if option.by_system],
        ),
    )


def _of_variables(environ: Mapping[str, str], ending: str, rules: Mapping[str, str], names: Iterable[str]) -> Layer:
    def variable(name: str) -> str:
        return f"CIBW_{name.upper().replace('-', '_')}{ending}"

    values = {name: environ[variable(name)] for name in names if variable(name) in environ}
    return Layer(values, rules, "", variable)


def refuse_what_is_not_honoured(layers: Iterable[Layer], identifier: str) -> None:
    """Raise ConfigError for a value that would be ignored, with the place it was set at and the way out."""
    known = list(layers)
    for name, reason in NOT_HONOURED.items():
        found = look_up(name, known, identifier)
        if found.where and not _is_what_hwb_does(name, found.text):
            what = f"{name} is not honoured: {reason}"
            remedy = 'remove it, or let cibuildwheel build: engine = "cibuildwheel" in [tool.hwb.matrix]'
            raise ConfigError(what, where=found.where, remedy=remedy)


def _is_what_hwb_does(name: str, text: str) -> bool:
    if name == "container-engine":
        return _only_names_an_engine(text)
    return text == OPTIONS[name].default or (name == "audit-command" and not text)


def _only_names_an_engine(text: str) -> bool:
    """Host files are never mounted, so that asking for that asks for nothing more."""
    try:
        found = fields(text, "name")
    except ValueError:
        return False
    rest = {key.replace("-", "_"): values for key, values in found.items() if key != "name"}
    unmounted = rest.pop("disable_host_mount", ["true"])[-1:] in (["true"], ["True"], ["1"], ["yes"])
    return unmounted and not any(rest.values()) and found.get("name") in (["docker"], ["podman"])


def warnings(layers: Iterable[Layer]) -> Iterator[str]:
    """What cibuildwheel itself ignores, with the place: nothing is lost, and nobody may rely on it."""
    for layer in layers:
        for name in layer.values:
            if layer.select and name in SELECTION:
                yield f"{layer.place(name)}: {name} has no effect in an override"
            elif re.fullmatch(r"manylinux-pypy_\w+-image", name):
                yield f"{layer.place(name)}: {name} has no effect: PyPy is built in the image of its architecture"
