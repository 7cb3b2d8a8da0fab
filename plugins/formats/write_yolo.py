"""YOLO's ``data.yaml``, images and texts written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from sightsmith.plugin import Array, DatasetIndex, ImageInfo, Object, Polygons, of_crowds
from sightsmith.plugins.formats.copies import IMAGES, copy_images, mask_of, same_stems
from sightsmith.plugins.formats.polygons import outline, outlines
from sightsmith.plugins.formats.splits import SIDES


def write_yolo(index: DatasetIndex, infos: Mapping[str, ImageInfo], folder: Path) -> list[str]:
    """Boxes, or polygons: a mask that one polygon cannot say has one for each of its parts, without holes."""
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
                rings, same = _rings(item, info)
                changed += not same
                lines += [_line(numbers[item.label], ring, info) for ring in rings]
            else:
                left, top, right, bottom = item.box
                centre = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
                lines.append(_line(numbers[item.label], centre, info))
        text = folder / _text_of(sample.name)
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text("".join(f"{line}\n" for line in lines))
        if sample.split is not None:
            lists.setdefault(SIDES[sample.split][0], []).append(sample.name)
    for key, names in lists.items():
        (folder / f"{key}.txt").write_text("".join(f"{name}\n" for name in names))
    content = {**({key: f"{key}.txt" for key in lists} or {"train": "images", "val": "images"}),
               "names": {number: name for name, number in numbers.items()}}
    (folder / "data.yaml").write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    said = of_crowds(index.samples)
    if changed:
        said.append(f"{changed} masks of several parts, with holes or of thin lines become their parts' outlines, "
                    "which this format has alone")
    return said + same_stems(index.samples, "text")


def _text_of(name: str) -> Path:
    """Beside the last folder ``images`` on the way to the image, where readers look for it."""
    parts = Path(name).parts
    place = max(place for place, part in enumerate(parts[:-1]) if part.lower() == IMAGES)
    return Path(*parts[:place], "labels", *parts[place + 1:]).with_suffix(".txt")


def _rings(item: Object, info: ImageInfo) -> tuple[list[tuple[float, ...]], bool]:
    """The polygons of a mask, and whether they say the same."""
    if isinstance(item.mask, Polygons) and len(item.mask.rings) == 1:
        return list(item.mask.rings), True
    mask: Array = mask_of(item, info)
    ring = outline(mask)
    return ([ring], True) if ring is not None else (outlines(mask), False)


def _line(number: int, values: tuple[float, ...], info: ImageInfo) -> str:
    sides = (info.width, info.height)
    return " ".join([str(number), *(repr(value / sides[place % 2]) for place, value in enumerate(values))])
