"""Segmentation metrics from pixel counts. What is undefined is None, never 0 or NaN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sightsmith.plugin import IGNORED, Array, RawPrediction, SampleResult

PER_CLASS = ("dice", "iou", "precision", "recall", "specificity", "accuracy")


class SegmentationResult(SampleResult):
    """``counts`` are pixels by true and predicted class, see :func:`count`; ``map`` is the predicted mask of the image
    or tile: (height, width) and compressed bytes."""

    counts: Array
    map: tuple[tuple[int, int], bytes]


class SegmentationPrediction(RawPrediction):
    """``logits`` (K + 1, h, w) float32 in pixels of the image or tile, background first."""

    logits: Array


def count(truth: Array, predicted: Array, classes: int) -> Array:
    """Pixels (K + 1, K + 1) int64 by true class (rows) and predicted class, background first; ignored ones excluded."""
    counted = truth != IGNORED
    pairs = truth[counted].astype(np.int64) * (classes + 1) + predicted[counted]
    return np.bincount(pairs, minlength=(classes + 1) ** 2).reshape(classes + 1, classes + 1)


def total(results: Sequence[SegmentationResult]) -> Array:
    """The summed counts of all results."""
    summed: Array = np.sum([result["counts"] for result in results], axis=0)
    return summed


def class_metrics(counts: Array, number: int) -> dict[str, Any]:
    """TP, FP, FN, TN of class ``number`` (0 is background) in pixels, and the metrics derived from them.

    Dice = F1 = 2 TP / (2 TP + FP + FN); IoU (Jaccard) = TP / (TP + FP + FN).
    """
    tp = int(counts[number, number])
    fp, fn = int(counts[:, number].sum()) - tp, int(counts[number].sum()) - tp
    tn = int(counts.sum()) - tp - fp - fn
    present = tp + fn > 0  # otherwise Dice and IoU are undefined
    return {
        "TP": tp, "FP": fp, "FN": fn, "TN": tn,
        "dice": _ratio(2 * tp, 2 * tp + fp + fn) if present else None,
        "iou": _ratio(tp, tp + fp + fn) if present else None,
        "precision": _ratio(tp, tp + fp), "recall": _ratio(tp, tp + fn),
        "specificity": _ratio(tn, tn + fp), "accuracy": _ratio(tp + tn, int(counts.sum())),
    }


def compute(results: Sequence[SegmentationResult], classes: Sequence[str]) -> dict[str, float | None]:
    """Means over the classes with true pixels, without background, and the metrics of each class.

    ``pixel_accuracy`` includes the background.
    """
    counts = total(results)
    each = {name: class_metrics(counts, number) for number, name in enumerate(classes, 1)}
    result: dict[str, float | None] = {"pixel_accuracy": _ratio(int(np.trace(counts)), int(counts.sum()))}
    for key, mean in (("dice", "dice"), ("iou", "miou"), ("precision", "precision"), ("recall", "recall")):
        defined = [found[key] for found in each.values() if found[key] is not None]
        result[mean] = float(np.mean(defined)) if defined else None
    for key in PER_CLASS:
        result |= {f"{key}/{name}": found[key] for name, found in each.items()}
    return result


def bootstrap_dice(results: Sequence[SegmentationResult]) -> Callable[[Array], float | None]:
    """The mean Dice as a function of how often each result (N,) is resampled; equals :func:`compute` on copies."""
    # For each image and class without background: true pixels, predicted pixels, and true positives.
    true, predicted, hits = np.stack([(result["counts"].sum(1), result["counts"].sum(0), np.diag(result["counts"]))
                                      for result in results], axis=1)[:, :, 1:]

    def dice(weights: Array) -> float | None:
        pixels = weights @ true
        present = pixels > 0
        if not present.any():
            return None
        return float(np.mean(2 * (weights @ hits)[present] / (pixels + weights @ predicted)[present]))

    return dice


def best_constant(results: Sequence[SegmentationResult]) -> tuple[int, list[SegmentationResult]]:
    """``results`` with one class for every pixel, the one with the highest mean Dice, and its number."""
    true = total(results).sum(1)
    # Dice of class c alone is 2 t / (t + all); it grows with t, and the other classes have 0.
    number = 1 + int(true[1:].argmax())
    constant: list[SegmentationResult] = []
    for result in results:
        counts = np.zeros_like(result["counts"])
        counts[:, number] = result["counts"].sum(1)
        constant.append({**result, "counts": counts})
    return number, constant


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
