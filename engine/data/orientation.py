"""EXIF orientations."""

from __future__ import annotations

import numpy as np
from PIL import ImageFile

from sightsmith.core.contracts.image import Array

ORIENTATION = 274
"""The tag of TIFF and EXIF."""


def keep_from_mapping(image: ImageFile.ImageFile) -> None:
    """Let Pillow read a TIFF that lies on its side: the one strip of an uncompressed one it would map into memory with
    the sides of the upright image, which mixes up the pixels."""
    if image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8):
        image.filename = ""


def upright(values: Array, orientation: int) -> Array:
    """Undo an EXIF orientation (1 to 8; others count as 1) of (H, W, C)."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return np.ascontiguousarray(values)
