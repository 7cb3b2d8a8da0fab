"""Writes ``label.csv``: see :mod:`sightsmith.plugins.formats.label_csv`."""

from __future__ import annotations

import base64
import csv
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from sightsmith.plugin import Array, DatasetIndex, ImageInfo, Sample, of_crowds
from sightsmith.plugins.formats.writing import class_masks, copy_images


def write_label_csv(index: DatasetIndex, infos: Mapping[str, ImageInfo], folder: Path) -> list[str]:
    """The masks of a class are merged: the format has one per image and class."""
    rows: list[tuple[object, ...]] = []
    for sample, original in zip(copy_images(index, folder), index.samples, strict=True):
        found = list(_rows(sample, index, infos[original.name]))
        rows += [(sample.name, *row) for row in found] or [(sample.name,)]
    with (folder / "label.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)
    notes = of_crowds(index.samples)
    if index.annotation == "masks" and any(not item.region for sample in index.samples for item in sample.objects):
        notes.append("the objects of a class are merged into one mask per image: this format does not separate objects")
    return notes


def _rows(sample: Sample, index: DatasetIndex, info: ImageInfo) -> Iterator[tuple[object, ...]]:
    if index.annotation == "masks":
        for label, mask in class_masks(sample, info).items():
            yield label, info.width, info.height, _packed(mask)
    elif index.annotation == "boxes":
        for item in sample.objects:
            if not item.crowd:
                left, top, right, bottom = item.box
                yield item.label, left, top, right - left, bottom - top
    elif index.multi_label:
        for label in index.classes:
            yield label, int(label in sample.labels)
    else:
        yield from ((label,) for label in sample.labels)


def _packed(mask: Array) -> str:
    return base64.b64encode(zlib.compress(np.packbits(mask.ravel()).tobytes(), 9)).decode()
