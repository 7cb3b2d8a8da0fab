"""One run, from configuration to report, in the order in which things happen. Every rank runs this."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from functools import partial

from sightsmith.core.contracts.report import Section
from sightsmith.core.contracts.schema import Config
from sightsmith.core.util.announced import announced
from sightsmith.core.util.errors import NonFiniteLossError, StoppedError
from sightsmith.core.util.files import make_folder, resolved_path, write_atomic, write_json
from sightsmith.core.util.reading import to_yaml
from sightsmith.core.util.text import format_metric
from sightsmith.engine.config.presets import preset_checksum
from sightsmith.engine.data.statistics import describe
from sightsmith.engine.pipeline import forgetting
from sightsmith.engine.pipeline.cross_validation import FEW_CASES, Reporters, cross_validate, validation_cases
from sightsmith.engine.pipeline.divergence import divergence, report_divergence
from sightsmith.engine.pipeline.ensemble import ensemble_of_folds, soup_of_folds
from sightsmith.engine.pipeline.fit import fit, reporters
from sightsmith.engine.pipeline.kept_model import KeptModel, best_epoch, scored_by_folds
from sightsmith.engine.pipeline.nothing_learnt import likely_reasons
from sightsmith.engine.pipeline.prepare import prepare
from sightsmith.engine.pipeline.refit import refit
from sightsmith.engine.pipeline.result import Result
from sightsmith.engine.pipeline.stages import FittedRun, PlannedRun, RunContext
from sightsmith.engine.runs import library_warnings
from sightsmith.engine.runs.bundle import all_tensors, save_bundle
from sightsmith.engine.runs.checkpoint import tensors_digest
from sightsmith.engine.runs.lockfile import add_bundle, make_lock
from sightsmith.engine.runs.resources import resource_error
from sightsmith.engine.runs.resume import clone_checkpoint, ensure_resumable, find_branch_point
from sightsmith.engine.runs.run_dir import ERROR, FINISHED, RUNNING, STOPPED, RunDir, Status
from sightsmith.engine.runs.run_lock import hold
from sightsmith.engine.training import distributed
from sightsmith.engine.training.loggers import RunLoggers

log = logging.getLogger("sightsmith")


def train(context: RunContext, config: Config) -> Result | None:
    """Train. Returns None after a dry run, and if ``trainer.pause_after_epoch`` comes before the end."""
    planned = prepare(context, config)
    if planned.config.trainer.dry_run:
        return None
    with ExitStack() as lock:  # of rank 0
        run = distributed.on_main(context.state, lambda: _open_run(context, planned, lock))
        return _train(context, planned, run)


def _train(context: RunContext, planned: PlannedRun, run: RunDir) -> Result | None:
    if not context.state.is_main_process:
        return _fit_and_report(context, planned, run, None, None)
    status = Status(run, devices=context.state.num_processes, epochs=planned.config.hyper.epochs)
    with _logged(run), RunLoggers(context.plugins, status, context.console) as loggers:
        result = _with_status(context, planned, run, status, loggers)
        if result is not None:
            loggers.finish(result.metrics, run.report)
            _run_after_hooks(context, run, status, result.metrics)
    return result


def _open_run(context: RunContext, planned: PlannedRun, held: ExitStack) -> RunDir:
    """The folder of the run: the one to resume, or a new one with configuration, lock file and plan. ``held`` gets the
    lock that keeps other processes out of it."""
    config = planned.config
    lock = make_lock(asdict(config), data=planned.dataset.data_digest, split=planned.dataset.split_digest,
                     weights=planned.loaded.digest if planned.loaded else None,
                     preset=preset_checksum(config.preset, context.plugins),
                     plan=planned.plan.to_json(), plugins=context.plugins)
    if planned.resumed is not None:
        held.enter_context(hold(planned.resumed))
        ensure_resumable(planned.resumed, config, lock)
        return planned.resumed
    parent = find_branch_point(config, lock)
    if context.sweep_folder is not None:
        make_folder(context.sweep_folder)
        run = RunDir(context.sweep_folder)
    else:
        run = RunDir.create(resolved_path(config.output_dir), config.name)
    held.enter_context(hold(run))
    if parent is not None:
        clone_checkpoint(parent, run)
    write_atomic(run.overrides, to_yaml(list(context.overrides)))
    write_json(run.lock, lock)
    write_json(run.plan, planned.plan.to_json())
    write_json(run.data, describe(planned.whole, config.image))
    write_atomic(run.config, to_yaml(asdict(config)))
    return run


class _LogFile(logging.FileHandler):
    """A log file that may not be written: on a full disk, the run's own error is shown, not one for each message."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def _logged(run: RunDir) -> Iterator[None]:
    """Append log messages, and the warnings of libraries, to the run's log file."""
    handler = _LogFile(run.log)
    handler.setFormatter(library_warnings.FORMATTER)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        with library_warnings.logged_by(handler):
            yield
    finally:
        log.removeHandler(handler)
        handler.close()


