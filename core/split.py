"""The split into training and validation: stratified, groups kept together, the same for the same seed."""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Sequence

from sightsmith.core.dataset import Sample

NEGATIVE = ""
"""Stands for the class of an image without any label, which is balanced like the others."""


def split(samples: Sequence[Sample], percentage: float, seed: int) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """``(training, validation)`` in the order of ``samples``, with ``percentage`` of them in validation.

    Where samples bring a split of their own, it is kept. Otherwise by iterative stratification
    (Sechidis, Tsoumakas, Vlahavas: On the Stratification of Multi-Label Data, 2011) over groups
    instead of images: the class with the fewest images left is dealt out first, each of its groups to
    the side that still wants most of it. A class of two groups or more has one on each side unless
    the groups of several classes make that impossible.
    """
    if any(sample.split for sample in samples):
        validation = {sample.key for sample in samples if sample.split == "validation"}
    else:
        validation = _stratified(samples, percentage / 100, seed)
    return (tuple(sample for sample in samples if sample.key not in validation),
            tuple(sample for sample in samples if sample.key in validation))


def _stratified(samples: Sequence[Sample], share: float, seed: int) -> set[str]:
    units: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda item: item.key):
        units[sample.case].append(sample)
    names = list(units)
    random.Random(seed).shuffle(names)
    labels = {name: Counter(label for sample in units[name] for label in sample.labels or (NEGATIVE,))
              for name in names}
    of_class: dict[str, list[str]] = defaultdict(list)
    left: Counter[str] = Counter()
    for name in names:
        left.update(labels[name])
        for label in labels[name]:
            of_class[label].append(name)
    # What validation still wants of each class: at least one image of a class that can spare one.
    wanted = {label: max(share * count, 1.0) if len(of_class[label]) > 1 else share * count
              for label, count in left.items()}
    wanted_images = share * len(samples)
    kept = Counter({label: len(of_class[label]) for label in of_class})
    side: dict[str, bool] = {}

    def deal(name: str, goes: bool) -> None:
        nonlocal wanted_images
        side[name] = goes
        if goes:
            wanted_images -= len(units[name])
            for label, number in labels[name].items():
                wanted[label] -= number
                kept[label] -= 1

    queue = [(count, label) for label, count in left.items()]
    heapq.heapify(queue)
    while queue:
        count, label = heapq.heappop(queue)
        if count != left[label]:  # an earlier class took some of its images along
            if left[label]:
                heapq.heappush(queue, (left[label], label))
            continue
        # Large groups first: small ones then even out what is left.
        dealt = sorted((name for name in of_class[label] if name not in side), key=lambda name: -labels[name][label])
        for name in dealt:
            wants = wanted[label] >= labels[name][label] / 2 and (wanted_images > 0 or wanted[label] >= 1)
            deal(name, wants and kept[label] > 1)
            left.subtract(labels[name])
        if dealt and len(of_class[label]) > 1 and not any(side[name] for name in of_class[label]):
            smallest = dealt[-1]
            if all(kept[other] > 1 for other in labels[smallest]):
                deal(smallest, True)
    return {sample.key for name, goes in side.items() if goes for sample in units[name]}
