"""Figures of a classifier, by scikit-learn. What is undefined is None, never 0 or NaN."""

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
    """``scores`` (K,) float are the probabilities of the classes; for multi-label, each is that of yes."""

    scores: Array


def scores_and_truth(results: Sequence[ClassificationResult], multi_label: bool) -> tuple[Array, Array]:
    """Probabilities (N, K) float64, and the truth as zeros and ones (N, K)."""
    scores = probabilities(np.stack([result["logits"] for result in results]), multi_label)
    if multi_label:
        return scores, np.stack([result["label"] for result in results]).astype(int)
    truth = np.zeros(scores.shape, int)
    truth[np.arange(len(truth)), [result["label"] for result in results]] = 1
    return scores, truth


def probabilities(logits: Array, multi_label: bool) -> Array:
    """Of the last axis's classes, float64: they sum to 1, or for multi-label each is that of yes."""
    from scipy.special import expit, softmax  # slow to import, and no training step needs them

    found: Array = expit(logits.astype(np.float64)) if multi_label else softmax(logits.astype(np.float64), axis=-1)
    return found


def predictions(scores: Array, multi_label: bool) -> Array:
    """Zeros and ones (N, K): the largest score, or for multi-label every score of 0.5 and more."""
    if multi_label:
        return (scores >= 0.5).astype(int)
    predicted = np.zeros(scores.shape, int)
    predicted[np.arange(len(scores)), scores.argmax(1)] = 1
    return predicted


def compute(results: Sequence[ClassificationResult], classes: Sequence[str], multi_label: bool,
            ) -> dict[str, float | None]:
    """loss, accuracy, macro F1 and ROC AUC, and precision, recall, F1 and AUC of each class.

    ``accuracy`` of multi-label is that of whole label sets. Means over classes leave out those that
    have no positives, where recall and AUC are undefined. AUC is one class against the rest.
    """
    from sklearn import metrics  # the first optimizer step comes sooner without

    scores, truth = scores_and_truth(results, multi_label)
    predicted = predictions(scores, multi_label)
    loss = float(np.mean([result["loss"] for result in results]))
    finite = bool(np.isfinite(scores).all())  # a network that has diverged orders nothing
    figures: dict[str, float | None] = {
        "loss": loss if np.isfinite(loss) else None,
        "accuracy": float(metrics.accuracy_score(truth, predicted)),
    }
    each: dict[str, list[float | None]] = {"precision": [], "recall": [], "f1": [], "auc": []}
    for number in range(len(classes)):
        real, said = truth[:, number], predicted[:, number]
        positives, claimed = int(real.sum()), int(said.sum())
        each["precision"].append(float(metrics.precision_score(real, said)) if claimed else None)
        each["recall"].append(float(metrics.recall_score(real, said)) if positives else None)
        each["f1"].append(float(metrics.f1_score(real, said)) if positives else None)
        both = finite and 0 < positives < len(real)
        each["auc"].append(float(metrics.roc_auc_score(real, scores[:, number])) if both else None)
    for name, values in (("macro_f1", each["f1"]), ("macro_recall", each["recall"]), ("macro_auc", each["auc"])):
        defined = [value for value in values if value is not None]
        figures[name] = float(np.mean(defined)) if defined else None
    for name, values in each.items():
        figures |= {f"{name}/{label}": value for label, value in zip(classes, values, strict=True)}
    return figures


BINS = 10


@dataclass(frozen=True)
class Bin:
    """Probabilities from ``low`` on: how many, their mean, and the part of them that is right."""

    low: float
    count: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Calibration:
    """The bins that are not empty, and the expected calibration error; None where no probability is finite."""

    bins: tuple[Bin, ...]
    error: float | None


def calibration(scores: Array, truth: Array, multi_label: bool) -> Calibration:
    """Of the largest probability of each image, or for multi-label of all; probabilities and truth are (N, K).

    The error is the mean, over the cases, of the distance between a bin's mean probability and its part that is right:
    Guo et al. 2017, equation 3.
    """
    if not np.isfinite(scores).all():
        return Calibration((), None)
    if multi_label:
        confidence, right = scores.ravel(), truth.ravel()
    else:
        confidence, right = scores.max(1), truth[np.arange(len(truth)), scores.argmax(1)]
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = tuple(Bin(number / BINS, int((place == number).sum()), float(confidence[place == number].mean()),
                     float(right[place == number].mean())) for number in np.unique(place).tolist())
    error = sum(part.count * abs(part.confidence - part.right) for part in bins) / len(confidence)
    return Calibration(bins, float(error))


def suspected_label_errors(scores: Array, truth: Array) -> list[tuple[int, int]]:
    """Place and likelier class of images of one class (N, K) whose label may be wrong, the least likely label first.

    Confident learning (Northcutt, Jiang, Chuang 2021): an image counts for a class if the class's probability is at
    least the mean that its own images have; for several such classes, for the likeliest.
    """
    if not np.isfinite(scores).all():
        return []
    own = truth.astype(bool)
    usual = np.array([scores[own[:, number], number].mean() if own[:, number].any() else np.inf
                      for number in range(scores.shape[1])])
    counts = np.where(scores >= usual, scores, -1.0)
    likelier = counts.argmax(1)
    labels = own.argmax(1)
    every = np.arange(len(scores))
    margins = scores[every, labels] - scores[every, likelier]
    places = np.flatnonzero((counts.max(1) >= 0) & (margins < 0))
    margin = margins[places]
    return [(int(place), int(likelier[place])) for place in places[np.argsort(margin, kind="stable")]]


def bootstrap_score(results: Sequence[ClassificationResult], multi_label: bool) -> Callable[[Array], float | None]:
    """Accuracy, or macro F1 of multi-label, of results drawn so often (N,): as :func:`compute` has it of copies."""
    scores, truth = scores_and_truth(results, multi_label)
    predicted = predictions(scores, multi_label)
    right = (predicted == truth).all(1)

    def accuracy(drawn: Array) -> float:
        return float(drawn @ right / drawn.sum())

    def macro_f1(drawn: Array) -> float | None:
        hits, positives, claimed = drawn @ (predicted & truth), drawn @ truth, drawn @ predicted
        there = positives > 0
        return float(np.mean(2 * hits[there] / (positives + claimed)[there])) if there.any() else None

    return macro_f1 if multi_label else accuracy
