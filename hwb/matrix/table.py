"""What does `[tool.hwb.matrix]` say, or a TOML or YAML file with the same table?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from hwb.errors import ConfigError
from hwb.matrix.cibuildwheel import inherit_rules, overrides
from hwb.matrix.layers import OPTIONS, SELECTION, Layer, check_layer, near
from hwb.matrix.places import Places
from hwb.target import System, same_arch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ENGINES", "Exclusion", "Own", "own_layers", "python_tags", "read_file", "read_own"]

ENGINES = ("hwb", "cibuildwheel")
"""Who builds a wheel."""
_TABLES = (System.LINUX, System.MACOS, System.WINDOWS)
_PER_TARGET = [name for name in OPTIONS if name not in SELECTION] + ["manylinux", "musllinux", "network", "engine"]
_TOP = ["python", "build", "skip", "test-skip", "enable", "exclude", "overrides", "inherit", *_PER_TARGET]
_EXTRA = {
    System.LINUX: ("architectures",),
    System.MACOS: ("architectures", "universal2", "deployment-target"),
    System.WINDOWS: ("architectures",),
}
_POLICY = re.compile(r"(?:many|musl)?(?:linux)?_?(\d+_\d+|1|2010|2014)")
_PYTHON = re.compile(r"(?P<kind>cp|pp|gp)?(?P<version>3\.?\d+)(?P<suffix>t?(?:_\d+)?)")
NAME = "[tool.hwb.matrix]"


class Exclusion(NamedTuple):
    """One `[[exclude]]`: empty parts fit everything."""

    python: str
    system: System | None
    arch: str
    where: str = ""


class Own(NamedTuple):
    """The table after its own checks; `tables` are the raw values by system, None for what stands above them."""

    python: tuple[str, ...] = ()
    python_where: str = ""
    exclude: tuple[Exclusion, ...] = ()
    universal2: bool = False
    deployment_target: str = ""
    tables: Mapping[System | None, Mapping[str, Any]] = {}
    overrides: tuple[Layer, ...] = ()
    places: Places = Places("", "", ())


def read_file(path: str) -> tuple[dict[str, Any], Places]:
    """The table of a file: the whole of it, or its `tool.hwb.matrix`. YAML needs PyYAML. Raises ConfigError."""
    from hwb.toml import parse_toml, read_bytes

    data = read_bytes(path)
    if data is None:
        raise ConfigError(f"there is no file {path}", remedy="name a TOML or YAML file with the table of the matrix")
    yaml = path.lower().endswith((".yaml", ".yml"))
    table = _yaml(data, path) if yaml else parse_toml(data, path)
    prefix: tuple[str, ...] = ()
    if "tool" in table:
        prefix = ("tool", "hwb", "matrix")
        table = _inside(table, prefix, path)
    return table, Places(path, "" if yaml else data.decode("utf-8-sig"), prefix)


def _inside(found: Any, prefix: tuple[str, ...], path: str) -> dict[str, Any]:
    for name in prefix:
        found = found.get(name, {}) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        raise ConfigError(f"{'.'.join(prefix)} must be a table", where=path)
    return found


def _yaml(data: bytes, path: str) -> dict[str, Any]:
    try:
        import yaml  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError as error:
        remedy = "install PyYAML beside hwb, or write the table as TOML"
        raise ConfigError("a YAML file cannot be read without PyYAML", where=path, remedy=remedy) from error
    try:
        found = yaml.safe_load(data)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark is not None else path
        raise ConfigError(f"malformed YAML: {getattr(error, 'problem', None) or error}", where=where) from error
    if not isinstance(found, dict):
        raise ConfigError("the matrix must be a table", where=path)
    return found


def read_own(table: Mapping[str, Any], places: Places) -> Own:
    """Check the table's own keys. Raises ConfigError with file and line."""
    names = [*_TOP, *(system.value for system in _TABLES)]
    for name in table:
        if name not in names:
            raise ConfigError(f"unknown option {name!r} in {NAME}", where=places.of(name), remedy=near(name, names))
    tables: dict[System | None, Mapping[str, Any]] = {None: table}
    tables.update({system: _inner(table, system, places) for system in _TABLES})
    macos = tables[System.MACOS]
    return Own(
        _pythons(table.get("python", []), places.of("python")),
        places.of("python") if "python" in table else "",
        tuple(_exclusions(table.get("exclude", []), places)),
        _universal2(macos.get("universal2", False), places),
        _deployment_target(macos.get("deployment-target", ""), places),
        tables,
        tuple(_normal(layer) for layer in overrides(table.get("overrides", []), places, _PER_TARGET, NAME)),
        places,
    )


def _inner(table: Mapping[str, Any], system: System, places: Places) -> Mapping[str, Any]:
    inner = table.get(system.value, {})
    if not isinstance(inner, dict):
        raise ConfigError(f"{system.value} must be a table", where=places.of(system.value))
    names = ["inherit", *_EXTRA[system], *(name for name in _PER_TARGET if _fits(name, system))]
    for name in inner:
        if name not in names:
            where = places.of(system.value, name)
            raise ConfigError(f"unknown option {name!r} for {system.value}", where=where, remedy=near(name, names))
    return inner


def _fits(name: str, system: System) -> bool:
    return system is System.LINUX or not name.startswith(("manylinux", "musllinux"))


def _pythons(value: Any, where: str) -> tuple[str, ...]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise ConfigError("python must be a list of texts such as 3.12", where=where)
    return tuple(tag for one in given for tag in python_tags(one, where))


