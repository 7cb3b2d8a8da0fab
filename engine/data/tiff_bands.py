"""TIFF files of several bands: all of them, which neither Pillow nor OpenCV reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sightsmith.core.contracts.image import Frame, ImageError, PartReader, Reader
from sightsmith.engine.data.extra_band import kept_bands, look_of, looked_at
from sightsmith.engine.data.grey_levels import largest
from sightsmith.engine.data.image_limits import check_size, integer_limits
from sightsmith.engine.data.orientation import upright
from sightsmith.engine.data.tiff_directory import GREY, INVERTED, RGB, SEPARATE, Directory
from sightsmith.engine.data.tiff_pages import Page


@contextmanager
def opened_bands(path: Path, pages: Sequence[Page], notes: tuple[str, ...], *, last: bool = False,
                 ) -> Iterator[Bands | None]:
    """The open file if its bands are other than grey or RGB with transparency, or planes that OpenCV would mix up and
    Pillow refuses; with ``last``, if it can be read at all. None for all others. Raises ImageError."""
    usual = pages and (pages[0].bands < 2 or pages[0].bands == 3 and pages[0].photometric != GREY)
    if not pages or usual and pages[0].planar != SEPARATE and not last:
        yield None
        return
    import tifffile

    with tifffile.TiffFile(path) as file:
        first = Directory(file.pages[pages[0].number])
        known = not last and not first.odd_planes and (
            first.bands == 1 or first.bands == 3 and first.photometric != GREY)
        other = known or first.photometric not in (INVERTED, GREY, RGB)
        yield None if other else Bands(file, pages, first, notes)


class Bands:
    """An open TIFF whose pages have the bands of the ``first``; transparency is not among them."""

    groups: tuple[str, ...] = ()
    modality: str | None = None

    def __init__(self, file: Any, pages: Sequence[Page], first: Directory, notes: tuple[str, ...]) -> None:
        self._file, self._pages, self._first, self._notes = file, pages, first, notes
        self.frames, self.size = len(pages), (pages[0].width, pages[0].height)
        check_size(*self.size, self.frames, pages[0].bands)

    def frame(self, index: int, careful: bool = False) -> Frame:
        found = Directory(self._file.pages[self._pages[index].number])
        if (found.samples, found.kept, found.colours) != (self._first.samples, self._first.kept, self._first.colours):
            raise ImageError(f"its pages do not have the same bands: the first has {self._first.bands}, another "
                             f"{found.bands}")
        check_size(*self.size, channels=found.samples)
        stored = found.read(self._file.filehandle)
        band = looked_at(found, stored)
        values, notes = kept_bands(found, stored, None if band is None else look_of([band]))
        whole = values.dtype.kind != "f"
        bits = 8 * values.dtype.itemsize if whole else 32
        limits = integer_limits(bits, signed=values.dtype.kind == "i") if whole else None
        values = upright(values, found.orientation)
        return Frame(values, largest(values), bits, limits, inverted=found.photometric == INVERTED,
                     notes=self._notes + notes, bands=found.colours, orientation=found.orientation)


class StackedPages:
    """The pages of a TIFF as the channels of one image, in their order. Raises ImageError for unequal ones."""

    frames = 1
    groups: tuple[str, ...] = ()
    modality: str | None = None

    def __init__(self, pages: Reader) -> None:
        self._pages, self.size = pages, pages.size
        if isinstance(pages, PartReader):
            raise ImageError(f"image.pages=channels: pages of {' x '.join(map(str, self.size))} pixels are too large; "
                             "save the channels as bands of one page, in tiles")
        check_size(*self.size, channels=pages.frames)

    def frame(self, index: int, careful: bool = False) -> Frame:
        first, *_ = found = [self._pages.frame(number, careful) for number in range(self._pages.frames)]
        kinds = {(page.values.shape[:2], page.values.dtype, page.bits, page.limits, page.inverted) for page in found}
        if len(kinds) > 1:
            raise ImageError("image.pages=channels: the pages of the TIFF differ in size, bits or type")
        values = np.concatenate([page.values for page in found], 2)
        check_size(*self.size, channels=values.shape[2])
        return replace(first, values=values, maximum=max(page.maximum for page in found),
                       notes=tuple(dict.fromkeys(note for page in found for note in page.notes)))
