"""Masks as polygons that fill to the same pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage
from skimage.measure import find_contours

from sightsmith.plugin import Array, Polygons, decode_mask


def outline(mask: Array) -> tuple[float, ...] | None:
    """The one polygon (x0, y0, x1, y1, ...) that fills to just ``mask`` (height, width) bool; None where there is
    none, as of several parts or with holes, or where filling would change a pixel."""
    found = find_contours(np.pad(mask, 1).astype(np.float32), 0.5)
    if len(found) != 1:
        return None
    # Centres of pixels, of the padded mask, (row, column); a polygon is in outer corners.
    ring = _straightened(found[0][:-1, ::-1] - 0.5)
    points = tuple(float(value) for value in ring.ravel())
    if len(points) < 6:
        return None
    same = np.array_equal(decode_mask(Polygons((points,)), *mask.shape), mask)
    return points if same else None


def _straightened(ring: Array) -> Array:
    """Without the points that lie on the line between their neighbours."""
    before, after = ring - np.roll(ring, 1, 0), np.roll(ring, -1, 0) - ring
    turns: Any = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) > 1e-9
    return ring[turns]


def outlines(mask: Array) -> list[tuple[float, ...]]:
    """The outer polygon of each connected part."""
    numbered, count = ndimage.label(mask, structure=np.ones((3, 3)))
    rings = []
    for number in range(1, count + 1):
        part = ndimage.binary_fill_holes(numbered == number)
        found = max(find_contours(np.pad(part, 1).astype(np.float32), 0.5), key=len)
        rings.append(tuple(float(value) for value in _straightened(found[:-1, ::-1] - 0.5).ravel()))
    return rings
