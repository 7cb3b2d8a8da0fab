"""Writes YOLO: ``data.yaml``, images and label files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from sightsmith.plugin import SPLIT_NAMES, Array, DatasetIndex, ImageInfo, Object, Polygons, counted, of_crowds
from sightsmith.plugins.formats.polygons import exact_polygon, outer_polygons
from sightsmith.plugins.formats.writing import IMAGES, copy_images, object_mask, shared_stems


def write_yolo(index: DatasetIndex, infos: Mapping[str, ImageInfo], folder: Path) -> list[str]:
    """Boxes, or polygons: a mask that no single polygon matches exactly gets one per part, without holes."""
    numbers = {name: number for number, name in enumerate(index.classes)}
    lists: dict[str, list[str]] = {}
    changed = 0
    for sample, original in zip(copy_images(index, folder), index.samples, strict=True):
        info = infos[original.name]
        lines = []
        for item in sample.objects:
            if item.crowd:
                continue
            if index.annotation == "masks":
                rings, exact = _rings(item, info)
                changed += not exact
                lines += [_line(numbers[item.label], ring, info) for ring in rings]
            else:
                left, top, right, bottom = item.box
                centre = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
                lines.append(_line(numbers[item.label], centre, info))
        path = folder / _label_file(sample.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
        if sample.split is not None:
            lists.setdefault(SPLIT_NAMES[sample.split][0], []).append(sample.name)
    for key, names in lists.items():
        (folder / f"{key}.txt").write_text("".join(f"{name}\n" for name in names))
    content = {**({key: f"{key}.txt" for key in lists} or {"train": "images", "val": "images"}),
               "names": {number: name for name, number in numbers.items()}}
    (folder / "data.yaml").write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    notes = of_crowds(index.samples)
    if changed:
        notes.append(f"{counted(changed, 'mask')} with several parts, holes or thin lines become the outlines of their "
                     "parts: this format only has polygons")
    return notes + shared_stems(index.samples, "label file")


def _label_file(name: str) -> Path:
    """In ``labels/`` next to the last ``images/`` in the path, where readers look for it."""
    parts = Path(name).parts
    place = max(place for place, part in enumerate(parts[:-1]) if part.lower() == IMAGES)
    return Path(*parts[:place], "labels", *parts[place + 1:]).with_suffix(".txt")


def _rings(item: Object, info: ImageInfo) -> tuple[list[tuple[float, ...]], bool]:
    """The polygons of a mask, and whether they are exact."""
    if isinstance(item.mask, Polygons) and len(item.mask.rings) == 1:
        return list(item.mask.rings), True
    mask: Array = object_mask(item, info)
    ring = exact_polygon(mask)
    return ([ring], True) if ring is not None else (outer_polygons(mask), False)


def _line(number: int, values: tuple[float, ...], info: ImageInfo) -> str:
    sides = (info.width, info.height)
    return " ".join([str(number), *(repr(value / sides[place % 2]) for place, value in enumerate(values))])
