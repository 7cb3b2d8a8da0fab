"""EXIF orientations."""

from __future__ import annotations

import numpy as np
from PIL import ImageFile

from sightsmith.core.contracts.dataset import Tile
from sightsmith.core.contracts.image import Array

ORIENTATION = 274
"""The tag of TIFF and EXIF."""
SIDEWAYS = (5, 6, 7, 8)
"""The orientations of images that lie on a side."""


def keep_from_mapping(image: ImageFile.ImageFile) -> int:
    """Let Pillow read a TIFF that lies on its side: the one strip of an uncompressed one it would map into memory with
    the sides of the upright image, which mixes up the pixels. Returns the orientation."""
    orientation: int = image.getexif().get(ORIENTATION, 1)
    if orientation in SIDEWAYS:
        image.filename = ""
    return orientation


def upright(values: Array, orientation: int) -> Array:
    """Undo an EXIF orientation (1 to 8; others count as 1) of (H, W, C)."""
    if orientation in SIDEWAYS:
        values = values.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return np.ascontiguousarray(values)


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """(width, height) of an image of ``size`` (width, height) once it is upright."""
    return (size[1], size[0]) if orientation in SIDEWAYS else size


def stored_box(box: Tile, size: tuple[int, int], orientation: int) -> Tile:
    """Where the part ``box`` of an upright image of ``size`` (width, height) is in the file."""
    left, top, width, height = box
    if orientation in (2, 3, 6, 7):
        left = size[0] - left - width
    if orientation in (3, 4, 7, 8):
        top = size[1] - top - height
    return (top, left, height, width) if orientation in SIDEWAYS else (left, top, width, height)
