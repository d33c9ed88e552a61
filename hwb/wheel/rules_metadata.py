"""Is the core metadata well-formed, and will an index take it? (P9, P11)"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hwb.wheel.filenames import canonical
from hwb.wheel.model import sdist_rule, wheel_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwb.wheel.model import SdistSubject, WheelSubject

__all__: list[str] = []

_VERSIONS = {"1.0", "1.1", "1.2", "2.0", "2.1", "2.2", "2.3", "2.4", "2.5"}
_MULTIPLE = frozenset(
    [
        "platform",
        "supported-platform",
        "classifier",
        "requires-dist",
        "requires-external",
        "project-url",
        "provides-extra",
        "provides-dist",
        "obsoletes-dist",
        "dynamic",
        "license-file",
        "requires",
        "provides",
        "obsoletes",
        "import-name",
        "import-namespace",
    ]
)
_SINGLE = frozenset(
    [
        "metadata-version",
        "name",
        "version",
        "summary",
        "description",
        "description-content-type",
        "keywords",
        "home-page",
        "download-url",
        "author",
        "author-email",
        "maintainer",
        "maintainer-email",
        "license",
        "license-expression",
        "requires-python",
    ]
)
_PROJECT = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_SPECIFIER = (
    r"\s*(?:(?:~=(?=\s*[0-9]+\.[0-9])|==|!=|<=?|>=?)\s*[0-9]+(?:\.[0-9]+)*(?:(?:a|b|rc)[0-9]+)?(?:\.post[0-9]+)?"
    r"(?:\.dev[0-9]+)?|[!=]=\s*[0-9]+(?:\.[0-9]+)*\.\*)\s*"
)
_NAME = r"[A-Za-z0-9]+(?:[._-]+[A-Za-z0-9]+)*"
_REQUIREMENT = rf"({_NAME})\s*(?:\[([^\[\]]*)\])?\s*(\(.*\)|[^()]*)"
_VARIABLES = frozenset(
    [
        *["python_version", "python_full_version", "os_name", "sys_platform", "platform_release", "platform_system"],
        *["platform_version", "platform_machine", "platform_python_implementation"],
        *["implementation_name", "implementation_version", "extra"],
    ]
)
_COMPARISON = r"\s*([a-z_]+)\s*(?:==|!=|<=?|>=?|in\b|not in\b)\s*(?:\"[^\"'\\]*\"|'[^'\"\\]*')\s*"
_CONTENT_TYPE = r"text/(plain|x-rst|markdown)(\s*;\s*(charset=[\"']?utf-8[\"']?|variant=[\"']?(gfm|commonmark)[\"']?))*"
_LONGEST_SUMMARY = 512
_PYPI_FILE = 100 << 20
_PYPI_RATIO, _PYPI_RATIO_FROM = 50, 64 << 20
_PYPI_PLATFORM = r"linux_(?!armv[67]l$)"


@sdist_rule("metadata-fields", "P11")
@wheel_rule("metadata-fields", "P11")
def _metadata_fields(subject: WheelSubject | SdistSubject) -> Iterator[tuple[str, str]]:
    """Metadata is UTF-8, a block of fields of a known version; what can be said once is said once."""
    found, member = subject.metadata, subject.metadata_member
    if found is None:
        return
    version = (found["Metadata-Version"] or "").strip()
    if version not in _VERSIONS:
        yield f"Metadata-Version is {version or 'missing'}; known are 1.0 to 2.5", member
    if not found.utf8:
        yield "is not UTF-8", member
    for line in found.problems[:3]:
        yield f"has a line that is no field: {line[:80]!r}", member
    counts: dict[str, int] = {}
    for name, _ in found.fields:
        counts[name.lower()] = counts.get(name.lower(), 0) + 1
    for name in sorted(_SINGLE & counts.keys()):
        if counts[name] > 1:
            yield f"says {name} {counts[name]} times", member


@sdist_rule("metadata-values", "P11")
@wheel_rule("metadata-values", "P11")
def _metadata_values(subject: WheelSubject | SdistSubject) -> Iterator[tuple[str, str]]:
    """Name, Requires-Python and Requires-Dist are what PEP 508 and PEP 440 allow; installers stop at others."""
    found, member = subject.metadata, subject.metadata_member
    if found is None:
        return
    if not re.fullmatch(_PROJECT, (found["Name"] or "").strip()):
        yield f"Name is {found['Name']!r}, which is no project name", member
    python = found["Requires-Python"]
    if python is not None and not _are_plain(python) and not _is_specifiers(python):
        yield f"Requires-Python is {python!r}, which is no version specifier", member
    for requirement in found.get_all("Requires-Dist", []):
        if not _is_plain(requirement) and not _is_requirement(requirement):
            yield f"Requires-Dist is {requirement!r}, which is no requirement (PEP 508)", member


def _is_plain(requirement: str) -> bool:
    """Whether it is one of the simple requirements that most are; `packaging` decides about the others."""
    head, semicolon, marker = requirement.partition(";")
    match = re.fullmatch(_REQUIREMENT, head.strip())
    if match is None or (semicolon and not _is_plain_marker(marker)):
        return False
    extras, specifiers = match[2], match[3].strip().removeprefix("(").removesuffix(")")
    if extras and not all(re.fullmatch(_NAME, extra.strip()) for extra in extras.split(",")):
        return False
    return not match[3] or _are_plain(specifiers)


def _are_plain(specifiers: str) -> bool:
    return all(re.fullmatch(_SPECIFIER, specifier) for specifier in specifiers.split(","))


def _is_plain_marker(marker: str) -> bool:
    for comparison in re.split(r"\b(?:and|or)\b", marker):
        plain = comparison.strip()
        if plain.startswith("(") and plain.endswith(")"):
            plain = plain[1:-1]
        match = re.fullmatch(_COMPARISON, plain)
        if match is None or match[1] not in _VARIABLES:
            return False
    return True


def _is_specifiers(text: str) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        return False
    return True


def _is_requirement(text: str) -> bool:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        Requirement(text)
    except InvalidRequirement:
        return False
    return True


@wheel_rule("licence-file", "P11", warns=True)
def _licence_file(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """Every License-File is in the dist-info directory (PEP 639; setuptools put it beside METADATA for years)."""
    found = wheel.metadata
    for name in found.get_all("License-File", []) if found else ():
        name = name.strip()
        if not any(wheel.member(place) for place in (f"licenses/{name}", name, name.rpartition("/")[2])):
            yield f"License-File names {name!r}, which is not there", wheel.metadata_member


@sdist_rule("pypi-metadata", "P9", warns=True, remedy="change it in the project's metadata before you publish to PyPI")
@wheel_rule("pypi-metadata", "P9", warns=True, remedy="change it in the project's metadata before you publish to PyPI")
def _pypi_metadata(subject: WheelSubject | SdistSubject) -> Iterator[tuple[str, str]]:
    """PyPI refuses local versions, direct URLs, `Private ::`, an unknown description type, a long Summary."""
    found, member = subject.metadata, subject.metadata_member
    if found is None:
        return
    if "+" in (found["Version"] or ""):
        yield f"PyPI takes no local version: {found['Version']}", member
    for requirement in found.get_all("Requires-Dist", []):
        if re.match(r"[^;]*@", requirement):
            yield f"PyPI takes no dependency with a URL: {requirement}", member
    if any(value.strip().startswith("Private ::") for value in found.get_all("Classifier", [])):
        yield "PyPI takes no classifier that begins with Private", member
    kind = found["Description-Content-Type"]
    if kind is not None and not re.fullmatch(_CONTENT_TYPE, kind.strip().lower()):
        yield f"PyPI does not know the Description-Content-Type {kind!r}", member
    summary = found["Summary"] or ""
    if len(summary) > _LONGEST_SUMMARY or "\n" in summary.strip():
        yield f"PyPI takes a Summary of one line and {_LONGEST_SUMMARY} characters", member
    declared = {canonical(extra.strip()) for extra in found.get_all("Provides-Extra", [])}
    if len(declared) < len(found.get_all("Provides-Extra", [])):
        yield "PyPI takes every Provides-Extra once, after normalisation", member


@wheel_rule("pypi-platform", "P9", warns=True, remedy="repair the wheel (auditwheel), or publish it elsewhere")
def _pypi_platform(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """PyPI refuses `linux_*` wheels: which machines have the libraries that they need is not known (PEP 513)."""
    for platform in wheel.parsed.platforms if wheel.parsed else ():
        if re.match(_PYPI_PLATFORM, platform):
            yield f"PyPI takes no wheel for {platform}", ""


@wheel_rule("pypi-size", "P9", warns=True, remedy="make it smaller, or ask PyPI for a higher limit")
def _pypi_size(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """PyPI refuses files of more than 100 MiB by default, and more than 50 times their size from 64 MiB unpacked."""
    import os

    packed = os.stat(wheel.reader.path).st_size
    total = sum(entry.size for entry in wheel.reader.entries.values())
    if packed > _PYPI_FILE:
        yield f"PyPI takes {_PYPI_FILE >> 20} MiB unless asked for more; these are {packed >> 20}", ""
    if total > _PYPI_RATIO_FROM and total > packed * _PYPI_RATIO:
        yield f"PyPI takes files that unpack to {_PYPI_RATIO} times their size; this is {total // packed} times", ""
