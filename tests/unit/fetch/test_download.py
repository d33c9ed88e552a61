"""Does a download end with the right bytes or a clear word, whatever the server does?"""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest

from hwb.context import CancelToken, current, use
from hwb.errors import Cancelled, HwbError, OfflineError, SourceError, ValidationError
from hwb.fetch import download as module
from hwb.fetch.download import archive_suffix, download
from hwb.store import Store

from .conftest import Web, archive_bytes, send

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

BODY = archive_bytes(PKG="x" * 5000)
SHA = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def get(store: Store, web: Web) -> Callable[..., Path]:
    def get(path: str = "/pkg-1.0.tar.gz", **options: Any) -> Path:
        return download(web.url + path, store, **{"delay": 0.001, **options})

    return get


def nothing_left(store: Store) -> bool:
    """No half file under any name."""
    kept = [path for path in store.root.rglob("*") if path.is_file() and path.parent.parent.name != "files"]
    return [path for path in kept if path.parent.name != "urls"] == [] and list((store.root / "tmp").glob("*")) == []


def test_a_file_is_kept_under_its_hash_and_name(get: Callable[..., Path], web: Web, store: Store) -> None:
    web.answers = {"/pkg-1.0.tar.gz": send(BODY)}
    path = get()
    assert path == store.root / "files" / SHA / "pkg-1.0.tar.gz"
    assert path.read_bytes() == BODY
    assert nothing_left(store)


def test_a_hash_needs_the_network_once(get: Callable[..., Path], web: Web) -> None:
    web.answers = {"/pkg-1.0.tar.gz": send(BODY)}
    assert get(sha256=SHA) == get(sha256=SHA)
    assert len(web.asked) == 1


def test_a_damaged_kept_file_is_fetched_again(get: Callable[..., Path], web: Web) -> None:
    web.answers = {"/pkg-1.0.tar.gz": send(BODY)}
    get(sha256=SHA).write_bytes(BODY[:-1])
    assert get(sha256=SHA).read_bytes() == BODY
    assert len(web.asked) == 2


def test_without_a_hash_the_server_is_asked_whether_it_changed(get: Callable[..., Path], web: Web) -> None:
    stamp = formatdate(0, usegmt=True)
    web.answers = {
        "/pkg-1.0.tar.gz": [
            send(BODY, ETag='"v1"', Last_Modified=stamp),
            send(b"", 304, Content_Length=""),
            send(new := archive_bytes(PKG="new"), ETag='"v2"'),
        ]
    }
    assert get() == get()
    assert web.asked[1][1]["If-None-Match"] == '"v1"'
    assert web.asked[1][1]["If-Modified-Since"] == stamp
    assert get().read_bytes() == new


def test_a_server_without_validators_is_asked_for_everything(get: Callable[..., Path], web: Web) -> None:
    web.answers = {"/pkg-1.0.tar.gz": send(BODY)}
    get()
    get()
    assert "If-None-Match" not in web.asked[1][1]


def test_a_304_that_nobody_asked_for_is_an_error(get: Callable[..., Path], web: Web) -> None:
    web.answers = {"/pkg-1.0.tar.gz": send(b"", 304, Content_Length="")}
    with pytest.raises(SourceError, match="answered 304"):
        get()


def test_offline(get: Callable[..., Path], web: Web) -> None:
    web.answers = {"/pkg-1.0.tar.gz": send(BODY)}
    with pytest.raises(OfflineError, match="not in the store"):
        get(offline=True)
    assert web.asked == []
    path = get()
    assert get(offline=True) == path
    assert len(web.asked) == 1
    path.write_bytes(b"damaged")
    with pytest.raises(OfflineError):
        get(offline=True)


def test_another_hash_is_refused_and_nothing_kept(get: Callable[..., Path], web: Web, store: Store) -> None:
    web.answers = {"/pkg-1.0.tar.gz": send(BODY)}
    with pytest.raises(ValidationError, match=f"its sha256 is {SHA}, not 0000"):
        get(sha256="0" * 64)
    assert not (store.root / "files").exists()
    assert nothing_left(store)


def test_credentials_are_a_header_and_never_kept_or_shown(get: Callable[..., Path], web: Web, store: Store) -> None:
    web.answers = {"/pkg-1.0.tar.gz": send(BODY), "/no": send(b"", 401)}
    url = web.url.replace("http://", "http://user:sekret@")
    path = download(f"{url}/pkg-1.0.tar.gz?key=sekret", store)
    assert path.name == "pkg-1.0.tar.gz"
    assert web.asked[0][1]["Authorization"] == "Basic dXNlcjpzZWtyZXQ="
    with pytest.raises(SourceError) as caught:
        download(f"{url}/no?key=sekret", store)
    assert "USER:TOKEN@" in caught.value.remedy
    assert "sekret" not in caught.value.explain()
    assert [path for path in store.root.rglob("*") if path.is_file() and b"sekret" in path.read_bytes()] == []


