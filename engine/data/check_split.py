"""The check of the split into training and validation: what a score on it will be worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from sightsmith.core.contracts.dataset import CheckedDataset, Sample
from sightsmith.core.util.errors import Problem, listed
from sightsmith.core.util.text import counted
from sightsmith.engine.data.near_duplicates import Pair

FEWEST_CASES, FEWEST_OF_CLASS = 10, 5
"""Cases of validation, and images of a class in it, below which a score says little."""
COPIED = 0.99
"""The correlation of grey values from which near-duplicates count as copies. Images saved again as JPEG, resized or
brightened have 0.99 to 1; of 73 pairs of handwritten digits of different people with nearly equal hashes, one has."""


def about_split(train: Sequence[Sample], validation: Sequence[Sample]) -> list[Problem]:
    """Problems of a split, which are errors where nothing can be learnt or measured."""
    problems = [Problem(f"the split leaves no image for {name}",
                        hint="change dataset.validation_percentage, add images, or regroup with dataset.group_by")
                for name, part in (("training", train), ("validation", validation)) if not part]
    seen = {label for sample in train for label in sample.labels}
    counts = Counter(label for sample in validation for label in set(sample.labels))
    for label in sorted(counts.keys() - seen):
        problems.append(Problem(f"the class {label!r} has images in validation only, so the model cannot learn it",
                                hint="move some of its images to training, or regroup with dataset.group_by"))
    cases = len({sample.case for sample in validation})
    few = [f"{label} ({counts[label]})" for label in sorted(seen) if counts[label] < FEWEST_OF_CLASS]
    if 0 < cases < FEWEST_CASES or validation and few:
        what = f"only {counted(cases, 'case')}" if cases < FEWEST_CASES else \
            f"fewer than {FEWEST_OF_CLASS} images of {counted(len(few), 'class', 'classes')}: {listed(few)}"
        problems.append(Problem(f"validation has {what}, so the score on it is uncertain", severity="warning",
                                hint="cross-validation, dataset.folds, measures on all images in turn"))
    return problems


def across(dataset: CheckedDataset, pairs: Iterable[Pair]) -> list[Problem]:
    """A warning about near-duplicates of which one is in training and the other in validation."""
    held_out = {sample.key for sample in dataset.validation}
    crossing = [f"{pair.first.key} and {pair.second.key}" for pair in pairs
                if pair.correlation >= COPIED and (pair.first.key in held_out) != (pair.second.key in held_out)]
    if not crossing:
        return []
    return [Problem(f"{counted(len(crossing), 'pair of near-duplicates is', 'pairs of near-duplicates are')} divided "
                    f"between training and validation, which inflates the score: {listed(crossing)}",
                    severity="warning", hint="if they show the same case, name what they share with dataset.group_by")]
