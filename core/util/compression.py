"""What a compressed file begins with."""

from __future__ import annotations

import zlib

GZIP = b"\x1f\x8b"
"""The first bytes of a gzip file."""
HEAD = 512
"""Bytes of what is in a file, of which a short one has fewer itself."""


def inflated(head: bytes) -> bytes:
    """The beginning of what is in a gzip file with the first bytes ``head``, at most as many or :data:`HEAD`; as far as
    it is whole."""
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(head, max(len(head), HEAD))
    except zlib.error:
        return b""
