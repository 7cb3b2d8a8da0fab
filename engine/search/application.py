"""Training from Python: what :func:`sightsmith.train` and :func:`sightsmith.plan` do."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sightsmith.core.contracts.plan import Plan
from sightsmith.core.contracts.schema import MANUAL
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.errors import StoppedError, UserError
from sightsmith.engine.config.compose import compose_quoted, install
from sightsmith.engine.config.explain import explain
from sightsmith.engine.config.overrides import chosen_options, parse_overrides, typed_overrides
from sightsmith.engine.pipeline.find_task import with_task
from sightsmith.engine.pipeline.result import Result
from sightsmith.engine.pipeline.start import plan as make_plan
from sightsmith.engine.pipeline.start import start, with_absolute_paths
from sightsmith.engine.search.hydra_task import HydraTask
from sightsmith.engine.search.sweep import run_sweep

MULTIRUN = "--multirun"
"""Among the overrides: a run for each combination of their values, as on the command line."""


def train(overrides: Sequence[str], plugins: Plugins) -> Result:
    """Compose ``overrides``, train, and open the result; of a search, that of the best trial.

    See :func:`sightsmith.train`.
    """
    try:
        with random_numbers_kept():
            return _train(overrides, plugins)
    except (StoppedError, KeyboardInterrupt) as stop:
        raise KeyboardInterrupt(_how_to_go_on(stop)) from None


@contextmanager
def random_numbers_kept() -> Iterator[None]:
    """The caller's random numbers on the CPU go on as if the block, which seeds the generators, had not been there."""
    of_python, of_numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)


def _how_to_go_on(stop: BaseException) -> str:
    if isinstance(stop, StoppedError) and stop.resume:
        return f"the run is stopped; this resumes it:\nsightsmith.train({list(stop.resume)!r})"
    return "stopped before the run had a folder, so there is nothing to resume"


def plan(overrides: Sequence[str], plugins: Plugins) -> Plan:
    """Compose ``overrides``, check their data and make the plan of the run. See :func:`sightsmith.plan`."""
    overrides = typed_overrides(with_task(overrides, plugins, print), plugins)
    with random_numbers_kept():
        return make_plan(with_absolute_paths(compose_quoted(overrides, plugins)), overrides, plugins, quiet=True)


def _train(overrides: Sequence[str], plugins: Plugins) -> Result:
    multirun = MULTIRUN in overrides
    overrides = [text for text in overrides if text != MULTIRUN]
    overrides = typed_overrides(with_task(overrides, plugins, print), plugins, multirun=multirun)
    tuner = [MANUAL, *chosen_options(parse_overrides(overrides), "tuner")][-1]
    if multirun or tuner in plugins.tuners and plugins.tuner(tuner).searches:
        best = _search(overrides, plugins)
        result = None if best is None else Result.load(best, plugins)
    else:
        result = start(compose_quoted(overrides, plugins), overrides, plugins)
    if result is None:
        raise UserError("trainer.dry_run=true trains nothing, so there is no result",
                        hint="omit trainer.dry_run, or type sightsmith.plan(...)")
    return result


def _search(overrides: Sequence[str], plugins: Plugins) -> Path | None:
    """The folder of the best trial; None after a dry run.

    Uses private parts of Hydra, whose public entry point for many runs is that of a command line. Raises UserError.
    """
    install(overrides, plugins)
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        hydra = Hydra.create_main_hydra2(task_name="train", config_search_path=create_config_search_path(None))
        config = hydra.compose_config("config", list(overrides), run_mode=RunMode.MULTIRUN,
                                      with_log_configuration=False)
        context = HydraContext(hydra.config_loader, Callbacks(config))
        task_overrides = OmegaConf.to_container(config.hydra.overrides.task)
        assert isinstance(task_overrides, list)
        return run_sweep(config, context, HydraTask(plugins), task_overrides).best
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, overrides, plugins) from error
    finally:
        GlobalHydra.instance().clear()
        if outer is not None:
            GlobalHydra.instance().initialize(outer)
