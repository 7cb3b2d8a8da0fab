"""Hydra's launchers, as a sweep uses them: a failed trial stops no other, an interrupted one resumes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from hydra.core.plugins import Plugins as HydraPlugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig

from sightsmith.core.util.errors import StoppedError
from sightsmith.engine.pipeline.console import console
from sightsmith.engine.runs.run_dir import WAITING
from sightsmith.engine.search.budget import Budget
from sightsmith.engine.search.hydra_task import HydraTask
from sightsmith.engine.search.sweep_plan import parallel
from sightsmith.engine.search.sweep_state import SweepState
from sightsmith.engine.search.trial import Trial, failure

SERIAL = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
"""Hydra's default launcher, which starts the next run however the last one ended."""


def is_serial(config: DictConfig) -> bool:
    return bool(config.hydra.launcher._target_ == SERIAL)


class TrialLauncher:
    """Starts trials with the launcher that ``config`` chooses, while ``budget`` lasts."""

    def __init__(self, config: DictConfig, context: HydraContext, task_function: HydraTask, budget: Budget) -> None:
        self._config, self.budget = config, budget
        self._launcher: Launcher = HydraPlugins.instance().instantiate_launcher(
            hydra_context=context, task_function=task_function, config=config)

    def start(self, trials: Sequence[Trial]) -> list[JobReturn]:
        """Run ``trials`` together; their numbers are consecutive."""
        return list(self._launcher.launch([trial.launch_overrides() for trial in trials],
                                          initial_job_idx=trials[0].number))

    def launch(self, trials: Sequence[Trial], state: SweepState) -> list[JobReturn]:
        """Run what is left of ``trials`` until time runs out. Raises FailedRunsError for too many failures."""
        returns: list[JobReturn] = []
        breaks: Counter[int] = Counter()
        left = [trial for trial in trials if not trial.done()]
        while left and not self.budget.spent(state.seconds):
            batch = self._batch(left)
            for trial in batch:
                console().print(trial.line(state.plan), soft_wrap=True)
            started = time.monotonic()
            try:
                done = self.start(batch)
            except (KeyboardInterrupt, StoppedError):
                raise
            except Exception as error:
                # An error of the launcher: joblib's pool breaks when one of its processes is killed, and takes down
                # all trials under way. They resume; a trial that is under way at a second break has caused it.
                under_way = [trial.number for trial in batch for status in [trial.status]
                             if not trial.done(status) and status["status"] != WAITING]
                if not under_way:
                    raise
                breaks.update(under_way)
                state.failures |= {number: error for number in under_way if breaks[number] > 1}
                left = [trial for trial in left if trial.number not in state.failures and not trial.done()]
            else:
                for trial, result in zip(batch, done, strict=True):
                    if found := failure(result):
                        state.failures[trial.number] = found
                returns += done
                left = left[len(batch):]
            state.seconds += time.monotonic() - started
            state.save()
            if self.budget.too_many(len(state.failures), len(state.trials)):
                raise state.failed_runs(self.budget.max_failure_rate)
        return returns

    def _batch(self, left: Sequence[Trial]) -> list[Trial]:
        """The first of ``left`` that can be launched together.

        Launchers number jobs consecutively, so the trials must be consecutive. A serial launcher gets one at a time, so
        that a stop ends the sweep; with a time limit, others get as many as run at a time.
        """
        limit = 1 if is_serial(self._config) else len(left) if self.budget.hours is None else parallel(self._config)
        return [trial for place, trial in enumerate(left[:limit]) if trial.number == left[0].number + place]
