"""Cross-validation by repeated stratified folds: the score of the run's recipe on cases that it has not seen.

Each fold is left out of one more training, whose last epoch is scored. So the cases left out choose nothing; the
validation split has chosen the epoch of the run's own model, whose score is therefore optimistic.

If an ensemble is made of the models of the folds, the validation split is left out of all of them: each has been
trained on the cases of the other folds, so only cases in no fold show how good all of them are together.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, TypeAlias, cast

import numpy as np
from torch import Tensor

from sightsmith.core.contracts.dataset import CheckedDataset, Sample
from sightsmith.core.contracts.image import Array
from sightsmith.core.contracts.report import Section
from sightsmith.core.contracts.results import SampleResult
from sightsmith.core.contracts.schema import Config
from sightsmith.core.contracts.task import Task
from sightsmith.core.util.errors import UserError
from sightsmith.core.util.text import counted, format_duration, format_metric
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

FEW_CASES = 100
"""``dataset.folds=auto`` cross-validates if the validation split has fewer cases."""
AUTO_FOLDS = 5
AUTO_MINUTES = 60.0
"""... and if all trainings are estimated to take no longer, or the time budget of the run."""

Pool: TypeAlias = "list[tuple[Sample, SampleResult]]"
"""What was left out in the folds of a repeat, whole images or tiles, with the results on it."""


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
class FoldModel:
    """A fold's training: the results on what it left out, how long it took, and the weights, if they are wanted."""

    results: list[SampleResult]
    seconds: float
    weights: dict[str, Tensor]


@dataclass(frozen=True)
class CrossValidation:
    """``score`` is that of the results of all folds together, averaged over repeats; their training took ``seconds``.

    ``pools`` are the results of each repeat, sorted by sample; ``models`` the weights of each training, if an ensemble
    is made of them.
    """

    name: str
    epochs: int
    folds: tuple[FoldScore, ...]
    score: float | None
    interval: Interval
    seconds: float = field(compare=False)
    pools: tuple[Pool, ...] = field(repr=False, compare=False)
    models: tuple[dict[str, Tensor], ...] = field(repr=False, compare=False)

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
        note = (f"{self}. Each fold was left out of a training of its own, of {counted(self.epochs, 'epoch')}. The "
                "images left out chose nothing in it.")
        header = ("repeat", "fold", "images left out", self.name)
        return Section("Cross-validation", note=note, header=header, name="cross-validation", rows=tuple(
            (fold.repeat, fold.fold, fold.left_out, fold.score) for fold in self.folds))


def choose_folds(dataset: CheckedDataset, config: Config, seconds: float, *, in_sweep: bool = False,
                 ) -> tuple[int, str]:
    """The number of folds for ``dataset.folds`` (0: none), and the reason; one training takes ``seconds``.

    Raises UserError for too many, and if there are none to make an ensemble of.
    """
    setting, ensemble = config.dataset.folds, config.ensemble
    cases = len({sample.case for sample in _foldable(dataset, ensemble)})
    if setting == "none":
        return 0, ""
    if setting != "auto":
        if int(setting) > cases:
            rest = "" if ensemble == "none" else " to train on, as an ensemble keeps validation out of the folds"
            raise UserError(f"dataset.folds={setting}, but the data set has {counted(cases, 'case')}{rest} (a group "
                            "is one case)", hint=f"type dataset.folds={cases} or less, or dataset.folds=none")
        return int(setting), "as set"
    if in_sweep:
        return 0, "the runs of a sweep are compared on the validation split; dataset.folds=5 cross-validates each"
    folds, reason = _automatic_folds(dataset, config, cases, seconds)
    if not folds and ensemble != "none":
        raise UserError(f"ensemble={ensemble} needs folds, but dataset.folds=auto chose none: {reason}",
                        hint=f"type dataset.folds={AUTO_FOLDS}, or leave ensemble out")
    return folds, reason


def validation_cases(dataset: CheckedDataset) -> int:
    """The number of cases in validation; the images of a group are one."""
    return len({sample.case for sample in dataset.validation})


def _automatic_folds(dataset: CheckedDataset, config: Config, cases: int, seconds: float) -> tuple[int, str]:
    validation = validation_cases(dataset)
    if any(sample.split for sample in dataset.index.samples):
        return 0, "the data set brings its own split"
    if validation >= FEW_CASES:
        return 0, f"{validation} validation cases are enough"
    if cases < AUTO_FOLDS:
        return 0, f"{counted(cases, 'case is', 'cases are')} too few"
    trainings = 1 + AUTO_FOLDS * config.dataset.repeats + bool(choose_refit(dataset, config, AUTO_FOLDS))
    few = counted(validation, "validation case")
    budget = AUTO_MINUTES if config.trainer.time_budget is None else config.trainer.time_budget
    if seconds * trainings > 60 * budget:
        return 0, (f"{trainings} trainings may take {format_duration(seconds * trainings)}, more than {budget:g} "
                   f"minutes, so that the score is of {few} that choose the epoch, too; "
                   f"dataset.folds={AUTO_FOLDS} cross-validates nevertheless")
    return AUTO_FOLDS, f"only {few}; dataset.folds=none trains once"