# --- faults ----------------------------------------------------------------------------------------------------------


def reset(after: int) -> Callable[[BaseHTTPRequestHandler], None]:
    """End the connection with a reset after so many bytes of the body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if after >= 0:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(BODY)))
            handler.end_headers()
            handler.wfile.write(BODY[:after])
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
        handler.close_connection = True

    return answer


def chunked(*chunks: bytes, end: bool = True) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for chunk in chunks:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if end:
            handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True

    return answer


FAULTS = {
    "reset at once": reset(-1),
    "reset in the body": reset(10),
    "truncated": send(BODY[:-5], Content_Length=str(len(BODY))),
    "truncated chunks": chunked(BODY[:50], end=False),
    "500": send(b"", 500),
    "502": send(b"", 502),
    "503": send(b"", 503),
    "503 with a number": send(b"", 503, Retry_After="0"),
    "429 with a date": send(b"", 429, Retry_After=formatdate(0, usegmt=True)),
    "429 with nonsense": send(b"", 429, Retry_After="soon"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_what_passes_is_tried_again(
    fault: Callable[..., None], get: Callable[..., Path], web: Web, store: Store
) -> None:
    web.answers = {"/pkg-1.0.tar.gz": [fault, fault, fault, send(BODY)]}
    assert get().read_bytes() == BODY
    assert len(web.asked) == 4
    assert nothing_left(store)


@pytest.mark.parametrize("fault", [FAULTS["truncated"], FAULTS["503"], FAULTS["reset at once"]])
def test_what_does_not_pass_is_told(fault: Callable[..., None], get: Callable[..., Path], web: Web) -> None:
    web.answers = {"/pkg-1.0.tar.gz": fault}
    with pytest.raises(SourceError, match=r"cannot be downloaded: .*\(4 tries\)") as caught:
        get()
    assert len(web.asked) == 4
    assert "network" in caught.value.remedy


def test_a_server_that_wants_an_hour_is_not_waited_for(get: Callable[..., Path], web: Web) -> None:
    web.answers = {"/pkg-1.0.tar.gz": send(b"", 503, Retry_After="3600")}
    with pytest.raises(SourceError, match="3600 s of patience"):
        get()
    assert len(web.asked) == 1


def test_chunks_are_put_together(get: Callable[..., Path], web: Web) -> None:
    web.answers = {"/pkg-1.0.tar.gz": chunked(BODY[:100], BODY[100:])}
    assert get(sha256=SHA).read_bytes() == BODY


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_what_will_not_pass_is_not_tried_again(status: int, get: Callable[..., Path], web: Web) -> None:
    web.answers = {"/pkg-1.0.tar.gz": send(b"", status)}
    with pytest.raises(SourceError, match=f"answered {status}"):
        get()
    assert len(web.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        send(b"<!DOCTYPE html><title>Sign in</title>", Content_Type="text/html; charset=utf-8"),
        send(b"\n <HTML><body>x", Content_Type="application/gzip"),
        send(b"please log in", Content_Type="text/html"),
    ],
)
def test_a_web_page_is_no_archive(
    answer: Callable[..., None], get: Callable[..., Path], web: Web, store: Store
) -> None:
    web.answers = {"/pkg-1.0.tar.gz": answer}
    with pytest.raises(SourceError, match="is a web page, not an archive"):
        get()
    assert not (store.root / "files").exists()


def test_an_archive_that_is_said_to_be_a_page_is_an_archive(get: Callable[..., Path], web: Web) -> None:
    web.answers = {"/pkg-1.0.tar.gz": send(BODY, Content_Type="text/html")}
    assert get().read_bytes() == BODY


def test_anything_else_is_no_archive(get: Callable[..., Path], web: Web) -> None:
    web.answers = {"/pkg-1.0.tar.gz": send(b"\x7fELF", Content_Type="application/octet-stream")}
    with pytest.raises(SourceError, match=r"not an archive \(the server says application/octet-stream\)"):
        get()


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(BODY)


def test_a_body_without_end_is_cut_off(get: Callable[..., Path], web: Web, store: Store) -> None:
    web.answers = {"/pkg-1.0.tar.gz": endless}
    with pytest.raises(SourceError, match="larger than 100000 bytes: the answer has no end in sight"):
        get(max_bytes=100_000)
    assert nothing_left(store)


def test_a_body_that_is_announced_too_large_is_not_read(get: Callable[..., Path], web: Web) -> None:
    web.answers = {"/pkg-1.0.tar.gz": send(BODY)}
    with pytest.raises(SourceError, match=f"larger than 10 bytes: {len(BODY)} bytes"):
        get(max_bytes=10)


def test_a_body_that_takes_too_long(get: Callable[..., Path], web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST", -1.0)
    web.answers = {"/pkg-1.0.tar.gz": send(BODY)}
    with pytest.raises(SourceError, match="took longer than"):
        get()


def test_nobody_listens(store: Store, web: Web) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(SourceError, match=r"cannot be downloaded: .*refused"):
            download(f"http://127.0.0.1:{taken.getsockname()[1]}/x.tar.gz", store, delay=0.001)


def test_a_url_that_cannot_be_asked_for(store: Store, web: Web) -> None:
    with pytest.raises(SourceError, match="is no URL that can be asked for"):
        download(f"{web.url}/a b", store)


def test_a_full_disk_is_no_fault_of_the_network(
    get: Callable[..., Path], web: Web, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.answers = {"/pkg-1.0.tar.gz": send(BODY)}

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        get()
    assert len(web.asked) == 1
    assert nothing_left(store)


# --- calling it off --------------------------------------------------------------------------------------------------


def cancelled_while(work: Callable[[], object], ready: Callable[[], object]) -> tuple[BaseException, float]:
    """What `work` raises when it is called off as soon as `ready`, and the seconds that took."""
    context = current().but(token=CancelToken())
    caught: list[BaseException] = []

    def run() -> None:
        try:
            with use(context):
                work()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not ready():
        time.sleep(0.002)
    started = time.monotonic()
    context.token.cancel("enough")
    thread.join(20)
    return caught[0], time.monotonic() - started


def test_a_silent_server_does_not_hold_up_the_end(get: Callable[..., Path], web: Web, store: Store) -> None:
    over = threading.Event()

    def stall(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BODY)))
        handler.end_headers()
        handler.wfile.write(BODY[:10])
        over.wait(15)

    web.answers = {"/pkg-1.0.tar.gz": stall}
    error, seconds = cancelled_while(get, lambda: any((store.root / "tmp").glob("*/body")))
    over.set()
    assert isinstance(error, Cancelled)
    assert seconds < 10
    assert nothing_left(store)


def test_waiting_for_another_try_can_be_called_off(get: Callable[..., Path], web: Web) -> None:
    web.answers = {"/pkg-1.0.tar.gz": send(b"", 503, Retry_After="50")}
    error, seconds = cancelled_while(get, lambda: web.asked)
    assert isinstance(error, Cancelled)
    assert seconds < 20


def test_new_tries_are_told(get: Callable[..., Path], web: Web) -> None:
    web.answers = {"/pkg-1.0.tar.gz": [send(b"", 503), send(BODY)]}
    told: list[str] = []
    with use(current().but(emit=lambda kind, **fields: told.append(f"{kind}: {fields['text']}"))):
        get()
    assert told == [
        f"message: {web.url}/pkg-1.0.tar.gz: the server answered 503 Service Unavailable; trying again in 0.001 s"
    ]


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/pkg-1.0.tgz", "pkg-1.0.tgz"),
        ("/a/v1", "v1.tar.gz"),
        ("/", "archive.tar.gz"),
        ("/..%2f..%2fetc%2fx", "x.tar.gz"),
        ("/.hidden", "hidden.tar.gz"),
        ("/a%20b%22.tar.gz", "a_b_.tar.gz"),
        (f"/{'x' * 300}.tar.gz", "x" * 143 + ".tar.gz"),
    ],
)
def test_names_are_harmless(path: str, name: str, get: Callable[..., Path], web: Web) -> None:
    web.answers = {path: send(BODY)}
    assert get(path).name == name


def test_archives_are_known_by_their_first_bytes() -> None:
    assert [archive_suffix(start) for start in (BODY, b"PK\x03\x04", b"BZh9", b"\xfd7zXZ\0", b"", b"MZ")] == [
        ".tar.gz",
        ".zip",
        ".tar.bz2",
        ".tar.xz",
        "",
        "",
    ]


def test_an_error_is_one_of_ours(web: Web, store: Store) -> None:
    with pytest.raises(HwbError):
        download(f"{web.url}/missing.zip", store)
