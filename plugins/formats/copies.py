"""Copies of a data set's images, for every format that is written alike."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sightsmith.plugin import Array, DatasetIndex, ImageInfo, Object, Sample, decode_mask

IMAGES = "images"


def copy_images(index: DatasetIndex, folder: Path, below: str = IMAGES) -> list[Sample]:
    """The samples with paths and names of the copies, ``<below>/<name>``. What annotation stays in the names of the
    folders that they lay in does so in the copies, too."""
    copied = []
    for sample in index.samples:
        name = f"{below}/{sample.name}"
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sample.path, path)
        copied.append(replace(sample, path=path, name=name))
    return copied


def mask_of(item: Object, info: ImageInfo) -> Array:
    """(height, width) bool of an object that has a mask."""
    assert item.mask is not None
    return decode_mask(item.mask, info.height, info.width)


def by_class(sample: Sample, info: ImageInfo) -> Mapping[str, Array]:
    """All that the image has of each class, without crowds: (height, width) bool."""
    found: dict[str, Array] = {}
    for item in sample.objects:
        if not item.crowd:
            mask = mask_of(item, info)
            found[item.label] = np.logical_or(found[item.label], mask) if item.label in found else mask
    return found


def same_stems(samples: Sequence[Sample], what: str) -> list[str]:
    """A line on images that would have one file of annotation, a ``what``, together."""
    stems = [Path(sample.name).with_suffix("") for sample in samples]
    twice = len(stems) - len(set(stems))
    return [f"{twice} images share their name without suffix with another, and its {what}"] if twice else []