def _with_status(context: RunContext, planned: PlannedRun, run: RunDir, status: Status, loggers: RunLoggers,
                 ) -> Result | None:
    """Rank 0's training; ``status.json`` has its state, however it ends."""
    try:
        status.update(status=RUNNING, metric=planned.task.score)
        log.info("run %s: %s", run.path, shlex.join(context.overrides))
        context.plugins.before_run(plan=planned.plan, run_dir=run.path)
        result = _fit_and_report(context, planned, run, status, loggers)
        if result is not None:
            score = planned.task.score
            status.end(FINISHED, progress=1.0, score=result.metrics[score], score_low=result.metrics[f"{score}_low"],
                       score_high=result.metrics[f"{score}_high"])
        return result
    except (KeyboardInterrupt, StoppedError) as stop:
        context.details.print(f"Stopped. Resume it with:\n  {context.continuation(run)}", soft_wrap=True)
        _failed(context, run, status, STOPPED, "stopped by a signal", stop)
        raise StoppedError(context.resuming(run)) from stop
    except BaseException as error:
        log.exception("the run failed")
        if isinstance(error, NonFiniteLossError):
            report_divergence(context, planned, run, error)
        resume = f"resume the run:\n  {context.continuation(run)}"
        lacking = resource_error(error, resume if context.sweep_folder is None else "")  # a sweep says it once
        message = lacking.message if lacking else f"{type(error).__name__}: {error}"
        _failed(context, run, status, ERROR, message, error)
        if lacking is not None:
            raise lacking from error
        raise


def _failed(context: RunContext, run: RunDir, status: Status, state: str, message: str, error: BaseException) -> None:
    try:
        status.end(state, message, diverged=isinstance(error, NonFiniteLossError))
    except OSError:  # a full disk; without a process, the run counts as stopped
        log.exception("status.json cannot be written")
    try:
        context.plugins.on_run_error(run_dir=run.path, error=error)
    except Exception:
        log.exception("a plugin failed in sightsmith_on_run_error")


def _run_after_hooks(context: RunContext, run: RunDir, status: Status, metrics: Mapping[str, float | None]) -> None:
    """The run is finished, so a plugin that fails now only adds a warning."""
    warnings = context.plugins.after_run(run.path, metrics)
    status.warn(*warnings)
    for warning in warnings:
        context.console.print(f"warning: {warning}", soft_wrap=True)


