"""A sweep: many runs, by the Hydra launcher that is chosen. A tuner decides which; by hand they are all combinations.

A run that fails stops no other. A sweep that was cut short goes on: finished runs are kept, started ones resumed.
"""

from __future__ import annotations

import json
import shlex
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins as HydraPlugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, flag_override

from sightsmith.core.compose import resolve, without_hydra
from sightsmith.core.errors import FailedRunsError, StoppedError, UserError
from sightsmith.core.files import write_json
from sightsmith.core.plugins import load_plugins
from sightsmith.core.progress import console
from sightsmith.core.rundir import ERROR, FINISHED, WAITING, RunFolder, read_status
from sightsmith.core.sweep_plan import SweepPlan, parallel, quoted
from sightsmith.core.sweep_report import SweepRow, best_row, summary, write_sweep_report
from sightsmith.core.tuner import Proposal, Scored

CARD, PROGRESS = "sweep.json", "progress.json"
RESUME = "trainer.resume"
FREE = (RESUME, "tuner.time_budget", "tuner.max_failure_rate")
"""What may be typed otherwise when a sweep goes on."""

SERIAL = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
"""Hydra's default launcher, which starts the next run whatever ended the last."""


@dataclass(frozen=True)
class Trial:
    """One run of a sweep: its number, which is its folder's name, what it is started with, and why."""

    number: int
    overrides: tuple[str, ...]
    proposal: Proposal


