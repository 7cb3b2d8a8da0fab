"""TIFF files, also BigTIFF, too large to be decoded whole: their strips or tiles are decoded one at a time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from sightsmith.core.contracts.dataset import Tile
from sightsmith.core.contracts.image import Array, Frame, ImageError
from sightsmith.engine.data.extra_band import Look, kept_bands, look_of, looked_at
from sightsmith.engine.data.grey_levels import largest
from sightsmith.engine.data.image_limits import HOW_TO_CUT, check_large, integer_limits
from sightsmith.engine.data.large_image import LargeImage, averaged
from sightsmith.engine.data.tiff_directory import GREY, INVERTED, PALETTE, RGB, YCBCR, Directory
from sightsmith.engine.data.tiff_pages import MASK, Page

LOOK, LOOKS = 512, 8
"""Side of a place, and how many of them down and across, in which is seen what a band beside the colours is."""


class LargeTiff(LargeImage):
    """An open TIFF whose ``pages``, of ``every`` one in it, are equally large; smaller versions of a page are used for
    what is read at reduced size."""

    def __init__(self, file: Any, pages: Sequence[Page], every: Sequence[Page], notes: tuple[str, ...]) -> None:
        self._file, self._pages, self._notes = file, pages, notes
        self._directories: dict[int, Directory] = {}
        first = self._directory(pages[0].number)
        super().__init__((pages[0].width, pages[0].height), first.orientation, len(pages))
        check_large(*self.size, self.frames, first.samples)
        if first.photometric not in (INVERTED, GREY, RGB, PALETTE, YCBCR):
            raise ImageError(f"a TIFF of the PhotometricInterpretation {first.photometric} cannot be read in parts: "
                             f"{HOW_TO_CUT}")
        self._smaller = _smaller(self.size, every) if self.frames == 1 else {}

    def stored(self, index: int, box: Tile) -> Array:
        return self._directory(self._pages[index].number).read(self._file.filehandle, box)

    def described(self, index: int, values: Array) -> Frame:
        found, notes = self._directory(self._pages[index].number), self._notes
        if found.photometric == PALETTE:
            table = np.reshape(found.colormap, (3, -1)).T >> 8
            values = table.astype(np.uint8)[values[..., 0]]
        else:
            values, said = kept_bands(found, values, self._look(index, found))
            notes += said
        whole = values.dtype.kind != "f"
        bits = 8 * values.dtype.itemsize if whole else 32
        limits = integer_limits(bits, signed=values.dtype.kind == "i") if whole else None
        return Frame(values, largest(values), bits, limits, inverted=found.photometric == INVERTED, notes=notes,
                     bands=3 if found.photometric in (PALETTE, YCBCR) else found.colours)

    def reduced(self, index: int, box: Tile, factor: int) -> Frame:
        shrunk = max((known for known in self._smaller if known <= factor), default=1)
        if shrunk == 1:
            return super().reduced(index, box, factor)
        number = self._smaller[shrunk]
        page, (left, top, width, height) = self._directory(number), box
        right, bottom = (-(-end // shrunk) for end in (left + width, top + height))
        left, top = left // shrunk, top // shrunk
        right, bottom = min(right, page.width), min(bottom, page.height)
        frame = self.described(index, page.read(self._file.filehandle, (left, top, right - left, bottom - top)))
        return replace(frame, values=averaged(frame.values, factor // shrunk))

    def _look(self, index: int, found: Directory) -> Look | None:
        stamp = os.fstat(self._file.filehandle.fileno())
        return None if found.decisive is None else _look_once(
            self._file.filehandle.path, self._pages[index].number, stamp.st_mtime_ns, stamp.st_size, stamp.st_ino)

    def _directory(self, number: int) -> Directory:
        if number not in self._directories:
            self._directories[number] = Directory(self._file.pages[number])
        return self._directories[number]


def _smaller(size: tuple[int, int], pages: Sequence[Page]) -> dict[int, int]:
    """The numbers of the pages that are an image of ``size`` (width, height) at reduced size, by how many times."""
    found = {}
    for page in pages:
        factor = 2 ** round(np.log2(max(size[0] / max(page.width, 1), 1)))
        exact = ((whole // factor, -(-whole // factor)) for whole in size)
        if factor > 1 and not page.subfile & MASK and page.bands == pages[0].bands and all(
                side in sides for side, sides in zip((page.width, page.height), exact, strict=True)):
            found[factor] = page.number
    return found


@lru_cache(maxsize=2**12)
def _look_once(path: str, number: int, *stamp: int) -> Look | None:
    """What the decisive band of a page of a file looks like in places that are spread over it."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        found = Directory(file.pages[number])
        across, down = (range(0, side, max(LOOK, side // LOOKS)) for side in (found.width, found.height))
        places = ((left, top, min(LOOK, found.width - left), min(LOOK, found.height - top))
                  for top in down for left in across)
        bands = [looked_at(found, found.read(file.filehandle, place)) for place in places]
    known = [band for band in bands if band is not None]
    return look_of(known) if known else None
