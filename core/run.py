"""Starting a run: in this process, in ranks that it starts, or in ranks that are there already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sightsmith.core import ranks
from sightsmith.core.compose import compose
from sightsmith.core.errors import NonFiniteLossError, StoppedError, UserError
from sightsmith.core.job import Job
from sightsmith.core.result import Result
from sightsmith.core.schema import Config


def train(overrides: Sequence[str]) -> Result:
    """Compose ``overrides``, train, and open the result. See :func:`sightsmith.train`."""
    result = start(compose(overrides), overrides)
    if result is None:
        raise UserError("trainer.dry_run=true trains nothing, so there is no result", hint="leave trainer.dry_run out")
    return result


def start(config: Config, overrides: Sequence[str], sweep_folder: Path | None = None) -> Result | None:
    """Train in this process, or in ranks that it starts; None after a dry run.

    ``sweep_folder`` is the folder that a sweep gave this run. Raises UserError, NonFiniteLossError,
    StoppedError.
    """
    if ranks.joined():
        if sweep_folder is not None:
            raise UserError("A sweep cannot run inside ranks that were started from outside.",
                            hint="start it without torchrun or accelerate launch, with trainer.devices=N")
        return run_rank(config, overrides)
    count = ranks.device_count(config.trainer.devices)
    if count == 1:
        return run_rank(config, overrides, sweep_folder)
    outcome = ranks.launch(count, _started_rank, config, list(overrides), sweep_folder)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _started_rank(config: Config, overrides: Sequence[str], sweep_folder: Path | None) -> Result | None | Exception:
    """:func:`run_rank`, with what the parent is to know of returned: an exception would come as text."""
    try:
        return run_rank(config, overrides, sweep_folder)
    except (UserError, NonFiniteLossError, StoppedError) as error:
        return error


def run_rank(config: Config, overrides: Sequence[str], sweep_folder: Path | None = None) -> Result | None:
    """The whole run, in each rank."""
    state = ranks.open_state()
    try:
        return Job(config, overrides, sweep_folder, state).go()
    finally:
        ranks.close_state(state)
