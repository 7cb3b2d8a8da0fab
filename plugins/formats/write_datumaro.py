"""Writes Datumaro's JSON: a file for each split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sightsmith.plugin import SPLIT_NAMES, DatasetIndex, ImageInfo, Object, Polygons, Sample, run_lengths, write_json
from sightsmith.plugins.formats.writing import IMAGES, copy_images

IMAGE = 2
"""Datumaro's number of the kind of media."""


def write_datumaro(index: DatasetIndex, infos: Mapping[str, ImageInfo], folder: Path) -> list[str]:
    """Labels, boxes, and masks as polygons or run lengths; several polygons of an object are a group."""
    numbers = {name: number for number, name in enumerate(index.classes)}
    items: dict[str, list[dict[str, Any]]] = {}
    for sample, original in zip(copy_images(index, folder), index.samples, strict=True):
        info = infos[original.name]
        annotations = [{"id": number, "attributes": {}, "group": 0, "label_id": numbers[label], **content}
                       for number, (label, content) in enumerate(_contents(sample, index, info))]
        path = sample.name.removeprefix(f"{IMAGES}/")
        subset = "default" if sample.split is None else SPLIT_NAMES[sample.split][0]
        items.setdefault(subset, []).append({
            "id": str(Path(path).with_suffix("")), "annotations": annotations, "attr": {},
            "image": {"path": path, "size": [info.height, info.width]}})
    (folder / "annotations").mkdir()
    labels = [{"name": name, "parent": "", "attributes": []} for name in index.classes]
    for subset, found in items.items():
        write_json(folder / "annotations" / f"{subset}.json", {
            "dm_format_version": "1.0", "media_type": IMAGE, "infos": {},
            "categories": {"label": {"labels": labels, "label_groups": [], "attributes": []}}, "items": found})
    return []


def _contents(sample: Sample, index: DatasetIndex, info: ImageInfo) -> Iterator[tuple[str, dict[str, Any]]]:
    """The label and the rest of each annotation."""
    if index.annotation == "labels":
        yield from ((label, {"type": "label"}) for label in sample.labels)
        return
    for number, item in enumerate(sample.objects, 1):
        for content in _shapes(item, index, info, number):
            yield item.label, {"attributes": {"is_crowd": item.crowd}, "z_order": 0, **content}


def _shapes(item: Object, index: DatasetIndex, info: ImageInfo, group: int) -> list[dict[str, Any]]:
    left, top, right, bottom = item.box
    if index.annotation == "boxes" or item.mask is None:
        return [{"type": "bbox", "bbox": [left, top, right - left, bottom - top]}]
    if isinstance(item.mask, Polygons):
        return [{"type": "polygon", "points": list(ring), "group": group if len(item.mask.rings) > 1 else 0}
                for ring in item.mask.rings]
    runs = run_lengths(item.mask, info.height, info.width)
    return [{"type": "mask", "rle": {"counts": runs.counts.decode(), "size": [runs.height, runs.width]}}]
