"""The free-response ROC curve: recall against false positives per image.

Bunch et al. 1977. A detection is a true positive as in COCO's evaluation, at an IoU of 0.5; detections on crowds are
ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sightsmith.plugin import Array
from sightsmith.plugins.detection.bootstrap_ap import matches

RATES = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""False positives per image at which the recall is reported."""


@dataclass(frozen=True)
class Froc:
    """``false`` positives per image and ``recall``, (T,) each, at every score threshold, the highest first."""

    false: Array
    recall: Array

    def recall_at(self, rate: float) -> float:
        """The highest recall with at most ``rate`` false positives per image."""
        allowed = self.recall[self.false <= rate]
        return float(allowed.max()) if allowed.size else 0.0


def froc(evaluation: Any, images: int, classes: Sequence[str]) -> dict[str | None, Froc | None]:
    """The curve per class, and under the key None for all classes together, from
    :func:`~sightsmith.plugins.detection.metrics.match` on ``images`` images; None for classes without objects."""
    found = [matches(evaluation, number, images) for number in range(len(classes))]
    each: dict[str | None, Froc | None] = {
        name: _curve(item.scores, item.hits[0], item.false[0], int(item.objects.sum()), images)
        for name, item in zip(classes, found, strict=True)}
    each[None] = _curve(np.concatenate([item.scores for item in found]),
                        np.concatenate([item.hits[0] for item in found]),
                        np.concatenate([item.false[0] for item in found]),
                        sum(int(item.objects.sum()) for item in found), images)
    return each


def _curve(scores: Array, hits: Array, false: Array, objects: int, images: int) -> Froc | None:
    if not objects:
        return None
    order = np.argsort(-scores, kind="stable")
    scores, hits, false = scores[order], np.cumsum(hits[order]), np.cumsum(false[order])
    last = np.flatnonzero(np.diff(scores, append=-np.inf))  # equal scores share a threshold
    return Froc(np.concatenate([[0.0], false[last] / images]), np.concatenate([[0.0], hits[last] / objects]))
