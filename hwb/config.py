"""Which settings hold for this run, and where did each of them come from?

Precedence: options > `HWB_*` variables > `[tool.hwb]` in pyproject.toml > the organisation's hwb.toml > defaults.
`KEYS` is the one table of what exists; everything else here reads it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwb import places
from hwb.errors import ConfigError
from hwb.toml import key_lines, parse_toml, read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["KEYS", "Key", "Settings", "Value", "files", "load", "org_file"]


@dataclass(frozen=True, slots=True)
class Value:
    """A setting's value, and its source: `default`, `pyproject.toml:12`, `HWB_JOBS`, `--jobs`, or a file and line."""

    value: Any
    source: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Type:
    """What a key accepts in words; `check` normalises a TOML value or raises ValueError, `parse` reads a variable."""

    accepts: str
    check: Callable[[Any], Any]
    parse: Callable[[str], Any]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Key:
    """One setting: dots in `name` are tables; a key inside a table or that is one has no environment variable."""

    name: str
    type: _Type
    default: Any
    doc: str

    @property
    def env(self) -> str | None:
        """The variable that sets it, or None."""
        return (
            None
            if "." in self.name or self.type in (_CAPACITIES, _MATRIX)
            else "HWB_" + self.name.upper().replace("-", "_")
        )

    @property
    def attribute(self) -> str:
        """Its name on `Settings`."""
        return self.name.replace("-", "_")


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def _parse_bool(text: str) -> Any:
    return _WORDS.get(text.lower(), text)


