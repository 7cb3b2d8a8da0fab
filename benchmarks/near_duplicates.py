"""How long the search for near-duplicates takes among so many hashes: multi-index hashing against every pair.

    python benchmarks/near_duplicates.py [--sizes 1000 10000 50000] [--rounds 3]

Half of the hashes are random, the other half lie up to six bits from one of these. Both searches must find the same;
above 20,000 hashes only every tenth block is compared with all others, and its time multiplied.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sightsmith.engine.data.near_duplicates import MAX_DISTANCE, close_pairs

Array = np.ndarray[Any, Any]
BLOCK = 1024
WHOLE = 20_000
"""Hashes up to which every pair is compared."""
BITS = np.array([value.bit_count() for value in range(256)], np.uint8)


def compare_all(hashes: Array, every: int = 1) -> Array:
    """As :func:`close_pairs`, by comparing a block of hashes with all others at a time; ``every`` so manyth block."""
    pieces, found = hashes[:, None].view(np.uint8), [np.empty((0, 3), np.int64)]
    for begin in range(0, len(hashes), every * BLOCK):
        distances = BITS[pieces[begin:begin + BLOCK, None] ^ pieces[None]].sum(-1, dtype=np.uint8)
        first, second = np.nonzero(distances <= MAX_DISTANCE)
        pairs = np.stack([begin + first, second, distances[first, second]], 1)
        found.append(pairs[pairs[:, 0] < pairs[:, 1]])
    return np.concatenate(found)


def clustered(count: int, seed: int = 0) -> Array:
    """(count,) uint64: random hashes, then as many that differ from one of them in up to six bits."""
    random = np.random.default_rng(seed)
    centres = random.integers(0, 2**64, (count + 1) // 2, np.uint64)
    near = centres[random.integers(0, len(centres), count - len(centres))]
    for _ in range(6):
        near ^= random.integers(0, 2, near.size, np.uint64) << random.integers(0, 64, near.size, np.uint64)
    return np.concatenate([centres, near])


def seconds(search: Callable[[Array], Array], hashes: Array) -> tuple[float, set[tuple[int, ...]]]:
    begun = time.perf_counter()
    found = search(hashes)
    return time.perf_counter() - begun, set(map(tuple, found.tolist()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 50_000])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print("| hashes | pairs found | every pair, s | multi-index, s | ratio |\n|---|---|---|---|---|")
    for size in arguments.sizes:
        every = 1 if size <= WHOLE else 10
        blocks = math.ceil(size / BLOCK)
        plain, indexed = [], []
        for seed in range(arguments.rounds):
            hashes = clustered(size, seed)
            old, expected = seconds(partial(compare_all, every=every), hashes)
            new, found = seconds(close_pairs, hashes)
            assert expected == {pair for pair in found if pair[0] // BLOCK % every == 0}
            plain.append(old * blocks / math.ceil(blocks / every))
            indexed.append(new)
        old, new = statistics.median(plain), statistics.median(indexed)
        print(f"| {size:,} | {len(found):,} | {old:.3g} | {new:.3g} | **{old / new:,.3g}** |", flush=True)


if __name__ == "__main__":
    main()
