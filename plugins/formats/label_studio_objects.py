"""The regions and choices of a task of Label Studio."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

from sightsmith.plugin import Object, Problem, encode_mask, mask_box, read_flag, read_number, read_size
from sightsmith.plugins.formats.label_studio_brush import decode_brush
from sightsmith.plugins.formats.shapes import Size, ellipse, polygon, rectangle
from sightsmith.plugins.formats.tool_dataset import Place

GEOMETRY = ("x", "points", "rle", "vertices")
"""A value with one of these is a region."""
PERCENT = 100


@dataclass
class Annotated:
    """What one annotator said of an image."""

    labels: list[str] = field(default_factory=list)
    objects: list[Object] = field(default_factory=list)
    size: Size | None = None
    problems: list[Problem] = field(default_factory=list)


def read_results(results: Any, place: Place) -> Annotated:
    """The entries of a ``result``: coordinates are percent of the image's width and height."""
    found = Annotated()
    if not isinstance(results, list) or not all(isinstance(entry, dict) for entry in results):
        found.problems.append(place.problem("'result' is not a list of JSON objects"))
        return found
    entries = [entry for entry in results if isinstance(entry.get("value"), dict)]  # others relate two regions
    regions = {str(entry["id"]) for entry in entries if is_region(entry["value"]) and entry.get("id") is not None}
    labels: dict[str, list[str]] = defaultdict(list)
    for entry in entries:  # <Labels> beside <Rectangle>: two entries of one id
        if not is_region(entry["value"]) or not _names(entry):
            labels[str(entry.get("id"))] += _names({"type": "labels", **entry}, "labels")
    for number, entry in enumerate(entries, 1):
        value, source = entry["value"], f"region {entry.get('id', number)}"
        if is_region(value) and str(entry.get("type")) != "choices":
            names = _names(entry) or labels[str(entry.get("id"))]
            _read_region(entry, list(dict.fromkeys(names)), source, place, found)
        elif str(entry.get("id")) not in regions and not is_region(value):
            found.labels += _names(entry, "choices")
    return found


def is_region(value: dict[str, Any]) -> bool:
    return any(key in value for key in GEOMETRY)


def _names(entry: dict[str, Any], key: str | None = None) -> list[str]:
    """The classes of an entry, in the list that is called after its type."""
    value = entry["value"]
    found = value.get(key or str(entry.get("type")))
    if found is None and key is None:
        found = next((names for name, names in value.items() if name.endswith("labels")), None)
    return [name.strip() for name in found if isinstance(name, str) and name.strip()] if isinstance(found, list) else []


def _read_region(entry: dict[str, Any], names: list[str], source: str, place: Place, found: Annotated) -> None:
    here = place.below(source)
    if not names:
        found.problems.append(here.problem("has no label", "label the region in Label Studio"))
        return
    found.labels += names
    size = read_size((entry.get("original_width"), entry.get("original_height")))
    found.size = found.size or size
    try:
        item = _object(entry, size)
    except ValueError as error:
        hint = "correct it in Label Studio and export again, or remove it"
        found.problems.append(here.problem(str(error), hint, affects="boxes"))
        return
    found.objects += [replace(item, label=name, source_id=f"{place.entry}, {source}") for name in names]


def _object(entry: dict[str, Any], size: Size | None) -> Object:
    """Raises ValueError."""
    value, kind = entry["value"], str(entry.get("type", "region"))
    if size is None:
        raise ValueError("has no original_width and original_height, in whose percent its coordinates are")
    if read_number(entry.get("image_rotation") or 0) != 0:
        raise ValueError(f"was drawn on the image turned by {entry['image_rotation']} degrees, which is not read")
    across, down = size[0] / PERCENT, size[1] / PERCENT
    if "rle" in value:
        mask = encode_mask(decode_brush(value["rle"], *size))
        return Object("", mask_box(mask), mask)
    if "points" in value:
        if read_flag(value.get("closed", True)) is False:
            raise ValueError("is a polygon that is not closed")
        return polygon("", _ring(value["points"], across, down))
    if "radiusX" in value:
        x, y, wide, high, angle = _numbers(value, "x", "y", "radiusX", "radiusY", "rotation")
        return ellipse("", (x * across, y * down), (wide * across, high * down), angle, size)
    if "height" not in value:
        raise ValueError(f"is of the type {kind}, which is neither a box nor a mask")
    x, y, width, height, angle = _numbers(value, "x", "y", "width", "height", "rotation")
    corner = (x * across, y * down)
    box = (*corner, (x + width) * across, (y + height) * down)
    return rectangle("", box, angle, corner, size)


def _numbers(value: dict[str, Any], *names: str) -> list[float]:
    """A missing rotation is 0. Raises ValueError."""
    found = []
    for name in names:
        number = read_number(value.get(name, 0 if name == "rotation" else None))
        if number is None:
            raise ValueError(f"{name}={str(value.get(name))[:40]!r} is not a number")
        found.append(number)
    return found


def _ring(points: Any, across: float, down: float) -> list[float]:
    """Raises ValueError."""
    found: list[float] = []
    for point in points if isinstance(points, list) else [None]:
        values = [read_number(value) for value in point] if isinstance(point, list) else []
        if len(values) != 2 or values[0] is None or values[1] is None:
            raise ValueError("points is not a list of [x, y]")
        found += [values[0] * across, values[1] * down]
    return found
