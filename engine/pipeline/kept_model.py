"""The model that a run keeps, with what is known of it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from torch import Tensor

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.report import Section
from sightsmith.core.contracts.results import SampleResult
from sightsmith.core.contracts.task import Task
from sightsmith.core.util.text import format_metric
from sightsmith.engine.pipeline.cross_validation import CrossValidation, Pool
from sightsmith.engine.pipeline.nothing_learnt import Baseline, compare_with_baseline
from sightsmith.engine.pipeline.stages import FittedRun, PlannedRun, RunContext
from sightsmith.engine.training import distributed
from sightsmith.engine.training.bootstrap import Interval, interval

Weights: TypeAlias = dict[str, Tensor]
"""A model's state dict, on the CPU."""


@dataclass(frozen=True)
class KeptModel:
    """The ``weights`` of the run's own model; those of ``members``, if these predict instead; and their score.

    ``metrics`` are those of ``results`` on ``samples``. ``scores`` are (data, score, interval), the one that the run is
    compared by first, ``baseline`` is a constant answer's. The trainings after the run's own took ``seconds``.
    ``origin`` says in the bundle's card how the model was made, unless by training alone; ``sections`` say it in the
    report.
    """

    weights: Weights
    samples: Sequence[Sample]
    results: list[SampleResult]
    metrics: dict[str, float | None]
    scores: tuple[tuple[str, float | None, Interval], ...]
    members: tuple[Weights, ...] = ()
    seconds: float = 0.0
    origin: dict[str, Any] = field(default_factory=dict)
    sections: tuple[Section, ...] = ()
    baseline: Baseline | None = None

    def with_cross_validation(self, found: CrossValidation) -> KeptModel:
        """The same model; its recipe has been cross-validated."""
        return replace(self, metrics=self.metrics | found.metrics(), sections=(*self.sections, found.section()),
                       seconds=self.seconds + found.seconds,
                       scores=(*self.scores, ("cross-validation", found.score, found.interval)))


def best_epoch(context: RunContext, planned: PlannedRun, fitted: FittedRun) -> KeptModel:
    """The run's own model, of its best epoch, with its score, which is printed."""
    task, samples = planned.task, planned.dataset.validation
    estimate, baseline = distributed.on_main(context.state, lambda: compare_with_baseline(
        task, planned.dataset, fitted.results, task.config.trainer.seed))
    metrics = _with_interval(task, fitted.results, estimate)
    context.console.print(f"{task.score} {format_metric(metrics[task.score])}, {estimate}")
    return KeptModel(fitted.best["model"], samples, fitted.results, metrics,
                     (("validation", metrics[task.score], estimate),), baseline=baseline)


def scored_by_folds(context: RunContext, planned: PlannedRun, kept: KeptModel, found: CrossValidation, own: str,
                    ) -> KeptModel:
    """The same model, cross-validated, with the results of the folds for its own; its score so far, on what is called
    ``own``, comes last. Called on every rank."""
    task, (_, own_score, own_interval), *others = planned.task, *kept.scores
    samples, results = zip(*found.pools[0], strict=True)
    metrics = pooled_metrics(task, found.pools) | found.metrics()
    metrics |= {task.score: found.score, f"{task.score}_low": found.interval.low,
                f"{task.score}_high": found.interval.high}
    _, baseline = distributed.on_main(context.state, lambda: compare_with_baseline(
        task, replace(planned.dataset, validation=samples), results, task.config.trainer.seed))
    return replace(kept, samples=samples, results=list(results), metrics=metrics, baseline=baseline,
                   scores=(*others, (own, own_score, own_interval)))


def pooled_metrics(task: Task, pools: Sequence[Pool]) -> dict[str, float | None]:
    """All metrics of the results of a repeat, averaged over repeats where they are defined."""
    found = [task.metrics([result for _, result in pool]) for pool in pools]
    defined = {name: [value for one in found if (value := one.get(name)) is not None] for name in found[0]}
    return {name: statistics.fmean(values) if values else None for name, values in defined.items()}


def measured(context: RunContext, task: Task, results: list[SampleResult], samples: Sequence[Sample],
             ) -> tuple[dict[str, float | None], Interval]:
    """The metrics of ``results``, with the interval of the score. Called on every rank."""
    estimate = distributed.on_main(context.state, lambda: interval(
        task.bootstrap_score(results), samples, task.config.trainer.seed))
    return _with_interval(task, results, estimate), estimate


def _with_interval(task: Task, results: list[SampleResult], estimate: Interval) -> dict[str, float | None]:
    return {**task.metrics(results), f"{task.score}_low": estimate.low, f"{task.score}_high": estimate.high}
