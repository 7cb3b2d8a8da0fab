"""Installed as ``hydra_plugins.sightsmith``, because Hydra loads sweepers only from that package. The code is in
:mod:`sightsmith.engine.search.sweep`."""

from __future__ import annotations

from collections.abc import Mapping

from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class SightsmithSweeper(Sweeper):
    """Runs ``--multirun``. ``params`` are additional overrides, as in Hydra's own sweeper."""

    def __init__(self, params: Mapping[str, str]) -> None:
        self._params = params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._context, self._task_function, self._config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> list[JobReturn]:
        from sightsmith.engine.search.sweep import run_sweep

        overrides = [*(f"{key}={value}" for key, value in self._params.items()), *arguments]
        return run_sweep(self._config, self._context, self._task_function, overrides).returns
