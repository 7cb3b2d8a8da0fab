"""What is looked at before time or memory is spent on an image file."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

from sightsmith.core.contracts.image import ImageError
from sightsmith.core.contracts.schema import MAX_CHANNELS

MAX_FRAMES = 4_096
MAX_FRAME_PIXELS = 178_956_970
"""Of an image or frame that is decoded whole, whatever its sides: Pillow's limit, as high as 13,377 x 13,377 pixels."""
MAX_LARGE_PIXELS = 2**32 - 1
"""Of all frames of an image that is read in parts, as high as 65,535 x 65,535 pixels: COCO's run lengths count no
further."""
MAX_PIXELS = 1_000_000_000
"""Of all frames of a file."""
MAX_VALUES = 3 * MAX_FRAME_PIXELS
"""Of all bands of an image: those of the largest image in colour."""
MAX_SCANS = 500
MAX_HEADER = 2**16
"""Bytes of a PNM header with its comments, which Pillow reads one by one."""
MAX_SCANNED_PIXELS = 10_000_000_000
"""Pixels times scans of a progressive JPEG: each scan goes over all pixels again."""

_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)
_START_OF_SCAN, _END_OF_IMAGE, _WITHOUT_LENGTH = 0xDA, 0xD9, (0x01, 0xD8)


HOW_TO_CUT = ("save it as a TIFF in tiles, such as with `vips tiffsave IN OUT.tif --tile --compression deflate "
              "--bigtiff`, or cut it into several files")
NOT_IN_PARTS = f", and only JPEG, PNG and TIFF are read in parts: {HOW_TO_CUT}"


def is_large(width: int, height: int, channels: int = 1) -> bool:
    """Whether an image is too large to be decoded whole."""
    return width * height > MAX_FRAME_PIXELS or channels > 3 and width * height * channels > MAX_VALUES


def check_large(width: int, height: int, frames: int = 1, channels: int = 1) -> None:
    """:func:`check_size` of an image that is read in parts."""
    _check_bands(channels)
    _check_frames(frames)
    if width * height * frames > MAX_LARGE_PIXELS:
        several = f"its {frames} frames of" if frames > 1 else "it is"
        raise ImageError(f"{several} {width} x {height} pixels{' are' * (frames > 1)}, more than {MAX_LARGE_PIXELS:,} "
                         "in total; save it at a lower resolution, or cut it into several files")


def check_size(width: int, height: int, frames: int = 1, channels: int = 1) -> None:
    """Check the header's size before memory is allocated. Raises ImageError if it is too large."""
    _check_bands(channels)
    if channels > 3 and width * height * channels > MAX_VALUES:
        raise ImageError(f"its {channels} bands of {width} x {height} pixels are more than {MAX_VALUES:,} "
                         f"values{NOT_IN_PARTS}")
    if width < 1 or height < 1:
        raise ImageError(f"it is {width} x {height} pixels")
    if width * height > MAX_FRAME_PIXELS:
        raise ImageError(f"it is {width} x {height} pixels, more than {MAX_FRAME_PIXELS:,} in total{NOT_IN_PARTS}")
    _check_frames(frames)
    if width * height * frames > MAX_PIXELS:
        raise ImageError(f"its {frames} frames of {width} x {height} pixels are more than {MAX_PIXELS:,} in total")


def _check_bands(channels: int) -> None:
    if channels > MAX_CHANNELS:
        raise ImageError(f"it has {channels} bands; an image has at most {MAX_CHANNELS}")


def _check_frames(frames: int) -> None:
    if not 0 < frames <= MAX_FRAMES:
        raise ImageError(f"it has {frames} frames; 1 to {MAX_FRAMES} are supported")


def check_pnm(path: Path) -> None:
    """Raises ImageError for a PNM whose header does not end within :data:`MAX_HEADER`."""
    with path.open("rb") as file:
        head = file.read(MAX_HEADER)
    fields = re.sub(rb"#[^\r\n]*([\r\n]|$)", b" ", head).split()  # magic number, width, height, largest value
    if len(head) == MAX_HEADER and len(fields) < (3 if head[1:2] in (b"1", b"4") else 4):
        raise ImageError(f"its header has more than {MAX_HEADER // 1024} KiB of comments or blanks")


def check_scans(path: Path, pixels: int) -> None:
    """Check how often decoding a JPEG of so many ``pixels`` goes over all of them. Raises ImageError if a small file
    would take minutes."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        check_jpeg_scans(content, pixels)


def check_jpeg_scans(content: mmap.mmap | bytes, pixels: int) -> None:
    """:func:`check_scans` of the ``content`` of a JPEG. Raises ImageError."""
    limit = min(MAX_SCANS, MAX_SCANNED_PIXELS // pixels)
    # Where the bytes of the marker are few, so are the scans; only otherwise are the segments looked at.
    if _exceeds(content, limit) and count_scans(content, limit) > limit:
        raise ImageError(f"the JPEG has more than {limit} scans of {pixels:,} pixels, which would take minutes to "
                         "decode; save it again as a usual JPEG")


def _exceeds(content: mmap.mmap | bytes, limit: int) -> bool:
    """Whether more than ``limit`` pairs of bytes look like the start of a scan."""
    place = 0
    for _ in range(limit + 1):
        place = content.find(b"\xff\xda", place) + 2
        if place == 1:
            return False
    return True


def count_scans(content: mmap.mmap | bytes, limit: int) -> int:
    """The number of scans of the first image in a JPEG file; counting ends above ``limit``."""
    scans, place = 0, 2
    while scans <= limit and (found := _MARKER.search(content, place)):
        marker, place = found[1][0], found.end()
        if marker == _END_OF_IMAGE:
            break
        if marker not in _WITHOUT_LENGTH:
            place += int.from_bytes(content[place:place + 2], "big")
        scans += marker == _START_OF_SCAN
    return scans


def integer_limits(bits: int, signed: bool) -> tuple[float, float] | None:
    """The whole range of a stored integer; None above 16 bits, where most images would be all black."""
    if bits > 16:
        return None
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
