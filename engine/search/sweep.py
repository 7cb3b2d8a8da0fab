"""A sweep: many runs, called trials, started by a Hydra launcher or by the engine of an asynchronous tuner.

A tuner chooses the trials; a manual sweep has all combinations. A trial that fails stops no other. An interrupted sweep
resumes: finished trials are kept, started ones continue.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, flag_override

from sightsmith.core.contracts.records import TunerRecord
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.errors import StoppedError, UserError
from sightsmith.core.util.files import ensure_writable, resolved_path
from sightsmith.engine.config.compose import resolve, without_hydra
from sightsmith.engine.config.literal import from_anywhere, quoted, without_interpolation
from sightsmith.engine.pipeline.console import console
from sightsmith.engine.runs.next_commands import next_lines
from sightsmith.engine.runs.run_dir import FINISHED
from sightsmith.engine.search.asynchronous import TrainHere, run_asynchronously
from sightsmith.engine.search.budget import Budget
from sightsmith.engine.search.hydra_task import HydraTask
from sightsmith.engine.search.launcher import TrialLauncher, is_serial
from sightsmith.engine.search.own_file import own_file, own_paths
from sightsmith.engine.search.scheduler import finish_best, run_batches
from sightsmith.engine.search.suggestions import ensure_valid
from sightsmith.engine.search.sweep_plan import SweepPlan
from sightsmith.engine.search.sweep_state import SweepState, discard_checkpoints, find_folder, read_plan, write_plan
from sightsmith.engine.search.sweep_table import SweepRow, best_row, summary, write_table
from sightsmith.engine.search.trial import RESUME, Trial, failure
from sightsmith.engine.search.tuner import AsynchronousTuner, Suggestion, Tuner

SWEEP_FREE_KEYS = (RESUME, "tuner.time_budget", "tuner.max_failure_rate")
"""Keys that may change when a sweep resumes."""


@dataclass(frozen=True)
class SweepResult:
    """What Hydra's launcher returned, and the folder of the best trial if one is finished."""

    returns: list[JobReturn]
    best: Path | None = None


def run_sweep(config: DictConfig, context: HydraContext, task_function: TaskFunction, overrides: Sequence[str],
              ) -> SweepResult:
    """Run the sweep of ``overrides``; ``config`` is what all trials have in common.

    Raises UserError before the first trial if a combination cannot be composed or is locked, FailedRunsError after the
    last one if some have failed, and StoppedError.
    """
    assert isinstance(task_function, HydraTask)
    plugins, loader = task_function.plugins, context.config_loader
    record = plugins.tuner(config.tuner.name)
    hydra: Any = OmegaConf.to_container(config.hydra, resolve=False)
    paths = own_paths(hydra, config, plugins)
    command = _command(hydra, [*hydra["overrides"]["task"], *paths], record, plugins)
    overrides = from_anywhere([*overrides, *paths], plugins)
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(overrides)
    resume = next((str(item.value()) for item in parsed if item.key_or_group == RESUME), "false")
    parsed = [item for item in parsed if item.key_or_group not in SWEEP_FREE_KEYS]
    lines = [str(item.input_line) for item in parsed]
    folder = find_folder(resolved_path(config.hydra.sweep.dir), resume, lines)
    ensure_writable(folder)
    _share_folder(config, folder)
    launcher = TrialLauncher(config, context, task_function, Budget.of(config, searches=record.searches))
    plan = read_plan(folder) or _plan(parsed, config, loader, record, plugins)
    tuner = plan.tuner(config, record)
    if isinstance(tuner, AsynchronousTuner) and not is_serial(config):
        raise UserError(f"tuner={record.name} starts its trials itself, so it takes no launcher",
                        hint="omit hydra/launcher")
    if record.searches:
        console().print(plan.table(record, tuner))
    first = ensure_valid(tuner.ask(), plan.space, record) if isinstance(tuner, Tuner) else ()
    resumes = [] if config.trainer.dry_run else [f"{RESUME}={folder}"]
    state = SweepState.load(folder, plan, shlex.join([*command, *resumes]),
                            _metric(plan, config, plugins))
    _ensure_composable(state.next_trials(first), config, loader, plugins)
    if record.searches:
        _ensure_composable(state.next_trials(plan.probes()), config, loader, plugins)
    if config.trainer.dry_run:
        state.trials = [] if record.searches else state.next_trials(first)
        return _dry_run(state, launcher)
    if read_plan(folder) is None:
        write_plan(state, lines)
    train = TrainHere(plan, folder, config, context, task_function, Singleton.get_state())
    return _run(state, tuner, record, first, launcher, train)


