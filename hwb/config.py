"""Which settings hold for this run, and where did each of them come from?

Precedence: options > `HWB_*` variables > `[tool.hwb]` in pyproject.toml > the organisation's hwb.toml > defaults.
What can be set stands in `hwb.keys.KEYS`, the one table of that; everything here reads it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwb import places
from hwb.errors import ConfigError
from hwb.keys import KEYS, OTHERS, STRATEGY_GROUP, Key, installed_strategies
from hwb.toml import key_lines, parse_toml, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["KEYS", "Key", "Settings", "Value", "files", "load", "org_file"]


@dataclass(frozen=True, slots=True)
class Value:
    """A setting's value, and its source: `default`, `pyproject.toml:12`, `HWB_JOBS`, `--jobs`, or a file and line."""

    value: Any
    source: str


_BY_PATH = {tuple(name.split(".")): key for name, key in KEYS.items() if name != OTHERS}
_BY_PATH["isolation", "strategy"] = KEYS["isolation"]  # which is the short form: a text instead of the table
_TABLES = frozenset(".".join(path[:depth]) for path in _BY_PATH for depth in range(1, len(path)))
_BY_ENV = {key.env: key for key in KEYS.values() if key.env}
_BY_ATTRIBUTE = {key.attribute: name for name, key in KEYS.items()} | {table: table for table in _TABLES}
_RESERVED = ("HWB_TEST_", "HWB_FRESH_")
_RESERVED_NAMES = frozenset(
    ("HWB_RUN", "HWB_CACHE_DIR", "HWB_ORG_FILE", "HWB_CURRENT_SESSION", "HWB_HWBFILE_ENVIRONMENT")
)


class Settings:
    """What holds for this run: `settings.jobs`, `settings.get("reuse-venv")`, `settings.source("test.command")`.

    A table's name (`test`, `isolation.docker`) gives a dict of its keys; `isolation` is the strategy's name. Nothing
    changes after `load`.
    """

    __slots__ = ("_values", "warnings")

    def __init__(self, values: Mapping[str, Value] | None = None, warnings: Sequence[str] = ()) -> None:
        given = values or {}
        self._values = {name: given.get(name) or Value(_copy(key.default), "default") for name, key in KEYS.items()}
        self.warnings = list(warnings)

    def get(self, key: str) -> Any:
        """The value of a key (KeyError when there is none); `reuse_venv` and `reuse-venv` are the same."""
        name = _BY_ATTRIBUTE.get(key, key)
        if name in self._values:
            return self._values[name].value
        if name not in _TABLES:
            raise KeyError(key)
        inner = [(full.rpartition("."), value) for full, value in self._values.items()]
        return {key: value.value for (table, _, key), value in inner if table == name}

    def source(self, key: str) -> str:
        """Where the value came from."""
        return self._values[_BY_ATTRIBUTE.get(key, key)].source

    def items(self) -> Iterator[tuple[str, Value]]:
        """Every key in the table's order, with value and source."""
        return iter(self._values.items())

    def to_json(self) -> dict[str, Any]:
        """Plain data from which `from_json` makes an equal object in another process."""
        changed = {name: [value.value, value.source] for name, value in self.items() if value.source != "default"}
        return {"values": changed, "warnings": self.warnings}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Settings:
        """The opposite of `to_json`."""
        return cls({name: Value(*pair) for name, pair in data["values"].items()}, data["warnings"])

    def __getattr__(self, name: str) -> Any:
        if name not in _BY_ATTRIBUTE:
            raise AttributeError(f"there is no setting {name!r}")
        return self.get(name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]  # holds lists

    def __repr__(self) -> str:
        return f"Settings({self.to_json()['values']!r})"


def _copy(value: Any) -> Any:
    """Defaults that are lists or dicts belong to nobody."""
    return value.copy() if isinstance(value, list | dict) else value


def load(
    root: str,
    *,
    options: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    org_file: str | None = None,
) -> Settings:
    """All layers, highest first; `options` are the command line's (None: not given), `org_file` the recipes file."""
    environment = os.environ if environ is None else environ
    values, warnings = _from_environment(environment)
    found = {**_from_org(environment, org_file), **_from_project(root), **values, **_from_options(options or {})}
    return Settings(found, warnings)


def files(root: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """Every file that `load` may read, whether it exists or not."""
    environment = os.environ if environ is None else environ
    return [os.path.join(root, "pyproject.toml"), _org_toml(environment, None)]


def org_file(environ: Mapping[str, str]) -> str | None:
    """The organisation's recipes: HWB_ORG_FILE (whether it exists or not), else the configuration folder's, if any."""
    chosen = environ.get("HWB_ORG_FILE")
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen))
    usual = os.path.join(places.config_dir(), "recipes.py")
    return usual if os.path.isfile(usual) else None


def _from_options(options: Mapping[str, Any]) -> dict[str, Value]:
    found = {}
    for name, value in options.items():
        if value is not None:
            key = KEYS[_BY_ATTRIBUTE.get(name, name)]
            flag = "--" + key.name
            parsed = key.type.parse(value) if isinstance(value, str) and key.type.parse else value
            found[key.name] = Value(_checked(key, parsed, flag), flag)
    return found


def _from_environment(environ: Mapping[str, str]) -> tuple[dict[str, Value], list[str]]:
    found, warnings = {}, []
    for name in environ:
        if name.startswith("HWB_") and environ[name]:
            key = _BY_ENV.get(name)
            if key is not None and key.type.parse is not None:
                found[key.name] = Value(_checked(key, key.type.parse(environ[name]), name), name)
            elif name not in _RESERVED_NAMES and not name.startswith(_RESERVED):
                warnings.append(f"unknown variable {name}{_near(name, list(_BY_ENV), '; did you mean {}?')}")
    return found, warnings


