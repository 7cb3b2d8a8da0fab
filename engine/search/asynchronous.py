"""Trials of an asynchronous tuner, in processes and on machines of its choice.

Each is registered in the sweep's folder before it begins: its number, its member and suggestion, and why it failed.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.singleton import Singleton
from hydra.types import HydraContext
from omegaconf import DictConfig

from sightsmith.core.util.errors import UserError, describe_error
from sightsmith.core.util.files import write_json
from sightsmith.core.util.reading import Damaged, read_json
from sightsmith.core.util.text import format_metric
from sightsmith.engine.pipeline.console import console
from sightsmith.engine.runs.run_dir import RUNNING, STOPPED, RunDir, read_status
from sightsmith.engine.search.budget import Budget
from sightsmith.engine.search.hydra_task import HydraTask
from sightsmith.engine.search.suggestions import ensure_valid
from sightsmith.engine.search.sweep_plan import SweepPlan
from sightsmith.engine.search.sweep_state import SweepState
from sightsmith.engine.search.trial import Trial, failure
from sightsmith.engine.search.tuner import Asked, AsynchronousTuner, Suggestion, TrialResult

PATIENCE = 60.0
"""Seconds to wait for the end of a trial's earlier process, whose engine is gone."""


class Register:
    """The trials asked for so far, in the folder ``asked`` of the sweep. Any process on any machine may add to it."""

    def __init__(self, sweep: Path) -> None:
        self._folder = sweep / "asked"

    def number(self, member: int, suggestion: Suggestion) -> int:
        """The number of the trial for ``member`` and ``suggestion``: a new one unless it has one already."""
        entry = {"member": member, **asdict(suggestion)}
        self._folder.mkdir(exist_ok=True)
        own = self._folder / f".{uuid.uuid4().hex}"
        while True:
            cards = self._cards()
            for number, card in cards.items():
                if card["asked"] == entry:
                    if "failure" in card:  # try it again
                        write_json(self._folder / f"{number}.json", {"asked": entry})
                    return number
            number = len(cards)
            try:
                # Linking is atomic, and fails if another process was faster.
                write_json(own, {"asked": entry})
                os.link(own, self._folder / f"{number}.json")
                return number
            except FileExistsError:
                continue
            finally:
                own.unlink(missing_ok=True)

    def fail(self, number: int, error: Exception) -> None:
        path = self._folder / f"{number}.json"
        card = read_json(path, {"asked": dict})
        write_json(path, card | {"failure": describe_error(error), "user_error": isinstance(error, UserError)})

    def failures(self) -> dict[int, Exception]:
        return {number: UserError(card["failure"]) if card["user_error"] else RuntimeError(card["failure"])
                for number, card in self._cards().items() if "failure" in card}

    def trials(self, plan: SweepPlan) -> list[tuple[int, Trial]]:
        """Every trial asked for, in order, with its member."""
        sweep = self._folder.parent
        found = []
        for number, card in self._cards().items():
            entry = dict(card["asked"])
            try:
                member, suggestion = entry.pop("member"), Suggestion(**entry)
            except (KeyError, TypeError) as error:
                raise Damaged(self._folder / f"{number}.json", f"it is not that of a trial: {error}") from error
            found.append((member, Trial(sweep, number, plan.overrides(suggestion, sweep), suggestion)))
        return found

    def _cards(self) -> Mapping[int, dict[str, Any]]:
        return {int(path.stem): read_json(path, {"asked": dict})
                for path in sorted(self._folder.glob("[0-9]*.json"), key=lambda path: int(path.stem))}


def run_asynchronously(tuner: AsynchronousTuner, state: SweepState, budget: Budget, train: TrainHere) -> None:
    """Run the trials on the engine of ``tuner``. Raises FailedRunsError for too many failures."""
    register, seconds, started = Register(state.folder), state.seconds, time.monotonic()

    def on_trial_end(number: int) -> bool:
        _, trial = register.trials(state.plan)[number]
        score = trial.score
        said = "failed" if score is None else f"{state.metric} {format_metric(score)}"
        console().print(f"{trial.line(state.plan)}: {said}", soft_wrap=True)
        state.seconds = seconds + time.monotonic() - started
        state.save()
        state.failures = register.failures()
        return not budget.spent(state.seconds) and not budget.too_many(len(state.failures), tuner.runs)

    scratch = state.folder / ".engine"
    shutil.rmtree(scratch, ignore_errors=True)  # left by a search that was killed
    scratch.mkdir()
    try:
        tuner.run(train, earlier_trials(register, state.plan), on_trial_end, scratch)
    finally:
        state.trials = [trial for _, trial in register.trials(state.plan)]
        state.failures = register.failures()
        shutil.rmtree(scratch, ignore_errors=True)
    if budget.too_many(len(state.failures), tuner.runs):
        raise state.failed_runs(budget.max_failure_rate)


def earlier_trials(register: Register, plan: SweepPlan) -> list[Asked]:
    """What a resumed search has already asked for."""
    return [Asked(trial.number, member, trial.suggestion, trial.done()) for member, trial in register.trials(plan)]


@dataclass(frozen=True)
class TrainHere:
    """Runs a trial in the process that calls it. See :data:`sightsmith.engine.search.tuner.Train`."""

    plan: SweepPlan
    sweep: Path
    config: DictConfig
    context: HydraContext
    task_function: HydraTask
    singletons: Any

    def __call__(self, member: int, suggestion: Suggestion) -> TrialResult:
        record = self.task_function.plugins.tuner(self.config.tuner.name)
        ensure_valid([suggestion], self.plan.space, record)
        register = Register(self.sweep)
        number = register.number(member, suggestion)
        trial = Trial(self.sweep, number, self.plan.overrides(suggestion, self.sweep), suggestion)
        if not trial.done():
            _reclaim(trial.folder)
            Singleton.set_state(self.singletons)
            launcher = BasicLauncher()
            launcher.setup(hydra_context=self.context, task_function=self.task_function, config=self.config)
            [result] = launcher.launch([trial.launch_overrides()], initial_job_idx=number)
            if error := failure(result):
                register.fail(number, error)
        return TrialResult(number, suggestion, trial.score)


def _reclaim(run: RunDir) -> None:
    """Wait until the process that last trained ``run`` has ended; mark the run as stopped if its machine was lost."""
    deadline = time.monotonic() + PATIENCE
    while run.status.is_file() and (status := read_status(run))["status"] == RUNNING:
        if status.get("host") != socket.gethostname():
            write_json(run.status, status | {"status": STOPPED, "message": "its machine was lost"})
        elif time.monotonic() > deadline:
            return  # resuming it will report that it is still running
        else:
            time.sleep(0.2)
