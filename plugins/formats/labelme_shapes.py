"""LabelMe's shapes as objects."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from sightsmith.plugin import Object, Polygons, Problem, Sample, check_image_size, counted, read_numbers, read_size
from sightsmith.plugins.formats.shapes import from_cut

CORNERS = 64
"""of the polygon that approximates a circle; its area is 0.2 % too small"""

POINTS = {"rectangle": "two corners", "circle": "its centre and a point on its edge", "mask": "two corners"}
CORNERS_OF_BOX = 4
POLYGONS = ("polygon", "oriented_rectangle", "rotation")


def read_shapes(content: dict[str, Any], file: str) -> tuple[tuple[Object, ...], list[Problem]]:
    """The objects of a file, rectangles without a mask, and its problems, which affect boxes and masks."""
    objects, problems = [], []
    for number, shape in enumerate(content.get("shapes") or [], 1):
        label = label_of(shape)
        if label:  # else reported with the labels
            try:
                item = _object(shape, label, image_size(content))
                objects.append(replace(item, source_id=f"shape {number}"))
            except ValueError as error:
                problems.append(Problem(f"shape {number}: {error}", file=file, affects="boxes",
                                        hint="redraw it as a rectangle or a polygon, or remove it"))
    return tuple(objects), problems


def label_of(shape: Any) -> str:
    """The label of a shape; "" if it has none."""
    label = shape.get("label") if isinstance(shape, dict) else None
    return str(label).strip() if isinstance(label, (str, int)) and not isinstance(label, bool) else ""


def image_size(content: dict[str, Any]) -> tuple[int, int] | None:
    return read_size((content.get("imageWidth"), content.get("imageHeight")))


def as_masks(sample: Sample) -> Sample:
    """``sample`` with masks for its rectangles."""
    return replace(sample, objects=tuple(
        replace(item, mask=item.mask or _corners(*item.box)) for item in sample.objects))


def _object(shape: dict[str, Any], label: str, size: tuple[int, int] | None) -> Object:
    """Raises ValueError."""
    kind = shape.get("shape_type") or "polygon"
    points = shape.get("points")
    pairs = [read_numbers(point, 2) for point in points] if isinstance(points, list) else [None]
    found = [pair for pair in pairs if pair is not None]
    if len(found) != len(pairs):
        raise ValueError("points is not a list of [x, y]")
    corners = kind == "rectangle" and len(found) == CORNERS_OF_BOX  # as X-AnyLabeling writes it
    if corners and len({x for x, _ in found}) == len({y for _, y in found}) == 2:
        found = [min(found), max(found)]
    elif kind in POLYGONS or corners:
        if len(found) < 3:
            raise ValueError(f"it is a polygon of {counted(len(found), 'point')}; at least 3 are needed")
        polygon = Polygons((tuple(value for pair in found for value in pair),))
        return Object(label, polygon.extent(), polygon)
    if kind not in POINTS:
        raise ValueError(f"it is a {kind}, which has no area")
    if len(found) != 2:
        raise ValueError(f"it is a {kind} of {len(found)} points; it needs {POINTS[kind]}")
    (x, y), (other_x, other_y) = found
    if kind == "circle":
        return _circle(label, x, y, math.hypot(other_x - x, other_y - y))
    if kind == "mask":
        return _mask(label, x, y, shape.get("mask"), size)
    return Object(label, (min(x, other_x), min(y, other_y), max(x, other_x), max(y, other_y)))


def _corners(left: float, top: float, right: float, bottom: float) -> Polygons:
    return Polygons(((left, top, right, top, right, bottom, left, bottom),))


def _circle(label: str, x: float, y: float, radius: float) -> Object:
    angles = [2 * math.pi * number / CORNERS for number in range(CORNERS)]
    ring = tuple(value for angle in angles for value in (x + radius * math.cos(angle), y + radius * math.sin(angle)))
    return Object(label, (x - radius, y - radius, x + radius, y + radius), Polygons((ring,)))


def _mask(label: str, x: float, y: float, text: Any, size: tuple[int, int] | None) -> Object:
    """A base64 PNG whose top left pixel is at (x, y). Raises ValueError."""
    if size is None:
        raise ValueError("it is a mask, but the file has no imageWidth and imageHeight")
    try:
        check_image_size(*size)
        with Image.open(io.BytesIO(base64.b64decode(str(text), validate=True)), formats=("PNG",)) as png:
            check_image_size(*png.size)
            cut = np.array(png.convert("L")) > 0
        left, top = round(x), round(y)
    except Exception as error:  # decoders raise nearly every built-in exception on broken bytes
        raise ValueError("its mask is not a base64 PNG") from error
    return from_cut(label, cut, left, top, size)
