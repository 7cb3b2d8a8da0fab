"""Figures of a segmentation from the counts of pixels. What is undefined is None, never 0 or NaN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sightsmith.plugin import IGNORED, Array, RawPrediction, SampleResult

PER_CLASS = ("dice", "iou", "precision", "recall", "specificity", "accuracy")


class SegmentationResult(SampleResult):
    """``counts`` are pixels by true and predicted class, see :func:`count`; ``map`` is the predicted class of each
    pixel of the image or tile: height, width, and packed bytes."""

    counts: Array
    map: tuple[tuple[int, int], bytes]


class SegmentationPrediction(RawPrediction):
    """``logits`` (K + 1, h, w) float32 in pixels of the image or tile, background first."""

    logits: Array


def count(truth: Array, predicted: Array, classes: int) -> Array:
    """Pixels (K + 1, K + 1) int64 by true class (rows) and predicted class, background first; ignored ones left out."""
    counted = truth != IGNORED
    pairs = truth[counted].astype(np.int64) * (classes + 1) + predicted[counted]
    return np.bincount(pairs, minlength=(classes + 1) ** 2).reshape(classes + 1, classes + 1)


def total(results: Sequence[SegmentationResult]) -> Array:
    """The counts of all results together."""
    summed: Array = np.sum([result["counts"] for result in results], axis=0)
    return summed


def figures(counts: Array, number: int) -> dict[str, Any]:
    """TP, FP, FN, TN in pixels of class ``number`` (0 is background), and the figures made of them.

    Dice = F1 = 2 TP / (2 TP + FP + FN); IoU (Jaccard) = TP / (TP + FP + FN).
    """
    hits = int(counts[number, number])
    false, missed = int(counts[:, number].sum()) - hits, int(counts[number].sum()) - hits
    rest = int(counts.sum()) - hits - false - missed
    there = hits + missed > 0  # without any true pixel, nothing can be said of how well the class is found
    return {
        "TP": hits, "FP": false, "FN": missed, "TN": rest,
        "dice": _ratio(2 * hits, 2 * hits + false + missed) if there else None,
        "iou": _ratio(hits, hits + false + missed) if there else None,
        "precision": _ratio(hits, hits + false), "recall": _ratio(hits, hits + missed),
        "specificity": _ratio(rest, rest + false), "accuracy": _ratio(hits + rest, int(counts.sum())),
    }


def compute(results: Sequence[SegmentationResult], classes: Sequence[str]) -> dict[str, float | None]:
    """Means over the classes, without background, of which there are true pixels; and each class's figures.

    ``pixel_accuracy`` counts the background too.
    """
    counts = total(results)
    each = {name: figures(counts, number) for number, name in enumerate(classes, 1)}
    result: dict[str, float | None] = {"pixel_accuracy": _ratio(int(np.trace(counts)), int(counts.sum()))}
    for key, mean in (("dice", "dice"), ("iou", "miou"), ("precision", "precision"), ("recall", "recall")):
        defined = [found[key] for found in each.values() if found[key] is not None]
        result[mean] = float(np.mean(defined)) if defined else None
    for key in PER_CLASS:
        result |= {f"{key}/{name}": found[key] for name, found in each.items()}
    return result


def dice_of_draws(results: Sequence[SegmentationResult]) -> Callable[[Array], float | None]:
    """The mean Dice of results drawn so often (N,): as :func:`compute` has it of copies."""
    # Of each image and class without background: pixels that are of it, said to be of it, and both.
    true, said, hits = np.stack([(result["counts"].sum(1), result["counts"].sum(0), np.diag(result["counts"]))
                                 for result in results], axis=1)[:, :, 1:]

    def dice(drawn: Array) -> float | None:
        pixels = drawn @ true
        there = pixels > 0
        return float(np.mean(2 * (drawn @ hits)[there] / (pixels + drawn @ said)[there])) if there.any() else None

    return dice


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
