"""The pages of a TIFF file, from its directories alone: decoders follow any number of them, and all their tags."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sightsmith.core.contracts.image import ImageError
from sightsmith.engine.data.image_limits import MAX_FRAMES

REDUCED, MASK = 1, 4
"""Bits of NewSubfileType: a smaller version of another page, and its transparency."""
OTHER_PAGES = "pages of another size than the first are left out"
MAX_TILE = 2**24
"""Pixels of a tile that any image may have; above, a tile must not be larger than twice the image."""
MAX_TAGS = 64 * 2**20
"""Bytes of the tags of all pages that any file may have; above, they must not be more than the whole file."""

_TAGS = (254, 256, 257, 277, 322, 323, 262, 284)
"""NewSubfileType, ImageWidth, ImageLength, SamplesPerPixel, TileWidth, TileLength, PhotometricInterpretation,
PlanarConfiguration"""
_TYPES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value, by the number of its type."""


@dataclass(frozen=True)
class Page:
    """A page: its ``number`` in the file from 0, NewSubfileType, sides in pixels, ``bands``, the sides of a tile, 0
    without tiles, PhotometricInterpretation and PlanarConfiguration."""

    number: int
    subfile: int = 0
    width: int = 0
    height: int = 0
    bands: int = 1
    tile_width: int = 0
    tile_height: int = 0
    photometric: int = 0
    planar: int = 0


def image_pages(path: Path) -> tuple[list[Page], int]:
    """The pages that are images of the size of the first, and the number of images of other sizes.

    Raises ImageError as :func:`read_pages`.
    """
    return images_of(read_pages(path))


def images_of(pages: list[Page]) -> tuple[list[Page], int]:
    """:func:`image_pages` of all ``pages`` of a file. Thumbnails and masks do not count as images, unless there is
    nothing else."""
    images = [page for page in pages if not page.subfile & (REDUCED | MASK)] or pages
    same = [page for page in images if (page.width, page.height) == (images[0].width, images[0].height)]
    return same, len(images) - len(same)


def read_pages(path: Path) -> list[Page]:
    """Every page once, in the order of the file: a directory that was seen already ends the list, as in Pillow.

    Raises ImageError for more than :data:`~sightsmith.engine.data.image_limits.MAX_FRAMES` pages, and for tags and
    tiles of which a decoder would make far more than the file and the image have.
    """
    pages: list[Page] = []
    with path.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(0)
        header = file.read(16)
        order = "<" if header[:2] == b"II" else ">"
        big = struct.unpack(f"{order}H", header[2:4])[0] == 43
        place = struct.unpack(f"{order}{'Q' if big else 'I'}", header[8:16] if big else header[4:8])[0]
        seen, weight = set(), 0
        while 0 < place < length and place not in seen:
            seen.add(place)
            if len(seen) > MAX_FRAMES:
                raise ImageError(f"the TIFF has more than {MAX_FRAMES} pages")
            file.seek(place)
            entries, place = _directory(file, order, big)
            weight += sum(count * _TYPES.get(kind, 1) for kind, count, _ in entries.values())
            if weight > max(length, MAX_TAGS):
                raise ImageError("the TIFF is damaged: its tags have more bytes than the file")
            page = Page(len(pages), *(entries.get(tag, (0, 0, 0))[2] for tag in _TAGS))
            if page.tile_width * page.tile_height > max(MAX_TILE, 2 * page.width * page.height):
                raise ImageError(f"the TIFF is damaged: its tiles of {page.tile_width} x {page.tile_height} pixels are "
                                 "larger than the image")
            pages.append(page)
    return pages


def _directory(file: BinaryIO, order: str, big: bool) -> tuple[dict[int, tuple[int, int, int]], int]:
    """(type, count, value or offset) of each tag of the directory at the file's place, and the place of the next one;
    0 if there is none."""
    pointer, size = ("Q", 20) if big else ("I", 12)
    [number] = struct.unpack(f"{order}{'Q' if big else 'H'}", file.read(8 if big else 2))
    raw = file.read(size * min(number, 2**16))
    entries = {}
    for start in range(0, len(raw) - size + 1, size):
        tag, kind, count = struct.unpack(f"{order}HH{pointer}", raw[start:start + size - struct.calcsize(pointer)])
        field = raw[start + size - (8 if big else 4):start + size]
        entries[tag] = kind, count, struct.unpack(f"{order}H", field[:2])[0] if kind == 3 else \
            struct.unpack(f"{order}{pointer}", field)[0]
    following = file.read(8 if big else 4)
    return entries, struct.unpack(f"{order}{pointer}", following)[0] if len(following) == (8 if big else 4) else 0
