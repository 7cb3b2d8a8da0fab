"""Writes a project of the VGG Image Annotator 2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sightsmith.plugin import DatasetIndex, ImageInfo, Object, counted, of_crowds, write_json
from sightsmith.plugins.formats.polygons import exact_polygon, outer_polygons
from sightsmith.plugins.formats.tool_writing import of_splits, single_ring
from sightsmith.plugins.formats.writing import copy_images, object_mask

CLASS = "class"


def write_via(index: DatasetIndex, infos: Mapping[str, ImageInfo], folder: Path) -> list[str]:
    """The attribute ``class``: of files for labels, of rectangles for boxes, of polygons for masks.

    A mask that no single polygon matches exactly becomes the outlines of its parts.
    """
    metadata: dict[str, Any] = {}
    changed = 0
    for sample, original in zip(copy_images(index, folder), index.samples, strict=True):
        regions: list[dict[str, Any]] = []
        for item in sample.objects if index.annotation != "labels" else ():
            if not item.crowd:
                shapes, exact = _shapes(item, index, infos[original.name])
                changed += not exact
                regions += [{"shape_attributes": shape, "region_attributes": {CLASS: item.label}} for shape in shapes]
        labels = dict.fromkeys(sample.labels, True) if index.annotation == "labels" else {}
        size = sample.path.stat().st_size
        metadata[f"{sample.name}{size}"] = {"filename": sample.name, "size": size, "regions": regions,
                                            "file_attributes": {CLASS: labels} if labels else {}}
    attribute = {"type": "checkbox" if index.annotation == "labels" else "dropdown", "description": "",
                 "options": {name: name for name in index.classes}, "default_options": {}}
    write_json(folder / "via_project.json", {
        "_via_settings": {"core": {"buffer_size": 18, "filepath": {}, "default_filepath": ""},
                          "project": {"name": "via_project"}},
        "_via_img_metadata": metadata,
        "_via_attributes": {"region": {}, "file": {}} | {"file" if index.annotation == "labels" else "region":
                                                         {CLASS: attribute}},
        "_via_data_format_version": "2.0.10", "_via_image_id_list": list(metadata)})
    notes = of_crowds(index.samples) + of_splits(index.samples)
    if changed:
        notes.append(f"{counted(changed, 'mask')} with several parts, holes or thin lines become the outlines of their "
                     "parts: this format only has polygons")
    return notes


def _shapes(item: Object, index: DatasetIndex, info: ImageInfo) -> tuple[list[dict[str, Any]], bool]:
    """The shapes of an object, and whether they are exact."""
    left, top, right, bottom = item.box
    if index.annotation == "boxes" or item.mask is None:
        return [{"name": "rect", "x": left, "y": top, "width": right - left, "height": bottom - top}], True
    ring = single_ring(item) or exact_polygon(object_mask(item, info))
    rings = [ring] if ring is not None else outer_polygons(object_mask(item, info))
    return [{"name": "polygon", "all_points_x": list(found[0::2]), "all_points_y": list(found[1::2])}
            for found in rings], ring is not None