class Sweep:
    """The runs of one ``config``, which is what all of them have, in a folder of their own."""

    def __init__(self, config: DictConfig, context: HydraContext, task_function: TaskFunction) -> None:
        self._loader, self._config = context.config_loader, config
        self._record = load_plugins().tuner(config.tuner.name)
        given = OmegaConf.to_container(config.hydra.overrides)
        assert isinstance(given, dict)
        self._given = [text for text in (*given["task"], *given["hydra"])
                       if not text.lstrip("+").startswith((RESUME, "hydra.mode="))]
        self._pass_on("hydra.mode=MULTIRUN")  # also to runs whose own tuner does not ask for it
        self._launcher: Launcher = HydraPlugins.instance().instantiate_launcher(
            hydra_context=context, task_function=task_function, config=config)
        self._trials: list[Trial] = []
        self._failures: dict[int, Exception] = {}
        self._seconds = 0.0
        self._told: list[list[float | None]] = []
        self.best: Path | None = None
        """the folder of the best run, where one is finished"""

    def run(self, overrides: list[str]) -> list[JobReturn]:
        """Run what ``overrides`` ask for. Raises UserError before the first run for a combination that cannot be
        composed or is locked; FailedRunsError after the last where some have failed; StoppedError."""
        parsed = OverridesParser.create(config_loader=self._loader).parse_overrides(overrides)
        resume = next((str(item.value()) for item in parsed if item.key_or_group == RESUME), "false")
        parsed = [item for item in parsed if item.key_or_group not in FREE]
        given = [str(item.input_line) for item in parsed]
        folder = self._folder(resume, given)
        if (folder / CARD).exists():
            plan = SweepPlan.from_json(json.loads((folder / CARD).read_text())["plan"])
        elif self._record.searches:
            plan = SweepPlan.searched(parsed, self._config, self._loader, self._record)
        else:
            plan = SweepPlan.by_hand(parsed)
        tuner = plan.tuner(self._config, self._record)
        if self._record.searches:
            console().print(plan.table(self._record, tuner, parallel(self._config)))
        first = self._numbered(plan, tuner.ask(), folder)
        self._refuse(first)
        if self._record.searches:
            self._refuse(self._numbered(plan, plan.probes(), folder))
        if self._config.trainer.dry_run:
            return [] if self._record.searches else [
                result for trial in first
                for result in self._launcher.launch([list(trial.overrides)], initial_job_idx=trial.number)]
        if not (folder / CARD).exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / CARD, {"given": given, "plan": plan.to_json()})
        return self._go(plan, folder)

    def _go(self, plan: SweepPlan, folder: Path) -> list[JobReturn]:
        tuner = plan.tuner(self._config, self._record)
        progress = _read(folder / PROGRESS) or {"seconds": 0.0, "told": []}
        self._seconds, self._told = progress["seconds"], progress["told"]
        returns: list[JobReturn] = []
        scores: list[list[float | None]] = []
        try:
            while proposals := tuner.ask():
                trials = self._numbered(plan, proposals, folder)
                if len(scores) > len(self._told):
                    # What more was asked for after is not told otherwise later, whatever a second try would give.
                    self._told = list(scores)
                    self._note(folder)
                self._trials += trials
                if len(scores) == len(self._told):
                    returns += self._launch(plan, folder, trials)
                    if self._spent():
                        break
                    found = [_score(folder, trial) for trial in trials]
                    if any(score is not None for score in found):
                        self._forget(folder, self._trials[:-len(trials)])
                else:
                    found = self._told[len(scores)]
                tuner.tell([Scored(trial.number, trial.proposal, score)
                            for trial, score in zip(trials, found, strict=True)])
                scores.append(found)
            returns += self._finish_best(plan, folder)
        except (StoppedError, KeyboardInterrupt):
            console().print(f"The sweep is stopped. Go on with:\n  {self._continuation(folder)}")
            raise
        finally:
            rows = [self._row(folder, trial) for trial in self._trials]
            write_sweep_report(folder, plan, rows)
            console().print(summary(folder, plan, rows))
        best = best_row(rows)
        if best is not None and best.status["status"] == FINISHED:
            self.best = folder / str(best.number)
            console().print(f"Best: {self.best}")
        if self._failures:
            failed = self._failed(folder)
            if self.best is None or not self._record.searches:
                raise failed
            console().print(f"warning: {failed}", soft_wrap=True, markup=False)
        return returns

    # -- the folder

    def _folder(self, resume: str, given: list[str]) -> Path:
        """The sweep's folder: a new one, or that of the sweep to go on with."""
        folder = Path(self._config.hydra.sweep.dir).expanduser().resolve()
        if resume.lower() == "false":
            if (folder / CARD).exists():
                raise UserError(f"{folder} holds a sweep already", hint=f"type {RESUME}={folder} to go on with it")
        elif resume.lower() == "true":
            folder = _newest(folder.parent, given)
        else:
            folder = Path(resume).expanduser().resolve()
            if (_read(folder / CARD) or {}).get("given") != given:
                raise UserError(f"{RESUME}={resume}: {folder} is not a sweep over the same values",
                                hint=f"type what it was started with, or leave {RESUME} out")
        with flag_override(self._config, ["struct", "readonly"], [False, False]):
            self._config.hydra.sweep.dir = str(folder)
        self._pass_on(f"hydra.sweep.dir={quoted(folder)}")
        return folder

    def _note(self, folder: Path) -> None:
        write_json(folder / PROGRESS, {"seconds": self._seconds, "told": self._told})

    def _pass_on(self, override: str) -> None:
        """Have every run composed with ``override`` of Hydra's own part."""
        with flag_override(self._config, ["struct", "readonly"], [False, False]):
            self._config.hydra.overrides.hydra.append(override)

    @staticmethod
    def _forget(folder: Path, trials: Sequence[Trial]) -> None:
        """Remove the checkpoints of those that have paused: nobody will go on from them any more."""
        for trial in trials:
            if trial.proposal.epochs is not None:
                shutil.rmtree(RunFolder(folder / str(trial.number)).last.parents[1], ignore_errors=True)

    # -- a batch of runs

    def _numbered(self, plan: SweepPlan, proposals: Sequence[Proposal], folder: Path) -> list[Trial]:
        return [Trial(number, plan.overrides(proposal, folder), proposal)
                for number, proposal in enumerate(proposals, len(self._trials))]

    def _refuse(self, trials: Sequence[Trial]) -> None:
        for trial in trials:
            resolve(*without_hydra(self._loader.load_sweep_config(self._config, list(trial.overrides))))

    def _launch(self, plan: SweepPlan, folder: Path, trials: Sequence[Trial]) -> list[JobReturn]:
        """Run what of ``trials`` is not done, until the time is spent."""
        returns: list[JobReturn] = []
        breaks: Counter[int] = Counter()
        left = [trial for trial in trials if not _done(trial, _status(folder, trial))]
        while left and not self._spent():
            batch = self._batch(left)
            for trial in batch:
                console().print(_line(plan, trial), soft_wrap=True)
            begun = time.monotonic()
            try:
                done = self._launcher.launch([_started(folder, trial) for trial in batch],
                                             initial_job_idx=batch[0].number)
            except (KeyboardInterrupt, StoppedError):
                raise
            except Exception as error:
                # A launcher's own: joblib's pool breaks when one of its processes is killed, and all that were under
                # way with it. They resume; one that is under way at a second break has broken it.
                under_way = [trial for trial in batch for status in [_status(folder, trial)]
                             if not _done(trial, status) and status["status"] != WAITING]
                if not under_way:
                    raise
                breaks.update(trial.number for trial in under_way)
                self._failures |= {trial.number: error for trial in under_way if breaks[trial.number] > 1}
                left = [trial for trial in left if trial.number not in self._failures
                        and not _done(trial, _status(folder, trial))]
            else:
                for trial, result in zip(batch, done, strict=True):
                    if failure := _failure(result):
                        self._failures[trial.number] = failure
                returns += done
                left = left[len(batch):]
            self._seconds += time.monotonic() - begun
            self._note(folder)
            if self._record.searches and len(self._failures) > self._most_failures():
                raise self._failed(folder)
        return returns

    def _batch(self, left: Sequence[Trial]) -> list[Trial]:
        """The first of ``left`` that can be launched together: of consecutive numbers, as launchers count; one alone
        where they run one after the other, so that a stop is a stop, and as many as run at a time where time is
        limited."""
        serial = self._config.hydra.launcher._target_ == SERIAL
        most = 1 if serial else len(left) if self._config.tuner.time_budget is None else parallel(self._config)
        return [trial for place, trial in enumerate(left[:most]) if trial.number == left[0].number + place]

    def _spent(self) -> bool:
        budget = self._config.tuner.time_budget
        return budget is not None and self._seconds >= 3600 * budget

    def _most_failures(self) -> float:
        return float(self._config.tuner.max_failure_rate * len(self._trials))

    def _finish_best(self, plan: SweepPlan, folder: Path) -> list[JobReturn]:
        """Train the best run of a search to its end, where it has paused."""
        scored = [(score, finished, trial.number, trial) for trial in self._trials
                  for finished in [_status(folder, trial)["status"] == FINISHED]
                  if (score := _score(folder, trial)) is not None
                  and (finished or RunFolder(folder / str(trial.number)).last.is_file())]
        if not self._record.searches or not scored:
            return []
        _, finished, _, best = max(scored, key=lambda item: item[:3])
        if finished:
            return []
        whole = Trial(best.number, plan.overrides(Proposal(best.proposal.values), folder), best.proposal)
        return list(self._launcher.launch([_started(folder, whole)], initial_job_idx=best.number))

    # -- what is said

    def _row(self, folder: Path, trial: Trial) -> SweepRow:
        status = _status(folder, trial)
        if trial.number in self._failures:
            status |= {"status": ERROR, "message": _said(self._failures[trial.number])}
        return SweepRow(trial.number, trial.proposal, status)

    def _failed(self, folder: Path) -> FailedRunsError:
        mistakes = all(isinstance(error, UserError) for error in self._failures.values())
        rate = self._config.tuner.max_failure_rate
        stopped = (f"More than tuner.max_failure_rate={rate:g} of the runs, so the search stops.\n"
                   if self._record.searches and len(self._failures) > self._most_failures() else "")
        return FailedRunsError(
            f"{len(self._failures)} of {len(self._trials)} runs failed:\n{_by_reason(self._failures)}\n"
            f"{stopped}Try these again with:\n  {self._continuation(folder)}", exit_code=2 if mistakes else 1)

    def _continuation(self, folder: Path) -> str:
        multirun = [] if self._record.searches else ["--multirun"]
        return shlex.join(["sightsmith", "train", *multirun, *self._given, f"{RESUME}={folder}"])


