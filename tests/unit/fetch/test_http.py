"""May a server send us elsewhere, and do credentials stay at home?"""

from __future__ import annotations

import pytest

from hwb.errors import SourceError
from hwb.fetch.http import may_redirect, open_url, same_origin

from .conftest import Web, send


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("https://a/x", "https://b/y", ""),
        ("http://a/x", "https://a/y", ""),
        ("http://a/x", "http://b/y", ""),
        ("https://a/x", "http://a/y", "not given up"),
        ("https://a/x", "file:///etc/passwd", "file:"),
        ("https://a/x", "ftp://a/x", "ftp:"),
        ("https://a/x", "", "nothing"),
    ],
)
def test_where_to(old: str, new: str, why: str) -> None:
    found = may_redirect(old, new)
    assert why in found
    assert bool(found) is bool(why)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("https://a/x", "https://a:443/y", True),
        ("http://a/x", "https://a/y", True),
        ("https://a/x", "https://a:8443/y", False),
        ("http://a:8080/x", "https://a/y", False),
        ("https://a/x", "https://a.evil/y", False),
        ("https://A/x", "https://a/y", True),
    ],
)
def test_origins(old: str, new: str, same: bool) -> None:
    assert same_origin(old, new) is same


def asked(web: Web, path: str) -> dict[str, str]:
    return next(headers for asked, headers in web.asked if asked == path)


def test_credentials_follow_to_the_same_origin_only(web: Web) -> None:
    other = web.url.replace("127.0.0.1", "localhost")
    web.answers = {
        "/a": send(b"", 302, Location="/b"),
        "/b": send(b"", 307, Location=f"{other}/c"),
        "/c": send(b"there"),
    }
    with open_url(f"{web.url}/a", {"X-Own": "1"}, "Basic dTpw", 5) as response:
        assert response.read() == b"there"
    assert asked(web, "/a")["Authorization"] == asked(web, "/b")["Authorization"] == "Basic dTpw"
    assert "Authorization" not in asked(web, "/c")
    assert asked(web, "/c")["X-Own"] == "1"
    assert asked(web, "/a")["User-Agent"].startswith("hwb/")


def test_a_circle_ends(web: Web) -> None:
    web.answers = {"/a": send(b"", 301, Location="/a")}
    with pytest.raises(SourceError, match="in a circle"):
        open_url(f"{web.url}/a", {}, "", 5)
    assert len(web.asked) <= 11


def test_a_long_way_ends(web: Web) -> None:
    web.answers = {f"/{n}": send(b"", 308, Location=f"/{n + 1}") for n in range(20)}
    with pytest.raises(SourceError, match="further than 10 redirects"):
        open_url(f"{web.url}/0", {}, "", 5)
    assert len(web.asked) == 11


def test_a_redirect_to_a_file_is_refused_and_its_query_not_shown(web: Web) -> None:
    web.answers = {"/a": send(b"", 302, Location="file:///etc/passwd")}
    with pytest.raises(SourceError, match=r"leads to file:///etc/passwd: a redirect to file: is not followed"):
        open_url(f"{web.url}/a?token=sekret", {}, "", 5)


def test_other_answers_are_returned(web: Web) -> None:
    with open_url(f"{web.url}/missing", {}, "", 5) as response:
        assert response.status == 404


def test_a_redirect_without_an_address_is_an_answer(web: Web) -> None:
    web.answers = {"/a": send(b"", 302)}
    with open_url(f"{web.url}/a", {}, "", 5) as response:
        assert response.status == 302


def test_other_schemes_are_not_spoken() -> None:
    for url in ("file:///etc/passwd", "ftp://h/x"):
        with pytest.raises(SourceError, match="neither http nor https"):
            open_url(url, {}, "", 5)
