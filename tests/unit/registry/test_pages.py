"""Are the pages of a static index what PEP 503, 691 and 700 ask for?"""

from __future__ import annotations

import json

from hwb.registry.pages import PageFile, project_html, project_json, root_html

FILE = PageFile("a_b-1.0+x-py3-none-any.whl", "1.0+x", "ab" * 32, 7, ">=3.9,<4", 1_700_000_000.5)
BARE = PageFile("a_b-1.0+x.tar.gz", "1.0+x", "cd" * 32, 8, "", 0.0)


def test_html() -> None:
    page = project_html("a-b", [FILE, BARE])
    assert (
        f'<a href="a_b-1.0%2Bx-py3-none-any.whl#sha256={"ab" * 32}" data-requires-python="&gt;=3.9,&lt;4">'
        "a_b-1.0+x-py3-none-any.whl</a><br>\n"
    ) in page
    assert f'<a href="a_b-1.0%2Bx.tar.gz#sha256={"cd" * 32}">a_b-1.0+x.tar.gz</a>' in page
    assert '<meta name="pypi:repository-version" content="1.0">' in page
    assert page.startswith("<!DOCTYPE html>")


def test_json() -> None:
    assert json.loads(project_json("a-b", [FILE, BARE])) == {
        "meta": {"api-version": "1.1"},
        "name": "a-b",
        "versions": ["1.0+x"],
        "files": [
            {
                "filename": "a_b-1.0+x-py3-none-any.whl",
                "url": "a_b-1.0%2Bx-py3-none-any.whl",
                "hashes": {"sha256": "ab" * 32},
                "size": 7,
                "upload-time": "2023-11-14T22:13:20.500000Z",
                "requires-python": ">=3.9,<4",
            },
            {
                "filename": "a_b-1.0+x.tar.gz",
                "url": "a_b-1.0%2Bx.tar.gz",
                "hashes": {"sha256": "cd" * 32},
                "size": 8,
                "upload-time": "1970-01-01T00:00:00.000000Z",
            },
        ],
    }


def test_root() -> None:
    assert '<a href="a-b/">a-b</a><br>\n<a href="c/">c</a><br>\n' in root_html(["a-b", "c"])
