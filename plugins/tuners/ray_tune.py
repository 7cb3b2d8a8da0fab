"""Asynchronous searches on Ray Tune: Ray schedules the runs on this machine or a cluster.

A Ray trial is a member of the search, and each of its reports is a run. A checkpoint is only the number of a run
folder, so weights never pass through Ray. Ray's own files are deleted at the end, and an interrupted search resumes
from its run folders, since Ray would unpickle its state.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sightsmith.plugin import Asked, AsynchronousTuner, SearchSpace, Train, UserError, Value
from sightsmith.plugins.tuners.halving import factor_of
from sightsmith.plugins.tuners.pbt import Exploration

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

MAX_FAILURES = 5
"""Lost processes or machines per member before the search fails."""
OBJECT_STORE = 100 * 2**20
"""Bytes; little data passes through Ray."""


class RayTuner(AsynchronousTuner):
    """A search by one of Ray Tune's schedulers."""

    def __init__(self, search: SearchSpace) -> None:
        super().__init__(search)
        # Ray reads these when it is imported. No usage statistics are sent.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # the new one cannot be silenced
        os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
        os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")  # the sweep handles Ctrl-C
        os.environ.setdefault("TUNE_FORCE_TRIAL_CLEANUP_S", "10")  # interrupted trials resume from their checkpoints
        try:
            import ray.tune  # noqa: F401 - only checks that it is installed
        except ImportError as error:
            raise UserError("This tuner needs Ray, which is not installed.",
                            hint="pip install 'sightsmith[ray]'") from error

    replaced: bool
    """whether a failed member can copy another one"""

    @property
    @abstractmethod
    def ends(self) -> Sequence[int]:
        """The epochs after which a member reports; the last is the end of the training."""

    @abstractmethod
    def starts(self, earlier: Sequence[Asked]) -> list[dict[str, Any]]:
        """The start of each member: ``values``, and the ``run`` and ``epoch`` to continue from."""

    @abstractmethod
    def scheduler(self) -> TrialScheduler:
        """The scheduler that decides which members continue, and with which values."""

    @property
    def at_once(self) -> int:
        return max(int(min(self._cluster.get(kind, 0) / number for kind, number in self._resources.items())), 1)

    @cached_property
    def _cluster(self) -> Mapping[str, float]:
        """The resources of the cluster; Ray is started here if none is configured."""
        import ray

        address = self.search.options["address"] or os.environ.get("RAY_ADDRESS") or None
        if not ray.is_initialized():
            local = {} if address else {"include_dashboard": False, "object_store_memory": OBJECT_STORE}
            try:
                ray.init(address=address, log_to_driver=False, logging_level="ERROR", **local)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise UserError(f"tuner.options.address={address}: no Ray cluster answers: {error}",
                                hint="start one with `ray start --head`, or remove the option to run on this machine"
                                ) from error
        return ray.cluster_resources()

    @cached_property
    def _resources(self) -> dict[str, float]:
        """The resources of one run."""
        cpus = self.search.options["cpus"]
        gpus = self._cluster.get("GPU", 0)
        if not gpus:
            return {"CPU": cpus or 1}
        share = max(int(self._cluster.get("CPU", 1) * self.search.devices / gpus), 1)
        return {"CPU": cpus or share, "GPU": self.search.devices}

    def run(self, train: Train, earlier: Sequence[Asked], on_finished: Callable[[int], bool], scratch: Path) -> None:
        import ray
        from ray import tune

        from sightsmith.plugins.tuners.ray_member import SCORE, Ender, Listener, Member

        listener = Listener(on_finished)
        resources = {kind.lower(): number for kind, number in self._resources.items()}
        try:
            tune.Tuner(
                tune.with_resources(tune.with_parameters(
                    Member, train=train, ends=list(self.ends), replaced=self.replaced), resources),
                param_space={"start": tune.grid_search(self.starts(earlier))},
                tune_config=tune.TuneConfig(metric=SCORE, mode="max", scheduler=self.scheduler(), reuse_actors=True),
                run_config=tune.RunConfig(
                    name="ray", storage_path=str(scratch), verbose=0, stop=Ender(listener), callbacks=[listener],
                    failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1))).fit()
        finally:
            ray.shutdown()


class RayPopulation(RayTuner):
    """Population based training (Jaderberg et al. 2017) without generations: when a member finishes a step, it is
    compared with the latest results of the others, and copies one of the best at once."""

    replaced = True

    def __init__(self, search: SearchSpace) -> None:
        super().__init__(search)
        self._exploration = Exploration(search)

    @property
    def runs(self) -> int:
        return self.search.trials * len(self.ends)

    @property
    def ends(self) -> Sequence[int]:
        return self._exploration.ends

    def starts(self, earlier: Sequence[Asked]) -> list[dict[str, Any]]:
        starts = [_start(values) for values in self._exploration.starts()]
        reached = {asked.number: asked.suggestion.epochs or self.search.epochs for asked in earlier}
        for asked in earlier:  # the last one per member counts; one that was to finish is repeated
            run = asked.number if asked.done and asked.suggestion.epochs is not None else asked.suggestion.parent
            starts[asked.member] = _start(asked.suggestion.values, run, 0 if run is None else reached[run])
        return starts

    def scheduler(self) -> TrialScheduler:
        from ray.tune.schedulers import PopulationBasedTraining

        from sightsmith.plugins.tuners.ray_member import EPOCH

        return PopulationBasedTraining(
            time_attr=EPOCH, perturbation_interval=1, quantile_fraction=self.search.options["quantile"],
            custom_explore_fn=self._explore, log_config=False)

    def _explore(self, config: dict[str, Any]) -> dict[str, Any]:
        start = config["start"]
        return {**config, "start": {**start, "values": self._exploration.explore(start["values"])}}


class RayHalving(RayTuner):
    """Asynchronous successive halving (Li et al. 2020): a run that finishes a rung continues at once if it is among
    the best so far. The rungs are those of successive halving."""

    replaced = False

    def __init__(self, search: SearchSpace) -> None:
        super().__init__(search)
        self._factor = factor_of(search)

    @property
    def epochs(self) -> int:
        """As in successive halving; there can be more, as runs do not wait for better ones."""
        before = [0, *self.ends]
        return sum(self._surviving(rung) * (end - before[rung]) for rung, end in enumerate(self.ends))

    @property
    def runs(self) -> int:
        return sum(self._surviving(rung) for rung in range(len(self.ends)))

    def _surviving(self, rung: int) -> int:
        return max(self.search.trials // self._factor**rung, 1)

    @property
    def ends(self) -> Sequence[int]:
        rungs = 0
        while self._factor ** (rungs + 1) <= min(self.search.trials, self.search.epochs):
            rungs += 1
        first = self.search.epochs // self._factor**rungs
        return [*(first * self._factor**rung for rung in range(rungs)), self.search.epochs]

    def starts(self, earlier: Sequence[Asked]) -> list[dict[str, Any]]:
        # Earlier runs are requested again and return at once, which refills the rungs.
        generator = np.random.default_rng(self.search.seed)
        return [_start(self.search.sample(generator)) for _ in range(self.search.trials)]

    def scheduler(self) -> TrialScheduler:
        from ray.tune.schedulers import ASHAScheduler

        from sightsmith.plugins.tuners.ray_member import EPOCH

        return ASHAScheduler(time_attr=EPOCH, max_t=self.search.epochs, grace_period=self.ends[0],
                             reduction_factor=self._factor)


def _start(values: Mapping[str, Value], run: int | None = None, epoch: int = 0) -> dict[str, Any]:
    return {"values": dict(values), "run": run, "epoch": epoch}