def _line(plan: SweepPlan, trial: Trial) -> str:
    parent = trial.proposal.parent
    whence = "" if parent is None else f", on from run {parent}"
    return f"run {trial.number}{whence}: " + " ".join(
        axis.override(trial.proposal.values[axis.name]) for axis in plan.space)


def _started(folder: Path, trial: Trial) -> list[str]:
    run = RunFolder(folder / str(trial.number))
    return [*trial.overrides, *([f"{RESUME}={quoted(run.path)}"] if run.config.is_file() else [])]


def _status(folder: Path, trial: Trial) -> dict[str, Any]:
    run = RunFolder(folder / str(trial.number))
    return read_status(run) if run.status.is_file() else {"status": WAITING}


def _done(trial: Trial, status: Mapping[str, Any]) -> bool:
    """Whether the run is at its end, or where it was to pause."""
    return status["status"] == FINISHED or trial.proposal.epochs is not None and bool(status.get("paused"))


def _score(folder: Path, trial: Trial) -> float | None:
    status = _status(folder, trial)
    return status.get("score") if _done(trial, status) else None


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _newest(output_dir: Path, given: list[str]) -> Path:
    for path in sorted(output_dir.glob(f"*/{CARD}"), reverse=True):
        if (_read(path) or {}).get("given") == given:
            return path.parent
    raise UserError(f"{RESUME}=true: {output_dir} holds no sweep over the same values",
                    hint=f"leave {RESUME} out to start, or name the sweep's folder")


def _failure(result: JobReturn) -> Exception | None:
    """Why a run failed, if it did. Raises StoppedError where it was stopped: that is meant for the whole sweep."""
    try:
        _ = result.return_value
    except StoppedError:
        raise
    except Exception as error:  # whatever ended the run, the others go on
        return error
    return None


def _said(error: Exception) -> str:
    return error.text() if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


def _by_reason(failures: Mapping[int, Exception]) -> str:
    """Each reason once, with the runs that failed for it."""
    numbers: dict[str, list[int]] = {}
    for number, error in failures.items():
        numbers.setdefault(_said(error), []).append(number)
    return "\n".join(indent(f"run {', '.join(map(str, those))}: {reason}", "  ") for reason, those in numbers.items())
