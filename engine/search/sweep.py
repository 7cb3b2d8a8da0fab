"""A sweep: many runs, by the Hydra launcher that is chosen or, where a tuner has one of its own, its engine. A tuner
decides which; by hand they are all combinations.

A run that fails stops no other. A sweep that was cut short goes on: finished runs are kept, started ones resumed.
"""

from __future__ import annotations

import json
import shlex
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import indent
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins as HydraPlugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, flag_override

from sightsmith.core.config.compose import resolve, without_hydra
from sightsmith.core.contracts.tuner import AsynchronousTuner, Suggestion, TrialResult, Tuner
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.console import console
from sightsmith.core.util.errors import FailedRunsError, StoppedError, UserError, describe_error
from sightsmith.core.util.files import ensure_writable, make_folder, write_json
from sightsmith.core.util.text import format_metric
from sightsmith.engine.runs.run_dir import ERROR, FINISHED, WAITING
from sightsmith.engine.search.asynchronous import Register, TrainHere, asked
from sightsmith.engine.search.sweep_plan import SweepPlan, parallel, quoted
from sightsmith.engine.search.sweep_report import SweepRow, best_row, summary, write_sweep_report
from sightsmith.engine.search.trial import RESUME, Trial, failure

CARD, PROGRESS = "sweep.json", "progress.json"
SWEEP_FREE_KEYS = (RESUME, "tuner.time_budget", "tuner.max_failure_rate")
"""What may be typed otherwise when a sweep goes on."""

SERIAL = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
"""Hydra's default launcher, which starts the next run whatever ended the last."""


