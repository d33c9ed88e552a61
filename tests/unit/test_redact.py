"""Secrets: found by name, masked in every form, also across pieces."""

from __future__ import annotations

import base64
import os
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb.redact import MASK, MaskingPump, Redactor, secret_names, secret_values, without_credentials


def test_names_that_are_secret() -> None:
    environ = {"MY_TOKEN": "a", "DB_PASSWORD": "b", "X_SECRET": "c", "API_KEY": "d", "KEYBOARD": "e", "MINE": "f"}

    assert secret_names(environ, ["MINE"]) == ["MY_TOKEN", "DB_PASSWORD", "X_SECRET", "API_KEY", "MINE"]


def test_no_secret_means_nothing_to_mask() -> None:
    redactor = Redactor(secret_values({"PATH": "/bin", "A_TOKEN": "1"}))

    assert not redactor.known
    assert redactor.mask(b"x") == b"x"
    assert redactor.text("x") == "x"
    assert redactor.split(b"x") == (b"x", b"")


@pytest.mark.parametrize(
    "form",
    [
        lambda s: s,
        lambda s: quote(s, safe=""),
        lambda s: s.replace('"', '\\"'),
        lambda s: base64.b64encode(f"__token__:{s}".encode()).decode(),
        lambda s: base64.b64encode(s.encode()).decode().rstrip("="),
    ],
    ids=["raw", "url", "json", "basic-auth", "base64"],
)
def test_every_form_of_a_secret_is_masked(form: object) -> None:
    secret = 'pa"ss/wörd-0123456789'
    redactor = Redactor(secret_values({"A_TOKEN": secret}))
    text = form(secret)  # type: ignore[operator]
    masked = redactor.text(f"before {text} after")

    assert secret not in masked
    assert MASK.decode() in masked
    assert masked.startswith("before ")


def test_a_password_in_a_url_is_secret() -> None:
    assert b"hunter22" in secret_values({"INDEX": "https://me:hunter22@example.test/simple"})


def test_each_line_of_a_private_key_is_secret() -> None:
    values = secret_values({"SSH_KEY": "-----BEGIN KEY-----\nabcdefghijkl\nxy\n-----END KEY-----\n"})

    assert b"abcdefghijkl" in values
    assert b"xy" not in values


def test_upload_credentials_are_not_inherited() -> None:
    environ = {
        "TWINE_PASSWORD": "a",
        "UV_PUBLISH_TOKEN": "b",
        "ACTIONS_ID_TOKEN_REQUEST_URL": "c",
        "MINE": "d",
        "X": "e",
    }

    assert without_credentials(environ, ["MINE"]) == {"X": "e"}


@given(st.binary(max_size=200), st.integers(0, 200), st.lists(st.integers(1, 7), max_size=80))
def test_splitting_the_stream_anywhere_changes_nothing(text: bytes, at: int, sizes: list[int]) -> None:
    redactor = Redactor((b"secretive", b"secret"))
    whole = text[:at] + b"secretive" + text[at:]
    out, rest, position = b"", b"", 0
    for size in [*sizes, len(whole)]:
        piece, rest = redactor.split(rest + whole[position : position + size])
        out, position = out + piece, position + size

    assert out + redactor.mask(rest) == redactor.mask(whole)


def test_the_pump_masks_what_comes_in_pieces() -> None:
    read_fd, write_fd = os.pipe()
    pump = MaskingPump(write_fd, Redactor((b"secret-value",)))
    for piece in (b"a secret", b"-val", b"ue b ", b"\xff\x00"):
        os.write(pump.write_fd, piece)
    pump.close_parent()
    pump.join(5)
    os.close(write_fd)
    with os.fdopen(read_fd, "rb") as handle:
        assert handle.read() == b"a *** b \xff\x00"


def test_a_pump_whose_log_is_gone_ends_quietly() -> None:
    read_fd, write_fd = os.pipe()
    os.close(write_fd)
    pump = MaskingPump(write_fd, Redactor((b"secret-value",)))
    os.write(pump.write_fd, b"x" * 100)
    pump.close_parent()
    pump.join(5)
    os.close(read_fd)
