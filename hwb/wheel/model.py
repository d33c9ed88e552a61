"""What is a rule, what does it look at, and what does it find?"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from hwb.wheel.headers import Headers, parse_headers, parse_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hwb.archive.tars import SdistReader
    from hwb.archive.zips import WheelReader
    from hwb.errors import ValidationError
    from hwb.wheel.binaries import Binary
    from hwb.wheel.filenames import SdistName, WheelName
    from hwb.wheel.finding import Finding, Severity

__all__ = [
    "ARCHIVE_RULES",
    "SDIST_RULES",
    "WHEEL_RULES",
    "Rule",
    "SdistSubject",
    "WheelSubject",
    "damaged",
    "sdist_rule",
    "wheel_rule",
]


_Check = TypeVar("_Check", bound="Callable[..., Iterator[tuple[str, str]]]")


class Rule:
    """A rule: its stable `id`, the `principle` (P1-P16) it serves, and one line of `doc`.

    `check` yields `(message, member)` for everything that is wrong; rules of the archive reader have none.
    """

    __slots__ = ("check", "doc", "id", "principle", "remedy", "warns")

    def __init__(
        self,
        rule_id: str,
        principle: str,
        warns: bool,
        doc: str,
        remedy: str,
        check: Callable[[Any], Iterator[tuple[str, str]]] | None = None,
    ) -> None:
        self.id = rule_id
        self.principle = principle
        self.warns = warns
        self.doc = doc
        self.remedy = remedy
        self.check = check

    def findings(self, subject: WheelSubject | SdistSubject) -> Iterator[Finding]:
        """Everything that the rule finds in an open distribution."""
        assert self.check is not None, self.id
        for message, member in self.check(subject):
            yield self.finding(message, member)

    def finding(self, message: str, member: str = "") -> Finding:
        """One thing that is wrong."""
        from hwb.wheel.finding import Finding

        return Finding(self.id, self.severity, member, message, self.remedy)

    @property
    def severity(self) -> Severity:
        """Error or warning. (A class of its own costs what a small wheel takes to check: it comes when it is asked.)"""
        from hwb.wheel.finding import Severity

        return Severity.WARNING if self.warns else Severity.ERROR


WHEEL_RULES: dict[str, Rule] = {}
SDIST_RULES: dict[str, Rule] = {}
ARCHIVE_RULES: dict[str, Rule] = {
    name: Rule(name, principle, False, doc, "do not use this file; build it again from its sources")
    for name, principle, doc in (
        ("archive-name", "P1", "Member names are safe and normal, and no two of them mean one file on any system."),
        ("archive-reading", "P2", "Every reader sees the same members and bytes; what is said twice agrees."),
        ("archive-type", "P3", "Members are files and directories; links of sdists stay inside; no special bits."),
        ("archive-damage", "P8", "The file is whole: nothing is missing, every checksum and compressed stream ends."),
        ("archive-limit", "P10", "Members, bytes, names and the compression ratio stay within limits while reading."),
        ("archive-top", "P15", "An sdist holds exactly one top directory (PEP 517)."),
    )
}
"""What the reader refuses: always errors, never ignored."""

_ERROR_REMEDY = "report it to the build backend"
_WARNING_REMEDY = "raise the build backend's version"


def wheel_rule(rule_id: str, principle: str, *, warns: bool = False, remedy: str = "") -> Callable[[_Check], _Check]:
    """Register the decorated function as a rule for wheels; its docstring is the rule's line of documentation."""
    return lambda function: _register(WHEEL_RULES, rule_id, principle, warns, remedy, function)


def sdist_rule(rule_id: str, principle: str, *, warns: bool = False, remedy: str = "") -> Callable[[_Check], _Check]:
    """The same for sdists. A function that looks at what both have may be registered for both."""
    return lambda function: _register(SDIST_RULES, rule_id, principle, warns, remedy, function)


def _register(
    table: dict[str, Rule], rule_id: str, principle: str, warns: bool, remedy: str, function: _Check
) -> _Check:
    doc = " ".join((function.__doc__ or "").split())
    default = _WARNING_REMEDY if warns else _ERROR_REMEDY
    table[rule_id] = Rule(rule_id, principle, warns, doc, remedy or default, function)
    return function


def damaged(error: ValidationError) -> Finding:
    """An archive that the reader refused, as a finding."""
    from hwb.archive.names import verdict
    from hwb.wheel.finding import Finding, Severity

    rule, member = verdict(error)
    return Finding(rule, Severity.ERROR, member, error.what, error.remedy)


