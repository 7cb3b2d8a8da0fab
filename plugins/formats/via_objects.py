"""VIA's shapes as objects."""

from __future__ import annotations

import math
from typing import Any

from sightsmith.plugin import Object, read_number, read_numbers
from sightsmith.plugins.formats.shapes import ellipse, polygon, rectangle


def read_shape(shape: dict[str, Any]) -> Object:
    """An object without a label. Raises ValueError with the reason."""
    kind = shape.get("name")
    if kind == "rect":
        x, y, width, height = _numbers(shape, "x", "y", "width", "height")
        return rectangle("", (x, y, x + width, y + height))
    if kind == "polygon":
        across, down = read_numbers(shape.get("all_points_x")), read_numbers(shape.get("all_points_y"))
        if across is None or down is None or len(across) != len(down):
            raise ValueError("all_points_x and all_points_y are not equally many numbers")
        return polygon("", [value for point in zip(across, down, strict=True) for value in point])
    if kind == "circle":
        x, y, radius = _numbers(shape, "cx", "cy", "r")
        return ellipse("", (x, y), (radius, radius))
    if kind == "ellipse":
        x, y, across_, down_ = _numbers(shape, "cx", "cy", "rx", "ry")
        angle = read_number(shape.get("theta", 0))
        if angle is None:
            raise ValueError(f"theta={str(shape['theta'])[:40]!r} is not a number")
        return ellipse("", (x, y), (across_, down_), math.degrees(angle))
    raise ValueError(f"it is a {str(kind)[:40]!r}, which is neither a box nor a mask")


def _numbers(shape: dict[str, Any], *names: str) -> list[float]:
    """Raises ValueError."""
    found = []
    for name in names:
        value = read_number(shape.get(name))
        if value is None:
            raise ValueError(f"{name}={str(shape.get(name))[:40]!r} is not a number")
        found.append(value)
    return found
