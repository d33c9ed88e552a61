"""Are credentials taken out of URLs, and never shown?"""

from __future__ import annotations

from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb.fetch.urls import Address, hidden, split_credentials


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://h/x", Address("https://h/x")),
        ("https://u:p%40s@h:8/x?a=1#f", Address("https://h:8/x?a=1#f", "u", "p@s")),
        ("https://token@h/x", Address("https://h/x", "token")),
        ("https://u:a@b@h/x", Address("https://h/x", "u", "a@b")),
        ("ssh://git@[::1]:22/x", Address("ssh://[::1]:22/x", "git")),
    ],
)
def test_userinfo_is_taken_out(url: str, address: Address) -> None:
    assert split_credentials(url) == address


def test_the_header_is_basic_authorization() -> None:
    kind, _, value = Address("https://h", "u", "pä").authorization.partition(" ")
    assert (kind, b64decode(value).decode()) == ("Basic", "u:pä")
    assert Address("https://h").authorization == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://u:p@h/x", "https://***@h/x"),
        ("git+https://token@h/x", "git+https://***@h/x"),
        ("HTTPS://u:p@h", "HTTPS://***@h"),
        ("ssh://git@h/x", "ssh://git@h/x"),
        ("ssh://git:pw@h/x", "ssh://git:***@h/x"),
        ("fatal: 'https://a:b@h/x' and 'https://c:d@h/y'", "fatal: 'https://***@h/x' and 'https://***@h/y'"),
        ("https://u:a@b@h/x", "https://***@h/x"),
        ("https://h/x?token=abc#sha256=1", "https://h/x?***#sha256=1"),
        ("git@h:o/r@v1", "git@h:o/r@v1"),
        ("https://h/repo@v1", "https://h/repo@v1"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert hidden(text) == shown


@given(st.text("abc%:@!$&()*+,;=._~-", min_size=1, max_size=12))
def test_no_userinfo_is_ever_shown(secret: str) -> None:
    assert hidden(f"see https://S{secret}Z@host.example/path now") == "see https://***@host.example/path now"