class WheelSubject:
    """An open wheel with what several rules want to know about it, each computed once."""

    def __init__(self, reader: WheelReader, file_name: str) -> None:
        self.reader = reader
        self.file_name = file_name
        self.files = frozenset(name for name in reader.names if not name.endswith("/"))

    @cached_property
    def parsed(self) -> WheelName | None:
        """The parts of the file name; None when it does not parse (a rule of its own says so)."""
        from hwb.wheel.filenames import parse_wheel_name

        return parse_wheel_name(self.file_name)

    @cached_property
    def dist_infos(self) -> list[str]:
        """Every top directory that is a dist-info."""
        return sorted({name.split("/")[0] for name in self.reader.names if ".dist-info/" in name[: name.find("/") + 1]})

    @property
    def dist_info(self) -> str:
        """The dist-info directory that is looked at (several are an error of their own)."""
        return self.dist_infos[0] if self.dist_infos else ""

    def member(self, name: str) -> str:
        """The full name of a file in the dist-info directory, or an empty string when it is not there."""
        full = f"{self.dist_info}/{name}"
        return full if full in self.files else ""

    def headers(self, name: str) -> Headers | None:
        """The fields of a file in the dist-info directory."""
        return self._headers(self.member(name))

    def _headers(self, member: str) -> Headers | None:
        if not member:
            return None
        if member not in self._parsed_headers:
            self._parsed_headers[member] = parse_headers(self.reader.read(member))
        return self._parsed_headers[member]

    @cached_property
    def _parsed_headers(self) -> dict[str, Headers]:
        return {}

    @property
    def metadata(self) -> Headers | None:
        """The fields of METADATA."""
        return self.headers("METADATA")

    @property
    def metadata_member(self) -> str:
        """Where they stand."""
        return self.member("METADATA")

    @cached_property
    def record(self) -> list[list[str]] | None:
        """The rows of RECORD, or None without one."""
        member = self.member("RECORD")
        return parse_record(self.reader.read(member)) if member else None

    @cached_property
    def installed(self) -> dict[str, str]:
        """Member by the place it is installed to, for what goes to site-packages (root, purelib and platlib)."""
        data = f"{self.dist_info.removesuffix('.dist-info')}.data/"
        places = {}
        for name in self.files:
            if name.startswith((f"{data}purelib/", f"{data}platlib/")):
                places[name] = name.split("/", 2)[2]
            elif not name.startswith(data):
                places[name] = name
        return places

    @cached_property
    def extensions(self) -> dict[str, str]:
        """Files that `import` would load, with the ABI in their names: in folders that can be packages (PEP 3149)."""
        found = {}
        for name, place in self.installed.items():
            if place.endswith((".so", ".pyd")):
                *folders, file = place.split("/")
                stem, *middle = file.split(".")[:-1]
                if len(middle) < 2 and all(part.isidentifier() for part in (*folders, stem)):
                    found[name] = "".join(middle)
        return found

    @cached_property
    def binaries(self) -> dict[str, Binary]:
        """Native files, by their first bytes, which digesting has left behind."""
        from hwb.wheel.binaries import identify

        for name in self.files:
            self.reader.digest(name, "sha256")
        found = {name: identify(head) for name, head in self.reader.heads.items()}
        return {name: binary for name, binary in sorted(found.items()) if binary}


class SdistSubject:
    """An open sdist with its file name."""

    def __init__(self, reader: SdistReader, file_name: str) -> None:
        self.reader = reader
        self.file_name = file_name
        self.names = frozenset(reader.names)

    @cached_property
    def parsed(self) -> SdistName | None:
        """Project and version of the file name; None when it does not parse."""
        from hwb.wheel.filenames import parse_sdist_name

        return parse_sdist_name(self.file_name)

    @property
    def metadata_member(self) -> str:
        """The name of PKG-INFO in the top directory."""
        return f"{self.reader.top}/PKG-INFO"

    @cached_property
    def metadata(self) -> Headers | None:
        """The fields of PKG-INFO in the top directory."""
        member = self.metadata_member
        return parse_headers(self.reader.read(member)) if member in self.names else None

    @cached_property
    def pyproject(self) -> tuple[dict[str, Any], str] | None:
        """The tables of pyproject.toml and why it cannot be read (empty when it can); None without one."""
        member = f"{self.reader.top}/pyproject.toml"
        if member not in self.names:
            return None
        from hwb.errors import ConfigError
        from hwb.toml import parse_toml

        try:
            return parse_toml(self.reader.read(member), member), ""
        except ConfigError as error:
            return {}, error.what
