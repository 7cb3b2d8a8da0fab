"""EXIF orientations."""

from __future__ import annotations

import numpy as np

from sightsmith.core.contracts.image import Array


def upright(values: Array, orientation: int) -> Array:
    """Undo an EXIF orientation (1 to 8; others count as 1) of (H, W, C)."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return np.ascontiguousarray(values)
