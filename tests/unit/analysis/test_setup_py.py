"""Is setup.py understood without being run, and is what it computes never taken for a literal?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb.analysis.legacy import Legacy, assigned_literal, resolve_attr, resolve_file
from hwb.analysis.setup_py import read_setup_py
from hwb.analysis.setuptools_files import read_legacy
from hwb.errors import AnalyzeError

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, text: str) -> Legacy:
    (folder / "setup.py").write_text(text)
    return read_setup_py(str(folder / "setup.py"))


@pytest.mark.parametrize(
    "expression",
    ["'a'", "'''a'''", "N", "'' 'a'", "'' + N", "f'{N}'", "f'a'"],
)
def test_literals_and_names(tmp_path: Path, expression: str) -> None:
    assert read(tmp_path, f"N = 'a'\nsetup(name={expression})\n").text("name") == "a"


@pytest.mark.parametrize(
    "text",
    [
        "import os\nsetup(name=os.name)",
        "N = 'a'\nN = 'b'\nsetup(name=N)",
        "N = ['a']\nN.append('b')\nsetup(name=N)",
        "N = ['a']\nN += ['b']\nsetup(name=N)",
        "N = ['a']\nN[0] = 'b'\nsetup(name=N)",
        "N = ['a']\nM = N\nM.append(1)\nsetup(name=N)",
        "N = {}\nexec(x, N)\nsetup(name=N['n'])",
        "def f(N):\n  pass\nN = 'a'\nsetup(name=N)",
        "N = N\nsetup(name=N)",
        "setup(name='a' - 'b')",
        "setup(name=f'{x!r}')",
        "setup(name=f'{1}')",
        "setup(name={1: 2})",
        "setup(name={**x})",
        "try:\n  pass\nexcept E as N:\n  pass\nN = 'a'\nsetup(name=N)",
        "class N: pass\nN = 'a'\nsetup(name=N)",
        "setup(name=" + "(" * 60 + "'a' " + "+ 'b')" * 60 + ")",
    ],
)
def test_what_is_computed_is_said_to_be(tmp_path: Path, text: str) -> None:
    legacy = read(tmp_path, text + "\n")
    assert legacy.text("name") is None
    assert "name" in legacy.computed
    assert legacy.has("name")


def test_keywords_in_a_dict(tmp_path: Path) -> None:
    for text in ("K = {'name': 'a'}\nsetup(**K)", "K = dict(name='a')\nsetup(**K)"):
        assert read(tmp_path, text).text("name") == "a"
    legacy = read(tmp_path, "K = {}\nK['name'] = 'a'\nsetup(version='1', **K)")
    assert (legacy.text("name"), legacy.text("version"), legacy.complete) == (None, "1", False)


def test_imported_values_say_where_they_come_from(tmp_path: Path) -> None:
    legacy = read(
        tmp_path,
        "import a.b, c as d\nfrom e import f as g\nfrom . import h\n"
        "setup(name=a.b.x, version=d.v, url=g, license=h, packages=find_packages('src'), x=find_packages(), y=q.z)\n",
    )
    assert legacy.computed == {
        "name": "attr: a.b.x", "version": "attr: c.v", "url": "attr: e.f", "license": "computed by setup.py",
        "packages": "find: src", "x": "find:", "y": "computed by setup.py",
    }  # fmt: skip


def test_python_2_is_told_with_its_line_B3(tmp_path: Path) -> None:
    legacy = read(tmp_path, "x = 1\nprint 'a'\n")
    assert legacy.problem is not None
    assert legacy.problem[1] == f"{tmp_path / 'setup.py'}:2"
    assert read(tmp_path, "x = '\0'\n").problem is not None


def test_old_escape_sequences_are_no_problem(tmp_path: Path) -> None:
    assert read(tmp_path, "x = '\\S'\nsetup(name='a')\n").text("name") == "a"


def test_no_call_and_several(tmp_path: Path) -> None:
    assert not read(tmp_path, "x = 1\n").complete
    legacy = read(tmp_path, "try:\n  setup(name='a', ext_modules=[])\nexcept E:\n  setuptools.setup(name='a')\n")
    assert (legacy.text("name"), legacy.complete) == ("a", False)


@given(st.text(max_size=60))
def test_any_text_is_read_or_told(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any-setup.py"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert isinstance(read_setup_py(str(path)), Legacy)


def test_setup_py_wins_over_setup_cfg_as_in_setuptools(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text("setup(name='a', version='')\n")
    (tmp_path / "setup.cfg").write_text("[metadata]\nname = b\nversion = 1\ndescription = file: README\n")
    legacy = read_legacy(str(tmp_path))
    assert (legacy.text("name"), legacy.computed) == ("a", {"description": "file: README"})


def test_lists_of_strings() -> None:
    legacy = Legacy({"a": "x\n\ny", "b": ["x", 1], "c": 1}, {}, {})
    assert [legacy.texts(key) for key in "abcd"] == [["x", "y"], ["x"], [], []]


def test_setup_cfg_lists(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text(
        "[metadata]\nclassifiers = A :: B\n[options]\ninstall_requires = a>=1,<2; b\npy_modules = x, y\n"
        "package-dir =\n  = src\n  p = lib/p\n"
    )
    legacy = read_legacy(str(tmp_path))
    assert legacy.values["install_requires"] == ["a>=1,<2", "b"]
    assert legacy.values["py_modules"] == ["x", "y"]
    assert legacy.values["package_dir"] == {"": "src", "p": "lib/p"}
    assert legacy.places["install_requires"] == f"{tmp_path / 'setup.cfg'}:4"


@pytest.mark.parametrize("data", [b"name = x\n", b"[a]\nx\n", b"\xff"])
def test_a_malformed_setup_cfg_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "setup.cfg").write_bytes(data)
    with pytest.raises(AnalyzeError, match=r"setup\.cfg"):
        read_legacy(str(tmp_path))


def test_attr_reads_a_literal_and_nothing_else(tmp_path: Path) -> None:
    package = tmp_path / "src" / "pkg"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("a: str = '1'\nb = '1' + '2'\nc = '1'\nc = '2'\nd = b'1'\n")
    (tmp_path / "mod.py").write_text("x = 1.5\n")
    (tmp_path / "bad.py").write_text("x = (\n")
    root = str(tmp_path)
    assert resolve_attr(root, "pkg.a") == ("1", f"{package / '__init__.py'}:1")
    assert resolve_attr(root, "mod.x", {"": "../.."}) == ("1.5", f"{tmp_path / 'mod.py'}:1")
    for name in ("pkg.b", "pkg.c", "pkg.d", "pkg.none", "bad.x", "none.x", "x y.z", "pkg.../x"):
        assert resolve_attr(root, name) is None
    assert assigned_literal(str(tmp_path / "none.py"), "x") is None


@pytest.mark.parametrize("package_dir", ["'src'", "['src']", "{'': 1}", "{'': '/x'}", "{'': 'C:x'}"])
def test_an_odd_package_dir_is_no_place_to_look(tmp_path: Path, package_dir: str) -> None:
    from hwb.analysis.metadata import analyze_project

    (tmp_path / "m.py").write_text("v = '1'\n")
    (tmp_path / "setup.py").write_text(
        f"import m\nsetup(version=m.v, package_dir={package_dir}, extras_require=[1], entry_points='x')\n"
    )
    assert analyze_project(tmp_path).version == "1"


def test_file_stays_inside(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").write_text("s")
    (tmp_path / "in" / "VERSION").write_text(" 1.0\n")
    assert resolve_file(str(tmp_path / "in"), " VERSION") == ("1.0", str(tmp_path / "in" / "VERSION"))
    assert resolve_file(str(tmp_path / "in"), "../secret") is None
    assert resolve_file(str(tmp_path / "in"), "a\0b") is None
    assert resolve_file(str(tmp_path / "in"), "none") is None