_MENTION = re.compile(
    rb"""tool["']?\s*\.\s*["']?hwb|^\s*(?:\[\s*["']?tool["']?\s*\]|["']?tool["']?\s*=)""", re.MULTILINE
)
"""`[tool.hwb...]`, `tool.hwb.x =`, `[tool]` and `tool =`: only then the file is worth parsing."""


def _from_project(root: str) -> dict[str, Value]:
    data = read_bytes(os.path.join(root, "pyproject.toml"))
    if data is None or b"hwb" not in data or not _MENTION.search(data):
        return {}
    tool = _parsed(data, "pyproject.toml").get("tool", {})
    section = tool.get("hwb", {}) if isinstance(tool, dict) else {}
    return _from_table(section, "pyproject.toml", data, ("tool", "hwb"))


def _org_toml(environ: Mapping[str, str], recipes: str | None) -> str:
    recipes = recipes or environ.get("HWB_ORG_FILE")
    folder = os.path.dirname(os.path.abspath(os.path.expanduser(recipes))) if recipes else places.config_dir()
    return os.path.join(folder, "hwb.toml")


def _from_org(environ: Mapping[str, str], recipes: str | None) -> dict[str, Value]:
    path = _org_toml(environ, recipes)
    data = read_bytes(path)
    return {} if data is None else _from_table(_parsed(data, path), path, data, ())


_SHORT = re.compile(rb"^\s*(?:hwb\s*\.\s*)?isolation\s*=\s*[\"']", re.MULTILINE)
_LONG = re.compile(rb"^\s*(?:\[[^]\n]*\bisolation\s*[].]|(?:hwb\s*\.\s*)?isolation\s*\.)", re.MULTILINE)


def _parsed(data: bytes, file: str) -> dict[str, Any]:
    """The TOML; for TOML the short form of the strategy and the tables around it are the same key twice."""
    try:
        return parse_toml(data, file)
    except ConfigError as error:
        if _SHORT.search(data) and _LONG.search(data):
            error.remedy = "isolation is a text or a table, not both: write strategy = ... in [tool.hwb.isolation]"
        raise


class _Place:
    """Says `file:line` for a key; the file is scanned at the first question."""

    __slots__ = ("_data", "_file", "_lines", "_prefix")

    def __init__(self, file: str, data: bytes, prefix: tuple[str, ...]) -> None:
        self._file, self._data, self._prefix = file, data, prefix
        self._lines: dict[tuple[str, ...], int] | None = None

    def of(self, *keys: str) -> str:
        """The key's place, or that of the nearest table above it."""
        if self._lines is None:
            self._lines = key_lines(self._data.decode("utf-8-sig"))
        path = self._prefix + keys
        while path and path not in self._lines:
            path = path[:-1]
        return f"{self._file}:{self._lines.get(path, 1)}"


def _from_table(table: Any, file: str, data: bytes, prefix: tuple[str, ...]) -> dict[str, Value]:
    place = _Place(file, data, prefix)
    if not isinstance(table, dict):
        raise ConfigError(f"{'.'.join(prefix)} must be a table", where=place.of())
    found: dict[str, Value] = {}
    others: dict[str, Any] = {}
    for path, value in _leaves(table, (), place):
        where = place.of(*path)
        if path[:-1] == ("isolation",) and isinstance(value, dict) and path[-1] in installed_strategies():
            others[path[-1]] = _checked(KEYS[OTHERS], value, where)
            found.setdefault(OTHERS, Value(others, where))
        else:
            key = _known(path, where, value)
            found[key.name] = Value(_checked(key, value, where), where)
    return found


def _leaves(table: dict[str, Any], above: tuple[str, ...], place: _Place) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Everything in a table that is no table of settings itself, with its path."""
    for name, value in table.items():
        path = (*above, name)
        if ".".join(path) not in _TABLES or "." in name:
            yield path, value
        elif isinstance(value, dict):
            yield from _leaves(value, path, place)
        elif path in _BY_PATH:
            yield path, value
        else:
            raise ConfigError(f"{'.'.join(path)} must be a table, not {_shown(value)}", where=place.of(*path))


def _known(path: tuple[str, ...], where: str, value: Any) -> Key:
    if path in _BY_PATH:
        return _BY_PATH[path]
    name = ".".join(path)
    names = [".".join(known) for known in _BY_PATH] + sorted(_TABLES - KEYS.keys())
    if name not in KEYS and name.replace("_", "-") in KEYS:
        remedy = f"write {name.replace('_', '-')}"
    elif path[:-1] == ("isolation",) and isinstance(value, dict):
        offered = f"no installed distribution offers the strategy {path[-1]!r} (entry points {STRATEGY_GROUP})"
        remedy = _near(path[-1], ("venv", "docker"), "did you mean isolation.{}?") or offered
    else:
        remedy = _near(name, names, "did you mean {}?") or "known keys: " + ", ".join(names)
    raise ConfigError(f"unknown setting {name!r}", where=where, remedy=remedy)


def _checked(key: Key, value: Any, where: str) -> Any:
    try:
        return key.type.check(value)
    except ValueError as error:
        what = f"{key.name} must be {key.type.accepts}, not {_shown(value)}"
        words = re.findall(r'"(\w+)"', key.type.accepts) if isinstance(value, str) else []
        remedy = _near(str(value), words, "did you mean {}?") or str(error)
        raise ConfigError(what, where=where, remedy=remedy) from None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _near(name: str, known: Sequence[str], form: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return form.format(close[0]) if close else ""
