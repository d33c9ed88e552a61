"""A backend that fails as setuptools does without a compiler."""

import sys


def build_sdist(sdist_directory, config_settings=None):
    print("building the sdist")
    print("error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory", file=sys.stderr)
    raise SystemExit(1)
