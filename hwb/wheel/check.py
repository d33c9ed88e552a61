"""What is wrong with this wheel or sdist, and what does its metadata say?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hwb.archive.zips import open_wheel
from hwb.errors import UsageError, ValidationError
from hwb.wheel.model import SdistSubject, WheelSubject, damaged
from hwb.wheel.rules import ARCHIVE_RULES, FILE_NAME, SDIST_RULES, WHEEL_RULES, every_rule

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from hwb.archive.tars import SdistReader
    from hwb.wheel.finding import Finding
    from hwb.wheel.headers import Headers
    from hwb.wheel.model import Rule

__all__ = ["check_file", "check_open_sdist", "read_metadata", "refuse_errors", "require_valid"]


def check_file(path: str | os.PathLike[str], *, ignore: Collection[str] = ()) -> list[Finding]:
    """Everything that is wrong with a wheel (`.whl`) or sdist (`.tar.gz`), told apart by name; errors first.

    `ignore` holds ids of rules. Raises UsageError for one that does not exist or that keeps the archive safe.
    """
    _check_ignored(ignore)
    place = os.fspath(path)
    name = os.path.basename(place)
    try:
        if name.endswith(".whl"):
            found = _check_wheel(place, name, ignore)
        elif name.endswith(".tar.gz"):
            found = _check_sdist(place, name, ignore)
        else:
            return [FILE_NAME.finding(f"{name} is neither a wheel (.whl) nor an sdist (.tar.gz, PEP 625)")]
    except ValidationError as error:
        return [damaged(error)]
    return sorted(found, key=lambda finding: finding.severity.value)


def _check_wheel(place: str, name: str, ignore: Collection[str]) -> list[Finding]:
    with open_wheel(place) as wheel:
        found = _apply(WHEEL_RULES, WheelSubject(wheel, name), ignore)
        wheel.verify()
    return found


def _check_sdist(place: str, name: str, ignore: Collection[str]) -> list[Finding]:
    from hwb.archive.tars import open_sdist

    with open_sdist(place) as sdist:
        return check_open_sdist(sdist, name, ignore=ignore)


def check_open_sdist(sdist: SdistReader, name: str, *, ignore: Collection[str] = ()) -> list[Finding]:
    """Everything that is wrong with an sdist that is open already and that was read as a whole."""
    from hwb.wheel import rules_sdist

    assert rules_sdist is not None  # importing it registers the rules for sdists
    return _apply(SDIST_RULES, SdistSubject(sdist, name), ignore)


def _check_ignored(ignore: Collection[str]) -> None:
    known = every_rule() if ignore else {}
    for rule in ignore:
        if rule not in known:
            raise UsageError(f"there is no rule {rule!r}", remedy="list them with: hwb check --list-rules")
        if rule in ARCHIVE_RULES or rule == FILE_NAME.id:
            what = f"the rule {rule!r} keeps what reads the file safe: it cannot be ignored"
            raise UsageError(what, remedy="take it out of what is ignored")


def _apply(rules: Mapping[str, Rule], subject: WheelSubject | SdistSubject, ignore: Collection[str]) -> list[Finding]:
    return [finding for name, rule in rules.items() if name not in ignore for finding in rule.findings(subject)]


def require_valid(path: str | os.PathLike[str], *, ignore: Collection[str] = ()) -> list[Finding]:
    """Check a file and return its warnings. Raises ValidationError that lists every error with the member it is in."""
    return refuse_errors(path, check_file(path, ignore=ignore))


def refuse_errors(path: str | os.PathLike[str], findings: list[Finding]) -> list[Finding]:
    """The findings again when there is no error among them. Raises ValidationError that lists every error."""
    errors = [finding for finding in findings if finding.severity.value == "error"]
    if errors:
        name = os.path.basename(path)
        remedies = "; ".join(dict.fromkeys(finding.remedy for finding in errors))
        shown = "\n".join(map(str, errors))
        raise ValidationError(f"{name} is not valid", where=os.fspath(path), detail=shown, remedy=remedies)
    return findings


def read_metadata(path: str | os.PathLike[str]) -> Headers:
    """The core metadata fields of a wheel or an sdist. Raises ValidationError when it has none."""
    place = os.fspath(path)
    name = os.path.basename(place)
    if name.endswith(".whl"):
        with open_wheel(place) as wheel:
            found = WheelSubject(wheel, name).metadata
    else:
        from hwb.archive.tars import open_sdist

        with open_sdist(place) as sdist:
            found = SdistSubject(sdist, name).metadata
    if found is None:
        raise ValidationError(f"{name} has no metadata", where=place, remedy="build it again")
    return found
