"""CVAT's shapes as objects."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree.ElementTree import Element

from sightsmith.plugin import Object, read_flag, read_integer, read_number
from sightsmith.plugins.formats.shapes import ellipse, from_cut, from_rows, polygon, rectangle

WITHOUT_AREA = ("polyline", "points", "cuboid", "skeleton")
CROWD = re.compile(r"is_?crowd", re.IGNORECASE)


def read_shape(element: Element, label: str, size: tuple[int, int] | None, line: int | None) -> Object:
    """The object of a shape in an image of ``size`` (width, height). Raises ValueError with the reason."""
    item = SHAPES[element.tag](element, label, size)
    return replace(item, line=line, crowd=_is_crowd(element))


def _is_crowd(element: Element) -> bool:
    values = [read_flag(attribute.text) for attribute in element.iterfind("attribute")
              if CROWD.fullmatch(attribute.get("name") or "")]
    return any(values)


def _box(element: Element, label: str, size: tuple[int, int] | None) -> Object:
    left, top, right, bottom = (_number(element, name) for name in ("xtl", "ytl", "xbr", "ybr"))
    return rectangle(label, (left, top, right, bottom), _rotation(element), size=size)


def _polygon(element: Element, label: str, size: tuple[int, int] | None) -> Object:
    text = element.get("points", "")
    pairs = [pair.split(",") for pair in text.split(";") if pair.strip()]
    values = [read_number(value) for pair in pairs for value in pair]
    found = [value for value in values if value is not None]
    if len(found) < len(values) or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"points={text[:40]!r} is not x,y;x,y;...")
    return polygon(label, found)


def _ellipse(element: Element, label: str, size: tuple[int, int] | None) -> Object:
    x, y, across, down = (_number(element, name) for name in ("cx", "cy", "rx", "ry"))
    return ellipse(label, (x, y), (across, down), _rotation(element), size)


def _mask(element: Element, label: str, size: tuple[int, int] | None) -> Object:
    """Run lengths along the rows of the box around the mask."""
    if size is None:
        raise ValueError("its mask cannot be placed: the <image> has no width and height")
    left, top, width, height = (_integer(element, name) for name in ("left", "top", "width", "height"))
    counts = [read_integer(value) for value in element.get("rle", "").split(",")]
    found = [count for count in counts if count is not None]
    if len(found) < len(counts):
        raise ValueError("rle is not a list of whole numbers")
    return from_cut(label, from_rows(found, width, height), left, top, size)


def _no_area(element: Element, label: str, size: tuple[int, int] | None) -> Object:
    raise ValueError(f"it is a {element.tag}, which is neither a box nor a mask")


SHAPES: dict[str, Callable[[Element, str, tuple[int, int] | None], Object]] = {
    "box": _box, "polygon": _polygon, "ellipse": _ellipse, "mask": _mask, **dict.fromkeys(WITHOUT_AREA, _no_area)}


def _rotation(element: Element) -> float:
    return 0.0 if element.get("rotation") is None else _number(element, "rotation")


def _number(element: Element, name: str) -> float:
    value = read_number(element.get(name))
    if value is None:
        raise ValueError(f"{name}={element.get(name, '')[:40]!r} is not a number")
    return value


def _integer(element: Element, name: str) -> int:
    value = read_integer(element.get(name))
    if value is None:
        raise ValueError(f"{name}={element.get(name, '')[:40]!r} is not a whole number")
    return value
