"""One COCO annotation as an object: its box, and its polygons or run lengths."""

from __future__ import annotations

from typing import Any

from sightsmith.plugin import (
    Box,
    ImageError,
    Mask,
    MaskError,
    Object,
    Polygons,
    Problem,
    RunLengths,
    check_image_size,
    mask_box,
    mask_from_counts,
    read_flag,
    read_numbers,
    read_size,
    run_lengths,
)
from sightsmith.plugins.formats.shapes import Size, rectangle, rotation_of


def read_object(annotation: dict[str, Any], label: str, source_id: str, size: Size | None,
                ) -> tuple[Object | None, list[Problem]]:
    """None if it has neither a box nor a mask; ``size`` is that of the image, if it is stated. The problems affect
    boxes, or masks only."""
    problems = []
    mask: Mask | None = None
    try:
        mask = _mask(annotation.get("segmentation"))
    except ValueError as error:
        problems.append(Problem(f"the {source_id}: {error}", affects="masks"))
    bbox = annotation.get("bbox")
    values = read_numbers(bbox, 4)
    box: Box | None = None
    if values is not None:
        left, top, width, height = values
        box = left, top, left + width, top + height
        try:
            if mask is None and (angle := rotation_of(annotation)):
                turned = rectangle(label, box, angle, size=size)
                box, mask = turned.box, turned.mask
        except ValueError as error:
            problems.append(Problem(f"the {source_id}: {error}", affects="boxes"))
    elif bbox:
        problems.append(Problem(f"the {source_id}: the bbox {str(bbox)[:60]} is not four numbers [x, y, width, height]",
                                affects="boxes"))
    elif mask is not None:
        box = _bounding_box(mask)
    crowd = read_flag(annotation.get("iscrowd"))
    if crowd is None:
        problems.append(Problem(f"the {source_id}: iscrowd is {str(annotation['iscrowd'])[:40]!r}, not 0 or 1",
                                affects="boxes"))
    if box is None:
        return None, problems
    return Object(label, box, mask, crowd=bool(crowd), source_id=source_id), problems


def _mask(value: Any) -> Mask | None:
    """Raises ValueError."""
    if not value:
        return None
    if isinstance(value, list):
        rings = [read_numbers(ring) for ring in value]
        if any(ring is None for ring in rings):
            raise ValueError("the segmentation is not a list of polygons [x, y, x, y, ...]")
        return Polygons(tuple(ring for ring in rings if ring is not None))
    size, counts = (value.get("size"), value.get("counts")) if isinstance(value, dict) else (None, None)
    sides = read_size(size) if isinstance(size, list) else None
    if sides is None or not isinstance(counts, (str, list)):
        raise ValueError("the segmentation is neither polygons nor run lengths with a size [height, width]")
    height, width = sides
    try:
        check_image_size(width, height)
    except ImageError as error:
        raise ValueError(f"the segmentation's size: {error}") from error
    if isinstance(counts, str):
        return RunLengths(height, width, counts.encode("utf-8", "replace"))
    try:
        return mask_from_counts(counts, height, width)
    except MaskError as error:
        raise ValueError(f"the segmentation: {error}") from error


def _bounding_box(mask: Mask) -> Box:
    if isinstance(mask, Polygons):
        return mask.extent()
    try:
        return mask_box(run_lengths(mask, mask.height, mask.width))
    except MaskError:  # the check reports it
        return 0.0, 0.0, 0.0, 0.0
