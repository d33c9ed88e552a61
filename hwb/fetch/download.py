"""How does a file come from a web server: whole, within limits, the one that was meant, and only once?

Kept below a store as `files/SHA256/NAME`. A URL without a hash is asked again with the validators that the server gave
(RFC 9110, 8.8). Credentials become a header for the one host that they are meant for.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwb.context import current
from hwb.errors import HwbError, OfflineError, SourceError, ValidationError
from hwb.fetch.places import take_place
from hwb.fetch.urls import hidden, split_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPResponse
    from pathlib import Path

    from hwb.store import Store

__all__ = ["MAX_BYTES", "archive_suffix", "download"]

MAX_BYTES = 512 << 20
"""Bytes of the largest file that is taken unless the caller says otherwise."""
_TRIES = 4
_SILENCE = 30.0
"""Seconds without a byte after which a connection counts as dead."""
_LONGEST = 1800.0
"""Seconds that one download may take: a server can send a byte now and then for ever."""
_PATIENCE = 60.0
"""Seconds: a server that wants us to wait longer is not waited for."""
_BLOCK = 1 << 18
_NAME = re.compile(r"[^\w.+@~-]+")
_MAGIC = ((b"\x1f\x8b", ".tar.gz"), (b"PK\x03\x04", ".zip"), (b"BZh", ".tar.bz2"), (b"\xfd7zXZ\x00", ".tar.xz"))


class _Temporary(Exception):
    """Worth another try, after `wait` seconds when the server said so."""

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Request:
    url: str
    shown: str
    authorization: str
    sha256: str | None
    max_bytes: int
    delay: float


def archive_suffix(start: bytes) -> str:
    """The suffix of the kind of archive that begins with these bytes; empty when it is none."""
    return next((suffix for magic, suffix in _MAGIC if start.startswith(magic)), "")


def download(
    url: str,
    store: Store,
    *,
    sha256: str | None = None,
    offline: bool = False,
    max_bytes: int = MAX_BYTES,
    delay: float = 0.5,
) -> Path:
    """The path in `store` of the archive that an http(s) URL offers; its name ends with an archive's suffix.

    `sha256` (hex) is verified before anything else is done with the bytes. `delay` is the wait in seconds before the
    first new try, doubled each time. Raises OfflineError, SourceError (not there, not an archive, too large, never
    whole), ValidationError (other bytes than `sha256` says), Cancelled.
    """
    address = split_credentials(url)
    request = _Request(address.url.partition("#")[0], hidden(url), address.authorization, sha256, max_bytes, delay)
    record = _record(store, request.url)
    known = _kept(store, sha256 or str(record.get("sha256", "")))
    if known is not None and (sha256 or offline):
        return known
    if offline:
        raise OfflineError(f"{request.shown} is not in the store, and the network must not be used")
    return _with_patience(request, store, record if known is not None else {}, known)


def _with_patience(request: _Request, store: Store, record: dict[str, str], known: Path | None) -> Path:
    tries = 0
    while True:
        try:
            return _once(request, store, record, known)
        except _Temporary as error:
            wait = request.delay * 2**tries if error.wait is None else error.wait
            tries += 1
            if tries == _TRIES or wait > _PATIENCE:
                asked = f"; the server wants {wait:.0f} s of patience" if wait > _PATIENCE else f" ({_TRIES} tries)"
                what = f"{request.shown} cannot be downloaded: {error}{asked}"
                raise SourceError(what, remedy="check the network and the proxy, or try again later") from error
            current().emit("message", level="warning", text=f"{request.shown}: {error}; trying again in {wait:g} s")
            _sleep(wait)


def _sleep(seconds: float) -> None:
    """Wait, unless the work is called off."""
    import threading

    token = current().token
    thrown = threading.Event()
    forget = token.on_cancel(lambda _reason: thrown.set())
    thrown.wait(seconds)
    forget()
    token.check()


# --- one request -----------------------------------------------------------------------------------------------------


def _once(request: _Request, store: Store, record: dict[str, str], known: Path | None) -> Path:
    from hwb.fetch.http import open_url

    headers = {"Accept-Encoding": "identity"}
    for header, field in (("If-None-Match", "etag"), ("If-Modified-Since", "modified")):
        if record.get(field):
            headers[header] = record[field]
    current().token.check()
    with _network_errors(request), open_url(request.url, headers, request.authorization, _SILENCE) as response:
        if response.status == 304 and known is not None:
            return known
        if response.status != 200:
            raise _refusal(request, response)
        return _save(request, store, response)


class _network_errors:
    """What goes wrong on the way is worth another try; what is wrong with us is not."""

    __slots__ = ("_request",)

    def __init__(self, request: _Request) -> None:
        self._request = request

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None or isinstance(error, HwbError | _Temporary):
            return
        from http.client import HTTPException, InvalidURL
        from ssl import SSLCertVerificationError
        from urllib.error import URLError

        current().token.check()  # a cancelled download looks like a lost connection
        cause = error.reason if isinstance(error, URLError) and isinstance(error.reason, BaseException) else error
        if isinstance(cause, SSLCertVerificationError):
            what = f"{self._request.shown}: the server's certificate is not trusted: {cause.verify_message}"
            raise SourceError(what, remedy="name the authority's certificates in SSL_CERT_FILE") from error
        if isinstance(cause, InvalidURL | ValueError):
            raise SourceError(f"{self._request.shown} is no URL that can be asked for") from error
        if isinstance(error, OSError | HTTPException) and not _on_disk(error):
            raise _Temporary(hidden(f"{str(cause) or type(cause).__name__}")) from error


def _on_disk(error: BaseException) -> bool:
    """A full disk or a forbidden directory: the errors that name a file."""
    return isinstance(error, OSError) and (error.filename is not None or error.errno in (28, 122))


def _refusal(request: _Request, response: HTTPResponse) -> Exception:
    code, reason = response.status, response.reason
    if code in (408, 425, 429) or code >= 500:
        return _Temporary(f"the server answered {code} {reason}", _retry_after(response.headers.get("Retry-After")))
    remedy = {401: "put USER:TOKEN@ before the host", 403: "put USER:TOKEN@ before the host"}.get(code, "check the URL")
    return SourceError(f"{request.shown} cannot be downloaded: the server answered {code} {reason}", remedy=remedy)


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header (RFC 9110, 10.2.3): a number or a date; None when there is none to understand."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


# --- the body --------------------------------------------------------------------------------------------------------


def _save(request: _Request, store: Store, response: HTTPResponse) -> Path:
    """Write the body below its own hash, once it is whole and right."""
    import hashlib

    digest, start = hashlib.sha256(), b""
    place = take_place(store)
    try:
        with open(place.path / "body", "wb") as out:
            for block in _body(request, response):
                start = start if len(start) >= 512 else start + block[:512]
                digest.update(block)
                out.write(block)
            out.flush()
            os.fsync(out.fileno())
        found = digest.hexdigest()
        _check(request, response, found, start)
        final = store.path("files", found, _file_name(request.url, start))
        os.replace(place.path / "body", final)
    finally:
        place.remove()
    fields = (("etag", "ETag"), ("modified", "Last-Modified"))
    validators = {field: response.headers[header] for field, header in fields if response.headers.get(header)}
    store.write_json("urls", _key(request.url), value={"sha256": found, **validators})
    return final


def _body(request: _Request, response: HTTPResponse) -> Iterator[bytes]:
    """The bytes as they come, as many as were announced, at most `max_bytes`."""
    announced = response.length
    size, deadline = 0, time.monotonic() + _LONGEST
    forget = current().token.on_cancel(lambda _reason: _hang_up(response))
    try:
        if announced is not None and announced > request.max_bytes:
            raise _too_large(request, f"{announced} bytes")
        while block := response.read1(_BLOCK):
            size += len(block)
            current().token.check()
            if size > request.max_bytes:
                raise _too_large(request, "the answer has no end in sight")
            if time.monotonic() > deadline:
                raise SourceError(f"{request.shown} took longer than {_LONGEST:.0f} s to download")
            yield block
    finally:
        forget()
    if announced is not None and size < announced:
        raise _Temporary(f"the connection ended after {size} of {announced} bytes")


def _too_large(request: _Request, how: str) -> SourceError:
    return SourceError(
        f"{request.shown} is larger than {request.max_bytes} bytes: {how}", remedy="download it yourself"
    )


def _hang_up(response: HTTPResponse) -> None:
    """End a connection that another thread is reading from: that thread's call returns at once."""
    import socket

    try:
        with socket.fromfd(response.fileno(), socket.AF_INET, socket.SOCK_STREAM) as connection:
            connection.shutdown(socket.SHUT_RDWR)
    except (OSError, ValueError):
        pass  # it has ended by itself


