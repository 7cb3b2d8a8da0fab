"""The object of a row of ``label.csv`` that has a box or a mask."""

from __future__ import annotations

import base64
import zlib

import numpy as np

from sightsmith.plugin import ImageError, Object, check_image_size, encode_mask, mask_box, read_numbers
from sightsmith.plugins.formats.label_csv_table import Row


def read_object(row: Row) -> Object:
    """The box of a row of six columns, or the mask of one of five. Raises ValueError."""
    return _mask(row) if row.columns == 5 else _box(row)


def _box(row: Row) -> Object:
    values = read_numbers(row.values)
    if values is None:
        raise ValueError(f"x_left,y_top,width,height are not four numbers: {','.join(row.values)[:80]}")
    left, top, width, height = values
    return Object(row.label or "", (left, top, left + width, top + height), line=row.line)


def _mask(row: Row) -> Object:
    """Base64 of a zlib stream of the mask's bits, row by row, the most significant bit of a byte first.

    Only the end of the mask is padded to a whole byte, not each row.
    """
    width_text, height_text, text = row.values
    if not all(side.isdecimal() and len(side) < 10 and int(side) for side in (width_text, height_text)):
        raise ValueError(f"width,height are {width_text[:20]},{height_text[:20]}; both must be whole numbers from 1")
    width, height = int(width_text), int(height_text)
    try:
        check_image_size(width, height)
    except ImageError as error:
        raise ValueError(f"the mask's size: {error}") from error
    expected = (width * height + 7) // 8
    try:
        packed = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(f"the mask is not base64: {error}") from error
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(packed, expected + 1)  # a zip bomb is cut off here
    except zlib.error as error:
        raise ValueError(f"the mask is not a zlib stream: {error}") from error
    if len(content) != expected or not stream.eof:
        actual = f"{len(content)}" if len(content) <= expected else "more"
        raise ValueError(f"the mask of {width} x {height} px needs {expected} bytes, but there are {actual}"
                         + ("" if stream.eof or len(content) > expected else " in a truncated stream"))
    bits = np.unpackbits(np.frombuffer(content, dtype=np.uint8), count=width * height)
    mask = encode_mask(bits.reshape(height, width))
    return Object(row.label or "", mask_box(mask), mask, region=True, line=row.line)
