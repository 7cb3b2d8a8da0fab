"""Writes Hugging Face's image folder: a ``metadata.jsonl`` above the images, or one for each split."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightsmith.plugin import SPLIT_NAMES, DatasetIndex, ImageInfo, Sample, of_crowds
from sightsmith.plugins.formats.writing import IMAGES, copy_images

TABLE = "metadata.jsonl"


def write_hf_image_folder(index: DatasetIndex, infos: Mapping[str, ImageInfo], folder: Path) -> list[str]:
    """A column ``label``, ``labels`` for several of an image, or ``objects``; a split is a folder."""
    for split in dict.fromkeys(sample.split for sample in index.samples):
        part = replace(index, samples=tuple(sample for sample in index.samples if sample.split == split))
        below = "" if split is None else SPLIT_NAMES[split][-1 if split == "validation" else 0]
        samples = copy_images(part, folder / below, IMAGES)
        rows = [{"file_name": sample.name, **_annotation(sample, index)} for sample in samples]
        (folder / below / TABLE).write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows),
                                            encoding="utf-8")
    return of_crowds(index.samples)


def _annotation(sample: Sample, index: DatasetIndex) -> dict[str, Any]:
    if index.annotation == "labels":
        return {"labels": list(sample.labels)} if index.multi_label else {"label": sample.labels[0]}
    kept = [item for item in sample.objects if not item.crowd]
    boxes = [[left, top, right - left, bottom - top] for left, top, right, bottom in (item.box for item in kept)]
    return {"objects": {"bbox": boxes, "categories": [item.label for item in kept]}}
