"""Cross-validation by repeated stratified folds: the score of the run's recipe on cases that it has not seen.

Each fold is left out of one more training, of as many epochs as the run's own model. So the cases left out choose
nothing; the validation split has chosen the epoch of the run's own model, whose score is therefore slightly optimistic.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np

from sightsmith.core.contracts.dataset import CheckedDataset, Sample
from sightsmith.core.contracts.image import Array
from sightsmith.core.contracts.report import Section
from sightsmith.core.contracts.results import SampleResult
from sightsmith.core.contracts.task import Task
from sightsmith.core.util.errors import UserError
from sightsmith.core.util.text import format_metric
from sightsmith.engine.data.split import folds
from sightsmith.engine.data.tiling import tile_dataset
from sightsmith.engine.pipeline.replay import PREFIX
from sightsmith.engine.pipeline.stages import PlannedRun, RunContext
from sightsmith.engine.runs.run_dir import RunDir
from sightsmith.engine.training import distributed
from sightsmith.engine.training.bootstrap import Interval, interval
from sightsmith.engine.training.session import Training
from sightsmith.engine.training.state import Callback
from sightsmith.engine.training.trainer import seed_everything

FEW_CASES = 30
"""``dataset.folds=auto`` cross-validates if the validation split has fewer cases."""
AUTO_FOLDS = 5


class Reporters(Protocol):
    """Opens the callbacks of a training of ``epochs`` for fold ``number``, from 1."""

    def __call__(self, training: Training, epochs: int, number: int) -> AbstractContextManager[Sequence[Callback]]:
        ...


@dataclass(frozen=True)
class FoldScore:
    """The repeat and fold of one training (both from 1), how many images it left out, and the score on these."""

    repeat: int
    fold: int
    left_out: int
    score: float | None


@dataclass(frozen=True)
class CrossValidation:
    """``score`` is that of the results of all folds together, averaged over repeats."""

    name: str
    epochs: int
    folds: tuple[FoldScore, ...]
    score: float | None
    interval: Interval

    def metrics(self) -> dict[str, float | None]:
        """The entries of the run's metrics."""
        return {f"cv_{self.name}": self.score, f"cv_{self.name}_low": self.interval.low,
                f"cv_{self.name}_high": self.interval.high}

    def __str__(self) -> str:
        repeats = self.folds[-1].repeat
        mean = f", mean of {repeats} repeats" if repeats > 1 else ""
        scores = [fold.score for fold in self.folds if fold.score is not None]
        spread = f"mean {statistics.fmean(scores):.4f}" if scores else "undefined"
        if len(scores) > 1:
            spread += f", standard deviation {statistics.stdev(scores):.4f}"
        return f"{self.name} {format_metric(self.score)} of all folds together{mean}, {self.interval}; "\
               f"of each fold {spread}"

    def section(self) -> Section:
        """For the report."""
        epochs = f"{self.epochs} epoch{'' if self.epochs == 1 else 's'}"
        note = (f"{self}. Each fold was left out of a training of its own, of {epochs} like that of the run's own "
                "model. The images left out chose nothing in it.")
        return Section("Cross-validation", note=note, header=("repeat", "fold", "images left out", self.name),
                       rows=tuple((fold.repeat, fold.fold, fold.left_out, fold.score) for fold in self.folds),
                       name="cross-validation")


def choose_folds(dataset: CheckedDataset, setting: str) -> tuple[int, str]:
    """The number of folds for ``dataset.folds=setting`` (0: none), and the reason. Raises UserError for too many."""
    cases, validation = (len({sample.case for sample in part}) for part in (_new(dataset), dataset.validation))
    if setting == "none":
        return 0, ""
    if setting != "auto":
        if int(setting) > cases:
            raise UserError(f"dataset.folds={setting}, but the data set has {cases} cases (a group is one case)",
                            hint=f"type dataset.folds={cases} or less, or dataset.folds=none")
        return int(setting), "as set"
    if any(sample.split for sample in dataset.index.samples):
        return 0, "the data set brings its own split"
    if validation >= FEW_CASES:
        return 0, f"{validation} validation cases are enough"
    if cases < AUTO_FOLDS:
        return 0, f"{cases} cases are too few"
    return AUTO_FOLDS, f"only {validation} validation case{'' if validation == 1 else 's'}"


