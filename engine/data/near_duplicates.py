"""Images that look alike though their pixels differ: saved again, resized, a little brighter."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import imagehash
import numpy as np
from PIL import Image

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import Array, ImageError
from sightsmith.core.contracts.schema import ImageConfig
from sightsmith.engine.data.thumbnails import load_rgb

DISTANCE = 4
"""Bits of 64 in which the hashes of two images that look alike differ, at the most."""
BLOCK = 1024
"""Images that are compared with all others at a time."""
_BITS = np.array([bin(value).count("1") for value in range(256)], np.uint8)


@dataclass(frozen=True)
class Pair:
    """Two images that look alike, and in how many bits of 64 they differ."""

    first: Sample
    second: Sample
    distance: int

    def to_json(self) -> dict[str, Any]:
        return {"images": [self.first.key, self.second.key], "distance": self.distance}


def near_duplicates(samples: Sequence[Sample], image: ImageConfig) -> list[Pair]:
    """Pairs of ``samples`` whose perceptual hashes differ in few bits, the nearest first. Those that cannot be shown
    are left out."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        found = list(pool.map(lambda sample: _hash(sample, image), samples))
    samples = [sample for sample, value in zip(samples, found, strict=True) if value is not None]
    if not samples:
        return []
    hashes = np.stack([value for value in found if value is not None])
    pairs = []
    for begin in range(0, len(hashes), BLOCK):
        block = hashes[begin:begin + BLOCK]
        distances = _BITS[block[:, None] ^ hashes[None]].sum(-1, dtype=np.uint8)
        for row, column in np.argwhere(distances <= DISTANCE).tolist():
            if begin + row < column:
                pairs.append(Pair(samples[begin + row], samples[column], int(distances[row, column])))
    return sorted(pairs, key=lambda pair: (pair.distance, pair.first.key, pair.second.key))


def _hash(sample: Sample, image: ImageConfig) -> Array | None:
    """(8,) uint8."""
    try:
        picture = load_rgb(sample, image)
    except ImageError:  # the check of the data set says why
        return None
    return np.packbits(imagehash.phash(Image.fromarray(picture)).hash.ravel())
