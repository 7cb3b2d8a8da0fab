"""What a compressed file begins with."""

from __future__ import annotations

import zlib

GZIP = b"\x1f\x8b"
"""The first bytes of a gzip file."""


def inflated(head: bytes) -> bytes:
    """The beginning of what is in a gzip file with the first bytes ``head``, at most as many; as far as it is whole."""
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(head, max(len(head), 1))
    except zlib.error:
        return b""
