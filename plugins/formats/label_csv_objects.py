"""One row of a ``label.csv`` with a box or a mask as an object."""

from __future__ import annotations

import base64
import zlib

import numpy as np

from sightsmith.plugin import MAX_SIDE, Object, encode_mask, mask_box
from sightsmith.plugins.formats.files import numbers
from sightsmith.plugins.formats.label_csv_table import Row


def read_object(row: Row) -> Object:
    """The box of a row of six columns, or the mask of one of five. Raises ValueError."""
    return _mask(row) if row.columns == 5 else _box(row)


def _box(row: Row) -> Object:
    values = numbers(row.values)
    if values is None:
        raise ValueError(f"x_left,y_top,width,height are not four numbers: {','.join(row.values)[:80]}")
    left, top, width, height = values
    return Object(row.label or "", (left, top, left + width, top + height), line=row.line)


def _mask(row: Row) -> Object:
    """Base64 of a zlib stream of the mask's bits, row by row, the most significant bit of a byte first.

    Rows are not filled up to bytes; the last byte is.
    """
    wide, high, text = row.values
    if not (wide.isdecimal() and high.isdecimal() and 0 < int(wide) <= MAX_SIDE and 0 < int(high) <= MAX_SIDE):
        raise ValueError(f"width,height are {wide[:20]},{high[:20]}; each is a whole number from 1 to {MAX_SIDE}")
    width, height = int(wide), int(high)
    wanted = (width * height + 7) // 8
    try:
        packed = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(f"the mask is not base64: {error}") from error
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(packed, wanted + 1)  # no more, however much the stream would give
    except zlib.error as error:
        raise ValueError(f"the mask is not a zlib stream: {error}") from error
    if len(content) != wanted or not stream.eof:
        there = f"{len(content)}" if len(content) <= wanted else "more"
        raise ValueError(f"the mask of {width} x {height} px needs {wanted} bytes, and there are {there}"
                         + ("" if stream.eof or len(content) > wanted else " in a stream cut short"))
    bits = np.unpackbits(np.frombuffer(content, dtype=np.uint8), count=width * height)
    mask = encode_mask(bits.reshape(height, width))
    return Object(row.label or "", mask_box(mask), mask, region=True, line=row.line)
