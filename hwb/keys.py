"""What can be set, and which values does each setting take?

`KEYS` is the one table of what exists; `hwb.config` finds out what is set, and where.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KEYS", "OTHERS", "STRATEGIES", "STRATEGY_GROUP", "Key", "Type", "installed_strategies"]

STRATEGIES = ("auto", "venv", "docker", "none")
"""The isolation strategies that hwb has itself."""
STRATEGY_GROUP = "hwb.isolation"
"""The entry points that other distributions offer theirs by."""
OTHERS = "isolation.others"
"""The key whose value has the tables of those, by name: `[tool.hwb.isolation.NAME]`."""


class Type(NamedTuple):
    """What a key accepts in words; `check` normalises a TOML value or raises ValueError (with a remedy, if any).

    `parse` reads a variable's text; None for what is no text, a table.
    """

    accepts: str
    check: Callable[[Any], Any]
    parse: Callable[[str], Any] | None = None


class Key(NamedTuple):
    """One setting: dots in `name` are tables; a key inside a table or that is one has no environment variable."""

    name: str
    type: Type
    default: Any
    doc: str

    @property
    def env(self) -> str | None:
        """The variable that sets it, or None."""
        return None if "." in self.name or self.type.parse is None else "HWB_" + self.attribute.upper()

    @property
    def attribute(self) -> str:
        """Its name on `Settings`."""
        return self.name.replace("-", "_")


def installed_strategies() -> list[str]:
    """The names of the isolation strategies that other distributions offer (entry points, not loaded)."""
    from importlib.metadata import entry_points

    return sorted({entry.name for entry in entry_points(group=STRATEGY_GROUP)} - set(STRATEGIES))


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


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ValueError
    return value


def _seconds(value: Any) -> float | None:
    return _number(value) or None


def _processors(value: Any) -> float:
    if not _number(value):
        raise ValueError
    return float(value)


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


def _some_of(*choices: str) -> Type:
    def check(value: Any) -> list[str]:
        found = _strings(value)
        if len(set(found)) != len(found) or not set(found) <= set(choices):
            raise ValueError
        return found

    return Type("a list of " + ", ".join(f'"{choice}"' for choice in choices), check, _parse_strings)


def _one_of(*choices: str) -> Type:
    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError
        return str(value)

    return Type("one of " + ", ".join(f'"{choice}"' for choice in choices), check, str)


def _reuse(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(_REUSE_WORDS.check(value))


def _strategy(value: Any) -> str:
    """Distributions are looked through only for a name that is none of hwb's own."""
    name = _str(value)
    if name not in STRATEGIES:
        installed = installed_strategies()
        if name not in installed:
            raise ValueError(f"there are {', '.join((*STRATEGIES, *installed))}")
    return name


def _memory(value: Any) -> str:
    if re.fullmatch(r"\d+(?:\.\d+)?[bkmg]?b?", _str(value), re.IGNORECASE) is None:
        raise ValueError
    return str(value)


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError
    return {_str(name): text for name, text in value.items()}


def _matrix(value: Any) -> dict[str, Any]:
    """Its keys are checked by who reads it; here only that it is a table of what JSON can say too."""
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


_BOOL = Type("true or false", _bool, _parse_bool)
_COUNT = Type("a whole number, 0 or more", _int(0), _parse_number)
_POSITIVE = Type("a whole number, 1 or more", _int(1), _parse_number)
_PROCESSORS = Type("a number above 0", _processors, _parse_number)
_SECONDS = Type("a number of seconds (0: no limit)", _seconds, _parse_number)
_JOBS = Type('a whole number, 1 or more, or "auto"', _jobs, _parse_number)
_STR = Type("a text that is not empty", _str, str)
_STRINGS = Type("a list of texts", _strings, _parse_strings)
_COMMAND = Type("a text or a list of texts", _command, str)
_REUSE_WORDS = _one_of("no", "yes", "never", "always")
_REUSE = Type(_REUSE_WORDS.accepts + ", true or false", _reuse, str)
_STRATEGY = Type(_one_of(*STRATEGIES).accepts + ", or the name of an installed strategy", _strategy, str)
_MEMORY = Type('an amount such as "8g" or "512m"', _memory, str)
_TEXTS = Type("a table of texts", _texts)
_CAPACITIES = Type("a table of whole numbers, 1 or more", _capacities)
_MATRIX = Type("a table of texts, numbers, lists and tables", _matrix)

