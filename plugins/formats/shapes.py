"""Shapes that people draw in annotation tools, as objects. Coordinates are pixels; angles are degrees, clockwise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from sightsmith.plugin import (
    Array,
    Box,
    ImageError,
    Object,
    Polygons,
    Sample,
    check_image_size,
    encode_mask,
    mask_box,
    read_number,
)

Point: TypeAlias = tuple[float, float]
Size: TypeAlias = tuple[int, int]
"""(width, height)"""

CORNERS = 64
"""of the polygon that approximates an ellipse; its area is 0.2 % too small"""


def rotation_of(annotation: Mapping[str, Any]) -> float:
    """The ``rotation`` among its attributes, by which CVAT's exports to other formats turn a box or an ellipse; 0 if
    there is none. Raises ValueError."""
    attributes = annotation.get("attributes")
    value = attributes.get("rotation") if isinstance(attributes, dict) else None
    number = 0.0 if value is None else read_number(value)
    if number is None:
        raise ValueError(f"it is turned by {str(value)[:40]!r}, which is not a number")
    return number


def polygon(label: str, ring: Sequence[float]) -> Object:
    """The object of a polygon (x0, y0, x1, y1, ...). Raises ValueError if it has no area."""
    if len(ring) < 6 or len(ring) % 2:
        raise ValueError(f"it is a polygon of {len(ring) / 2:g} points; at least 3 are needed")
    found = Polygons((tuple(float(value) for value in ring),))
    return Object(label, found.extent(), found)


def rectangle(label: str, box: Box, angle: float = 0, pivot: Point | None = None, size: Size | None = None) -> Object:
    """A box, or the polygon that a box turned by ``angle`` around ``pivot`` (None: its centre) is, cut off at the edges
    of an image of ``size``. Raises ValueError if it has no area, or nothing of it is left."""
    left, top, right, bottom = box
    if right <= left or bottom <= top:  # not for NaN, which the check of objects reports
        raise ValueError(f"it is a box of {right - left:g} x {bottom - top:g}; both sides must be positive")
    if not angle:
        return Object(label, box)
    centre = pivot or ((left + right) / 2, (top + bottom) / 2)
    return polygon(label, _inside(_turned(_corners(*box), angle, centre), size))


def ellipse(label: str, centre: Point, radii: Point, angle: float = 0, size: Size | None = None) -> Object:
    """A polygon, cut off at the edges of an image of ``size``. Raises ValueError unless both radii are positive."""
    if not all(radius > 0 for radius in radii):
        raise ValueError(f"it is an ellipse with the radii {radii[0]:g} and {radii[1]:g}; both must be positive")
    (x, y), (across, down) = centre, radii
    steps = [2 * math.pi * number / CORNERS for number in range(CORNERS)]
    ring = tuple(value for step in steps for value in (x + across * math.cos(step), y + down * math.sin(step)))
    return polygon(label, _inside(_turned(ring, angle, centre), size))


def from_rows(counts: Sequence[int], width: int, height: int) -> Array:
    """(height, width) bool from run lengths along the rows, the first run outside. Raises ValueError."""
    _check_size(width, height)
    if any(count < 0 for count in counts) or sum(counts) != width * height:
        raise ValueError(f"its run lengths do not fill {width} x {height} px")
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(height, width)


def to_rows(mask: Array) -> list[int]:
    """The run lengths of ``mask`` along the rows, the first run outside."""
    values = np.concatenate(([False], mask.ravel(), [not mask.ravel()[-1]]))
    ends = np.flatnonzero(values[1:] != values[:-1])
    return [int(count) for count in np.diff(ends, prepend=0)]


def from_cut(label: str, cut: Array, left: int, top: int, size: Size) -> Object:
    """An object of a mask whose top left pixel is at (left, top) of an image of ``size``. Raises ValueError."""
    _check_size(*size)
    height, width = cut.shape
    if left < 0 or top < 0 or left + width > size[0] or top + height > size[1]:
        raise ValueError(f"its mask extends beyond the image of {size[0]} x {size[1]} px")
    whole = np.zeros(size[::-1], dtype=bool)
    whole[top:top + height, left:left + width] = cut
    mask = encode_mask(whole)
    return Object(label, mask_box(mask), mask)


def with_masks(sample: Sample) -> Sample:
    """``sample`` with masks for its boxes."""
    return replace(sample, objects=tuple(
        replace(item, mask=item.mask or Polygons((_corners(*item.box),))) for item in sample.objects))


def _corners(left: float, top: float, right: float, bottom: float) -> tuple[float, ...]:
    return left, top, right, top, right, bottom, left, bottom


def _turned(ring: Sequence[float], angle: float, centre: Point) -> list[float]:
    if not math.isfinite(angle):
        raise ValueError(f"it is turned by {angle} degrees")
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    found: list[float] = []
    for x, y in zip(ring[0::2], ring[1::2], strict=True):
        across, down = x - centre[0], y - centre[1]
        found += [centre[0] + across * cosine - down * sine, centre[1] + across * sine + down * cosine]
    return found


def _inside(ring: Sequence[float], size: Size | None) -> list[float]:
    """The part of a convex ``ring`` inside the image, whose edges a shape turned by hand cannot follow."""
    points = list(zip(ring[0::2], ring[1::2], strict=True))
    for axis, edge, sign in () if size is None else ((0, 0, 1), (1, 0, 1), (0, size[0], -1), (1, size[1], -1)):
        kept: list[Point] = []
        for before, point in zip([*points[-1:], *points[:-1]], points, strict=True):
            depth, other = sign * (point[axis] - edge), sign * (before[axis] - edge)
            if depth * other < 0:
                share = other / (other - depth)
                kept.append((before[0] + share * (point[0] - before[0]), before[1] + share * (point[1] - before[1])))
            if not depth < 0:
                kept.append(point)
        points = kept
    if len(points) < 3:
        raise ValueError("it lies outside the image")
    return [value for point in points for value in point]


def _check_size(width: int, height: int) -> None:
    """Raises ValueError."""
    try:
        check_image_size(width, height)
    except ImageError as error:
        raise ValueError(f"its mask is too large: {error}") from error