def choose_refit(dataset: CheckedDataset, config: Config, folds: int) -> str:
    """Why the kept model is trained once more, on all cases; empty if it is not.

    There is no refit in retraining, whose effect on the old classes is measured on the validation cases. Raises
    UserError if it is requested nevertheless, or if there are no folds to take its score from.
    """
    validation, setting = validation_cases(dataset), config.dataset.refit.lower()
    retraining = config.base_run.path is not None
    if setting == "true":
        if retraining:
            raise UserError("dataset.refit=true: retraining compares the old classes on the validation cases, so the "
                            "model cannot be trained on them", hint="leave dataset.refit out")
        if not folds:
            raise UserError("dataset.refit=true needs folds, because its score is theirs, but dataset.folds=auto chose "
                            "none", hint=f"type dataset.folds={AUTO_FOLDS}, or leave dataset.refit out")
        return "as set"
    wanted = setting == "auto" and folds and config.ensemble == "none" and not retraining
    return f"only {counted(validation, 'validation case')}" if wanted and validation < FEW_CASES else ""


def _foldable(dataset: CheckedDataset, ensemble: str) -> list[Sample]:
    """The samples that are dealt out to folds; without those of validation if an ensemble is made of the models."""
    kept_out = _kept_out(dataset, ensemble)
    return [sample for sample in _new(dataset) if sample.image not in kept_out]


def _kept_out(dataset: CheckedDataset, ensemble: str) -> set[str]:
    """The images of validation that an ensemble is measured on."""
    return {sample.image for sample in dataset.validation} if ensemble != "none" else set()


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
    seed, keep = planned.config.trainer.seed, plan.ensemble != "none"
    foldable = _foldable(dataset, plan.ensemble)
    kept_out = _kept_out(dataset, plan.ensemble)
    samples = [sample for sample in dataset.index.samples if sample.image not in kept_out]
    scores: list[FoldScore] = []
    models: list[dict[str, Tensor]] = []
    pools: list[Pool] = []
    seconds = 0.0
    for repeat in range(1, plan.repeats + 1):
        pool: list[tuple[Sample, SampleResult]] = []
        for fold, left_out in enumerate(folds(foldable, plan.folds, seed + repeat - 1), 1):
            keys = {sample.key for sample in left_out}
            part = replace(dataset, validation=left_out,
                           train=tuple(sample for sample in samples if sample.key not in keys))
            part = tile_dataset(part, planned.config.dataset.tile, task)
            model = _train_fold(context, planned, part, epochs, RunDir(run.path / "folds" / f"{repeat}-{fold}"),
                                partial(reporters, number=len(scores) + 1))
            scores.append(FoldScore(repeat, fold, len(left_out), task.metrics(model.results)[task.score]))
            seconds += model.seconds
            pool += zip(part.validation, model.results, strict=True)
            models += [model.weights] if keep else []
        pools.append(_sorted(pool))
    score, span = distributed.on_main(context.state, lambda: pooled(task, pools, seed))
    return CrossValidation(task.score, epochs, tuple(scores), score, span, seconds, tuple(pools), tuple(models))


def _train_fold(context: RunContext, planned: PlannedRun, part: CheckedDataset, epochs: int, folder: RunDir,
                reporters: Callable[[Training, int], AbstractContextManager[Sequence[Callback]]]) -> FoldModel:
    """The training on all but the images that ``part`` leaves out, and the results on these."""
    training = train_like_folds(context, planned, part.train, part.validation)
    with reporters(training, epochs) as callbacks:
        trainer = training.trainer(folder, planned.plan, callbacks)
        trainer.fit(epochs)
        results = trainer.evaluate(final=True)
    kept = trainer.eval_model.state_dict() if planned.plan.ensemble != "none" else {}
    return FoldModel(results, trainer.state.seconds,
                     {name: value.detach().cpu().clone() for name, value in kept.items()})


def train_like_folds(context: RunContext, planned: PlannedRun, train: Sequence[Sample],
                     validation: Sequence[Sample]) -> Training:
    """A training from the run's start on other samples, without early stopping, which would choose by the score on
    cases that are to choose nothing."""
    gc.collect()  # else the models of several trainings may wait for it at once
    config = replace(planned.config, hyper=replace(planned.config.hyper, early_stop=False))
    seed_everything(config.trainer.seed)
    return Training(config, planned.task, planned.task.build_model()[0], train, validation, context.state)


def _sorted(pool: Sequence[tuple[Sample, SampleResult]]) -> Pool:
    """``pool`` in the order of the samples, which ``index`` counts."""
    ordered = sorted(pool, key=lambda pair: pair[0].key)
    return [(sample, cast(SampleResult, {**result, "index": index})) for index, (sample, result) in enumerate(ordered)]


def pooled(task: Task, pools: Sequence[Pool], seed: int) -> tuple[float | None, Interval]:
    """The score of all results of a repeat, averaged over repeats, and its interval.

    A case that a resample contains is in the resample of every repeat.
    """
    scores = [task.bootstrap_score([result for _, result in _sorted(pool)]) for pool in pools]

    def score(drawn: Array) -> float | None:
        defined = [value for one in scores if (value := one(drawn)) is not None]
        return statistics.fmean(defined) if defined else None

    samples = [sample for sample, _ in _sorted(pools[0])]
    return score(np.ones(len(samples), int)), interval(score, samples, seed)
