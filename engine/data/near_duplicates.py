"""Near-duplicates: images that look the same though their pixels differ (re-encoded, resized, slightly brighter)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
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
SIDE = 32
"""Images are compared at so many pixels a side."""
_EQUAL = 2
_SEGMENTS = MAX_DISTANCE + _EQUAL
"""Hashes that differ in at most MAX_DISTANCE bits are equal in at least _EQUAL of so many segments."""
_SEGMENT_MASKS = [sum(1 << bit for bit in range(first, 64, _SEGMENTS)) for first in range(_SEGMENTS)]
"""Interleaved, because neighbouring bits of a perceptual hash are correlated."""
_KEY_MASKS = np.array([sum(masks) for masks in combinations(_SEGMENT_MASKS, _EQUAL)], np.uint64)
_BITS = np.array([value.bit_count() for value in range(256)], np.uint8)


@dataclass(frozen=True)
class Pair:
    """Two near-duplicates.

    ``distance`` is the number of bits, of 64, in which their hashes differ; ``correlation`` that of their grey values
    (Pearson's r, at SIDE x SIDE pixels), which tells copies from images of few details that merely look alike.
    """

    first: Sample
    second: Sample
    distance: int
    correlation: float

    def to_json(self) -> dict[str, Any]:
        return {"images": [self.first.key, self.second.key], "distance": self.distance,
                "correlation": round(self.correlation, 4)}


def near_duplicates(samples: Sequence[Sample], image: ImageConfig) -> list[Pair]:
    """Pairs of ``samples`` whose perceptual hashes differ in at most ``MAX_DISTANCE`` bits, the closest first.

    Images that cannot be read are left out, and so are empty slices, which are all alike, and neighbours in a file
    whose frames stay together. Images that look exactly the same are paired with the first of them only: of a thousand
    black ones there would be half a million pairs.
    """
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        found = list(pool.map(lambda sample: _seen(sample, image), samples))
    samples = [sample for sample, seen in zip(samples, found, strict=True) if seen is not None]
    seen = [item for item in found if item is not None]
    pairs = [Pair(samples[first], samples[second], distance, _correlation(seen[first][1], seen[second][1]))
             for first, second, distance in _close(seen) if not _neighbours(samples[first], samples[second])]
    return sorted(pairs, key=lambda pair: (pair.distance, pair.first.key, pair.second.key))


def _close(seen: Sequence[tuple[int, Array]]) -> Iterator[tuple[int, int, int]]:
    """Like :func:`close_pairs`, with one pair for each image that looks exactly like an earlier one."""
    originals: dict[tuple[int, bytes], int] = {}
    for place, (value, grey) in enumerate(seen):
        original = originals.setdefault((value, grey.tobytes()), place)
        if original != place:
            yield original, place, 0
    places = list(originals.values())
    for first, second, distance in close_pairs(np.array([seen[place][0] for place in places], np.uint64)).tolist():
        yield places[first], places[second], distance


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


def _seen(sample: Sample, image: ImageConfig) -> tuple[int, Array] | None:
    """The hash, of 64 bits, and (SIDE, SIDE) grey values."""
    try:
        picture = Image.fromarray(load_rgb(sample, image))
    except ImageError:  # the check of the data set says why
        return None
    grey = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    if sample.frame is not None and not np.ptp(np.asarray(grey)):
        return None
    return int(str(imagehash.phash(picture)), 16), np.asarray(grey)


def _neighbours(first: Sample, second: Sample) -> bool:
    return first.frame is not None and first.name == second.name and first.group is not None


def _correlation(first: Array, second: Array) -> float:
    """Pearson's r; 1 of two images of which one is of a single grey, since they differ in nothing that can be seen."""
    if not first.std() or not second.std():
        return 1.0
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])
