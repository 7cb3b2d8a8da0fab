"""The confidence interval of a score: bias-corrected and accelerated bootstrap (BCa) over validation cases.

Efron, Tibshirani: An Introduction to the Bootstrap, 1993, section 14.3. Cases are resampled, not images, because the
images of a group are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import Array
from sightsmith.core.util.text import counted

RESAMPLES = 1000
LEVEL = 95
"""Confidence level, percent."""
BLOCKS = 200
"""Most parts of which one is left out at a time, to see how unevenly cases matter."""


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
    return Gain(before(every), difference(every), interval_of_difference(difference, samples, seed))


def interval(score: Callable[[Array], float | None], samples: Sequence[Sample], seed: int) -> Interval:
    """The interval of ``score``, from 0 to 1, a function of how often a resample contains each of ``samples``, (N,)
    int64. It is called for the same resamples in the same order whatever it returns.

    Where all resamples score 1, or all 0, the bootstrap knows no others; the interval then is that of as many right, or
    wrong, answers as there are cases (Clopper, Pearson: Biometrika 26, 1934). Resamples whose score is undefined are
    ignored; if they are more than half, the interval is undefined.
    """
    found = interval_of_difference(score, samples, seed)
    if found.low is not None and found.low == found.high and found.low in (0, 1):
        reach = 1 - ((100 - LEVEL) / 200) ** (1 / found.cases)
        return Interval(1 - reach, 1.0, found.cases) if found.low else Interval(0.0, reach, found.cases)
    return found


def interval_of_difference(score: Callable[[Array], float | None], samples: Sequence[Sample], seed: int) -> Interval:
    """Like :func:`interval`, for the difference of two scores, which may be the same for all cases."""
    _, case_of = np.unique([sample.case for sample in samples], return_inverse=True)
    cases = int(case_of.max()) + 1
    if cases < 2:
        return Interval(None, None, cases, "there is only one case")
    random = np.random.default_rng(seed)
    chances = np.full(cases, 1 / cases)
    whole = score(np.ones(len(samples), int))
    resampled = _defined(score(random.multinomial(cases, chances)[case_of]) for _ in range(RESAMPLES))
    block_of = random.permutation(cases)[case_of] % min(cases, BLOCKS)
    left_out = _defined(score((block_of != block).astype(int)) for block in range(min(cases, BLOCKS)))
    if 2 * len(resampled) < RESAMPLES:
        return Interval(None, None, cases, "so is the score of most resamples")
    tails = (100 - LEVEL) / 200, (100 + LEVEL) / 200
    if whole is not None and len(left_out) > 1:
        tails = _corrected(tails, whole, resampled, left_out)
    low, high = np.quantile(resampled, tails)
    return Interval(float(low), float(high), cases)


def _defined(scores: Iterable[float | None]) -> Array:
    return np.array([value for value in scores if value is not None])


def _corrected(tails: tuple[float, float], whole: float, resampled: Array, left_out: Array) -> tuple[float, float]:
    """The quantiles of the resampled scores between which the interval lies: ``tails``, corrected for how far off their
    middle the score of the whole is (bias), and for how skewed the influence of cases is (acceleration), which the
    scores without a part of the cases tell."""
    normal = NormalDist()
    below = (np.mean(resampled < whole) + np.mean(resampled <= whole)) / 2
    bias = normal.inv_cdf(float(np.clip(below, 0.5 / len(resampled), 1 - 0.5 / len(resampled))))
    influence = left_out.mean() - left_out
    spread = float(np.sum(influence ** 2))
    acceleration = float(np.sum(influence ** 3)) / (6 * spread ** 1.5) if spread else 0.0
    shifted = [bias + normal.inv_cdf(tail) for tail in tails]
    low, high = (normal.cdf(bias + shift / (1 - acceleration * shift)) for shift in shifted)
    return low, high
