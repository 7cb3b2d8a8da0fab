"""Create ML's JSON: boxes by their centres, or the labels of each image."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sightsmith.plugin import (
    DatasetIndex,
    FormatMatch,
    Object,
    Problem,
    counted,
    listed,
    read_head,
    read_json,
    read_number,
    relative_name,
    walk_files,
)
from sightsmith.plugins.formats.tool_dataset import Place, ToolDataset

PROBED = 20
"""JSON files that are looked into when the format is detected."""
IMAGE_KEYS = ("image", "imagefilename", "imageFilename", "filename")
LIST_KEYS = ("annotations", "annotation")
SIDES = ("x", "y", "width", "height")


class CreateMl:
    """A JSON list of images, or one in each folder of a split, and the images.

    An annotation is a label with ``coordinates``, the centre, width and height of a box in pixels, or a label alone.
    If no coordinate of the data set is more than 1, they are fractions of the image's width and height.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        found = [path for path in itertools.islice(_json_files(root), PROBED) if _is_createml(path, root)]
        return FormatMatch(0.885, f"annotation of Create ML in {relative_name(found[0], root)}") if found else None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        data = ToolDataset(root, "createml")
        files = [path for path in _json_files(root) if _is_createml(path, root)]
        if not files:
            data.problems.append(Problem("no JSON of Create ML was found",
                                         hint='a file is a list of {"image": ..., "annotations": [...]}'))
        objects: list[Object] = []
        without_box: list[str] = []
        for path in files:
            content, problem = read_json(path, root)
            data.problems += [problem] if problem else []
            place = Place(relative_name(path, root))
            for number, entry in enumerate(content if isinstance(content, list) else [], 1):
                objects += _read_entry(entry, path.parent, place.below(f"entry {number}"), data, without_box)
        if objects and without_box:
            data.problems.append(Problem(f"{counted(len(without_box), 'annotation has', 'annotations have')} no "
                                         f"coordinates: {listed(without_box)}",
                                         affects="boxes"))
        relative = bool(objects) and all(abs(side) <= 1 for item in objects for side in item.box)
        if relative:
            data.problems.append(Problem("no coordinate is more than 1, so coordinates are read as fractions of the "
                                         "image's width and height", severity="warning", affects="boxes"))
        return data.index(relative=relative)


def _json_files(root: Path) -> Iterator[Path]:
    return (path for path in walk_files(root) if path.suffix.lower() == ".json")


def _is_createml(path: Path, root: Path) -> bool:
    head = read_head(path, root)
    return head.lstrip().startswith("[") and '"data"' not in head and any(f'"{key}"' in head for key in IMAGE_KEYS) \
        and re.search(r'"annotations?"\s*:\s*\[\s*("|\]|\{\s*"(label|coordinates)")', head) is not None


def _read_entry(entry: Any, folder: Path, place: Place, data: ToolDataset, without_box: list[str]) -> list[Object]:
    """Add the image; returns its objects."""
    found = next((entry[key] for key in LIST_KEYS if key in entry), None) if isinstance(entry, dict) else None
    if not isinstance(found, list):
        data.problems.append(place.problem("has no list 'annotations'"))
        return []
    labels: list[str] = []
    objects: list[Object] = []
    for number, annotation in enumerate(found, 1):
        here = place.below(f"annotation {number}")
        label = annotation.get("label") if isinstance(annotation, dict) else annotation
        if not isinstance(label, str) or not label.strip():
            data.problems.append(here.problem("has no label"))
            continue
        labels.append(label.strip())
        if not isinstance(annotation, dict) or "coordinates" not in annotation:
            without_box.append(str(here))
            continue
        try:
            objects.append(Object(label.strip(), _box(annotation["coordinates"]), source_id=here.entry))
        except ValueError as error:
            data.problems.append(here.problem(str(error), affects="boxes"))
    image = data.find(next((entry[key] for key in IMAGE_KEYS if key in entry), None), place, [folder])
    if image is None:
        return []
    data.add(image, place, labels, objects)
    return objects


def _box(coordinates: Any) -> tuple[float, float, float, float]:
    """Raises ValueError."""
    sides = [read_number(coordinates.get(side)) if isinstance(coordinates, dict) else None for side in SIDES]
    x, y, width, height = sides
    if x is None or y is None or width is None or height is None:
        raise ValueError(f"the coordinates {str(coordinates)[:60]} lack numbers in {', '.join(SIDES)}")
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2
