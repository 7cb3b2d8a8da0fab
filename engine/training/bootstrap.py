"""How far a score can be trusted: its percentile bootstrap interval over validation cases.

Efron, Tibshirani: An Introduction to the Bootstrap, 1993, chapter 13. Cases are drawn, not images: those of a group
are alike, and a draw of single images would take them for independent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import Array

RESAMPLES = 1000
LEVEL = 95
"""Percent of confidence."""


@dataclass(frozen=True)
class Interval:
    """Where the score would lie with other cases of the same kind; ``low`` and ``high`` are None where ``reason``
    says why that is undefined. ``cases`` is how many were drawn from."""

    low: float | None
    high: float | None
    cases: int
    reason: str = ""

    def span(self) -> str:
        return f"undefined: {self.reason}" if self.low is None else f"{self.low:.4f} to {self.high:.4f}"

    def __str__(self) -> str:
        return f"{LEVEL} % confidence interval {self.span()}, {self.cases} case{'' if self.cases == 1 else 's'}"


def interval(score: Callable[[Array], float | None], samples: Sequence[Sample], seed: int) -> Interval:
    """The interval of ``score``, a function of how often each of ``samples`` is drawn (N,) int64.

    Draws whose score is undefined are left out; where these are more than half, the interval is undefined.
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
        return Interval(None, None, cases, "so is the score of most draws")
    low, high = np.percentile(defined, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return Interval(float(low), float(high), cases)
