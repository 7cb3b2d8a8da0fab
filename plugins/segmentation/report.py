"""The report's sections on a segmentation: figures of each class, confusion of pixels, the worst images."""

from __future__ import annotations

from collections.abc import Sequence

from sightsmith.core.dataset import Sample
from sightsmith.core.task import Outcome, Section
from sightsmith.plugins.segmentation.metrics import PER_CLASS, compute, figures, total

SHOWN = 20
COUNTS = ("TP", "FP", "FN", "TN")


def sections(outcomes: Sequence[Outcome], samples: Sequence[Sample], classes: Sequence[str]) -> list[Section]:
    """In the order of the page. ``outcomes`` and ``samples`` are those of the validation part, in step."""
    return [_per_class(outcomes, classes), _confusion(outcomes, classes), _worst(outcomes, samples, classes)]


def _per_class(outcomes: Sequence[Outcome], classes: Sequence[str]) -> Section:
    counts = total(outcomes)
    rows = []
    for number, name in enumerate(("background", *classes)):
        found = figures(counts, number)
        rows.append((name, *(_text(found[key]) for key in PER_CLASS), *(found[key] for key in COUNTS)))
    note = ("<p class='soft'>Pixels of the validation part in the images' own size, best checkpoint. Dice is their "
            "F1. Undefined: no true pixel of the class (Dice, IoU, recall), none predicted (precision).</p>")
    header = ("class", "Dice", "IoU", "precision", "recall", "specificity", "accuracy", *COUNTS)
    return Section("Per class", html=note, header=header, rows=tuple(rows), name="per-class")


def _confusion(outcomes: Sequence[Outcome], classes: Sequence[str]) -> Section:
    counts, names = total(outcomes), ("background", *classes)
    return Section("Confusion of pixels", header=("true", *names), name="confusion-matrix",
                   rows=tuple((name, *map(int, row)) for name, row in zip(names, counts, strict=True)))


def _worst(outcomes: Sequence[Outcome], samples: Sequence[Sample], classes: Sequence[str]) -> Section:
    scored = []
    for outcome, sample in zip(outcomes, samples, strict=True):
        dice = compute([outcome], classes)["dice"]
        if dice is not None:
            scored.append((dice, sample.key))
    rows = tuple((key, _text(dice)) for dice, key in sorted(scored)[:SHOWN])
    return Section("Images of the lowest Dice", header=("image", "Dice"), rows=rows, name="worst")


def _text(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
