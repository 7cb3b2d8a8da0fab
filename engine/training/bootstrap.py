"""The confidence interval of a score: percentile bootstrap over validation cases.

Efron, Tibshirani: An Introduction to the Bootstrap, 1993, chapter 13. Cases are resampled, not images, because the
images of a group are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import Array

RESAMPLES = 1000
LEVEL = 95
"""Confidence level, percent."""


@dataclass(frozen=True)
class Interval:
    """The interval of a score over ``cases``; if undefined, ``low`` and ``high`` are None and ``reason`` says why."""

    low: float | None
    high: float | None
    cases: int
    reason: str = ""

    def span(self) -> str:
        return f"undefined: {self.reason}" if self.low is None else f"{self.low:.4f} to {self.high:.4f}"

    def __str__(self) -> str:
        return f"{LEVEL} % confidence interval {self.span()}, {self.cases} case{'' if self.cases == 1 else 's'}"


def interval(score: Callable[[Array], float | None], samples: Sequence[Sample], seed: int) -> Interval:
    """The interval of ``score``, a function of how often a resample contains each of ``samples``, (N,) int64.

    Resamples whose score is undefined are ignored; if they are more than half, the interval is undefined.
    """
    _, case_of = np.unique([sample.case for sample in samples], return_inverse=True)
    cases = int(case_of.max()) + 1
    if cases < 2:
        return Interval(None, None, cases, "there is only one case")
    random = np.random.default_rng(seed)
    chances = np.full(cases, 1 / cases)
    scores = [score(random.multinomial(cases, chances)[case_of]) for _ in range(RESAMPLES)]
    defined = [value for value in scores if value is not None]
    if 2 * len(defined) < RESAMPLES:
        return Interval(None, None, cases, "so is the score of most resamples")
    low, high = np.percentile(defined, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return Interval(float(low), float(high), cases)