class Sweep:
    """The runs of one ``config``, which is what all of them have, in a folder of their own."""

    def __init__(self, config: DictConfig, context: HydraContext, task_function: TaskFunction) -> None:
        self._context, self._task_function = context, task_function
        self._loader, self._config = context.config_loader, config
        self._plugins = load_plugins()
        self._record = self._plugins.tuner(config.tuner.name)
        given = OmegaConf.to_container(config.hydra.overrides)
        assert isinstance(given, dict)
        self._given = [text for text in (*given["task"], *given["hydra"])
                       if not text.lstrip("+").startswith((RESUME, "hydra.mode="))]
        self._pass_on("hydra.mode=MULTIRUN")  # also to runs whose own tuner does not ask for it
        self._launcher: Launcher = HydraPlugins.instance().instantiate_launcher(
            hydra_context=context, task_function=task_function, config=config)
        self._runs: list[Trial] = []
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
        parsed = [item for item in parsed if item.key_or_group not in SWEEP_FREE_KEYS]
        given = [str(item.input_line) for item in parsed]
        folder = self._folder(resume, given)
        ensure_writable(folder)
        if (folder / CARD).exists():
            plan = SweepPlan.from_json(json.loads((folder / CARD).read_text())["plan"])
        elif self._record.searches:
            plan = SweepPlan.searched(parsed, self._config, self._loader, self._record)
        else:
            plan = SweepPlan.by_hand(parsed)
        tuner = plan.tuner(self._config, self._record)
        if isinstance(tuner, AsynchronousTuner) and self._config.hydra.launcher._target_ != SERIAL:
            raise UserError(f"tuner={self._record.name} makes its runs by itself, not by a launcher",
                            hint="leave hydra/launcher out")
        if self._record.searches:
            console().print(plan.table(self._record, tuner))
        first = tuner.ask() if isinstance(tuner, Tuner) else ()
        self._refuse(self._numbered(plan, first, folder))
        if self._record.searches:
            self._refuse(self._numbered(plan, plan.probes(), folder))
        if self._config.trainer.dry_run:
            return [] if self._record.searches else [
                result for run in self._numbered(plan, first, folder)
                for result in self._launcher.launch([list(run.overrides)], initial_job_idx=run.number)]
        if not (folder / CARD).exists():
            make_folder(folder)
            write_json(folder / CARD, {"given": given, "plan": plan.to_json()})
        return self._go(plan, folder, tuner, first)

    def _go(self, plan: SweepPlan, folder: Path, tuner: Tuner | AsynchronousTuner, first: Sequence[Suggestion],
            ) -> list[JobReturn]:
        progress = _read(folder / PROGRESS) or {"seconds": 0.0, "told": []}
        self._seconds, self._told = progress["seconds"], progress["told"]
        returns: list[JobReturn] = []
        try:
            if isinstance(tuner, Tuner):
                returns += self._in_batches(plan, folder, tuner, first)
            else:
                self._as_there_is_room(plan, folder, tuner)
            returns += self._finish_best(plan, folder)
            if not self._spent():  # else more time may be given
                self._forget(self._runs)
        except (StoppedError, KeyboardInterrupt):
            console().print(f"The sweep is stopped. Go on with:\n  {self._continuation(folder)}")
            raise
        finally:
            rows = [self._row(run) for run in self._runs]
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

    def _in_batches(self, plan: SweepPlan, folder: Path, tuner: Tuner, suggestions: Sequence[Suggestion],
                    ) -> list[JobReturn]:
        """Ask, launch, tell, until the tuner asks for no more."""
        returns: list[JobReturn] = []
        scores: list[list[float | None]] = []
        while suggestions:
            runs = self._numbered(plan, suggestions, folder)
            if len(scores) > len(self._told):
                # What more was asked for after is not told otherwise later, whatever a second try would give.
                self._told = list(scores)
                self._note(folder)
            self._runs += runs
            if len(scores) == len(self._told):
                returns += self._launch(plan, folder, runs)
                if self._spent():
                    break
                found = [run.score for run in runs]
                if any(score is not None for score in found):
                    self._forget(self._runs[:-len(runs)])
            else:
                found = self._told[len(scores)]
            tuner.tell([TrialResult(run.number, run.suggestion, score) for run, score in zip(runs, found, strict=True)])
            scores.append(found)
            suggestions = tuner.ask()
        return returns

    def _as_there_is_room(self, plan: SweepPlan, folder: Path, tuner: AsynchronousTuner) -> None:
        """Have the tuner make the runs on its own engine."""
        register, seconds, begun = Register(folder), self._seconds, time.monotonic()

        def heard(number: int) -> bool:
            _, run = register.runs(plan)[number]
            score = run.score
            console().print(f"{_line(plan, run)}: {'failed' if score is None else format_metric(score)}",
                            soft_wrap=True)
            self._seconds = seconds + time.monotonic() - begun
            self._note(folder)
            self._failures = register.failures()
            return not self._spent() and len(self._failures) <= self._most_failures(tuner.runs)

        train = TrainHere(plan, folder, self._config, self._context, self._task_function, Singleton.get_state())
        scratch = folder / ".engine"
        shutil.rmtree(scratch, ignore_errors=True)  # of one that was killed
        scratch.mkdir()
        try:
            tuner.run(train, asked(register, plan), heard, scratch)
        finally:
            self._runs = [run for _, run in register.runs(plan)]
            self._failures = register.failures()
            shutil.rmtree(scratch, ignore_errors=True)
        if len(self._failures) > self._most_failures(tuner.runs):
            raise self._failed(folder, stopped=True)

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
    def _forget(runs: Sequence[Trial]) -> None:
        """Remove the checkpoints of those that have paused: nobody will go on from them any more."""
        for run in runs:
            if run.suggestion.epochs is not None and run.status["status"] != FINISHED:
                shutil.rmtree(run.folder.last.parents[1], ignore_errors=True)

    # -- a batch of runs

    def _numbered(self, plan: SweepPlan, suggestions: Sequence[Suggestion], folder: Path) -> list[Trial]:
        return [Trial(folder, number, plan.overrides(suggestion, folder), suggestion)
                for number, suggestion in enumerate(suggestions, len(self._runs))]

    def _refuse(self, runs: Sequence[Trial]) -> None:
        for run in runs:
            resolve(*without_hydra(self._loader.load_sweep_config(self._config, list(run.overrides))), self._plugins)

    def _launch(self, plan: SweepPlan, folder: Path, runs: Sequence[Trial]) -> list[JobReturn]:
        """Run what of ``runs`` is not done, until the time is spent."""
        returns: list[JobReturn] = []
        breaks: Counter[int] = Counter()
        left = [run for run in runs if not run.done()]
        while left and not self._spent():
            batch = self._batch(left)
            for run in batch:
                console().print(_line(plan, run), soft_wrap=True)
            begun = time.monotonic()
            try:
                done = self._launcher.launch([run.typed() for run in batch], initial_job_idx=batch[0].number)
            except (KeyboardInterrupt, StoppedError):
                raise
            except Exception as error:
                # A launcher's own: joblib's pool breaks when one of its processes is killed, and all that were under
                # way with it. They resume; one that is under way at a second break has broken it.
                under_way = [run for run in batch for status in [run.status]
                             if not run.done(status) and status["status"] != WAITING]
                if not under_way:
                    raise
                breaks.update(run.number for run in under_way)
                self._failures |= {run.number: error for run in under_way if breaks[run.number] > 1}
                left = [run for run in left if run.number not in self._failures and not run.done()]
            else:
                for run, result in zip(batch, done, strict=True):
                    if found := failure(result):
                        self._failures[run.number] = found
                returns += done
                left = left[len(batch):]
            self._seconds += time.monotonic() - begun
            self._note(folder)
            if self._record.searches and len(self._failures) > self._most_failures(len(self._runs)):
                raise self._failed(folder, stopped=True)
        return returns

    def _batch(self, left: Sequence[Trial]) -> list[Trial]:
        """The first of ``left`` that can be launched together: of consecutive numbers, as launchers count; one alone
        where they run one after the other, so that a stop is a stop, and as many as run at a time where time is
        limited."""
        serial = self._config.hydra.launcher._target_ == SERIAL
        most = 1 if serial else len(left) if self._config.tuner.time_budget is None else parallel(self._config)
        return [run for place, run in enumerate(left[:most]) if run.number == left[0].number + place]

    def _spent(self) -> bool:
        budget = self._config.tuner.time_budget
        return budget is not None and self._seconds >= 3600 * budget

    def _most_failures(self, runs: int) -> float:
        return float(self._config.tuner.max_failure_rate * runs)

    def _finish_best(self, plan: SweepPlan, folder: Path) -> list[JobReturn]:
        """Train the best run of a search to its end, where it has paused."""
        scored = [(score, finished, run.number, run) for run in self._runs
                  for finished in [run.status["status"] == FINISHED]
                  if (score := run.score) is not None and (finished or run.folder.last.is_file())]
        if not self._record.searches or not scored:
            return []
        _, finished, _, best = max(scored, key=lambda item: item[:3])
        if finished:
            return []
        whole = Trial(folder, best.number, plan.overrides(Suggestion(best.suggestion.values), folder), best.suggestion)
        return list(self._launcher.launch([whole.typed()], initial_job_idx=best.number))

    # -- what is said

    def _row(self, run: Trial) -> SweepRow:
        status = run.status
        if run.number in self._failures:
            status |= {"status": ERROR, "message": describe_error(self._failures[run.number])}
        return SweepRow(run.number, run.suggestion, status)

    def _failed(self, folder: Path, *, stopped: bool = False) -> FailedRunsError:
        mistakes = all(isinstance(error, UserError) for error in self._failures.values())
        rate = self._config.tuner.max_failure_rate
        why = f"More than tuner.max_failure_rate={rate:g} of the runs, so the search stops.\n" if stopped else ""
        return FailedRunsError(
            f"{len(self._failures)} of {len(self._runs)} runs failed:\n{_by_reason(self._failures)}\n"
            f"{why}Try these again with:\n  {self._continuation(folder)}", exit_code=2 if mistakes else 1)

    def _continuation(self, folder: Path) -> str:
        multirun = [] if self._record.searches else ["--multirun"]
        return shlex.join(["sightsmith", "train", *multirun, *self._given, f"{RESUME}={folder}"])


def _line(plan: SweepPlan, run: Trial) -> str:
    parent = run.suggestion.parent
    whence = "" if parent is None else f", on from run {parent}"
    return f"run {run.number}{whence}: " + " ".join(
        parameter.override(run.suggestion.values[parameter.name]) for parameter in plan.space)


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


def _by_reason(failures: Mapping[int, Exception]) -> str:
    """Each reason once, with the runs that failed for it."""
    numbers: dict[str, list[int]] = {}
    for number, error in failures.items():
        numbers.setdefault(describe_error(error), []).append(number)
    return "\n".join(indent(f"run {', '.join(map(str, those))}: {reason}", "  ") for reason, those in numbers.items())
