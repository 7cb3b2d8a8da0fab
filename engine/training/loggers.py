"""The metric loggers of a run: none of them can fail it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from sightsmith.core.contracts.logger import MetricLogger
from sightsmith.core.contracts.schema import Config
from sightsmith.core.util.errors import UserError, describe_error
from sightsmith.engine.runs.run_dir import ERROR, Status
from sightsmith.engine.training.state import TrainState

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins

log = logging.getLogger("sightsmith")


class RunLoggers:
    """Passes what happens in a run to its metric loggers, as a callback of its training. Used as a context, at whose
    end they are closed with the state of ``status``. A logger that raises is closed and adds a warning to ``status``.
    """

    def __init__(self, plugins: Plugins, status: Status, console: Console) -> None:
        self._plugins, self._status, self._console = plugins, status, console
        self._loggers: dict[str, MetricLogger] = {}
        self._steps = 1

    def __enter__(self) -> RunLoggers:
        return self

    def __exit__(self, *_: object) -> None:
        self._each(lambda logger: logger.close(self._status.current))

    def start(self, run_dir: Path, config: Config, state: TrainState, steps: int, group: str | None) -> None:
        """Make the loggers that ``config`` names. The run goes on from ``state``, has ``steps`` optimizer steps per
        epoch, and is a trial of the search ``group``. Raises UserError for a logger that cannot start as it is set."""
        self._steps = steps
        for name, options in config.logger.items():
            record = self._plugins.logger(name)
            try:
                logger = record.make(run_dir, {**record.options, **(options or {})})
                logger.start(asdict(config), state.epoch * steps + state.step, group)
            except UserError:
                raise
            except Exception as error:  # no network, a full disk
                self._warn(name, error)
            else:
                self._loggers[name] = logger

    def on_step(self, state: TrainState, losses: Mapping[str, float], rate: float) -> None:
        step = state.epoch * self._steps + state.step
        metrics = {f"train/{name}": value for name, value in losses.items()} | {"train/learning_rate": rate}
        self._each(lambda logger: logger.log(step, {**metrics, "epoch": step / self._steps}))

    def on_validation(self, done: int, images: int) -> None:
        pass

    def on_warning(self, message: str) -> None:
        pass

    def on_epoch(self, state: TrainState, metrics: Mapping[str, Any]) -> None:
        values = {f"validation/{name}": value for name, value in metrics.items() if isinstance(value, float)}
        self._each(lambda logger: logger.log(state.epoch * self._steps, {**values, "epoch": float(state.epoch)}))

    def finish(self, metrics: Mapping[str, float | None], report: Path) -> None:
        """The run has finished."""
        self._each(lambda logger: logger.finish(metrics, report))

    def _each(self, call: Callable[[MetricLogger], object]) -> None:
        """Call every logger, and leave out from now on those that raise."""
        for name, logger in list(self._loggers.items()):
            try:
                call(logger)
            except Exception as error:  # the run is worth more than its log
                del self._loggers[name]
                self._warn(name, error)
                with suppress(Exception):
                    logger.close(ERROR)

    def _warn(self, name: str, error: Exception) -> None:
        warning = f"the logger {name} failed, and logs no more of this run: {describe_error(error)}"
        log.warning(warning, exc_info=True)
        self._status.warn(warning)
        self._console.print(f"warning: {warning}", soft_wrap=True)
