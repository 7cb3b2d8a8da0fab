"""Metrics of a classifier. What is undefined is None, never 0 or NaN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sightsmith.plugin import RawPrediction, SampleResult

Array = np.ndarray[Any, np.dtype[Any]]


class ClassificationResult(SampleResult):
    """``logits`` (K,) float32; ``label`` is the class number, or, for multi-label, (K,) int8 zeros and ones."""

    logits: Array
    label: Any


class ClassificationPrediction(RawPrediction):
    """``scores`` (K,) float are the class probabilities; independent of each other for multi-label."""

    scores: Array


def scores_and_truth(results: Sequence[ClassificationResult], multi_label: bool) -> tuple[Array, Array]:
    """Probabilities (N, K) float64, and the ground truth as zeros and ones (N, K)."""
    scores = probabilities(np.stack([result["logits"] for result in results]), multi_label)
    if multi_label:
        return scores, np.stack([result["label"] for result in results]).astype(int)
    truth = np.zeros(scores.shape, int)
    truth[np.arange(len(truth)), [result["label"] for result in results]] = 1
    return scores, truth


def probabilities(logits: Array, multi_label: bool) -> Array:
    """Softmax over the last axis, or sigmoid for multi-label, as float64."""
    from scipy.special import expit, softmax  # slow to import, and not needed for training steps

    found: Array = expit(logits.astype(np.float64)) if multi_label else softmax(logits.astype(np.float64), axis=-1)
    return found


def logits(probabilities: Array, multi_label: bool) -> Array:
    """Finite logits (N, K) float32 that have these :func:`probabilities` (N, K)."""
    limits = np.finfo(np.float64)
    inner = probabilities.astype(np.float64).clip(limits.tiny, 1 - limits.epsneg)
    found: Array = np.log(inner) - np.log1p(-inner) if multi_label else np.log(inner)
    return found.astype(np.float32)


def predictions(scores: Array, multi_label: bool) -> Array:
    """Zeros and ones (N, K): the largest score, or for multi-label every score of at least 0.5."""
    if multi_label:
        return (scores >= 0.5).astype(int)
    predicted = np.zeros(scores.shape, int)
    predicted[np.arange(len(scores)), scores.argmax(1)] = 1
    return predicted


def compute(results: Sequence[ClassificationResult], classes: Sequence[str], multi_label: bool,
            ) -> dict[str, float | None]:
    """Loss, accuracy, macro F1 and ROC AUC, and precision, recall, F1 and AUC per class.

    For multi-label, ``accuracy`` counts exact matches of label sets. Means over classes skip those without
    positives, whose recall and AUC are undefined. AUC is one-vs-rest.
    """
    from sklearn.metrics import roc_auc_score  # imported here so that training starts sooner

    scores, truth = scores_and_truth(results, multi_label)
    predicted = predictions(scores, multi_label)
    loss = float(np.mean([result["loss"] for result in results]))
    finite = bool(np.isfinite(scores).all())  # a diverged network has no ranking
    values: dict[str, float | None] = {
        "loss": loss if np.isfinite(loss) else None,
        "accuracy": float((predicted == truth).all(1).mean()),
    }
    each: dict[str, list[float | None]] = {"precision": [], "recall": [], "f1": [], "auc": []}
    for number in range(len(classes)):
        actual, positive = truth[:, number], predicted[:, number]
        hits, positives, predicted_positives = int(actual @ positive), int(actual.sum()), int(positive.sum())
        each["precision"].append(hits / predicted_positives if predicted_positives else None)
        each["recall"].append(hits / positives if positives else None)
        each["f1"].append(2 * hits / (positives + predicted_positives) if positives else None)
        both = finite and 0 < positives < len(actual)
        each["auc"].append(float(roc_auc_score(actual, scores[:, number])) if both else None)
    for name, per_class in (("macro_f1", each["f1"]), ("macro_recall", each["recall"]), ("macro_auc", each["auc"])):
        defined = [value for value in per_class if value is not None]
        values[name] = float(np.mean(defined)) if defined else None
    for name, per_class in each.items():
        values |= {f"{name}/{label}": value for label, value in zip(classes, per_class, strict=True)}
    return values


BINS = 10


@dataclass(frozen=True)
class Bin:
    """Probabilities from ``low`` on: their number, their mean, and the share that is correct."""

    low: float
    count: int
    confidence: float
    correct: float


@dataclass(frozen=True)
class Calibration:
    """The bins that are not empty, and the expected calibration error; None if a probability is not finite."""

    bins: tuple[Bin, ...]
    error: float | None


def calibration(scores: Array, truth: Array, multi_label: bool) -> Calibration:
    """Calibration of the largest probability of each image, or for multi-label of all; both arguments are (N, K).

    The expected calibration error is the mean, over the cases, of the distance between a bin's mean probability and
    its accuracy: Guo et al. 2017, equation 3.
    """
    if not np.isfinite(scores).all():
        return Calibration((), None)
    if multi_label:
        confidence, correct = scores.ravel(), truth.ravel()
    else:
        confidence, correct = scores.max(1), truth[np.arange(len(truth)), scores.argmax(1)]
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = tuple(Bin(number / BINS, int((place == number).sum()), float(confidence[place == number].mean()),
                     float(correct[place == number].mean())) for number in np.unique(place).tolist())
    error = sum(part.count * abs(part.confidence - part.correct) for part in bins) / len(confidence)
    return Calibration(bins, float(error))


def suspected_label_errors(scores: Array, truth: Array) -> list[tuple[int, int]]:
    """Index and suggested class of single-label images (N, K) whose label may be wrong, the least likely label first.

    Confident learning (Northcutt, Jiang, Chuang 2021): an image counts for a class if the class's probability is at
    least the mean over that class's own images; among several such classes, for the most probable.
    """
    if not np.isfinite(scores).all():
        return []
    own = truth.astype(bool)
    thresholds = np.array([scores[own[:, number], number].mean() if own[:, number].any() else np.inf
                           for number in range(scores.shape[1])])
    counts = np.where(scores >= thresholds, scores, -1.0)
    suggested = counts.argmax(1)
    labels = own.argmax(1)
    every = np.arange(len(scores))
    margins = scores[every, labels] - scores[every, suggested]
    places = np.flatnonzero((counts.max(1) >= 0) & (margins < 0))
    margin = margins[places]
    return [(int(place), int(suggested[place])) for place in places[np.argsort(margin, kind="stable")]]


def bootstrap_score(results: Sequence[ClassificationResult], multi_label: bool) -> Callable[[Array], float | None]:
    """Accuracy, or macro F1 for multi-label, as a function of how often each result (N,) is resampled."""
    scores, truth = scores_and_truth(results, multi_label)
    predicted = predictions(scores, multi_label)
    correct = (predicted == truth).all(1)

    def accuracy(weights: Array) -> float:
        return float(weights @ correct / weights.sum())

    def macro_f1(weights: Array) -> float | None:
        hits, positives, predicted_positives = weights @ (predicted & truth), weights @ truth, weights @ predicted
        present = positives > 0
        return float(np.mean(2 * hits[present] / (positives + predicted_positives)[present])) if present.any() else None

    return macro_f1 if multi_label else accuracy
