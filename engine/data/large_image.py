"""Images too large to be decoded whole: they are read in parts, and reduced a band of rows at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from sightsmith.core.contracts.dataset import Tile
from sightsmith.core.contracts.image import Array, Frame, ImageError
from sightsmith.engine.data.channelwise import channelwise
from sightsmith.engine.data.image_limits import MAX_FRAME_PIXELS
from sightsmith.engine.data.orientation import stored_box, upright, upright_size

ROWS, COLUMNS = 256, 2**16
"""The largest block that is decoded at once; the same for every file, since digests are made of blocks."""
MAX_REDUCED_PIXELS = 2**26
"""Of an image at reduced size."""
_AVERAGED = ("uint8", "uint16", "int16", "float32", "float64")
"""Types that OpenCV averages."""


class LargeImage(ABC):
    """An open file of the format of a subclass, of ``size`` (width, height) as stored: see :class:`.PartReader`."""

    groups: tuple[str, ...] = ()
    modality: str | None = None

    def __init__(self, size: tuple[int, int], orientation: int = 1, frames: int = 1) -> None:
        self.size, self.frames, self.orientation = size, frames, orientation
        self.upright = upright_size(size, orientation)

    @abstractmethod
    def stored(self, index: int, box: Tile) -> Array:
        """(height, width, samples) as stored, of the part ``box`` of the image as it lies in the file."""

    @abstractmethod
    def described(self, index: int, values: Array) -> Frame:
        """The stored ``values`` (height, width, samples) as colours, grey levels or bands."""

    def frame(self, index: int, careful: bool = False) -> Frame:
        width, height = self.upright
        raise ImageError(f"its {width} x {height} pixels are more than {MAX_FRAME_PIXELS:,}, so it is read only in "
                         "parts or at reduced size")

    def part(self, index: int, box: Tile, factor: int = 1) -> Frame:
        place = stored_box(box, self.upright, self.orientation)
        frame = self.reduced(index, place, factor) if factor > 1 else self.described(index, self.stored(index, place))
        return replace(frame, values=upright(frame.values, self.orientation), orientation=self.orientation)

    def reduced(self, index: int, box: Tile, factor: int) -> Frame:
        """The part ``box`` as it lies in the file, a band of rows at a time."""
        left, top, width, height = box
        step = factor * max(1, min(ROWS, MAX_REDUCED_PIXELS // width) // factor)
        pieces = []
        for start in range(top, top + height, step):
            values = self.stored(index, (left, start, width, min(step, top + height - start)))
            frame = self.described(index, values)
            pieces.append(averaged(frame.values, factor))
        return replace(frame, values=np.concatenate(pieces))


def blocks(size: tuple[int, int], rows: int = ROWS, columns: int = COLUMNS) -> Iterator[Tile]:
    """The boxes of all blocks of an image of ``size`` (width, height), in the order of its rows."""
    width, height = size
    return ((left, top, min(columns, width - left), min(rows, height - top))
            for top in range(0, height, rows) for left in range(0, width, columns))


def reduction(size: tuple[int, int], side: int) -> int:
    """The power of two by which an image of ``size`` (width, height) is reduced so that no side is shorter than
    ``side`` pixels, and further if the whole is still too large."""
    factor = 1
    while min(size) >= 2 * factor * side or size[0] * size[1] > MAX_REDUCED_PIXELS * factor**2:
        factor *= 2
    return factor


def averaged(values: Array, factor: int) -> Array:
    """``values`` (H, W, C) with the mean of factor x factor in each place, of the same type; sides are rounded up."""
    if factor == 1:
        return values
    import cv2

    height, width = values.shape[:2]
    down, across = -height % factor, -width % factor
    if down or across:
        values = np.pad(values, ((0, down), (0, across), (0, 0)), mode="edge")
    size = values.shape[1] // factor, values.shape[0] // factor
    exact = values if values.dtype.name in _AVERAGED else values.astype(np.float64)
    reduced = channelwise(np.ascontiguousarray(exact),
                          lambda some: cv2.resize(some, size, interpolation=cv2.INTER_AREA))
    return reduced if reduced.dtype == values.dtype else np.rint(reduced).astype(values.dtype)
