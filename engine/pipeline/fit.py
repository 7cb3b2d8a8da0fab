"""Trains the model of a run, with its callbacks, to the end or to a pause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sightsmith.engine.pipeline.stages import FittedRun, PlannedRun, RunContext
from sightsmith.engine.runs.checkpoint import load_tree
from sightsmith.engine.runs.run_dir import STOPPED, RunDir, Status
from sightsmith.engine.training.callbacks import HookReporter, LoggerReporter, ProgressReporter, StatusReporter
from sightsmith.engine.training.session import Training
from sightsmith.engine.training.state import Callback


def fit(context: RunContext, planned: PlannedRun, run: RunDir, status: Status | None) -> FittedRun | None:
    """Train on every rank; rank 0 has a ``status``. Returns None if the run pauses before its end."""
    with reporters(context, planned, run, status, planned.training, planned.config.hyper.epochs) as callbacks:
        trainer = planned.training.trainer(run, planned.plan, callbacks)
        if status is not None:
            status.update(epoch=trainer.state.epoch, score=trainer.state.best_score)
            status.warn(*trainer.state.warnings)
        trainer.fit(planned.config.trainer.pause_after_epoch)
        context.state.wait_for_everyone()
        if not trainer.finished:
            if status is not None:
                context.details.print(f"Paused after epoch {trainer.state.epoch}. Resume it with:\n  "
                                      f"{context.continuation(run)}")
                status.end(STOPPED, f"paused after epoch {trainer.state.epoch}", paused=True)
            return None
        best = load_tree(run.best)
        results = trainer.best_results
        if results is None:
            trainer.eval_model.load_state_dict(best["model"])
            results = trainer.evaluate()
    return FittedRun(best, results, trainer.history, trainer.state.warnings)


@contextmanager
def reporters(context: RunContext, planned: PlannedRun, run: RunDir, status: Status | None, training: Training,
              epochs: int, number: int = 0) -> Iterator[list[Callback]]:
    """The callbacks of a training, or of the one for fold ``number``; only rank 0, which has a ``status``, has any."""
    if status is None:
        yield []
        return
    steps, trainings = training.sampler.steps_per_epoch, planned.plan.trainings
    with ExitStack() as stack:
        callbacks: list[Callback] = []
        if number == 0:
            loggers = []
            for name, options in planned.config.logger.items():
                loggers.append(context.plugins.logger(name).make(run.path, options or {}))
                stack.callback(loggers[-1].close)
            callbacks = [LoggerReporter(loggers, steps), HookReporter(context.plugins, run.path)]
        progress = stack.enter_context(ProgressReporter(
            epochs=epochs, steps=steps, console=context.console, score=planned.task.score,
            batch_images=len(training.train) / steps, title=f"fold {number}/{trainings - 1}  " if number else ""))
        yield [progress, StatusReporter(status, steps, epochs, number, trainings), *callbacks]
