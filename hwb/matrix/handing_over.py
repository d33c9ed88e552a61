"""What is cibuildwheel told, so that it makes one wheel as all places of the project's configuration say?

Everything is pure: the merged value of each option (`hwb.matrix.layers`) is given in the text form that cibuildwheel's
variables have, which is what hwb's own forms are. cibuildwheel 4.3.3, section "Options" of its documentation, is the
source of the names; a variable wins over every table of a file, so that what a sdist's pyproject.toml says beside it
cannot change what was planned.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from hwb.errors import BuildError, CommandFailed, ConfigError, NothingToRun, RepairError, ToolNotFound
from hwb.matrix.forms import SETTINGS, fields
from hwb.matrix.layers import OPTIONS, look_up
from hwb.target import System

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hwb.errors import HwbError
    from hwb.matrix.layers import Found, Layer
    from hwb.target import Target
    from hwb.wheel.filenames import WheelName

__all__ = [
    "OUTCOMES",
    "HandedOver",
    "Outcome",
    "arguments",
    "engine_text",
    "environment",
    "failure",
    "is_for",
    "told",
    "variable",
    "with_arguments",
    "with_passed",
    "with_settings",
]

SAID_BY_ONLY = ("build", "skip", "enable", "archs")
"""Options that `--only` answers, whatever they say."""
_IMAGE = re.compile(r"(?:many|musl)linux-\w+-image")
_PASSED_ON = ("CIBW_PROJECT_REQUIRES_PYTHON", "CIBW_CACHE_PATH", "CIBW_DEBUG_KEEP_CONTAINER", "CIBW_DEBUG_TRACEBACK")
"""Variables of cibuildwheel's that are no options; `CIBW_PLATFORM`, `CIBW_OUTPUT_DIR` and such are hwb's to say."""
_ALLOWED = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TEMP|TMP|XDG_\w+|USERPROFILE|(?:LOCAL)?APPDATA"
    r"|DOCKER_\w+|CONTAINER_\w+|CONTAINERS_\w+|PODMAN_\w+"  # which engine, and how it is reached
    r"|(?:HTTP|HTTPS|FTP|ALL|NO)_PROXY|SSL_CERT_(?:FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
    r"|(?:PIP|UV)_\w+"  # installers' own: of the audit everywhere, of the build on macOS and Windows
    r"|CI|GITHUB_ACTIONS|GITLAB_CI|TRAVIS|CIRCLECI|APPVEYOR|AZURE_HTTP_USER_AGENT"  # only there it installs Pythons
)
_PYTHON_TAGS = {"cpython": "cp", "pypy": "pp", "graalpy": "graalpy"}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HandedOver:
    """One wheel that cibuildwheel makes: `variables` are what it is told, `passed` names of variables that it reads.

    `engine` is docker or podman for a wheel of Linux, empty for others.
    """

    identifier: str
    variables: Mapping[str, str] = field(default_factory=dict)
    passed: tuple[str, ...] = ()
    engine: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        return {name: getattr(self, name) for name in self.__slots__} | {"variables": dict(self.variables)}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> HandedOver:
        """What `as_dict` wrote."""
        return cls(str(data["identifier"]), dict(data["variables"]), tuple(data["passed"]), str(data["engine"]))


def variable(option: str) -> str:
    """The variable of an option: `CIBW_TEST_COMMAND` of test-command."""
    return f"CIBW_{option.upper().replace('-', '_')}"


def told(layers: Sequence[Layer], target: Target, image: str = "", engine: str = "") -> HandedOver:
    """What cibuildwheel is told for a target: each option that somebody set, with its merged value.

    `image` is the full reference that was planned, `engine` the one that answers here and is used where nobody chose.
    Raises ConfigError, with the place, for what cibuildwheel cannot be told.
    """
    own = _only_hwb(layers, target)
    found = {name: _value(name, layers, target.identifier) for name in OPTIONS if _is_told(name)}
    variables = {variable(name): value.text for name, value in found.items() if value.where and name not in own}
    for name, value in found.items():
        if "\0" in value.text:
            raise ConfigError(f"{name} holds a character that no variable can have", where=value.where)
    chosen = ""
    if target.system is System.LINUX:
        variables[variable(f"{target.family}-{target.arch}-image")] = image
        container = found["container-engine"]
        variables["CIBW_CONTAINER_ENGINE"] = text = engine_text(container if container.where else engine or container)
        chosen = fields(text, "name")["name"][0]
    if target.system is System.MACOS and target.policy:
        variables["MACOSX_DEPLOYMENT_TARGET"] = target.policy.removeprefix("macosx_").replace("_", ".")
    passed = found["environment-pass"].text.split() if target.system is System.LINUX else ()
    return HandedOver(target.identifier, variables, tuple(passed), chosen)


def _is_told(name: str) -> bool:
    """Selection is in `--only`; of images only the one of this target is told, below."""
    return name not in SAID_BY_ONLY and not _IMAGE.fullmatch(name)


def _value(name: str, layers: Sequence[Layer], identifier: str) -> Found:
    """Overrides have no say in `test-skip`: it chooses targets."""
    return look_up(name, layers, "" if name == "test-skip" else identifier)


def _only_hwb(layers: Sequence[Layer], target: Target) -> tuple[str, ...]:
    """Options whose value only hwb's own builds can act on.

    Where cibuildwheel was chosen that is a contradiction, a ConfigError; where it stands in, because hwb lacks the
    target's Python, they are left out. Pyodide's builds always have the network, and nobody else makes them.
    """
    found = []
    is_chosen = look_up("engine", layers, target.identifier).text == "cibuildwheel"
    network = look_up("network", layers, target.identifier)
    if network.text == "False" and (is_chosen or target.system is System.PYODIDE):
        remedy = 'leave network out, or let hwb build: engine = "hwb"'
        raise ConfigError("cibuildwheel's builds always have the network", where=network.where, remedy=remedy)
    frontend = look_up("build-frontend", layers, target.identifier)
    if re.fullmatch(r"(?:name:)?\s*'?hwb'?\s*(?:;.*)?", frontend.text):
        if is_chosen:
            remedy = 'write another front end (build, build[uv], uv, pip), or let hwb build: engine = "hwb"'
            raise ConfigError("cibuildwheel does not know the front end hwb", where=frontend.where, remedy=remedy)
        found.append("build-frontend")
    return tuple(found)


def engine_text(asked: Found | str) -> str:
    """`container-engine` with the host's files left outside (cibuildwheel mounts `/`, writable, at `/host` otherwise).

    What was configured is kept; asking for the mount is a ConfigError.
    """
    text, where = (asked, "") if isinstance(asked, str) else (asked.text, asked.where)
    try:
        parts = {name.replace("-", "_"): words for name, words in fields(text, "name").items()}
    except ValueError as error:
        raise ConfigError(f"container-engine {error}", where=where) from error
    if parts.get("name") not in (["docker"], ["podman"]):
        raise ConfigError(f"container-engine cannot be {text!r}", where=where, remedy="write docker or podman")
    if parts.get("disable_host_mount", ["true"])[-1:] not in (["true"], ["True"], ["1"], ["yes"], ["on"]):
        remedy = "mount what is needed: create_args: --volume=/some/directory:/some/directory"
        raise ConfigError("the host's whole file system is not mounted into containers", where=where, remedy=remedy)
    if unknown := parts.keys() - {"name", "create_args", "disable_host_mount"}:
        raise ConfigError(f"container-engine knows no {', '.join(sorted(unknown))}", where=where)
    return _engine_text(parts["name"][0], parts.get("create_args", []))


def _engine_text(name: str, arguments: Iterable[str]) -> str:
    words = shlex.join(arguments)
    return "; ".join([name, *([f"create_args: {words}"] if words else []), "disable_host_mount: true"])


def with_arguments(text: str, more: Iterable[str]) -> str:
    """The same engine (as `engine_text` writes it) with more arguments for the containers that it makes."""
    parts = fields(text, "name")
    return _engine_text(parts["name"][0], [*parts.get("create_args", []), *more])


def with_settings(handed: HandedOver, settings: Mapping[str, str | list[str]]) -> HandedOver:
    """The same with settings of a recipe, which take the place of configured ones (`hwb build -C` does so, too)."""
    if not settings:
        return handed
    name = variable("config-settings")
    merged = SETTINGS.merged(handed.variables.get(name, ""), SETTINGS.text(dict(settings)))
    return replace(handed, variables={**handed.variables, name: merged})


def with_passed(handed: HandedOver, names: Iterable[str]) -> HandedOver:
    """The same with more variables of this environment handed to the build."""
    more = tuple(name for name in names if name not in handed.passed)
    if not more:
        return handed
    passed = (*handed.passed, *more)
    told_too = {variable("environment-pass"): " ".join(passed)} if handed.engine else {}
    return replace(handed, variables={**handed.variables, **told_too}, passed=passed)


def arguments(python: str, identifier: str, sdist: str, folder: str) -> list[str]:
    """The command that makes one wheel of a sdist (`.tar.gz`) into a directory, with the tool's own interpreter."""
    return [python, "-m", "cibuildwheel", "--only", identifier, "--output-dir", folder, sdist]