def python_tags(text: str, where: str = "") -> tuple[str, ...]:
    """`3.12`, `cp312`, `3.14t` or `pp311` (or several with commas) as the interpreters' tags: `cp312`, `cp314t`.

    Raises ConfigError.
    """
    tags = []
    for word in text.split(","):
        found = _PYTHON.fullmatch(word.strip().lower())
        if found is None:
            raise ConfigError(f"{word.strip()!r} is no Python", where=where, remedy="write 3.12, 3.14t, cp312 or pp311")
        tags.append((found["kind"] or "cp") + found["version"].replace(".", "") + found["suffix"])
    return tuple(tags)


def _universal2(value: Any, places: Places) -> bool:
    if not isinstance(value, bool):
        raise ConfigError("universal2 must be true or false", where=places.of("macos", "universal2"))
    return value


def _deployment_target(value: Any, places: Places) -> str:
    if value != "" and not (isinstance(value, str) and re.fullmatch(r"\d+\.\d+", value)):
        where = places.of("macos", "deployment-target")
        raise ConfigError('deployment-target must be a text such as "11.0"', where=where)
    return str(value)


def _exclusions(entries: Any, places: Places) -> Iterator[Exclusion]:
    if not isinstance(entries, list):
        raise ConfigError("exclude must be an array of tables", where=places.of("exclude"))
    for number, entry in enumerate(entries):
        yield _exclusion(entry, places, number)


def _exclusion(entry: Any, places: Places, number: int) -> Exclusion:
    where = places.in_array("exclude", number)
    names = ("python", "platform", "arch")
    if not isinstance(entry, dict) or not entry or not all(isinstance(value, str) for value in entry.values()):
        raise ConfigError("an exclude needs texts: python, platform, arch", where=where)
    for name in entry:
        if name not in names:
            place = places.in_array("exclude", number, name)
            raise ConfigError(f"unknown option {name!r} in exclude", where=place, remedy=near(name, names))
    system = _system(entry["platform"], places.in_array("exclude", number, "platform")) if "platform" in entry else None
    tags = python_tags(entry["python"], where) if "python" in entry else ("",)
    if len(tags) != 1:
        raise ConfigError("an exclude names one Python", where=where)
    return Exclusion(tags[0], system, entry.get("arch", ""), where)


def _system(text: str, where: str) -> System:
    for system in System:
        if system.value == text.lower():
            return system
    known = ", ".join(system.value for system in System)
    raise ConfigError(f"{text!r} is no platform", where=where, remedy=f"write one of {known}")


def own_layers(own: Own, system: System) -> tuple[Layer, ...]:
    """The table's three places for a system, with its own names translated to cibuildwheel's. Raises ConfigError."""
    places = own.places

    def inner_place(name: str) -> str:
        return places.of(system.value, name)

    top, inner = own.tables.get(None, {}), own.tables.get(system, {})
    layers = []
    for values, place in ((top, places.of), (inner, inner_place)):
        chosen = {name: value for name, value in values.items() if name in _PER_TARGET or name in SELECTION}
        layer = Layer(chosen, inherit_rules(values.get("inherit"), place("inherit")), "", place)
        check_layer(layer, [*_PER_TARGET, *SELECTION], NAME)
        layers.append(_normal(layer))
    if "architectures" in inner or own.universal2:
        layers.append(_architectures(inner.get("architectures"), own, system, inner_place("architectures")))
    return (*layers, *own.overrides)


def _architectures(value: Any, own: Own, system: System, where: str) -> Layer:
    given = [value] if isinstance(value, str) else value
    if given is not None and not (isinstance(given, list) and all(isinstance(one, str) for one in given)):
        raise ConfigError("architectures must be a list of texts", where=where)
    archs = [same_arch(system, one) for one in given] if given is not None else ["auto"]
    if own.universal2 and system is System.MACOS:
        archs.append("universal2")
    elif given is None:
        return Layer({})
    return Layer({"archs": archs}, {}, "", lambda _: where)


def _normal(layer: Layer) -> Layer:
    """`manylinux = "2_28"` becomes the image of every architecture that has no image of its own in the same place."""
    values, aliases = dict(layer.values), {}
    if (engine := values.get("engine", ENGINES[0])) not in ENGINES:
        raise ConfigError(f"engine must be one of {', '.join(ENGINES)}, not {engine!r}", where=layer.place("engine"))
    for family in ("manylinux", "musllinux"):
        if family in values:
            policy = _policy(family, values.pop(family), layer.place(family))
            for name in OPTIONS:
                if name.startswith(f"{family}-") and "pypy" not in name and name not in values:
                    aliases[name] = policy
    rules = {name: rule for name, rule in layer.rules.items() if name not in aliases}

    def place(name: str) -> str:
        return layer.place(name.partition("-")[0] if name in aliases else name)

    return Layer({**values, **aliases}, rules, layer.select, place)


def _policy(family: str, value: Any, where: str) -> str:
    """`2_28`, `2014` and `manylinux_2_28` name a policy; anything with a slash or colon is an image."""
    if isinstance(value, str) and re.search(r"[/:@]", value):
        return value
    found = _POLICY.fullmatch(value) if isinstance(value, str) else None
    if found is None or (isinstance(value, str) and value[0].isalpha() and not value.startswith(family)):
        example = "2_28" if family == "manylinux" else "1_2"
        raise ConfigError(f'{family} must be a version such as "{example}", or an image', where=where)
    return f"{family}{'_' if '_' in found[1] else ''}{found[1]}"
