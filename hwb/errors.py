"""What can go wrong, and what should the user do about it?

The tree (exit code in brackets; a class without one has its parent's)::

    HwbError (1)
    ├── UsageError (2)             the command line asks for something that does not exist
    ├── ConfigError (2)            a setting is unknown, of the wrong type, or contradicts another
    ├── HwbfileError (2)           a hwbfile cannot be loaded, or declares something impossible
    ├── NothingToRun (4)           the selection matches no session
    ├── MissingError (3)           something this machine lacks
    │   ├── InterpreterNotFound
    │   └── ToolNotFound
    ├── OfflineError (1)           --offline, and something is not in the store
    ├── CommandFailed (1)          a command ended with a code that is not a success
    │   ├── CommandTimeout         ... because its time was over
    │   └── ProgramNotFound (3)    ... or could not start at all: no such program
    ├── SessionTimeout (1)         a session or run took longer than it may
    ├── SourceError (1)            a source cannot be read or copied
    ├── AnalyzeError (1)           project metadata cannot be understood
    ├── IsolationError (1)         an environment cannot be made
    │   ├── DependencyError        its requirements cannot be installed
    │   └── ContainerError         ... or its container: image, engine, limits
    ├── BuildError (1)             a build backend failed
    ├── RepairError (1)            a wheel cannot be made fit for other machines
    ├── OutputError (1)            files cannot be written
    └── RefusedError (5)           something must not go on
        ├── ValidationError        an artifact is broken or unsafe
        └── ConflictError          other bytes are already there under this name

`Cancelled` stands outside: it derives from BaseException, as KeyboardInterrupt does, so that a
recipe's ``except Exception`` cannot swallow the end of the run.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

__all__ = [
    "AnalyzeError",
    "BuildError",
    "Cancelled",
    "CommandFailed",
    "CommandTimeout",
    "ConfigError",
    "ConflictError",
    "ContainerError",
    "DependencyError",
    "HwbError",
    "HwbfileError",
    "InterpreterNotFound",
    "IsolationError",
    "MissingError",
    "NothingToRun",
    "OfflineError",
    "OutputError",
    "ProgramNotFound",
    "RefusedError",
    "RepairError",
    "SessionTimeout",
    "SourceError",
    "ToolNotFound",
    "UsageError",
    "ValidationError",
]


class HwbError(Exception):
    """Anything hwb refuses or fails to do; `what` is one sentence, `where` a file:line, `remedy` what to do now."""

    code: ClassVar[str] = "HWB_FAILED"
    exit_code: ClassVar[int] = 1
    default_remedy: ClassVar[str] = ""

    def __init__(self, what: str, *, where: str = "", remedy: str = "", detail: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy or self.default_remedy
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what

    def explain(self) -> str:
        """The whole message for a person: what, where, captured detail, remedy; several lines."""
        lines = [f"error: {self.what}"]
        if self.where:
            lines.append(f"  at: {self.where}")
        lines += [f"  | {line}" for line in self.detail.rstrip().splitlines()]
        if self.remedy:
            lines.append(f"  try: {self.remedy}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, str | int]:
        """The same as plain data for reports and --json."""
        fields = {"what": self.what, "where": self.where, "remedy": self.remedy, "detail": self.detail}
        return {"error_code": self.code, "exit_code": self.exit_code, **{k: v for k, v in fields.items() if v}}


class UsageError(HwbError):
    """The command line asks for something that does not exist."""

    code = "USAGE"
    exit_code = 2


class ConfigError(HwbError):
    """A setting is unknown, has the wrong type, or contradicts another."""

    code = "CONFIG_INVALID"
    exit_code = 2


class HwbfileError(HwbError):
    """A hwbfile cannot be loaded, or declares something impossible."""

    code = "HWBFILE_INVALID"
    exit_code = 2


class NothingToRun(HwbError):
    """The selection matches no session."""

    code = "NOTHING_TO_RUN"
    exit_code = 4
    default_remedy = "list what there is with: hwb sessions --list"


class MissingError(HwbError):
    """Something that this machine lacks."""

    code = "MISSING"
    exit_code = 3


class InterpreterNotFound(MissingError):
    """No interpreter on this machine satisfies the request."""

    code = "INTERPRETER_NOT_FOUND"


class ToolNotFound(MissingError):
    """A program that a session needs is not installed."""

    code = "TOOL_NOT_FOUND"


class OfflineError(HwbError):
    """The network must not be used, and the store lacks something."""

    code = "OFFLINE"
    default_remedy = "run once without --offline, so that the store learns it"


class CommandFailed(HwbError):
    """A command ended with a code that does not count as success; `return_code` is None when it never started."""

    code = "COMMAND_FAILED"

    def __init__(self, what: str = "command failed", return_code: int | None = None, **fields: str) -> None:
        super().__init__(what, **fields)
        self.reason = what
        self.return_code = return_code


class CommandTimeout(CommandFailed):
    """A command was ended because its time was over (or it printed nothing for too long)."""

    code = "COMMAND_TIMEOUT"


class ProgramNotFound(CommandFailed):
    """A command's program is not on the session's PATH (a CommandFailed too: that is what nox users catch)."""

    code = "TOOL_NOT_FOUND"
    exit_code = 3


class SessionTimeout(HwbError):
    """A session, or the whole run, took longer than it may."""

    code = "SESSION_TIMEOUT"


class SourceError(HwbError):
    """A source cannot be read or copied."""

    code = "SOURCE_RESOLVE_FAILED"


class AnalyzeError(HwbError):
    """Project metadata cannot be understood."""

    code = "ANALYZE_FAILED"


class IsolationError(HwbError):
    """An isolated environment cannot be made."""

    code = "ISOLATION_FAILED"


class DependencyError(IsolationError):
    """Requirements cannot be installed; `detail` is what the installer printed, `return_code` how it ended."""

    code = "DEPENDENCY_FAILED"
    return_code: int | None = None


class ContainerError(IsolationError):
    """A container cannot be made or used: its image, the engine, a limit; `detail` is what the engine printed."""

    code = "CONTAINER_FAILED"


class BuildError(HwbError):
    """A build backend failed; `detail` is the end of what it printed."""

    code = "BACKEND_FAILED"


class RepairError(HwbError):
    """A wheel cannot be made fit for other machines; `detail` names the symbols, or is what the tool said."""

    code = "REPAIR_FAILED"


class OutputError(HwbError):
    """Files cannot be written: no space, no permission; `where` is the path."""

    code = "OUTPUT_FAILED"


class RefusedError(HwbError):
    """Something must not go on."""

    code = "REFUSED"
    exit_code = 5


class ValidationError(RefusedError):
    """An artifact is broken or unsafe."""

    code = "VALIDATION_FAILED"


class ConflictError(RefusedError):
    """Other bytes are already there under this name."""

    code = "CONFLICT"


class Cancelled(BaseException):
    """The work was called off (a signal, a time limit, another session's failure under -x); `reason` says by what."""

    def __init__(self, reason: str = "cancelled") -> None:
        super().__init__(reason)
        self.reason = reason
