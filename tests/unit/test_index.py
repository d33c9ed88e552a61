"""Is a simple index on disk read alike from JSON and from HTML?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hwb.errors import HwbError, UsageError
from hwb.index import IndexFile, files
from hwb.registry.pages import PageFile, project_html, project_json

if TYPE_CHECKING:
    from pathlib import Path

FILE = PageFile("my_pkg-1.0+a-py3-none-any.whl", "1.0+a", "ab" * 32, 7, ">=3.9,<4", 0.0)
BARE = PageFile("my_pkg-0.9.tar.gz", "0.9", "cd" * 32, 8, "", 0.0)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    folder = tmp_path / "simple" / "my-pkg"
    folder.mkdir(parents=True)
    return folder


def expected(page: Path) -> list[IndexFile]:
    base = page.as_uri() + "/"
    return [
        IndexFile(BARE.name, base + BARE.name, BARE.sha256, ""),
        IndexFile(FILE.name, base + FILE.name.replace("+", "%2B"), FILE.sha256, ">=3.9,<4"),
    ]


def test_json_and_html_say_the_same(page: Path) -> None:
    (page / "index.html").write_text(project_html("my-pkg", [BARE, FILE]))
    assert files(page.parent, "My.Pkg") == expected(page)
    (page / "index.html").write_text("nonsense that nobody reads, as long as there is JSON")
    (page / "index.json").write_text(project_json("my-pkg", [BARE, FILE]))
    assert files(page.parent.as_uri() + "/", "my_pkg") == expected(page)


def test_links_of_other_indexes(page: Path) -> None:
    (page / "index.html").write_text(
        '<a name="top">x</a><a href="../../files/a-1.tar.gz#md5=1">a</a><a href="https://h.example/b-1.tar.gz">b</a>'
    )
    root = page.parent.parent.as_uri()
    assert files(page.parent, "my-pkg") == [
        IndexFile("a-1.tar.gz", f"{root}/files/a-1.tar.gz", "", ""),
        IndexFile("b-1.tar.gz", "https://h.example/b-1.tar.gz", "", ""),
    ]


def test_unknown_project(tmp_path: Path) -> None:
    assert files(tmp_path, "nothing") == []


def test_only_this_machine() -> None:
    with pytest.raises(UsageError, match="not https: ones"):
        files("https://index.example/simple/", "x")


def test_a_broken_page_is_named(page: Path) -> None:
    (page / "index.json").write_text('{"files": [{}]}')
    with pytest.raises(HwbError) as caught:
        files(page.parent, "my-pkg")
    assert caught.value.where == str(page / "index.json")