def environment(handed: HandedOver, outer: Mapping[str, str], builds: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of cibuildwheel: an allowlist of `outer`, `builds` (what builds on this machine may see),
    and what it is told.

    Into containers it hands nothing of that but `SOURCE_DATE_EPOCH` and what `environment-pass` names. On macOS, on
    Windows and for Pyodide builds see all of it.
    """
    found = {name: value for name, value in outer.items() if _may_pass(name, handed.passed)}
    # folds are a service's own: these lines go into the session's log, which hwb folds
    return {**found, **builds, "CIBW_LOG_FOLD_MODE": "disabled", **handed.variables}


def _may_pass(name: str, named: Sequence[str]) -> bool:
    if name in named or name in _PASSED_ON:
        return True
    return _ALLOWED.fullmatch(name.upper()) is not None and not name.upper().startswith("UV_PUBLISH_")


def is_for(file: str, target: Target) -> bool:
    """Whether a wheel's name fits its target: its Python (or the stable ABI, or any), its platform and architecture."""
    from hwb.wheel.filenames import parse_wheel_name

    name = parse_wheel_name(file)
    return name is not None and _for_python(name, target) and all(_on(tag, target) for tag in name.platforms)


def _for_python(name: WheelName, target: Target) -> bool:
    minor = int(target.version.partition(".")[2])
    if any(python == "py3" for python in name.pythons):
        return True
    if any(abi.startswith("abi3") for abi in name.abis):
        return any(found.isdigit() and int(found) <= minor for found in (tag[3:] for tag in name.pythons))
    free_threaded = all(abi.endswith("t") for abi in name.abis)
    own = f"{_PYTHON_TAGS[target.implementation]}3{minor}"
    return own in name.pythons and (target.implementation != "cpython" or free_threaded == target.free_threaded)


def _on(tag: str, target: Target) -> bool:
    if target.system is System.WINDOWS:
        return tag == target.platform
    starts = {System.LINUX: (target.family, "linux_"), System.PYODIDE: ("pyodide_", "pyemscripten_", "emscripten_")}
    return tag.endswith(f"_{target.arch}") and tag.startswith(starts.get(target.system, (target.family,)))


class Outcome(NamedTuple):
    """What an exit code of cibuildwheel means: the class (with its stable code), what in words, and what to do."""

    error: type[HwbError]
    what: str
    remedy: str


OUTCOMES: dict[int, Outcome] = {
    1: Outcome(CommandFailed, "a step of cibuildwheel failed", "see what it printed last: the command is named there"),
    2: Outcome(ConfigError, "cibuildwheel refuses its configuration", "correct the option that it names"),
    3: Outcome(NothingToRun, "cibuildwheel has nothing to build", "let requires-python allow the target's Python"),
    4: Outcome(ConfigError, "cibuildwheel no longer does what an option asks for", "follow the change that it names"),
    5: Outcome(
        BuildError,
        "the build made a wheel for any platform",
        "have the backend compile the extension modules, or build without the matrix: hwb build",
    ),
    6: Outcome(BuildError, "the build made a wheel that was there before", "give each target a wheel of its own tag"),
    7: Outcome(ToolNotFound, "the container engine is too old or does not work", "install docker 20.10 or podman 3"),
    8: Outcome(
        RepairError,
        "repair-wheel-command did not leave exactly one wheel in {dest_dir}",
        "have it leave one, or remove the command",
    ),
    9: Outcome(RepairError, "audit-command refuses the wheel", "use the stable ABI only, or build for each Python"),
    10: Outcome(BuildError, "the build ended well and made no wheel", "see why the backend writes none"),
}
"""Exit codes of cibuildwheel 4.3.3 (`cibuildwheel/errors.py`); every other one is a crash."""


def failure(identifier: str, code: int) -> HwbError:
    """The error for an exit code that is not 0; it also knows one for codes that cibuildwheel does not have."""
    outcome = OUTCOMES.get(code)
    if outcome is None:
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return CommandFailed(f"{identifier}: cibuildwheel {how}", code, remedy="see what it printed last")
    what = f"{identifier}: {outcome.what}"
    if outcome.error is CommandFailed:
        return CommandFailed(what, code, remedy=outcome.remedy)
    return outcome.error(what, remedy=outcome.remedy)
