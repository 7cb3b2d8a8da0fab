"""Runs of a sweep that an asynchronous tuner makes, in processes and on machines of its choice.

Each is noted in the sweep's folder as soon as it is asked for: its number, for whom, and why it failed if it did.
"""

from __future__ import annotations

import json
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

from sightsmith.core.contracts.tuner import Asked, AsynchronousTuner, Suggestion, TrialResult
from sightsmith.core.util.console import console
from sightsmith.core.util.errors import UserError, describe_error
from sightsmith.core.util.files import write_json
from sightsmith.core.util.text import format_metric
from sightsmith.engine.runs.run_dir import RUNNING, STOPPED, RunDir, read_status
from sightsmith.engine.search.budget import Budget
from sightsmith.engine.search.hydra_task import HydraTask
from sightsmith.engine.search.sweep_plan import SweepPlan
from sightsmith.engine.search.sweep_state import SweepState
from sightsmith.engine.search.trial import Trial, failure

PATIENCE = 60.0
"""Seconds that a run's earlier process, whose engine is gone, has to end."""


class Register:
    """What has been asked for, in ``asked`` of the sweep's folder: any process on any machine may add to it."""

    def __init__(self, sweep: Path) -> None:
        self._folder = sweep / "asked"

    def number(self, member: int, suggestion: Suggestion) -> int:
        """That of the run of ``member`` and ``suggestion``: the one that it has, or the next."""
        wanted = {"member": member, **asdict(suggestion)}
        self._folder.mkdir(exist_ok=True)
        own = self._folder / f".{uuid.uuid4().hex}"
        while True:
            cards = self._cards()
            for number, card in cards.items():
                if card["asked"] == wanted:
                    if "failure" in card:  # it is tried again
                        write_json(self._folder / f"{number}.json", {"asked": wanted})
                    return number
            number = len(cards)
            try:
                # A link is made as a whole or, where another process was faster, not at all.
                write_json(own, {"asked": wanted})
                os.link(own, self._folder / f"{number}.json")
                return number
            except FileExistsError:
                continue
            finally:
                own.unlink(missing_ok=True)

    def fail(self, number: int, error: Exception) -> None:
        path = self._folder / f"{number}.json"
        card = json.loads(path.read_text())
        write_json(path, card | {"failure": describe_error(error), "mistake": isinstance(error, UserError)})

    def failures(self) -> dict[int, Exception]:
        return {number: UserError(card["failure"]) if card["mistake"] else RuntimeError(card["failure"])
                for number, card in self._cards().items() if "failure" in card}

    def runs(self, plan: SweepPlan) -> list[tuple[int, Trial]]:
        """Of all that was asked for, in order, the member and the run."""
        sweep = self._folder.parent
        found = []
        for number, card in self._cards().items():
            asked = dict(card["asked"])
            member, suggestion = asked.pop("member"), Suggestion(**asked)
            found.append((member, Trial(sweep, number, plan.overrides(suggestion, sweep), suggestion)))
        return found

    def _cards(self) -> Mapping[int, dict[str, Any]]:
        return {int(path.stem): json.loads(path.read_text())
                for path in sorted(self._folder.glob("[0-9]*.json"), key=lambda path: int(path.stem))}


def run_asynchronously(tuner: AsynchronousTuner, state: SweepState, budget: Budget, train: TrainHere) -> None:
    """Have ``tuner`` make the trials on its own engine. Raises FailedRunsError for too many failures."""
    register, seconds, begun = Register(state.folder), state.seconds, time.monotonic()

    def heard(number: int) -> bool:
        _, trial = register.runs(state.plan)[number]
        score = trial.score
        console().print(f"{trial.line(state.plan)}: {'failed' if score is None else format_metric(score)}",
                        soft_wrap=True)
        state.seconds = seconds + time.monotonic() - begun
        state.save()
        state.failures = register.failures()
        return not budget.spent(state.seconds) and not budget.too_many(len(state.failures), tuner.runs)

    scratch = state.folder / ".engine"
    shutil.rmtree(scratch, ignore_errors=True)  # of one that was killed
    scratch.mkdir()
    try:
        tuner.run(train, asked(register, state.plan), heard, scratch)
    finally:
        state.trials = [trial for _, trial in register.runs(state.plan)]
        state.failures = register.failures()
        shutil.rmtree(scratch, ignore_errors=True)
    if budget.too_many(len(state.failures), tuner.runs):
        raise state.failed_runs(budget.max_failure_rate)


def asked(register: Register, plan: SweepPlan) -> list[Asked]:
    """For the tuner of a search that goes on."""
    return [Asked(run.number, member, run.suggestion, run.done()) for member, run in register.runs(plan)]


@dataclass(frozen=True)
class TrainHere:
    """Makes a run in the process that calls it. See :data:`sightsmith.core.contracts.tuner.Train`."""

    plan: SweepPlan
    sweep: Path
    config: DictConfig
    context: HydraContext
    task_function: HydraTask
    singletons: Any

    def __call__(self, member: int, suggestion: Suggestion) -> TrialResult:
        register = Register(self.sweep)
        number = register.number(member, suggestion)
        run = Trial(self.sweep, number, self.plan.overrides(suggestion, self.sweep), suggestion)
        if not run.done():
            _take_back(run.folder)
            Singleton.set_state(self.singletons)
            launcher = BasicLauncher()
            launcher.setup(hydra_context=self.context, task_function=self.task_function, config=self.config)
            [result] = launcher.launch([run.launch_overrides()], initial_job_idx=number)
            if error := failure(result):
                register.fail(number, error)
        return TrialResult(number, suggestion, run.score)


def _take_back(run: RunDir) -> None:
    """Have ``run``, which the engine has given to this process, read as stopped, whatever machine it was on."""
    deadline = time.monotonic() + PATIENCE
    while run.status.is_file() and (status := read_status(run))["status"] == RUNNING:
        if status["host"] != socket.gethostname():
            write_json(run.status, status | {"status": STOPPED, "message": "its machine was lost"})
        elif time.monotonic() > deadline:
            return  # it will be said that it is still running
        else:
            time.sleep(0.2)
