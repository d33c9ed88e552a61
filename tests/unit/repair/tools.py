"""An environment with stand-ins for the tools: they record how they were called, and do what the wheel's name says."""

from __future__ import annotations

import os
import sys
import zipfile
from typing import TYPE_CHECKING

from hwb import proc
from hwb.repair.tools import call_as_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

HOME = "/home/me/lib"
AUDITWHEEL = """
import os, shutil, signal, sys, zipfile
from . import main_repair
from .error import InvalidLibcError

def main():
    argv = sys.argv[1:]
    wheel, folder = argv[-1], argv[argv.index("--wheel-dir") + 1]
    plat = argv[argv.index("--plat") + 1] if "--plat" in argv else "manylinux_2_28_x86_64"
    print("argv", argv, os.environ["SOURCE_DATE_EPOCH"])
    name = os.path.basename(wheel)
    kind = name.split("-")[0]
    if kind == "nolibc" and main_repair.get_wheel_libc(name) is None:
        raise InvalidLibcError("couldn't detect libc")
    if kind == "toonew":
        print("auditwheel: error: cannot repair because of the presence of too-recent versioned symbols.")
        sys.exit(2)
    if kind == "lost":
        raise ValueError('Cannot repair wheel, because required library "libfoo.so.1" could not be located')
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "odd":
        sys.exit("odd")
    if kind == "nothing":
        return 0
    new = name if kind == "still" else name.replace("linux_x86_64", plat)
    new = new.replace("-1.0-", "-2.0-") if kind == "other" else new.replace("cp312-cp312", "cp311-cp311") if kind == "python" else new
    target = os.path.join(folder, new)
    shutil.copyfile(wheel, target)
    if kind == "two":
        shutil.copyfile(wheel, os.path.join(folder, "b.whl"))
    if kind == "grafted":
        with zipfile.ZipFile(target, "a") as archive:
            archive.writestr("grafted.libs/libz-1.so", "library")
            archive.writestr("grafted-1.0.dist-info/sboms/auditwheel.cdx.json", "{}")
"""
WHEELTOOLS = """
import os, shutil, tempfile, zipfile
from pathlib import Path

class InWheelCtx:
    def __init__(self, wheel, out):
        self.wheel, self.out = wheel, out
    def __enter__(self):
        self.path = Path(tempfile.mkdtemp())
        with zipfile.ZipFile(self.wheel) as archive:
            self.names = archive.namelist()
            archive.extractall(self.path)
        return self
    def __exit__(self, *_):
        with zipfile.ZipFile(self.out, "w") as archive:
            for name in self.names:
                archive.write(self.path / name, name)
        shutil.rmtree(self.path)
"""
PATCHELF = """#!{python}
import sys
option, path = sys.argv[-2 if sys.argv[1] != "--force-rpath" else 2], sys.argv[-1]
data = open(path, "rb").read()
home = b"{home}"
if sys.argv[1] == "--print-rpath":
    print(("$ORIGIN:" if b"$ORIGIN:" in data else "") + home.decode() if home in data else "$ORIGIN")
elif sys.argv[1] == "--remove-rpath":
    open(path, "wb").write(data.replace(home, b"$ORIGIN/libs"))
else:
    assert sys.argv[1:4] == ["--force-rpath", "--set-rpath", "$ORIGIN"], sys.argv
"""
OTHER = """
import os, shutil, sys
argv = sys.argv[1:]
wheel, folder = argv[-1], argv[argv.index("--wheel-dir") + 1]
print("argv", argv, os.environ["SOURCE_DATE_EPOCH"], os.environ.get("MACOSX_DEPLOYMENT_TARGET"))
if os.path.basename(wheel).startswith("bad"):
    print("cannot")
    sys.exit(3)
shutil.copyfile(wheel, os.path.join(folder, os.path.basename(wheel)))
"""
AUDIT = """
import json, sys
report, wheel = sys.argv[sys.argv.index("--output") + 1], sys.argv[-1]
if "silent" in wheel:
    print("it broke")
    sys.exit(1)
bad = "bad" in wheel
symbols = {"non_abi3_symbols": ["_PyX"] if bad else [], "future_abi3_objects": {"PyY": "3.10"} if bad else {}, "baseline": "3.9"}
clean = {"non_abi3_symbols": [], "future_abi3_objects": {}, "baseline": "3.9"}
with open(report, "w") as file:
    json.dump({"specs": {wheel: {"wheel": [{"name": "x.so", "result": symbols}, {"name": "y.so", "result": clean}]}}}, file)
sys.exit(bad)
"""
FILES = {
    "auditwheel/__init__.py": "",
    "auditwheel/error.py": "class InvalidLibcError(Exception): pass\n",
    "auditwheel/main.py": AUDITWHEEL,
    "auditwheel/main_repair.py": "def get_wheel_libc(name): return None\n",
    "auditwheel/libc.py": "class Libc:\n    @staticmethod\n    def detect(): return 'glibc'\n",
    "auditwheel/repair.py": "",
    "auditwheel/wheel_abi.py": "",
    "auditwheel/wheeltools.py": WHEELTOOLS,
    "delocate/__init__.py": "",
    "delocate/cmd/__init__.py": "",
    "delocate/cmd/delocate_wheel.py": OTHER,
    "delvewheel/__init__.py": "",
    "delvewheel/__main__.py": OTHER,
    "abi3audit/__init__.py": "",
    "abi3audit/__main__.py": AUDIT,
}


class FakeTool:
    """Stand-ins for every locked set; `printed` is what each run said, `asked` for which set it was."""

    def __init__(self, folder: Path, *, without: str = "") -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.printed: list[str] = []
        for name, text in FILES.items():
            if not (without and name.startswith(without)):
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        patchelf = folder / "bin" / "patchelf"
        patchelf.parent.mkdir()
        patchelf.write_text(PATCHELF.format(python=sys.executable, home=HOME), encoding="utf-8")
        patchelf.chmod(0o755)

    python = sys.executable

    def __call__(self, name: str) -> FakeTool:
        self.asked.append(name)
        return self

    def run(self, argv: Sequence[str], env: Mapping[str, str]) -> proc.Completed:
        path = os.pathsep.join((str(self.folder / "bin"), os.environ["PATH"]))
        whole = {**os.environ, "PATH": path, "PYTHONPATH": str(self.folder), **env}
        done = proc.run(argv, env=whole, check=False, capture=True)
        self.printed.append(done.text)
        return done

    def call(self, script: str, argument: str) -> None:
        call_as_program(self, script, argument)


def make_wheel(
    folder: Path,
    files: Mapping[str, bytes | str],
    *,
    name: str = "good",
    tags: str = "cp312-cp312-linux_x86_64",
    year: int = 2024,
) -> Path:
    """A wheel as far as a repair looks at it."""
    path = folder / f"{name}-1.0-{tags}.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in {**files, f"{name}-1.0.dist-info/RECORD": ""}.items():
            archive.writestr(zipfile.ZipInfo(member, (year, 1, 2, 0, 0, 0)), data)
    return path
