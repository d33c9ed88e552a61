"""Can the commands and plugins that a wheel announces be installed and found? (P6; entry points specification)"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hwb.wheel.filenames import canonical
from hwb.wheel.model import wheel_rule
from hwb.wheel.rules_contents import takes_over

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwb.wheel.model import WheelSubject

__all__: list[str] = []

_GROUP = r"\[\s*([^\[\]]+?)\s*\]"
_GROUP_NAME = r"[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*"
_SCRIPT = r"[A-Za-z0-9_.-]+"
_OBJECT = r"(?P<module>\w+(?:\.\w+)*)\s*(?::\s*(?P<attribute>\w+(?:\.\w+)*))?\s*(?:\[\s*(?P<extras>[^\]]*?)\s*\])?"
_SCRIPTS = ("console_scripts", "gui_scripts")


def _parse(wheel: WheelSubject) -> tuple[list[tuple[str, str, str]], list[str]]:
    """`(group, name, object)` of entry_points.txt, and what is wrong with its lines."""
    member = wheel.member("entry_points.txt")
    if not member:
        return [], []
    try:
        text = wheel.reader.read(member).decode()
    except UnicodeDecodeError:
        return [], ["is not UTF-8"]
    found: list[tuple[str, str, str]] = []
    problems: list[str] = []
    group = ""
    for line in text.splitlines():
        plain = line.strip()
        if not plain or plain[0] in "#;":
            continue
        if match := re.fullmatch(_GROUP, plain):
            group = match[1]
            continue
        name, equals, value = plain.partition("=")
        if not equals or not group or not name.strip():
            problems.append(f"has a line that is no entry point: {plain[:80]!r}")
        else:
            found.append((group, name.strip(), value.strip()))
    return found, problems


@wheel_rule("entry-points", "P6")
def _entry_points(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """entry_points.txt is plain INI: groups of unique names, each `module:attribute`; commands are safe file names."""
    member = wheel.member("entry_points.txt")
    entries, problems = _parse(wheel)
    seen: set[tuple[str, str]] = set()
    for problem in problems:
        yield problem, member
    for group, name, value in entries:
        kind = "commands" if group in _SCRIPTS else group
        if (kind, name) in seen:
            yield f"announces {name!r} twice in {group}", member
        seen.add((kind, name))
        if problem := _problem(group, name, value):
            yield problem, member


def _problem(group: str, name: str, value: str) -> str:
    match = re.fullmatch(_OBJECT, value)
    if match is None or not all(part.isidentifier() for part in match["module"].split(".")):
        return f"{name!r} in {group} leads to {value!r}, which is no module:attribute"
    if not re.fullmatch(_GROUP_NAME, group):
        return f"has an impossible group {group!r}"
    if group not in _SCRIPTS:
        return ""
    if not re.fullmatch(_SCRIPT, name) or name.strip(".") == "":
        return f"the command {name!r} is no safe file name"
    if takes_over(name):
        return f"the command {name!r} replaces a part of the environment that it is installed into"
    return "" if match["attribute"] else f"the command {name!r} names no function: {value!r}"


@wheel_rule("entry-point-module", "P6", warns=True, remedy="correct the entry point, or ship the module")
def _entry_point_module(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """The module of a command is in the wheel (it may come from a dependency: then nothing is wrong)."""
    entries, _ = _parse(wheel)
    modules = {path.rpartition(".")[0] or path for path in _stems(wheel)} if entries else set()
    for group, name, value in entries:
        match = re.fullmatch(_OBJECT, value)
        if match and group in _SCRIPTS and not _there(match["module"].replace(".", "/"), modules):
            yield (
                f"the command {name!r} needs {match['module']!r}, which is not in this wheel",
                wheel.member("entry_points.txt"),
            )


def _stems(wheel: WheelSubject) -> Iterator[str]:
    for place in wheel.installed.values():
        folder, _, file = place.rpartition("/")
        yield f"{folder}/{file.partition('.')[0]}.".lstrip("/")


def _there(path: str, modules: set[str]) -> bool:
    return path in modules or f"{path}/__init__" in modules


@wheel_rule("entry-point-extra", "P6", warns=True, remedy="declare the extra")
def _entry_point_extra(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """The extras that an entry point asks for are declared in METADATA."""
    entries, _ = _parse(wheel)
    found = wheel.metadata
    declared = {canonical(extra.strip()) for extra in found.get_all("Provides-Extra", [])} if found else set()
    for _, name, value in entries:
        match = re.fullmatch(_OBJECT, value)
        for extra in (match["extras"] or "").split(",") if match else ():
            if extra.strip() and canonical(extra.strip()) not in declared:
                yield (
                    f"{name!r} asks for the extra {extra.strip()!r}, which nobody declares",
                    wheel.member("entry_points.txt"),
                )
