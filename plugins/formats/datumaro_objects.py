"""Datumaro's annotations as objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sightsmith.plugin import (
    ImageError,
    Object,
    Polygons,
    RunLengths,
    check_image_size,
    mask_box,
    mask_from_counts,
    read_flag,
    read_integer,
    read_numbers,
    read_size,
    run_lengths,
)
from sightsmith.plugins.formats.shapes import Size, ellipse, polygon, rectangle, rotation_of

IGNORED = ("caption", "hash_key", "feature_vector")
"""Types of annotation that say nothing about objects or labels."""


@dataclass(frozen=True)
class Grouped:
    """An object, with the number of its group (0: none) and its place in the stack."""

    item: Object
    group: int
    z_order: int


def read_shape(annotation: dict[str, Any], label: str, source_id: str, size: Size | None) -> Grouped:
    """``size`` is that of the image, if it is stated. Raises ValueError with the reason."""
    kind = annotation.get("type")
    if kind == "bbox":
        x, y, width, height = _numbers(annotation, "bbox", 4)
        item = rectangle(label, (x, y, x + width, y + height), rotation_of(annotation), size=size)
    elif kind == "polygon":
        item = polygon(label, _numbers(annotation, "points"))
    elif kind == "ellipse":
        left, top, right, bottom = _numbers(annotation, "points", 4)
        item = ellipse(label, ((left + right) / 2, (top + bottom) / 2), ((right - left) / 2, (bottom - top) / 2),
                       rotation_of(annotation), size)
    elif kind == "mask":
        item = _mask(annotation.get("rle"), label)
    else:
        raise ValueError(f"it is of the type {str(kind)[:40]!r}, which is neither a box nor a mask")
    attributes = annotation.get("attributes")
    is_crowd = attributes.get("is_crowd") if isinstance(attributes, dict) else None
    crowd = read_flag(is_crowd)
    if crowd is None:
        raise ValueError(f"is_crowd={str(is_crowd)[:40]!r} is neither true nor false")
    return Grouped(replace(item, crowd=crowd, source_id=source_id), read_integer(annotation.get("group")) or 0,
                   read_integer(annotation.get("z_order")) or 0)


def grouped(found: Sequence[Grouped]) -> list[Object]:
    """The objects from the bottom of the stack to its top."""
    objects: list[Object] = []
    places: dict[tuple[int, str], int] = {}
    masked = {(one.group, one.item.label) for one in found if one.group and one.item.mask is not None}
    for one in sorted(found, key=lambda one: one.z_order):
        key, mask = (one.group, one.item.label), one.item.mask
        if mask is None and key in masked:
            continue
        if isinstance(mask, Polygons) and one.group:
            if key in places:
                first = objects[places[key]]
                assert isinstance(first.mask, Polygons)
                rings = Polygons((*first.mask.rings, *mask.rings))
                objects[places[key]] = replace(first, box=rings.extent(), mask=rings)
                continue
            places[key] = len(objects)
        objects.append(one.item)
    return objects


def _mask(rle: Any, label: str) -> Object:
    """COCO's run lengths, compressed or not. Raises ValueError."""
    size, counts = (rle.get("size"), rle.get("counts")) if isinstance(rle, dict) else (None, None)
    sides = read_size(size) if isinstance(size, list) else None
    if sides is None or not isinstance(counts, (str, list)):
        raise ValueError("rle has no size [height, width] and counts")
    try:
        check_image_size(sides[1], sides[0])
        mask = mask_from_counts(counts, *sides) if isinstance(counts, list) else \
            run_lengths(RunLengths(*sides, counts.encode("utf-8", "replace")), *sides)
    except ImageError as error:
        raise ValueError(str(error)) from error
    return Object(label, mask_box(mask), mask)


def _numbers(annotation: dict[str, Any], key: str, count: int | None = None) -> tuple[float, ...]:
    """Raises ValueError."""
    values = read_numbers(annotation.get(key), count)
    if values is None:
        what = "numbers" if count is None else f"{count} numbers"
        raise ValueError(f"{key}={str(annotation.get(key))[:60]} is not a list of {what}")
    return values
