"""The contract for metric loggers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class MetricLogger:
    """Follows one run on rank 0; ``run_dir`` exists, ``options`` has all of the record's. When a method raises, the run
    goes on without the logger and has a warning; UserError from :meth:`start` is the user's mistake, and ends it."""

    def __init__(self, run_dir: Path, options: Mapping[str, Any]) -> None:
        self.run_dir, self.options = run_dir, options

    def start(self, config: Mapping[str, Any], step: int, group: str | None) -> None:
        """The resolved configuration; the step from which a resumed run goes on: what was logged beyond it comes again;
        the name of the search that the run is a trial of."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Metrics at the optimizer step ``step`` of the run: ``train/...`` per step, ``validation/...`` per epoch, each
        time with ``epoch``, the epochs done, which has a fraction within one."""

    def finish(self, metrics: Mapping[str, float | None], report: Path) -> None:
        """The run has finished with ``metrics``; the folder ``report`` has its page, plots and tables."""

    def close(self, status: str) -> None:
        """Flush and close; called once. ``status`` of the run: ``finished``, ``stopped`` or paused, or ``error``."""
