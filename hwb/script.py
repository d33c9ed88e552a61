"""What does a script's PEP 723 block ask for, and how does hwb run a hwbfile that has one?"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwb.errors import HwbfileError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Block", "needs_other_python", "provide", "read_block"]

_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
"""The regular expression of the inline script metadata specification (PEP 723)."""
_INSIDE = "HWB_HWBFILE_ENVIRONMENT"
"""Set in the re-executed process, so that it does not do it again."""


@dataclass(frozen=True, slots=True)
class Block:
    """The parsed block: `dependencies` are PEP 508 requirements, `requires_python` a version specifier or empty."""

    dependencies: tuple[str, ...] = ()
    requires_python: str = ""


def read_block(path: str) -> Block:
    """The `script` block of a Python file; empty when it has none. Raises HwbfileError for a broken one."""
    try:
        with open(path, encoding="utf-8-sig") as handle:  # editors on Windows begin with a byte order mark
            text = handle.read()
    except (OSError, UnicodeDecodeError) as error:
        raise HwbfileError(f"{path} cannot be read: {error}", where=path) from error
    if "# /// script" not in text:
        return Block()
    found = [match for match in _BLOCK.finditer(text) if match["type"] == "script"]
    if len(found) != 1:
        what = "more than one PEP 723 block" if found else "a PEP 723 block that does not end"
        where = f"{path}:{text[: text.index('# /// script')].count(chr(10)) + 1}"
        raise HwbfileError(what, where=where, remedy="write one block:  # /// script ... # ///")
    line = text[: found[0].start()].count("\n") + 1
    content = "".join(row[2:] if row.startswith("# ") else row[1:] for row in found[0]["content"].splitlines(True))
    return _parsed(content, f"{path}:{line}")


def _parsed(content: str, where: str) -> Block:
    from hwb.errors import ConfigError
    from hwb.toml import parse_toml

    try:
        data = parse_toml(content)
    except (ConfigError, ValueError) as error:
        raise HwbfileError(f"the PEP 723 block is no TOML: {error}", where=where) from error
    dependencies = data.get("dependencies", [])
    python = data.get("requires-python", "")
    if not isinstance(dependencies, list) or not all(isinstance(d, str) for d in dependencies):
        raise HwbfileError("dependencies of the PEP 723 block is no list of strings", where=where)
    for text in dependencies:
        _check_requirement(text, where)
    return Block(tuple(dependencies), str(python))


def _check_requirement(text: str, where: str) -> None:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    try:
        name = canonicalize_name(Requirement(text).name)
    except InvalidRequirement as error:
        raise HwbfileError(f"{text!r} is no requirement (PEP 508): {error}", where=where) from error
    if name in ("headless-wheel-builder", "hwb"):
        raise HwbfileError(
            f"the PEP 723 block names {text!r}: a hwbfile is run by the hwb that loads it",
            where=where,
            remedy="remove that line; choose hwb's version where hwb is installed",
        )


def needs_other_python(block: Block, environ: Mapping[str, str]) -> bool:
    """Whether this process has to hand over to one in which the block's dependencies can be imported."""
    return bool(block.dependencies) and environ.get(_INSIDE) != _wanted(block)


def _wanted(block: Block) -> str:
    return ";".join(block.dependencies)


def provide(block: Block, where: str) -> list[str]:
    """Make the environment and return the command line (without hwb's own arguments) that continues in it.

    The environment holds the block's packages; the running hwb and what it needs come in by a .pth file, and hwb's own
    pins are constraints, so that nobody can replace them.
    """
    from hwb import pythons
    from hwb.isolation.venv import shared_environment

    interpreter = pythons.running()
    if block.requires_python:
        _check_python(block.requires_python, interpreter.version, where)
    pins = _own_pins()
    environment = shared_environment(interpreter, list(block.dependencies), constraints=pins, purpose="hwbfile-script")
    _link(environment.site_packages)
    os.environ[_INSIDE] = _wanted(block)
    return [environment.python, "-m", "hwb"]


def _check_python(wanted: str, version: str, where: str) -> None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        fits = SpecifierSet(wanted).contains(version, prereleases=True)
    except InvalidSpecifier as error:
        raise HwbfileError(f"requires-python {wanted!r} is no version specifier", where=where) from error
    if not fits:
        what = f"the hwbfile wants Python {wanted}, and hwb runs on {version}"
        raise HwbfileError(what, where=where, remedy="install hwb with such a Python")


def _own_pins() -> list[str]:
    """hwb's dependencies at the versions that run now."""
    from importlib.metadata import PackageNotFoundError, version

    pins = []
    for name in ("click", "packaging", "virtualenv", "tomli"):
        try:
            pins.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            pass
    return pins


def _link(site_packages: os.PathLike[str]) -> None:
    """The .pth file: the directories that the running hwb is imported from, after the environment's own."""
    import hwb
    from hwb.fs import atomic_write

    package = os.path.dirname(os.path.dirname(os.path.abspath(hwb.__file__)))
    paths = [package, *(p for p in sys.path if p.rstrip(os.sep).endswith(("site-packages", "dist-packages")))]
    text = "".join(f"{path}\n" for path in dict.fromkeys(paths))
    target = os.path.join(site_packages, "hwb_running.pth")
    try:
        with open(target, encoding="utf-8") as handle:
            if handle.read() == text:
                return
    except OSError:
        pass
    atomic_write(target, text, durable=False)
