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
from sightsmith.core.util.text import counted

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

    def short(self) -> str:
        """Where there is little room."""
        return self.span() if self.low is None else f"{LEVEL} % interval {self.span()}"

    def __str__(self) -> str:
        return f"{LEVEL} % confidence interval {self.span()}, {counted(self.cases, 'case')}"


@dataclass(frozen=True)
class Gain:
    """What a score gained over ``before``, that of something else on the same cases, with the paired interval."""

    before: float | None
    value: float | None
    interval: Interval

    @property
    def text(self) -> str:
        return "undefined" if self.value is None else f"{self.value:+.4f}"

    def __str__(self) -> str:
        return f"{self.text}, {self.interval}"

    def to_json(self, name: str) -> dict[str, float | None]:
        return {name: self.value, f"{name}_low": self.interval.low, f"{name}_high": self.interval.high}


def gain(before: Callable[[Array], float | None], after: Callable[[Array], float | None], samples: Sequence[Sample],
         seed: int) -> Gain:
    """How much higher ``after`` is than ``before``, two scores as in :func:`interval`.

    Both see the same resamples, so that what makes cases easy or hard for both does not widen the interval.
    """
    def difference(drawn: Array) -> float | None:
        old, new = before(drawn), after(drawn)
        return None if old is None or new is None else new - old

    every = np.ones(len(samples), int)
    return Gain(before(every), difference(every), interval(difference, samples, seed))


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
