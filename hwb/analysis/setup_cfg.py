"""What does setup.cfg declare, in the keywords that `setup()` would be called with?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwb.analysis.legacy import Legacy
from hwb.errors import AnalyzeError

if TYPE_CHECKING:
    from configparser import ConfigParser

__all__ = ["read_setup_cfg"]

_LISTS = (
    *("classifiers", "keywords", "license_files", "py_modules", "packages"),
    *("install_requires", "setup_requires", "tests_require", "dependency_links"),
)
_ALIASES = {"home_page": "url", "summary": "description", "classifier": "classifiers", "license_file": "license_files"}
_COMPUTED = ("attr:", "file:", "find:", "find_namespace:")


def read_setup_cfg(path: str) -> Legacy:
    """The declarative part (setuptools' `[metadata]`, `[options]` and below); AnalyzeError when it is malformed."""
    parser = _parse(path)
    values: dict[str, Any] = {}
    computed: dict[str, str] = {}
    places: dict[str, str] = {}
    lines = _lines(path)
    for section in ("metadata", "options"):
        for key, text in parser.items(section) if parser.has_section(section) else ():
            name = _ALIASES.get(key, key)
            places[name] = f"{path}:{lines.get((section, key), 1)}"
            if text.strip().startswith(_COMPUTED):
                computed[name] = " ".join(text.split())
            else:
                values[name] = (
                    _items(text) if name in _LISTS else _pairs(text) if name == "package_dir" else text.strip()
                )
    for section, name in (("options.extras_require", "extras_require"), ("options.entry_points", "entry_points")):
        if parser.has_section(section):
            values[name] = {key: _items(text) for key, text in parser.items(section)}
            places[name] = f"{path}:{lines.get((section, ''), 1)}"
    for section in ("bdist_wheel", "wheel"):
        if tag := parser.get(section, "py_limited_api", fallback=""):
            values["py_limited_api"] = tag.strip()
    return Legacy(values, computed, places)


def _parse(path: str) -> ConfigParser:
    import configparser

    class Parser(configparser.ConfigParser):
        def optionxform(self, optionstr: str) -> str:
            return optionstr.lower().replace("-", "_")

    parser = Parser(interpolation=None)
    try:
        with open(path, encoding="utf-8") as handle:
            parser.read_file(handle)
    except configparser.Error as error:
        line = getattr(error, "lineno", 0) or (getattr(error, "errors", None) or [(0, "")])[0][0]
        where = f"{path}:{line}" if line else path
        raise AnalyzeError(f"setup.cfg cannot be read: {str(error).splitlines()[0]}", where=where) from error
    except UnicodeDecodeError as error:
        raise AnalyzeError("setup.cfg is not UTF-8", where=path) from error
    return parser


def _lines(path: str) -> dict[tuple[str, str], int]:
    """Where sections (key "") and their keys stand."""
    found, section = {}, ""
    with open(path, encoding="utf-8") as handle:
        for number, line in enumerate(handle, 1):
            if line.startswith("["):
                section = line[1:].partition("]")[0]
                found[section, ""] = number
            elif line[:1].strip() and ("=" in line or ":" in line):
                key = min(line.split("=")[0], line.split(":")[0], key=len)
                found[section, key.strip().lower().replace("-", "_")] = number
    return found


def _items(text: str) -> list[str]:
    """One a line, else separated by semicolons or, where the text holds no requirement, commas."""
    parts = (
        text.splitlines() if "\n" in text else text.split(";" if ";" in text or any(c in text for c in "<>=") else ",")
    )
    return [part.strip() for part in parts if part.strip() and not part.strip().startswith("#")]


def _pairs(text: str) -> dict[str, str]:
    """`package_dir`: `=src` or `name = folder` a line."""
    pairs = (line.partition("=") for line in text.replace(",", "\n").splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}