def _metric(plan: SweepPlan, config: DictConfig, plugins: Plugins) -> str:
    """The metric that the trials are compared by; they may have tasks of their own, by presets too."""
    if OmegaConf.is_missing(config.task, "name") or any(each.name == "task" for each in plan.space):
        return "score"
    return plugins.task(config.task.name).score


def _plan(parsed: Sequence[Override], config: DictConfig, loader: ConfigLoader, record: TunerRecord, plugins: Plugins,
          ) -> SweepPlan:
    if record.searches:
        return SweepPlan.searched(parsed, config, loader, record, plugins)
    return SweepPlan.by_hand(parsed)


def _command(hydra: Mapping[str, Any], overrides: Sequence[str], record: TunerRecord, plugins: Plugins) -> list[str]:
    """The command that started this sweep, as it is typed in any folder, without what resuming it adds."""
    overrides = [text for text in (*from_anywhere(overrides, plugins), *hydra["overrides"]["hydra"])
                 if not text.lstrip("+").startswith((RESUME, "hydra.mode="))]
    file = own_file(hydra)
    flags = [] if file is None else ["--config-name", str(file.with_suffix(""))]
    return ["sightsmith", "train", *flags, *([] if record.searches else ["--multirun"]), *overrides]


def _share_folder(config: DictConfig, folder: Path) -> None:
    """Make every trial compose as a part of the sweep in ``folder``."""
    with flag_override(config, ["struct", "readonly"], [False, False]):
        config.hydra.sweep.dir = without_interpolation(str(folder))
        # The mode too, because the tuner of a trial does not set it.
        config.hydra.overrides.hydra += ["hydra.mode=MULTIRUN", f"hydra.sweep.dir={quoted(folder)}"]


def _ensure_composable(trials: Sequence[Trial], config: DictConfig, loader: ConfigLoader, plugins: Plugins) -> None:
    for trial in trials:
        resolve(*without_hydra(loader.load_sweep_config(config, list(trial.overrides))), plugins)


def _dry_run(state: SweepState, launcher: TrialLauncher) -> SweepResult:
    """Plan all trials, even if some cannot be planned. Raises FailedRunsError for those."""
    returns = [result for trial in state.trials for result in launcher.start([trial])]
    state.failures |= {trial.number: found for trial, result in zip(state.trials, returns, strict=True)
                       if (found := failure(result))}
    if state.failures:
        raise state.failed_runs()
    return SweepResult(returns)


def _run(state: SweepState, tuner: Tuner | AsynchronousTuner, record: TunerRecord, first: Sequence[Suggestion],
         launcher: TrialLauncher, train: TrainHere) -> SweepResult:
    """Run all trials, and write the report however they end."""
    returns: list[JobReturn] = []
    stopped = False
    try:
        if isinstance(tuner, Tuner):
            returns += run_batches(tuner, record, first, state, launcher)
        else:
            run_asynchronously(tuner, state, launcher.budget, train)
        if record.searches:
            returns += finish_best(state, launcher)
        if not launcher.budget.spent(state.seconds):  # otherwise it may resume with more time
            discard_checkpoints(state.trials)
    except (StoppedError, KeyboardInterrupt) as stop:
        stopped = True
        raise StoppedError(shlex.split(state.continuation)[2:]) from stop
    finally:
        from sightsmith.engine.search.sweep_report import write_sweep_report  # matplotlib: only once all have ended

        rows = state.rows()
        write_table(state.folder, state.plan, rows, state.metric)
        unfinished = stopped or bool(state.failures) or launcher.budget.spent(state.seconds)
        page = write_sweep_report(state.folder, state.plan, rows, state.metric,
                                  state.continuation if unfinished else "")
        console().print(summary(state.folder, state.plan, rows, state.metric))
        console().print(f"Report: {page}", soft_wrap=True)
        if stopped:
            console().print(f"The sweep was stopped. Resume it with:\n  {state.continuation}", soft_wrap=True)
    folder = _tell_best(state.folder, rows)
    if state.failures:
        failed = state.failed_runs()
        if folder is None or not record.searches:
            raise failed
        console().print(f"warning: {failed}", soft_wrap=True)
    return SweepResult(returns, folder)


def _tell_best(sweep: Path, rows: Sequence[SweepRow]) -> Path | None:
    """Print the best trial, what must be known of it, and what can be done with it; returns its folder if it has
    finished."""
    best = best_row(rows)
    if best is None or best.status["status"] != FINISHED:
        return None
    folder, told = sweep / str(best.number), console()
    for warning in best.status.get("warnings") or ():
        told.print(f"warning: trial {best.number}: {warning}", soft_wrap=True)
    told.print(f"Best: {folder}", soft_wrap=True)
    told.print(next_lines(folder), soft_wrap=True)
    return folder
