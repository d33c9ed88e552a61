"""What is inside a compressed stream, and is all of the file part of it?"""

from __future__ import annotations

import sys
from typing import IO, TYPE_CHECKING, Any

from hwb.archive.names import plain_errors, refuse

if TYPE_CHECKING:
    from hwb.archive.names import StandardLimits

__all__ = ["unpack"]

_BLOCK = 1 << 18
_MEMORY = 256 << 20
"""Bytes that a decoder of xz may use: its largest preset needs 65 MiB (xz(1), -9)."""


def unpack(path: str, source: IO[bytes], target: IO[bytes], limits: StandardLimits) -> None:
    """Decompress a stream (gzip, bzip2, xz, or none) into `target`, told apart by its first bytes.

    One member whose checksums hold, and not a byte after it: what some readers skip and others read is refused.
    Raises ValidationError. Stops at the limits, whatever the stream says of its size.
    """
    head = source.read(6)
    source.seek(0)
    decoder = _decoder(head)
    done = _Counter(path, limits)
    while packed := source.read(_BLOCK):
        done.packed += len(packed)
        if decoder is None:
            done.write(target, packed)
            continue
        _feed(decoder, packed, target, done)
    _drain(decoder, target, done)


class _Counter:
    def __init__(self, path: str, limits: StandardLimits) -> None:
        self.path = path
        self.limits = limits
        self.packed = self.total = 0

    def write(self, target: IO[bytes], block: bytes) -> None:
        self.total += len(block)
        limits = self.limits
        too_much = self.total > limits.ratio_from and self.total > self.packed * limits.ratio
        if self.total > limits.bytes or too_much:
            what = f"unpacks to more than {self.total - len(block)} bytes from {self.packed}, which is not believed"
            raise refuse(self.path, what, rule="archive-limit")
        target.write(block)


def _decoder(head: bytes) -> Any:
    if head[:2] == b"\x1f\x8b":
        import zlib

        return zlib.decompressobj(16 + zlib.MAX_WBITS)
    if head[:3] == b"BZh":
        import bz2

        return bz2.BZ2Decompressor()
    if head == b"\xfd7zXZ\0":
        import lzma

        return lzma.LZMADecompressor(lzma.FORMAT_XZ, _MEMORY)
    return None


def _feed(decoder: Any, packed: bytes, target: IO[bytes], done: _Counter) -> None:
    if decoder.eof:
        raise refuse(done.path, "has bytes after the end of its compressed data")
    zlike = hasattr(decoder, "unconsumed_tail")
    while True:
        done.write(target, _decompress(done.path, decoder, packed))
        packed = decoder.unconsumed_tail if zlike else b""
        if decoder.eof or (not packed if zlike else decoder.needs_input):
            break
    if decoder.unused_data:
        raise refuse(done.path, "has bytes after the end of its compressed data")


def _decompress(path: str, decoder: Any, packed: bytes) -> bytes:
    try:
        with plain_errors(path):
            block: bytes = decoder.decompress(packed, _BLOCK << 2)
    except _lzma_errors() as error:
        raise refuse(path, f"is damaged: {error}", rule="archive-damage") from error
    return block


def _lzma_errors() -> tuple[type[Exception], ...]:
    """LZMAError (which only derives from Exception), where an xz stream had lzma imported: nothing else raises it."""
    lzma = sys.modules.get("lzma")
    return () if lzma is None else (lzma.LZMAError,)


def _drain(decoder: Any, target: IO[bytes], done: _Counter) -> None:
    """What is left in the decoder after the last block of input; a stream that has not ended is damaged."""
    while decoder is not None and not decoder.eof:
        block = _decompress(done.path, decoder, b"")
        if not block and not decoder.eof:
            raise refuse(done.path, "is damaged: its compressed data ends too early", rule="archive-damage")
        done.write(target, block)
