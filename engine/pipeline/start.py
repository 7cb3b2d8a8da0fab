"""Starting a run: in this process, in ranks that it starts, or in ranks that are there already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sightsmith.core.contracts.plan import Plan
from sightsmith.core.contracts.schema import Config
from sightsmith.core.util.errors import NonFiniteLossError, StoppedError, UserError
from sightsmith.core.util.files import ensure_writable
from sightsmith.engine.pipeline.result import Result
from sightsmith.engine.pipeline.train import Job
from sightsmith.engine.training import distributed as ranks
from sightsmith.engine.training.devices import claimed

T = TypeVar("T")


def start(config: Config, overrides: Sequence[str], sweep_folder: Path | None = None) -> Result | None:
    """Train in this process, or in ranks that it starts; None after a dry run.

    ``sweep_folder`` is the folder that a sweep gave this run. Raises UserError, NonFiniteLossError,
    StoppedError.
    """
    if sweep_folder is not None:
        with claimed(ranks.device_count(config.trainer.devices), config.tuner.runs_per_device):
            return _on_devices(_train, config, list(overrides), sweep_folder)
    ensure_writable(Path(config.output_dir).expanduser())
    return _train(config, overrides) if ranks.joined() else _on_devices(_train, config, list(overrides))


def plan(config: Config) -> Plan:
    """Check the data, measure and print what a run of ``config`` would be. Raises UserError."""
    return _on_devices(_plan, config)


def _on_devices(function: Callable[..., T], config: Config, *arguments: Any) -> T:
    """What ``function(config, ...)`` returns, in this process, or on rank 0 of those that it takes."""
    if ranks.joined():
        raise UserError("A sweep cannot run inside ranks that were started from outside.",
                        hint="start it without torchrun or accelerate launch, with trainer.devices=N")
    count = ranks.device_count(config.trainer.devices)
    if count == 1:
        return function(config, *arguments)
    outcome = ranks.launch(count, _told, function, config, *arguments)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _told(function: Callable[..., T], *arguments: Any) -> T | Exception:
    """What ``function`` returns, or raises of what the parent is to know: an exception would come as text."""
    try:
        return function(*arguments)
    except (UserError, NonFiniteLossError, StoppedError) as error:
        return error


def _train(config: Config, overrides: Sequence[str], sweep_folder: Path | None = None) -> Result | None:
    """The whole run, in each rank."""
    state = ranks.open_state()
    try:
        return Job(config, overrides, sweep_folder, state).go()
    finally:
        ranks.close_state(state)


def _plan(config: Config) -> Plan:
    state = ranks.open_state()
    try:
        job = Job(config, [], None, state)
        job.prepare()
        return job.plan
    finally:
        ranks.close_state(state)
