"""Writes Label Studio's JSON: one task for each image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sightsmith.plugin import DatasetIndex, ImageInfo, Object, Sample, of_crowds, write_json
from sightsmith.plugins.formats.label_studio_brush import encode_brush
from sightsmith.plugins.formats.tool_writing import of_splits, pairs, single_ring
from sightsmith.plugins.formats.writing import copy_images, object_mask

PERCENT = 100


def write_label_studio(index: DatasetIndex, infos: Mapping[str, ImageInfo], folder: Path) -> list[str]:
    """Labels become choices, boxes rectangles, and masks polygons or brushes. Images are paths of a local storage whose
    root is ``folder``."""
    tasks = []
    for number, (sample, original) in enumerate(zip(copy_images(index, folder), index.samples, strict=True), 1):
        results = _choices(sample) if index.annotation == "labels" else [
            _region(item, f"{number}-{place}", index, infos[original.name])
            for place, item in enumerate(sample.objects, 1) if not item.crowd]
        tasks.append({"id": number, "data": {"image": f"/data/local-files/?d={quote(sample.name)}"},
                      "annotations": [{"id": number, "was_cancelled": False, "result": results}]})
    write_json(folder / "annotations.json", tasks)
    return of_crowds(index.samples) + of_splits(index.samples)


def _choices(sample: Sample) -> list[dict[str, Any]]:
    return [{"id": "choice", "type": "choices", "from_name": "choice", "to_name": "image",
             "value": {"choices": list(sample.labels)}}] if sample.labels else []


def _region(item: Object, name: str, index: DatasetIndex, info: ImageInfo) -> dict[str, Any]:
    across, down = PERCENT / info.width, PERCENT / info.height
    left, top, right, bottom = item.box
    ring = single_ring(item)
    kind: str
    value: dict[str, Any]
    if index.annotation == "boxes" or item.mask is None:
        kind, value = "rectanglelabels", {"x": left * across, "y": top * down, "width": (right - left) * across,
                                          "height": (bottom - top) * down, "rotation": 0}
    elif ring is not None:
        kind, value = "polygonlabels", {"points": [[x * across, y * down] for x, y in pairs(ring)], "closed": True}
    else:
        kind, value = "brushlabels", {"format": "rle", "rle": encode_brush(object_mask(item, info))}
    return {"id": name, "type": kind, "from_name": "label", "to_name": "image", "original_width": info.width,
            "original_height": info.height, "image_rotation": 0, "value": {**value, kind: [item.label]}}
