"""Writes COCO JSON."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from sightsmith.plugin import (
    SPLIT_NAMES,
    DatasetIndex,
    ImageInfo,
    Object,
    Polygons,
    Sample,
    mask_area,
    run_lengths,
    write_json,
)
from sightsmith.plugins.formats.writing import copy_images


def write_coco(index: DatasetIndex, infos: Mapping[str, ImageInfo], folder: Path) -> list[str]:
    """One JSON, or one per split if the data set has its own."""
    categories = [{"id": number, "name": name} for number, name in enumerate(index.classes, 1)]
    numbers = {name: number for number, name in enumerate(index.classes, 1)}
    pairs = list(zip(copy_images(index, folder), index.samples, strict=True))
    (folder / "annotations").mkdir()
    for split in dict.fromkeys(sample.split for sample, _ in pairs):
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        ids = count(1)
        for number, (sample, original) in enumerate((pair for pair in pairs if pair[0].split == split), 1):
            info = infos[original.name]
            images.append({"id": number, "file_name": sample.name, "width": info.width, "height": info.height})
            annotations += [{"id": next(ids), "image_id": number, "category_id": numbers[label], **content}
                            for label, content in _contents(sample, index, info)]
        name = "instances" if split is None else f"instances_{SPLIT_NAMES[split][0]}"
        write_json(folder / "annotations" / f"{name}.json",
                   {"images": images, "annotations": annotations, "categories": categories})
    return []


def _contents(sample: Sample, index: DatasetIndex, info: ImageInfo) -> list[tuple[str, dict[str, Any]]]:
    if index.annotation == "labels":
        return [(label, {}) for label in sample.labels]
    return [(item.label, _content(item, index, info)) for item in sample.objects]


def _content(item: Object, index: DatasetIndex, info: ImageInfo) -> dict[str, Any]:
    left, top, right, bottom = item.box
    content: dict[str, Any] = {"bbox": [left, top, right - left, bottom - top], "iscrowd": int(item.crowd),
                               "area": (right - left) * (bottom - top)}
    if index.annotation == "masks" and item.mask is not None:
        runs = run_lengths(item.mask, info.height, info.width)
        content["area"] = mask_area([runs])
        content["segmentation"] = [list(ring) for ring in item.mask.rings] if isinstance(item.mask, Polygons) else \
            {"size": [runs.height, runs.width], "counts": runs.counts.decode()}
    return content
