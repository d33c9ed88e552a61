"""Do wheels that this machine's compiler made become ones that run elsewhere, by the real tools of the locked sets?"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hwb import pythons
from hwb.archive.zips import open_wheel
from hwb.errors import InterpreterNotFound, RepairError
from hwb.isolation.venv import install, make_venv, shared_environment
from hwb.locks import requirement_lines
from hwb.repair import Repaired, RepairOptions, host_tool, repair_each, repair_wheels
from hwb.repair.tools import HostTool
from hwb.wheel import check_file
from hwb.wheel.elf import read_elf
from hwb.wheel.model import WheelSubject
from hwb.wheel.natives import natives

if TYPE_CHECKING:
    from hwb.wheel.elf import Elf

INCLUDE = sysconfig.get_paths()["include"]
TOOLS = sys.platform.startswith("linux") and shutil.which("gcc") and Path(INCLUDE, "Python.h").is_file()
pytestmark = [
    pytest.mark.pypi,
    pytest.mark.slow,
    pytest.mark.skipif(not TOOLS, reason="needs Linux, gcc and Python's headers"),
]
CODE = """
#include <Python.h>
{head}
static PyObject *answer(PyObject *self, PyObject *given) {{ {body} }}
static PyMethodDef methods[] = {{{{"answer", answer, METH_O, 0}}, {{0}}}};
static struct PyModuleDef module = {{PyModuleDef_HEAD_INIT, "x", 0, -1, methods}};
PyMODINIT_FUNC PyInit_x(void) {{ return PyModule_Create(&module); }}
"""
PLAIN = CODE.format(
    head="#include <dlfcn.h>\n#include <math.h>\n#include <pthread.h>\nstatic void *work(void *x) { return x; }",
    body="pthread_t t; void *r; pthread_create(&t, 0, work, 0); pthread_join(t, &r);"
    "return PyFloat_FromDouble(exp(PyLong_AsLong(given)) + (dlerror() != 0));",
)  # fmt: skip
LINKED = CODE.format(head="int hwb_answer(void);", body="return PyLong_FromLong(hwb_answer());")
LZ4 = CODE.format(head="#include <lz4.h>", body="return PyLong_FromLong(LZ4_versionNumber());")
CXX = CODE.format(
    head="#include <string>\n#include <vector>",
    body='std::vector<std::string> v{"a", "b"}; std::string s; for (auto &x : v) s += x; return PyUnicode_FromString(s.c_str());',
).replace("METH_O, 0}, {0}", "METH_O, 0}, {}").replace("PyObject *self, PyObject *given", "PyObject *, PyObject *")  # fmt: skip
STABLE = "#define Py_LIMITED_API 0x03090000" + CODE.format(head="", body="return PyLong_FromLong(42);")
UNSTABLE = CODE.format(
    head="", body="return PyObject_CallOneArg(given, PyUnicode_FromString(PyUnicode_AsUTF8AndSize(given, 0)));"
)
TAG = f"cp3{sys.version_info[1]}"
ARCH = os.uname().machine if hasattr(os, "uname") else ""


def compiled(folder: Path, source: str, *options: str, compiler: str = "gcc") -> bytes:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ("x.cpp" if compiler == "g++" else "x.c")
    path.write_text(source, encoding="utf-8")
    command = [compiler, "-shared", "-fPIC", "-O1", f"-I{INCLUDE}", str(path), "-o", str(folder / "x.so"), *options]
    subprocess.run(command, check=True, cwd=folder)
    return (folder / "x.so").read_bytes()


def wheel(folder: Path, name: str, extension: bytes, abi: str = "", **members: bytes) -> Path:
    """As a build backend leaves it: for this machine."""
    tag = f"cp39-abi3-linux_{ARCH}" if abi else f"{TAG}-{TAG}-linux_{ARCH}"
    info = f"{name}-1.0.dist-info"
    suffix = abi or sysconfig.get_config_var("EXT_SUFFIX")
    files = {
        f"{name}/__init__.py": b"",
        f"{name}/x{suffix}": extension,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
    }
    digests = {file: urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode() for file, data in files.items()}
    rows = [f"{file},sha256={digests[file]},{len(data)}\n" for file, data in files.items()]
    files[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"]).encode()
    path = folder / f"{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, data in files.items():
            entry = zipfile.ZipInfo(file, (2024, 1, 2, 3, 4, 6))
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Wheels by name; the library that one of them needs is found by an absolute RPATH, as on a developer's machine."""
    folder = tmp_path_factory.mktemp("built")
    out = folder / "wheels"
    out.mkdir()
    libraries = folder / "lib"
    libraries.mkdir()
    (folder / "a.c").write_text("int hwb_answer(void) { return 42; }\n", encoding="utf-8")
    made = [
        "gcc",
        "-shared",
        "-fPIC",
        "-Wl,-soname,libhwbtest.so.1",
        str(folder / "a.c"),
        "-o",
        str(libraries / "libhwbtest.so.1"),
    ]
    subprocess.run(made, check=True)
    (libraries / "libhwbtest.so").symlink_to("libhwbtest.so.1")
    rpath = f"-Wl,-rpath,{libraries}"
    linked = compiled(folder / "linked", LINKED, f"-L{libraries}", "-lhwbtest", rpath)
    return {
        "plain": wheel(out, "plain", compiled(folder / "plain", PLAIN, "-lm", "-ldl", "-lpthread", rpath)),
        "linked": wheel(out, "linked", linked),
        "cxx": wheel(out, "cxx", compiled(folder / "cxx", CXX, compiler="g++")) if shutil.which("g++") else Path(),
        "stable": wheel(out, "stable", compiled(folder / "stable", STABLE, "-nodefaultlibs"), ".abi3.so"),
        "unstable": wheel(out, "unstable", compiled(folder / "unstable", UNSTABLE), ".abi3.so"),
    }


