"""Metric loggers: where figures go while a run is under way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class MetricLogger(Protocol):
    """Where figures go while a run is under way; on rank 0 only."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Figures at an optimizer step, counted over the run; ``train/...`` a step, ``validation/...`` an epoch."""

    def close(self) -> None:
        """Flush; called once, also after an error."""


class LoggerBuilder(Protocol):
    """What the builder of a logger's record is called as."""

    def __call__(self, run_dir: Path, options: Mapping[str, Any]) -> MetricLogger:
        """``run_dir`` is the run's folder, which is there; ``options`` are the keys under ``logger.<name>``."""
