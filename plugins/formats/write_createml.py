"""Writes Create ML's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sightsmith.plugin import DatasetIndex, ImageInfo, Object, of_crowds, write_json
from sightsmith.plugins.formats.tool_writing import of_splits
from sightsmith.plugins.formats.writing import copy_images


def write_createml(index: DatasetIndex, infos: Mapping[str, ImageInfo], folder: Path) -> list[str]:
    """Boxes by their centres, or the labels of each image."""
    samples = copy_images(index, folder)
    labels = index.annotation == "labels"
    write_json(folder / "annotations.json", [
        {"filename": sample.name, "annotations": list(sample.labels)} if labels else
        {"image": sample.name, "annotations": [_annotation(item) for item in sample.objects if not item.crowd]}
        for sample in samples])
    return of_crowds(index.samples) + of_splits(index.samples)


def _annotation(item: Object) -> dict[str, Any]:
    left, top, right, bottom = item.box
    return {"label": item.label, "coordinates": {"x": (left + right) / 2, "y": (top + bottom) / 2,
                                                 "width": right - left, "height": bottom - top}}
