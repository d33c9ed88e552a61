"""How are the verdicts about several files told? Without click, which takes as long to import as a wheel to check."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hwb.wheel.finding import Finding

__all__ = ["quick", "report"]


def report(files: Sequence[str], *, ignore: Sequence[str] = (), strict: bool = False, as_json: bool = False) -> int:
    """Check files, or all distributions in directories, and print what was found; 5 when one is refused, else 0.

    Raises UsageError before anything is printed when there is no such file.
    """
    from hwb.wheel.check import check_file

    results = [(path, check_file(path, ignore=ignore)) for path in list(_expand(files))]
    refused = {path for path, findings in results if any(_counts(finding, strict) for finding in findings)}
    if as_json:
        _print_json(results, refused)
    else:
        for path, findings in results:
            _print(path, findings, path in refused)
    return 5 if refused else 0


def _counts(finding: Finding, strict: bool) -> bool:
    return strict or finding.severity.value == "error"


def quick(arguments: Sequence[str]) -> int | None:
    """The exit code of `hwb check FILE...` without options; None for what needs click and its error messages."""
    if not arguments or any(word.startswith("-") for word in arguments):
        return None
    if not all(os.path.isfile(word) for word in arguments):
        return None
    return report(arguments)


def _expand(files: Sequence[str]) -> Iterator[str]:
    """Files as they are, directories as the distributions in them. UsageError when there is none."""
    from hwb.errors import UsageError

    for file in files:
        if os.path.isdir(file):
            inside = sorted(name for name in os.listdir(file) if name.endswith((".whl", ".tar.gz")))
            if not inside:
                raise UsageError(f"there is no wheel and no sdist in {file}", remedy="build some: hwb run build")
            yield from (os.path.join(file, name) for name in inside)
        elif not os.path.exists(file):
            raise UsageError(f"there is no file {file}", remedy="name a wheel, an sdist, or a directory with some")
        else:
            yield file


def _print(path: str, findings: Iterable[Finding], refused: bool) -> None:
    """One line for each finding, then one for the file."""
    findings = list(findings)
    for finding in findings:
        print(f"{path}: {_one_line(str(finding))}")
    warnings = sum(finding.severity.value == "warning" for finding in findings)
    errors = len(findings) - warnings
    counted = ", ".join(f"{n} {what}{'s' * (n > 1)}" for n, what in ((errors, "error"), (warnings, "warning")) if n)
    print(f"{path}: {'refused' if refused else 'ok'}{f' ({counted})' if counted else ''}")


def _one_line(text: str) -> str:
    """What a file says of itself must not control the terminal."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _print_json(results: Iterable[tuple[str, list[Finding]]], refused: set[str]) -> None:
    import json

    from hwb.fs import sha256_file

    rows = [
        {
            "file": path,
            "sha256": sha256_file(path),
            "verdict": "refused" if path in refused else "ok",
            "findings": [
                {
                    "id": finding.rule,
                    "severity": finding.severity.value,
                    "member": finding.member,
                    "message": finding.message,
                    "remedy": finding.remedy,
                }
                for finding in findings
            ],
        }
        for path, findings in results
    ]
    print(json.dumps({"schema": "hwb.check/1", "files": rows}, indent=1))