KEYS: dict[str, Key] = {
    key.name: key
    for key in (
        Key("sessions", _STRINGS, [], "what `hwb run` without a name runs (empty: the defaults of your own recipes)"),
        Key("jobs", _JOBS, "auto", "how many sessions run at the same time"),
        Key("reuse-venv", _REUSE, "no", "whether environments are used again, with nox's meaning of the four words"),
        Key("default-venv-backend", _STR, "uv|virtualenv", "what makes environments; the first that works"),
        Key("container-engine", _one_of("auto", "docker", "podman", "none"), "auto", "what runs containers"),
        Key("isolation", _STRATEGY, "auto", "where build hooks run; with none, sessions have no environment either"),
        Key("isolation.venv.use-uv", _BOOL, True, "whether uv makes build environments; else virtualenv and pip do"),
        Key("isolation.venv.cache-envs", _BOOL, None, "whether build environments are shared (unset: yes, verified)"),
        Key("isolation.venv.python-path", _STR, None, "the interpreter that is looked at before all others"),
        Key("isolation.venv.env", _TEXTS, {}, "variables that build hooks get"),
        Key("isolation.venv.windows.env", _TEXTS, {"XFORMERS_DISABLED": "1"}, "on Windows: more of them"),
        Key("isolation.venv.windows.python-path", _STR, None, "on Windows: the interpreter instead of the other one"),
        Key("isolation.docker.platform", _one_of("auto", "manylinux", "musllinux"), "auto", "the family of wheels"),
        Key("isolation.docker.manylinux", _STR, None, "the policy, such as 2_28 (unset: the usual one)"),
        Key("isolation.docker.musllinux", _STR, None, "the same for musl (Alpine), such as 1_2"),
        Key("isolation.docker.image", _STR, None, "an image of your own instead of an official one"),
        Key("isolation.docker.dockerfile", _STR, None, "a file, relative to the project: its image is built and used"),
        Key("isolation.docker.architecture", _STR, "x86_64", "the processor that wheels are for, such as aarch64"),
        Key("isolation.docker.oci-platform", _STR, None, "such as linux/arm64 (unset: that of the architecture)"),
        Key("isolation.docker.network", _BOOL, False, "whether hooks reach the network"),
        Key("isolation.docker.memory", _MEMORY, None, "how much memory a container may use"),
        Key("isolation.docker.cpus", _PROCESSORS, None, "how many processors a container may use"),
        Key("isolation.docker.gpu", _BOOL, False, "whether a container gets this machine's GPUs"),
        Key("isolation.docker.gpu-runtime", _STR, "nvidia", "docker's runtime for them"),
        Key("isolation.docker.gpu-devices", _STRINGS, [], "the numbers of those that it gets (empty: all)"),
        Key("isolation.docker.mounts", _TEXTS, {}, "directories of this machine and where a container has them"),
        Key("isolation.docker.env", _TEXTS, {}, "variables of a container's commands"),
        Key("isolation.docker.repair-wheel", _BOOL, True, "whether wheels get libraries and their platform tag"),
        Key("isolation.docker.strip-binaries", _BOOL, True, "whether that drops debug symbols"),
        Key("isolation.docker.auditwheel-policy", _STR, None, "the platform that repaired wheels are for"),
        Key("isolation.docker.auditwheel-exclude", _STRINGS, [], "libraries that are not put into wheels"),
        Key(OTHERS, _MATRIX, {}, "`[tool.hwb.isolation.NAME]`: what an installed strategy is told"),
        Key("python", _STR, None, "the Python of sessions that name none (unset: .python-version, or hwb's own)"),
        Key("download-python", _BOOL, False, "whether uv downloads a Python that this machine has not"),
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
        Key(
            "test.resolutions",
            _some_of("highest", "lowest", "lowest-direct"),
            [],
            "with which versions of its dependencies the wheel is tested, one after the other, in uv's words "
            "(empty: once, with those that the installer takes by itself)",
        ),
        Key("publish.registry", _one_of("local"), "local", "where wheels are published"),
        Key("publish.path", _STR, None, "the folder of the local index (unset: .hwb/index in the project)"),
    )
}
"""Everything that can be set."""
