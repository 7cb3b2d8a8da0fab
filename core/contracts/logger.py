"""Metric loggers: where figures go while a run is under way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class MetricLogger(Protocol):
    """Built as ``builder(run_dir, options)``, with the options under ``logger.<name>``; rank 0 only."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Figures at an optimizer step, counted over the run; ``train/...`` a step, ``validation/...`` an epoch."""

    def close(self) -> None:
        """Flush; called once, also after an error."""
