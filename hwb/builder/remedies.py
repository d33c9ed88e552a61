"""What should a person do about what a build backend printed before it failed?"""

from __future__ import annotations

import re

__all__ = ["remedy_for"]

_COMPILER = (
    "install a C compiler and Python's headers: apt install gcc python3-dev (Debian, Ubuntu), "
    "dnf install gcc python3-devel (Fedora, RHEL), xcode-select --install (macOS), "
    "Microsoft C++ Build Tools (Windows)"
)
_HEADERS = (
    "install Python's headers: apt install python3-dev (Debian, Ubuntu), dnf install python3-devel (Fedora, RHEL)"
)

_PROGRAM = r"[\w./+-]*(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+|cl|cl\.exe)"
_DISK = "free some disk space (HWB_CACHE_DIR moves the store to another disk)"
_NETWORK = "the backend wants the network: make what it downloads a build requirement or part of the sources"
_PYTHON = "build with a Python that the project supports: --python VERSION"
_MODULE = "add the distribution that provides {0!r} to build-system.requires in pyproject.toml"
_NAME = "ask for a version that has this name in build-system.requires in pyproject.toml"

_TABLE: tuple[tuple[str, str], ...] = (
    (r"fatal error: '?Python\.h|Cannot open include file: '?Python\.h", _HEADERS),
    (r"Microsoft Visual C\+\+ [\d.]+ or greater is required", _COMPILER),
    (r"xcrun: error: invalid active developer path|xcode-select: note: no developer tools", _COMPILER),
    (rf"(?:command|program) '?{_PROGRAM}'? (?:failed: No such file|not found)", _COMPILER),
    (rf"No such file or directory: '{_PROGRAM}'", _COMPILER),
    (r"Unknown compiler\(s\)|No CMAKE_C(?:XX)?_COMPILER could be found|linker `cc` not found", _COMPILER),
    (r"No space left on device|not enough space on the disk", _DISK),
    (r"Temporary failure in name resolution|Name or service not known|getaddrinfo failed", _NETWORK),
    (r"Network is unreachable|Connection refused|Could not resolve host|Max retries exceeded", _NETWORK),
    (r"requires a different Python|requires[-_ ]python|Python version [\w.' ]*not supported", _PYTHON),
    (r"ModuleNotFoundError: No module named '([\w.]+)'", _MODULE),
    (r"ImportError: cannot import name", _NAME),
)


def remedy_for(output: str) -> str:
    """The first known remedy that fits a backend's output; an empty string when none does."""
    for pattern, remedy in _TABLE:
        found = re.search(pattern, output, re.IGNORECASE)
        if found:
            return remedy.format(*found.groups())
    return ""