def _check(request: _Request, response: HTTPResponse, found: str, start: bytes) -> None:
    if request.sha256 is not None and found != request.sha256:
        what = f"{request.shown} is not the file that was asked for: its sha256 is {found}, not {request.sha256}"
        raise ValidationError(what, remedy="find out which of the two is right before you use either")
    if archive_suffix(start):
        return
    kind = response.headers.get_content_type()
    if kind == "text/html" or re.match(rb"(?i)\s*<(!doctype html|html)\b", start):
        what = f"{request.shown} is a web page, not an archive"
        raise SourceError(what, remedy="copy the link of the file itself; a page may also want a login")
    raise SourceError(f"{request.shown} is not an archive (the server says {kind})", remedy="check the URL")


# --- what is kept ----------------------------------------------------------------------------------------------------


def _key(url: str) -> str:
    from hwb.store import fingerprint

    return fingerprint(url) + ".json"


def _record(store: Store, url: str) -> dict[str, str]:
    """What is known about a URL: `sha256`, `etag`, `modified`. Empty when that is nothing, or cannot be read."""
    value = store.read_json("urls", _key(url))
    return {k: v for k, v in value.items() if isinstance(v, str)} if isinstance(value, dict) else {}


def _kept(store: Store, sha256: str) -> Path | None:
    """The kept file with that hash, hashed again: a damaged one is as good as none."""
    from hwb.fs import sha256_file

    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        return None
    folder = store.root / "files" / sha256
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
        return folder / names[0] if names and sha256_file(folder / names[0]) == sha256 else None
    except OSError:
        return None


def _file_name(url: str, start: bytes) -> str:
    """The last part of the URL's path, made harmless, with the suffix of what the bytes are when it has none."""
    from urllib.parse import unquote, urlsplit

    name = _NAME.sub("_", unquote(urlsplit(url).path).rstrip("/").rpartition("/")[2]).lstrip(".")[-150:]
    suffix = archive_suffix(start)
    usual = (suffix, ".tgz") if suffix == ".tar.gz" else (suffix,)
    return name if name.lower().endswith(usual) else f"{name or 'archive'}{suffix}"
