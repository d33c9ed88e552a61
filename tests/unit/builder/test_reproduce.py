"""Is a build that does not repeat itself caught, and is the first difference named?"""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hwb import pythons
from hwb.builder.options import BuildOptions, Source
from hwb.builder.reproduce import first_difference, reproduce
from hwb.errors import ValidationError
from hwb.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

WHEEL = "dynamic_requires-1.0-py3-none-any.whl"


@pytest.fixture(autouse=True)
def _locale(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend packs the names of its variables: the second build sets these."""
    for name in ("LANG", "LC_ALL"):
        monkeypatch.setenv(name, "C")


def again(project: Path, built: Any) -> None:
    reproduce(Source(str(project)), built, BuildOptions((pythons.running(),)))


def test_a_steady_build(project: Path, build: Any, events: list[dict[str, Any]]) -> None:
    built = build(project)
    before = [Path(path).read_bytes() for path in built.files]
    again(project, built)
    assert events[-1]["text"] == "built twice (another path, umask and time zone): the same bytes"
    assert [Path(path).read_bytes() for path in built.files] == before
    assert list((open_store().root / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("str(os.getpid())", "dynamic_requires/__init__.py differs in line"),
        ("os.getcwd()", "dynamic_requires/__init__.py differs in line"),
    ],
)
def test_what_gets_into_the_files_is_named(
    project: Path, build: Any, change: Callable[[str, str], None], expression: str, shown: str
) -> None:
    change('"dynamic_requires/__init__.py": code', f'"dynamic_requires/__init__.py": code + {expression}')
    built = build(project)
    with pytest.raises(ValidationError) as caught:
        again(project, built)
    assert caught.value.what.startswith(f"{WHEEL} is not reproducible: {shown}")
    assert caught.value.where == str(project / "dist" / WHEEL)
    assert os.path.exists(caught.value.where)


@pytest.mark.parametrize("expression", ["__import__('time').strftime('%Z')", "str(os.umask(0))", "str(os.environ)"])
def test_what_hooks_always_get_alike_does_not_differ(
    project: Path, build: Any, change: Callable[[str, str], None], events: list[dict[str, Any]], expression: str
) -> None:
    if expression == "str(os.environ)":
        expression = "','.join(os.environ[n] for n in ('TZ', 'SOURCE_DATE_EPOCH', 'PYTHONHASHSEED'))"
    change('"dynamic_requires/__init__.py": code', f'"dynamic_requires/__init__.py": code + {expression}')
    before = os.umask(0o022)
    try:
        again(project, build(project))
        assert os.umask(0o022) == 0o022, "the process has its own umask again"
    finally:
        os.umask(before)
    assert events[-1]["text"].startswith("built twice")


def test_another_name_the_second_time(project: Path, build: Any, change: Callable[[str, str], None]) -> None:
    change('    name = "dynamic_requires-1.0-py3', '    name = f"dynamic_requires-1.0-{os.getpid()}-py3')
    built = build(project)
    with pytest.raises(ValidationError, match=r"the second build made .* instead of dynamic_requires-1.0-"):
        again(project, built)


# --- the difference of two files -------------------------------------------------------------------------------------


def wheel(path: Path, members: dict[str, bytes], year: int = 1980) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), data)
    return str(path)


def sdist(path: Path, members: dict[str, bytes], mtime: int = 0) -> str:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(f"x-1/{name}")
            info.size, info.mtime = len(data), mtime
            archive.addfile(info, io.BytesIO(data))
    return str(path)


@pytest.mark.parametrize(
    ("one", "two", "text"),
    [
        ({"a": b"1"}, {"a": b"1", "b": b""}, "b is in only one of them"),
        ({"a": b"x\ny\n"}, {"a": b"x\nz\n"}, "a differs in line 2: 'y' and 'z'"),
        ({"a": b"x"}, {"a": b"x\n"}, "a differs in line 1: 'x' and 'x'"),
        ({"a": b"\x00123"}, {"a": b"\x00124"}, "a differs from byte 3 of 4 on"),
        ({"a": b""}, {"a": b"x"}, "a differs in line 1: '' and 'x'"),
    ],
)
def test_members(tmp_path: Path, one: dict[str, bytes], two: dict[str, bytes], text: str) -> None:
    first, second = wheel(tmp_path / "1.whl", one), wheel(tmp_path / "2.whl", two)
    assert first_difference(first, second) == text
    inside = text.replace("b is", "x-1/b is").replace("a differs", "x-1/a differs")
    first, second = sdist(tmp_path / "1.tar.gz", one), sdist(tmp_path / "2.tar.gz", two)
    assert first_difference(first, second) == inside


def test_containers(tmp_path: Path) -> None:
    first = wheel(tmp_path / "1.whl", {"a": b"1"})
    assert first_difference(first, first) == ""
    second = wheel(tmp_path / "2.whl", {"a": b"1"}, 1999)
    assert first_difference(first, second) == "the members are equal, but not how they are packed (order, times, modes)"
    one, two = sdist(tmp_path / "1.tar.gz", {"a": b"1"}), sdist(tmp_path / "2.tar.gz", {"a": b"1"}, 7)
    assert first_difference(one, two).startswith("the members are equal")


def test_a_deep_difference_shows_its_line(tmp_path: Path) -> None:
    text = b"same\n" * 1000
    first = wheel(tmp_path / "1.whl", {"a": text + b"x" * 500})
    second = wheel(tmp_path / "2.whl", {"a": text + b"x" * 499 + b"y"})
    shown = "'" + "x" * 120 + "'"
    assert first_difference(first, second) == f"a differs in line 1001: {shown} and {shown}"
