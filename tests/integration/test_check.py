"""`hwb check`: its words, its JSON, its exit codes, and how little it imports."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import zipfile
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest

import hwb

NAME = "demo-1.0-py3-none-any.whl"
FILES = {
    "demo.py": b"x = 1\n",
    "demo-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nRequires-Dist: a>=1\n",
    "demo-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}


def wheel(folder: Path, more: dict[str, bytes] | None = None, *, name: str = NAME, broken: bool = False) -> Path:
    rows = ""
    with zipfile.ZipFile(folder / name, "w") as archive:
        for member, data in {**FILES, **(more or {})}.items():
            digest = urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows += f"{member},sha256={digest},{len(data) + broken}\n"
            archive.writestr(member, data)
        archive.writestr("demo-1.0.dist-info/RECORD", rows + "demo-1.0.dist-info/RECORD,,\n")
    return folder / name


def test_a_sound_file_is_ok(project: Any) -> None:
    path = wheel(project.root)
    done = project.hwb("check", str(path))
    assert (done.code, done.out, done.err) == (0, f"{path}: ok\n", "")


def test_a_refused_file_ends_with_five(project: Any) -> None:
    path = wheel(project.root, {"x.pth": b"import x"}, broken=True)
    done = project.hwb("check", str(path))
    lines = done.out.splitlines()
    assert done.code == 5
    assert lines[0] == f"{path}: error: record-hash: it has 6 bytes, RECORD says 7 (demo.py)"
    assert lines[-2] == f"{path}: warning: runs-itself: runs at every start of the interpreter (x.pth)"
    assert lines[-1] == f"{path}: refused (4 errors, 1 warning)"


def test_a_directory_means_what_is_in_it(project: Any) -> None:
    dist = project.root / "dist"
    dist.mkdir()
    assert project.hwb("check", "dist").code == 2
    wheel(dist)
    with tarfile.open(dist / "broken-1.0.tar.gz", "w:gz"):
        pass
    (dist / "notes.txt").write_text("not looked at")
    done = project.hwb("check", "dist", str(dist / NAME))
    assert done.code == 5
    assert [line.rpartition(": ")[2] for line in done.out.splitlines()[1:]] == ["refused (1 error)", "ok", "ok"]


def test_warnings_count_when_strict(project: Any) -> None:
    path = str(wheel(project.root, {"x.pth": b"import x"}))
    assert project.hwb("check", path).code == 0
    assert project.hwb("check", "--strict", path).out.endswith("refused (1 warning)\n")
    assert project.hwb("check", "--strict", path).code == 5
    assert project.hwb("check", "--strict", "--ignore", "runs-itself", path).code == 0


def test_json(project: Any) -> None:
    path = wheel(project.root, {"x.pth": b"import x"})
    done = project.hwb("check", "--json", str(path))
    assert done.code == 0
    assert json.loads(done.out) == {
        "schema": "hwb.check/1",
        "files": [
            {
                "file": str(path),
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "verdict": "ok",
                "findings": [
                    {
                        "id": "runs-itself",
                        "severity": "warning",
                        "member": "x.pth",
                        "message": "runs at every start of the interpreter",
                        "remedy": "make sure that this is meant: it runs whenever Python starts",
                    }
                ],
            }
        ],
    }


def test_wrong_usage_ends_with_two(project: Any) -> None:
    assert project.hwb("check").code == 2
    assert "there is no file gone.whl" in project.hwb("check", "gone.whl").err
    assert project.hwb("check", "gone.whl").code == 2
    path = str(wheel(project.root))
    assert "cannot be ignored" in project.hwb("check", "--ignore", "archive-name", path).err
    assert project.hwb("check", "--ignore", "archive-name", path).code == 2
    assert project.hwb("check", "--explain", "nothing").code == 2


def test_rules_are_listed_and_explained(project: Any) -> None:
    from hwb.wheel.rules import every_rule

    listed = project.hwb("check", "--list-rules").out
    assert [line.split()[0] for line in listed.splitlines()] == list(every_rule())
    rows = json.loads(project.hwb("check", "--list-rules", "--json").out)["rules"]
    assert [row["id"] for row in rows] == list(every_rule())
    explained = project.hwb("check", "--explain", "abi-suffix").out
    assert "PEP 3149" in explained
    assert "try: build in a clean tree" in explained


def test_p01_what_a_file_says_does_not_control_the_terminal(project: Any) -> None:
    done = project.hwb("check", str(wheel(project.root, {"demo/\x1b[2J.py": b""})))
    assert done.code == 5
    assert "\x1b" not in done.both


@pytest.mark.parametrize("damage", [b"", b"nothing", b"PK\5\6" + b"\xff" * 18, b"\x1f\x8b" + b"\0" * 50])
def test_p08_damage_is_never_a_traceback(project: Any, damage: bytes) -> None:
    for name in (NAME, "demo-1.0.tar.gz"):
        (project.root / name).write_bytes(damage)
        done = project.hwb("check", name)
        assert done.code == 5
        assert done.err == ""


def test_a_sound_wheel_needs_no_heavy_import(tmp_path: Path, unmeasured: dict[str, str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "hwb", "check", str(wheel(tmp_path))]
    environ = {**unmeasured, "PYTHONPATH": str(Path(hwb.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environ)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "hwb.wheel.rules" in loaded
    assert not loaded & {"email", "csv", "zipfile", "tarfile", "packaging", "tempfile", "shutil", "json", "subprocess"}