def elves(path: str | Path) -> dict[str, Elf]:
    with open_wheel(path) as reader:
        return natives(WheelSubject(reader, os.path.basename(path))).elves


def errors(path: str) -> list[str]:
    return [str(finding) for finding in check_file(path) if finding.severity.value == "error"]


def imported(folder: Path, found: Repaired, code: str) -> str:
    venv = make_venv(str(folder), pythons.running())
    install(venv, ["--no-deps", "--no-index", found.path], silent=True)
    done = subprocess.run([venv.python, "-c", code], check=True, capture_output=True, text=True, cwd=folder)
    return done.stdout.strip()


def needs(elf: Elf) -> tuple[int, ...]:
    numbers = [one.version[6:] for one in elf.versions if one.version[:6] == "GLIBC_"]
    return max(tuple(map(int, number.split("."))) for number in numbers)


def test_code_with_new_symbols_gets_the_tag_that_they_prove(built: dict[str, Path], tmp_path: Path) -> None:
    (found,) = repair_wheels([built["plain"]], tmp_path / "out")
    (before,) = elves(built["plain"]).values()
    (after,) = elves(found.path).values()
    assert before.runpath + before.rpath == found.removed_paths != ()
    assert after.runpath + after.rpath == ()
    claimed = [tag.split("_") for tag in found.platforms if tag.startswith("manylinux_")]
    assert min(int(tag[2]) for tag in claimed) >= needs(after)[1]
    assert errors(found.path) == []
    tool = host_tool("auditwheel")
    shown = tool.run([tool.python, "-m", "auditwheel", "show", found.path], {}).text
    assert f'"{min(found.platforms, key=len)}"' in shown
    assert imported(tmp_path / "venv", found, "from plain import x; print(x.answer(0))") == "1.0"


def test_a_library_is_brought_along(built: dict[str, Path], tmp_path: Path) -> None:
    (found,) = repair_wheels([built["linked"]], tmp_path / "out")
    (library,) = found.bundled
    assert library.name.startswith("linked.libs/libhwbtest-")
    read = elves(found.path)
    assert read[library.name].size == library.size
    extension = read[next(name for name in read if name != library.name)]
    assert (extension.rpath or extension.runpath) == ("$ORIGIN/../linked.libs",)
    assert extension.needed[0] == os.path.basename(library.name)
    assert found.removed_paths
    assert check_file(found.path) == []
    assert imported(tmp_path / "venv", found, "from linked import x; print(x.answer(0))") == "42"


def test_a_library_stays_outside_when_it_is_excluded(built: dict[str, Path], tmp_path: Path) -> None:
    (found,) = repair_wheels([built["linked"]], tmp_path / "out", RepairOptions(exclude=("libhwbtest*",)))
    assert found.bundled == ()
    assert [finding.rule for finding in check_file(found.path)] == ["missing-library"]


def test_a_library_that_is_not_found_is_named(built: dict[str, Path], tmp_path: Path) -> None:
    data = zipfile.ZipFile(built["linked"]).read(f"linked/x{sysconfig.get_config_var('EXT_SUFFIX')}")
    nowhere = data.replace(
        str(built["linked"].parents[1] / "lib").encode(),
        b"/nowhere" + b"/" * (len(str(built["linked"].parents[1])) - 4),
    )
    with pytest.raises(RepairError, match=r"libhwbtest\.so\.1 is not found") as caught:
        repair_wheels([wheel(tmp_path, "lost", nowhere)], tmp_path / "out")
    assert "exclude" in caught.value.remedy


@pytest.mark.skipif(not Path("/usr/include/lz4.h").is_file(), reason="needs liblz4-dev")
def test_a_library_of_the_distribution_is_in_the_sbom(tmp_path: Path) -> None:
    given = wheel(tmp_path, "packed", compiled(tmp_path / "c", LZ4, "-llz4"))
    (found,) = repair_wheels([given], tmp_path / "out")
    assert found.bundled[0].name.startswith("packed.libs/liblz4-")
    assert found.sboms == ("packed-1.0.dist-info/sboms/auditwheel.cdx.json",)
    assert b"lz4" in zipfile.ZipFile(found.path).read(found.sboms[0])
    (again,) = repair_wheels([given], tmp_path / "again")
    assert Path(again.path).read_bytes() == Path(found.path).read_bytes()
    (twice,) = repair_wheels([found.path], tmp_path / "twice")
    assert os.path.basename(twice.path) == os.path.basename(found.path)
    assert (twice.bundled, twice.sboms) == ((), found.sboms)
    assert imported(tmp_path / "venv", found, "from packed import x; print(x.answer(0) > 10000)") == "True"


