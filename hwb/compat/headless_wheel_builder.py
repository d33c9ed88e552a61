"""What does `import headless_wheel_builder` give? The package `hwb` itself (C-14).

A build hook puts this file into the wheel as a package of its own beside `hwb`.
"""

from __future__ import annotations

if __name__ == "headless_wheel_builder":  # within hwb it is only a file to be copied
    from hwb.compat.alias import install

    install(__name__, "hwb")
