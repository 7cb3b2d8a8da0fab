"""Masks as polygons."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage
from skimage.measure import find_contours

from sightsmith.plugin import Array, Polygons, decode_mask


def exact_polygon(mask: Array) -> tuple[float, ...] | None:
    """The single polygon (x0, y0, x1, y1, ...) that rasterises to exactly ``mask`` (height, width) bool; None if
    there is none: the mask has several parts or holes, or a pixel would change."""
    found = find_contours(np.pad(mask, 1).astype(np.float32), 0.5)
    if len(found) != 1:
        return None
    # find_contours counts (row, column) from pixel centres of the padded mask, polygons from pixel corners.
    ring = _without_collinear(found[0][:-1, ::-1] - 0.5)
    points = tuple(float(value) for value in ring.ravel())
    if len(points) < 6:
        return None
    same = np.array_equal(decode_mask(Polygons((points,)), *mask.shape), mask)
    return points if same else None


def _without_collinear(ring: Array) -> Array:
    """``ring`` without the points on the line between their neighbours."""
    before, after = ring - np.roll(ring, 1, 0), np.roll(ring, -1, 0) - ring
    turns: Any = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) > 1e-9
    return ring[turns]


def outer_polygons(mask: Array) -> list[tuple[float, ...]]:
    """The outer polygon of each connected part of ``mask`` (height, width) bool."""
    numbered, count = ndimage.label(mask, structure=np.ones((3, 3)))
    rings = []
    for number in range(1, count + 1):
        part = ndimage.binary_fill_holes(numbered == number)
        found = max(find_contours(np.pad(part, 1).astype(np.float32), 0.5), key=len)
        rings.append(tuple(float(value) for value in _without_collinear(found[:-1, ::-1] - 0.5).ravel()))
    return rings
