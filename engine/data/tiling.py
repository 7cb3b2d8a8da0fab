"""Tiling: large images are cut into tiles, each a sample of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sightsmith.core.contracts.annotation import Box
from sightsmith.core.contracts.dataset import CheckedDataset, Sample, Tile
from sightsmith.core.contracts.image import ImageInfo
from sightsmith.core.util.errors import Problem, UserError
from sightsmith.engine.data.image_limits import HOW_TO_CUT, is_large

if TYPE_CHECKING:
    from sightsmith.core.contracts.task import Task


def tile_dataset(dataset: CheckedDataset, side: int | None, task: Task) -> CheckedDataset:
    """``dataset`` with images larger than ``side`` pixels cut into the tiles of ``task``; None: unchanged.

    Raises UserError for image labels, which do not apply to tiles, and for images that the task uses only in tiles.
    """
    if side is None:
        large = [Problem(wrong, file=name) for name, info in dataset.infos.items() if (wrong := untiled(info, task))]
        if large:
            raise UserError("These images are too large without dataset.tile:", problems=large,
                            hint=f"dataset.tile=1024 cuts images into tiles of so many pixels a side; or {HOW_TO_CUT}")
        return dataset
    if dataset.index.annotation == "labels":
        raise UserError(f"dataset.tile={side}: image labels do not apply to tiles",
                        hint="leave dataset.tile out")
    train, validation = (tiled(part, dataset.infos, side, task.tile_overlap(training))
                         for part, training in ((dataset.train, True), (dataset.validation, False)))
    return replace(dataset, train=train, validation=validation)


def untiled(info: ImageInfo, task: Task) -> str:
    """Why an image is too large for ``task`` without tiles; empty if it is not."""
    if not task.pixelwise or not is_large(info.width, info.height, info.channels):
        return ""
    return f"it is {info.width} x {info.height} pixels, and each of them gets a prediction of its own"


def tiled(samples: Sequence[Sample], infos: Mapping[str, ImageInfo], side: int, overlap: float) -> tuple[Sample, ...]:
    """``samples`` with those larger than ``side`` pixels cut into tiles, row by row.

    Tiles overlap by at least ``overlap`` percent of their side; with 0 they share no pixel. A tile has all
    objects that reach into it, unclipped; reading the tile clips them.
    """
    return tuple(tile for sample in samples for tile in _tiles(sample, infos[sample.name], side, overlap / 100))


def _tiles(sample: Sample, info: ImageInfo, side: int, overlap: float) -> Iterator[Sample]:
    if max(info.width, info.height) <= side:
        yield sample
        return
    for top, height in _cut(info.height, side, overlap):
        for left, width in _cut(info.width, side, overlap):
            tile = (left, top, width, height)
            objects = tuple(item for item in sample.objects if _touches(item.box, tile))
            seen = {item.label for item in objects if not item.crowd}
            labels = sample.labels if sample.semantic_mask else tuple(name for name in sample.labels if name in seen)
            yield replace(sample, tile=tile, objects=objects, labels=labels)


def _cut(length: int, side: int, overlap: float) -> list[tuple[int, int]]:
    """``(start, size)`` of evenly spaced pieces that cover ``length``."""
    if length <= side:
        return [(0, length)]
    if overlap == 0:
        count = math.ceil(length / side)
        cuts = [round(number * length / count) for number in range(count + 1)]
        return [(start, end - start) for start, end in zip(cuts, cuts[1:], strict=False)]
    count = 1 + math.ceil((length - side) / (side * (1 - overlap)))
    return [(round(number * (length - side) / (count - 1)), side) for number in range(count)]


def _touches(box: Box, tile: Tile) -> bool:
    left, top, width, height = tile
    return box[0] < left + width and box[2] > left and box[1] < top + height and box[3] > top
