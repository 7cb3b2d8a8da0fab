"""Near-duplicates: images that look the same though their pixels differ (re-encoded, resized, slightly brighter)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import imagehash
import numpy as np
from PIL import Image

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import Array, ImageError
from sightsmith.core.contracts.schema import ImageConfig
from sightsmith.engine.data.thumbnails import load_rgb

MAX_DISTANCE = 4
"""The largest Hamming distance between the 64-bit hashes of two near-duplicates."""
_EQUAL = 2
_SEGMENTS = MAX_DISTANCE + _EQUAL
"""Hashes that differ in at most MAX_DISTANCE bits are equal in at least _EQUAL of so many segments."""
_SEGMENT_MASKS = [sum(1 << bit for bit in range(first, 64, _SEGMENTS)) for first in range(_SEGMENTS)]
"""Interleaved, because neighbouring bits of a perceptual hash are correlated."""
_KEY_MASKS = np.array([sum(masks) for masks in combinations(_SEGMENT_MASKS, _EQUAL)], np.uint64)
_BITS = np.array([value.bit_count() for value in range(256)], np.uint8)


@dataclass(frozen=True)
class Pair:
    """Two near-duplicates and the number of bits, of 64, in which their hashes differ."""

    first: Sample
    second: Sample
    distance: int

    def to_json(self) -> dict[str, Any]:
        return {"images": [self.first.key, self.second.key], "distance": self.distance}


def near_duplicates(samples: Sequence[Sample], image: ImageConfig) -> list[Pair]:
    """Pairs of ``samples`` whose perceptual hashes differ in at most ``MAX_DISTANCE`` bits, the closest first.

    Images that cannot be read are left out.
    """
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        found = list(pool.map(lambda sample: _hash(sample, image), samples))
    samples = [sample for sample, value in zip(samples, found, strict=True) if value is not None]
    hashes = np.array([value for value in found if value is not None], np.uint64)
    pairs = [Pair(samples[first], samples[second], distance)
             for first, second, distance in close_pairs(hashes).tolist()]
    return sorted(pairs, key=lambda pair: (pair.distance, pair.first.key, pair.second.key))


def close_pairs(hashes: Array) -> Array:
    """(M, 3) int64: first < second, and distance, of all pairs of ``hashes`` (N,) uint64 within ``MAX_DISTANCE`` bits.

    Multi-index hashing (Norouzi, Punjani, Fleet 2012): for every choice of segments, only hashes that are equal in
    them are compared. A pair is kept for the first choice that brings it together, hence once.
    """
    found = [np.empty((0, 3), np.int64)]
    for number, mask in enumerate(_KEY_MASKS):
        keys = hashes & mask
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        places, step = np.arange(len(keys)), 0
        while places.size:
            step += 1
            places = places[places + step < len(keys)]
            places = places[keys[places] == keys[places + step]]
            first, second = order[places], order[places + step]  # ascending, because the sort is stable
            difference = hashes[first] ^ hashes[second]
            distance = _BITS[difference[:, None].view(np.uint8)].sum(1, dtype=np.int64)
            kept = distance <= MAX_DISTANCE
            for earlier in _KEY_MASKS[:number]:
                kept &= (difference & earlier) != 0
            found.append(np.stack([first, second, distance], 1)[kept])
    return np.concatenate(found)


def _hash(sample: Sample, image: ImageConfig) -> int | None:
    """64 bits."""
    try:
        picture = load_rgb(sample, image)
    except ImageError:  # the check of the data set says why
        return None
    return int(str(imagehash.phash(Image.fromarray(picture))), 16)
