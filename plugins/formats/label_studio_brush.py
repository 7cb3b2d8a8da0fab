"""The run lengths of Label Studio's brush: the RGBA values of an image, as a stream of bits.

32 bits say how many values there are, 5 the size of a value less 1, four times 4 the sizes of a count less 1. Then come
blocks: a bit that is set if all values of the block are equal, 2 bits that choose the size of the count, the count less
1, and the values (one if they are equal). This is the format of the package "rle-pack" of thi.ng/umbrella.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sightsmith.plugin import Array, ImageError, check_image_size

CHANNELS = 4
VALUE_BITS, COUNT_BITS = 8, (3, 4, 8, 16)
"""What is written: bits of a value, and those of a count to choose from."""


def decode_brush(content: Any, width: int, height: int) -> Array:
    """(height, width) bool: the pixels that are not transparent. Raises ValueError for anything else."""
    try:
        check_image_size(width, height)
    except ImageError as error:
        raise ValueError(str(error)) from error
    if not isinstance(content, list) or not all(type(value) is int and 0 <= value <= 255 for value in content):
        raise ValueError("rle is not a list of bytes")
    stream, total = _Bits(bytes(content)), CHANNELS * width * height
    count = stream.read(32)
    if count != total:
        raise ValueError(f"rle has {count} values, not {CHANNELS} for each pixel of {width} x {height}")
    value_bits = stream.read(5) + 1
    sizes = [stream.read(4) + 1 for _ in range(4)]
    values = np.zeros(total, dtype=bool)
    place = 0
    while place < total:
        equal, chosen = stream.read(1), stream.read(2)
        end = place + 1 + stream.read(sizes[chosen])
        if end > total:
            raise ValueError(f"rle has more values than an image of {width} x {height}")
        values[place:end] = stream.read(value_bits) != 0 if equal else stream.words(end - place, value_bits)
        place = end
    found: Array = values.reshape(height, width, CHANNELS)[:, :, -1]
    return found


def encode_brush(mask: Array) -> list[int]:
    """The bytes for a (height, width) mask of bool, with 255 in all channels inside."""
    values = mask.ravel()
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True)) + 1
    bits = [f"{CHANNELS * values.size:032b}{VALUE_BITS - 1:05b}", *(f"{size - 1:04b}" for size in COUNT_BITS)]
    for end, length in zip(ends, np.diff(ends, prepend=0), strict=True):
        for count in _counts(CHANNELS * int(length)):
            chosen = next(number for number, size in enumerate(COUNT_BITS) if count <= 1 << size)
            bits.append(f"1{chosen:02b}{count - 1:0{COUNT_BITS[chosen]}b}{'1' * 8 if values[end - 1] else '0' * 8}")
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def _counts(length: int) -> Iterator[int]:
    """Parts of ``length`` that a count can hold."""
    while length > 0:
        yield min(length, 1 << COUNT_BITS[-1])
        length -= 1 << COUNT_BITS[-1]


class _Bits:
    """Raises ValueError at the end."""

    def __init__(self, content: bytes) -> None:
        self._content, self._place = content, 0
        self._bits = np.unpackbits(np.frombuffer(content, dtype=np.uint8))

    def read(self, size: int) -> int:
        start, end = self._place, self._advance(size)
        found = int.from_bytes(self._content[start // 8:(end + 7) // 8], "big")
        return found >> -end % 8 & (1 << size) - 1

    def words(self, count: int, size: int) -> Array:
        """For each of ``count`` words of ``size`` bits whether it is not 0."""
        start, end = self._place, self._advance(count * size)
        found: Array = self._bits[start:end].reshape(count, size)
        return found.max(1) > 0

    def _advance(self, size: int) -> int:
        self._place += size
        if self._place > self._bits.size:
            raise ValueError("rle ends too early")
        return self._place
