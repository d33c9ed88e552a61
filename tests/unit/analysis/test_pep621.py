"""Is [project] read completely, and each field that breaks a PEP refused with its line?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb.analysis.groups import read_groups
from hwb.analysis.pep621 import Declared, read_declared
from hwb.analysis.pyproject import load
from hwb.errors import AnalyzeError

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, text: str) -> Declared:
    path = folder / "pyproject.toml"
    path.write_text(text)
    return read_declared(str(path), load(str(path)))


def test_every_field(tmp_path: Path) -> None:
    declared = read(
        tmp_path,
        """[project]
name = "a-b"
version = "1.0rc1"
description = "d"
readme = {file = "README.md", content-type = "text/markdown"}
requires-python = ">=3.9"
license = "MIT OR (Apache-2.0 AND BSD-3-Clause)"
license-files = ["LICEN[CS]E*"]
authors = [{name = "N", email = "n@example.invalid"}]
keywords = ["k"]
classifiers = ["Private :: Do Not Upload"]
dependencies = ["x>=1"]
dynamic = ["gui-scripts"]
import-names = ["a_b"]
odd = 1
[project.urls]
home = "https://example.invalid"
[project.scripts]
s = "a.b:c.d"
[project.entry-points.group]
e = "a"
[project.optional-dependencies]
o = ["y; extra == 'z'"]
""",
    )
    assert (declared.name, declared.version, declared.readme) == ("a-b", "1.0rc1", "README.md")
    assert declared.license == "MIT OR (Apache-2.0 AND BSD-3-Clause)"
    assert declared.license_files == ("LICEN[CS]E*",)
    assert declared.entry_points == {"group": {"e": "a"}}
    assert declared.scripts == {"s": "a.b:c.d"}
    assert declared.optional_dependencies == {"o": ["y; extra == 'z'"]}
    assert (declared.unknown, declared.import_names) == (("odd",), ("a_b",))


def test_the_old_licence_table(tmp_path: Path) -> None:
    declared = read(
        tmp_path, '[project]\nlicense = {text = "MIT License"}\nreadme = {text = "x", content-type = "text/plain"}\n'
    )
    assert (declared.license, declared.license_is_table, declared.license_files) == ("MIT License", True, None)
    assert declared.readme is None
    assert read(tmp_path, '[project]\nlicense-files = {paths = ["L"]}\n').license_files == ("L",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('name = "-a"', "no project name"),
        ('version = "one"', "no version"),
        ("description = 1", "must be a string"),
        ("readme = 1", "file name or a table"),
        ('readme = {file = "a", text = "b", content-type = "c"}', "either file or text"),
        ('readme = {file = "a"}', "content-type"),
        ('requires-python = "3.9 or so"', "no version specifier"),
        ('license = "MIT License"', "no SPDX expression"),
        ('license = "(MIT"', "ends too early"),
        ('license = "MIT OR"', "ends too early"),
        ('license = "No-Such-License"', "no SPDX expression"),
        ("license = {}", "either file or text"),
        ('license-files = ["../x"]', "stay inside"),
        ('license-files = ["/x"]', "stay inside"),
        ('license-files = "x"', "list of strings"),
        ('authors = ["me"]', "list of tables"),
        ('authors = [{nick = "x"}]', "other keys"),
        ("maintainers = [{name = 1}]", "no string"),
        ("keywords = [1]", "list of strings"),
        ("urls = 1", "must be a table"),
        ('scripts = {a = "b c"}', "no module:object"),
        ('entry-points = {console_scripts = {a = "b"}}', "must be project.scripts"),
        ('dependencies = ["not valid!"]', "no requirement"),
        ('optional-dependencies = {a = "x"}', "list of strings"),
        ('optional-dependencies = {"a b" = []}', "no name of an extra"),
        ("optional-dependencies = {a_b = [], a-b = []}", "same extra"),
        ('dynamic = ["name"]', "always static"),
        ('dynamic = ["nonsense"]', "names no field"),
    ],
)
def test_what_peps_forbid_has_a_line(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(AnalyzeError, match=message) as caught:
        read(tmp_path, f"[tool.x]\n[project]\n{line}\n")
    assert caught.value.where == f"{tmp_path / 'pyproject.toml'}:3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('version = "1"\ndynamic = ["version"]', "static too"),
        ('license = {text = "x"}\nlicense-files = ["x"]', "license as a table"),
    ],
)
def test_contradictions(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AnalyzeError, match=message):
        read(tmp_path, f"[project]\n{text}\n")


_VALUES = st.recursive(
    st.one_of(st.text(max_size=5), st.integers(), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "name",
                "version",
                "readme",
                "license",
                "authors",
                "urls",
                "scripts",
                "entry-points",
                "dependencies",
                "optional-dependencies",
                "dynamic",
                "license-files",
            ]
        ),
        _VALUES,
    )
)
def test_whatever_stands_there_is_read_or_refused(table: dict[str, object]) -> None:
    try:
        found = read_declared(__file__, {"project": table})
    except AnalyzeError as error:
        where = error.where
    else:
        where = __file__ if isinstance(found, Declared) else ""
    assert where.startswith(__file__)


def groups(folder: Path, text: str) -> dict[str, list[str]]:
    path = folder / "pyproject.toml"
    path.write_text("[dependency-groups]\n" + text)
    return read_groups(str(path), load(str(path)))


def test_groups_with_includes(tmp_path: Path) -> None:
    found = groups(tmp_path, 'a = ["x", {include-group = "B_c"}, "z"]\nb-c = ["y"]\n')
    assert found == {"a": ["x", "y", "z"], "b-c": ["y"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1", "must be a list"),
        ("a = [1]", "neither a requirement"),
        ('a = ["not valid!"]', "no requirement"),
        ('a = [{include-group = "b"}]', "unknown group 'b'"),
        ('a = [{include-group = "a"}]', "includes itself: a -> a"),
        ("a-b = []\na_b = []", "same group"),
    ],
)
def test_groups_that_pep_735_forbids(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AnalyzeError, match=message) as caught:
        groups(tmp_path, text + "\n")
    assert caught.value.where.startswith(str(tmp_path / "pyproject.toml") + ":")
