"""Writes LabelMe: a JSON next to each image."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sightsmith.plugin import Array, DatasetIndex, ImageInfo, Object, Polygons, of_crowds, write_json
from sightsmith.plugins.formats.polygons import exact_polygon
from sightsmith.plugins.formats.writing import copy_images, object_mask, shared_stems

VERSION = "5.5.0"
"""Of LabelMe: the version written into the files."""


def write_labelme(index: DatasetIndex, infos: Mapping[str, ImageInfo], folder: Path) -> list[str]:
    """Labels become flags, boxes rectangles, and masks polygons if these are exact, else PNG."""
    for sample, original in zip(copy_images(index, folder), index.samples, strict=True):
        info = infos[original.name]
        labels = index.annotation == "labels"
        write_json(sample.path.with_suffix(".json"), {
            "version": VERSION,
            "flags": {name: name in sample.labels for name in index.classes} if labels else {},
            "shapes": [] if labels else [_shape(item, index, info) for item in sample.objects if not item.crowd],
            "imagePath": sample.path.name, "imageData": None, "imageHeight": info.height, "imageWidth": info.width})
    return of_crowds(index.samples) + shared_stems(index.samples, "JSON")


def _shape(item: Object, index: DatasetIndex, info: ImageInfo) -> dict[str, Any]:
    shape: dict[str, Any] = {"label": item.label, "group_id": None, "description": "", "flags": {}, "mask": None}
    left, top, right, bottom = item.box
    if index.annotation == "boxes" or item.mask is None:
        return {**shape, "shape_type": "rectangle", "points": [[left, top], [right, bottom]]}
    if isinstance(item.mask, Polygons) and len(item.mask.rings) == 1:
        return {**shape, "shape_type": "polygon", "points": _pairs(item.mask.rings[0])}
    mask = object_mask(item, info)
    ring = exact_polygon(mask)
    if ring is not None:
        return {**shape, "shape_type": "polygon", "points": _pairs(ring)}
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    cut = mask[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    return {**shape, "shape_type": "mask", "mask": _png(cut),
            "points": [[int(columns[0]), int(rows[0])], [int(columns[-1]), int(rows[-1])]]}


def _pairs(ring: tuple[float, ...]) -> list[list[float]]:
    return [list(pair) for pair in zip(ring[0::2], ring[1::2], strict=True)]


def _png(mask: Array) -> str:
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()
