"""Datumaro's JSON: labels, boxes, polygons, ellipses and masks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sightsmith.plugin import (
    DatasetIndex,
    FormatMatch,
    Problem,
    read_head,
    read_id,
    read_integer,
    read_json,
    read_size,
    relative_name,
    split_of,
    walk_files,
)
from sightsmith.plugins.formats.datumaro_objects import IGNORED, Grouped, grouped, read_shape
from sightsmith.plugins.formats.tool_dataset import Place, ToolDataset

PROBED = 20
"""JSON files that are looked into when the format is detected."""
ANNOTATIONS, IMAGES = "annotations", "images"


class Datumaro:
    """``annotations/SUBSET.json`` and ``images/`` or ``images/SUBSET/``; a subset may be a split.

    Polygons of a label in the same group are one object, and a box in a group with a mask is that of the mask.
    Objects with the attribute ``is_crowd`` are crowds. Annotations that are ``label`` are labels of the image.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        found = [path for path in itertools.islice(_json_files(root), PROBED) if _is_datumaro(path, root)]
        return FormatMatch(0.925, f"annotation of Datumaro in {relative_name(found[0], root)}") if found else None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        data = ToolDataset(root, "datumaro")
        files = [path for path in _json_files(root) if _is_datumaro(path, root)]
        if not files:
            data.problems.append(Problem("no JSON of Datumaro was found",
                                         hint="a file has 'categories' and 'items', and is in annotations/"))
        for path in files:
            content, problem = read_json(path, root)
            data.problems += [problem] if problem else []
            if isinstance(content, dict):
                _read_file(content, path, data)
        return data.index()


def _json_files(root: Path) -> Iterator[Path]:
    return (path for path in walk_files(root) if path.suffix.lower() == ".json")


def _is_datumaro(path: Path, root: Path) -> bool:
    ends = read_head(path, root, end=True)
    return '"categories"' in ends and '"items"' in ends and '"images"' not in ends


def _read_file(content: dict[str, Any], path: Path, data: ToolDataset) -> None:
    place = Place(relative_name(path, data.root))
    categories, items = content.get("categories"), content.get("items")
    of_labels = categories.get("label") if isinstance(categories, dict) else None
    labels = of_labels.get("labels") if isinstance(of_labels, dict) else None
    if not isinstance(labels, list) or not isinstance(items, list):
        data.problems.append(place.problem("has no list 'items', or no list 'labels' in 'categories', 'label'"))
        return
    classes: list[str] = []
    for number, label in enumerate(labels):
        name = label.get("name") if isinstance(label, dict) else None
        if not isinstance(name, str) or not name.strip() or name.strip() in classes:
            data.problems.append(place.problem(f"label {number} has no name of its own: {str(label)[:60]}"))
            name = f"label {number}"
        classes.append(name.strip())
    data.declare(classes)
    base = path.parent.parent if path.parent.name == ANNOTATIONS and path.parent != data.root else path.parent
    for number, item in enumerate(items, 1):
        key = read_id(item.get("id")) if isinstance(item, dict) else None
        here = place.below(f"item {number if key is None else key}")
        if not isinstance(item, dict) or not isinstance(item.get("annotations", []), list):
            data.problems.append(here.problem("is not an item with a list 'annotations'"))
        else:
            _read_item(item, here, base / IMAGES, path.stem, classes, data)


def _read_item(item: dict[str, Any], place: Place, folder: Path, subset: str, classes: list[str],
               data: ToolDataset) -> None:
    labels: list[str] = []
    found: list[Grouped] = []
    image = item.get("image") or item.get("media")
    image = image if isinstance(image, dict) else {}
    sides = image.get("size")
    size = read_size(sides[::-1]) if isinstance(sides, list) else None
    for number, annotation in enumerate(item.get("annotations", []), 1):
        here = place.below(f"annotation {number}")
        kind = annotation.get("type") if isinstance(annotation, dict) else None
        if kind in IGNORED:
            continue
        label = read_integer(annotation.get("label_id")) if isinstance(annotation, dict) else None
        if label is None or not 0 <= label < len(classes):
            known = "" if kind is None else f" of type {str(kind)[:40]!r}"
            data.problems.append(here.problem(f"the annotation{known} has no label_id from 0 to {len(classes) - 1}"))
            continue
        labels.append(classes[label])
        if kind == "label":
            continue
        try:
            found.append(read_shape(annotation, classes[label], here.entry, size))
        except ValueError as error:
            data.problems.append(here.problem(str(error), "correct or remove it", affects="boxes"))
    key = item.get("id")
    text = image.get("path") or (key if isinstance(key, str) else None)
    path = data.find(text, place, [folder / subset, folder], [key] if isinstance(key, str) else [])
    if path is not None:
        data.add(path, place, labels, grouped(found), size, split_of(subset, of_file=True))
