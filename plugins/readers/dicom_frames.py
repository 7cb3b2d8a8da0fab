"""What the compressed frames of a DICOM file claim: decoders take the memory for that, whatever the header says."""

from __future__ import annotations

import re
import struct
from typing import Any

from pydicom.encaps import generate_fragments, get_frame, parse_basic_offsets
from pydicom.pixels.utils import get_expected_length

from sightsmith.plugin import ImageError, check_jpeg_scans

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_JPEG, _JPEG_2000 = b"\xff\xd8\xff", b"\xff\x4f\xff\x51"
_SEGMENT = re.compile(rb"\xff+([^\x00\xff])(..)", re.DOTALL)
_SIZES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG and a JPEG-LS that are followed by the size."""


def check_compressed(data: Any, index: int) -> None:
    """Raises ImageError if the frame ``index`` of the data set is a JPEG or JPEG 2000 of another size than its header
    has, or would take minutes to decode."""
    offsets = (data.ExtendedOffsetTable, data.ExtendedOffsetTableLengths) if "ExtendedOffsetTable" in data else None
    stream = get_frame(data.PixelData, index, number_of_frames=data.NumberOfFrames, extended_offsets=offsets)
    size, wanted = stream_size(stream), (data.Columns, data.Rows)
    if size is not None and size != wanted:
        raise ImageError(f"its DICOM header has {wanted[0]} x {wanted[1]} pixels, and its frame {index} is compressed "
                         f"as {size[0]} x {size[1]}")
    if stream.startswith(_JPEG):
        check_jpeg_scans(stream, data.Columns * data.Rows)


def has_more_frames(data: Any) -> bool:
    """Whether the pixel data has whole frames beyond the NumberOfFrames of the header, as far as that can be told."""
    frames = int(data.NumberOfFrames)
    pixels = next(data[name].value for name in PIXELS if name in data) or b""
    if not data.file_meta.TransferSyntaxUID.is_encapsulated:
        expected = get_expected_length(data)
        return len(pixels) >= expected + expected // frames
    if "ExtendedOffsetTable" in data:
        return len(data.ExtendedOffsetTable) // 8 > frames
    if offsets := parse_basic_offsets(pixels):
        return len(offsets) > frames
    return sum(part.startswith((_JPEG, _JPEG_2000)) for part in generate_fragments(pixels)) > frames


def stream_size(stream: bytes) -> tuple[int, int] | None:
    """(width, height) of a JPEG, JPEG-LS or JPEG 2000; None for others, and where it is not stated."""
    if stream.startswith(_JPEG_2000) and len(stream) >= 24:
        right, bottom, left, top = struct.unpack_from(">4I", stream, 8)
        return right - left, bottom - top
    place = 2 if stream.startswith(_JPEG) else len(stream)
    while found := _SEGMENT.match(stream, place):
        if found[1][0] in _SIZES and len(stream) >= found.end() + 5:
            height, width = struct.unpack_from(">HH", stream, found.end() + 1)
            return (width, height) if height else None
        place = found.end(1) + int.from_bytes(found[2], "big")
    return None
