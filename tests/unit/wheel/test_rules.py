"""Does each rule refuse what it is for, and nothing beside it? Numbers in names are those of the principles."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import zipfile
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from hwb.errors import UsageError
from hwb.wheel import Severity, check_file, require_valid
from hwb.wheel.binaries import Binary, fits, identify
from hwb.wheel.rules import ARCHIVE_RULES, SDIST_RULES, WHEEL_RULES, applies_to, every_rule

INFO = "demo-1.0.dist-info/"
DATA = "demo-1.0.data/"
META = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
ANY = "py3-none-any"
LINUX = "cp312-cp312-manylinux_2_28_x86_64"


def elf(machine: int = 62) -> bytes:
    return b"\x7fELF\2\1\1" + b"\0" * 9 + b"\3\0" + machine.to_bytes(2, "little") + b"\0" * 100


def pe(machine: int = 0x8664) -> bytes:
    return b"MZ" + b"\0" * 58 + (64).to_bytes(4, "little") + b"PE\0\0" + machine.to_bytes(2, "little") + b"\0" * 50


def macho(machine: int = 0x0100000C) -> bytes:
    return b"\xcf\xfa\xed\xfe" + machine.to_bytes(4, "little") + b"\0" * 50


def universal(*machines: int) -> bytes:
    head = b"\xca\xfe\xba\xbe" + len(machines).to_bytes(4, "big")
    return head + b"".join(machine.to_bytes(4, "big") + b"\0" * 16 for machine in machines)


def row(name: str, data: bytes) -> str:
    return f"{name},sha256={urlsafe_b64encode(sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"


def wheel(folder: Path, tags: str = ANY, build: str = "", modes: int = 0o644, **named: str) -> Path:
    """A sound wheel with more in it: `meta` and `wheel` are appended, `entry` is entry_points.txt."""
    return wheel_of(folder, {}, tags, build=build, modes=modes, **named)


def wheel_of(
    folder: Path,
    files: dict[str, bytes | str],
    tags: str = ANY,
    *,
    build: str = "",
    modes: int = 0o644,
    meta: str = "",
    lines: str = "",
    entry: str = "",
    record: str = "",
    metadata: bytes | None = None,
) -> Path:
    python, abi, platform = tags.split("-")
    expanded = [f"{p}-{a}-{q}" for p in python.split(".") for a in abi.split(".") for q in platform.split(".")]
    text = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n" + "".join(f"Tag: {tag}\n" for tag in expanded) + lines
    whole: dict[str, bytes | str] = {
        "demo/__init__.py": "",
        INFO + "WHEEL": text,
        INFO + "METADATA": metadata or META + meta,
    }
    if entry:
        whole[INFO + "entry_points.txt"] = entry
    whole.update(files)
    content = {name: data.encode() if isinstance(data, str) else data for name, data in whole.items()}
    rows = "".join(row(name, data) for name, data in content.items() if not name.endswith("/"))
    content[INFO + "RECORD"] = (record or rows + INFO + "RECORD,,\n").encode()
    path = folder / f"demo-1.0-{build}{tags}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o40755 if name.endswith("/") else 0o100000 | modes) << 16
            archive.writestr(info, data)
    return path


def sdist(folder: Path, files: dict[str, str], *, meta: str = "", setup: bool = True, top: str = "demo-1.0") -> Path:
    path = folder / "demo-1.0.tar.gz"
    content = {f"{top}/PKG-INFO": META + meta, **({f"{top}/setup.py": ""} if setup else {})}
    with tarfile.open(path, "w:gz") as archive:
        for name, text in {**content, **{f"{top}/{name}": text for name, text in files.items()}}.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


def ids(path: Path) -> list[str]:
    return [finding.rule for finding in check_file(path)]


def test_p16_a_sound_wheel_and_sdist_have_no_findings(tmp_path: Path) -> None:
    assert check_file(wheel(tmp_path)) == []
    assert check_file(sdist(tmp_path, {})) == []


def test_p16_every_rule_has_what_a_report_needs() -> None:
    rules = every_rule()
    assert len(rules) == len(ARCHIVE_RULES) + 1 + len(WHEEL_RULES.keys() | SDIST_RULES.keys())
    for name, rule in rules.items():
        assert rule.id == name
        assert rule.doc.endswith("."), name
        assert rule.principle[0] == "P"
        assert rule.remedy
        assert applies_to(name) in ("wheel", "sdist", "both")
    assert {rule.principle for rule in rules.values()} == {f"P{n}" for n in range(1, 16)}


def test_p16_rules_are_ignored_by_id_but_not_those_that_keep_safe(tmp_path: Path) -> None:
    path = wheel_of(tmp_path, {INFO + "INSTALLER": "me", "a.pth": "import x"})
    assert ids(path) == ["installer-file", "runs-itself"]
    assert [finding.severity for finding in check_file(path)] == [Severity.ERROR, Severity.WARNING]
    assert [finding.rule for finding in require_valid(path, ignore=["installer-file"])] == ["runs-itself"]
    for unsafe in (*ARCHIVE_RULES, "file-name"):
        with pytest.raises(UsageError, match="cannot be ignored"):
            check_file(path, ignore=[unsafe])
    with pytest.raises(UsageError, match="there is no rule 'nothing'"):
        check_file(path, ignore=["nothing"])


def test_p16_the_same_file_elsewhere_has_the_same_verdict(tmp_path: Path) -> None:
    path = wheel_of(tmp_path, {"../evil": ""})
    other = tmp_path / "copy" / path.name
    other.parent.mkdir()
    other.write_bytes(path.read_bytes())
    assert check_file(path) == check_file(str(other))


@pytest.mark.parametrize(
    ("files", "rule"),
    [
        ({DATA + "scripts/run": "", DATA + "data/share/x": "", DATA: ""}, ""),
        ({DATA + "purelib/other.py": "", DATA + "headers/x.h": ""}, ""),
        ({DATA + "nowhere/x": ""}, "data-scheme"),
        ({DATA + "loose": ""}, "data-scheme"),
        ({"other-1.0.data/scripts/x": ""}, "data-scheme"),
        ({DATA + "scripts/python3": ""}, "data-target"),
        ({DATA + "scripts/Activate.ps1": ""}, "data-target"),
        ({DATA + "data/pyvenv.cfg": ""}, "data-target"),
        ({DATA + "data/bin/python": ""}, "data-target"),
        ({DATA + "data/lib/python3.12/site-packages/x.py": ""}, "data-target"),
        ({DATA + "data/share/python": "", DATA + "scripts/pythonic": ""}, ""),
        ({DATA + "purelib/demo/__init__.py": ""}, "data-collision"),
        ({DATA + "purelib/x.py": "", DATA + "platlib/X.py": ""}, "data-collision"),
    ],
)
def test_p04_schemes(tmp_path: Path, files: dict[str, bytes | str], rule: str) -> None:
    assert ids(wheel_of(tmp_path, files)) == ([rule] if rule else [])


@pytest.mark.parametrize(
    ("files", "rule"),
    [
        ({INFO + "direct_url.json": ""}, "installer-file"),
        ({"x.pth": ""}, "runs-itself"),
        ({"sitecustomize.py": ""}, "runs-itself"),
        ({"demo/x.pth": ""}, ""),
        ({"random.py": ""}, "shadows-stdlib"),
        ({"json/__init__.py": ""}, "shadows-stdlib"),
        ({"email/data.txt": "", "demo/json.py": ""}, ""),
        ({"demo/.env": ""}, "secret"),
        ({"demo/.env.production": ""}, "secret"),
        ({"demo/creds.json": ""}, "secret"),
        ({"id_rsa": ""}, "secret"),
        ({"demo/.env.example": "", "demo/environment": ""}, ""),
        ({"demo/key.pem": "-----BEGIN RSA PRIVATE KEY-----"}, "private-key"),
        ({"demo/key.p12": ""}, "private-key"),
        ({"demo/ca.pem": "-----BEGIN CERTIFICATE-----"}, ""),
        ({"demo/__pycache__/a.txt": ""}, "litter"),
        ({"demo/a.pyc": ""}, "litter"),
        ({".git/config": ""}, "litter"),
        ({"tests/__init__.py": ""}, "litter"),
    ],
)
def test_p05_unasked_for_effects(tmp_path: Path, files: dict[str, bytes | str], rule: str) -> None:
    assert ids(wheel_of(tmp_path, files)) == ([rule] if rule else [])


def test_p05_sdists_only_warn_of_names(tmp_path: Path) -> None:
    found = check_file(
        sdist(tmp_path, {"tests/.netrc": "", "k.key": "PRIVATE KEY-----", "a.orig": "", ".gitignore": ""})
    )
    assert [(f.rule, f.severity) for f in found] == [
        ("secret-name", Severity.WARNING),
        ("private-key", Severity.WARNING),
        ("litter", Severity.WARNING),
    ]


def test_p03_world_writable_members_are_said(tmp_path: Path) -> None:
    assert set(ids(wheel(tmp_path, modes=0o666))) == {"mode"}


@pytest.mark.parametrize(
    ("entry", "rules"),
    [
        ("# note\n[console_scripts]\nrun = demo:main\n[gui_scripts]\ngo=demo:main.go\n\n[x.y]\na = demo\n", []),
        ("[console_scripts]\nrun = demo:main [fast]\n", ["entry-point-extra"]),
        ("[console_scripts]\n../run = demo:main\n", ["entry-points"]),
        ("[console_scripts]\n.. = demo:main\n", ["entry-points"]),
        ("[console_scripts]\npython3 = demo:main\n", ["entry-points"]),
        ("[console_scripts]\nrun = demo\n", ["entry-points"]),
        ("[console_scripts]\nrun = demo:main; evil\n", ["entry-points"]),
        ("[console_scripts]\nrun = 1x:main\n", ["entry-points", "entry-point-module"]),
        ("[console_scripts]\nrun = demo:a\n[gui_scripts]\nrun = demo:b\n", ["entry-points"]),
        ("run = demo:main\n", ["entry-points"]),
        ("[console_scripts]\nnonsense\n", ["entry-points"]),
        ("[bad group]\na = demo:b\n", ["entry-points"]),
        ("[console_scripts]\nrun = other.cli:main\n", ["entry-point-module"]),
    ],
)
def test_p06_entry_points(tmp_path: Path, entry: str, rules: list[str]) -> None:
    assert ids(wheel(tmp_path, entry=entry)) == rules


def test_p06_entry_points_are_text(tmp_path: Path) -> None:
    assert ids(wheel_of(tmp_path, {INFO + "entry_points.txt": b"\xff"})) == ["entry-points"]
    declared = wheel(
        tmp_path, entry="[console_scripts]\nrun = demo:main [Fast_one]\n", meta="Provides-Extra: fast-one\n"
    )
    assert ids(declared) == []


@pytest.mark.parametrize(
    ("lines", "build", "rules"),
    [
        ("Build: 2\n", "2-", []),
        ("", "2-", []),
        ("Build: 3\n", "2-", ["wheel-build"]),
        ("Build: 2\n", "", ["wheel-build"]),
        ("Root-Is-Purelib: false\n", "", ["wheel-fields"]),
        ("no field\n", "", ["wheel-fields"]),
        ("Tag: py3-none-linux_x86_64\n", "", ["wheel-tags"]),
    ],
)
def test_p07_wheel_fields(tmp_path: Path, lines: str, build: str, rules: list[str]) -> None:
    assert ids(wheel(tmp_path, build=build, lines=lines)) == rules


def test_p07_py2_may_be_missing_in_the_tag_lines(tmp_path: Path) -> None:
    path = wheel(tmp_path)
    assert ids(path.rename(tmp_path / "demo-1.0-py2.py3-none-any.whl")) == []
    assert ids((tmp_path / "demo-1.0-py2.py3-none-any.whl").rename(tmp_path / "demo-1.0-py2-none-any.whl")) == [
        "wheel-tags"
    ]


@pytest.mark.parametrize(
    ("meta", "rules"),
    [
        (
            "Requires-Dist: a\nRequires-Dist: b[x] >=1,<2 ; extra == 'x' and python_version < \"3\"\nRequires-Python: >=3.8\n",
            [],
        ),
        (
            "Requires-Dist: a; (os_name == 'nt') or (extra == 'y' and extra != 'z')\nRequires-Python: ~=3.8,!=3.9.*\n",
            [],
        ),
        ("Requires-Dist: a (>=1.0)\nLicense-File: LICENSE\n", ["licence-file"]),
        ("Requires-Dist: not valid!\n", ["metadata-values"]),
        ("Requires-Dist: a; nonsense == '1'\n", ["metadata-values"]),
        ("Requires-Dist: a[b\n", ["metadata-values"]),
        ("Requires-Python: three\n", ["metadata-values"]),
        ("Name: demo\n", ["metadata-fields"]),
        ("Summary: a\nSummary: b\n", ["metadata-fields"]),
        ("no field\n", ["metadata-fields"]),
        ("Description:  a\n continued\n", []),
        ("\nbody: of the description\nName: x\n", []),
    ],
)
def test_p11_metadata(tmp_path: Path, meta: str, rules: list[str]) -> None:
    assert ids(wheel(tmp_path, meta=meta)) == rules


def test_p11_metadata_of_unknown_versions_and_encodings(tmp_path: Path) -> None:
    assert ids(wheel_of(tmp_path, {}, metadata=META.replace("2.1", "9.9").encode())) == ["metadata-fields"]
    assert ids(wheel_of(tmp_path, {}, metadata=META.encode() + b"Summary: \xff\n")) == ["metadata-fields"]
    assert ids(wheel_of(tmp_path, {}, metadata=b"Metadata-Version: 2.1\nVersion: 1.0\n")) == [
        "metadata",
        "metadata-values",
    ]
    assert ids(wheel_of(tmp_path, {INFO + "licenses/L": ""}, meta="License-File: L\n")) == []


@pytest.mark.parametrize(
    "meta",
    [
        "Requires-Dist: a @ https://example.org/a.whl\n",
        "Classifier: Private :: Do Not Upload\n",
        "Description-Content-Type: text/html\n",
        f"Summary: {'x' * 513}\n",
        "Provides-Extra: a_b\nProvides-Extra: a-b\n",
    ],
)
def test_p09_what_pypi_refuses_is_said(tmp_path: Path, meta: str) -> None:
    assert ids(wheel(tmp_path, meta=meta)) == ["pypi-metadata"]
    assert ids(sdist(tmp_path, {}, meta=meta)) == ["pypi-metadata"]


def test_p09_what_pypi_takes_is_fine(tmp_path: Path) -> None:
    meta = "Description-Content-Type: text/markdown; charset=UTF-8; variant=GFM\nSummary: short\nRequires-Dist: a; extra == 'at'\n"
    assert ids(wheel(tmp_path, meta=meta)) == []


def test_p09_platforms_and_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native: dict[str, bytes | str] = {"demo/x.cpython-312-x86_64-linux-gnu.so": elf()}
    assert ids(wheel_of(tmp_path, native, "cp312-cp312-linux_x86_64")) == ["pypi-platform"]
    assert ids(wheel_of(tmp_path, native, LINUX)) == []
    monkeypatch.setattr("hwb.wheel.rules_metadata._PYPI_FILE", 10)
    monkeypatch.setattr("hwb.wheel.rules_metadata._PYPI_RATIO", 0)
    monkeypatch.setattr("hwb.wheel.rules_metadata._PYPI_RATIO_FROM", 1)
    assert ids(wheel(tmp_path)) == ["pypi-size", "pypi-size"]


def test_p09_local_versions(tmp_path: Path) -> None:
    local = META.replace("1.0", "1.0+local").encode()
    assert ids(wheel_of(tmp_path, {}, metadata=local)) == ["metadata", "pypi-metadata"]


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("demo-1.0-py3-none-any.whl", []),
        ("demo-1.0-py3-none-nowhere.whl", ["tag-syntax", "wheel-tags"]),
        ("demo-1.0-snake3-none-any.whl", ["tag-syntax", "wheel-tags"]),
        ("demo-1.0-py3.py3-none-any.whl", ["tag-syntax"]),
        ("demo-1.0-py3-abi3-any.whl", ["tag-syntax", "wheel-tags"]),
        ("demo-1.0-py3-none.whl", ["wheel-name"]),
        ("demo 1.0-py3-none-any.whl", ["wheel-name"]),
        ("demo-one-py3-none-any.whl", ["wheel-name"]),
    ],
)
def test_p13_names_and_tags(tmp_path: Path, name: str, rules: list[str]) -> None:
    found = ids(wheel(tmp_path).rename(tmp_path / name))
    assert sorted(rule for rule in found if rule != "no-native-code") == sorted(rules)


@pytest.mark.parametrize(
    ("file", "data", "tags", "rules"),
    [
        ("demo/x.cpython-312-x86_64-linux-gnu.so", elf(), LINUX, []),
        ("demo/x.cpython-311-x86_64-linux-gnu.so", elf(), LINUX, ["abi-suffix"]),
        ("demo/x.cpython-313t-x86_64-linux-gnu.so", elf(), "cp313-cp313t-manylinux_2_28_x86_64", []),
        ("demo/x.cpython-313t-x86_64-linux-gnu.so", elf(), "cp313-cp313-manylinux_2_28_x86_64", ["abi-suffix"]),
        ("demo/x.cpython-312-x86_64-linux-gnu.so", elf(), "cp312-abi3-manylinux_2_28_x86_64", ["abi-suffix"]),
        ("demo/x.abi3.so", elf(), "cp39-abi3-manylinux_2_28_x86_64", []),
        ("demo/x.abi3.so", elf(), LINUX, []),
        ("demo/x.abi3.so", elf(), "pp310-pypy310_pp73-manylinux_2_28_x86_64", ["abi-suffix"]),
        ("demo/x.pypy310-pp73-x86_64-linux-gnu.so", elf(), "pp310-pypy310_pp73-manylinux_2_28_x86_64", []),
        ("demo/x.pypy310-pp73-x86_64-linux-gnu.so", elf(), LINUX, ["abi-suffix"]),
        ("demo/x.cpython-312-x86_64-linux-gnu.so", elf(), "py3-none-manylinux_2_28_x86_64", []),
        ("demo/x.odd.so", elf(), LINUX, []),
        ("demo/x.so", elf(183), LINUX, ["binary-platform"]),
        ("demo/x.so", pe(), LINUX, ["binary-platform"]),
        ("demo/x.so", elf(), "cp312-cp312-musllinux_1_2_x86_64.manylinux_2_28_x86_64", []),
        ("demo/x.so", elf(183), "cp312-cp312-manylinux2014_aarch64", []),
        ("demo/x.so", elf(3), "cp312-cp312-manylinux_2_17_i686", []),
        ("demo/x.pyd", pe(), "cp312-cp312-win_amd64", []),
        ("demo/x.cp312-win_amd64.pyd", pe(), "cp312-cp312-win_amd64", []),
        ("demo/x.cp311-win_amd64.pyd", pe(), "cp312-cp312-win_amd64", ["abi-suffix"]),
        ("demo/x.pyd", pe(0x14C), "cp312-cp312-win_amd64", ["binary-platform"]),
        ("demo/x.pyd", pe(0x14C), "cp312-cp312-win32", []),
        ("demo/x.so", macho(), "cp312-cp312-macosx_11_0_arm64", []),
        ("demo/x.so", macho(0x01000007), "cp312-cp312-macosx_11_0_arm64", ["binary-platform"]),
        ("demo/x.so", universal(0x01000007, 0x0100000C), "cp312-cp312-macosx_10_9_universal2", []),
        ("demo/x.so", macho(), "cp312-cp312-macosx_10_9_universal2", ["binary-platform"]),
        ("demo/x.so", elf(), ANY, ["pure-with-extension"]),
        ("demo/x.so", "text, no library", ANY, []),
        ("demo/helper.exe", pe(), ANY, ["native-in-any"]),
        ("demo/lib-x/x.so", elf(), ANY, ["native-in-any"]),
        ("demo/helper.exe", pe(), LINUX, ["foreign-binary"]),
        ("demo/libx.so.1", elf(), LINUX, []),
        ("demo/x.py", "", LINUX, ["no-native-code"]),
        ("demo/x.a", "", LINUX, []),
    ],
)
def test_p14_native_code_agrees_with_the_tags(
    tmp_path: Path, file: str, data: bytes | str, tags: str, rules: list[str]
) -> None:
    assert ids(wheel_of(tmp_path, {file: data}, tags)) == rules


def test_p14_a_stale_second_extension_is_refused(tmp_path: Path) -> None:
    both: dict[str, bytes | str] = {f"demo/x.cpython-3{n}-x86_64-linux-gnu.so": elf() for n in (11, 12)}
    found = check_file(wheel_of(tmp_path, both, LINUX))
    assert [(f.rule, f.member) for f in found] == [("abi-suffix", "demo/x.cpython-311-x86_64-linux-gnu.so")]


def test_p14_formats() -> None:
    assert identify(elf(9999)) == Binary("ELF", frozenset({"machine 9999"}))
    assert identify(b"\xca\xfe\xba\xbe\0\0\0\x34" + b"\0" * 60) is None
    assert identify(b"MZ" + b"\0" * 100) is None
    assert identify(b"plain text") is None
    assert fits(Binary("ELF", frozenset({"x86_64"})), "freebsd_13_amd64")


def test_p12_rows(tmp_path: Path) -> None:
    good = wheel(tmp_path)
    with zipfile.ZipFile(good) as archive:
        rows = archive.read(INFO + "RECORD").decode()
    assert ids(wheel(tmp_path, record=rows.replace("RECORD,,", "RECORD,sha256=x,1"))) == ["record-rows"]
    assert ids(wheel(tmp_path, record=rows.replace("__init__.py,", '"__init__.py",'))) != []
    assert ids(wheel(tmp_path, record=rows.replace("demo/__init__.py,", '"demo/__init__.py",'))) == []
    assert ids(wheel(tmp_path, record=rows.replace(",0\n", ",zero\n"))) == ["record-rows", "record-hash"]
    padded = rows.replace(",0\n", "=,0\n", 1)
    assert "padded" in check_file(wheel(tmp_path, record=padded))[0].message


PYPROJECT = "[build-system]\nrequires = ['x']\nbuild-backend = 'back'\nbackend-path = ['tools', '.']\n"


@pytest.mark.parametrize(
    ("files", "meta", "setup", "rules"),
    [
        ({"pyproject.toml": PYPROJECT, "tools/back.py": ""}, "", False, []),
        ({"pyproject.toml": "[project]\nname = 'demo'\nreadme = 'R.md'\n", "R.md": ""}, "", True, []),
        ({}, "", False, ["sdist-buildable"]),
        ({"pyproject.toml": "["}, "", True, ["sdist-pyproject"]),
        ({"pyproject.toml": "[build-system]\n"}, "", True, ["sdist-pyproject"]),
        ({"pyproject.toml": "build-system = 3\n"}, "", True, ["sdist-pyproject"]),
        ({"pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 3\n"}, "", True, ["sdist-pyproject"]),
        ({"pyproject.toml": PYPROJECT}, "", True, ["backend-path"]),
        ({"pyproject.toml": PYPROJECT.replace("tools", "../tools")}, "", True, ["backend-path"]),
        ({"pyproject.toml": PYPROJECT.replace("tools", "/tools")}, "", True, ["backend-path"]),
        ({"pyproject.toml": "[project]\nreadme = {file = 'R.md'}\n"}, "", True, ["sdist-files"]),
        ({}, "License-File: L\n", True, ["sdist-files"]),
        ({"L": ""}, "License-File: L\n", True, []),
    ],
)
def test_p15_sdists_can_be_built(
    tmp_path: Path, files: dict[str, str], meta: str, setup: bool, rules: list[str]
) -> None:
    assert ids(sdist(tmp_path, files, meta=meta, setup=setup)) == rules


def test_the_reference_lists_every_rule() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "rules.md"
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{rule.id}` | {rule.principle} | {rule.severity.value} | {applies_to(rule.id)} | {rule.doc} |"
        for rule in every_rule().values()
    ]


def test_the_order_of_rules_does_not_depend_on_who_is_imported_first() -> None:
    code = "import {}; from hwb.wheel.rules import every_rule, WHEEL_RULES; print(*every_rule(), *WHEEL_RULES)"
    orders = {
        subprocess.run([sys.executable, "-c", code.format(name)], capture_output=True, text=True, check=True).stdout
        for name in ("hwb.wheel.rules", "hwb.wheel.rules_platform", "hwb.wheel.rules_sdist", "hwb.wheel.rules_contents")
    }
    assert len(orders) == 1
