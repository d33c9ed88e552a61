"""Is a text a requirement (PEP 508), a version specifier or a version (PEP 440), and whose name does it carry?

The plain forms, which are nearly all, are settled by expressions that accept less than the standards do; `packaging`,
whose import costs more than reading a whole project, is asked about the rest.
"""

from __future__ import annotations

import re

__all__ = ["canonical", "name_of", "requirement_problem", "specifier_problem", "version_problem"]

_RELEASE = r"[0-9]+(?:\.[0-9]+)*"
_SUFFIX = r"(?:(?:a|b|rc)[0-9]+)?(?:\.post[0-9]+)?(?:\.dev[0-9]+)?"
_CLAUSE = (
    rf"(?:(?:>=|<=|>|<) *{_RELEASE}{_SUFFIX}|[=!]= *{_RELEASE}(?:\.\*|{_SUFFIX})|~= *[0-9]+(?:\.[0-9]+)+{_SUFFIX})"
)
_SPECIFIER = rf"{_CLAUSE}(?: *, *{_CLAUSE})*"
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_EXTRAS = rf"\[ *{_NAME}(?: *, *{_NAME})* *\]"
_VARIABLE = r"(?:python_version|python_full_version|sys_platform|platform_system|os_name|extra)"
_MARKER = rf"{_VARIABLE} *(?:==|!=|<=|>=|<|>) *(?:'[A-Za-z0-9._-]+'|\"[A-Za-z0-9._-]+\")"
_REQUIREMENT = rf"{_NAME} *(?:{_EXTRAS})? *(?:{_SPECIFIER})? *"  # compiled when used: that is half of the time
_MARKERS = rf" *{_MARKER}(?: (?:and|or) {_MARKER})*"


def requirement_problem(text: str) -> str | None:
    """Why this is no requirement (PEP 508), in one line; None when it is one."""
    plain, semicolon, marker = text.partition(";")
    if re.fullmatch(_REQUIREMENT, plain) and (not semicolon or re.fullmatch(_MARKERS, marker)):
        return None
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        Requirement(text)
    except InvalidRequirement as error:
        return str(error).splitlines()[0]
    return None


def specifier_problem(text: str) -> str | None:
    """Why this is no version specifier (PEP 440), in one line; None when it is one, or empty."""
    if not text or re.fullmatch(_SPECIFIER, text):
        return None
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(text)
    except InvalidSpecifier as error:
        return str(error).splitlines()[0]
    return None


def version_problem(text: str) -> str | None:
    """Why this is no version (PEP 440), in one line; None when it is one."""
    if re.fullmatch(_RELEASE + _SUFFIX, text):
        return None
    from packaging.version import InvalidVersion, Version

    try:
        Version(text)
    except InvalidVersion as error:
        return str(error)
    return None


def canonical(name: str) -> str:
    """The name that indexes compare by (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(requirement: str) -> str:
    """The canonical name of what a requirement asks for; empty when it does not begin with a name."""
    found = re.match(rf"\s*({_NAME})", requirement)
    return canonical(found[1]) if found else ""
