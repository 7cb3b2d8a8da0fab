"""From a composed configuration to a run, or to the search that its tuner makes: what Hydra calls, and Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from sightsmith.core.config.compose import compose, install, resolve
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.engine.pipeline.result import Result
from sightsmith.engine.pipeline.start import start
from sightsmith.engine.search.sweep import Sweep


def run_composed(composed: DictConfig) -> float | None:
    """Hydra's task function: one run; its score."""
    with_hydra = HydraConfig.get()
    config = resolve(composed, with_hydra.runtime.choices, load_plugins())
    if load_plugins().tuner(config.tuner.name).searches:
        raise UserError(f"tuner={config.tuner.name} searches with many runs, and hydra.mode=RUN is one",
                        hint="leave hydra.mode out, or type tuner=manual")
    folder = Path(with_hydra.runtime.output_dir) if with_hydra.mode == RunMode.MULTIRUN else None
    result = start(config, list(with_hydra.overrides.task), folder)
    if result is None:
        return None
    print(f"Report: {result.report}")
    return result.metrics.get(load_plugins().task(config.task.name).score)


def train(overrides: Sequence[str]) -> Result:
    """Compose ``overrides``, train, and open the result, of a search the best run's. See :func:`sightsmith.train`."""
    config = compose(overrides, load_plugins())
    if load_plugins().tuner(config.tuner.name).searches:
        best = _search(overrides)
        result = None if best is None else Result.load(best)
    else:
        result = start(config, overrides)
    if result is None:
        raise UserError("trainer.dry_run=true trains nothing, so there is no result", hint="leave trainer.dry_run out")
    return result


def _search(overrides: Sequence[str]) -> Path | None:
    """The folder of the best run; None after a dry run.

    By parts of Hydra that are not public: its own call for many runs is the command line's.
    """
    install(overrides, load_plugins())
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        hydra = Hydra.create_main_hydra2(task_name="train", config_search_path=create_config_search_path(None))
        config = hydra.compose_config("config", list(overrides), run_mode=RunMode.MULTIRUN,
                                      with_log_configuration=False)
        sweep = Sweep(config, HydraContext(hydra.config_loader, Callbacks(config)), run_composed)
        sweep.run(list(config.hydra.overrides.task))
        return sweep.best
    finally:
        GlobalHydra.instance().clear()
        if outer is not None:
            GlobalHydra.instance().initialize(outer)
