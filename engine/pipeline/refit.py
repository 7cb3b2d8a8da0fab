"""The kept model, trained once more on all cases, by the schedule that cross-validation has confirmed.

Nothing is left to score it on. Its score is that of the folds, whose models had fewer cases than it has.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

from sightsmith.core.contracts.report import Section
from sightsmith.core.contracts.results import SampleResult
from sightsmith.core.contracts.task import Task
from sightsmith.core.util.text import format_metric
from sightsmith.engine.data.tiling import tile_dataset
from sightsmith.engine.pipeline.cross_validation import CrossValidation, Pool, Reporters, train_like_folds
from sightsmith.engine.pipeline.kept_model import KeptModel
from sightsmith.engine.pipeline.stages import PlannedRun, RunContext
from sightsmith.engine.runs.run_dir import RunDir


def refit(context: RunContext, planned: PlannedRun, run: RunDir, own: KeptModel, folds: CrossValidation,
          reporters: Reporters) -> KeptModel:
    """``own`` with weights trained on all images, in ``run``'s folder ``refit``, and with the scores of ``folds``.

    An interrupted training is resumed. Called on every rank.
    """
    task, epochs = planned.task, refit_epochs([fold.best_epoch for fold in folds.folds])
    every = replace(planned.dataset, train=planned.dataset.index.samples, validation=())
    every = tile_dataset(every, planned.config.dataset.tile, task)
    training = train_like_folds(context, planned, every.train, ())
    with reporters(training, epochs, number=len(folds.folds) + 1) as callbacks:
        trainer = training.trainer(RunDir(run.path / "refit"), planned.plan, callbacks)
        trainer.fit(epochs)
    weights = {name: value.detach().cpu().clone() for name, value in trainer.eval_model.state_dict().items()}
    images, cases = (len({getattr(sample, kind) for sample in every.train}) for kind in ("image", "case"))
    said = (f"Refitted on all {images} images, {cases} cases, for {epochs} epoch{'' if epochs == 1 else 's'}, the "
            f"median of the folds' best; its score is that of the folds: {task.score} {format_metric(folds.score)}, "
            f"{folds.interval}")
    context.console.print(said)
    (_, own_score, own_interval), *others = own.scores
    samples, results = zip(*folds.pools[0], strict=True)
    metrics = pooled_metrics(task, folds.pools) | folds.metrics()
    metrics |= {task.score: folds.score, f"{task.score}_low": folds.interval.low,
                f"{task.score}_high": folds.interval.high}
    note = (f"{said}. Its training has seen the validation images too, so that only other images can show how good it "
            "is. All other results of this report are those of the folds, each on the images that it left out.")
    return replace(own, weights=weights, samples=samples, results=list(results), metrics=metrics,
                   scores=(*others, ("validation, before the refit", own_score, own_interval)),
                   origin={"made_by": "refit", "epochs": epochs, "images": images, "cases": cases},
                   sections=(Section("Refit", note), *own.sections))


def refit_epochs(best: Sequence[int]) -> int:
    """The median of the folds' ``best`` epochs; of two in the middle the mean, rounded up."""
    return math.ceil(statistics.median(best))


def pooled_metrics(task: Task, pools: Sequence[Pool]) -> dict[str, float | None]:
    """All metrics of the results of a repeat, averaged over repeats where they are defined."""
    found = [task.metrics(_results(pool)) for pool in pools]
    defined = {name: [value for one in found if (value := one.get(name)) is not None] for name in found[0]}
    return {name: statistics.fmean(values) if values else None for name, values in defined.items()}


def _results(pool: Pool) -> list[SampleResult]:
    return [result for _, result in pool]
