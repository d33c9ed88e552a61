"""Does every mistake have the line of its key, however that is written?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hwb.analysis.pyproject import Table, load, place_of, subtable
from hwb.errors import AnalyzeError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "keys", "line"),
    [
        ('[tool.x]\nname = 1\n[project]\nname = "a"\n', ("project", "name"), 4),
        ("[project]\nx = 1\n", ("project", "name"), 1),
        ("project.name = 1\n", ("project", "name"), 1),
        ("['project']\n\"name\" = 1\n", ("project", "name"), 2),
        ("a = 1\n[project.urls]\nhome = 1\n", ("project", "urls", "home"), 3),
    ],
)
def test_the_line_of_a_key(tmp_path: Path, text: str, keys: tuple[str, ...], line: int) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(text)
    assert place_of(str(path), *keys) == f"{path}:{line}"


def test_a_key_that_is_not_there_has_the_file(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text("# nothing\n")
    assert place_of(str(path), "project") == str(path)


@pytest.mark.parametrize(("data", "where"), [(b"x =\n", ":1"), (b"a = 1\n# \xff\n", ":2")])
def test_what_is_no_toml_has_a_line(tmp_path: Path, data: bytes, where: str) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_bytes(data)
    with pytest.raises(AnalyzeError) as caught:
        load(str(path))
    assert caught.value.where == str(path) + where


def test_a_byte_order_mark_and_windows_lines_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\nb = 2\r\n")
    assert load(str(path)) == {"a": 1, "b": 2}


def test_tables_are_asked_by_type(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text("[p]\nt = 1\nm = {a = 1}\n")
    table = Table(str(path), {"t": 1, "m": {"a": 1}, "l": ["x"]}, "p")
    assert table.texts("l") == ("x",)
    assert table.mapping("none") == {}
    for ask, problem in (
        (lambda: table.text("t"), "p.t must be a string"),
        (lambda: table.mapping("m"), "p.m.a must be"),
    ):
        with pytest.raises(AnalyzeError, match=problem):
            ask()
    assert subtable({"a": {"b": 1}}, "a", "b") == {}
