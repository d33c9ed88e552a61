"""Does a lock give exactly its files to the interpreters it is for, and refuse everything else?"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hwb.isolation.backends
import hwb.isolation.installing
import hwb.isolation.shared
from hwb import pythons
from hwb.builder import locking
from hwb.builder.environments import Environments
from hwb.builder.lock import Lock, LockedFile, LockedPackage, Target, locked_pins, read_lock, refused
from hwb.builder.locking import Needs, build_needs, lock_text, render, resolve
from hwb.builder.options import BuildOptions
from hwb.errors import ConfigError, DependencyError, HwbError, RefusedError, ToolNotFound
from hwb.isolation.installing import Outcome
from hwb.proc import Completed
from hwb.pythons import Interpreter
from hwb.toml import parse_toml

A, B, C, D = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
OLD = Interpreter("/opt/python3.9", "3.9.18", "cpython", "path")
NEW = Interpreter("/opt/python3.12", "3.12.1", "cpython", "path")
HEAD = 'lock-version = "1.0"\ncreated-by = "x"\n'


def wheel(name: str, sha256: str = A) -> str:
    return f'{{ url = "https://index/{name}", hashes = {{ sha256 = "{sha256}" }} }}'


def package(name: str = "six", version: str = "1.0", *, more: str = "", files: str | None = None) -> str:
    files = f"wheels = [{wheel(f'{name}-{version}-py3-none-any.whl')}]" if files is None else files
    return f'[[packages]]\nname = "{name}"\nversion = "{version}"\n{more}\n{files}\n'


@pytest.fixture
def lock(tmp_path: Path) -> Any:
    def write(*packages: str, head: str = HEAD, tail: str = "") -> str:
        path = tmp_path / "pylock.build.toml"
        path.write_text(head + "".join(packages or ["packages = []\n"]) + tail)
        os.utime(path, ns=(write.clock, write.clock))  # type: ignore[attr-defined]
        write.clock += 10**9  # type: ignore[attr-defined]
        return str(path)

    write.clock = 10**18  # type: ignore[attr-defined]
    return write


# --- pins -------------------------------------------------------------------------------------------------------------


def test_pins_have_the_hash_of_the_one_file(lock: Any) -> None:
    path = lock(package("Six_X"), package("tomli", "2.0"))
    assert locked_pins(path, NEW, ["six-x>=1", "tomli"]) == [
        f"six-x==1.0 --hash=sha256:{A}",
        f"tomli==2.0 --hash=sha256:{A}",
    ]


def test_a_project_without_requirements(lock: Any) -> None:
    assert locked_pins(lock(), NEW, []) == []


def test_markers_are_those_of_the_target_not_of_the_running_python(lock: Any) -> None:
    path = lock(
        package("old", more="marker = \"python_full_version < '3.11'\""),
        package("new", more="marker = \"python_version >= '3.11'\""),
    )
    assert [pin.partition("=")[0] for pin in locked_pins(path, OLD, ["old", "new; python_version >= '3.11'"])] == [
        "old"
    ]
    assert [pin.partition("=")[0] for pin in locked_pins(path, NEW, ["new"])] == ["new"]


def test_versions_of_one_package_may_differ_by_marker(lock: Any) -> None:
    path = lock(
        package("x", "1", more="marker = \"python_version < '3.10'\""),
        package("x", "2", more="marker = \"python_version >= '3.10'\""),
    )
    assert [locked_pins(path, one, ["x"])[0][:4] for one in (OLD, NEW)] == ["x==1", "x==2"]


def test_two_of_one_name_are_ambiguous(lock: Any) -> None:
    with pytest.raises(ConfigError, match="x is there twice") as caught:
        locked_pins(lock(package("x", "1"), package("x", "2")), NEW, ["x"])
    assert caught.value.where.endswith("pylock.build.toml:8")


def test_the_wheel_is_the_one_an_installer_would_take(lock: Any) -> None:
    arch = "win_amd64" if sys.platform == "win32" else next(Target(NEW)._ranks or iter_platforms())
    files = [
        wheel("x-1-py3-none-any.whl", A),
        wheel(f"x-1-cp312-cp312-{arch}.whl", B),
        wheel(f"x-1-cp39-cp39-{arch}.whl", C),
        wheel(f"x-1-cp38-abi3-{arch}.whl", D),
    ]
    sdist = (
        'sdist = { name = "x-1.tar.gz", url = "https://index/x-1.tar.gz", hashes = { sha256 = "' + "e" * 64 + '" } }'
    )
    path = lock(package("x", "1", files=f"wheels = [{', '.join(files)}]\n{sdist}"))
    found = [locked_pins(path, one, ["x"])[0][-1] for one in (NEW, OLD, Interpreter("/p", "3.11.0", "cpython", "path"))]
    assert found == ["b", "c", "d"]
    assert locked_pins(path, Interpreter("/p", "3.10.1", "pypy", "path"), ["x"])[0][-1] == "a"


def iter_platforms() -> Any:
    from packaging import tags

    return iter(tags.platform_tags())


def test_the_running_interpreter_has_its_own_tags(lock: Any) -> None:
    from packaging import tags

    best = next(tags.sys_tags())
    path = lock(package("x", "1", files=f"wheels = [{wheel('x-1-py3-none-any.whl')}, {wheel(f'x-1-{best}.whl', B)}]"))
    assert locked_pins(path, pythons.running(), ["x"]) == [f"x==1 --hash=sha256:{B}"]


def test_an_sdist_serves_where_no_wheel_fits(lock: Any) -> None:
    sdist = 'sdist = { url = "https://index/x-1.tar.gz", hashes = { sha256 = "' + C.upper() + '" } }'
    path = lock(package("x", "1", files=f"wheels = [{wheel('x-1-cp27-cp27m-win32.whl')}]\n{sdist}"))
    assert locked_pins(path, NEW, ["x"]) == [f"x==1 --hash=sha256:{C}"]


def test_an_archive_is_installed_from_its_url(lock: Any) -> None:
    files = 'archive = { url = "https://host/x.zip", hashes = { sha256 = "' + A + '" } }'
    path = lock(f'[[packages]]\nname = "x"\n{files}\n')
    assert locked_pins(path, NEW, ["x @ https://host/x.zip#sha256=1"]) == [f"x @ https://host/x.zip --hash=sha256:{A}"]
    with pytest.raises(RefusedError, match=r"it has https://host/x\.zip"):
        locked_pins(path, NEW, ["x @ https://host/y.zip"])
    with pytest.raises(RefusedError, match=r"it has version 1\.0"):
        locked_pins(lock(package("x")), NEW, ["x @ https://host/y.zip"])


def test_a_wheel_of_the_workspace_stands_for_itself(lock: Any, tmp_path: Path) -> None:
    (tmp_path / "own-1-py3-none-any.whl").write_bytes(b"")
    own = f"own @ {(tmp_path / 'own-1-py3-none-any.whl').as_uri()}"
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    pins = locked_pins(lock(package("six"), package("own", "9")), NEW, ["six", own])
    assert pins == [f"{own} --hash=sha256:{empty}", f"six==1.0 --hash=sha256:{A}"]


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requirement", "problem"),
    [
        ("tomli", "does not have the build requirement 'tomli'"),
        ("six>=2", "it has version 1.0"),
        ("six[socks]", "without the extra socks"),
    ],
)
def test_what_the_lock_does_not_cover(lock: Any, requirement: str, problem: str) -> None:
    with pytest.raises(RefusedError, match=problem) as caught:
        locked_pins(lock(package()), NEW, [requirement])
    assert "hwb lock --build" in caught.value.remedy
    assert "pylock.build.toml" in caught.value.where


def test_extras_are_covered_where_the_lock_says_so(lock: Any) -> None:
    path = lock(package(), tail='[tool.hwb]\nrequires = ["Six[a,b]>=1", "tomli"]\n')
    assert len(locked_pins(path, NEW, ["six[a]"])) == 1
    with pytest.raises(RefusedError, match="without the extra c"):
        locked_pins(path, NEW, ["six[a,c]"])


def test_prereleases_that_are_locked_are_meant(lock: Any) -> None:
    assert locked_pins(lock(package(version="2.0rc1")), NEW, ["six>=1"])[0].startswith("six==2.0rc1 ")


def test_a_requirement_of_other_pythons_need_not_be_there(lock: Any) -> None:
    assert locked_pins(lock(), NEW, ["tomli; python_version < '3.11'"]) == []


@pytest.mark.parametrize("head", ['requires-python = ">=3.12"\n', "environments = [\"python_version == '3.12'\"]\n"])
def test_a_lock_for_other_pythons(lock: Any, head: str) -> None:
    path = lock(package(), head=HEAD + head)
    assert len(locked_pins(path, NEW, ["six"])) == 1
    with pytest.raises(RefusedError, match="the lock is for") as caught:
        locked_pins(path, OLD, ["six"])
    assert "--python 3.9" in caught.value.remedy


def test_a_package_for_other_pythons(lock: Any) -> None:
    with pytest.raises(RefusedError, match=r"six 1.0 needs Python >=3.12"):
        locked_pins(lock(package(more='requires-python = ">=3.12"')), OLD, ["six"])


def test_no_file_that_fits(lock: Any) -> None:
    path = lock(package("x", "1", files=f"wheels = [{wheel('x-1-cp27-cp27m-win32.whl')}]"))
    with pytest.raises(RefusedError, match=r"no wheel of x 1 in the lock fits Python 3.12"):
        locked_pins(path, NEW, ["x"])


def test_a_name_that_is_no_wheels(lock: Any) -> None:
    path = lock(package("x", "1", files=f"wheels = [{wheel('x.whl')}]"))
    with pytest.raises(ConfigError, match="no name of a wheel"):
        locked_pins(path, NEW, ["x"])


GOOD_FILE = wheel("x-1-py3-none-any.whl")
MALFORMED = {
    "no TOML": ("lock-version = ", 1),
    "no version of the format": ('created-by = "x"\npackages = []', None),
    "another format": ('lock-version = "2.0"\npackages = []', 1),
    "no packages": ('lock-version = "1.0"', None),
    "packages are no list": ('lock-version = "1.0"\npackages = 1', 2),
    "a package is no table": ('lock-version = "1.0"\npackages = [1]', None),
    "no name": ('lock-version = "1.0"\n[[packages]]\nversion = "1"', 2),
    "no files": ('lock-version = "1.0"\n[[packages]]\nname = "x"\nversion = "1"', 2),
    "no version": (f'lock-version = "1.0"\n[[packages]]\nname = "x"\nwheels = [{GOOD_FILE}]', 2),
    "a version that is none": (f'lock-version = "1.0"\n[[packages]]\nname = "x"\nversion = "eins"\nwheels = [{GOOD_FILE}]', 2),
    "wheels are no list": ('lock-version = "1.0"\n[[packages]]\nname = "x"\nversion = "1"\nwheels = 1', 2),
    "a wheel is no table": ('lock-version = "1.0"\n[[packages]]\nname = "x"\nversion = "1"\nwheels = [1]', 2),
    "another hash": ('lock-version = "1.0"\n[[packages]]\nname = "x"\nversion = "1"\nwheels = [{ url = "u/x.whl", hashes = { md5 = "a" } }]', 2),
    "a short hash": ('lock-version = "1.0"\n[[packages]]\nname = "x"\nversion = "1"\nwheels = [{ url = "u/x.whl", hashes = { sha256 = "ab" } }]', 2),
    "a size that is none": (f'lock-version = "1.0"\n[[packages]]\nname = "x"\nversion = "1"\nwheels = [{{ url = "u/x.whl", size = "1", hashes = {{ sha256 = "{A}" }} }}]', 2),
    "a marker that is none": (f'lock-version = "1.0"\n[[packages]]\nname = "x"\nversion = "1"\nmarker = "mars"\nwheels = [{GOOD_FILE}]', 2),
    "a name of a wrong type": (f'lock-version = "1.0"\n[[packages]]\nname = "x"\nversion = 1\nwheels = [{GOOD_FILE}]', 2),
    "environments are no list": ('lock-version = "1.0"\nenvironments = "x"\npackages = []', 2),
    "no specifier": ('lock-version = "1.0"\nrequires-python = "3"\npackages = []', None),
    "git": ('lock-version = "1.0"\n[[packages]]\nname = "x"\n[packages.vcs]\ntype = "git"', 2),
    "a directory": ('lock-version = "1.0"\n[[packages]]\nname = "x"\ndirectory = { path = "x" }', 2),
    "requires are no list": ('lock-version = "1.0"\npackages = []\n[tool.hwb]\nrequires = 1', None),
    "requires are none": ('lock-version = "1.0"\npackages = []\n[tool.hwb]\nrequires = ["!"]', None),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_one_clear_error(tmp_path: Path, name: str) -> None:
    text, line = MALFORMED[name]
    path = tmp_path / "pylock.build.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_lock(str(path))
    assert caught.value.where.startswith(str(path))
    if line is not None:
        assert caught.value.where == f"{path}:{line}"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        read_lock(str(tmp_path / "none"))
    assert "hwb lock --build" in caught.value.remedy


@given(st.dictionaries(st.sampled_from(["lock-version", "packages", "environments", "tool", "requires-python"]), st.recursive(
    st.none() | st.text(max_size=3) | st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "version", "wheels", "hashes", "hwb", "requires"]), inner, max_size=3),
)))  # fmt: skip
def test_no_file_makes_the_reader_stumble(tmp_path_factory: pytest.TempPathFactory, data: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("lock") / "pylock.build.toml"
    path.write_text(toml({"lock-version": "1.0", "packages": [], **data}), encoding="utf-8")
    try:
        assert read_lock(str(path)).path == str(path)
    except ConfigError:
        pass


def toml(value: Any) -> str:
    return "".join(f"{key} = {inline(item)}\n" for key, item in value.items())


def inline(value: Any) -> str:
    import json

    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {inline(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(inline, value))}]"
    return json.dumps("none" if value is None else value).replace("\x7f", "")


def test_a_changed_file_is_read_again(lock: Any) -> None:
    assert len(locked_pins(lock(package()), NEW, [])) == 1
    assert len(locked_pins(lock(package(), package("b")), NEW, [])) == 2


def test_a_wrong_hash_is_a_refusal_and_other_failures_are_not() -> None:
    error = refused(DependencyError("x", detail="Hash mismatch for six"), "the.lock")
    assert error is not None
    assert (error.exit_code, error.where) == (5, "the.lock")
    assert refused(DependencyError("x", detail="no such host"), "the.lock") is None


# --- writing ----------------------------------------------------------------------------------------------------------


def test_what_is_written_can_be_read() -> None:
    files = (
        LockedFile("x-1-py3-none-any.whl", A, "https://h/x-1-py3-none-any.whl", "", 5),
        LockedFile("x-1-py2-none-any.whl", B, "", "l/x-1-py2-none-any.whl"),
    )
    packages = (
        LockedPackage("x", "1", 'python_version < "3"', ">=3.9", LockedFile("x-1.tar.gz", C, "https://h/x-1.tar.gz"), files),
        LockedPackage("y", "2", archive=LockedFile("y.zip", D, "https://h/y.zip")),
    )  # fmt: skip
    text = render(Lock("p", ">=3.9", ("python_version == '3.9'",), packages, ('x ; "a"',)))
    assert parse_toml(text)["tool"]["hwb"]["requires"] == ['x ; "a"']
    assert "created-by" in text
    assert text == render(Lock("p", ">=3.9", ("python_version == '3.9'",), packages[::-1], ('x ; "a"',)))


def test_reading_back_gives_the_same(lock: Any, tmp_path: Path) -> None:
    before = read_lock(lock(package(), package("b", "2"), head=f'{HEAD}requires-python = ">=3.9"\n'))
    path = tmp_path / "again.toml"
    path.write_text(render(before))
    after = read_lock(str(path))
    assert [one._replace(where="") for one in after.packages] == [
        one._replace(where="") for one in sorted(before.packages)
    ]
    assert (after.requires_python, after.environments, after.requires) == (">=3.9", (), ())


def test_the_standards_own_reader_takes_it() -> None:
    pylock = pytest.importorskip("packaging.pylock")
    packages = (LockedPackage("x", "1", "", "", None, (LockedFile("x-1-py3-none-any.whl", A, "https://h/x", "", 5),)),)
    for one in (Lock("p", ">=3.9", ("python_version == '3.9'",), packages, ("x",)), Lock("p", ">=3.9", (), (), ())):
        pylock.Pylock.from_dict(parse_toml(render(one))).validate()


def test_requirements_of_some_pythons_get_a_marker() -> None:
    needs = (Needs(OLD, ("a", "b; sys_platform == 'linux'", "c")), Needs(NEW, ("a", "d")))
    assert locking._with_markers(needs) == [
        "a",
        'b; sys_platform == "linux" and python_version == "3.9"',
        'c; python_version == "3.9"',
        'd; python_version == "3.12"',
    ]


def test_files_of_this_machine(tmp_path: Path) -> None:
    inside = tmp_path / "links" / "x.whl"
    inside.parent.mkdir()
    inside.write_bytes(b"123")
    lock = str(tmp_path / "pylock.build.toml")
    assert locking._placed(LockedFile("x.whl", A, inside.as_uri()), lock) == LockedFile(
        "x.whl", A, "", "links/x.whl", 3
    )
    other = str(tmp_path / "links" / "deeper" / "pylock.build.toml")
    assert locking._placed(LockedFile("x.whl", A, inside.as_uri()), other) == LockedFile(
        "x.whl", A, inside.as_uri(), "", 3
    )


def test_no_password_is_written() -> None:
    file = locking._placed(LockedFile("x.whl", A, "https://user:secret@host:8080/a/x.whl#sha256=1"), "lock")
    assert file.url == "https://host:8080/a/x.whl"


def test_what_a_backend_answers_is_needed_too(project: Path) -> None:
    (needs,) = build_needs(str(project), [pythons.running()])
    assert needs.requires == ("packaging",)


def test_nothing_needed_is_a_lock_of_nothing(tmp_path: Path) -> None:
    lock = resolve([Needs(OLD, ()), Needs(NEW, ())], str(tmp_path / "l"))
    assert (lock.requires_python, lock.packages, lock.requires) == (">=3.9", (), ())
    path = tmp_path / "pylock.build.toml"
    path.write_text(render(lock))
    assert locked_pins(str(path), NEW, []) == []


# --- by pip -----------------------------------------------------------------------------------------------------------


class Pip:
    """Answers like `pip install --report`, from rows by Python; refuses kept versions where told to."""

    name = "virtualenv"

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.kept: list[str] = []
        self.refuses = False
        self.minor = ""

    def create(self, path: str, interpreter: Interpreter, params: object) -> None:
        self.minor = interpreter.minor

    def execute(self, argv: list[str], *, env: object, capture: bool, cwd: str) -> Outcome:
        import json

        code = 0
        if "-c" in argv:
            self.kept = (Path(cwd) / "kept.txt").read_text().split()
            code = 1 if self.refuses else 0
        Path(argv[argv.index("--report") + 1]).write_text(json.dumps({"install": self.rows[self.minor]}))
        return Outcome(Completed(argv, code, b"", 0.0), "")


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> Pip:
    fake = Pip()
    monkeypatch.setattr(hwb.isolation.backends, "choose", lambda: fake)
    monkeypatch.setattr(hwb.isolation.installing, "execute", fake.execute)
    return fake


def row(name: str, version: str, file: str, sha256: str = A, **more: Any) -> dict[str, Any]:
    info = {"url": f"https://index/{file}", "archive_info": {"hashes": {"sha256": sha256}}}
    return {"download_info": info, "metadata": {"name": name, "version": version}, **more}


def test_without_uv_the_lock_says_for_which_pythons_it_is(pip: Pip, tmp_path: Path) -> None:
    pip.rows = {
        "3.9": [row("A.b", "1", "a_b-1-py3-none-any.whl"), row("c", "1", "c-1-cp39-none-any.whl"), row("d", "1", "d-1.tar.gz")],
        "3.12": [row("A.b", "1", "a_b-1-py3-none-any.whl"), row("c", "1", "c-1-cp312-none-any.whl", B), row("e", "1", "e.zip", is_direct=True)],
    }  # fmt: skip
    lock = resolve([Needs(OLD, ("A.b", "c")), Needs(NEW, ("A.b", "c"))], str(tmp_path / "pylock.build.toml"))
    assert [(one.name, one.marker, len(one.wheels)) for one in lock.packages] == [
        ("a-b", "", 1), ("c", "", 2), ("d", "python_version == '3.9'", 0), ("e", "python_version == '3.12'", 0),
    ]  # fmt: skip
    assert [text.split(" and ")[0] for text in lock.environments] == [
        "python_version == '3.12'",
        "python_version == '3.9'",
    ]
    assert lock.requires == ("A.b", "c")
    path = tmp_path / "pylock.build.toml"
    path.write_text(render(lock))
    assert [pin.partition(" ")[0] for pin in locked_pins(str(path), OLD, ["a-b"]) if "d==" in pin or "a-b" in pin] == [
        "a-b==1",
        "d==1",
    ]
    with pytest.raises(RefusedError, match="other environments"):
        locked_pins(str(path), Interpreter("/x", "3.11.1", "cpython", "path"), ["a-b"])


def test_pip_keeps_versions_while_they_satisfy(pip: Pip, tmp_path: Path) -> None:
    pip.rows = {"3.12": [row("a", "1", "a-1-py3-none-any.whl")]}
    known = HEAD + package("a", "0.9")
    resolve([Needs(NEW, ("a",))], str(tmp_path / "l"), known)
    assert pip.kept == ["a==0.9"]
    pip.refuses = True
    assert [one.version for one in resolve([Needs(NEW, ("a",))], str(tmp_path / "l"), known).packages] == ["1"]


def test_pip_cannot_verify_a_repository(pip: Pip, tmp_path: Path) -> None:
    pip.rows = {
        "3.12": [
            {"download_info": {"url": "git+https://h/x", "vcs_info": {}}, "metadata": {"name": "x", "version": "1"}}
        ]
    }
    with pytest.raises(ConfigError, match="no hash to verify"):
        resolve([Needs(NEW, ("x",))], str(tmp_path / "l"))


# --- by uv ------------------------------------------------------------------------------------------------------------


class Uv:
    """Answers like `uv pip compile`: writes a file, or says why not."""

    def __init__(self) -> None:
        self.text = HEAD + 'requires-python = ">=3.9"\n' + package()
        self.stderr = ""
        self.argv: list[str] = []
        self.known: str | None = None
        self.asked = ""

    def execute(self, argv: list[str], *, env: object, capture: bool, cwd: str) -> Outcome:
        self.argv = argv
        out = Path(cwd) / "pylock.build.toml"
        self.known = out.read_text() if out.exists() else None
        self.asked = (Path(cwd) / "in.txt").read_text()
        out.write_text(self.text)
        return Outcome(Completed(argv, 1 if self.stderr else 0, b"", 0.0), self.stderr)


@pytest.fixture
def uv(monkeypatch: pytest.MonkeyPatch) -> Uv:
    from hwb.isolation.uv import UvInstaller

    fake = Uv()
    monkeypatch.setattr(hwb.isolation.backends, "choose", lambda: UvInstaller("/opt/uv"))
    monkeypatch.setattr(hwb.isolation.installing, "execute", fake.execute)
    return fake


def test_uv_resolves_for_the_oldest_python_upwards(uv: Uv, tmp_path: Path) -> None:
    lock = resolve([Needs(NEW, ("six",)), Needs(OLD, ("six",))], str(tmp_path / "l"))
    assert uv.argv[uv.argv.index("--python-version") + 1] == "3.9"
    assert uv.asked == "six\n"
    assert uv.known is None
    assert ([one.name for one in lock.packages], lock.requires, lock.requires_python) == (["six"], ("six",), ">=3.9")


def test_uv_is_shown_what_is_locked_already_unless_it_shall_upgrade(uv: Uv, project: Path) -> None:
    lock_text(str(project), [pythons.running()], "known")
    assert uv.known == "known"
    lock_text(str(project), [pythons.running()], "known", upgrade=True)
    assert uv.known is None


def test_an_old_uv_is_named(uv: Uv, tmp_path: Path) -> None:
    uv.stderr = "error: unexpected argument '--format' found"
    with pytest.raises(ToolNotFound, match="too old"):
        resolve([Needs(NEW, ("six",))], str(tmp_path / "l"))
    uv.stderr = "error: No solution found"
    with pytest.raises(HwbError) as caught:
        resolve([Needs(NEW, ("six",))], str(tmp_path / "l"))
    assert not isinstance(caught.value, ToolNotFound)


# --- what builds make of it -------------------------------------------------------------------------------------------


def environments_of(**options: Any) -> Environments:
    return Environments(BuildOptions((pythons.running(),), **options))


def test_pins_get_the_hashes_that_constraints_demand(environments: Any) -> None:
    environments.means.update({"a": "Six==1", "b": "tomli==2"})
    constraints = ("six==1 --hash=sha256:aa --hash=sha256:bb", "c<3")
    mine = environments_of(constraints=constraints)
    assert mine.pins(pythons.running(), ["a", "b"]) == ["Six==1 --hash=sha256:aa --hash=sha256:bb", "tomli==2"]
    assert environments_of(constraints=("c<3",)).pins(pythons.running(), ["a"]) == ["Six==1"]


def test_a_locked_build_uses_the_locks_pins_for_ever(lock: Any) -> None:
    mine = environments_of(lock=lock(package()))
    assert mine.pins(pythons.running(), ["six"]) == [f"six==1.0 --hash=sha256:{A}"]
    assert mine.until() == float("inf")
    with pytest.raises(RefusedError):
        mine.get(pythons.running(), ["tomli"])


@pytest.mark.parametrize(("detail", "kind"), [("Hash mismatch for six", RefusedError), ("no room", DependencyError)])
def test_only_a_wrong_hash_is_the_locks_business(
    lock: Any, monkeypatch: pytest.MonkeyPatch, detail: str, kind: type[HwbError]
) -> None:
    def fail(*_: object) -> None:
        raise DependencyError("uv pip install failed", detail=detail)

    monkeypatch.setattr(hwb.isolation.shared, "environment_of_pins", fail)
    with pytest.raises(kind) as caught:
        environments_of(lock=lock(package())).get(pythons.running(), ["six"])
    assert type(caught.value) is kind


def test_a_members_wheel_stands_by_its_bytes(tmp_path: Path, environments: Any) -> None:
    wheels = {name: tmp_path / f"{name}-1-py3-none-any.whl" for name in ("own", "far")}
    for path in wheels.values():
        path.write_bytes(b"1")
    local = {name: str(path) for name, path in wheels.items()}
    mine = environments_of(local=local)
    mine.get(pythons.running(), ["own[x]>=1 ; python_version > '3'", "six"])
    mine.get(pythons.running(), ["six"])
    (first, second) = mine.used
    assert [text.partition("#")[0].partition(" ")[0] for text in first.requires] == ["own[x]", "six", "far"]
    assert second.requires == ("six",)
    identity = pythons.running().identity
    assert mine.now(identity, first.requires) == list(first.requires)
    wheels["own"].write_bytes(b"2")
    assert environments_of(local=local).now(identity, first.requires) == []
    assert environments_of().now(identity, first.requires) == []
    assert environments_of().now(identity, ["six", "x @ file:///x.whl"]) == ["six", "x @ file:///x.whl"]
