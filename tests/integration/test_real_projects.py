"""Does `hwb run release` work, unconfigured and reproducibly, on projects that were not written for it?

Sdists of PyPI become repositories of one commit. Each is released twice, and what comes out is compared with what
`uv build` makes of the same commit. `--junitxml` carries what docs/explanation/real-projects.md tells about them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib_or_tomli as tomllib
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

pytestmark = [pytest.mark.pypi, pytest.mark.git, pytest.mark.uv, pytest.mark.slow]
