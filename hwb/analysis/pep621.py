"""What does the [project] table declare, and is every field of it what PEP 621 and PEP 639 ask for?"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from hwb.analysis.pyproject import Table
from hwb.analysis.requirements import canonical, requirement_problem, specifier_problem, version_problem

__all__ = ["FIELDS", "Declared", "read_declared"]

FIELDS = frozenset(
    (
        *("name", "version", "description", "readme", "requires-python", "license", "license-files", "authors"),
        *("maintainers", "keywords", "classifiers", "urls", "scripts", "gui-scripts", "entry-points"),
        *("dependencies", "optional-dependencies", "dynamic", "import-names", "import-namespaces"),
    )
)
"""The keys of [project]: PEP 621, PEP 639 (license-files) and PEP 794 (import names)."""
_IDENTIFIER = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?\+?"
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"


@dataclass(frozen=True, slots=True, eq=False)
class Declared:
    """The [project] table as it stands; requirements are strings, paths relative with slashes.

    `license` is an SPDX expression, or the text or file of the deprecated table (`license_is_table`).
    `license_files` is None when the key is absent. `unknown` are keys that no PEP has.
    """

    name: str | None = None
    version: str | None = None
    description: str | None = None
    readme: str | None = None
    requires_python: str | None = None
    license: str | None = None
    license_is_table: bool = False
    license_files: tuple[str, ...] | None = None
    keywords: tuple[str, ...] = ()
    classifiers: tuple[str, ...] = ()
    urls: dict[str, str] = field(default_factory=dict)
    scripts: dict[str, str] = field(default_factory=dict)
    gui_scripts: dict[str, str] = field(default_factory=dict)
    entry_points: dict[str, dict[str, str]] = field(default_factory=dict)
    dependencies: tuple[str, ...] = ()
    optional_dependencies: dict[str, list[str]] = field(default_factory=dict)
    dynamic: tuple[str, ...] = ()
    import_names: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def read_declared(path: str, data: dict[str, Any]) -> Declared:
    """Read and check the table; the first wrong field is an AnalyzeError with its line."""
    table = Table(path, data.get("project", {}), "project")
    _check_dynamic(table)
    _check_people(table)
    license_text, is_table = _license(table)
    return Declared(
        name=_name(table),
        version=_version(table),
        description=table.text("description"),
        readme=_readme(table),
        requires_python=_requires_python(table),
        license=license_text,
        license_is_table=is_table,
        license_files=_license_files(table, is_table),
        keywords=table.texts("keywords"),
        classifiers=table.texts("classifiers"),
        urls=table.mapping("urls"),
        scripts=_scripts(table, "scripts"),
        gui_scripts=_scripts(table, "gui-scripts"),
        entry_points=_entry_points(table),
        dependencies=_requirements(table, "dependencies"),
        optional_dependencies=_optional(table),
        dynamic=table.texts("dynamic"),
        import_names=(*table.texts("import-names"), *table.texts("import-namespaces")),
        unknown=tuple(key for key in table.values if key not in FIELDS),
    )


def _check_dynamic(table: Table) -> None:
    for key in table.texts("dynamic"):
        if key == "name":
            raise table.wrong("dynamic", "must not have 'name': it is always static (PEP 621)")
        if key not in FIELDS or key == "dynamic":
            raise table.wrong("dynamic", f"names no field of [project]: {key!r}")
        if key in table.values:
            remedy = f"remove {key!r} from dynamic, or the static value"
            raise table.wrong("dynamic", f"has {key!r}, which is static too (PEP 621)", remedy)


def _check_people(table: Table) -> None:
    for key in ("authors", "maintainers"):
        people = table.values.get(key, [])
        if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
            raise table.wrong(key, "must be a list of tables with name and email")
        for person in people:
            if not person or not person.keys() <= {"name", "email"}:
                raise table.wrong(key, "has a table with other keys than name and email")
            if not all(isinstance(value, str) for value in person.values()):
                raise table.wrong(key, "has a name or email that is no string")


def _name(table: Table) -> str | None:
    name = table.text("name")
    if name is not None and not re.fullmatch(_NAME, name):
        raise table.wrong("name", f"is no project name (letters, digits, '.', '-', '_' between them): {name!r}")
    return name


def _version(table: Table) -> str | None:
    version = table.text("version")
    if version is not None and (problem := version_problem(version)):
        raise table.wrong("version", f"is no version (PEP 440): {problem}")
    return version


def _requires_python(table: Table) -> str | None:
    text = table.text("requires-python")
    if text and (problem := specifier_problem(text)):
        raise table.wrong("requires-python", f"is no version specifier (PEP 440): {problem}")
    return text


def _readme(table: Table) -> str | None:
    """The file; None for a text in the table itself."""
    value = table.values.get("readme")
    if not isinstance(value, dict):
        if value is not None and not isinstance(value, str):
            raise table.wrong("readme", "must be a file name or a table")
        return value
    inner = table.table("readme")
    given = [key for key in ("file", "text") if inner.text(key) is not None]
    if len(given) != 1:
        raise table.wrong("readme", "must have either file or text")
    if inner.text("content-type") is None:
        raise table.wrong("readme", "must have a content-type")
    return inner.text("file")


def _license(table: Table) -> tuple[str | None, bool]:
    """The expression, or text or file name of a table, which PEP 639 deprecates; whether it is such a table."""
    value = table.values.get("license")
    if isinstance(value, dict):
        inner = table.table("license")
        given = [text for key in ("file", "text") if (text := inner.text(key)) is not None]
        if len(given) != 1 or inner.values.keys() - {"file", "text"}:
            raise table.wrong("license", "must be an SPDX expression, or a table with either file or text")
        return given[0], True
    text = table.text("license")
    if text is not None and (problem := _expression_problem(text)):
        remedy = 'for example license = "MIT" or license = "Apache-2.0 OR BSD-2-Clause"'
        raise table.wrong("license", f"is no SPDX expression (PEP 639): {problem}: {text!r}", remedy)
    return text, False


def _expression_problem(text: str) -> str | None:
    """The grammar of SPDX expressions; the list of known licences is where `packaging` has one."""
    tokens = re.findall(r"[()]|[^\s()]+", text)
    depth, operand = 0, True
    for token in tokens:
        word = token.upper()
        if operand and token == "(":
            depth += 1
        elif operand and re.fullmatch(_IDENTIFIER, token) and word not in ("AND", "OR", "WITH"):
            operand = False
        elif not operand and token == ")" and depth:
            depth -= 1
        elif not operand and word in ("AND", "OR", "WITH"):
            operand = True
        else:
            return f"{token!r} cannot stand there"
    if operand or depth:
        return "it ends too early"
    return None if len(tokens) == 1 and text == "MIT" else _unknown_license(text)


def _unknown_license(text: str) -> str | None:
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        canonicalize_license_expression(text)
    except InvalidLicenseExpression as error:
        return str(error).splitlines()[0]
    return None


def _license_files(table: Table, is_table: bool) -> tuple[str, ...] | None:
    """Glob patterns (PEP 639): relative, no '..', and not beside the old table."""
    if "license-files" not in table.values:
        return None
    value = table.values["license-files"]
    if isinstance(value, dict):  # of a draft of PEP 639, still read by some backends
        inner = table.table("license-files")
        return tuple(inner.texts("paths") or inner.texts("globs"))
    if is_table:
        raise table.wrong("license-files", "cannot be used together with license as a table (PEP 639)")
    for pattern in table.texts("license-files"):
        if pattern.startswith("/") or "\\" in pattern or ".." in pattern.split("/"):
            raise table.wrong("license-files", f"must stay inside the project, with '/' (PEP 639): {pattern!r}")
    return table.texts("license-files")


def _scripts(table: Table, key: str) -> dict[str, str]:
    """Names and `module:object` references."""
    scripts = table.mapping(key)
    for name, reference in scripts.items():
        if not _is_reference(reference):
            raise table.wrong(key, f"has an entry that is no module:object: {name} = {reference!r}")
    return scripts


def _is_reference(text: str) -> bool:
    module, _, rest = text.partition("[")[0].strip().partition(":")
    parts = [*module.strip().split("."), *(rest.strip().split(".") if rest else ())]
    return all(part.isidentifier() for part in parts)


def _entry_points(table: Table) -> dict[str, dict[str, str]]:
    groups = table.table("entry-points")
    for key, instead in (("console_scripts", "scripts"), ("gui_scripts", "gui-scripts")):
        if key in groups.values:
            raise groups.wrong(key, f"must be project.{instead} (PEP 621)")
    return {group: groups.mapping(group) for group in groups.values}


def _requirements(table: Table, key: str) -> tuple[str, ...]:
    for text in table.texts(key):
        if problem := requirement_problem(text):
            raise table.wrong(key, f"has an entry that is no requirement (PEP 508): {text!r}: {problem}")
    return table.texts(key)


def _optional(table: Table) -> dict[str, list[str]]:
    extras = table.table("optional-dependencies")
    seen: dict[str, str] = {}
    for name in extras.values:
        if not re.fullmatch(_NAME, name):
            raise extras.wrong(name, "is no name of an extra (PEP 508)")
        if (other := seen.setdefault(canonical(name), name)) != name:
            raise extras.wrong(name, f"is the same extra as {other!r} (PEP 685)")
    return {name: list(_requirements(extras, name)) for name in extras.values}
