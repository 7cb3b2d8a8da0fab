"""What the writers of annotation tools' formats share: masks as polygons or arrays, and notes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sightsmith.plugin import Object, Polygons, Sample, listed, split_of


def single_ring(item: Object) -> tuple[float, ...] | None:
    """The polygon (x0, y0, x1, y1, ...) that the mask of an object is as it stands, if it is one."""
    return item.mask.rings[0] if isinstance(item.mask, Polygons) and len(item.mask.rings) == 1 else None


def pairs(ring: tuple[float, ...]) -> list[tuple[float, float]]:
    return list(zip(ring[0::2], ring[1::2], strict=True))


def of_splits(samples: Iterable[Sample]) -> list[str]:
    """The note of a format without splits on those that the folders of the images do not say."""
    lost = [sample.name for sample in samples
            if sample.split is not None and sample.split not in map(split_of, Path(sample.name).parts[:-1])]
    return [f"the split is left out because this format has none: {listed(lost)}"] if lost else []
