"""Does what compilers and backends really print lead to the right remedy?"""

from __future__ import annotations

import pytest

from hwb.builder.remedies import remedy_for


@pytest.mark.parametrize(
    ("output", "remedy"),
    [
        ("error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory", "apt install gcc python3-dev"),
        ("error: command 'gcc' failed: No such file or directory: 'gcc'", "dnf install gcc python3-devel"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'cc'", "xcode-select --install"),
        ("/bin/sh: 1: command gcc not found", "apt install gcc"),
        ("error: command '/usr/bin/clang' failed: No such file or directory", "apt install gcc"),
        ("error: Microsoft Visual C++ 14.0 or greater is required. Get it with ...", "Microsoft C++ Build Tools"),
        ("xcrun: error: invalid active developer path (/Library/Developer)", "xcode-select --install"),
        ("../meson.build:1:0: ERROR: Unknown compiler(s): [['cc'], ['gcc']]", "apt install gcc"),
        ("CMake Error: No CMAKE_C_COMPILER could be found.", "apt install gcc"),
        ("error: linker `cc` not found", "apt install gcc"),
        (
            "a.c:1:10: fatal error: Python.h: No such file or directory",
            "install Python's headers: apt install python3-dev",
        ),
        ("a.c:1:10: fatal error: 'Python.h' file not found", "install Python's headers"),
        ("ModuleNotFoundError: No module named 'Cython.Build'", "provides 'Cython.Build' to build-system.requires"),
        ("ImportError: cannot import name 'x' from 'y'", "a version that has this name"),
        ("OSError: [Errno 28] No space left on device", "free some disk space"),
        ("urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>", "wants the network"),
        ("ERROR: Package 'x' requires a different Python: 3.9.1 not in '>=3.10'", "--python VERSION"),
        ("everything went wrong", ""),
    ],
)
def test_remedies(output: str, remedy: str) -> None:
    assert remedy in remedy_for(f"some lines before\n{output}\nand after")
    if not remedy:
        assert remedy_for(output) == ""
