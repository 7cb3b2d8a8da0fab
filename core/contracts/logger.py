"""The contract for metric loggers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class MetricLogger(Protocol):
    """Receives metrics during training, on rank 0 only."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Metrics at the optimizer step ``step`` of the run; ``train/...`` per step, ``validation/...`` per epoch."""

    def close(self) -> None:
        """Flush and close; called once, also after an error."""


class LoggerBuilder(Protocol):
    """The signature of a :class:`LoggerRecord` builder."""

    def __call__(self, run_dir: Path, options: Mapping[str, Any]) -> MetricLogger:
        """``run_dir`` is the run's existing folder; ``options`` are the keys under ``logger.<name>``."""
