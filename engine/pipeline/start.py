"""Starts a run: in this process, in ranks that it starts, or in ranks that are already running."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sightsmith.core.contracts.plan import Plan
from sightsmith.core.contracts.schema import Config
from sightsmith.core.util.errors import NonFiniteLossError, StoppedError, UserError
from sightsmith.core.util.files import ensure_writable, typed_path
from sightsmith.engine.config.literal import absolute_path, from_anywhere
from sightsmith.engine.data.class_map import read_class_map
from sightsmith.engine.pipeline.prepare import prepare
from sightsmith.engine.pipeline.result import Result
from sightsmith.engine.pipeline.stages import RunContext
from sightsmith.engine.pipeline.train import train
from sightsmith.engine.runs.library_warnings import warnings_in_log
from sightsmith.engine.runs.resources import ResourceError, shortage_explained
from sightsmith.engine.training import distributed
from sightsmith.engine.training.devices import claimed

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins

T = TypeVar("T")


def start(config: Config, overrides: Sequence[str], plugins: Plugins, sweep_folder: Path | None = None,
          ) -> Result | None:
    """Train in this process, or in ranks that it starts. Returns None after a dry run.

    ``sweep_folder`` is the folder of the run if a sweep starts it. Raises UserError, NonFiniteLossError, StoppedError.
    """
    config, overrides = with_absolute_paths(config), from_anywhere(overrides, plugins)
    if sweep_folder is not None:
        with claimed(distributed.device_count(config.trainer.devices), config.tuner.runs_per_device):
            return _on_devices(_train, config, list(overrides), plugins, sweep_folder)
    ensure_writable(typed_path(config.output_dir))
    if distributed.joined():
        return _train(config, overrides, plugins)
    return _on_devices(_train, config, list(overrides), plugins)


def with_absolute_paths(config: Config) -> Config:
    """``config`` with the paths of its data, weights and base run from any folder, and with the names of a class map
    instead of its file: a run is used from others later. Raises UserError."""
    if config.dataset.class_map is not None:
        names = json.dumps(read_class_map(config.dataset.class_map), ensure_ascii=False)
        config = replace(config, dataset=replace(config.dataset, class_map=names))
    for node, key in (("dataset", "root"), ("network", "weights"), ("base_run", "path")):
        part = getattr(config, node)
        value = getattr(part, key)
        if value is not None and (path := absolute_path(f"{node}.{key}", value)) is not None:
            config = replace(config, **{node: replace(part, **{key: path})})
    return config


def plan(config: Config, overrides: Sequence[str], plugins: Plugins, *, quiet: bool = False) -> Plan:
    """Check the data, benchmark, and print the plan of a run of ``config``, unless ``quiet``. Raises UserError."""
    return _on_devices(_plan, config, list(overrides), plugins, quiet)


def _on_devices(function: Callable[..., T], config: Config, *arguments: Any) -> T:
    """The result of ``function(config, ...)``, in this process or on rank 0 of several."""
    if distributed.joined():
        raise UserError("A sweep cannot run in ranks that torchrun or accelerate launch has started.",
                        hint="start it without torchrun or accelerate launch, with trainer.devices=N")
    count = distributed.device_count(config.trainer.devices)
    if count == 1:
        return function(config, *arguments)
    result = distributed.launch(count, _returned, function, config, *arguments)
    if isinstance(result, Exception):
        raise result
    return result


def _returned(function: Callable[..., T], *arguments: Any) -> T | Exception:
    """The result of ``function``, or an error that the parent needs: if raised, it would arrive as text."""
    try:
        with warnings_in_log():
            return function(*arguments)
    except ResourceError as error:  # not returned: it is on one rank, and the others wait for it
        print(error.text(), file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(distributed.LACKING_EXIT_CODE)
    except (UserError, NonFiniteLossError, StoppedError) as error:
        return error


def _train(config: Config, overrides: Sequence[str], plugins: Plugins, sweep_folder: Path | None = None,
           ) -> Result | None:
    """The whole run, in each rank."""
    state = distributed.open_state()
    try:
        with shortage_explained():
            return train(RunContext.of(config, overrides, sweep_folder, state, plugins), config)
    finally:
        distributed.close_state(state)


def _plan(config: Config, overrides: Sequence[str], plugins: Plugins, quiet: bool) -> Plan:
    state = distributed.open_state()
    try:
        context = RunContext.of(config, overrides, None, state, plugins)
        context.details.quiet |= quiet
        with shortage_explained():
            return prepare(context, config).plan
    finally:
        distributed.close_state(state)
