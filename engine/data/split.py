"""The split into training and validation: stratified, groups kept together, the same for the same seed."""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from sightsmith.core.contracts.dataset import Sample

NEGATIVE = ""
"""The class of images without any label, which is balanced like the others."""


def split(samples: Sequence[Sample], percentage: float, seed: int) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """``(training, validation)`` in the order of ``samples``, with ``percentage`` of them in validation.

    A split that the samples already have is kept. Otherwise they are split by iterative stratification
    (Sechidis, Tsoumakas, Vlahavas: On the Stratification of Multi-Label Data, 2011) over groups instead
    of images: the class with the fewest images left is distributed first, each of its groups to the
    split that needs most of it. A class of two or more groups has at least one in each split unless
    groups of several classes make that impossible.
    """
    if any(sample.split for sample in samples):
        validation = {sample.key for sample in samples if sample.split == "validation"}
    else:
        validation = _stratified(samples, percentage / 100, seed)
    return (tuple(sample for sample in samples if sample.key not in validation),
            tuple(sample for sample in samples if sample.key in validation))


def folds(samples: Sequence[Sample], count: int, seed: int) -> list[tuple[Sample, ...]]:
    """``samples`` split into ``count`` stratified folds that keep groups together, each in the order of ``samples``.

    Like :func:`split` with more parts: a group goes to the fold that needs most of the class. An empty fold needs the
    most of everything, so none stays empty if there are at least ``count`` cases. A split that the samples already
    have is ignored.
    """
    units, labels = _units(samples, seed)
    needed = [{label: number / count for label, number in _total(labels).items()} for _ in range(count)]
    needed_images = [len(samples) / count] * count
    parts: list[set[str]] = [set() for _ in range(count)]
    for label, names in _rarest_first(labels):
        for name in names:
            part = max(range(count), key=lambda part: (needed[part][label], needed_images[part]))
            parts[part].update(sample.key for sample in units[name])
            needed_images[part] -= len(units[name])
            for other, number in labels[name].items():
                needed[part][other] -= number
    return [tuple(sample for sample in samples if sample.key in part) for part in parts]


def _units(samples: Sequence[Sample], seed: int) -> tuple[dict[str, list[Sample]], dict[str, Counter[str]]]:
    """The samples of each case, and their number by class; cases are in an order that depends on ``seed``."""
    units: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda item: item.key):
        units[sample.case].append(sample)
    names = list(units)
    random.Random(seed).shuffle(names)
    return units, {name: Counter(label for sample in units[name] for label in sample.labels or (NEGATIVE,))
                   for name in names}


def _total(labels: Mapping[str, Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for counts in labels.values():
        total.update(counts)
    return total


def _rarest_first(labels: Mapping[str, Counter[str]]) -> Iterator[tuple[str, list[str]]]:
    """Each class, the one with the fewest images left first, and its cases that no earlier class included.

    Large cases come first, because small ones can even out the rest.
    """
    of_class: dict[str, list[str]] = defaultdict(list)
    for name, counts in labels.items():
        for label in counts:
            of_class[label].append(name)
    left, assigned = _total(labels), set()
    queue = [(count, label) for label, count in left.items()]
    heapq.heapify(queue)
    while queue:
        count, label = heapq.heappop(queue)
        if count != left[label]:  # an earlier class included some of its images
            if left[label]:
                heapq.heappush(queue, (left[label], label))
            continue
        names = sorted((name for name in of_class[label] if name not in assigned),
                       key=lambda name: -labels[name][label])
        yield label, names
        for name in names:
            assigned.add(name)
            left.subtract(labels[name])


def _stratified(samples: Sequence[Sample], share: float, seed: int) -> set[str]:
    units, labels = _units(samples, seed)
    kept = Counter(label for counts in labels.values() for label in counts)
    shared = {label for label, number in kept.items() if number > 1}
    # Images of each class that validation still needs: at least one of a class that can spare one.
    needed = {label: max(share * count, 1.0) if label in shared else share * count
              for label, count in _total(labels).items()}
    needed_images = share * len(samples)
    chosen: set[str] = set()
    served: set[str] = set()

    def choose(name: str) -> None:
        nonlocal needed_images
        chosen.update(sample.key for sample in units[name])
        served.update(labels[name])
        needed_images -= len(units[name])
        for label, number in labels[name].items():
            needed[label] -= number
            kept[label] -= 1

    for label, names in _rarest_first(labels):
        for name in names:
            fits = needed[label] >= labels[name][label] / 2 and (needed_images > 0 or needed[label] >= 1)
            if fits and kept[label] > 1:
                choose(name)
        if names and label in shared and label not in served:
            smallest = names[-1]
            if all(kept[other] > 1 for other in labels[smallest]):
                choose(smallest)
    return chosen