@pytest.mark.skipif(not shutil.which("g++"), reason="needs g++")
def test_cxx_needs_what_every_system_has(built: dict[str, Path], tmp_path: Path) -> None:
    (found,) = repair_wheels([built["cxx"]], tmp_path / "out")
    assert found.bundled == ()
    assert errors(found.path) == []
    assert imported(tmp_path / "venv", found, "from cxx import x; print(x.answer(0))") == "ab"


def test_an_older_system_than_the_symbols_allow_is_refused(built: dict[str, Path], tmp_path: Path) -> None:
    (elf,) = elves(built["plain"]).values()
    if needs(elf) <= (2, 17):
        pytest.skip("this machine's C library has no newer symbols")
    found = repair_each([built["plain"], built["stable"]], tmp_path / "out", RepairOptions("manylinux_2_17"))
    assert isinstance(found[0], RepairError)
    assert "manylinux_2_17" in found[0].what
    assert "@GLIBC_2." in found[0].detail
    assert isinstance(found[1], Repaired)  # one failure leaves the others


def test_the_same_wheel_gives_the_same_bytes(built: dict[str, Path], tmp_path: Path) -> None:
    digests = []
    for number in (1, 2):
        copies = tmp_path / f"in-{number}"
        copies.mkdir()
        paths = [shutil.copy(built[name], copies) for name in ("plain", "linked", "stable")]
        found = repair_wheels(paths, tmp_path / f"out-{number}", RepairOptions(jobs=number))
        digests.append([sha256(Path(one.path).read_bytes()).hexdigest() for one in found])
    assert digests[0] == digests[1]


def test_stripping_takes_symbols_away(built: dict[str, Path], tmp_path: Path) -> None:
    (found,) = repair_wheels([built["plain"]], tmp_path / "out", RepairOptions(strip=True))
    assert ".symtab" in next(iter(elves(built["plain"]).values())).sections
    assert ".symtab" not in next(iter(elves(found.path).values())).sections


def test_the_stable_abi_is_repaired_and_audited(built: dict[str, Path], tmp_path: Path) -> None:
    options = RepairOptions(audit=True)
    good, bad = repair_each([built["stable"], built["unstable"]], tmp_path / "out", options)
    assert isinstance(good, Repaired)
    assert os.path.basename(good.path).startswith("stable-1.0-cp39-abi3-manylinux")
    assert imported(tmp_path / "venv", good, "from stable import x; print(x.answer(0))") == "42"
    assert isinstance(bad, RepairError)
    assert "PyObject_CallOneArg" in bad.detail
    assert "PyUnicode_AsUTF8AndSize (since 3.10)" in bad.detail


def test_the_oldest_python_of_the_lock_repairs_too(built: dict[str, Path], tmp_path: Path) -> None:
    try:
        oldest = pythons.find("3.9")
    except InterpreterNotFound:
        pytest.skip("there is no Python 3.9")

    def tool(name: str) -> HostTool:
        return HostTool(shared_environment(oldest, requirement_lines(name)))

    paths = [built[name] for name in ("plain", "linked", "stable")]
    found = repair_wheels(paths, tmp_path / "out", RepairOptions(audit=True), tool)
    assert [len(one.bundled) for one in found] == [0, 1, 0]
    assert not any(errors(one.path) for one in found)


@pytest.mark.parametrize(
    ("options", "optimised"),
    [
        ("-g -O2", True),
        ("-g -O0", False),
        ("-g -O3 -O0", False),
        ("-g -gz -Os", True),
        ("-gdwarf-4 -O0", False),
        ("-O0 -frecord-gcc-switches", False),
        ("-O0", None),
    ],
)
def test_what_this_compiler_writes_down_is_read(tmp_path: Path, options: str, optimised: bool | None) -> None:
    found = read_elf(compiled(tmp_path, STABLE, *options.split()))
    assert found.optimised is optimised
    assert (found.debug > 0) is ("-g" in options.replace("-gcc", ""))


@pytest.mark.parametrize(
    ("name", "command", "options"),
    [
        ("delocate", ["delocate.cmd.delocate_wheel"], ["--require-archs", "--exclude", "--wheel-dir", "MACOSX_DEPLOYMENT_TARGET"]),
        ("delvewheel", ["delvewheel", "repair"], ["--exclude", "--wheel-dir"]),
    ],
)  # fmt: skip
def test_the_other_tools_have_the_options_that_are_used(name: str, command: list[str], options: list[str]) -> None:
    tool = host_tool(name)
    printed = tool.run([tool.python, "-m", *command, "--help"], {}).text
    assert [option for option in options if option not in printed] == []
