"""Statistics of a checked data set, for ``inspect`` and its ``--json``."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sightsmith.core.contracts.annotation import Object
from sightsmith.core.contracts.dataset import Sample

if TYPE_CHECKING:
    from sightsmith.core.contracts.dataset import CheckedDataset
    from sightsmith.core.contracts.image import ImageInfo
    from sightsmith.core.contracts.schema import ImageConfig


FEW = 0.5
"""Classes with fewer training images than this share of the mean are under-represented."""


def under_represented(counts: Mapping[str, int]) -> set[str]:
    """The under-represented classes by their ``counts`` of training images."""
    mean = sum(counts.values()) / max(len(counts), 1)
    return {name for name, count in counts.items() if count < FEW * mean}


def describe(dataset: CheckedDataset, image: ImageConfig) -> dict[str, Any]:
    """Counts by class and split, sizes in pixels, hashes and problems; for objects also their counts and sizes; for
    images of other than three channels the mean and standard deviation of each, in ``image``; for volumes their planes
    and spacing in mm."""
    index, infos = dataset.index, list(dataset.infos.values())
    sides = [min(info.width, info.height) for info in infos], [max(info.width, info.height) for info in infos]
    splits = {"train": dataset.train, "validation": dataset.validation}
    return {
        "root": str(index.root), "format": index.format, "reason": dataset.reason,
        "annotation": index.annotation, "multi_label": index.multi_label,
        "classes": {name: {split: sum(name in sample.labels for sample in samples) for split, samples in splits.items()}
                    for name in index.classes},
        "images": {split: len(samples) for split, samples in splits.items()},
        **_about_objects(splits, index.classes),
        **({} if index.annotation == "labels" else {"negatives": {split: _negatives(samples)
                                                                  for split, samples in splits.items()}}),
        **({"mask_coverage": dict(dataset.coverage)} if dataset.coverage else {}),
        "groups": len({sample.group for sample in index.samples if sample.group is not None}),
        "sizes": {"shortest_side": min(sides[0]), "median_side": statistics.median(sides[0]),
                  "longest_side": max(sides[1])} if infos else {},
        "channels": sorted({info.channels for info in infos}),
        **({"mean": image.mean, "std": image.std} if image.input_channels != 3 and image.mean else {}),
        "bits": sorted({info.bits for info in infos}),
        "modalities": sorted({info.modality for info in infos if info.modality}),
        **_about_volumes(dataset.infos),
        "data_digest": dataset.data_digest, "split_digest": dataset.split_digest,
        "problems": [{"severity": item.severity, "message": item.message, "file": item.file, "line": item.line,
                      "hint": item.hint} for item in dataset.problems],
    }


def in_words(value: Any) -> str:
    """A value of :func:`describe` for people."""
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} "
                         + (" to ".join(map(str, item)) if isinstance(item, list) else in_words(item))
                         for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(in_words, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)


def _about_volumes(infos: Mapping[str, ImageInfo]) -> dict[str, Any]:
    """How the slices of volumes lie, in mm: all together, and for each to map results back."""
    found = {name: info.geometry for name, info in infos.items() if info.geometry is not None}
    if not found:
        return {}
    pixels, slices = zip(*((geometry.spacing[:2], geometry.spacing[2]) for geometry in found.values()), strict=True)
    return {"volumes": {
        "count": len(found), "planes": sorted({geometry.plane for geometry in found.values()}),
        "pixel_spacing": [round(side(map(side, pixels)), 4) for side in (min, max)],
        "slice_spacing": [round(side(slices), 4) for side in (min, max)]},
        "geometry": {name: geometry.to_json() for name, geometry in found.items()}}


def _about_objects(splits: dict[str, tuple[Sample, ...]], classes: Sequence[str]) -> dict[str, Any]:
    found = {split: [_learnt(sample) for sample in samples] for split, samples in splits.items()}
    counts = {split: Counter(item.label for items in images for item in items) for split, images in found.items()}
    per_image = [len(items) for images in found.values() for items in images]
    objects = [item for images in found.values() for items in images for item in items]
    if not objects:
        return {}
    sides = [side for item in objects for side in (item.box[2] - item.box[0], item.box[3] - item.box[1])]
    return {"objects": {
        "classes": {name: {split: counts[split][name] for split in splits} for name in classes},
        "per_image": {"mean": round(statistics.fmean(per_image), 2), "median": statistics.median(per_image),
                      "most": max(per_image)},
        "box_sides": {"smallest": round(min(sides), 2), "median": round(statistics.median(sides), 2)},
        "crowds": sum(item.crowd for samples in splits.values() for sample in samples for item in sample.objects),
    }}


def _learnt(sample: Sample) -> list[Object]:
    return [item for item in sample.objects if not item.crowd]


def _negatives(samples: Sequence[Sample]) -> float:
    """The share of images without labels."""
    return round(sum(not sample.labels for sample in samples) / len(samples), 4) if samples else 0.0
