"""Which values are secret, and how do they stay out of everything that is written?"""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["MASK", "MaskingPump", "Redactor", "secret_names", "secret_values", "without_credentials"]

MASK = b"***"
_NAME = re.compile(r".*_(TOKEN|PASSWORD|SECRET|KEY)$|^(TOKEN|PASSWORD|SECRET)$", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s:@]*:([^/\s@]+)@")
_UPLOAD = re.compile(r"^(TWINE_.*|UV_PUBLISH_.*|ACTIONS_ID_TOKEN_REQUEST_.*|PYPI_ID_TOKEN|[A-Z]*PYPI_TOKEN)$")
_SHORTEST = 4
"""Shorter values ("1", "yes") would blank out half of every log and are no secrets."""


def secret_names(environ: Mapping[str, str], declared: Iterable[str] = ()) -> list[str]:
    """Variables whose values are secret: by name (`*_TOKEN`, `*_PASSWORD`, `*_SECRET`, `*_KEY`) or declared."""
    wanted = set(declared)
    return [name for name in environ if name in wanted or _NAME.match(name)]


def _encodings(value: str) -> Iterable[bytes]:
    """A secret as it may come back: raw, JSON-escaped, URL-quoted, base64 (also as part of `user:secret`)."""
    raw = value.encode(errors="surrogateescape")
    yield raw
    if raw.isalnum():
        quoted = raw
    else:
        from json import dumps
        from urllib.parse import quote

        quoted = quote(value, safe="", errors="surrogateescape").encode()
        yield quoted
        yield dumps(value)[1:-1].encode()
        yield dumps(value, ensure_ascii=False)[1:-1].encode(errors="surrogateescape")
    from base64 import b64encode

    for shift in range(3):
        # the middle of the base64 text is the same whatever stands around the secret; the edges are cut off
        text = b64encode(b"\0" * shift + raw).rstrip(b"=")
        start = (0, 2, 3)[shift]
        end = len(text) - (0 if (shift + len(raw)) % 3 == 0 else 1)
        if end - start >= 8:
            yield text[start:end]


def secret_values(environ: Mapping[str, str], declared: Iterable[str] = ()) -> tuple[bytes, ...]:
    """Every byte string that must be masked, longest first; empty when the environment holds no secret."""
    values = {environ[name] for name in secret_names(environ, declared)}
    for text in environ.values():
        if "://" in text and "@" in text:
            values.update(_URL_PASSWORD.findall(text))
    found = {form for value in values if len(value) >= _SHORTEST for line in _lines(value) for form in _encodings(line)}
    return tuple(sorted((form for form in found if len(form) >= _SHORTEST), key=lambda form: (-len(form), form)))


def _lines(value: str) -> Iterable[str]:
    """A private key is printed line by line: each long enough line is a secret of its own."""
    yield value
    if "\n" in value.strip():
        yield from (line for line in value.splitlines() if len(line) >= 8)


def without_credentials(environ: Mapping[str, str], declared: Iterable[str] = ()) -> dict[str, str]:
    """The environment minus upload credentials: only the recipe that asks for those gets them."""
    wanted = set(declared)
    return {name: value for name, value in environ.items() if name not in wanted and not _UPLOAD.match(name)}


class Redactor:
    """Replaces every known secret; a no-op (and `known` False) when there is none."""

    __slots__ = ("_pattern", "longest")

    def __init__(self, secrets: Iterable[bytes] = ()) -> None:
        forms = list(secrets)
        self.longest = max(map(len, forms), default=0)
        self._pattern = re.compile(b"|".join(map(re.escape, forms))) if forms else None

    @property
    def known(self) -> bool:
        """Whether there is anything to mask."""
        return self._pattern is not None

    def mask(self, data: bytes) -> bytes:
        """Bytes without secrets."""
        return self._pattern.sub(MASK, data) if self._pattern is not None else data

    def text(self, text: str) -> str:
        """Text without secrets."""
        if self._pattern is None:
            return text
        return self.mask(text.encode(errors="surrogateescape")).decode(errors="surrogateescape")

    def split(self, data: bytes) -> tuple[bytes, bytes]:
        """What can be masked and written now, and the tail that could be the beginning of a secret."""
        if self._pattern is None or self.longest <= 1:
            return self.mask(data), b""
        keep = len(data) - (self.longest - 1)
        if keep <= 0:
            return b"", data
        for match in self._pattern.finditer(data):
            if match.start() < keep < match.end():
                keep = match.end()
                break
        return self.mask(data[:keep]), data[keep:]


class MaskingPump:
    """Copies a pipe to a descriptor, masked, in bounded memory; its own thread, ends with the pipe.

    A secret that a child writes in two pieces is held back until its end is seen: at most the longest secret's
    length stays in memory beside one block.
    """

    __slots__ = ("_redactor", "_source", "_target", "_thread", "write_fd")

    def __init__(self, target: int, redactor: Redactor) -> None:
        self._source, self.write_fd = os.pipe()
        self._target = target
        self._redactor = redactor
        self._thread = threading.Thread(target=self._copy, name="hwb-mask", daemon=True)
        self._thread.start()

    def _copy(self) -> None:
        rest = b""
        try:
            while block := os.read(self._source, 65536):
                out, rest = self._redactor.split(rest + block)
                write_all(self._target, out)
            write_all(self._target, self._redactor.mask(rest))
        except OSError:
            pass  # the log is gone (disk full, session over): nothing can be said there
        finally:
            os.close(self._source)

    def close_parent(self) -> None:
        """After the child has its copy: without ours, the pipe ends with the child."""
        os.close(self.write_fd)

    def join(self, timeout: float) -> None:
        """Wait until everything was written, or a grandchild holds the pipe for longer than `timeout` seconds."""
        self._thread.join(timeout)


def write_all(fd: int, data: bytes) -> None:
    """`os.write` until everything is out."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
