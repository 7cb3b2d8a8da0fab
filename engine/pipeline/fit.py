"""Trains the model of a run, with its callbacks, to the end or to a pause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sightsmith.engine.pipeline.stages import FittedRun, PlannedRun, RunContext
from sightsmith.engine.runs.checkpoint import load_tree
from sightsmith.engine.runs.run_dir import STOPPED, RunDir, Status
from sightsmith.engine.training.callbacks import HookReporter, ProgressReporter, StatusReporter
from sightsmith.engine.training.loggers import RunLoggers
from sightsmith.engine.training.session import Training
from sightsmith.engine.training.state import Callback, TrainState


def fit(context: RunContext, planned: PlannedRun, run: RunDir, status: Status | None, loggers: RunLoggers | None,
        ) -> FittedRun | None:
    """Train on every rank; rank 0 has ``status`` and ``loggers``. Returns None if the run pauses before its end."""
    own = () if loggers is None else (loggers, HookReporter(context.plugins, run.path))
    with reporters(context, planned, status, planned.training, planned.config.hyper.epochs) as callbacks:
        trainer = planned.training.trainer(run, planned.plan, [*callbacks, *own])
        if status is not None and loggers is not None:
            status.update(epoch=trainer.state.epoch, score=trainer.state.best_score)
            group = None if context.sweep_folder is None else context.sweep_folder.parent.name
            loggers.start(run.path, planned.config, trainer.state, planned.training.sampler.steps_per_epoch, group)
            status.warn(*trainer.state.warnings)
            for warning in trainer.state.warnings:
                context.details.print(f"warning: {warning}", soft_wrap=True)
        trainer.fit(planned.config.trainer.pause_after_epoch)
        context.state.wait_for_everyone()
        if not trainer.finished:
            if status is not None:
                context.details.print(f"Paused after epoch {trainer.state.epoch}. Resume it with:\n  "
                                      f"{context.continuation(run)}", soft_wrap=True)
                status.end(STOPPED, f"paused after epoch {trainer.state.epoch}", paused=True)
            return None
        early = _stopped_early(planned, trainer.state)
        if status is not None and early:
            status.update(force=True, stopped_early=early)
        best = load_tree(run.best)
        results = trainer.best_results
        if results is None or planned.plan.precision != "fp32":
            trainer.eval_model.load_state_dict(best["model"])
            results = trainer.evaluate(final=True)
    return FittedRun(best, results, trainer.history, trainer.state.warnings, early)


def _stopped_early(planned: PlannedRun, state: TrainState) -> str:
    """Why the training has ended before its last epoch; empty if it has not."""
    hyper = planned.config.hyper
    if state.epoch >= hyper.epochs:
        return ""
    return (f"Stopped early after epoch {state.epoch} of {hyper.epochs}: the best {planned.task.score} is of epoch "
            f"{state.best_epoch}, and hyper.patience={hyper.patience}")


@contextmanager
def reporters(context: RunContext, planned: PlannedRun, status: Status | None, training: Training, epochs: int,
              number: int = 0) -> Iterator[list[Callback]]:
    """Progress and status of a training, of the one for fold ``number``, or after the last fold of the refit; only for
    rank 0, which has a ``status``."""
    if status is None:
        yield []
        return
    steps, plan = training.sampler.steps_per_epoch, planned.plan
    folds = plan.folds * plan.repeats
    title = "" if number == 0 else f"fold {number}/{folds}  " if number <= folds else "refit  "
    with ProgressReporter(epochs=epochs, steps=steps, console=context.console, score=planned.task.score,
                          batch_images=len(training.train) / steps, title=title) as progress:
        yield [progress, StatusReporter(status, steps, epochs, number, plan.trainings)]
