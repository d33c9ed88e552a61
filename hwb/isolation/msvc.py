"""Where is Microsoft's compiler, and which variables does it need?

`vswhere`, which every installer since Visual Studio 2017 brings, says where the newest one is; its `vcvarsall.bat` sets
the variables, which are read from a shell that called it (the two are described in Microsoft's documentation of the
C++ build tools). Extension modules for CPython have to be made by this compiler.
"""

from __future__ import annotations

import ntpath
import os
from typing import TYPE_CHECKING, NamedTuple

from hwb.errors import CommandFailed, MissingError, ToolNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hwb.target import Target

__all__ = ["Shell", "build_environment", "find_visual_studio", "on_windows", "parse_set", "words"]

_COMPONENT = "Microsoft.VisualStudio.Component.VC.Tools.x86.x64"
"""The compiler for x86 and x64, which every installation for C++ has."""
_WORDS = {"AMD64": "x64", "x86": "x86", "ARM64": "arm64"}
_OWN = ("HWB_SCRIPT", "HWB_WORD", "HWB_TABLE")
"""How the batch file below is told what to call."""
_REMEDY = 'install the "Desktop development with C++" workload of Visual Studio, or its Build Tools'


class Shell(NamedTuple):
    """What is asked of the machine: what a command prints (raises CommandFailed), whether a file is there, and what a
    batch file with one argument prints and `set` prints after it (empty where the batch file failed)."""

    output: Callable[[Sequence[str]], str]
    is_file: Callable[[str], bool]
    after: Callable[[str, str], tuple[str, str]]


def build_environment(target: Target, machine: str, outer: Mapping[str, str], shell: Shell) -> dict[str, str]:
    """The variables for a build of `target` on a machine (`AMD64`), to be added to `outer`; names are in capitals, and
    PATH is a whole one.

    Nothing where `outer` chooses another compiler (`CC`), or is a developer's prompt for that architecture already.
    Raises ToolNotFound "Visual Studio not found", MissingError when it lacks the tools for the architecture.
    """
    given = {name.upper(): value for name, value in outer.items()}
    if given.get("CC"):
        return {}
    word = words(machine, target.arch)
    if given.get("VSCMD_ARG_TGT_ARCH") == _WORDS[target.arch] and given.get("VCTOOLSINSTALLDIR"):
        return _for_distutils(word)
    place = find_visual_studio(given, shell)
    return {**_variables(place, word, given, shell), **_for_distutils(word)}


def words(machine: str, arch: str) -> str:
    """The argument of vcvarsall.bat: `x64`, or `x64_arm64` for a compiler that runs here and compiles for others."""
    host, wanted = _WORDS[machine], _WORDS[arch]
    return wanted if host == wanted else f"{host}_{wanted}"


def _for_distutils(word: str) -> dict[str, str]:
    """setuptools looks for a compiler for the Python that runs it; across architectures it must take what is set."""
    return {"DISTUTILS_USE_SDK": "1", "MSSDK": "1"} if "arm64" in word.split("_")[1:] else {}


def find_visual_studio(environ: Mapping[str, str], shell: Shell) -> str:
    """The directory of the newest Visual Studio with a C++ compiler, or that of a developer's prompt (VSINSTALLDIR).

    `environ` has its names in capitals. Raises ToolNotFound.
    """
    chosen = environ.get("VSINSTALLDIR", "").rstrip("\\/")
    if chosen and shell.is_file(_script(chosen)):
        return chosen
    folder = environ.get("PROGRAMFILES(X86)") or environ.get("PROGRAMFILES") or "C:\\Program Files (x86)"
    asker = ntpath.join(folder, "Microsoft Visual Studio", "Installer", "vswhere.exe")
    if not shell.is_file(asker):
        raise ToolNotFound("Visual Studio not found", remedy=_REMEDY, detail=f"there is no {asker}")
    question = [asker, "-latest", "-products", "*", "-requires", _COMPONENT, "-property", "installationPath"]
    try:
        found = shell.output([*question, "-utf8", "-nologo"]).strip()
    except CommandFailed as error:
        raise ToolNotFound("Visual Studio not found", remedy=_REMEDY, detail=error.detail or error.what) from error
    place = found.splitlines()[-1].strip() if found else ""
    if not place or not shell.is_file(_script(place)):
        detail = f"{place} has no vcvarsall.bat" if place else f"vswhere knows none with {_COMPONENT}"
        raise ToolNotFound("Visual Studio not found", remedy=_REMEDY, detail=detail)
    return place


def _script(place: str) -> str:
    return ntpath.join(place, "VC", "Auxiliary", "Build", "vcvarsall.bat")


def _variables(place: str, word: str, outer: Mapping[str, str], shell: Shell) -> dict[str, str]:
    printed, table = shell.after(_script(place), word)
    variables = parse_set(table)
    if not {"INCLUDE", "LIB"} <= {name.upper() for name in variables}:  # it ends well without the tools, too
        raise _lacks(place, word, printed.strip())
    # in capitals, as os.environ has them: two spellings of PATH would be two variables here, and one for others
    return {name.upper(): value for name, value in variables.items() if outer.get(name.upper()) != value}


def _lacks(place: str, word: str, detail: str) -> MissingError:
    what = f"Visual Studio at {place} cannot compile for {word.rpartition('_')[2]} (vcvarsall.bat {word})"
    return MissingError(what, detail=detail, remedy="add the C++ build tools for that architecture in its installer")


def parse_set(text: str) -> dict[str, str]:
    """The variables in what cmd's `set` prints: `NAME=value` lines; what begins with `=` are drives' directories."""
    pairs = (line.rstrip("\r").partition("=") for line in text.removeprefix("\ufeff").split("\n"))
    return {name: value for name, mark, value in pairs if mark and name and name not in _OWN}


def on_windows() -> Shell:
    """The machine that this runs on."""
    from hwb import proc

    def output(argv: Sequence[str]) -> str:
        return proc.run(argv, capture=True, quiet=True).text

    return Shell(output, os.path.isfile, _after)


_BATCH = """@call "%HWB_SCRIPT%" %HWB_WORD%
@if errorlevel 1 exit /b 1
@set >"%HWB_TABLE%"
"""
"""ASCII alone: what cmd takes other bytes for depends on the machine. `/u` has it write the table in UTF-16."""


def _after(script: str, word: str) -> tuple[str, str]:
    import tempfile

    from hwb import proc
    from hwb.context import current

    with tempfile.TemporaryDirectory(prefix="hwb-msvc-") as folder:
        batch, table = os.path.join(folder, "ask.cmd"), os.path.join(folder, "table")
        with open(batch, "w", encoding="ascii", newline="\r\n") as file:
            file.write(_BATCH)
        own = {"HWB_SCRIPT": script, "HWB_WORD": word, "HWB_TABLE": table}
        argv = ["cmd.exe", "/u", "/d", "/c", batch]
        done = proc.run(argv, env={**current().outer_env, **own}, capture=True, check=False, quiet=True)
        if done.return_code or not os.path.isfile(table):
            return done.text, ""
        with open(table, "rb") as dump:
            return done.text, dump.read().decode("utf-16-le", "replace")