def _fit_and_report(context: RunContext, planned: PlannedRun, run: RunDir, status: Status | None,
                    loggers: RunLoggers | None) -> Result | None:
    """Train, score, cross-validate, and on rank 0, which alone has ``status`` and ``loggers``, write bundle and report.

    Returns None if the run pauses before its end.
    """
    fitted = fit(context, planned, run, status, loggers)
    if fitted is None:
        return None
    config, task, epoch = planned.config, planned.task, fitted.best["epoch"]
    kept = best_epoch(context, planned, fitted)
    if planned.plan.folds:
        kept = _with_folds(context, planned, run, kept, epoch, partial(reporters, context, planned, status))
    warnings = [*_diverged(fitted, status), *_nothing_learnt(planned, fitted, status, kept)]
    if context.state.is_main_process:
        from sightsmith.engine.report.augmented_sheet import augmented_sheet
        from sightsmith.engine.report.report import write_report  # matplotlib: not needed to train

        save_bundle(run, task, kept.weights, kept.metrics, kept.members, kept.origin)
        add_bundle(run.lock, tensors_digest(all_tensors(run.path)))
        sections = list(kept.sections)
        if config.base_run.path is not None:
            sections.append(_old_classes(context, planned, run))
        sections += augmented_sheet(task, planned.training.train_data, planned.dataset.train, config.trainer.seed)
        with announced("Writing the report ...", context.details.print):
            write_report(run, task, planned.plan, planned.dataset, fitted.history, kept.results, kept.samples,
                         kept.metrics, epoch, kept.scores, kept.seconds, sections, [*fitted.warnings, *warnings],
                         None if kept.baseline is None else kept.baseline.line)
        if fitted.stopped_early:
            context.details.print(fitted.stopped_early, soft_wrap=True)
        for warning in warnings:
            context.console.print(f"warning: {warning}", soft_wrap=True)
        context.console.print(f"Report: {run.report / 'index.html'}", soft_wrap=True)
    return Result(run.path, kept.metrics, task.classes, context.plugins)


def _with_folds(context: RunContext, planned: PlannedRun, run: RunDir, own: KeptModel, epoch: int,
                fold_reporters: Reporters) -> KeptModel:
    """Cross-validate, and make of the folds what is planned. With a refit they have the whole schedule, so that a small
    validation split chooses nothing; otherwise as many epochs as the model that is kept, up to ``epoch``."""
    epochs = planned.config.hyper.epochs if planned.plan.refit else epoch
    found = cross_validate(context, planned, epochs, run, fold_reporters)
    context.console.print(f"Cross-validation: {found}")
    kept = own.with_cross_validation(found)
    if planned.plan.ensemble == "folds":
        return ensemble_of_folds(context, planned, kept, found.models)
    if planned.plan.ensemble == "soup":
        return soup_of_folds(context, planned, kept, found.models)
    if planned.plan.refit:
        return refit(context, planned, run, kept, found, fold_reporters)
    if validation_cases(planned.dataset) < FEW_CASES:
        return scored_by_folds(context, planned, kept, found, "validation, which chose the epoch")
    return kept


def _diverged(fitted: FittedRun, status: Status | None) -> list[str]:
    """A warning, also in the status, if the loss has risen."""
    if status is None:
        return []
    warning = divergence(fitted.history, fitted.best["epoch"])
    status.update(force=True, diverged=bool(warning))
    status.warn(*filter(None, [warning]))
    return [warning] if warning else []


def _nothing_learnt(planned: PlannedRun, fitted: FittedRun, status: Status | None, kept: KeptModel) -> list[str]:
    """A warning, also in the status, if the score is not above the baseline."""
    baseline = kept.baseline
    if status is None or baseline is None:
        return []
    status.update(force=True, baseline=baseline.score, nothing_learnt=not baseline.beaten)
    if baseline.beaten:
        return []
    reasons = likely_reasons(planned.task, planned.dataset, fitted.history, planned.plan.steps_per_epoch)
    warning = baseline.warning(planned.task.score, kept.metrics[planned.task.score], reasons,
                               folds=planned.plan.folds)
    status.warn(warning)
    return [warning]


def _old_classes(context: RunContext, planned: PlannedRun, run: RunDir) -> Section:
    """The scores of the classes that the base run knew, before and after, printed and for the report."""
    config = planned.config
    scores = forgetting.old_class_scores(
        Result.load(str(config.base_run.path), context.plugins), Result.load(run.path, context.plugins),
        config.network.renamed_classes, planned.dataset.validation, context.state.device)
    before, after = forgetting.means(scores)
    name = planned.task.class_score
    context.console.print(f"Old classes: {name} {format_metric(before)} of the base run, {format_metric(after)} "
                          f"after retraining (mean of {len(scores)} classes)")
    return forgetting.section(scores, name)
