"""Whether a run has learnt anything: its score against a constant prediction, and likely reasons if it has not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sightsmith.core.contracts.dataset import CheckedDataset
from sightsmith.core.contracts.image import Array
from sightsmith.core.contracts.results import SampleResult
from sightsmith.core.contracts.task import Task
from sightsmith.core.util.errors import listed
from sightsmith.core.util.text import counted, format_metric, one_line
from sightsmith.engine.data.statistics import under_represented
from sightsmith.engine.pipeline.cross_validation import FEW_CASES
from sightsmith.engine.training.bootstrap import Interval, interval, interval_of_difference

FEW_STEPS = 500
"""Optimizer steps: BiT-HyperRule trains that long on small data sets (Kolesnikov et al., arXiv 1912.11370)."""
FALL, RISE, LEARNT = 0.9, 1.2, 0.5
"""Last training loss in relation to the first: above ``FALL`` it hardly fell, above ``RISE`` it rose, and below
``LEARNT`` the training images were learnt."""


@dataclass(frozen=True)
class Baseline:
    """The score of a constant prediction, which is ``what`` in words, and the interval of how much better the run is,
    on the same resampled cases."""

    what: str
    score: float | None
    gain: Interval
    beaten: bool

    @property
    def line(self) -> tuple[str, float] | None:
        """For a plot of the score."""
        return None if self.score is None else (self.what, self.score)

    def warning(self, name: str, score: float | None, reasons: Sequence[str], *, folds: int = 0) -> str:
        """What the user must know if the baseline is not beaten, on all images if there are ``folds``."""
        better = score is not None and self.score is not None and score > self.score
        if better and self.gain.cases < FEW_CASES:
            hint = "" if folds else ": dataset.folds=5 tests on all images"
            reasons = [f"only {counted(self.gain.cases, 'case')}, too few to tell{hint}", *reasons]
        lines = [f"The score does not show that anything was learnt: {name} {format_metric(score)} is not "
                 f"significantly above {format_metric(self.score)}, that of predicting {one_line(self.what)} "
                 f"(difference: {self.gain})."]
        return "\n".join([*lines, *(["Likely reasons:"] if reasons else []), *(f"- {reason}" for reason in reasons)])


def compare_with_baseline(task: Task, dataset: CheckedDataset, results: Sequence[SampleResult], seed: int,
                          ) -> tuple[Interval, Baseline | None]:
    """The interval of the score of ``results``, and the baseline of the task, if it has one."""
    scores: list[float | None] = []

    def noted(drawn: Array) -> float | None:
        scores.append(score(drawn))
        return scores[-1]

    score = task.bootstrap_score(results)
    estimate = interval(noted, dataset.validation, seed)
    found = task.baseline(dataset.train, results)
    if found is None:
        return estimate, None
    what, constant = found
    own, trivial = task.metrics(results)[task.score], task.metrics(constant)[task.score]
    gain = interval_of_difference(_difference(iter(scores), task.bootstrap_score(constant)), dataset.validation, seed)
    better = own is not None and (trivial is None or own > trivial)  # all that a single case can tell
    beaten = better if gain.low is None else gain.low > 0
    return estimate, Baseline(what, trivial, gain, beaten)


def _difference(scores: Iterator[float | None], baseline: Callable[[Array], float | None],
                ) -> Callable[[Array], float | None]:
    """A resample's score minus its baseline; ``scores`` are those of the same resamples. Undefined scores count 0."""
    def difference(drawn: Array) -> float | None:
        own, trivial = next(scores), baseline(drawn)
        return None if own is None and trivial is None else (own or 0.0) - (trivial or 0.0)

    return difference


def likely_reasons(task: Task, dataset: CheckedDataset, history: Sequence[Mapping[str, Any]], steps_per_epoch: int,
                   ) -> list[str]:
    """Why a run may have learnt nothing, as far as its own data tell."""
    return [*_reasons_of_losses(task, history, steps_per_epoch), *_reasons_of_labels(task, dataset)]


def _reasons_of_losses(task: Task, history: Sequence[Mapping[str, Any]], steps_per_epoch: int) -> Iterator[str]:
    rate = f"hyper.learning_rate={task.config.hyper.learning_rate:g}"
    steps, losses = steps_per_epoch * len(history), [entry["train_loss"] for entry in history]
    if len(losses) > 1:
        change = losses[-1] / losses[0] if losses[0] > 0 else math.nan
        course = f"the training loss went from {losses[0]:.4g} in epoch 1 to {losses[-1]:.4g} in epoch {len(losses)}"
        if change > RISE:
            yield f"{course}: {rate} is too high; try a tenth of it"
        elif change > FALL:
            yield f"{course}: {rate} may be too low; try ten times as much"
        elif change < LEARNT:
            yield (f"{course}, so the training images were learnt, but nothing that holds for others: the labels do "
                   "not follow from the images, or there are too few images")
    if steps < FEW_STEPS:
        yield f"there were only {steps} optimizer steps: raise hyper.epochs"


def _reasons_of_labels(task: Task, dataset: CheckedDataset) -> Iterator[str]:
    seen: dict[Any, Any] = {}
    contradicting = []
    for sample in dataset.train:
        pixels = dataset.infos[sample.name].digests[sample.frame or 0]
        if seen.setdefault((pixels, sample.tile), sample).labels != sample.labels:
            contradicting.append(f"{seen[pixels, sample.tile].image} and {sample.image}")
    if contradicting:
        yield f"identical training images have different labels: {listed(contradicting)}"
    if few := under_represented(task.statistics(dataset.train)):
        yield (f"rare in training: {listed(sorted(few))}; more images of them, or hyper.class_balance=sampling, would "
               "help")