def _int(least: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError
        return value

    return check


def _parse_number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ValueError
    return value or None


def _jobs(value: Any) -> str | int:
    return "auto" if value == "auto" else _int(1)(value)


def _str(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _strings(value: Any) -> list[str]:
    if not isinstance(value, list | tuple):
        raise ValueError
    return [_str(item) for item in value]


def _parse_strings(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _command(value: Any) -> str | list[str]:
    found = value if isinstance(value, str) else _strings(value)
    if not found:
        raise ValueError
    return found


def _one_of(*choices: str) -> _Type:
    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError
        return str(value)

    return _Type("one of " + ", ".join(f'"{choice}"' for choice in choices), check, str)


def _reuse(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(_REUSE_WORDS.check(value))


def _matrix(value: Any) -> dict[str, Any]:
    """Its keys are checked by `hwb.matrix.table`; here only that it is a table of what JSON can say too."""
    if not isinstance(value, dict) or not all(_is_plain(item) for item in value.values()):
        raise ValueError
    return value


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(item) for item in value.values())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return isinstance(value, str | int | float | bool)


def _capacities(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        raise ValueError
    return {_str(name): _int(1)(capacity) for name, capacity in value.items()}


_BOOL = _Type("true or false", _bool, _parse_bool)
_COUNT = _Type("a whole number, 0 or more", _int(0), _parse_number)
_POSITIVE = _Type("a whole number, 1 or more", _int(1), _parse_number)
_SECONDS = _Type("a number of seconds (0: no limit)", _seconds, _parse_number)
_JOBS = _Type('a whole number, 1 or more, or "auto"', _jobs, _parse_number)
_STR = _Type("a text that is not empty", _str, str)
_STRINGS = _Type("a list of texts", _strings, _parse_strings)
_COMMAND = _Type("a text or a list of texts", _command, str)
_REUSE_WORDS = _one_of("no", "yes", "never", "always")
_REUSE = _Type(_REUSE_WORDS.accepts + ", true or false", _reuse, str)
_CAPACITIES = _Type("a table of whole numbers, 1 or more", _capacities, str)
_MATRIX = _Type("a table of texts, numbers, lists and tables", _matrix, str)

KEYS: dict[str, Key] = {
    key.name: key
    for key in (
        Key("sessions", _STRINGS, [], "what `hwb run` without a name runs (empty: the defaults of your own recipes)"),
        Key("jobs", _JOBS, "auto", "how many sessions run at the same time"),
        Key("reuse-venv", _REUSE, "no", "whether environments are used again, with nox's meaning of the four words"),
        Key("default-venv-backend", _STR, "uv|virtualenv", "what makes environments; the first that works"),
        Key("container-engine", _one_of("auto", "docker", "podman", "none"), "auto", "what runs containers"),
        Key("isolation", _one_of("auto", "venv", "none"), "auto", "where a session's commands run"),
        Key("python", _STR, None, "the Python of sessions that name none (unset: the one hwb runs on)"),
        Key("output-dir", _STR, "dist", "where finished distributions are put, relative to the project"),
        Key("timeout", _SECONDS, None, "seconds a session may take"),
        Key("run-timeout", _SECONDS, None, "seconds the whole run may take"),
        Key("idle-timeout", _SECONDS, None, "seconds a command may print nothing"),
        Key("retries", _COUNT, 0, "how often a failed session is tried again"),
        Key("stop-on-first-error", _BOOL, False, "start nothing more after the first failure"),
        Key("error-on-external-run", _BOOL, False, "refuse programs from outside the environment not marked external"),
        Key("offline", _BOOL, False, "never use the network"),
        Key("secrets", _STRINGS, [], "names of variables whose values are masked and given only to who asks"),
        Key("keep-runs", _POSITIVE, 20, "how many runs are kept under .hwb/runs"),
        Key("resources", _CAPACITIES, {}, "how much of each named resource sessions may use at the same time"),
        Key("matrix", _MATRIX, {}, "which wheels the project needs, and how each is made: see the matrix page"),
        Key(
            "build.env-pass",
            _STRINGS,
            [],
            "variables that build hooks get beside the usual ones; patterns such as MY_*",
        ),
        Key("build.include", _STRINGS, [], "patterns of files that git ignores and that are sources nevertheless"),
        Key("build.frontend", _one_of("hwb", "build", "uv"), "hwb", "what asks the build backend"),
        Key("test.command", _COMMAND, [], "how the project's own tests are run (unset: the wheel is imported)"),
        Key("test.requires", _STRINGS, [], "what those tests need installed"),
        Key("publish.registry", _one_of("local"), "local", "where wheels are published"),
        Key("publish.path", _STR, None, "the folder of the local index (unset: .hwb/index in the project)"),
    )
}
"""Everything that can be set."""

_TABLES = frozenset(name.partition(".")[0] for name in KEYS if "." in name)
_BY_ENV = {key.env: key for key in KEYS.values() if key.env}
_BY_ATTRIBUTE = {key.attribute: name for name, key in KEYS.items()} | {table: table for table in _TABLES}
_RESERVED = ("HWB_TEST_", "HWB_FRESH_")
_RESERVED_NAMES = frozenset(
    ("HWB_RUN", "HWB_CACHE_DIR", "HWB_ORG_FILE", "HWB_CURRENT_SESSION", "HWB_HWBFILE_ENVIRONMENT")
)


class Settings:
    """What holds for this run: `settings.jobs`, `settings.get("reuse-venv")`, `settings.source("test.command")`.

    A table's name (`test`, `publish`) gives a dict of its keys. Nothing changes after `load`.
    """

    __slots__ = ("_values", "warnings")

    def __init__(self, values: Mapping[str, Value] | None = None, warnings: Sequence[str] = ()) -> None:
        given = values or {}
        self._values = {name: given.get(name) or Value(_copy(key.default), "default") for name, key in KEYS.items()}
        self.warnings = list(warnings)

    def get(self, key: str) -> Any:
        """The value of a key (KeyError when there is none); `reuse_venv` and `reuse-venv` are the same."""
        name = _BY_ATTRIBUTE.get(key, key)
        if name in _TABLES:
            inner = [(full.partition("."), value) for full, value in self._values.items()]
            return {key: value.value for (table, _, key), value in inner if table == name and key}
        return self._values[name].value

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
            parsed = key.type.parse(value) if isinstance(value, str) else value
            found[key.name] = Value(_checked(key, parsed, flag), flag)
    return found


def _from_environment(environ: Mapping[str, str]) -> tuple[dict[str, Value], list[str]]:
    found, warnings = {}, []
    for name in environ:
        if name.startswith("HWB_") and environ[name]:
            key = _BY_ENV.get(name)
            if key is not None:
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
    tool = parse_toml(data, "pyproject.toml").get("tool", {})
    section = tool.get("hwb", {}) if isinstance(tool, dict) else {}
    return _from_table(section, "pyproject.toml", data, ("tool", "hwb"))


def _org_toml(environ: Mapping[str, str], recipes: str | None) -> str:
    recipes = recipes or environ.get("HWB_ORG_FILE")
    folder = os.path.dirname(os.path.abspath(os.path.expanduser(recipes))) if recipes else places.config_dir()
    return os.path.join(folder, "hwb.toml")


def _from_org(environ: Mapping[str, str], recipes: str | None) -> dict[str, Value]:
    path = _org_toml(environ, recipes)
    data = read_bytes(path)
    return {} if data is None else _from_table(parse_toml(data, path), path, data, ())


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
    found = {}
    for name, value in table.items():
        if name in _TABLES:
            if not isinstance(value, dict):
                raise ConfigError(f"{name} must be a table, not {_shown(value)}", where=place.of(name))
            entries = {f"{name}.{inner}": (place.of(name, inner), item) for inner, item in value.items()}
        else:
            entries = {name: (place.of(name), value)}
        for full, (where, item) in entries.items():
            found[full] = Value(_checked(_known(full, where, table=name in _TABLES), item, where), where)
    return found


def _known(name: str, where: str, *, table: bool) -> Key:
    if name in KEYS and ("." in name) == table:
        return KEYS[name]
    names = [*KEYS, *_TABLES]
    if name not in KEYS and name.replace("_", "-") in KEYS:
        remedy = f"write {name.replace('_', '-')}"
    else:
        remedy = _near(name, names, "did you mean {}?") or "known keys: " + ", ".join(names)
    raise ConfigError(f"unknown setting {name!r}", where=where, remedy=remedy)


def _checked(key: Key, value: Any, where: str) -> Any:
    try:
        return key.type.check(value)
    except ValueError:
        what = f"{key.name} must be {key.type.accepts}, not {_shown(value)}"
        words = re.findall(r'"(\w+)"', key.type.accepts) if isinstance(value, str) else []
        raise ConfigError(what, where=where, remedy=_near(str(value), words, "did you mean {}?")) from None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _near(name: str, known: Sequence[str], form: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return form.format(close[0]) if close else ""
