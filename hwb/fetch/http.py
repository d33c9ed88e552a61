"""How is one URL asked for over http or https, and where may an answer send us?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwb.errors import SourceError
from hwb.fetch.urls import hidden

if TYPE_CHECKING:
    from http.client import HTTPResponse

__all__ = ["may_redirect", "open_url", "same_origin"]

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = (301, 302, 303, 307, 308)
_FURTHEST = 10
"""Redirects that are followed."""


def open_url(url: str, headers: dict[str, str], authorization: str, silence: float) -> HTTPResponse:
    """Ask with GET; redirects are followed, every other answer is returned, whatever its status.

    Proxies and certificates are those of the environment (`*_PROXY`, SSL_CERT_FILE). `authorization` goes to the
    origin of `url` only. `silence` is the longest wait for a byte, in seconds. Raises OSError and HTTPException
    (http.client) for what happens on the way, SourceError for a redirect that is not followed.
    """
    from urllib.parse import urljoin

    place = url
    for _ in range(_FURTHEST + 1):
        response = _ask(place, {**headers, **({"Authorization": authorization} if authorization else {})}, silence)
        target = response.headers.get("Location") if response.status in _REDIRECTS else None
        if target is None:
            return response
        response.close()
        following = urljoin(place, target)
        refused = may_redirect(place, following)
        if refused:
            what = f"{hidden(url)} leads to {hidden(following)}: {refused}"
            raise SourceError(what, remedy="name the URL of the file itself")
        authorization = authorization if same_origin(place, following) else ""
        place = following
    raise SourceError(f"{hidden(url)} leads in a circle, or further than {_FURTHEST} redirects", remedy="check the URL")


def _ask(url: str, headers: dict[str, str], silence: float) -> HTTPResponse:
    import urllib.request

    from hwb import __version__

    # of the usual handlers only those that speak http(s): no file:, no ftp:, and no opinion about the answer's status
    opener = urllib.request.OpenerDirector()
    for handler in (urllib.request.ProxyHandler(), urllib.request.HTTPHandler(), urllib.request.HTTPSHandler()):
        opener.add_handler(handler)
    request = urllib.request.Request(url, headers={**headers, "User-Agent": f"hwb/{__version__}"})
    response: HTTPResponse | None = opener.open(request, timeout=silence)
    if response is None:
        raise SourceError(f"{hidden(url)} is neither http nor https")
    return response


def may_redirect(old: str, new: str) -> str:
    """Why an answer from `old` may not send us to `new`; empty when it may."""
    from urllib.parse import urlsplit

    before, after = urlsplit(old).scheme, urlsplit(new).scheme
    if after not in _PORTS:
        return f"a redirect to {after or 'nothing'}: is not followed"
    return "https is not given up for http" if before == "https" and after == "http" else ""


def same_origin(old: str, new: str) -> bool:
    """Whether credentials for `old` may be given to `new`: same host and port, or https instead of http there."""
    from urllib.parse import urlsplit

    first, second = urlsplit(old), urlsplit(new)
    ports = [part.port or _PORTS.get(part.scheme) for part in (first, second)]
    if first.hostname != second.hostname:
        return False
    upgraded = (first.scheme, second.scheme, *ports) == ("http", "https", 80, 443)
    return upgraded or (first.scheme == second.scheme and ports[0] == ports[1])