def _new(dataset: CheckedDataset) -> list[Sample]:
    """The samples that the starting weights have not been trained on: all but those replayed from the base run's
    training split. The model would know these even if they were left out of a fold."""
    known = {sample.image for sample in dataset.train if sample.name.startswith(PREFIX)}
    return [sample for sample in dataset.index.samples if sample.image not in known]


def cross_validate(context: RunContext, planned: PlannedRun, epochs: int, run: RunDir, reporters: Reporters,
                   ) -> CrossValidation:
    """Train ``epochs`` epochs for each fold of each repeat, in ``run``'s folder ``folds/<repeat>-<fold>``.

    Images that the base run was trained on are in every training. A finished fold is only evaluated again, an
    interrupted one resumes. Called on every rank.
    """
    task, dataset, plan = planned.task, planned.dataset, planned.plan
    samples, new, seed = dataset.index.samples, _new(dataset), planned.config.trainer.seed
    scores: list[FoldScore] = []
    pools: list[list[tuple[Sample, SampleResult]]] = []
    for repeat in range(1, plan.repeats + 1):
        pools.append([])
        for fold, left_out in enumerate(folds(new, plan.folds, seed + repeat - 1), 1):
            keys = {sample.key for sample in left_out}
            part = replace(dataset, validation=left_out,
                           train=tuple(sample for sample in samples if sample.key not in keys))
            part = tile_dataset(part, planned.config.dataset.tile, task)
            results = _train_fold(context, planned, part, epochs, RunDir(run.path / "folds" / f"{repeat}-{fold}"),
                                  partial(reporters, number=len(scores) + 1))
            scores.append(FoldScore(repeat, fold, len(left_out), task.metrics(results)[task.score]))
            pools[-1] += zip(part.validation, results, strict=True)
    score, span = distributed.on_main(context.state, lambda: pooled(task, pools, seed))
    return CrossValidation(task.score, epochs, tuple(scores), score, span)


def _train_fold(context: RunContext, planned: PlannedRun, part: CheckedDataset, epochs: int, folder: RunDir,
                reporters: Callable[[Training, int], AbstractContextManager[Sequence[Callback]]],
                ) -> list[SampleResult]:
    """The results on the images that ``part`` leaves out."""
    # Early stopping would choose by the score on the cases left out.
    config = replace(planned.config, hyper=replace(planned.config.hyper, early_stop=False))
    seed_everything(config.trainer.seed)
    training = Training(config, planned.task, planned.task.build_model()[0], part.train, part.validation,
                        context.state)
    with reporters(training, epochs) as callbacks:
        trainer = training.trainer(folder, planned.plan, callbacks)
        trainer.fit(epochs)
        return trainer.evaluate()


def pooled(task: Task, pools: Sequence[Sequence[tuple[Sample, SampleResult]]], seed: int,
           ) -> tuple[float | None, Interval]:
    """The score of all results of a repeat, averaged over repeats, and its interval.

    A case that a resample contains is in the resample of every repeat.
    """
    ordered = [sorted(pool, key=lambda pair: pair[0].key) for pool in pools]
    scores = [task.bootstrap_score([{**result, "index": index} for index, (_, result) in enumerate(pool)])
              for pool in ordered]

    def score(drawn: Array) -> float | None:
        defined = [value for one in scores if (value := one(drawn)) is not None]
        return statistics.fmean(defined) if defined else None

    samples = [sample for sample, _ in ordered[0]]
    return score(np.ones(len(samples), int)), interval(score, samples, seed)
