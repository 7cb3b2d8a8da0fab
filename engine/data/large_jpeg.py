"""JPEG files too large to be decoded whole into memory."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from sightsmith.core.contracts.dataset import Tile
from sightsmith.core.contracts.image import Array, Frame, ImageError
from sightsmith.engine.data.grey_levels import largest
from sightsmith.engine.data.image_limits import HOW_TO_CUT, check_large, count_scans
from sightsmith.engine.data.large_image import LargeImage, averaged
from sightsmith.engine.data.orientation import ORIENTATION
from sightsmith.engine.data.unpacked import unpacked

MAX_PIXELS = 2**30
"""OpenCV's limit."""
SCALES = (8, 4)
"""How much smaller libjpeg can decode a whole image, within the memory that it may take."""


class LargeJpeg(LargeImage):
    """The file ``path``. Parts are read from its unpacked pixels; at a fourth or less the file itself is decoded."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with JpegImageFile(path) as image:
            super().__init__(image.size, image.getexif().get(ORIENTATION, 1))
            self._grey = image.mode == "L"
            progressive = image.info.get("progressive")
        width, height = self.size
        check_large(width, height)
        if progressive or width * height > MAX_PIXELS:
            kind = "a progressive JPEG" if progressive else f"a JPEG of more than {MAX_PIXELS:,} pixels"
            raise ImageError(f"{kind} cannot be read in parts, and its {width} x {height} pixels are too many at once: "
                             f"{HOW_TO_CUT}")

    def stored(self, index: int, box: Tile) -> Array:
        import cv2

        width, height = self.size
        values = unpacked(self._path, (height, width, *([] if self._grey else [3])), "uint8", self._unpack)
        left, top, width, height = box
        part = values[top:top + height, left:left + width]
        return np.array(part)[..., None] if self._grey else cv2.cvtColor(part, cv2.COLOR_BGR2RGB)

    def described(self, index: int, values: Array) -> Frame:
        return Frame(values, largest(values), 8, (0, 255))

    def reduced(self, index: int, box: Tile, factor: int) -> Frame:
        left, top, width, height = box
        most = 2 * width * height > self.size[0] * self.size[1]  # for less, decoding all of the file would take longer
        scale = next((scale for scale in SCALES if scale <= factor and most), 1)
        if scale == 1:
            return super().reduced(index, box, factor)
        with JpegImageFile(self._path) as image:
            image.draft(None, (self.size[0] // scale, self.size[1] // scale))
            area = left // scale, top // scale, -(-(left + width) // scale), -(-(top + height) // scale)
            values = np.array(image.crop(area).convert("L" if self._grey else "RGB"))
        return self.described(index, averaged(values.reshape(*values.shape[:2], -1), factor // scale))

    def _unpack(self, values: Array) -> None:
        import cv2

        with self._path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda"):  # the ends of the image and of its header
                raise ImageError("the JPEG is cut off")
            if count_scans(content, 1) > 1:  # of which a decoder keeps all coefficients
                raise ImageError(f"a JPEG of several scans cannot be read in parts: {HOW_TO_CUT}")
        flags = (cv2.IMREAD_GRAYSCALE if self._grey else cv2.IMREAD_COLOR) | cv2.IMREAD_IGNORE_ORIENTATION
        found = cv2.imread(str(self._path), values, flags)
        if found is None or not np.shares_memory(found, values):
            raise ImageError("the JPEG is damaged")
