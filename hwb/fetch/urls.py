"""What in a URL is an address, and what is a credential that must not be shown, logged or stored?"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Address", "hidden", "split_credentials"]

_USERINFO = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)([^/\s'\"<>]+)@")
_QUERY = re.compile(r"(?i)\b(https?://[^\s?#'\"<>]*)\?[^\s#'\"<>]+")


class Address(NamedTuple):
    """A URL without userinfo (RFC 3986, 3.2.1), and what the userinfo said, percent-decoded."""

    url: str
    user: str = ""
    password: str = ""

    @property
    def authorization(self) -> str:
        """The value of an Authorization header (RFC 7617), empty without credentials."""
        from base64 import b64encode

        if not (self.user or self.password):
            return ""
        return "Basic " + b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")


def split_credentials(url: str) -> Address:
    """Take user and password out of a URL. Raises ValueError when it is none."""
    from urllib.parse import unquote, urlsplit, urlunsplit

    parts = urlsplit(url)
    userinfo, _, host = parts.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    return Address(urlunsplit(parts._replace(netloc=host)), unquote(user), unquote(password))


def hidden(text: str) -> str:
    """A text in which no URL shows its credentials: a password, any userinfo of http(s), and query strings of http(s).

    The user of `ssh://git@host/` is part of the address, and stays.
    """
    return _QUERY.sub(r"\1?***", _USERINFO.sub(_mask, text))


def _mask(match: re.Match[str]) -> str:
    scheme, userinfo = match[1], match[2]
    if scheme.lower().removeprefix("git+").startswith("http"):
        return f"{scheme}***@"
    user, colon, _ = userinfo.partition(":")
    return f"{scheme}{user}:***@" if colon else f"{scheme}{user}@"
